/** The receiving end of one stream of datagrams: puts pieces in order and frames together. No I/O and no clock of its own. */

import { type Gap, MAX_GAP_PIECES, MAX_GAPS } from '../codec/datagram.ts'
import type { Slices } from '../codec/envelope.ts'
import type { Attach, Detach } from '../codec/notice.ts'
import { FrameSplitter } from './frame-splitter.ts'

/** What has come and was not acknowledged, after which an acknowledgement does not wait. */
const ACKNOWLEDGE_BYTES: number = 16 * 1024
const ACKNOWLEDGE_MS = 5
/** Pause before what is missing is asked for again; doubles. */
const ASK_AGAIN_MS = 20
const ASK_AGAIN_MOST_MS = 160
/** What comes before what is missing is kept up to here. */
const MAX_AHEAD_PIECES = 65_536
const MAX_AHEAD_BYTES: number = 8 * 1024 * 1024

export interface Position {
  readonly attached: boolean
  readonly attachment: number
  readonly expected: number
  readonly gaps: readonly Gap[]
}

export class UdpReceiver {
  /** When the sender must be told, monotonic ms. */
  dueAt: number = Number.POSITIVE_INFINITY
  /** Pieces that came twice. */
  duplicates = 0
  readonly #maxFrameBytes: number
  #splitter: FrameSplitter
  #attached = false
  #attachment = 0
  #expected = 0
  /** Behind the last piece that came. */
  #highest = 0
  /** Number of the frame that ends next. */
  #frame = 0
  readonly #ahead = new Map<number, Uint8Array>()
  #aheadBytes = 0
  #unacknowledged = 0
  #askAgainMs = ASK_AGAIN_MS

  constructor(maxFrameBytes: number) {
    this.#maxFrameBytes = maxFrameBytes
    this.#splitter = new FrameSplitter(maxFrameBytes)
  }

  get attached(): boolean {
    return this.#attached
  }

  attach(notice: Attach): void {
    this.#attached = true
    this.#attachment = notice.attachment
    this.#expected = notice.piece
    this.#highest = notice.piece
    this.#frame = notice.frame
    this.#clear()
  }

  /** @returns how many of the frames that follow over the connection are here already. */
  detach(notice: Detach): number {
    if (!this.#attached || notice.attachment !== this.#attachment) return 0
    this.#attached = false
    this.#clear()
    return Math.max(0, Math.min(this.#frame - notice.frame, notice.frames))
  }

  #clear(): void {
    this.#splitter = new FrameSplitter(this.#maxFrameBytes)
    this.#ahead.clear()
    this.#aheadBytes = 0
    this.#unacknowledged = 0
    this.#askAgainMs = ASK_AGAIN_MS
    this.dueAt = Number.POSITIVE_INFINITY
  }

  /**
   * A piece came. Appends the frames that it completes to `into`.
   * @throws CodecError if the stream is no sequence of frames.
   */
  take(number: number, payload: Uint8Array, urgent: boolean, now: number, into: Slices[]): void {
    if (!this.#attached) return
    if (urgent) this.dueAt = now
    if (number < this.#expected || this.#ahead.has(number)) {
      this.duplicates++
      this.#due(now + ACKNOWLEDGE_MS)
      return
    }
    if (number > this.#expected) {
      this.#keep(number, payload, now)
      return
    }
    this.#advance(payload, into)
    for (let next = this.#ahead.get(this.#expected); next !== undefined; ) {
      this.#ahead.delete(this.#expected)
      this.#aheadBytes -= next.length
      this.#advance(next, into)
      next = this.#ahead.get(this.#expected)
    }
    this.#highest = Math.max(this.#highest, this.#expected)
    this.#askAgainMs = ASK_AGAIN_MS
    this.#due(this.#unacknowledged >= ACKNOWLEDGE_BYTES ? now : now + ACKNOWLEDGE_MS)
  }

  #advance(payload: Uint8Array, into: Slices[]): void {
    const before = into.length
    this.#expected++
    this.#unacknowledged += payload.length
    this.#splitter.push(payload, into)
    this.#frame += into.length - before
  }

  #keep(number: number, payload: Uint8Array, now: number): void {
    if (number - this.#expected > MAX_AHEAD_PIECES) return
    if (this.#aheadBytes + payload.length > MAX_AHEAD_BYTES) return
    this.#ahead.set(number, payload)
    this.#aheadBytes += payload.length
    // A gap that was not there before is told at once: on a LAN, pieces rarely overtake each other.
    if (number > this.#highest || this.#highest === this.#expected) this.dueAt = now
    this.#highest = Math.max(this.#highest, number + 1)
  }

  #due(at: number): void {
    this.dueAt = Math.min(this.dueAt, at)
  }

  /** What the sender is told now. It is told again, if something is missing. */
  tell(now: number): Position {
    const gaps = this.#attached ? this.#gaps() : []
    this.#unacknowledged = 0
    this.dueAt = gaps.length > 0 ? now + this.#askAgainMs : Number.POSITIVE_INFINITY
    if (gaps.length > 0) this.#askAgainMs = Math.min(this.#askAgainMs * 2, ASK_AGAIN_MOST_MS)
    return {
      attached: this.#attached,
      attachment: this.#attachment,
      expected: this.#attached ? this.#expected : 0,
      gaps,
    }
  }

  #gaps(): Gap[] {
    const gaps: Gap[] = []
    let from = this.#expected
    for (const number of [...this.#ahead.keys()].sort((a, b) => a - b)) {
      if (number > from) {
        gaps.push({ offset: from - this.#expected, pieces: Math.min(number - from, MAX_GAP_PIECES) })
        if (gaps.length === MAX_GAPS) return gaps
      }
      from = number + 1
    }
    return gaps
  }
}
