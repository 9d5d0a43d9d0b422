import { writeUtf8 } from './text.ts'

const SLAB_BYTES = 64 * 1024
/** A slab with less room than this is not begun in; most headers then need no second one. */
const LEAST_ROOM = 512

/**
 * Writes little-endian values one header after another into slabs, so that a header costs no allocation of its own.
 *
 * What it is given comes from our own process: a value out of range is a fault of ours and throws RangeError.
 */
export class Writer {
  #bytes = new Uint8Array(0)
  #view = new DataView(this.#bytes.buffer)
  #start = 0
  #at = 0

  /** Bytes written since `begin`. */
  get length(): number {
    return this.#at - this.#start
  }

  /** Begins a header, leaving `reserve` bytes free at its front. */
  begin(reserve = 0): void {
    this.#start = this.#at
    if (this.#bytes.length - this.#at < LEAST_ROOM) this.#grow(LEAST_ROOM)
    this.#at = this.#start
    this.#ensure(reserve)
    this.#at += reserve
  }

  /** Ends the header; its bytes are never written to again. */
  finish(): Uint8Array {
    const header = this.#bytes.subarray(this.#start, this.#at)
    this.#start = this.#at
    return header
  }

  #grow(more: number): void {
    const written = this.#bytes.subarray(this.#start, this.#at)
    const needed = written.length + more
    // Doubling what is large already keeps the copying linear.
    this.#bytes = new Uint8Array(needed > SLAB_BYTES / 2 ? needed * 2 : SLAB_BYTES)
    this.#bytes.set(written)
    this.#view = new DataView(this.#bytes.buffer)
    this.#start = 0
    this.#at = written.length
  }

  /** Where to write the next `more` bytes. It may begin a new slab: ask for the place before touching `#bytes` or `#view`. */
  #ensure(more: number): number {
    if (this.#bytes.length - this.#at < more) this.#grow(more)
    return this.#at
  }

  u8(value: number, what: string): void {
    if (!(value >= 0 && value <= 0xff && Number.isInteger(value))) throw outOfRange(what, value, 'a byte')
    const at = this.#ensure(1)
    this.#bytes[at] = value
    this.#at = at + 1
  }

  u16(value: number, what: string): void {
    if (!(value >= 0 && value <= 0xffff && Number.isInteger(value))) throw outOfRange(what, value, 'a u16')
    const at = this.#ensure(2)
    this.#view.setUint16(at, value, true)
    this.#at = at + 2
  }

  u32(value: number, what: string): void {
    if (value >>> 0 !== value) throw outOfRange(what, value, 'a u32')
    const at = this.#ensure(4)
    this.#view.setUint32(at, value, true)
    this.#at = at + 4
  }

  /** A safe integer ≥ 0, as u64. */
  u64(value: number, what: string): void {
    if (!(value >= 0 && Number.isSafeInteger(value))) throw outOfRange(what, value, 'a safe integer ≥ 0')
    const at = this.#ensure(8)
    this.#view.setUint32(at, value >>> 0, true)
    this.#view.setUint32(at + 4, Math.floor(value / 0x1_0000_0000), true)
    this.#at = at + 8
  }

  u64OrInfinity(value: number, what: string): void {
    if (value !== Infinity) return this.u64(value, what)
    const at = this.#ensure(8)
    this.#view.setUint32(at, 0xffffffff, true)
    this.#view.setUint32(at + 4, 0xffffffff, true)
    this.#at = at + 8
  }

  flag(value: boolean): void {
    this.u8(value ? 1 : 0, 'flag')
  }

  choice<T>(of: readonly T[], value: T, what: string): void {
    const index = of.indexOf(value)
    if (index < 0) throw new RangeError(`${what} ${String(value)} is not one of ${of.join(', ')}`)
    this.u8(index, what)
  }

  raw(bytes: Uint8Array): void {
    const at = this.#ensure(bytes.length)
    this.#bytes.set(bytes, at)
    this.#at = at + bytes.length
  }

  /** [u8 length][UTF-8]. */
  text8(text: string, what: string): void {
    const at = this.#ensure(256)
    const length = writeUtf8(text, this.#bytes, at + 1, 255)
    if (length < 0) throw new RangeError(`${what} is longer than 255 bytes: ${text.slice(0, 40)}…`)
    this.#bytes[at] = length
    this.#at = at + 1 + length
  }

  /** [u16 length][UTF-8]. */
  text16(text: string, most: number, what: string): void {
    const at = this.#ensure(2 + most)
    const length = writeUtf8(text, this.#bytes, at + 2, most)
    if (length < 0) throw new RangeError(`${what} is longer than ${most} bytes: ${text.slice(0, 40)}…`)
    this.#view.setUint16(at, length, true)
    this.#at = at + 2 + length
  }
}

function outOfRange(what: string, value: number, range: string): RangeError {
  return new RangeError(`${what} must be ${range}, is ${value}`)
}
