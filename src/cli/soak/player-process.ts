/** The soak's side of a client process. */

import { type ChildProcess, fork } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { PlayerCommand, PlayerReport, PlayerTask, PlayerTotals } from './player-protocol.ts'
import { noTotals } from './player-protocol.ts'

interface Waiter {
  readonly command: PlayerCommand['kind']
  resolve(): void
  reject(error: Error): void
}

export class PlayerProcess {
  readonly task: PlayerTask
  /** What it has told last. */
  totals: PlayerTotals = noTotals
  readonly ended: Promise<void>
  private readonly process: ChildProcess
  private over = false
  private errors = ''
  private waiters: Waiter[] = []

  constructor(task: PlayerTask, environment: Readonly<Record<string, string>>) {
    this.task = task
    // In a process group of its own: Ctrl-C is for the soak alone.
    this.process = fork(entry(), {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      detached: true,
      env: { ...process.env, ...environment },
    })
    this.process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.errors = (this.errors + text).slice(-10_000)
    })
    this.process.on('message', (report: PlayerReport) => this.onReport(report))
    this.ended = new Promise(resolve => {
      this.process.once('error', error => this.end(resolve, String(error)))
      this.process.once('close', () => this.end(resolve, ''))
    })
    this.tell({ kind: 'start', task })
  }

  get pid(): number {
    return this.process.pid ?? 0
  }

  get isOver(): boolean {
    return this.over
  }

  /** What it said before it ended by itself; '' if nothing. */
  get lastWords(): string {
    return this.errors
  }

  signal(signal: NodeJS.Signals): void {
    this.process.kill(signal)
  }

  /** Resolves when it has obeyed. Rejects if it ends before. */
  order(command: Exclude<PlayerCommand, { kind: 'start' }>): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.over) return reject(this.overError())
      this.waiters.push({ command: command.kind, resolve, reject })
      this.tell(command)
    })
  }

  private tell(command: PlayerCommand): void {
    // The channel of a process that was just killed fails; its end is told by itself.
    if (this.process.connected) this.process.send(command, () => {})
  }

  private onReport(report: PlayerReport): void {
    if (report.kind === 'totals') {
      this.totals = report.totals
      return
    }
    const index = this.waiters.findIndex(({ command }) => command === report.command)
    if (index >= 0) this.waiters.splice(index, 1)[0]?.resolve()
  }

  private end(resolve: () => void, words: string): void {
    this.over = true
    this.errors += words
    for (const waiter of this.waiters) waiter.reject(this.overError())
    this.waiters = []
    resolve()
  }

  private overError(): Error {
    return new Error(`the client process ${this.task.name} ended: ${this.errors}`)
  }
}

/** The built module: a plain Node cannot run TypeScript. */
function entry(): string {
  const beside = fileURLToPath(new URL('./player-main.js', import.meta.url))
  const built = new URL('../../../dist/cli/soak/player-main.js', import.meta.url)
  return existsSync(beside) ? beside : fileURLToPath(built)
}
