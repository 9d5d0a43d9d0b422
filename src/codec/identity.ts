/** Member ids and configuration ids on the wire. */

import type { ConfigurationId, MemberId } from '../core/types.ts'
import { CodecError } from './error.ts'
import type { Reader } from './reader.ts'
import { copyOf, sameBytes } from './text.ts'
import type { Writer } from './writer.ts'

/** Bytes of an incarnation: 128 bits. */
export const INCARNATION_BYTES = 16
/** Longest name of a daemon in bytes of UTF-8. */
export const MAX_MEMBER_NAME_BYTES = 64
/** [u8 name length][1 byte at least][incarnation]. */
export const LEAST_MEMBER_BYTES = 18

const HEX_CHARS = 2 * INCARNATION_BYTES
const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/** Name and incarnation of a member id. Throws RangeError if it is not `name#<32 lower-case hex>`. */
export function splitMember(member: MemberId): { name: string; incarnation: Uint8Array } {
  const cut = member.length - HEX_CHARS - 1
  if (cut < 1 || member[cut] !== '#') throw notMember(member)
  const incarnation = new Uint8Array(INCARNATION_BYTES)
  for (let i = 0; i < INCARNATION_BYTES; i++) {
    const high = hexDigit(member.charCodeAt(cut + 1 + 2 * i))
    const low = hexDigit(member.charCodeAt(cut + 2 + 2 * i))
    if (high < 0 || low < 0) throw notMember(member)
    incarnation[i] = high * 16 + low
  }
  return { name: member.slice(0, cut), incarnation }
}

function notMember(member: MemberId): RangeError {
  return new RangeError(`not a member id (name#<32 lower-case hex>): ${member.slice(0, 120)}`)
}

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  if (code >= 0x61 && code <= 0x66) return code - 0x61 + 10
  return -1
}

/** Writes [u8 name length][name][16 bytes]. Throws RangeError if `member` is not a member id. */
export function writeMember(writer: Writer, member: MemberId): void {
  const { name, incarnation } = splitMember(member)
  const before = writer.length
  writer.text8(name, 'member name')
  const bytes = writer.length - before - 1
  if (bytes > MAX_MEMBER_NAME_BYTES) throw new RangeError(`member name of ${bytes} bytes: ${name}`)
  writer.raw(incarnation)
}

/** Throws {@link CodecError} for names that are empty, too long, not UTF-8, or contain `#`, `@` or control characters. */
export function readMember(reader: Reader, what: string): MemberId {
  const at = reader.at
  const length = reader.u8(what)
  if (length < 1 || length > MAX_MEMBER_NAME_BYTES) {
    throw new CodecError('length', `${what} has a name of ${length} bytes`, at)
  }
  const from = reader.skip(length + INCARNATION_BYTES, what)
  const { bytes } = reader
  // `#` and `@` end names in ids made of several; one in a name would let two ids read the same.
  for (let i = from; i < from + length; i++) {
    const byte = bytes[i] as number
    if (byte <= 0x20 || byte === 0x23 || byte === 0x40 || byte === 0x7f) {
      throw new CodecError('text', `${what} has a name with the character ${byte}`, i)
    }
  }
  const name = reader.texts.read(bytes, from, from + length, what)
  return `${name}#${hexOf(bytes, from + length)}`
}

/** 16 bytes from `at` in hex. */
export function hexOf(bytes: Uint8Array, at: number): string {
  let hex = ''
  for (let i = at; i < at + INCARNATION_BYTES; i++) hex += HEX[bytes[i] as number] as string
  return hex
}

/** [u16 count] and the members, which are a set: strictly ascending as strings. */
export function writeMembers(writer: Writer, members: readonly MemberId[], what: string): void {
  writer.u16(members.length, `number of ${what}`)
  let last = ''
  for (const member of members) {
    if (member <= last) throw new RangeError(`${what} must be sorted, without repetition`)
    last = member
    writeMember(writer, member)
  }
}

export function readMembers(reader: Reader, least: number, what: string): MemberId[] {
  const start = reader.at
  const count = reader.count16(LEAST_MEMBER_BYTES, `number of ${what}`)
  if (count < least) throw new CodecError('length', `${what}: ${count}, at least ${least} expected`, start)
  const members: MemberId[] = []
  let last = ''
  for (let i = 0; i < count; i++) {
    const at = reader.at
    const member = readMember(reader, what)
    if (member <= last) throw new CodecError('value', `${what} are not sorted, or repeat one`, at)
    members.push(member)
    last = member
  }
  return members
}

/** Writes configuration ids; the last one is kept in bytes, as nearly every frame carries the same. */
export class ConfigurationIdWriter {
  #key = ''
  #bytes: Uint8Array = new Uint8Array(0)
  readonly #scratch: Writer

  constructor(scratch: Writer) {
    this.#scratch = scratch
  }

  /** [u64 epoch][u32 nonce][member: coordinator]. */
  write(writer: Writer, id: ConfigurationId): void {
    if (id.key !== this.#key || this.#key === '') {
      const scratch = this.#scratch
      scratch.begin()
      scratch.u64(id.epoch, 'epoch')
      scratch.u32(id.nonce, 'nonce')
      writeMember(scratch, id.coordinator)
      this.#bytes = scratch.finish()
      this.#key = id.key
    }
    writer.raw(this.#bytes)
  }
}

/** Reads configuration ids; an id whose bytes equal the last one's is the same object again. */
export class ConfigurationIdReader {
  #bytes: Uint8Array = new Uint8Array(0)
  #id: ConfigurationId | null = null

  read(reader: Reader, what: string): ConfigurationId {
    const from = reader.at
    const known = this.#bytes
    const to = from + known.length
    if (this.#id !== null && known.length <= reader.remaining && sameBytes(known, reader.bytes, from, to)) {
      reader.skip(known.length, what)
      return this.#id
    }
    const epoch = reader.u64(`${what}: epoch`)
    const nonce = reader.u32(`${what}: nonce`)
    const coordinator = readMember(reader, `${what}: coordinator`)
    const id: ConfigurationId = { epoch, coordinator, nonce, key: `${epoch}.${coordinator}.${nonce}` }
    this.#bytes = copyOf(reader.bytes, from, reader.at)
    this.#id = id
    return id
  }
}
