import { CodecError } from './error.ts'

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const encoder = new TextEncoder()

/** The UTF-8 bytes of a text. */
export function utf8(text: string): Uint8Array {
  return encoder.encode(text)
}

/**
 * Writes `text` into `target` at `at` and returns the number of bytes, or -1 if it takes more than `maximum`.
 * `target` must have room for `maximum` bytes.
 */
export function writeUtf8(text: string, target: Uint8Array, at: number, maximum: number): number {
  const { length } = text
  if (length > maximum) return -1
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i)
    if (code > 0x7f) {
      const { read, written } = encoder.encodeInto(text, target.subarray(at, at + maximum))
      return read < length ? -1 : written
    }
    target[at + i] = code
  }
  return length
}

interface Entry {
  readonly bytes: Uint8Array
  readonly text: string
}

/**
 * Turns bytes into strings, and the same bytes into the same string without building it again.
 *
 * Direct-mapped and of fixed size: a peer that sends ever new names costs time, never memory.
 */
export class TextCache {
  readonly #slots: (Entry | undefined)[]
  readonly #mask: number

  /** `slots` must be a power of two. */
  constructor(slots = 256) {
    this.#slots = Array.from({ length: slots }, () => undefined)
    this.#mask = slots - 1
  }

  /** Throws {@link CodecError} `text` if the bytes are not UTF-8. The range must lie within `bytes`. */
  read(bytes: Uint8Array, from: number, to: number, what: string): string {
    let hash = 0x811c9dc5
    for (let i = from; i < to; i++) hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193)
    const slot = (hash ^ (hash >>> 15)) & this.#mask
    const entry = this.#slots[slot]
    if (entry !== undefined && sameBytes(entry.bytes, bytes, from, to)) return entry.text
    const copy = copyOf(bytes, from, to)
    let text: string
    try {
      text = strict.decode(copy)
    } catch {
      throw new CodecError('text', `${what} is not UTF-8`, from)
    }
    this.#slots[slot] = { bytes: copy, text }
    return text
  }
}

/** True if `known` equals the range of `bytes`. */
export function sameBytes(known: Uint8Array, bytes: Uint8Array, from: number, to: number): boolean {
  const length = to - from
  if (known.length !== length) return false
  for (let i = 0; i < length; i++) if (known[i] !== bytes[from + i]) return false
  return true
}

/** A copy of a range. (`slice` would be none if `bytes` is a Node Buffer, and would keep the whole chunk alive.) */
export function copyOf(bytes: Uint8Array, from: number, to: number): Uint8Array {
  const copy = new Uint8Array(to - from)
  copy.set(bytes.subarray(from, to))
  return copy
}
