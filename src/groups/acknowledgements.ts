/**
 * What the sessions of a daemon have acknowledged, as one number: its `consumed` fact.
 *
 * Every delivery to a session is marked with its place and with where it ends in the stream of bytes to that session; the
 * session acknowledges bytes. The fact X of the current configuration means: each session of this daemon has acknowledged
 * everything delivered to it with ts ≤ X, and, if X > 0, everything of older configurations; except sessions whose
 * disconnect has a place ≤ X, of which the disconnect itself says what they acknowledged.
 *
 * Feed it the events of the group layer in their order, then publish `consumed` if its epoch is the cell's.
 */

import { invariant } from '../lib/assert.ts'
import type { Place } from '../core/types.ts'
import { comparePoints } from './place.ts'
import type { Point } from './types.ts'

class Stream {
  /** Unacknowledged deliveries, oldest first: those of one timestamp share an entry. */
  readonly epochs: number[] = []
  readonly timestamps: number[] = []
  readonly ends: number[] = []
  head = 0
  acknowledgedBytes = 0
  /** Fixed by `closing`. */
  final: Point | null = null

  get outstanding(): boolean {
    return this.head < this.ends.length
  }

  mark(epoch: number, ts: number, end: number): void {
    const last = this.ends.length - 1
    if (this.outstanding && this.epochs[last] === epoch && this.timestamps[last] === ts) {
      this.ends[last] = end
      return
    }
    this.epochs.push(epoch)
    this.timestamps.push(ts)
    this.ends.push(end)
  }

  acknowledge(bytes: number): void {
    this.acknowledgedBytes = bytes
    while (this.outstanding && (this.ends[this.head] as number) <= bytes) this.head++
    if (this.head > 256 && this.head * 2 > this.ends.length) {
      for (const column of [this.epochs, this.timestamps, this.ends]) column.splice(0, this.head)
      this.head = 0
    }
  }
}

/** A session whose disconnect was delivered at ts `until` while others still held the fact below it. */
interface Ghost {
  readonly acknowledged: number
  readonly until: number
}

export class Acknowledgements {
  readonly #streams: Map<number, Stream> = new Map()
  /** Streams that hold the fact back: with something outstanding, or closing. */
  readonly #holding: Set<Stream> = new Set()
  #ghosts: Ghost[] = []
  #epoch = 0
  #horizon = 0
  #consumed = 0

  open(session: number): void {
    this.#streams.set(session, new Stream())
  }

  /** A new regular configuration. */
  configuration(epoch: number): void {
    invariant(epoch > this.#epoch, 'epochs of one process grow', { epoch, before: this.#epoch })
    this.#epoch = epoch
    this.#horizon = 0
    this.#consumed = 0
    // Whoever comes along has delivered those disconnects.
    this.#ghosts = []
  }

  /** Messages with this place were added to the session's stream of bytes, which is `end` bytes long now. */
  mark(session: number, place: Place, end: number): void {
    const stream = this.#streams.get(session)
    if (stream === undefined || stream.final !== null) return
    stream.mark(place.epoch, place.ts, end)
    this.#holding.add(stream)
  }

  /** All deliveries up to here have been marked. */
  horizon(epoch: number, ts: number): void {
    if (epoch === this.#epoch && ts > this.#horizon) this.#horizon = ts
  }

  /** The session has read `bytes` bytes of its stream. False: less than before, or more than `sent`: a broken client. */
  acknowledge(session: number, bytes: number, sent: number): boolean {
    const stream = this.#streams.get(session)
    if (stream === undefined || stream.final !== null) return true
    if (!Number.isSafeInteger(bytes) || bytes < stream.acknowledgedBytes || bytes > sent) return false
    stream.acknowledge(bytes)
    if (!stream.outstanding) this.#holding.delete(stream)
    return true
  }

  /**
   * The session is going: what its disconnect says. From now on nothing delivered to it counts as acknowledged, and the fact
   * stays at this point until the disconnect is delivered.
   */
  closing(session: number): Point {
    const stream = this.#streams.get(session)
    invariant(stream !== undefined, 'a session that closes was open', session)
    stream.final ??= this.#acknowledgedBy(stream)
    this.#holding.add(stream)
    return stream.final
  }

  /** Its disconnect was delivered. */
  closed(session: number, place: Place): void {
    const stream = this.#streams.get(session)
    if (stream === undefined) return
    const acknowledged = stream.final ?? this.#acknowledgedBy(stream)
    this.#streams.delete(session)
    this.#holding.delete(stream)
    if (place.epoch !== this.#epoch) return
    // Others may still hold the fact below the disconnect: there, nobody who hears it knows yet to leave this session out.
    const ts = acknowledged.epoch === this.#epoch ? acknowledged.ts : 0
    if (ts < place.ts) this.#ghosts.push({ acknowledged: ts, until: place.ts })
  }

  /** The fact, and the configuration that it belongs to. Never decreases within one. */
  consumed(): Point {
    let least = this.#horizon
    for (const stream of this.#holding) {
      const point = stream.final ?? this.#acknowledgedBy(stream)
      const ts = point.epoch === this.#epoch ? point.ts : 0
      if (ts < least) least = ts
    }
    // The fact may jump over what a session that is gone did not acknowledge, never stand in it.
    for (let again = true; again; ) {
      again = false
      for (const { acknowledged, until } of this.#ghosts) {
        if (least > acknowledged && least < until) {
          least = acknowledged
          again = true
        }
      }
    }
    if (least > this.#consumed) {
      this.#consumed = least
      this.#ghosts = this.#ghosts.filter(ghost => ghost.until > least)
    }
    return { epoch: this.#epoch, ts: this.#consumed }
  }

  /** What a session has acknowledged, in full timestamps; null if it is not open. */
  acknowledgedBy(session: number): Point | null {
    const stream = this.#streams.get(session)
    return stream === undefined ? null : (stream.final ?? this.#acknowledgedBy(stream))
  }

  /** What this session has acknowledged, in full timestamps. */
  #acknowledgedBy(stream: Stream): Point {
    if (!stream.outstanding) return { epoch: this.#epoch, ts: this.#horizon }
    const point = {
      epoch: stream.epochs[stream.head] as number,
      ts: (stream.timestamps[stream.head] as number) - 1,
    }
    const all = { epoch: this.#epoch, ts: this.#horizon }
    return comparePoints(point, all) < 0 ? point : all
  }
}
