/**
 * When facts are told alone. Policy only: any schedule that tells them in the end is correct.
 *
 * They ride on every data frame and every heartbeat for nothing. Alone they are sent when somebody waits for them:
 * our clock, when a frame lies above our promise; `received`, when it passes a safe message or a quarter of a window;
 * anything else that moved, lazily. Who is blocked asks, and is answered at once.
 *
 * In a large configuration they go through one member, the aggregator, which tells everyone all that came in a turn: a hop
 * more, and 2n frames in place of n². It is whoever is first in the configuration and heard. Who has to ask again and
 * again tells everyone itself for a while: an aggregator that stands still delays, and holds nothing up.
 */

import type { CellLimits, CellTimeouts } from './api.ts'
import type { FactsFrame, RankedFacts } from './frames.ts'
import type { Ordering } from './ordering.ts'
import type { Stream } from './stream.ts'
import type { Facts, MemberId } from './types.ts'

/** Who had to ask so often within a heartbeat does not rely on an aggregator. */
const mostAsks = 4
/** How far a member promises ahead that was silent for a moment. Timestamps. */
const leastHorizon = 1024
/** Promises grow with silence up to here. Timestamps; at a jump a second 2^52 last for a century. */
const longestHorizon = 2 ** 30

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
  /** Ranks that told their facts to us alone. */
  private readonly relays = new Set<number>()
  /** How often we had to ask lately, and since when that is counted. */
  private often = 0
  private oftenSince: number = Number.NEGATIVE_INFINITY
  /** Until then everyone is told directly. */
  private directUntil: number = Number.NEGATIVE_INFINITY

  private readonly limits: CellLimits
  private readonly timeouts: CellTimeouts

  private readonly longestHorizon: number
  /** When we first promised in this configuration: who has said nothing in it is silent since then. */
  private startedAt: number | null = null

  /** @param maxTimestamp at which the configuration is formed again: no promise may come near it by itself. */
  constructor(limits: CellLimits, timeouts: CellTimeouts, maxTimestamp: number) {
    this.limits = limits
    this.timeouts = timeouts
    this.longestHorizon = Math.max(leastHorizon, Math.min(longestHorizon, maxTimestamp / 2 ** 20))
  }

  frameReceived(bytes: number): void {
    this.frames++
    this.unacknowledged += bytes
  }

  asked(by: MemberId): void {
    this.askers.add(by)
  }

  relayFor(rank: number): void {
    this.relays.add(rank)
  }

  get owesRelays(): boolean {
    return this.relays.size > 0
  }

  /** What others told us to tell, as it stands by now. */
  takeRelays(ordering: Ordering): RankedFacts[] {
    const others = [...this.relays].map(rank => ({ rank, facts: (ordering.streams[rank] as Stream).heard }))
    this.relays.clear()
    return others
  }

  /**
   * Who tells the others what we have to tell; null: we do.
   * @param heard whether a member lives in this configuration, as far as we know.
   */
  aggregator(ordering: Ordering, heard: (member: MemberId) => boolean, now: number): MemberId | null {
    const { members } = ordering.configuration
    if (members.length < this.limits.aggregateFrom || this.owesRelays || now < this.directUntil) return null
    const first = members.findIndex((member, rank) => rank === ordering.rank || heard(member))
    return first === ordering.rank ? null : (members[first] as MemberId)
  }

  /** Facts left on some frame to everyone. */
  sent(facts: Facts): void {
    this.told = facts
    this.unacknowledged = 0
    this.movedAt = Number.POSITIVE_INFINITY
  }

  /** Raises our promise as far as it costs nothing; a silent member promises ahead, so that it is not waited for. */
  promise(ordering: Ordering, now: number): void {
    // Ahead of *frames*, not of clocks: two silent members would escalate each other for ever.
    ordering.announced = Math.max(ordering.announced, ordering.highestTs + this.horizon(ordering, now))
  }

  private horizon(ordering: Ordering, now: number): number {
    const { silentAfterMs, suspectAfterMs } = this.timeouts
    if (now - ordering.lastSentAt <= silentAfterMs) return 0
    this.startedAt ??= now
    const silence =
      now - (ordering.lastSentAt === Number.NEGATIVE_INFINITY ? this.startedAt : ordering.lastSentAt)
    // Who speaks now and then stays below the promises of those who are silent for longer, and need not wait for them.
    const ahead = Math.min(
      this.longestHorizon,
      leastHorizon * Math.max(1, Math.floor(silence / silentAfterMs)),
    )
    // Of the *number* of frames: timestamps jump by whole promises, and would make the next one longer without end.
    return Math.max(ahead, Math.ceil(this.rate * suspectAfterMs * 2))
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
    // Each of them: in a stream of safe messages the last one is always ahead of what can have been received by then.
    if (ordering.safe.firstAbove(this.told.received) <= received) return true
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
    // Summed as `nextDeadline` does, or rounding might leave a deadline that is not met.
    return now >= this.movedAt + this.timeouts.acknowledgeMs
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
    if (now - this.oftenSince > this.timeouts.heartbeatMs) {
      this.oftenSince = now
      this.often = 0
    }
    if (++this.often >= mostAsks) this.tellDirectly(now)
    const waitsFor = (stream: Stream): boolean =>
      (head !== undefined &&
        (head.ts > received ? stream.counted.clock < head.ts : stream.received < head.ts)) ||
      (windowFull && stream.credit < oldest)
    return ordering.configuration.members.filter(
      (_, rank) => rank !== ordering.rank && waitsFor(ordering.streams[rank] as Stream),
    )
  }

  /** And again what went through an aggregator that may not have passed it on. */
  private tellDirectly(now: number): void {
    if (now >= this.directUntil) this.told = none
    this.directUntil = now + this.timeouts.suspectAfterMs
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

export function factsFrame(
  ordering: Ordering,
  facts: Facts,
  wants: FactsFrame['wants'],
  others: readonly RankedFacts[] = [],
): FactsFrame {
  const { configuration, rank } = ordering
  return { kind: 'facts', configuration: configuration.id, rank, facts, wants, others }
}
