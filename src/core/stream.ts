/** One member's stream of frames in one configuration, as held here, and the facts that member has told. */

import type { ClockPair, DataFrame } from './frames.ts'
import type { Facts, Segment } from './types.ts'

/** Frames this far beyond the contiguous prefix are not kept: a bound on what a stream can make us hold. */
export const maxFramesAhead = 65_536

/** What a fragment counts for beyond its bytes. */
const fragmentCost = 64

/** Frames of a stream that are asked for at a time. */
export const maxFramesMissing = 256

/** Pairs kept that lie beyond the contiguous prefix. */
const maxPairsWaiting = 16

const nothing: ClockPair = { clock: 0, seq: 0 }

/** Frames by their seq, both ends included. */
export interface Run {
  readonly from: number
  to: number
}

export class Stream {
  /** Every frame 1…contiguous is held, or was until it became stable. */
  contiguous = 0
  /** Highest seq known to exist. */
  highest = 0
  /** Highest seq of which the data lane has told, and so after the frames up to there: what of them is missing is late. */
  due = 0
  /** Frames 1…delivered have been handed up whole. */
  delivered = 0
  /** Segments of frame delivered+1 that have been handed up (a safe one may hold back the rest). */
  deliveredSegments = 0
  /** Best pair that counts: its seq ≤ contiguous. */
  counted: ClockPair = nothing
  /** Pair with the highest clock, whether it counts or not. */
  newest: ClockPair = nothing
  /** Pairs heard that do not count yet, clocks and seqs growing; the last is the newest. */
  private waiting: ClockPair[] = []
  received = 0
  credit = 0
  /** Highest `consumed` fact of this member that may be used here: see `useConsumed`. */
  consumed = 0
  private consumedHeard = 0
  private consumedWaiting = 0
  /** A Plan that we merged made this clock ∞. */
  infinite = false
  /** Its configuration is frozen: the newest pair stays until a higher one counts. See `count`. */
  frozen = false
  /** Bytes of the frames held, as windows count them. */
  heldBytes = 0
  /** Frames and segments held: what is empty costs memory too. */
  heldPieces = 0
  /** Fragments handed up so far of a segment whose last one is still to come. */
  assembling: Segment[] = []
  private assemblingBytes = 0
  private oversize = false
  /** Frames `released + 1`… ; `frames[head]` is the first. */
  private frames: (DataFrame | undefined)[] = []
  private head = 0
  private released = 0
  private lastTs = 0

  /** The frame with this seq if we still hold it. */
  frame(seq: number): DataFrame | undefined {
    return seq > this.released ? this.frames[this.head + seq - this.released - 1] : undefined
  }

  /** The next frame to hand up, if it is held without a gap and its seq ≤ `cap`. */
  next(cap: number): DataFrame | undefined {
    const seq = this.delivered + 1
    return seq <= this.contiguous && seq <= cap ? this.frame(seq) : undefined
  }

  /** Takes a frame. False: held already, too far ahead, or against its sender's own promises. */
  accept(frame: DataFrame): boolean {
    const { seq } = frame
    if (seq <= this.contiguous || seq > this.contiguous + maxFramesAhead) return false
    if (this.frame(seq) !== undefined) return false
    this.frames[this.head + seq - this.released - 1] = frame
    this.heldBytes += bytesOf(frame)
    this.heldPieces += piecesOf(frame)
    if (seq > this.highest) this.highest = seq
    this.learn(frame.facts)
    this.advance()
    return seq <= this.contiguous || this.frame(seq) !== undefined
  }

  /** What we heard of this member's facts, to be passed on. */
  get heard(): Facts {
    const { newest, received, credit, consumedHeard } = this
    return { clock: newest.clock, seq: newest.seq, received, credit, consumed: consumedHeard }
  }

  /** Merges facts told by this member: they only grow. @param inOrder they came on the lane of the frames, behind these. */
  learn(facts: Facts, inOrder: boolean = true): void {
    if (facts.seq > this.highest) this.highest = facts.seq
    if (inOrder && facts.seq > this.due) this.due = facts.seq
    this.count(facts.clock, facts.seq)
    if (facts.received > this.received) this.received = facts.received
    if (facts.credit > this.credit) this.credit = facts.credit
    if (facts.consumed > this.consumedHeard) this.consumedHeard = facts.consumed
  }

  /**
   * A `consumed` fact X leaves out sessions whose disconnect has a place ≤ X: who has not delivered that disconnect
   * would take X for their word too. So X counts only once everything with ts ≤ X has been delivered here. The first
   * fact that must wait is kept until it counts, lest newer ones, always a little ahead, replace it for ever.
   */
  useConsumed(delivered: number): void {
    if (this.consumedHeard <= delivered) this.consumed = Math.max(this.consumed, this.consumedHeard)
    if (this.consumedWaiting <= this.consumed) this.consumedWaiting = this.consumedHeard
    if (this.consumedWaiting <= delivered) this.consumed = Math.max(this.consumed, this.consumedWaiting)
  }

  /** Merges a pair; it counts only once the stream is held contiguously up to its seq. */
  count(clock: number, seq: number): void {
    if (seq <= this.contiguous && clock > this.counted.clock) this.counted = { clock, seq }
    if (clock <= this.newest.clock) return
    // What a State has told the next must tell too: a pair that counts with what the others hold must not give way to one
    // about frames that they may not hold.
    if (this.frozen && seq > this.contiguous) return
    this.newest = { clock, seq }
    if (seq <= this.contiguous) return
    // The oldest will count first, the newest say most; those in between are what a bound costs.
    if (this.waiting.length >= maxPairsWaiting) this.waiting.pop()
    this.waiting.push(this.newest)
  }

  /**
   * Keeps a fragment. A segment that grows beyond `most` bytes, which no member that behaves sends, is dropped whole: by
   * everyone, since all see the same fragments.
   */
  assemble(fragment: Segment, most: number): void {
    // What keeping it costs counts too, or empty ones would be free.
    this.assemblingBytes += fragment.bytes + fragmentCost
    if (this.assemblingBytes > 2 * most) this.assembling = []
    else this.assembling.push(fragment)
    this.oversize = this.assemblingBytes > 2 * most
  }

  /** The fragments before the last one; null if the segment grew too large. */
  takeFragments(): readonly Segment[] | null {
    const { assembling, oversize } = this
    if (this.assemblingBytes === 0) return assembling
    this.assembling = []
    this.assemblingBytes = 0
    this.oversize = false
    return oversize ? null : assembling
  }

  /** Lets go of the frames that everyone is known to hold. Returns how many. */
  release(stable: number): number {
    let count = 0
    while (this.released < this.delivered) {
      const frame = this.frames[this.head]
      if (frame === undefined || frame.ts > stable) break
      this.frames[this.head++] = undefined
      this.heldBytes -= bytesOf(frame)
      this.heldPieces -= piecesOf(frame)
      this.released++
      count++
    }
    if (this.head > 1024 && this.head * 2 > this.frames.length) {
      this.frames = this.frames.slice(this.head)
      this.head = 0
    }
    return count
  }

  /**
   * Runs of missing frames up to seq `upTo`, the first ones first, up to `mostRuns` of them and `maxFramesMissing` frames. After
   * the first run only what was overtaken: what is merely known to exist may be on its way.
   */
  gaps(upTo: number, mostRuns: number): Run[] {
    const runs: Run[] = []
    const end = Math.min(upTo, this.highest)
    let run: Run | null = null
    let frames = 0
    for (let seq = this.contiguous + 1; seq <= end && frames < maxFramesMissing; seq++) {
      if (this.frame(seq) !== undefined) {
        run = null
        continue
      }
      if (run === null) {
        if (runs.length > 0 && (runs.length >= mostRuns || seq > this.highestHeld)) break
        run = { from: seq, to: seq }
        runs.push(run)
      }
      run.to = seq
      frames++
    }
    return runs
  }

  /** True if a frame beyond the gap is held: on a FIFO path, proof of a loss. */
  get overtaken(): boolean {
    return this.highestHeld > this.contiguous
  }

  /** Highest seq that has arrived. */
  private get highestHeld(): number {
    return this.released + this.frames.length - this.head
  }

  private advance(): void {
    for (;;) {
      const frame = this.frame(this.contiguous + 1)
      if (frame === undefined) break
      // A timestamp at or below an earlier promise would reorder what may have been delivered: such a frame is never
      // let in, and its sender, whose stream then stands still, is suspected in time.
      if (frame.ts <= this.lastTs || frame.ts <= this.counted.clock) {
        this.frames[this.head + this.contiguous - this.released] = undefined
        this.heldBytes -= bytesOf(frame)
        this.heldPieces -= piecesOf(frame)
        break
      }
      this.contiguous++
      this.lastTs = frame.ts
      this.count(frame.facts.clock, frame.seq)
    }
    for (
      let pair = this.waiting[0];
      pair !== undefined && pair.seq <= this.contiguous;
      pair = this.waiting[0]
    ) {
      if (pair.clock > this.counted.clock) this.counted = pair
      this.waiting.shift()
    }
  }
}

function piecesOf(frame: DataFrame): number {
  return 1 + frame.segments.length
}

export function bytesOf(frame: DataFrame): number {
  let bytes = 0
  for (const segment of frame.segments) bytes += segment.bytes
  return bytes
}
