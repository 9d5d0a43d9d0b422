/**
 * A frame that is passed on: a head in front of the frame as its origin encoded it.
 *
 * | offset | size | field |
 * |---|---|---|
 * | 0 | 56 | envelope of whoever sends it now; its CRC covers this head only, as the frame within has its own |
 * | 56 | 2 | length of this head, envelope included: there the frame within begins |
 * | 58 | … | member: origin; u16 number of members still to be reached; these members, in order |
 *
 * The head that the envelope tells of ends with that of the frame within, so that both are read in one piece.
 */

import type { MemberId } from '../core/types.ts'
import type { Crc32 } from '../lib/crc32.ts'
import {
  checkUnderstood,
  ENVELOPE_BYTES,
  KINDS,
  nameHash,
  readEnvelope,
  type Slices,
  writeEnvelope,
} from './envelope.ts'
import { CodecError } from './error.ts'
import { LEAST_MEMBER_BYTES, readMember, splitMember, writeMember } from './identity.ts'
import { Reader } from './reader.ts'
import { Writer } from './writer.ts'

/** A frame of `origin`, with the members that do not have it yet. */
export interface Relay {
  readonly origin: MemberId
  /** In the order in which it is to be passed on; without repetition, and without the origin. */
  readonly rest: readonly MemberId[]
  readonly frame: Slices
}

const HEAD_LENGTH_AT = 56
const KIND_AT = 17
const CRC_FROM = 8

/** Kind of a frame, of which the first slice holds at least the envelope; 0 if it does not. */
export function kindOf(frame: Slices): number {
  return frame.slices[0]?.[KIND_AT] ?? 0
}

export interface RelayCodecOptions {
  /** Name of the cell. */
  readonly cell: string
  readonly self: MemberId
  readonly crc32: Crc32
}

/** Encodes and decodes what one member passes on. */
export class RelayCodec {
  readonly #crc32: Crc32
  readonly #cell: number
  readonly #sender: number
  readonly #boot: Uint8Array
  readonly #writer = new Writer()
  readonly #reader = new Reader()

  constructor({ cell, self, crc32 }: RelayCodecOptions) {
    const { name, incarnation } = splitMember(self)
    this.#crc32 = crc32
    this.#cell = nameHash(cell)
    this.#sender = nameHash(name)
    this.#boot = incarnation
  }

  /** The head of the frame within is copied behind ours; its payload slices are passed on as they are. */
  encode({ origin, rest, frame }: Relay): Slices {
    const [first = EMPTY, ...others] = frame.slices
    const inner = Math.min(first.length, Math.max(ENVELOPE_BYTES, headLengthOf(first)))
    const writer = this.#writer
    writer.begin(HEAD_LENGTH_AT + 2)
    writeMember(writer, origin)
    writer.u16(rest.length, 'number of members to be reached')
    for (const member of rest) writeMember(writer, member)
    const own = writer.length
    writer.raw(first.subarray(0, inner))
    const head = writer.finish()
    writeEnvelope(head, {
      kind: KINDS.relay,
      length: frame.bytes + own,
      cell: this.#cell,
      sender: this.#sender,
      boot: this.#boot,
      counter: 0,
    })
    const view = new DataView(head.buffer, head.byteOffset, head.byteLength)
    view.setUint16(HEAD_LENGTH_AT, own, true)
    view.setUint32(4, this.#crc32(head.subarray(CRC_FROM, own)), true)
    const payload = inner < first.length ? [first.subarray(inner)] : []
    return { bytes: frame.bytes + own, slices: [head, ...payload, ...others] }
  }

  /**
   * The frame within is only looked at as far as its kind, which must be data: nothing else may come by a third member.
   *
   * @throws CodecError, and nothing else, for whatever bytes.
   */
  decode(relay: Slices): Relay {
    const head = relay.slices[0] ?? EMPTY
    const envelope = readEnvelope(head, relay.bytes)
    checkUnderstood(envelope)
    if (envelope.kind !== KINDS.relay) throw new CodecError('kind', 'not a relayed frame', KIND_AT)
    const reader = this.#reader
    reader.reset(head, HEAD_LENGTH_AT, envelope.headLength)
    const length = reader.u16('length of the relay head')
    if (length + ENVELOPE_BYTES > envelope.headLength || length < HEAD_LENGTH_AT + 2) {
      throw new CodecError(
        'length',
        `relay head of ${length} bytes in ${envelope.headLength}`,
        HEAD_LENGTH_AT,
      )
    }
    if (this.#crc32(head.subarray(CRC_FROM, length)) !== envelope.crc) {
      throw new CodecError('crc', 'checksum of the relay head does not match', 4)
    }
    if (envelope.cell !== this.#cell) throw new CodecError('cell', 'relayed frame of another cell', 20)
    reader.reset(head, HEAD_LENGTH_AT + 2, length)
    const origin = readMember(reader, 'origin')
    const rest = readRest(reader, origin)
    reader.finish('relay head')
    const frame = {
      bytes: relay.bytes - length,
      slices: [head.subarray(length), ...relay.slices.slice(1)],
    }
    if (kindOf(frame) !== KINDS.data) {
      throw new CodecError('kind', `relayed frame of kind ${kindOf(frame)}`, length + KIND_AT)
    }
    return { origin, rest, frame }
  }
}

/** Each is reached once: nobody can make a frame go in circles, or many times to one. */
function readRest(reader: Reader, origin: MemberId): MemberId[] {
  const count = reader.count16(LEAST_MEMBER_BYTES, 'number of members to be reached')
  const seen = new Set([origin])
  const rest: MemberId[] = []
  for (let i = 0; i < count; i++) {
    const at = reader.at
    const member = readMember(reader, 'member to be reached')
    if (seen.has(member)) throw new CodecError('value', 'a member is to be reached twice', at)
    seen.add(member)
    rest.push(member)
  }
  return rest
}

function headLengthOf(first: Uint8Array): number {
  return first.length < ENVELOPE_BYTES ? 0 : new DataView(first.buffer, first.byteOffset).getUint32(12, true)
}

const EMPTY = new Uint8Array(0)
