/**
 * When facts are told alone. Policy only: any schedule that tells them in the end is correct.
 *
 * They ride on every data frame and every heartbeat for nothing. Alone they are sent when somebody waits for them:
 * our clock, when a frame lies above our promise; `received`, when it passes a safe message or a quarter of a window;
 * anything else that moved, lazily. Who is blocked asks, and is answered at once.
 */

import type { CellLimits, CellTimeouts } from './api.ts'
import type { FactsFrame } from './frames.ts'
import type { Ordering } from './ordering.ts'
import type { Stream } from './stream.ts'
import type { Facts, MemberId } from './types.ts'

const none: Facts = { clock: 0, seq: 0, received: 0, credit: 0, consumed: 0 }

export class Announcer {
  private told: Facts = none
  /** Bytes of others' frames since the facts were last told. */
  private unacknowledged = 0
  /** When something first moved that has not been told. */
  private movedAt: number = Number.POSITIVE_INFINITY
  /** Members who asked and wait for an answer. */
  private readonly askers = new Set<MemberId>()
  /** What we are blocked on, since when, and how often we asked. */
  private blockedOn = 0
  private blockedSince = 0
  private asks = 0
  /** Frames per ms, measured over a heartbeat's interval; and those since the last look. */
  private rate = 0
  private rateAt = 0
  private frames = 0

  private readonly limits: CellLimits
  private readonly timeouts: CellTimeouts

  constructor(limits: CellLimits, timeouts: CellTimeouts) {
    this.limits = limits
    this.timeouts = timeouts
  }

  frameReceived(bytes: number): void {
    this.frames++
    this.unacknowledged += bytes
  }

  asked(by: MemberId): void {
    this.askers.add(by)
  }

  /** Facts left on some frame to everyone. */
  sent(facts: Facts): void {
    this.told = facts
    this.unacknowledged = 0
    this.movedAt = Number.POSITIVE_INFINITY
  }

  /** Raises our promise as far as it costs nothing; a silent member promises ahead, so that it is not waited for. */
  promise(ordering: Ordering, now: number): void {
    const silent = now - ordering.lastSentAt > this.timeouts.silentAfterMs
    // Of the *number* of frames: timestamps jump by whole promises, and would make the next one longer without end.
    const horizon = silent ? Math.max(1024, Math.ceil(this.rate * this.timeouts.suspectAfterMs * 2)) : 0
    // Ahead of *frames*, not of clocks: two silent members would escalate each other for ever.
    ordering.announced = Math.max(ordering.announced, ordering.highestTs + horizon)
  }

  /** Called about once a heartbeat: measures how fast frames come. */
  measure(now: number): void {
    if (now > this.rateAt) this.rate = this.frames / (now - this.rateAt)
    this.rateAt = now
    this.frames = 0
  }

  /** True if facts must be told now, to everyone. */
  due(ordering: Ordering, received: number, now: number): boolean {
    if (ordering.configuration.members.length === 1) return false
    if (ordering.highestTs > this.told.clock) return true
    const { highestSafe } = ordering
    if (highestSafe > this.told.received && received >= highestSafe) return true
    const moved =
      ordering.consumed > this.told.consumed ||
      ((this.unacknowledged > 0 || ordering.window.bytes > 0) && received > this.told.received) ||
      (ordering.heldCredit === null && this.told.credit < this.told.received)
    if (!moved) {
      // What moved may have come to rest untold (the window opened): a deadline left behind would never be met.
      this.movedAt = Number.POSITIVE_INFINITY
      return false
    }
    if (this.unacknowledged >= this.limits.windowBytes / 4) return true
    if (this.movedAt === Number.POSITIVE_INFINITY) this.movedAt = now
    return now - this.movedAt >= this.timeouts.acknowledgeMs
  }

  /** Those who asked, to be answered now. */
  takeAskers(): MemberId[] {
    const askers = [...this.askers]
    this.askers.clear()
    return askers
  }

  /**
   * Whom to ask, if we have been blocked for long enough: members whose clock, `received` or `credit` holds up the next
   * delivery or our window.
   */
  toAsk(ordering: Ordering, received: number, windowFull: boolean, now: number): MemberId[] {
    const head = ordering.nextUndelivered()
    const oldest = windowFull ? ordering.window.oldest : Number.POSITIVE_INFINITY
    const on = Math.min(head?.ts ?? Number.POSITIVE_INFINITY, oldest)
    if (on === Number.POSITIVE_INFINITY) {
      this.blockedOn = 0
      return []
    }
    if (on !== this.blockedOn) {
      this.blockedOn = on
      this.blockedSince = now
      this.asks = 0
    }
    if (now < this.nextAskAt()) return []
    this.asks++
    const waitsFor = (stream: Stream): boolean =>
      (head !== undefined &&
        (head.ts > received ? stream.counted.clock < head.ts : stream.received < head.ts)) ||
      (windowFull && stream.credit < oldest)
    return ordering.configuration.members.filter(
      (_, rank) => rank !== ordering.rank && waitsFor(ordering.streams[rank] as Stream),
    )
  }

  nextDeadline(): number {
    const lazy = this.movedAt + this.timeouts.acknowledgeMs
    return this.blockedOn === 0 ? lazy : Math.min(lazy, this.nextAskAt())
  }

  private nextAskAt(): number {
    const { acknowledgeMs, heartbeatMs } = this.timeouts
    const wait = Math.min(acknowledgeMs * (2 ** (this.asks + 1) - 1), heartbeatMs * (this.asks + 1))
    return this.blockedSince + wait
  }
}

export function factsFrame(ordering: Ordering, facts: Facts, ask: boolean): FactsFrame {
  return { kind: 'facts', configuration: ordering.configuration.id, rank: ordering.rank, facts, ask }
}
