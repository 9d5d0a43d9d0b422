/** The harness's side of a working process: it is told lines, and answers in lines of JSON. */

import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { BenchError } from './bench-error.ts'
import type { Answer } from './task.ts'

type AnswerOf<Type extends Answer['type']> = Extract<Answer, { readonly type: Type }>

interface Waiter {
  readonly holds: (answer: Answer) => boolean
  resolve(answer: Answer): void
  reject(error: Error): void
}

const patienceMs = 120_000

export class Worker {
  readonly name: string
  readonly ended: Promise<void>
  private readonly process: ChildProcess
  private readonly answers: Answer[] = []
  private readonly waiters = new Set<Waiter>()
  private words = ''
  private failure: BenchError | null = null
  private readonly onExit = (): void => void this.process.kill('SIGKILL')

  /** @param command the program and its arguments. */
  constructor(name: string, command: readonly string[]) {
    const [program, ...args] = command
    this.name = name
    this.process = spawn(program as string, args, { stdio: ['pipe', 'pipe', 'pipe'] })
    process.once('exit', this.onExit)
    const { stdin, stdout, stderr } = this.process
    stdin?.on('error', () => {})
    stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.words = (this.words + text).slice(-10_000)
    })
    if (stdout !== null) createInterface({ input: stdout }).on('line', line => this.take(line))
    this.ended = new Promise(resolve => {
      this.process.once('error', error => this.end(resolve, String(error)))
      this.process.once('close', (code, signal) => this.end(resolve, `ended with ${signal ?? code}`))
    })
  }

  get pid(): number {
    return this.process.pid ?? 0
  }

  tell(...words: readonly (string | number)[]): void {
    this.process.stdin?.write(`${words.join(' ')}\n`)
  }

  /** The next answer of a type, of those that nobody has taken. */
  async hear<Type extends Answer['type']>(
    type: Type,
    holds: (answer: AnswerOf<Type>) => boolean = () => true,
  ): Promise<AnswerOf<Type>> {
    const wanted = (answer: Answer): boolean => answer.type === type && holds(answer as AnswerOf<Type>)
    const index = this.answers.findIndex(wanted)
    if (index >= 0) return this.answers.splice(index, 1)[0] as AnswerOf<Type>
    if (this.failure !== null) throw this.failure
    const answer = await new Promise<Answer>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.waiters.delete(waiter)
        reject(
          new BenchError(`${this.name} did not say "${type}" within ${patienceMs / 1000} s ${this.words}`),
        )
      }, patienceMs)
      const waiter: Waiter = {
        holds: wanted,
        resolve: found => {
          clearTimeout(timer)
          resolve(found)
        },
        reject: error => {
          clearTimeout(timer)
          reject(error)
        },
      }
      this.waiters.add(waiter)
    })
    return answer as AnswerOf<Type>
  }

  kill(): Promise<void> {
    this.process.kill('SIGKILL')
    return this.ended
  }

  async quit(patienceMs: number = 2000): Promise<void> {
    this.tell('quit')
    // One whose daemon is gone or stopped may not be able to end in order.
    const timer = setTimeout(() => this.process.kill('SIGKILL'), patienceMs)
    await this.ended
    clearTimeout(timer)
  }

  private take(line: string): void {
    let answer: Answer
    try {
      answer = JSON.parse(line) as Answer
    } catch {
      return this.fail(`said what is no JSON: ${line.slice(0, 200)}`)
    }
    if (answer.type === 'failed') return this.fail(answer.why)
    for (const waiter of this.waiters) {
      if (!waiter.holds(answer)) continue
      this.waiters.delete(waiter)
      return waiter.resolve(answer)
    }
    this.answers.push(answer)
  }

  private fail(why: string): void {
    this.failure ??= new BenchError(`${this.name}: ${why} ${this.words}`.trimEnd())
    for (const waiter of this.waiters) waiter.reject(this.failure)
    this.waiters.clear()
  }

  private end(resolve: () => void, why: string): void {
    process.removeListener('exit', this.onExit)
    this.fail(why)
    resolve()
  }
}

/** The command of a worker that is a module of ours: a plain Node cannot run TypeScript, so it is the built one. */
export function moduleCommand(
  name: string,
  args: readonly string[] = [],
  flags: readonly string[] = [],
): readonly string[] {
  const beside = fileURLToPath(new URL(`./${name}.js`, import.meta.url))
  const built = fileURLToPath(new URL(`../../../dist/cli/bench/${name}.js`, import.meta.url))
  return [process.execPath, ...flags, existsSync(beside) ? beside : built, ...args]
}
