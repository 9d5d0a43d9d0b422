/**
 * Peer frames ↔ bytes. A frame is [envelope][headers][payload]: all headers together in one small buffer at the front,
 * then the payload slices as they came, never copied and never concatenated.
 */

import type { Frame } from '../core/frames.ts'
import type { MemberId } from '../core/types.ts'
import type { Crc32 } from '../lib/crc32.ts'
import {
  checkUnderstood,
  ENVELOPE_BYTES,
  type Envelope,
  KINDS,
  nameHash,
  readEnvelope,
  type Slices,
  writeEnvelope,
} from './envelope.ts'
import { CodecError } from './error.ts'
import { ConfigurationIdReader, ConfigurationIdWriter, INCARNATION_BYTES, splitMember } from './identity.ts'
import { readHeartbeat, readNonce, writeHeartbeat, writeNonce } from './liveness.ts'
import {
  readBare,
  readForm,
  readPlan,
  readRefuse,
  readState,
  writeForm,
  writePlan,
  writeRefuse,
  writeState,
} from './membership.ts'
import {
  Payload,
  readData,
  readFactsFrame,
  readNak,
  writeData,
  writeFactsFrame,
  writeNak,
} from './ordering.ts'
import { Reader } from './reader.ts'
import { SegmentReader } from './segments.ts'
import { sameBytes, TextCache } from './text.ts'
import { Writer } from './writer.ts'

/** Bytes of a whole frame that encoder, decoder and transports take unless told otherwise. */
export const DEFAULT_MAX_FRAME_BYTES: number = 32 * 1024 * 1024

export interface FrameEncoderOptions {
  /** Name of the cell. */
  readonly cell: string
  /** Who sends. */
  readonly self: MemberId
  /** `zlib.crc32` in production, `crc32` of `lib/crc32.ts` elsewhere. */
  readonly crc32: Crc32
  /** Bytes of a whole frame; default 32 MiB. */
  readonly maxFrameBytes?: number
}

/** Encodes the frames of one member of one cell; one per cell, whatever the number of peers. */
export class FrameEncoder {
  readonly #crc32: Crc32
  readonly #maxFrameBytes: number
  readonly #writer = new Writer()
  readonly #configurations = new ConfigurationIdWriter(new Writer())
  readonly #envelope: {
    kind: number
    length: number
    cell: number
    sender: number
    boot: Uint8Array
    counter: number
  }

  constructor(options: FrameEncoderOptions) {
    const { name, incarnation } = splitMember(options.self)
    this.#crc32 = options.crc32
    this.#maxFrameBytes = options.maxFrameBytes ?? DEFAULT_MAX_FRAME_BYTES
    this.#envelope = {
      kind: 0,
      length: 0,
      cell: nameHash(options.cell),
      sender: nameHash(name),
      boot: incarnation,
      counter: 0,
    }
  }

  /** Frames encoded so far: the counter of the last one. */
  get counter(): number {
    return this.#envelope.counter
  }

  /**
   * The frame's bytes; the same slices may be sent to any number of peers.
   *
   * @throws RangeError for a frame that cannot be put on the wire (a value out of range, too large): a fault of the caller.
   */
  encode(frame: Frame): Slices {
    const writer = this.#writer
    writer.begin(ENVELOPE_BYTES)
    const slices: Uint8Array[] = [EMPTY]
    const payload = this.#write(frame, slices)
    const header = writer.finish()
    slices[0] = header
    const envelope = this.#envelope
    envelope.kind = KINDS[frame.kind]
    envelope.length = header.length + payload
    if (envelope.length > this.#maxFrameBytes) {
      throw new RangeError(
        `${frame.kind} frame of ${envelope.length} bytes, allowed are ${this.#maxFrameBytes}`,
      )
    }
    envelope.counter++
    writeEnvelope(header, envelope)
    setCrc(header, crcOf(this.#crc32, slices))
    return { bytes: envelope.length, slices }
  }

  /** Returns the payload bytes. */
  #write(frame: Frame, slices: Uint8Array[]): number {
    const writer = this.#writer
    const ids = this.#configurations
    switch (frame.kind) {
      case 'data':
        return writeData(writer, ids, frame, slices)
      case 'facts':
        writeFactsFrame(writer, ids, frame)
        break
      case 'nak':
        writeNak(writer, ids, frame)
        break
      case 'heartbeat':
        writeHeartbeat(writer, ids, frame)
        break
      case 'challenge':
      case 'answer':
        writeNonce(writer, frame)
        break
      case 'form':
        writeForm(writer, ids, frame)
        break
      case 'refuse':
        writeRefuse(writer, ids, frame)
        break
      case 'state':
        writeState(writer, ids, frame)
        break
      case 'plan':
        writePlan(writer, ids, frame)
        break
      case 'recovered':
      case 'install':
        ids.write(writer, frame.configuration)
    }
    return 0
  }
}

export interface FrameDecoderOptions {
  /** Name of the cell. */
  readonly cell: string
  /** Who sends on this link; null takes frames of anyone. */
  readonly from: MemberId | null
  readonly crc32: Crc32
  readonly maxFrameBytes?: number
}

/**
 * Decodes the frames that arrive over one link. It remembers the last configuration id, destination and names, so that
 * a frame which repeats them builds no strings.
 */
export class FrameDecoder {
  readonly #crc32: Crc32
  readonly #maxFrameBytes: number
  readonly #cell: number
  readonly #sender: number | null
  readonly #boot: Uint8Array
  readonly #reader: Reader
  readonly #configurations = new ConfigurationIdReader()
  readonly #segments: SegmentReader
  readonly #payload = new Payload()
  #last: Envelope | null = null

  constructor(options: FrameDecoderOptions) {
    const from = options.from === null ? null : splitMember(options.from)
    this.#crc32 = options.crc32
    this.#maxFrameBytes = options.maxFrameBytes ?? DEFAULT_MAX_FRAME_BYTES
    this.#cell = nameHash(options.cell)
    this.#sender = from === null ? null : nameHash(from.name)
    this.#boot = from === null ? EMPTY : from.incarnation
    this.#reader = new Reader(new TextCache())
    this.#segments = new SegmentReader(this.#configurations)
  }

  /** Envelope of the last frame whose envelope could be read; null before the first. */
  get envelope(): Envelope | null {
    return this.#last
  }

  /**
   * @param frame The whole frame, in one piece or in slices of which the first holds at least the head. Bodies of the
   * decoded segments are subarrays of it: they live as long as its buffers do.
   * @throws CodecError, and nothing else, for whatever bytes.
   */
  decode(frame: Uint8Array | Slices): Frame {
    const slices = frame instanceof Uint8Array ? [frame] : frame.slices
    const bytes = frame instanceof Uint8Array ? frame.length : frame.bytes
    const head = slices[0] ?? EMPTY
    if (lengthOf(slices) !== bytes) throw new CodecError('truncated', 'slices are shorter than they say', 0)
    if (bytes > this.#maxFrameBytes) {
      throw new CodecError('length', `frame of ${bytes} bytes, allowed are ${this.#maxFrameBytes}`, 8)
    }
    const envelope = readEnvelope(head, bytes)
    this.#last = envelope
    if (crcOf(this.#crc32, slices) !== envelope.crc) throw new CodecError('crc', 'checksum does not match', 4)
    checkUnderstood(envelope)
    if (envelope.cell !== this.#cell) throw new CodecError('cell', 'frame of another cell', 20)
    this.#checkSender(envelope, head)
    this.#reader.reset(head, ENVELOPE_BYTES, envelope.headLength)
    this.#payload.reset(slices, envelope.headLength, bytes - envelope.headLength)
    try {
      const decoded = this.#read(envelope.kind)
      this.#reader.finish(`${decoded.kind} frame`)
      if (this.#payload.remaining > 0) {
        throw new CodecError('trailing', `${decoded.kind} frame has a payload`, envelope.headLength)
      }
      return decoded
    } finally {
      this.#reader.release()
      this.#payload.release()
    }
  }

  #checkSender(envelope: Envelope, head: Uint8Array): void {
    if (this.#sender === null) return
    if (envelope.sender !== this.#sender) throw new CodecError('sender', 'frame of another sender', 28)
    if (!sameBytes(this.#boot, head, BOOT_OFFSET, BOOT_OFFSET + INCARNATION_BYTES)) {
      throw new CodecError('sender', 'frame of another incarnation of the sender', BOOT_OFFSET)
    }
  }

  #read(kind: number): Frame {
    const reader = this.#reader
    const ids = this.#configurations
    switch (kind) {
      case KINDS.data:
        return readData(reader, ids, this.#segments, this.#payload)
      case KINDS.facts:
        return readFactsFrame(reader, ids)
      case KINDS.nak:
        return readNak(reader, ids)
      case KINDS.heartbeat:
        return readHeartbeat(reader, ids)
      case KINDS.challenge:
        return readNonce(reader, 'challenge')
      case KINDS.answer:
        return readNonce(reader, 'answer')
      case KINDS.form:
        return readForm(reader, ids)
      case KINDS.refuse:
        return readRefuse(reader, ids)
      case KINDS.state:
        return readState(reader, ids)
      case KINDS.plan:
        return readPlan(reader, ids)
      case KINDS.recovered:
        return readBare(reader, ids, 'recovered')
      case KINDS.install:
        return readBare(reader, ids, 'install')
      default:
        throw new CodecError('kind', `frame of unknown kind ${kind}`, 17)
    }
  }
}

const EMPTY = new Uint8Array(0)
const BOOT_OFFSET = 32
const CRC_OFFSET = 4
const CRC_FROM = 8

function lengthOf(slices: readonly Uint8Array[]): number {
  let length = 0
  for (const slice of slices) length += slice.length
  return length
}

/** The CRC of a frame: of everything behind the CRC field; the magic in front of it is compared, not summed. */
function crcOf(crc32: Crc32, slices: readonly Uint8Array[]): number {
  let crc = crc32((slices[0] as Uint8Array).subarray(CRC_FROM))
  for (let i = 1; i < slices.length; i++) crc = crc32(slices[i] as Uint8Array, crc)
  return crc
}

function setCrc(header: Uint8Array, crc: number): void {
  header[CRC_OFFSET] = crc
  header[CRC_OFFSET + 1] = crc >>> 8
  header[CRC_OFFSET + 2] = crc >>> 16
  header[CRC_OFFSET + 3] = crc >>> 24
}
