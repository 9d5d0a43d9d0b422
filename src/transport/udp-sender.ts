/**
 * The sending end of one stream of datagrams: frames are cut into pieces, which are kept until every follower has them.
 * No I/O and no clock of its own.
 *
 * What is on its way is bounded by a window, for sockets buffer little: see `udp-window.ts`. The slowest follower decides,
 * and one that does not follow any more must be let go: see `laggards`.
 */

import {
  DATAGRAM_HEADER_BYTES,
  encodePieceHeader,
  type Feedback,
  type Key,
  setUrgent,
} from '../codec/datagram.ts'
import type { Slices } from '../codec/envelope.ts'
import { Deque } from '../lib/deque.ts'
import { UdpWindow } from './udp-window.ts'

/** Part of the stream: one datagram. */
export interface Piece {
  readonly number: number
  /** Header and payload. */
  readonly slices: readonly Uint8Array[]
  /** Payload. */
  readonly bytes: number
  /** Bytes of the stream up to its end. */
  readonly end: number
  /** Monotonic ms, of the last time. */
  sentAt: number
  /** To whom the last time; null: to all. */
  sentTo: Follower | null
  resent: boolean
}

/** One receiver of the stream, as the sender knows it. */
export class Follower {
  /** Its stream begins with this frame. */
  readonly startFrame: number
  /** False until a piece was cut that begins with this frame. */
  started = false
  /** It has said that it follows. */
  confirmed = false
  /** The first piece it has not acknowledged. */
  expected = 0
  /** Bytes of the stream that it need not be sent any more. */
  offset: number
  /** When it acknowledged something last, or began to lack something. */
  progressAt = 0
  /** When the first piece it lacks is sent again, unasked. */
  resendAt: number = Number.POSITIVE_INFINITY
  timeouts = 0
  /** What its socket holds. */
  readonly bufferBytes: number

  constructor(startFrame: number, offset: number, bufferBytes: number) {
    this.startFrame = startFrame
    this.offset = offset
    this.bufferBytes = bufferBytes
  }
}

export interface SenderOutput {
  /** Sends a piece to one follower; null: to all. */
  send(piece: Piece, to: Follower | null): void
  /** The stream begins for a follower. */
  begin(follower: Follower, piece: number, frame: number): void
}

interface QueuedFrame {
  readonly frame: Slices
  readonly number: number
  /** Bytes of the stream up to its end. */
  readonly end: number
}

/** A follower that makes no progress for so long is let go … */
const PATIENCE_MS = 400
/** … and after this if others have everything, and wait for it alone; but neither within so many round trips. */
const PATIENCE_OF_OTHERS_MS = 100
const PATIENCE_ROUND_TRIPS = 4
/** When we are called later than this, acknowledgements may wait that we have not read yet. */
const LATE_MS = 10
/** No piece is sent again to the same follower sooner: the first answer may still be on its way. */
const LEAST_GUARD_MS = 2

export class UdpSender {
  readonly followers: Set<Follower> = new Set()
  readonly #key: Key
  readonly #payloadBytes: number
  readonly #output: SenderOutput
  readonly #frames: Deque<QueuedFrame> = new Deque()
  readonly #pieces: Deque<Piece> = new Deque()
  #nextFrame = 0
  #nextPiece = 0
  /** Bytes of the stream that were queued, may leave, were cut, and are with every follower. */
  #queued = 0
  #flushed = 0
  #cut = 0
  #done = 0
  /** The frame that is cut, by its place among those kept, and where in it. */
  #cutFrame = 0
  #cutSlice = 0
  #cutAt = 0
  #unstarted = 0
  readonly #window: UdpWindow

  /** @param datagramBytes of a whole datagram, without the headers of UDP and IP. */
  constructor(key: Key, datagramBytes: number, output: SenderOutput) {
    this.#key = key
    this.#payloadBytes = datagramBytes - DATAGRAM_HEADER_BYTES
    this.#output = output
    this.#window = new UdpWindow(this.#payloadBytes)
  }

  /** Some follower lacks something that was sent. */
  get outstanding(): boolean {
    return this.#cut > this.#done
  }

  get windowBytes(): number {
    return this.#window.bytes
  }

  /** Bytes that a follower has not acknowledged, sent or not. */
  pending(follower: Follower): number {
    return this.#queued - follower.offset
  }

  /** Adds a receiver; it gets what is queued from now on. @param bufferBytes what its socket holds. */
  attach(bufferBytes: number): Follower {
    const follower = new Follower(this.#nextFrame, this.#queued, bufferBytes)
    this.followers.add(follower)
    this.#unstarted++
    this.#bound()
    return follower
  }

  /** Removes a receiver. @returns what it may lack, in order, and the number of the first. */
  detach(follower: Follower): { readonly frame: number; readonly frames: readonly Slices[] } {
    const frames: Slices[] = []
    let first = this.#nextFrame
    for (let i = 0; i < this.#frames.length; i++) {
      const { frame, number, end } = this.#frames.at(i) as QueuedFrame
      if (end <= follower.offset || number < follower.startFrame) continue
      if (frames.length === 0) first = number
      frames.push(frame)
    }
    if (this.followers.delete(follower) && !follower.started) this.#unstarted--
    this.#bound()
    this.#release()
    return { frame: first, frames }
  }

  #bound(): void {
    let bufferBytes = Number.POSITIVE_INFINITY
    for (const follower of this.followers) bufferBytes = Math.min(bufferBytes, follower.bufferBytes)
    this.#window.bound(bufferBytes)
  }

  /** Queues a frame; it leaves after `flush`. Only while there are followers. */
  enqueue(frame: Slices): void {
    this.#queued += frame.bytes
    this.#frames.push({ frame, number: this.#nextFrame++, end: this.#queued })
  }

  /** What is queued may leave. */
  flush(): void {
    this.#flushed = this.#queued
  }

  /** Sends as much as the window lets pass. */
  pump(now: number): void {
    while (this.#cut < this.#flushed) {
      const flying = this.#cut - this.#done
      if (flying > 0 && flying + this.#payloadBytes > this.#window.bytes) {
        this.#window.wasFull = true
        return
      }
      const piece = this.#cutPiece(now)
      const after = piece.end - this.#done
      if (after + this.#payloadBytes > this.#window.bytes) setUrgent(piece.slices[0] as Uint8Array)
      for (const follower of this.followers) {
        if (follower.expected !== piece.number || !follower.started) continue
        follower.progressAt = now
        follower.resendAt = now + this.#window.resendMs(0)
      }
      this.#output.send(piece, null)
    }
  }

  #cutPiece(now: number): Piece {
    const number = this.#nextPiece++
    const slices: Uint8Array[] = [encodePieceHeader(this.#key, number)]
    let room = this.#payloadBytes
    const from = this.#cut
    while (room > 0 && this.#cut < this.#flushed) {
      const queued = this.#frames.at(this.#cutFrame) as QueuedFrame
      if (this.#cutSlice === 0 && this.#cutAt === 0 && this.#unstarted > 0) {
        // For who begins here, the piece must begin here, too.
        if (this.#beginsWith(queued.number) && this.#cut > from) break
        this.#begin(queued.number, number)
      }
      const slice = queued.frame.slices[this.#cutSlice] as Uint8Array
      const count = Math.min(room, slice.length - this.#cutAt)
      if (count > 0) slices.push(slice.subarray(this.#cutAt, this.#cutAt + count))
      room -= count
      this.#cut += count
      this.#cutAt += count
      if (this.#cutAt < slice.length) continue
      this.#cutAt = 0
      this.#cutSlice++
      if (this.#cutSlice < queued.frame.slices.length) continue
      this.#cutSlice = 0
      this.#cutFrame++
    }
    const piece: Piece = {
      number,
      slices,
      bytes: this.#cut - from,
      end: this.#cut,
      sentAt: now,
      sentTo: null,
      resent: false,
    }
    this.#pieces.push(piece)
    return piece
  }

  #beginsWith(frame: number): boolean {
    for (const follower of this.followers) if (!follower.started && follower.startFrame === frame) return true
    return false
  }

  #begin(frame: number, piece: number): void {
    for (const follower of this.followers) {
      if (follower.started || follower.startFrame !== frame) continue
      follower.started = true
      follower.expected = piece
      this.#unstarted--
      this.#output.begin(follower, piece, frame)
    }
  }

  /** What a follower has said. `pump` may send more afterwards. */
  hear(follower: Follower, feedback: Feedback, now: number): void {
    const { expected, gaps } = feedback
    if (!follower.started || expected < follower.expected || expected > this.#nextPiece) return
    if (expected > follower.expected) {
      const last = this.#piece(expected - 1) as Piece
      follower.expected = expected
      follower.offset = last.end
      follower.progressAt = now
      follower.timeouts = 0
      if (!last.resent) this.#window.measure(now - last.sentAt)
      follower.resendAt = last.end < this.#cut ? now + this.#window.resendMs(0) : Number.POSITIVE_INFINITY
      this.#window.adapt(this.#release())
    }
    if (!follower.confirmed) this.#sendUnheard(follower, now)
    let budget = this.#window.bytes
    for (const { offset, pieces } of gaps) {
      for (let i = 0; i < pieces && budget > 0; i++) {
        const piece = this.#piece(expected + offset + i)
        if (piece === undefined) return
        if (this.#again(piece, follower, now)) budget -= piece.bytes
      }
    }
  }

  /** What left before it followed it has not taken: no sign that anything was lost. */
  #sendUnheard(follower: Follower, now: number): void {
    follower.confirmed = true
    this.#window.ignoreLosses(this.#nextPiece)
    for (let number = follower.expected; number < this.#nextPiece; number++) {
      const piece = this.#piece(number) as Piece
      piece.sentAt = now
      piece.sentTo = follower
      piece.resent = true
      this.#output.send(piece, follower)
    }
  }

  #piece(number: number): Piece | undefined {
    const first = this.#pieces.at(0)
    return first === undefined || number < first.number ? undefined : this.#pieces.at(number - first.number)
  }

  /** Sends to who asked; to all if another asked for the same just now. @returns false if it was sent just now. */
  #again(piece: Piece, follower: Follower, now: number): boolean {
    const fresh = now - piece.sentAt < Math.max(LEAST_GUARD_MS, this.#window.roundTripMs)
    if (fresh && (piece.sentTo === null || piece.sentTo === follower)) return false
    this.#resend(piece, fresh ? null : follower, now)
    this.#window.lost(piece.number, this.#nextPiece)
    return true
  }

  #resend(piece: Piece, to: Follower | null, now: number): void {
    piece.sentAt = now
    piece.sentTo = to
    piece.resent = true
    this.#output.send(piece, to)
  }

  /** Forgets what all have. @returns bytes of it. */
  #release(): number {
    let done = this.#queued
    for (const { offset } of this.followers) done = Math.min(done, offset)
    for (
      let first = this.#pieces.at(0);
      first !== undefined && first.end <= done;
      first = this.#pieces.at(0)
    ) {
      this.#pieces.shift()
    }
    for (
      let first = this.#frames.at(0);
      first !== undefined && first.end <= done;
      first = this.#frames.at(0)
    ) {
      this.#frames.shift()
      if (this.#cutFrame > 0) this.#cutFrame--
      else this.#skipTo(first.end)
    }
    const before = this.#done
    this.#done = Math.min(done, this.#cut)
    return this.#done - before
  }

  /** Nobody is left for whom the frame would have to be cut that ends there. */
  #skipTo(end: number): void {
    this.#cut = end
    this.#flushed = Math.max(this.#flushed, end)
    this.#cutSlice = 0
    this.#cutAt = 0
  }

  /**
   * Sends again what was not acknowledged in time; to be called every few ms while something is outstanding.
   * @param lateMs how long this call comes after its time.
   */
  tick(now: number, lateMs: number): void {
    for (const follower of this.followers) {
      if (lateMs > LATE_MS) {
        follower.progressAt += lateMs
        follower.resendAt += lateMs
      }
      if (now < follower.resendAt) continue
      const piece = this.#piece(follower.expected)
      follower.timeouts = Math.min(follower.timeouts + 1, 8)
      follower.resendAt = now + this.#window.resendMs(follower.timeouts)
      if (piece === undefined) continue
      setUrgent(piece.slices[0] as Uint8Array)
      // It may only be late. If it was lost, and others with it, the answer will show gaps.
      this.#resend(piece, follower, now)
    }
  }

  /** Followers that hold back the others, or follow no more. */
  laggards(now: number): Follower[] {
    if (!this.outstanding) return []
    const blocked = this.#cut < this.#flushed && this.#someHaveAll()
    const leastMs = blocked ? PATIENCE_OF_OTHERS_MS : PATIENCE_MS
    const patienceMs = Math.max(leastMs, PATIENCE_ROUND_TRIPS * this.#window.roundTripMs)
    return [...this.followers].filter(
      follower => follower.started && follower.offset < this.#cut && now - follower.progressAt >= patienceMs,
    )
  }

  /** Followers that alone are why nothing more is sent; empty if nobody has all that was. */
  slowest(): Follower[] {
    if (!this.#someHaveAll()) return []
    return [...this.followers].filter(({ started, offset }) => started && offset < this.#cut)
  }

  #someHaveAll(): boolean {
    for (const { started, offset } of this.followers) if (started && offset === this.#cut) return true
    return false
  }
}
