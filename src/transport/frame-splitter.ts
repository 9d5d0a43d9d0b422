/** Takes a byte stream apart into frames without copying payloads. */

import { ENVELOPE_BYTES, MAGIC, type Slices } from '../codec/envelope.ts'
import { CodecError } from '../codec/error.ts'

/** Magic, checksum, length of the frame, length of its head: what must have arrived to know what follows. */
const PREFIX_BYTES = 16

/**
 * Incremental reader of one connection. A frame that lies within one chunk is one subarray of it; of one that does not,
 * the head is gathered in a buffer of its own and the payload stays in slices of the chunks.
 */
export class FrameSplitter {
  readonly #maxFrameBytes: number
  readonly #prefix = new Uint8Array(PREFIX_BYTES)
  #prefixHas = 0
  /** The head that is being gathered; null between frames and while the prefix is incomplete. */
  #head: Uint8Array | null = null
  #headHas = 0
  #slices: Uint8Array[] = []
  #bytes = 0
  #missing = 0

  constructor(maxFrameBytes: number) {
    this.#maxFrameBytes = maxFrameBytes
  }

  /** True in the middle of a frame. */
  get partial(): boolean {
    return this.#prefixHas > 0 || this.#head !== null
  }

  /**
   * Appends the frames that `chunk` completes to `into`. The chunk must not change afterwards.
   *
   * @throws CodecError `magic` or `length`: the stream is lost from here on.
   */
  push(chunk: Uint8Array, into: Slices[]): void {
    let at = 0
    while (at < chunk.length) {
      if (this.#head !== null) at = this.#continue(this.#head, chunk, at, into)
      else if (this.#prefixHas === 0 && chunk.length - at >= PREFIX_BYTES) at = this.#begin(chunk, at, into)
      else at = this.#gatherPrefix(chunk, at, into)
    }
  }

  #begin(chunk: Uint8Array, at: number, into: Slices[]): number {
    const length = this.#check(chunk, at)
    if (chunk.length - at >= length) {
      into.push({ bytes: length, slices: [chunk.subarray(at, at + length)] })
      return at + length
    }
    this.#open(length, u32At(chunk, at + 12))
    return at
  }

  #gatherPrefix(chunk: Uint8Array, at: number, into: Slices[]): number {
    const count = Math.min(PREFIX_BYTES - this.#prefixHas, chunk.length - at)
    this.#prefix.set(chunk.subarray(at, at + count), this.#prefixHas)
    this.#prefixHas += count
    // A wrong first byte is known at once: who sends one byte of garbage is not waited for.
    checkMagic(this.#prefix, this.#prefixHas)
    if (this.#prefixHas < PREFIX_BYTES) return at + count
    const length = this.#check(this.#prefix, 0)
    this.#open(length, u32At(this.#prefix, 12))
    this.#prefixHas = 0
    this.#continue(this.#head as unknown as Uint8Array, this.#prefix, 0, into)
    return at + count
  }

  /** Length of the frame that begins at `at`. */
  #check(bytes: Uint8Array, at: number): number {
    if (u32At(bytes, at) !== MAGIC) throw new CodecError('magic', 'not a frame: wrong magic', 0)
    const length = u32At(bytes, at + 8)
    const head = u32At(bytes, at + 12)
    if (length > this.#maxFrameBytes) {
      throw new CodecError('length', `frame of ${length} bytes, allowed are ${this.#maxFrameBytes}`, 8)
    }
    if (head < ENVELOPE_BYTES || head > length) {
      throw new CodecError('length', `head of ${head} bytes in a frame of ${length}`, 12)
    }
    return length
  }

  #open(length: number, headLength: number): void {
    this.#head = new Uint8Array(headLength)
    this.#headHas = 0
    this.#slices = [this.#head]
    this.#bytes = length
    this.#missing = length - headLength
  }

  #continue(head: Uint8Array, chunk: Uint8Array, from: number, into: Slices[]): number {
    let at = from
    if (this.#headHas < head.length) {
      const count = Math.min(head.length - this.#headHas, chunk.length - at)
      head.set(chunk.subarray(at, at + count), this.#headHas)
      this.#headHas += count
      at += count
      if (this.#headHas < head.length) return at
    }
    const count = Math.min(this.#missing, chunk.length - at)
    if (count > 0) {
      this.#slices.push(chunk.subarray(at, at + count))
      this.#missing -= count
      at += count
    }
    if (this.#missing === 0) {
      into.push({ bytes: this.#bytes, slices: this.#slices })
      this.#head = null
      this.#slices = []
    }
    return at
  }
}

function checkMagic(prefix: Uint8Array, has: number): void {
  for (let i = 0; i < Math.min(4, has); i++) {
    if (prefix[i] !== ((MAGIC >>> (8 * i)) & 0xff))
      throw new CodecError('magic', 'not a frame: wrong magic', i)
  }
}

function u32At(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)) >>>
    0
  )
}
