/**
 * The order of one configuration: streams, promise clocks, agreed and safe delivery, flow control.
 *
 * The total order is (ts, rank, index in frame), fixed when a frame is sent (Lamport 1978). What may be delivered follows
 * from facts that only grow, so they may be lost, repeated, merged or relayed: see `Facts`. *How* they travel is policy,
 * in `announce.ts`, and never touches correctness.
 */

import { invariant } from '../lib/assert.ts'
import type { DataFrame } from './frames.ts'
import { SafePlaces } from './safe-places.ts'
import { Stream } from './stream.ts'
import { joinFragments, type Submissions } from './submissions.ts'
import type { Configuration, Facts, MemberId, Place, Segment } from './types.ts'
import { Window } from './window.ts'

/** What bounds one pass of delivery. */
export interface DeliveryCut {
  /** Frames with ts ≤ agreed. */
  readonly agreed: number
  /** Safe messages with ts ≤ safe; the first one above it holds back all that follows. */
  readonly safe: number
  /** By rank: frames of the stream with seq ≤ it; null for no cap. */
  readonly caps: readonly number[] | null
  /** By rank: whether the stream takes part; null for all. */
  readonly takesPart: readonly boolean[] | null
}

export interface Delivery {
  readonly sender: MemberId
  readonly place: Place
  readonly segment: Segment
}

export class Ordering {
  readonly configuration: Configuration
  /** Our own rank. */
  readonly rank: number
  readonly streams: readonly Stream[]
  readonly window: Window = new Window()
  /** Our promise: no frame of ours after this has ts ≤ announced. */
  announced = 0
  /** Highest frame ts seen, our own included. */
  highestTs = 0
  /** When we last sent a data frame. */
  lastSentAt: number = Number.NEGATIVE_INFINITY
  /** Where `credit` was when local clients began to lag; null: they do not, and it is what we received. */
  heldCredit: number | null = null
  consumed = 0
  /** Safe messages held here. */
  readonly safe: SafePlaces = new SafePlaces()

  private readonly maxSegmentBytes: number

  constructor(
    configuration: Configuration,
    self: MemberId,
    maxSegmentBytes: number = Number.POSITIVE_INFINITY,
  ) {
    this.configuration = configuration
    this.maxSegmentBytes = maxSegmentBytes
    this.rank = configuration.members.indexOf(self)
    this.streams = configuration.members.map(() => new Stream())
    invariant(this.rank >= 0, 'we are in our own configuration', configuration.members)
  }

  get own(): Stream {
    return this.streams[this.rank] as Stream
  }

  /** "I hold every frame, of every member, with ts ≤ received": the minimum of the clocks that count. */
  received(): number {
    let least = Math.max(this.announced, this.highestTs) // the next frame of ours lies above both
    for (let rank = 0; rank < this.streams.length; rank++) {
      const clock = (this.streams[rank] as Stream).counted.clock
      if (rank !== this.rank && clock < least) least = clock
    }
    return least
  }

  /** What every member is known to hold: bounds safe delivery, and frees buffers. */
  stable(received: number): number {
    let least = received
    for (let rank = 0; rank < this.streams.length; rank++) {
      const told = (this.streams[rank] as Stream).received
      if (rank !== this.rank && told < least) least = told
    }
    return least
  }

  /** The facts as we would tell them now. */
  facts(received: number): Facts {
    const own = this.own
    own.received = received
    own.credit = Math.max(own.credit, this.ownCredit(received))
    own.consumed = Math.max(own.consumed, this.consumed)
    return {
      clock: this.announced,
      seq: own.contiguous,
      received,
      credit: own.credit,
      consumed: own.consumed,
    }
  }

  /** A frame of some stream of this configuration. True if it is new. */
  accept(frame: DataFrame): boolean {
    const stream = this.streams[frame.rank] as Stream
    if (!stream.accept(frame)) return false
    if (frame.ts > this.highestTs) this.highestTs = frame.ts
    if (frame.segments.some(segment => segment.safe)) this.safe.add(frame.ts)
    return true
  }

  /** Makes the next frame of our own stream; null if nothing is ready. */
  nextFrame(
    submissions: Submissions,
    gateOpen: boolean,
    limits: { readonly maxFrameBytes: number; readonly maxFrameSegments: number },
    now: number,
    originated: (place: Place, segment: Segment) => void,
  ): DataFrame | null {
    const pieces = submissions.take(limits.maxFrameBytes, limits.maxFrameSegments, gateOpen)
    if (pieces.length === 0) return null
    const ts = Math.max(this.announced, this.highestTs) + 1
    this.announced = ts
    this.highestTs = ts
    this.lastSentAt = now
    const seq = this.own.contiguous + 1
    let bytes = 0
    const segments: Segment[] = []
    for (const { piece, whole } of pieces) {
      if (whole !== null) originated(this.place(ts, this.rank, segments.length), whole)
      if (piece.safe) this.safe.add(ts)
      bytes += piece.bytes
      segments.push(piece)
    }
    this.window.add(ts, bytes)
    const facts = { ...this.facts(this.received()), clock: ts, seq }
    const configuration = this.configuration.id
    const frame: DataFrame = { kind: 'data', configuration, rank: this.rank, seq, ts, facts, segments }
    invariant(this.own.accept(frame), 'our own stream is contiguous', seq)
    return frame
  }

  /**
   * Hands up, in the total order, what the cut allows.
   * @returns the ts at which a safe message holds the rest back; Infinity if none does.
   */
  deliver(cut: DeliveryCut, emit: (delivery: Delivery) => void): number {
    for (;;) {
      let best: DataFrame | undefined
      for (let rank = 0; rank < this.streams.length; rank++) {
        if (cut.takesPart !== null && cut.takesPart[rank] !== true) continue
        const next = (this.streams[rank] as Stream).next(cut.caps?.[rank] ?? Number.POSITIVE_INFINITY)
        if (next !== undefined && next.ts <= cut.agreed && (best === undefined || next.ts < best.ts))
          best = next
      }
      if (best === undefined) return Number.POSITIVE_INFINITY
      if (!this.deliverFrame(best, cut.safe, emit)) return best.ts
    }
  }

  /** The least place not yet handed up, among frames held without a gap; undefined if none. */
  nextUndelivered(): DataFrame | undefined {
    let best: DataFrame | undefined
    for (const stream of this.streams) {
      const next = stream.next(Number.POSITIVE_INFINITY)
      if (next !== undefined && (best === undefined || next.ts < best.ts)) best = next
    }
    return best
  }

  /** Lowest `credit` of all members: what the window closes on. */
  creditOfAll(): number {
    let least = Number.POSITIVE_INFINITY
    for (let rank = 0; rank < this.streams.length; rank++) {
      const { credit } = this.streams[rank] as Stream
      if (rank !== this.rank && credit < least) least = credit
    }
    return Math.min(least, this.ownCredit(Number.POSITIVE_INFINITY))
  }

  /** While local clients lag, credit goes on with what they have consumed: the path slows to their pace, and never stops dead. */
  private ownCredit(received: number): number {
    return this.heldCredit === null ? received : Math.min(received, Math.max(this.heldCredit, this.consumed))
  }

  private deliverFrame(frame: DataFrame, safeUpTo: number, emit: (delivery: Delivery) => void): boolean {
    const stream = this.streams[frame.rank] as Stream
    const { segments } = frame
    for (let index = stream.deliveredSegments; index < segments.length; index++) {
      const segment = segments[index] as Segment
      if (segment.more) {
        stream.assemble(segment, this.maxSegmentBytes)
      } else {
        if (segment.safe && frame.ts > safeUpTo) {
          stream.deliveredSegments = index
          return false
        }
        const fragments = stream.takeFragments()
        if (fragments === null) continue
        const sender = this.configuration.members[frame.rank] as MemberId
        const whole = joinFragments(fragments, segment)
        emit({ sender, place: this.place(frame.ts, frame.rank, index), segment: whole })
      }
    }
    stream.delivered++
    stream.deliveredSegments = 0
    return true
  }

  private place(ts: number, rank: number, index: number): Place {
    return { epoch: this.configuration.id.epoch, ts, rank, index }
  }
}
