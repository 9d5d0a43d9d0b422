import { CodecError } from './error.ts'
import { TextCache } from './text.ts'

/**
 * Reads little-endian values from one run of bytes and never beyond it. Every failure is a {@link CodecError} that
 * names the value and its offset.
 */
export class Reader {
  readonly texts: TextCache
  #bytes: Uint8Array
  #view: DataView
  #at = 0
  #end = 0

  constructor(texts: TextCache = new TextCache()) {
    this.texts = texts
    this.#bytes = new Uint8Array(0)
    this.#view = new DataView(this.#bytes.buffer)
  }

  /** Reads `bytes` from `at` up to `end` from now on. */
  reset(bytes: Uint8Array, at = 0, end: number = bytes.length): void {
    if (end > bytes.length || at > end) throw new CodecError('truncated', 'frame is shorter than it says', at)
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#at = at
    this.#end = end
  }

  /** Lets go of the bytes, so that a reader that is kept does not keep them. */
  release(): void {
    this.reset(EMPTY)
  }

  get at(): number {
    return this.#at
  }

  get remaining(): number {
    return this.#end - this.#at
  }

  get bytes(): Uint8Array {
    return this.#bytes
  }

  /** Moves over `count` bytes and returns where they began. */
  skip(count: number, what: string): number {
    const at = this.#at
    if (count > this.#end - at) throw new CodecError('truncated', `${what} is cut off`, at)
    this.#at = at + count
    return at
  }

  u8(what: string): number {
    return this.#view.getUint8(this.skip(1, what))
  }

  u16(what: string): number {
    return this.#view.getUint16(this.skip(2, what), true)
  }

  u32(what: string): number {
    return this.#view.getUint32(this.skip(4, what), true)
  }

  /** A u64 that must be a safe integer (< 2^53). */
  u64(what: string): number {
    const at = this.skip(8, what)
    const high = this.#view.getUint32(at + 4, true)
    if (high > 0x1fffff) throw new CodecError('value', `${what} is not below 2^53`, at)
    return high * 0x1_0000_0000 + this.#view.getUint32(at, true)
  }

  /** A u64 whose highest value, all bits set, stands for Infinity; otherwise a safe integer. */
  u64OrInfinity(what: string): number {
    const at = this.#at
    if (this.#end - at >= 8) {
      const view = this.#view
      if (view.getUint32(at, true) === 0xffffffff && view.getUint32(at + 4, true) === 0xffffffff) {
        this.#at = at + 8
        return Infinity
      }
    }
    return this.u64(what)
  }

  flag(what: string): boolean {
    const at = this.#at
    const value = this.u8(what)
    if (value > 1) throw new CodecError('value', `${what} is neither 0 nor 1`, at)
    return value === 1
  }

  /** One of a fixed list of words, sent as its index. */
  choice<T>(of: readonly T[], what: string): T {
    const at = this.#at
    const value = of[this.u8(what)]
    if (value === undefined) throw new CodecError('value', `${what} is not one of the ${of.length} known`, at)
    return value
  }

  /** A u16 count of items that take at least `least` bytes each: never more than the bytes that are left allow. */
  count16(least: number, what: string): number {
    return this.#bounded(this.u16(what), least, 2, what)
  }

  /** The same as u32. */
  count32(least: number, what: string): number {
    return this.#bounded(this.u32(what), least, 4, what)
  }

  #bounded(count: number, least: number, width: number, what: string): number {
    if (count > this.remaining / least) {
      throw new CodecError('length', `${what} is ${count}: more than the frame can hold`, this.#at - width)
    }
    return count
  }

  /** [u8 length][UTF-8], of at least `least` bytes. */
  text8(least: number, what: string): string {
    const at = this.#at
    const length = this.u8(what)
    if (length < least)
      throw new CodecError('length', `${what} is ${length} bytes, shorter than ${least}`, at)
    const from = this.skip(length, what)
    return this.texts.read(this.#bytes, from, from + length, what)
  }

  /** [u16 length][UTF-8], of at most `most` bytes; not cached. */
  text16(most: number, what: string): string {
    const at = this.#at
    const length = this.u16(what)
    if (length > most) throw new CodecError('length', `${what} is ${length} bytes, longer than ${most}`, at)
    const from = this.skip(length, what)
    return this.texts.read(this.#bytes, from, from + length, what)
  }

  /** Throws unless everything was read. */
  finish(what: string): void {
    if (this.#at !== this.#end) {
      throw new CodecError('trailing', `${what} has ${this.#end - this.#at} bytes too many`, this.#at)
    }
  }
}

const EMPTY = new Uint8Array(0)
