/**
 * The first word of each side of a peer connection, before any frame. Its layout never changes but by appending, so
 * that two ends of any versions can tell each other why they do not go together.
 *
 * | offset | size | field |
 * |---|---|---|
 * | 0 | 4 | magic, the bytes `ANAH` |
 * | 4 | 4 | CRC32 of everything from offset 8 |
 * | 8 | 4 | length of the whole hello |
 * | 12 | 2, 2 | lowest and highest frame version spoken |
 * | 16 | 4 | feature bits |
 * | 20 | 1 | authentication method: 0 none |
 * | 21 | 1 | lane: 0 control, 1 data |
 * | 22 | 1 | verdict: 0 none (who dials), 1 accepted, 2 refused, 3 duplicate |
 * | 23 | 1 | zero |
 * | 24 | 2 | port on which the sender accepts peers; 0: none |
 * | 26 | … | member id; then as [u8 length][UTF-8]: name of whom the sender expects (may be empty), cluster id, cell, digest; then as [u16 length][UTF-8]: rules, reason of a refusal |
 */

import type { Lane } from '../core/frames.ts'
import type { MemberId } from '../core/types.ts'
import type { Crc32 } from '../lib/crc32.ts'
import { CodecError } from './error.ts'
import { readMember, writeMember } from './identity.ts'
import { Reader } from './reader.ts'
import { Writer } from './writer.ts'

/** `ANAH`, read as a little-endian u32. */
export const HELLO_MAGIC = 0x48414e41
/** Magic, CRC and length: what must have arrived before the length of a hello is known. */
export const HELLO_PREFIX_BYTES = 12
export const MAX_HELLO_BYTES: number = 64 * 1024
export const MAX_RULES_BYTES: number = 32 * 1024
export const MAX_REASON_BYTES = 4096

const LANES: readonly Lane[] = ['control', 'data']
export type Verdict = 'none' | 'accepted' | 'refused' | 'duplicate'
const VERDICTS: readonly Verdict[] = ['none', 'accepted', 'refused', 'duplicate']
export type AuthenticationMethod = 'none'
const METHODS: readonly string[] = ['none']

export interface Hello {
  readonly lowestVersion: number
  readonly highestVersion: number
  readonly features: number
  /** `none`, or `method 7` for one that this build does not know. */
  readonly authentication: AuthenticationMethod | string
  readonly lane: Lane
  readonly verdict: Verdict
  /** Where the sender accepts peers, on the address it is seen from; 0: nowhere. */
  readonly port: number
  readonly member: MemberId
  /** Name of the daemon that the sender means to reach; empty if it does not know. */
  readonly expected: string
  readonly cluster: string
  readonly cell: string
  /** Digest of the configuration that decides about order: cells and group → cell rules. */
  readonly digest: string
  /** That configuration as lines of text, to say what differs; cut off at 32 KiB. */
  readonly rules: string
  /** Why the sender refuses; empty unless the verdict is `refused` or `duplicate`. */
  readonly reason: string
}

/** @throws RangeError if a field does not fit: a fault of the configuration that was not caught before. */
export function encodeHello(hello: Hello, crc32: Crc32): Uint8Array {
  const writer = new Writer()
  writer.begin(HELLO_PREFIX_BYTES)
  writer.u16(hello.lowestVersion, 'lowest version')
  writer.u16(hello.highestVersion, 'highest version')
  writer.u32(hello.features, 'features')
  writer.choice(METHODS, hello.authentication, 'authentication method')
  writer.choice(LANES, hello.lane, 'lane')
  writer.choice(VERDICTS, hello.verdict, 'verdict')
  writer.u8(0, 'reserved')
  writer.u16(hello.port, 'port')
  writeMember(writer, hello.member)
  writer.text8(hello.expected, 'expected name')
  writer.text8(hello.cluster, 'cluster id')
  writer.text8(hello.cell, 'cell')
  writer.text8(hello.digest, 'digest')
  writer.text16(cutOff(hello.rules, MAX_RULES_BYTES), MAX_RULES_BYTES, 'rules')
  writer.text16(cutOff(hello.reason, MAX_REASON_BYTES), MAX_REASON_BYTES, 'reason')
  const bytes = writer.finish()
  const view = new DataView(bytes.buffer, bytes.byteOffset, HELLO_PREFIX_BYTES)
  view.setUint32(0, HELLO_MAGIC, true)
  view.setUint32(8, bytes.length, true)
  view.setUint32(4, crc32(bytes.subarray(8)), true)
  return bytes
}

/** At most `bytes` bytes of UTF-8, by the cautious count of three bytes a code unit. */
function cutOff(text: string, bytes: number): string {
  const units = Math.floor(bytes / 3)
  return text.length > units ? `${text.slice(0, units - 1)}…` : text
}

/**
 * How many bytes the hello has that begins with `prefix`; 0 if more of it must arrive first.
 *
 * @throws CodecError as soon as it is certain that this is none.
 */
export function helloLength(prefix: Uint8Array): number {
  const magic = [0x41, 0x4e, 0x41, 0x48]
  for (let i = 0; i < Math.min(4, prefix.length); i++) {
    if (prefix[i] !== magic[i]) throw new CodecError('magic', 'not a peer of this protocol: wrong magic', i)
  }
  if (prefix.length < HELLO_PREFIX_BYTES) return 0
  const length = new DataView(prefix.buffer, prefix.byteOffset, HELLO_PREFIX_BYTES).getUint32(8, true)
  if (length < HELLO_PREFIX_BYTES || length > MAX_HELLO_BYTES) {
    throw new CodecError('length', `hello of ${length} bytes, at most ${MAX_HELLO_BYTES} are allowed`, 8)
  }
  return length
}

/** @throws CodecError for whatever is not a hello. Bytes after the known fields belong to later versions. */
export function decodeHello(bytes: Uint8Array, crc32: Crc32): Hello {
  const length = helloLength(bytes)
  if (length === 0 || length !== bytes.length)
    throw new CodecError('truncated', 'hello is cut off', bytes.length)
  const crc = new DataView(bytes.buffer, bytes.byteOffset, HELLO_PREFIX_BYTES).getUint32(4, true)
  if (crc32(bytes.subarray(8)) !== crc) throw new CodecError('crc', 'checksum of the hello does not match', 4)
  const reader = new Reader()
  reader.reset(bytes, HELLO_PREFIX_BYTES)
  const lowestVersion = reader.u16('lowest version')
  const highestVersion = reader.u16('highest version')
  const features = reader.u32('features')
  const method = reader.u8('authentication method')
  const lane = reader.choice(LANES, 'lane')
  const verdict = reader.choice(VERDICTS, 'verdict')
  reader.u8('reserved')
  return {
    lowestVersion,
    highestVersion,
    features,
    authentication: METHODS[method] ?? `method ${method}`,
    lane,
    verdict,
    port: reader.u16('port'),
    member: readMember(reader, 'member'),
    expected: reader.text8(0, 'expected name'),
    cluster: reader.text8(0, 'cluster id'),
    cell: reader.text8(0, 'cell'),
    digest: reader.text8(0, 'digest'),
    rules: reader.text16(MAX_RULES_BYTES, 'rules'),
    reason: reader.text16(MAX_REASON_BYTES, 'reason'),
  }
}
