/** All client processes of a soak. */

import { Random } from '../../lib/prng.ts'
import { PlayerProcess } from './player-process.ts'
import { noTotals, type PlayerCommand, type PlayerTask, type PlayerTotals } from './player-protocol.ts'

export interface PlayersOptions {
  /** Addresses of the daemons: one process at each. */
  readonly addresses: readonly string[]
  readonly seed: number
  readonly sessionsEach: number
  readonly groups: readonly string[]
  /** All together, messages a second. */
  readonly rate: number
  /** Where a new trace of this name belongs at this moment. */
  readonly traceFile: (name: string) => string
  /** What the processes have in their environment besides ours. */
  readonly environment: Readonly<Record<string, string>>
  readonly onStart: (label: string, pid: number) => void
  /** A process was killed, as we wished. */
  readonly onKilled: (trace: string) => void
  /** A process ended though nobody wished it. */
  readonly onCrash: (what: string) => void
}

export class Players {
  /** What the processes are called: a killed one's successor has its label. */
  readonly labels: readonly string[]
  private readonly options: PlayersOptions
  private readonly random: Random
  private readonly running = new Map<string, PlayerProcess>()
  private readonly traces = new Map<string, string>()
  /** Of those that are over. */
  private past: PlayerTotals = noTotals
  private started = 0
  private readonly onExit = (): void => {
    for (const player of this.running.values()) player.signal('SIGKILL')
  }

  constructor(options: PlayersOptions) {
    this.options = options
    this.random = new Random(options.seed)
    this.labels = options.addresses.map((_, index) => `c${index + 1}`)
    process.once('exit', this.onExit)
  }

  startAll(): void {
    for (const label of this.labels) this.start(label)
  }

  start(label: string): void {
    const { options } = this
    const name = `${label}-${++this.started}`
    const trace = options.traceFile(name)
    const task: PlayerTask = {
      name,
      address: options.addresses[this.labels.indexOf(label)] as string,
      seed: this.random.u32(),
      sessions: options.sessionsEach,
      groups: options.groups,
      rate: options.rate / this.labels.length,
      trace,
    }
    const player = new PlayerProcess(task, options.environment)
    this.running.set(label, player)
    this.traces.set(label, trace)
    options.onStart(label, player.pid)
    void player.ended.then(() => {
      if (this.running.get(label) !== player) return
      this.running.delete(label)
      options.onCrash(`the client process ${name} ended by itself: ${player.lastWords}`)
    })
  }

  async kill(label: string): Promise<void> {
    const player = this.running.get(label)
    if (player === undefined) return
    this.running.delete(label)
    player.signal('SIGKILL')
    await player.ended
    this.past = sum(this.past, player.totals)
    this.options.onKilled(this.traces.get(label) as string)
  }

  signal(label: string, signal: NodeJS.Signals): void {
    this.running.get(label)?.signal(signal)
  }

  /** Resolves when all have obeyed. */
  async order(command: Exclude<PlayerCommand, { kind: 'start' | 'rotate' }>): Promise<void> {
    await Promise.all([...this.running.values()].map(player => player.order(command)))
  }

  /** Everything from here on belongs into the traces of the next window. */
  async rotate(): Promise<void> {
    await Promise.all(
      [...this.running].map(([label, player]) => {
        const trace = this.options.traceFile(player.task.name)
        this.traces.set(label, trace)
        return player.order({ kind: 'rotate', trace })
      }),
    )
  }

  get totals(): PlayerTotals {
    return [...this.running.values()].reduce((all, { totals }) => sum(all, totals), this.past)
  }

  async close(): Promise<void> {
    process.removeListener('exit', this.onExit)
    const players = [...this.running.values()]
    this.past = this.totals
    this.running.clear()
    for (const player of players) player.signal('SIGKILL')
    await Promise.all(players.map(player => player.ended))
  }
}

function sum(one: PlayerTotals, other: PlayerTotals): PlayerTotals {
  return {
    sent: one.sent + other.sent,
    received: one.received + other.received,
    views: one.views + other.views,
    fates: one.fates + other.fates,
    opened: one.opened + other.opened,
    lost: one.lost + other.lost,
  }
}
