/** The daemons of a soak: each incarnation with its trace, what it says of itself, and how it ends. */

import { setTimeout as sleep } from 'node:timers/promises'
import type { CellStatus, StatusDocument } from '../../admin/status.ts'
import { connect, type Session } from '../../client/index.ts'
import { AnasaziError } from '../../lib/errors.ts'
import type { Lab } from '../lab/lab.ts'

/** A daemon that does not answer for so long does not answer now. */
const answerWithinMs = 2000
/** What is kept of a daemon's log. Characters. */
const logKept = 1 << 18

/** One run of a daemon. */
export interface Incarnation {
  readonly name: string
  readonly pid: number
  /** File that it writes its trace to. */
  readonly trace: string
  /** Line of its trace with the configuration that it was in when the window began; null if it began later. */
  beganIn: string | null
  /** Lines of its trace in windows that are over. */
  tracedBefore: number
}

export class Daemons {
  readonly names: readonly string[]
  private readonly lab: Lab
  private readonly running = new Map<string, Incarnation>()
  private readonly watches = new Map<string, Session>()
  private sessions = 0
  private started = 0
  /** Told of each new incarnation, and of one that is over. */
  private readonly onStart: (incarnation: Incarnation) => void
  private readonly onEnd: (incarnation: Incarnation) => void
  /** A daemon ended though nobody wished it. */
  private readonly onCrash: (what: string) => void

  constructor(
    lab: Lab,
    listeners: {
      readonly onStart: (incarnation: Incarnation) => void
      readonly onEnd: (incarnation: Incarnation) => void
      readonly onCrash: (what: string) => void
    },
  ) {
    this.lab = lab
    this.names = lab.names
    this.onStart = listeners.onStart
    this.onEnd = listeners.onEnd
    this.onCrash = listeners.onCrash
  }

  get living(): Incarnation[] {
    return [...this.running.values()]
  }

  async startAll(): Promise<void> {
    await Promise.all(this.names.map(name => this.start(name)))
  }

  async start(name: string): Promise<void> {
    const trace = this.lab.file(`${name}-${++this.started}.ndjson`)
    await this.lab.start(name, { trace })
    const program = this.lab.daemon(name)
    const incarnation: Incarnation = { name, pid: program.pid, trace, beganIn: null, tracedBefore: 0 }
    this.running.set(name, incarnation)
    this.onStart(incarnation)
    void program.ended.then(code => {
      if (this.running.get(name) !== incarnation) return
      this.running.delete(name)
      this.onEnd(incarnation)
      this.onCrash(`${name} ended by itself with ${code}: ${this.lab.log(name).slice(-2000)}`)
    })
  }

  /** Ends it and waits until it has ended. */
  async end(name: string, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const incarnation = this.running.get(name)
    if (incarnation === undefined) return
    this.running.delete(name)
    await this.lab.end(name, signal)
    this.onEnd(incarnation)
  }

  signal(name: string, signal: NodeJS.Signals): void {
    if (this.running.has(name)) this.lab.signal(name, signal)
  }

  log(name: string): string {
    return this.lab.log(name)
  }

  /** A daemon that runs for days must not fill our memory with its log. */
  trimLogs(): void {
    for (const { name } of this.living) {
      const program = this.lab.daemon(name)
      if (program.errors.length > logKept) program.errors = program.errors.slice(-logKept / 2)
    }
  }

  /** What all say at this moment; null: no answer. */
  async statuses(): Promise<(CellStatus | null)[]> {
    return Promise.all(this.names.map(name => this.status(name)))
  }

  async close(): Promise<void> {
    for (const session of this.watches.values()) void session.close().catch(() => {})
    await Promise.all(this.names.map(name => this.end(name, 'SIGTERM')))
  }

  private async status(name: string): Promise<CellStatus | null> {
    if (!this.running.has(name)) return null
    try {
      const answer = await Promise.race([this.ask(name), sleep(answerWithinMs, null, { ref: false })])
      if (answer !== null) return answer.cells['main'] ?? null
      // Whoever does not answer is asked over a new connection next time.
      void this.watches
        .get(name)
        ?.close()
        .catch(() => {})
    } catch (error) {
      if (!(error instanceof AnasaziError)) throw error
    }
    this.watches.delete(name)
    return null
  }

  private async ask(name: string): Promise<StatusDocument> {
    let session = this.watches.get(name)
    if (session === undefined || session.closed) {
      const options = { name: `soak-${++this.sessions}`, handshakeTimeoutMs: answerWithinMs }
      session = await connect(this.lab.url(name), options)
      this.watches.set(name, session)
    }
    return (await session.status()) as StatusDocument
  }
}

/** True if all answered, and are together in one configuration of so many. */
export function together(statuses: readonly (CellStatus | null)[]): statuses is readonly CellStatus[] {
  const id = statuses[0]?.configuration.id
  return statuses.every(
    status =>
      status !== null &&
      status.phase === 'operational' &&
      status.configuration.id === id &&
      status.configuration.members.length === statuses.length,
  )
}

/** One line that says where everybody is. */
export function whereabouts(names: readonly string[], statuses: readonly (CellStatus | null)[]): string {
  return names
    .map((name, index) => {
      const status = statuses[index]
      if (status === null || status === undefined) return `${name} does not answer`
      const { phase, configuration } = status
      return `${name} ${phase} in ${configuration.id} of ${configuration.members.length}`
    })
    .join('; ')
}
