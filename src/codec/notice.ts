/**
 * What two ends tell each other over the connection of the data lane about a stream of datagrams that runs beside it.
 * A notice is a frame of kind `notice` whose whole is head:
 *
 * | notice | fields behind the envelope |
 * |---|---|
 * | 0 offer | u32, u32 key of the stream that I send; u32, u32 key to answer it with; u16 port and text8 IP address where I receive, empty: the one this connection is from; u32 bytes that my socket buffers |
 * | 1 attach | u16 attachment, u64 number of the piece with which the stream begins for you, u64 number of the frame that begins there |
 * | 2 detach | u16 attachment, u64 number of the first frame that follows here, u32 frames that follow because you may not have them |
 */

import type { MemberId } from '../core/types.ts'
import { type Crc32, crc32 as crc32InScript } from '../lib/crc32.ts'
import type { Key } from './datagram.ts'
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
import { splitMember } from './identity.ts'
import { Reader } from './reader.ts'
import { Writer } from './writer.ts'

export interface Offer {
  readonly what: 'offer'
  readonly stream: Key
  readonly answer: Key
  /** '': the address that the connection is from. */
  readonly host: string
  readonly port: number
  readonly receiveBytes: number
}

export interface Attach {
  readonly what: 'attach'
  readonly attachment: number
  /** The first piece. */
  readonly piece: number
  /** The frame that begins with it. */
  readonly frame: number
}

export interface Detach {
  readonly what: 'detach'
  readonly attachment: number
  /** The first frame that follows over the connection. */
  readonly frame: number
  /** So many follow; of these the receiver skips what it has. */
  readonly frames: number
}

export type Notice = Offer | Attach | Detach

/** True for a frame that is a notice, by its envelope alone. */
export function isNotice(frame: Slices): boolean {
  return frame.slices[0]?.[17] === KINDS.notice
}

export class NoticeCodec {
  readonly #writer = new Writer()
  readonly #reader = new Reader()
  readonly #crc32: Crc32
  readonly #cell: number
  readonly #sender: number
  readonly #boot: Uint8Array
  #counter = 0

  constructor(options: { readonly cell: string; readonly self: MemberId; readonly crc32?: Crc32 }) {
    const { cell, self } = options
    this.#crc32 = options.crc32 ?? crc32InScript
    this.#cell = nameHash(cell)
    const { name, incarnation } = splitMember(self)
    this.#sender = nameHash(name)
    this.#boot = incarnation
  }

  /** @throws RangeError if a field does not fit. */
  encode(notice: Notice): Slices {
    const writer = this.#writer
    writer.begin(ENVELOPE_BYTES)
    switch (notice.what) {
      case 'offer':
        writer.u8(0, 'what')
        writer.u32(notice.stream.low, 'stream')
        writer.u32(notice.stream.high, 'stream')
        writer.u32(notice.answer.low, 'answer')
        writer.u32(notice.answer.high, 'answer')
        writer.u16(notice.port, 'port')
        writer.text8(notice.host, 'host')
        writer.u32(notice.receiveBytes, 'bytes of the buffer')
        break
      case 'attach':
        writer.u8(1, 'what')
        writer.u16(notice.attachment, 'attachment')
        writer.u64(notice.piece, 'piece')
        writer.u64(notice.frame, 'frame')
        break
      case 'detach':
        writer.u8(2, 'what')
        writer.u16(notice.attachment, 'attachment')
        writer.u64(notice.frame, 'frame')
        writer.u32(notice.frames, 'frames')
        break
    }
    const bytes = writer.finish()
    writeEnvelope(bytes, {
      kind: KINDS.notice,
      length: bytes.length,
      cell: this.#cell,
      sender: this.#sender,
      boot: this.#boot,
      counter: ++this.#counter,
    })
    const view = new DataView(bytes.buffer, bytes.byteOffset, ENVELOPE_BYTES)
    view.setUint32(4, this.#crc32(bytes.subarray(8)), true)
    return { bytes: bytes.length, slices: [bytes] }
  }

  /** @throws CodecError for whatever is no notice. Bytes behind the known fields belong to later versions. */
  decode(frame: Slices): Notice {
    const bytes = frame.slices[0] as Uint8Array
    const envelope = readEnvelope(bytes, frame.bytes)
    if (envelope.headLength !== frame.bytes) {
      throw new CodecError('length', `notice with a payload: head of ${envelope.headLength} bytes`, 12)
    }
    if (this.#crc32(bytes.subarray(8)) !== envelope.crc) {
      throw new CodecError('crc', 'checksum of the notice does not match', 4)
    }
    checkUnderstood(envelope)
    if (envelope.kind !== KINDS.notice) throw new CodecError('kind', `kind ${envelope.kind} is no notice`, 17)
    const reader = this.#reader
    reader.reset(bytes, ENVELOPE_BYTES)
    try {
      return readNotice(reader)
    } finally {
      reader.release()
    }
  }
}

function readNotice(reader: Reader): Notice {
  const what = reader.choice(['offer', 'attach', 'detach'] as const, 'notice')
  switch (what) {
    case 'offer':
      return {
        what,
        stream: { low: reader.u32('stream'), high: reader.u32('stream') },
        answer: { low: reader.u32('answer'), high: reader.u32('answer') },
        port: reader.u16('port'),
        host: reader.text8(0, 'host'),
        receiveBytes: reader.u32('bytes of the buffer'),
      }
    case 'attach':
      return {
        what,
        attachment: reader.u16('attachment'),
        piece: reader.u64('piece'),
        frame: reader.u64('frame'),
      }
    case 'detach':
      return {
        what,
        attachment: reader.u16('attachment'),
        frame: reader.u64('frame'),
        frames: reader.u32('frames'),
      }
  }
}
