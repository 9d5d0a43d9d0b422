/** A client process of a soak: several sessions at one daemon, and everything that an application may do with them. */

import { setTimeout as sleep } from 'node:timers/promises'
import { connect, type Group, type Session } from '../../client/index.ts'
import type { MessageEvent } from '../../client/index.ts'
import { AnasaziError } from '../../lib/errors.ts'
import { Random } from '../../lib/prng.ts'
import type { PlayerCommand, PlayerReport, PlayerTask } from './player-protocol.ts'
import { PlayerTrace } from './player-trace.ts'

const tickMs = 20
const totalsEveryMs = 1000
const lookAgainMs = 10
/** Operations under way in one process, beyond which it only sends. */
const mostPending = 256
const openAgainMs = 100
const groupsAtMost = 4

/** One session after the other: when one is lost or closed, the next is opened. */
class Seat {
  session: Session | null = null
  readonly groups: Map<string, Group> = new Map()
}

export class Player {
  private readonly task: PlayerTask
  private readonly random: Random
  private readonly trace: PlayerTrace
  private readonly report: (report: PlayerReport) => void
  private readonly seats: Seat[]
  private readonly pending = new Set<Promise<void>>()
  private readonly timers: NodeJS.Timeout[]
  private readonly totals = { sent: 0, received: 0, views: 0, fates: 0, opened: 0, lost: 0 }
  private paused = false
  private ended = false
  private due = 0
  private lastTickAt = performance.now()
  private names = 0

  constructor(task: PlayerTask, report: (report: PlayerReport) => void) {
    this.task = task
    this.random = new Random(task.seed)
    this.trace = new PlayerTrace(task.trace)
    this.report = report
    this.seats = Array.from({ length: task.sessions }, () => new Seat())
    for (const seat of this.seats) void this.occupy(seat)
    this.timers = [
      setInterval(() => this.tick(), tickMs),
      setInterval(() => this.tellTotals(), totalsEveryMs),
    ]
  }

  async obey(command: Exclude<PlayerCommand, { kind: 'start' }>): Promise<void> {
    if (command.kind === 'pause') this.paused = true
    else if (command.kind === 'drain') await this.drain()
    else if (command.kind === 'barrier') await this.barrier()
    else if (command.kind === 'rotate') this.trace.rotate(command.trace)
    else if (command.kind === 'resume') this.paused = false
    else await this.end()
    this.tellTotals()
    this.report({ kind: 'done', command: command.kind })
  }

  private tellTotals(): void {
    this.report({ kind: 'totals', totals: { ...this.totals } })
  }

  /* Sessions */

  private async occupy(seat: Seat): Promise<void> {
    while (!this.ended) {
      const opening = this.paused ? null : this.open(seat)
      if (opening !== null) this.note(opening)
      const session = await opening
      if (session === null) await sleep(openAgainMs)
      else await this.read(seat, session)
    }
  }

  /** @returns null if there is no daemon now, or none that takes clients. */
  private async open(seat: Seat): Promise<Session | null> {
    const { name, address } = this.task
    try {
      const session = await connect(address, {
        name: `${name}-${++this.names}`,
        trace: line => this.trace.write(line),
      })
      this.totals.opened++
      seat.groups.clear()
      seat.session = session
      const count = this.random.between(1, 3)
      for (let i = 0; i < count; i++) this.join(seat, session)
      return session
    } catch (error) {
      if (!(error instanceof AnasaziError)) throw error
      return null
    }
  }

  private async read(seat: Seat, session: Session): Promise<void> {
    try {
      for await (const batch of session.batches()) {
        for (const event of batch) {
          if (event.type === 'message') this.onMessage(seat, event)
          else if (event.type === 'view') this.totals.views++
        }
      }
    } catch (error) {
      if (!(error instanceof AnasaziError)) throw error
      this.totals.lost++
    }
    seat.session = null
    seat.groups.clear()
  }

  private onMessage(seat: Seat, event: MessageEvent): void {
    this.totals.received++
    if (this.paused || event.group === null || !this.random.chance(0.01)) return
    const group = seat.groups.get(event.group)
    if (group !== undefined && this.hasRoom) this.do(group.fate(event.position), () => this.totals.fates++)
  }

  /* Load */

  private get hasRoom(): boolean {
    return this.pending.size < mostPending
  }

  private tick(): void {
    const now = performance.now()
    // A process that was stopped does not make up for it.
    const elapsed = Math.min(now - this.lastTickAt, 5 * tickMs)
    this.lastTickAt = now
    if (this.paused || this.ended) return
    this.due += (elapsed * this.task.rate) / 1000
    for (; this.due >= 1; this.due--) {
      const seat = this.random.pick(this.seats)
      const { session } = seat
      if (session === null || session.closed) continue
      try {
        this.act(seat, session)
      } catch (error) {
        // The session or the group ended a moment ago.
        if (!(error instanceof AnasaziError)) throw error
      }
    }
  }

  /** One message, and now and then something else. */
  private act(seat: Seat, session: Session): void {
    const { random } = this
    if (this.hasRoom) {
      const dice = random.next()
      if (dice < 0.004) this.join(seat, session)
      else if (dice < 0.007) this.leave(seat)
      else if (dice < 0.0075) this.do(session.close())
    }
    if (session.closed) return
    const joined = [...seat.groups.values()].filter(group => !group.closed)
    const group = joined.length === 0 ? null : random.pick(joined)
    const options = {
      service: random.pick(['fifo', 'causal', 'agreed', 'agreed', 'safe'] as const),
      selfDiscard: random.chance(0.1),
    }
    const kind = random.next()
    if (kind < 0.08) {
      const groups = random.shuffle([...this.task.groups]).slice(0, random.between(1, 3))
      this.count(session.trySendMany(groups, this.payload(), options))
    } else if (group === null) {
      this.count(session.trySendMany([random.pick(this.task.groups)], this.payload(), options))
    } else if (kind < 0.16 && group.members.length > 0) {
      this.count(session.trySendTo(random.pick(group.members), this.payload(), options))
    } else if (kind < 0.2 && this.hasRoom) {
      this.totals.sent++
      this.do(
        group.send(this.payload(), options).then(receipt => receipt.settled),
        () => this.totals.fates++,
      )
    } else this.count(group.trySend(this.payload(), options))
  }

  private count(sequence: number): void {
    if (sequence > 0) this.totals.sent++
  }

  /** Mostly small, sometimes longer than a segment of a frame. */
  private payload(): Uint8Array {
    const { random } = this
    const length = random.chance(0.002) ? random.between(60_000, 300_000) : random.between(8, 900)
    return new Uint8Array(length).fill(random.int(256))
  }

  private join(seat: Seat, session: Session): void {
    if (seat.groups.size >= groupsAtMost) return
    const name = this.random.pick(this.task.groups)
    this.do(session.join(name), group => {
      if (seat.session === session) seat.groups.set(name, group)
    })
  }

  private leave(seat: Seat): void {
    if (seat.groups.size === 0) return
    const name = this.random.pick([...seat.groups.keys()])
    const group = seat.groups.get(name)
    seat.groups.delete(name)
    if (group !== undefined) this.do(group.leave())
  }

  /** Whatever the library rejects with is an outcome; anything else is a defect, and ends the process. */
  private do<T>(operation: Promise<T>, done: (result: T) => void = () => {}): void {
    this.note(operation.then(done))
  }

  private note(operation: Promise<unknown>): void {
    const noted: Promise<void> = operation
      .catch((error: unknown) => {
        if (!(error instanceof AnasaziError)) throw error
      })
      .then(() => {
        this.pending.delete(noted)
      })
    this.pending.add(noted)
  }

  /* Windows */

  private get living(): Session[] {
    return this.seats.flatMap(({ session }) => (session === null || session.closed ? [] : [session]))
  }

  private async drain(): Promise<void> {
    while (this.pending.size > 0) await Promise.all(this.pending)
    while (this.living.some(({ progress }) => progress.settled < progress.accepted)) await sleep(lookAgainMs)
  }

  /** Whatever was ordered before this message has been read by all once its fate is settled. */
  private async barrier(): Promise<void> {
    for (const session of this.living) {
      try {
        const receipt = await session.sendMany(this.task.groups, 'barrier', { service: 'safe' })
        await receipt.settled
        return
      } catch (error) {
        if (!(error instanceof AnasaziError)) throw error
      }
    }
  }

  private async end(): Promise<void> {
    this.ended = true
    for (const timer of this.timers) clearInterval(timer)
    await Promise.all(this.living.map(session => session.close().catch(() => {})))
    this.trace.close()
  }
}
