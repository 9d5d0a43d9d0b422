/** The command-line program as a process of its own, watched from outside. */

import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, openSync, closeSync } from 'node:fs'
import type { Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'

export interface ProgramOptions {
  /** All of standard input; `'open'`: written later, through `input`. Default: empty. */
  readonly input?: string | Uint8Array | 'open'
  /** File for standard output; default: kept in `output`. */
  readonly outputFile?: string
  /** Prefix of the command, such as `['ip', 'netns', 'exec', 'h1']`. */
  readonly within?: readonly string[]
  /** More options of Node. */
  readonly flags?: readonly string[]
}

/**
 * As the program's first line has it. A daemon reads through many short-lived buffers: with room for them in the young
 * generation it collects them cheaply. As V8 counts them towards the limit of the old generation, which follows the small
 * heap, it would mark all of it several times a second; a limit of five times the heap ends that, and with it a quarter of
 * the CPU of a daemon under load.
 */
const nodeFlags = ['--max-semi-space-size=64', '--min-semi-space-size=16', '--heap-growing-percent=400']

export class Program {
  readonly process: ChildProcess
  /** Exit code; 128 and more: the number of the signal that ended it. */
  readonly ended: Promise<number>
  /** Standard output and error so far. */
  output = ''
  errors = ''
  private over = false
  private readonly waiting = new Set<() => void>()

  constructor(args: readonly string[], options: ProgramOptions = {}) {
    const [command, ...before] = [...(options.within ?? []), process.execPath]
    const { input, outputFile } = options
    const file = outputFile === undefined ? null : openSync(outputFile, 'a')
    this.process = spawn(
      command as string,
      [...before, ...nodeFlags, ...(options.flags ?? []), program(), ...args],
      {
        stdio: [input === undefined ? 'ignore' : 'pipe', file ?? 'pipe', 'pipe'],
        env: { ...process.env, NO_COLOR: '1' },
      },
    )
    if (file !== null) closeSync(file)
    this.process.stdout?.setEncoding('utf8').on('data', (text: string) => this.take('output', text))
    this.process.stderr?.setEncoding('utf8').on('data', (text: string) => this.take('errors', text))
    this.ended = new Promise(resolve => {
      this.process.once('error', error => this.end(resolve, 127, String(error)))
      // `close`, not `exit`: everything it wrote has been read by then.
      this.process.once('close', (code, signal) => this.end(resolve, code ?? signalNumber(signal), ''))
    })
    // One that ends early, as it may, must not end us.
    this.process.stdin?.on('error', () => {})
    if (input !== undefined && input !== 'open') this.process.stdin?.end(input)
  }

  get pid(): number {
    return this.process.pid ?? 0
  }

  /** Its standard input, if it was left open. */
  get input(): Writable {
    const { stdin } = this.process
    if (stdin === null) throw new Error('the program was started without an open input')
    return stdin
  }

  signal(signal: NodeJS.Signals): void {
    this.process.kill(signal)
  }

  /** Resolves when `holds`; looked at whenever it wrote something. Rejects if it ends before. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      if (this.over) throw new Error(`the program ended: ${this.errors}`)
      await new Promise<void>(resolve => this.waiting.add(resolve))
    }
  }

  untilError(text: string): Promise<void> {
    return this.until(() => this.errors.includes(text))
  }

  private take(stream: 'output' | 'errors', text: string): void {
    this[stream] += text
    this.wake()
  }

  private end(resolve: (code: number) => void, code: number, words: string): void {
    this.over = true
    this.errors += words
    resolve(code)
    this.wake()
  }

  private wake(): void {
    for (const resolve of this.waiting) resolve()
    this.waiting.clear()
  }
}

/** The built program: a plain Node cannot run TypeScript. */
export function program(): string {
  const beside = fileURLToPath(new URL('../main.js', import.meta.url))
  return existsSync(beside) ? beside : fileURLToPath(new URL('../../../dist/cli/main.js', import.meta.url))
}

function signalNumber(signal: NodeJS.Signals | null): number {
  const numbers: { readonly [Name in NodeJS.Signals]?: number } = { SIGINT: 2, SIGKILL: 9, SIGTERM: 15 }
  return 128 + (signal === null ? 0 : (numbers[signal] ?? 0))
}
