/** Frames of the ordered streams: data, facts, naks. */

import type { DataFrame, FactsFrame, NakFrame, RankedFacts } from '../core/frames.ts'
import type { Facts, Segment } from '../core/types.ts'
import { CodecError } from './error.ts'
import type { ConfigurationIdReader, ConfigurationIdWriter } from './identity.ts'
import type { Reader } from './reader.ts'
import { LEAST_SEGMENT_BYTES, type SegmentReader, writeSegment } from './segments.ts'
import type { Writer } from './writer.ts'

const WANTS: readonly FactsFrame['wants'][] = ['nothing', 'answer', 'relay']
/** A rank and five counts. */
const RANKED_FACTS_BYTES = 2 + 5 * 8

const NO_SLICES: readonly Uint8Array[] = Object.freeze([])

/** Writes the headers of a data frame and appends its payload slices to `slices`. Returns the payload bytes. */
export function writeData(
  writer: Writer,
  configurations: ConfigurationIdWriter,
  frame: DataFrame,
  slices: Uint8Array[],
): number {
  configurations.write(writer, frame.configuration)
  writer.u16(frame.rank, 'rank')
  writer.u64(frame.seq, 'seq')
  writer.u64(frame.ts, 'ts')
  writeFacts(writer, frame.facts)
  writer.u32(frame.segments.length, 'number of segments')
  let total = 0
  for (const segment of frame.segments) {
    let payload = 0
    for (const slice of segment.body) {
      if (slice.length === 0) continue
      payload += slice.length
      slices.push(slice)
    }
    writeSegment(writer, configurations, segment, payload)
    total += payload
  }
  return total
}

/** Segments in one frame: what `limits.maxFrameSegments` may be at most. */
const mostSegments = 65_535

/** Reads a data frame whose payload is `payload`; bodies of its segments are subarrays of it. */
export function readData(
  reader: Reader,
  configurations: ConfigurationIdReader,
  heads: SegmentReader,
  payload: Payload,
): DataFrame {
  const configuration = configurations.read(reader, 'configuration')
  const rank = reader.u16('rank')
  const seq = reader.u64('seq')
  const ts = reader.u64('ts')
  const facts = readFacts(reader)
  const from = reader.at
  const count = reader.count32(LEAST_SEGMENT_BYTES, 'number of segments')
  // Each costs a few objects, however few bytes it has.
  if (count > mostSegments)
    throw new CodecError('length', `${count} segments, allowed are ${mostSegments}`, from)
  const segments: Segment[] = []
  for (let i = 0; i < count; i++) {
    const at = reader.at
    const { safe, more, head, bytes, payload: length } = heads.read(reader)
    if (length > payload.remaining) {
      throw new CodecError('length', `segment ${i} has ${length} bytes, ${payload.remaining} are left`, at)
    }
    // Windows count `bytes`: a payload larger than that would pass them by.
    if (length > bytes) {
      throw new CodecError('value', `segment ${i} counts ${bytes} bytes and has ${length}`, at)
    }
    segments.push({ safe, more, head, bytes, body: payload.take(length) })
  }
  if (payload.remaining > 0) {
    throw new CodecError('trailing', `${payload.remaining} payload bytes belong to no segment`, reader.at)
  }
  return { kind: 'data', configuration, rank, seq, ts, facts, segments }
}

export function writeFactsFrame(
  writer: Writer,
  configurations: ConfigurationIdWriter,
  frame: FactsFrame,
): void {
  configurations.write(writer, frame.configuration)
  writer.u16(frame.rank, 'rank')
  writeFacts(writer, frame.facts)
  writer.choice(WANTS, frame.wants, 'wants')
  writer.u16(frame.others.length, 'number of others')
  for (const { rank, facts } of frame.others) {
    writer.u16(rank, 'rank')
    writeFacts(writer, facts)
  }
}

export function readFactsFrame(reader: Reader, configurations: ConfigurationIdReader): FactsFrame {
  const configuration = configurations.read(reader, 'configuration')
  const rank = reader.u16('rank')
  const facts = readFacts(reader)
  const wants = reader.choice(WANTS, 'wants')
  const others: RankedFacts[] = []
  const count = reader.count16(RANKED_FACTS_BYTES, 'others')
  for (let i = 0; i < count; i++) others.push({ rank: reader.u16('rank'), facts: readFacts(reader) })
  return { kind: 'facts', configuration, rank, facts, wants, others }
}

export function writeNak(writer: Writer, configurations: ConfigurationIdWriter, frame: NakFrame): void {
  configurations.write(writer, frame.configuration)
  writer.u16(frame.rank, 'rank')
  writer.u64(frame.from, 'from')
  writer.u64(frame.to, 'to')
}

export function readNak(reader: Reader, configurations: ConfigurationIdReader): NakFrame {
  const configuration = configurations.read(reader, 'configuration')
  const rank = reader.u16('rank')
  const from = reader.u64('from')
  const at = reader.at
  const to = reader.u64('to')
  if (to < from) throw new CodecError('value', `nak from ${from} to ${to}`, at)
  return { kind: 'nak', configuration, rank, from, to }
}

export function writeFacts(writer: Writer, facts: Facts): void {
  writer.u64(facts.clock, 'clock')
  writer.u64(facts.seq, 'seq')
  writer.u64(facts.received, 'received')
  writer.u64(facts.credit, 'credit')
  writer.u64(facts.consumed, 'consumed')
}

export function readFacts(reader: Reader): Facts {
  return {
    clock: reader.u64('clock'),
    seq: reader.u64('seq'),
    received: reader.u64('received'),
    credit: reader.u64('credit'),
    consumed: reader.u64('consumed'),
  }
}

/** The payload of one frame, cut up from front to back without copying. */
export class Payload {
  #slices: readonly Uint8Array[] = NO_SLICES
  #index = 0
  #at = 0
  #remaining = 0

  /** The payload is `slices` without the first `skip` bytes of the first one; `bytes` in all. */
  reset(slices: readonly Uint8Array[], skip: number, bytes: number): void {
    this.#slices = slices
    this.#index = 0
    this.#at = skip
    this.#remaining = bytes
  }

  release(): void {
    this.reset(NO_SLICES, 0, 0)
  }

  get remaining(): number {
    return this.#remaining
  }

  /** The next `length` bytes, of which there must be as many. */
  take(length: number): readonly Uint8Array[] {
    if (length === 0) return NO_SLICES
    const taken: Uint8Array[] = []
    let missing = length
    while (missing > 0) {
      const slice = this.#slices[this.#index] as Uint8Array
      const from = this.#at
      const count = Math.min(missing, slice.length - from)
      if (count > 0) taken.push(count === slice.length ? slice : slice.subarray(from, from + count))
      missing -= count
      this.#at = from + count
      if (this.#at === slice.length) {
        this.#index++
        this.#at = 0
      }
    }
    this.#remaining -= length
    return taken
  }
}
