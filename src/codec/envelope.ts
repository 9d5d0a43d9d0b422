/**
 * The first 56 bytes of every peer frame. Little-endian; `docs/wire.md` explains each field.
 *
 * | offset | size | field |
 * |---|---|---|
 * | 0 | 4 | magic, the bytes `ANAZ` |
 * | 4 | 4 | CRC32 of everything from offset 8 to the end of the frame |
 * | 8 | 4 | length of the whole frame, envelope included |
 * | 12 | 4 | length of the head: envelope and all headers; what follows is payload |
 * | 16 | 1 | version |
 * | 17 | 1 | kind |
 * | 18 | 2 | flags: bits 0–7 may be ignored by who does not know them, bits 8–15 may not |
 * | 20 | 4 | cell: CRC32 of its name |
 * | 24 | 4 | key id; 0: not sealed |
 * | 28 | 4 | sender: CRC32 of its name |
 * | 32 | 16 | boot: the sender's incarnation |
 * | 48 | 8 | counter of the sender's frames, from 1 |
 */

import { crc32 as crc32OfName } from '../lib/crc32.ts'
import { CodecError } from './error.ts'
import { utf8 } from './text.ts'

export const ENVELOPE_BYTES = 56
/** `ANAZ`, read as a little-endian u32. */
export const MAGIC = 0x5a414e41
/** The version written by this code, and the only one read. */
export const WIRE_VERSION = 1
export const KEY_NONE = 0
/** Flags from this bit on must be understood. */
const CRITICAL_FLAGS = 0xff00

/** Kinds of frames by their byte on the wire. Numbers are never reused. */
export const KINDS = {
  data: 1,
  facts: 2,
  nak: 3,
  /** A data frame that others pass on: `relay.ts`. */
  relay: 4,
  /** About a stream of datagrams beside the connection: `notice.ts`. */
  notice: 5,
  heartbeat: 16,
  challenge: 17,
  answer: 18,
  form: 32,
  refuse: 33,
  state: 34,
  plan: 35,
  recovered: 36,
  install: 37,
  /** Reserved for daemon-to-daemon administration. */
  admin: 64,
} as const

/** A frame on its way: its bytes in order, in pieces that are never concatenated. The first holds at least the head. */
export interface Slices {
  /** Sum of the lengths. */
  readonly bytes: number
  readonly slices: readonly Uint8Array[]
}

export interface Envelope {
  /** Bytes of the whole frame. */
  readonly length: number
  /** Bytes of the envelope and all headers. */
  readonly headLength: number
  readonly crc: number
  readonly version: number
  readonly kind: number
  readonly flags: number
  readonly cell: number
  readonly keyId: number
  readonly sender: number
  readonly counter: number
}

/** What the cell and sender fields carry: the CRC32 of the name's UTF-8 bytes. */
export function nameHash(name: string): number {
  return crc32OfName(utf8(name))
}

/** Fills the envelope in front of a header. All but the lengths, the kind and the counter is the same for every frame. */
export function writeEnvelope(
  header: Uint8Array,
  fields: { kind: number; length: number; cell: number; sender: number; boot: Uint8Array; counter: number },
): void {
  const view = new DataView(header.buffer, header.byteOffset, ENVELOPE_BYTES)
  view.setUint32(0, MAGIC, true)
  view.setUint32(4, 0, true)
  view.setUint32(8, fields.length, true)
  view.setUint32(12, header.length, true)
  header[16] = WIRE_VERSION
  header[17] = fields.kind
  view.setUint16(18, 0, true)
  view.setUint32(20, fields.cell, true)
  view.setUint32(24, KEY_NONE, true)
  view.setUint32(28, fields.sender, true)
  header.set(fields.boot, 32)
  view.setUint32(48, fields.counter >>> 0, true)
  view.setUint32(52, Math.floor(fields.counter / 0x1_0000_0000), true)
}

/**
 * Reads the envelope of a frame of `available` bytes of which `head` is the first piece. Throws {@link CodecError};
 * nothing but magic, version and lengths is judged.
 */
export function readEnvelope(head: Uint8Array, available: number): Envelope {
  if (head.length < ENVELOPE_BYTES) throw new CodecError('truncated', 'envelope is cut off', head.length)
  const view = new DataView(head.buffer, head.byteOffset, ENVELOPE_BYTES)
  if (view.getUint32(0, true) !== MAGIC) throw new CodecError('magic', 'not a frame: wrong magic', 0)
  const version = head[16] as number
  if (version !== WIRE_VERSION) {
    throw new CodecError('version', `frame has version ${version}, this end speaks ${WIRE_VERSION}`, 16)
  }
  const length = view.getUint32(8, true)
  if (length > available) {
    throw new CodecError('truncated', `frame of ${length} bytes is cut off at ${available}`, 8)
  }
  if (length < available) throw new CodecError('trailing', `frame of ${length} bytes has ${available}`, 8)
  const headLength = view.getUint32(12, true)
  if (headLength < ENVELOPE_BYTES || headLength > length) {
    throw new CodecError('length', `head of ${headLength} bytes in a frame of ${length}`, 12)
  }
  if (headLength > head.length) {
    throw new CodecError(
      'length',
      `head of ${headLength} bytes is in pieces, the first has ${head.length}`,
      12,
    )
  }
  return {
    length,
    headLength,
    crc: view.getUint32(4, true),
    version,
    kind: head[17] as number,
    flags: view.getUint16(18, true),
    cell: view.getUint32(20, true),
    keyId: view.getUint32(24, true),
    sender: view.getUint32(28, true),
    counter: readCounter(view),
  }
}

function readCounter(view: DataView): number {
  const high = view.getUint32(52, true)
  if (high > 0x1fffff) throw new CodecError('value', 'counter is not below 2^53', 48)
  return high * 0x1_0000_0000 + view.getUint32(48, true)
}

/** Throws {@link CodecError} for flags that must be understood, and for sealed frames. */
export function checkUnderstood(envelope: Envelope): void {
  if ((envelope.flags & CRITICAL_FLAGS) !== 0) {
    throw new CodecError('flags', `unknown critical flags 0x${envelope.flags.toString(16)}`, 18)
  }
  if (envelope.keyId !== KEY_NONE) {
    throw new CodecError('sealed', `frame is sealed with key ${envelope.keyId}, no keys are known here`, 24)
  }
}
