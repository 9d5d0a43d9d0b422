/**
 * How much of a stream of datagrams may be on its way. It doubles for a round trip while all arrives, is halved by a loss,
 * and grows slowly after that.
 */

/** It is not below one part of what sockets hold, within bounds, and not above another. */
const LEAST_PART = 16
const LEAST_BYTES: number = 24 * 1024
const LEAST_MOST_BYTES: number = 128 * 1024
const LEAST_PIECES = 4
const MOST_PART = 4
const MOST_BYTES: number = 2 * 1024 * 1024
/** It grows by this part of the least window for a round trip after a loss. */
const GROW_PART = 8
/**
 * Queues on the way make everything late, heartbeats too. When a round trip takes so long, the window does not grow beyond
 * what is enough for a LAN, and when it takes twice as long, it shrinks to that.
 */
const LONG_ROUND_TRIP_MS = 50
const ENOUGH_BYTES: number = 512 * 1024
/** Before it was measured: that of a busy machine, so that nothing is taken for lost too soon. */
const FIRST_ROUND_TRIP_MS = 20
/** Pause before a piece is sent again unasked, at least and at most, and in round trips. */
const LEAST_RESEND_MS = 20
const MOST_RESEND_MS = 160
const RESEND_ROUND_TRIPS = 3

export class UdpWindow {
  /** It has held something back since it grew last. */
  wasFull = false
  readonly #payloadBytes: number
  #bytes: number
  #leastBytes: number
  #mostBytes: number = MOST_BYTES
  #thresholdBytes: number = MOST_BYTES
  #roundTripMs = FIRST_ROUND_TRIP_MS
  #measured = false
  /** A loss below this piece has been answered for. */
  #recovering = 0

  /** @param payloadBytes of a piece. */
  constructor(payloadBytes: number) {
    this.#payloadBytes = payloadBytes
    this.#leastBytes = Math.max(LEAST_PIECES * payloadBytes, LEAST_BYTES)
    this.#bytes = this.#leastBytes
  }

  get bytes(): number {
    return this.#bytes
  }

  get roundTripMs(): number {
    return this.#roundTripMs
  }

  /** @param bufferBytes what the smallest socket of the receivers holds. */
  bound(bufferBytes: number): void {
    const leastBytes = Math.max(LEAST_BYTES, Math.min(bufferBytes / LEAST_PART, LEAST_MOST_BYTES))
    this.#leastBytes = Math.max(LEAST_PIECES * this.#payloadBytes, leastBytes)
    // The kernel counts more for a datagram than its bytes, and others may send, too.
    this.#mostBytes = Math.max(this.#leastBytes, Math.min(bufferBytes / MOST_PART, MOST_BYTES))
    this.#bytes = Math.max(this.#leastBytes, Math.min(this.#bytes, this.#mostBytes))
  }

  measure(roundTripMs: number): void {
    if (this.#measured) this.#roundTripMs += (roundTripMs - this.#roundTripMs) / 8
    else this.#roundTripMs = roundTripMs
    this.#measured = true
  }

  /** So many bytes more are with all. */
  adapt(bytes: number): void {
    if (this.#roundTripMs > 2 * LONG_ROUND_TRIP_MS && this.#bytes > ENOUGH_BYTES) {
      this.#bytes = Math.max(this.#bytes - bytes / 8, ENOUGH_BYTES)
      return
    }
    if (!this.wasFull || bytes === 0) return
    this.wasFull = false
    const slowly = (bytes * this.#leastBytes) / (GROW_PART * this.#bytes)
    const more = this.#bytes < this.#thresholdBytes ? bytes : slowly
    const enough = this.#roundTripMs > LONG_ROUND_TRIP_MS ? ENOUGH_BYTES : MOST_BYTES
    this.#bytes = Math.max(this.#bytes, Math.min(this.#bytes + more, this.#mostBytes, enough))
  }

  /** A piece was lost: that counts once for all that was on its way with it, up to `next`. */
  lost(piece: number, next: number): void {
    if (piece < this.#recovering) return
    this.#recovering = next
    this.#bytes = Math.max(this.#bytes / 2, this.#leastBytes)
    this.#thresholdBytes = this.#bytes
  }

  /** What is missing below `next` was not lost. */
  ignoreLosses(next: number): void {
    this.#recovering = next
  }

  /** @param timeouts how often it was sent again already. */
  resendMs(timeouts: number): number {
    const once = Math.max(LEAST_RESEND_MS, RESEND_ROUND_TRIPS * this.#roundTripMs)
    return Math.max(once, Math.min(once * 2 ** timeouts, MOST_RESEND_MS))
  }
}
