/**
 * What travels in datagrams between daemons: pieces of the data lane, probes of the way, and what receivers say to both.
 * Little-endian; `docs/transports.md` explains the whole.
 *
 * | offset | size | field |
 * |---|---|---|
 * | 0 | 4 | magic, the bytes `ANAU` |
 * | 4 | 8 | key: of the stream, or of who may answer to it |
 * | 12 | 1 | kind: 1 piece, 2 probe, 3 feedback |
 * | 13 | 1 | flags: 1 tell at once what you have (piece), attached (feedback); 2 paused (feedback) |
 * | 14 | 6 | number: of the piece, of the probe; feedback: all pieces below it have arrived |
 * | 20 | … | piece: bytes of the stream; probe: zeros; feedback: see below |
 *
 * | offset | size | rest of a feedback |
 * |---|---|---|
 * | 20 | 4 | CRC32 of the whole datagram, with zeros in this place |
 * | 24 | 2 | attachment that it is about |
 * | 26 | 4 | number of the last probe heard; 0: none |
 * | 30 | 2 | number of gaps; for each u32 offset from `number`, u16 pieces |
 */

import type { Crc32 } from '../lib/crc32.ts'
import { CodecError } from './error.ts'

/** `ANAU`, read as a little-endian u32. */
export const DATAGRAM_MAGIC = 0x55414e41
export const DATAGRAM_HEADER_BYTES = 20
const FEEDBACK_BYTES = 32
const GAP_BYTES = 6
export const MAX_GAPS = 64
export const MAX_GAP_PIECES = 0xffff

const PIECE = 1
const PROBE = 2
const FEEDBACK = 3

/** 64 random bits that a stranger cannot guess. */
export interface Key {
  readonly low: number
  readonly high: number
}

export interface Gap {
  /** Pieces from the first that is missing. */
  readonly offset: number
  readonly pieces: number
}

export interface Feedback {
  readonly kind: 'feedback'
  readonly key: Key
  readonly attached: boolean
  /** The receiver takes nothing at the moment. */
  readonly paused: boolean
  /** All pieces below have arrived. */
  readonly expected: number
  readonly attachment: number
  readonly probe: number
  readonly gaps: readonly Gap[]
}

export type Datagram =
  | {
      readonly kind: 'piece'
      readonly key: Key
      readonly number: number
      readonly urgent: boolean
      readonly payload: Uint8Array
    }
  | { readonly kind: 'probe'; readonly key: Key; readonly number: number }
  | Feedback

/** Header of a piece; its payload follows in slices of its own. */
export function encodePieceHeader(key: Key, number: number): Uint8Array {
  const bytes = new Uint8Array(DATAGRAM_HEADER_BYTES)
  writeHeader(bytes, key, PIECE, 0, number)
  return bytes
}

/** Asks in a header for feedback at once. */
export function setUrgent(header: Uint8Array): void {
  header[13] = 1
}

/** @param bytes of the whole datagram: it shall show that so many pass. */
export function encodeProbe(key: Key, number: number, bytes: number): Uint8Array {
  const datagram = new Uint8Array(Math.max(bytes, DATAGRAM_HEADER_BYTES))
  writeHeader(datagram, key, PROBE, 0, number)
  return datagram
}

/** @throws RangeError for more than {@link MAX_GAPS} gaps. */
export function encodeFeedback(feedback: Omit<Feedback, 'kind'>, crc32: Crc32): Uint8Array {
  const { gaps } = feedback
  if (gaps.length > MAX_GAPS) throw new RangeError(`${gaps.length} gaps, at most ${MAX_GAPS} fit`)
  const bytes = new Uint8Array(FEEDBACK_BYTES + gaps.length * GAP_BYTES)
  const flags = (feedback.attached ? 1 : 0) | (feedback.paused ? 2 : 0)
  const view = writeHeader(bytes, feedback.key, FEEDBACK, flags, feedback.expected)
  view.setUint16(24, feedback.attachment, true)
  view.setUint32(26, feedback.probe, true)
  view.setUint16(30, gaps.length, true)
  gaps.forEach(({ offset, pieces }, index) => {
    view.setUint32(FEEDBACK_BYTES + index * GAP_BYTES, offset, true)
    view.setUint16(FEEDBACK_BYTES + index * GAP_BYTES + 4, pieces, true)
  })
  view.setUint32(20, crc32(bytes), true)
  return bytes
}

function writeHeader(bytes: Uint8Array, key: Key, kind: number, flags: number, number: number): DataView {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  view.setUint32(0, DATAGRAM_MAGIC, true)
  view.setUint32(4, key.low, true)
  view.setUint32(8, key.high, true)
  bytes[12] = kind
  bytes[13] = flags
  view.setUint32(14, number >>> 0, true)
  view.setUint16(18, Math.floor(number / 0x1_0000_0000), true)
  return view
}

/** @throws CodecError for whatever is no datagram of ours. The payload of a piece is a part of `bytes`. */
export function decodeDatagram(bytes: Uint8Array, crc32: Crc32): Datagram {
  if (bytes.length < DATAGRAM_HEADER_BYTES) {
    throw new CodecError('truncated', 'datagram is shorter than its header', bytes.length)
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  if (view.getUint32(0, true) !== DATAGRAM_MAGIC) {
    throw new CodecError('magic', 'not a datagram of this protocol: wrong magic', 0)
  }
  const key: Key = { low: view.getUint32(4, true), high: view.getUint32(8, true) }
  const flags = view.getUint8(13)
  const number = view.getUint16(18, true) * 0x1_0000_0000 + view.getUint32(14, true)
  switch (view.getUint8(12)) {
    case PIECE:
      return {
        kind: 'piece',
        key,
        number,
        urgent: (flags & 1) !== 0,
        payload: bytes.subarray(DATAGRAM_HEADER_BYTES),
      }
    case PROBE:
      return { kind: 'probe', key, number }
    case FEEDBACK:
      return decodeFeedback(bytes, view, crc32, { key, flags, expected: number })
    default:
      throw new CodecError('kind', `unknown kind ${bytes[12]} of datagram`, 12)
  }
}

function decodeFeedback(
  bytes: Uint8Array,
  view: DataView,
  crc32: Crc32,
  { key, flags, expected }: { key: Key; flags: number; expected: number },
): Feedback {
  if (bytes.length < FEEDBACK_BYTES) throw new CodecError('truncated', 'feedback is cut off', bytes.length)
  const gaps: Gap[] = []
  const count = view.getUint16(30, true)
  if (count > MAX_GAPS || bytes.length !== FEEDBACK_BYTES + count * GAP_BYTES) {
    throw new CodecError('length', `feedback of ${bytes.length} bytes with ${count} gaps`, 30)
  }
  // Not `slice`: that of a Buffer is no copy.
  const unsummed = new Uint8Array(bytes)
  unsummed.fill(0, 20, 24)
  if (crc32(unsummed) !== view.getUint32(20, true)) {
    throw new CodecError('crc', 'checksum of the feedback does not match', 20)
  }
  for (let at = FEEDBACK_BYTES; at < bytes.length; at += GAP_BYTES) {
    gaps.push({ offset: view.getUint32(at, true), pieces: view.getUint16(at + 4, true) })
  }
  return {
    kind: 'feedback',
    key,
    attached: (flags & 1) !== 0,
    paused: (flags & 2) !== 0,
    expected,
    attachment: view.getUint16(24, true),
    probe: view.getUint32(26, true),
    gaps,
  }
}
