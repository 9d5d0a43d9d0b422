/** Members at every daemon of a site, which work at the same time; and the proof that all of them saw the same. */

import { BenchError } from './bench-error.ts'
import { nowMicros } from './payload.ts'
import type { Span } from './profile.ts'
import type { Variant } from './row.ts'
import type { Site } from './site.ts'
import type { Finished, Measured } from './task.ts'
import { Meter, type Spent } from './usage.ts'
import type { Worker } from './worker.ts'

export interface CrewOptions {
  readonly variant: Variant
  /** Bytes of messages, by member. */
  readonly size: (index: number) => number
  readonly groups: number
  readonly talkers: number
}

/** What a member shall do: messages a second (0: as many as go, -1: none), and whether each is timed. */
export interface Part {
  readonly rate: number
  readonly isProbe: boolean
  /** Time of the first one, µs. */
  readonly firstAt: number
}

export interface Watched {
  readonly measured: readonly Measured[]
  readonly spent: Spent
  /** When all of them measured. */
  readonly span: Span
}

export class Crew {
  private readonly site: Site
  private readonly options: CrewOptions
  private readonly staff: Worker[]

  private constructor(site: Site, options: CrewOptions) {
    this.site = site
    this.options = options
    this.staff = site.names.map((_, index) => this.hire(index))
  }

  get workers(): readonly Worker[] {
    return this.staff
  }

  /** One member at every daemon; resolves when each has seen all. */
  static async enter(site: Site, options: CrewOptions): Promise<Crew> {
    const crew = new Crew(site, options)
    await Promise.all(crew.staff.map(worker => worker.hear('ready')))
    return crew
  }

  /** A new one at the last daemon, which has come back; resolves when it has seen all. */
  async replaceLast(): Promise<void> {
    const index = this.staff.length - 1
    const [old] = this.staff.splice(index, 1, this.hire(index))
    await Promise.all([old?.quit(), this.staff[index]?.hear('ready')])
  }

  /** Begins the work; the measurement follows after the warm-up. */
  begin(part: (index: number) => Part, warmSeconds: number, seconds: number): void {
    this.staff.forEach((worker, index) => {
      const { rate, isProbe, firstAt } = part(index)
      worker.tell('work', rate, isProbe ? 1 : 0, firstAt, warmSeconds, seconds)
    })
  }

  /** What goes on is measured once more, after a warm-up. */
  measureAgain(warmSeconds: number, seconds: number): void {
    for (const worker of this.staff) worker.tell('measure', warmSeconds, seconds)
  }

  /** What all of these have measured, and what daemons (first) and workers have spent meanwhile. */
  async watch(workers: readonly Worker[] = this.staff): Promise<Watched> {
    await Promise.all(workers.map(worker => worker.hear('began')))
    const meter = new Meter([...this.site.daemonPids, ...workers.map(({ pid }) => pid)], this.site.helperPids)
    const from = nowMicros()
    const measured = await Promise.all(workers.map(worker => worker.hear('measured')))
    return { measured, spent: meter.read(), span: { from, to: nowMicros() } }
  }

  /**
   * Everybody says a last word and hears that of all others.
   * @throws BenchError if anything is missing, or came in another order somewhere.
   */
  async finish(workers: readonly Worker[] = this.staff): Promise<void> {
    for (const worker of workers) worker.tell('stop')
    judge(await Promise.all(workers.map(worker => worker.hear('finished'))))
  }

  private hire(index: number): Worker {
    const { variant, groups, talkers } = this.options
    const { iterator, service } = variant
    return this.site.start(this.site.names[index] as string, {
      kind: 'member',
      groups,
      members: this.site.names.length,
      talkers,
      size: this.options.size(index),
      iterator,
      service,
    })
  }
}

/** @throws BenchError */
export function judge(finished: readonly Finished[]): void {
  const gaps = finished.reduce((sum, each) => sum + each.gaps, 0)
  if (gaps > 0) throw new BenchError(`${gaps} messages were missing or out of the order of their sender`)
  const accepted = finished.reduce((sum, each) => sum + each.accepted, 0)
  const wrong = finished.find(({ received }) => received !== accepted)
  if (wrong !== undefined) {
    throw new BenchError(`${accepted} messages were sent, and a receiver has ${wrong.received}`)
  }
  const orders = new Set(finished.map(({ views }) => JSON.stringify(views)))
  if (orders.size > 1) {
    throw new BenchError(
      `receivers have seen ${orders.size} different orders: ${[...orders].join(' and ').slice(0, 500)}`,
    )
  }
}
