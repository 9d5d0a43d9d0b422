/**
 * The sending end of one stream of datagrams: frames are cut into pieces, which are kept until every follower has them.
 * No I/O and no clock of its own.
 *
 * What is on its way is bounded by a window, for sockets buffer little: it grows while all goes well and is halved when a
 * piece was lost. The slowest follower decides, and one that does not follow any more must be let go: see `laggards`.
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
  /** Bytes that it can buffer. */
  readonly windowBytes: number

  constructor(startFrame: number, offset: number, windowBytes: number) {
    this.startFrame = startFrame
    this.offset = offset
    this.windowBytes = windowBytes
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

const MAX_WINDOW_BYTES: number = 2 * 1024 * 1024
/** It does not shrink below: sockets hold at least so much. */
const LEAST_WINDOW_BYTES: number = 24 * 1024
const LEAST_PIECES = 4
/** Pause before a piece is sent again unasked, at least and at most. */
const LEAST_RESEND_MS = 20
const MOST_RESEND_MS = 160
/** A follower that makes no progress for so long is let go … */
const PATIENCE_MS = 200
/** … and after this if others have everything, and wait for it alone. */
const PATIENCE_OF_OTHERS_MS = 40
/** No piece is sent again to the same follower sooner: the first answer may still be on its way. */
const LEAST_GUARD_MS = 2

export class UdpSender {
  readonly followers: Set<Follower> = new Set()
  readonly #key: Key
  readonly #payloadBytes: number
  readonly #leastBytes: number
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
  #windowBytes: number
  #thresholdBytes: number = MAX_WINDOW_BYTES
  #mostBytes: number = MAX_WINDOW_BYTES
  #limited = false
  /** A loss below this piece has been answered for. */
  #recovering = 0
  #roundTripMs = 1

  /** @param datagramBytes of a whole datagram, without the headers of UDP and IP. */
  constructor(key: Key, datagramBytes: number, output: SenderOutput) {
    this.#key = key
    this.#payloadBytes = datagramBytes - DATAGRAM_HEADER_BYTES
    this.#output = output
    this.#leastBytes = Math.max(LEAST_PIECES * datagramBytes, LEAST_WINDOW_BYTES)
    this.#windowBytes = 2 * this.#leastBytes
  }

  /** Some follower lacks something that was sent. */
  get outstanding(): boolean {
    return this.#cut > this.#done
  }

  get windowBytes(): number {
    return this.#windowBytes
  }

  /** Bytes that a follower has not acknowledged, sent or not. */
  pending(follower: Follower): number {
    return this.#queued - follower.offset
  }

  /** Adds a receiver; it gets what is queued from now on. @param bufferBytes what its socket holds. */
  attach(bufferBytes: number): Follower {
    // The kernel counts more for a datagram than its bytes, and others may send, too.
    const windowBytes = Math.max(bufferBytes / 4, this.#leastBytes)
    const follower = new Follower(this.#nextFrame, this.#queued, windowBytes)
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
    this.#mostBytes = MAX_WINDOW_BYTES
    for (const { windowBytes } of this.followers) this.#mostBytes = Math.min(this.#mostBytes, windowBytes)
    this.#windowBytes = Math.min(this.#windowBytes, this.#mostBytes)
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
      if (flying > 0 && flying + this.#payloadBytes > this.#windowBytes) {
        this.#limited = true
        return
      }
      const piece = this.#cutPiece(now)
      const after = piece.end - this.#done
      if (after + this.#payloadBytes > this.#windowBytes) setUrgent(piece.slices[0] as Uint8Array)
      for (const follower of this.followers) {
        if (follower.expected !== piece.number || !follower.started) continue
        follower.progressAt = now
        follower.resendAt = now + this.#resendMs(0)
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
      if (!last.resent) this.#roundTripMs += (now - last.sentAt - this.#roundTripMs) / 8
      follower.resendAt = last.end < this.#cut ? now + this.#resendMs(0) : Number.POSITIVE_INFINITY
      this.#grow(this.#release())
    }
    if (!follower.confirmed) this.#sendUnheard(follower, now)
    let budget = this.#windowBytes
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
    const fresh = now - piece.sentAt < Math.max(LEAST_GUARD_MS, this.#roundTripMs)
    if (fresh && (piece.sentTo === null || piece.sentTo === follower)) return false
    this.#resend(piece, fresh ? null : follower, now)
    return true
  }

  #resend(piece: Piece, to: Follower | null, now: number): void {
    piece.sentAt = now
    piece.sentTo = to
    piece.resent = true
    if (piece.number >= this.#recovering) {
      this.#recovering = this.#nextPiece
      this.#windowBytes = Math.max(this.#windowBytes / 2, this.#leastBytes)
      this.#thresholdBytes = this.#windowBytes
    }
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

  #grow(bytes: number): void {
    if (!this.#limited || bytes === 0) return
    this.#limited = false
    const more =
      this.#windowBytes < this.#thresholdBytes ? bytes : (bytes * this.#payloadBytes) / this.#windowBytes
    this.#windowBytes = Math.min(this.#windowBytes + more, this.#mostBytes)
  }

  #resendMs(timeouts: number): number {
    const once = Math.max(LEAST_RESEND_MS, 3 * this.#roundTripMs)
    return Math.min(once * 2 ** timeouts, MOST_RESEND_MS)
  }

  /** Sends again what was not acknowledged in time; to be called every few ms while something is outstanding. */
  tick(now: number): void {
    for (const follower of this.followers) {
      if (now < follower.resendAt) continue
      const piece = this.#piece(follower.expected)
      follower.timeouts = Math.min(follower.timeouts + 1, 8)
      follower.resendAt = now + this.#resendMs(follower.timeouts)
      if (piece === undefined) continue
      setUrgent(piece.slices[0] as Uint8Array)
      this.#resend(piece, follower, now)
    }
  }

  /** Followers that hold back the others, or follow no more. */
  laggards(now: number): Follower[] {
    if (!this.outstanding) return []
    const blocked = this.#cut < this.#flushed && this.#someHaveAll()
    const patienceMs = blocked ? PATIENCE_OF_OTHERS_MS : PATIENCE_MS
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
