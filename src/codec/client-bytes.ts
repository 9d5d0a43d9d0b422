/** Bounded reading and growing writing of the client protocol's little-endian fields. Pure; no Node types. */

/** A peer sent something that the protocol does not allow. `message` says what and where. */
export class ClientProtocolError extends Error {
  readonly code = 'protocol'

  constructor(message: string) {
    super(message)
    this.name = 'ClientProtocolError'
  }
}

const utf8Encoder = new TextEncoder()
const utf8Decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * The largest value of a field that is sent as a float but means a count: epochs and timestamps may come as far as this, if a
 * member drives them up.
 */
export const MAX_COUNT: number = 2 ** 53 - 1

/** Reads fields of one frame; every read is checked against the end of the frame before it happens. */
export class FieldReader {
  private readonly bytes: Uint8Array
  private readonly view: DataView
  private readonly end: number
  private readonly where: string
  private at: number

  /** @param where names the frame in error messages. */
  constructor(bytes: Uint8Array, start: number, end: number, where: string) {
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.at = start
    this.end = end
    this.where = where
  }

  get remaining(): number {
    return this.end - this.at
  }

  fail(what: string): never {
    throw new ClientProtocolError(`${this.where}: ${what}`)
  }

  private take(count: number, field: string): number {
    const start = this.at
    if (count > this.end - start) {
      this.fail(`field '${field}' needs ${count} bytes, ${this.end - start} are left`)
    }
    this.at = start + count
    return start
  }

  u8(field: string): number {
    return this.view.getUint8(this.take(1, field))
  }

  u16(field: string): number {
    return this.view.getUint16(this.take(2, field), true)
  }

  u32(field: string): number {
    return this.view.getUint32(this.take(4, field), true)
  }

  /** A non-negative safe integer sent as a 64-bit float. */
  count(field: string): number {
    const value = this.view.getFloat64(this.take(8, field), true)
    if (!Number.isInteger(value) || value < 0 || value > MAX_COUNT) {
      this.fail(`field '${field}' must be an integer below 2^53, got ${value}`)
    }
    return value
  }

  /** u16 length and UTF-8. */
  text(field: string, maxBytes: number): string {
    return this.utf8(this.u16(field), field, maxBytes)
  }

  /** u32 length and UTF-8. */
  longText(field: string, maxBytes: number): string {
    return this.utf8(this.u32(field), field, maxBytes)
  }

  private utf8(length: number, field: string, maxBytes: number): string {
    if (length > maxBytes) this.fail(`field '${field}' has ${length} bytes, at most ${maxBytes} are allowed`)
    const start = this.take(length, field)
    try {
      return utf8Decoder.decode(this.bytes.subarray(start, start + length))
    } catch {
      return this.fail(`field '${field}' is not valid UTF-8`)
    }
  }

  /** u32 number of elements, each of which takes at least `leastBytes`: a lying count is refused before any loop. */
  elements(field: string, leastBytes: number, most: number): number {
    const count = this.u32(field)
    if (count > most) this.fail(`field '${field}' lists ${count} elements, at most ${most} are allowed`)
    if (count * leastBytes > this.remaining) {
      this.fail(`field '${field}' claims ${count} elements, which do not fit in the frame`)
    }
    return count
  }

  texts(field: string, maxBytes: number, most: number): string[] {
    const count = this.elements(field, 2, most)
    const list: string[] = []
    for (let i = 0; i < count; i++) list.push(this.text(field, maxBytes))
    return list
  }

  /** The frame must end here: trailing bytes are an error, or two versions would disagree in silence. */
  done(): void {
    if (this.at !== this.end) this.fail(`${this.end - this.at} bytes too many`)
  }
}

/** Builds one frame. */
export class FieldWriter {
  private bytes: Uint8Array
  private view: DataView
  private length = 0

  constructor(capacity = 128) {
    this.bytes = new Uint8Array(capacity)
    this.view = new DataView(this.bytes.buffer)
  }

  private reserve(count: number): number {
    const start = this.length
    const needed = start + count
    if (needed > this.bytes.length) {
      const grown = new Uint8Array(Math.max(needed, this.bytes.length * 2))
      grown.set(this.bytes.subarray(0, start))
      this.bytes = grown
      this.view = new DataView(grown.buffer)
    }
    this.length = needed
    return start
  }

  u8(value: number): this {
    const at = this.reserve(1)
    this.view.setUint8(at, value)
    return this
  }

  u16(value: number): this {
    const at = this.reserve(2)
    this.view.setUint16(at, value, true)
    return this
  }

  u32(value: number): this {
    const at = this.reserve(4)
    this.view.setUint32(at, value, true)
    return this
  }

  count(value: number): this {
    const at = this.reserve(8)
    this.view.setFloat64(at, value, true)
    return this
  }

  /** @throws RangeError if the text exceeds 65,535 bytes. */
  text(value: string): this {
    const encoded = utf8Encoder.encode(value)
    if (encoded.length > 0xffff) throw new RangeError(`text of ${encoded.length} bytes; at most 65535 fit`)
    this.u16(encoded.length)
    const at = this.reserve(encoded.length)
    this.bytes.set(encoded, at)
    return this
  }

  longText(value: string): this {
    const encoded = utf8Encoder.encode(value)
    this.u32(encoded.length)
    const at = this.reserve(encoded.length)
    this.bytes.set(encoded, at)
    return this
  }

  texts(values: readonly string[]): this {
    this.u32(values.length)
    for (const value of values) this.text(value)
    return this
  }

  raw(bytes: Uint8Array): this {
    const at = this.reserve(bytes.length)
    this.bytes.set(bytes, at)
    return this
  }

  get size(): number {
    return this.length
  }

  setU16(at: number, value: number): void {
    this.view.setUint16(at, value, true)
  }

  setU32(at: number, value: number): void {
    this.view.setUint32(at, value, true)
  }

  /** What was written; the writer must not be used afterwards. */
  finish(): Uint8Array {
    return this.bytes.subarray(0, this.length)
  }
}
