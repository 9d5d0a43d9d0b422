/** What daemons send each other: frames, and the hello before the first of them. */

import { readEnvelope } from '../../codec/envelope.ts'
import { CodecError } from '../../codec/error.ts'
import {
  decodeHello,
  encodeHello,
  type Hello,
  HELLO_PREFIX_BYTES,
  MAX_RULES_BYTES,
} from '../../codec/handshake.ts'
import { FrameDecoder, FrameEncoder } from '../../codec/peer.ts'
import { ENVELOPE_BYTES, type Slices } from '../../codec/envelope.ts'
import type { Frame } from '../../core/frames.ts'
import { crc32 } from '../../lib/crc32.ts'
import type { Random } from '../../lib/prng.ts'
import { FrameSplitter } from '../../transport/frame-splitter.ts'
import { CELL_NAME } from '../recorder.ts'
import { peerFrames, type RecordedFrame } from './corpus.ts'
import { hex, joined, judgeEqual, judgeError, judgeSize } from './judge.ts'
import { edgeNumber, mutateBytes, mutateData, pieces } from './mutate.ts'
import { demand, type Target } from './target.ts'

/** Frames of more bytes than this are refused unread. */
const maxFrameBytes = 1 << 20

const nobody = `nobody#${'0'.repeat(32)}`

export const peerTarget: Target = {
  name: 'peer',
  about: 'frames between daemons: from bytes in pieces of any size to frames, and back',
  few: 1000,
  prepare() {
    const corpus = peerFrames()
    const others = corpus.map(({ bytes }) => bytes)
    const words = wordsOf(corpus)
    return {
      corpus: corpus.length,
      run(random, show) {
        const recorded = random.pick(corpus)
        const bytes = random.chance(0.4)
          ? encodeChanged(random, recorded.frame, words)
          : seal(random, mutateBytes(random, recorded.bytes, others))
        if (bytes === null) return 'no frame can say it'
        show(`${recorded.frame.kind} frame, changed: ${hex(bytes)}`)
        const decoder = new FrameDecoder({ cell: CELL_NAME, from: null, crc32, maxFrameBytes })
        // What a decoder remembers of the frame before must not matter.
        if (random.chance(0.5)) decoder.decode(recorded.bytes)
        return tryFrame(random, decoder, bytes)
      },
    }
  },
}

/** Every text of the corpus, for members, groups and keys that others have. */
export function wordsOf(corpus: readonly RecordedFrame[]): string[] {
  const words = new Set(['', 'a', 'x'.repeat(255), 'x'.repeat(2000), '\u0000', '𝕏#1', nobody])
  const collect = (value: unknown): void => {
    if (typeof value === 'string') words.add(value)
    else if (typeof value === 'object' && value !== null && !(value instanceof Uint8Array))
      for (const inner of Object.values(value)) collect(inner)
  }
  for (const { frame } of corpus) collect(frame)
  return [...words]
}

function encodeChanged(random: Random, frame: Frame, words: readonly string[]): Uint8Array | null {
  try {
    const encoder = new FrameEncoder({ cell: CELL_NAME, self: nobody, crc32, maxFrameBytes })
    return joined(encoder.encode(mutateData(random, frame, words)).slices)
  } catch {
    return null // who means ill has encoders of his own, but these values have no bytes
  }
}

/** Mostly with a right length and checksum: otherwise nothing gets past them. */
function seal(random: Random, bytes: Uint8Array): Uint8Array {
  if (bytes.length < ENVELOPE_BYTES || random.chance(0.1)) return bytes
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (random.chance(0.95)) view.setUint32(8, bytes.length, true)
  const headLength = view.getUint32(12, true)
  const fits = headLength >= ENVELOPE_BYTES && headLength <= bytes.length
  if (!fits || random.chance(0.1)) {
    view.setUint32(12, random.chance(0.7) ? bytes.length : edgeNumber(random, headLength) >>> 0, true)
  }
  view.setUint32(4, crc32(bytes.subarray(8)), true)
  return bytes
}

function tryFrame(random: Random, decoder: FrameDecoder, bytes: Uint8Array): string {
  let frame: Frame
  try {
    const input = random.chance(0.5) ? bytes : split(random, bytes)
    if (input === null) return 'not whole'
    frame = decoder.decode(input)
  } catch (error) {
    judgeError(error, ({ name }) => name === 'CodecError')
    return `refused: ${(error as CodecError).code}`
  }
  judgeSize(frame, bytes.length)
  const again = joined(
    new FrameEncoder({ cell: CELL_NAME, self: nobody, crc32, maxFrameBytes }).encode(frame).slices,
  )
  const fresh = new FrameDecoder({ cell: CELL_NAME, from: null, crc32, maxFrameBytes })
  judgeEqual(plain(fresh.decode(again)), plain(frame), 'decoded, encoded and decoded again')
  const { headLength } = readEnvelope(bytes, bytes.length)
  demand(headLength >= ENVELOPE_BYTES, 'a head shorter than an envelope was decoded')
  judgeEqual(
    hex(again.subarray(ENVELOPE_BYTES)),
    hex(bytes.subarray(ENVELOPE_BYTES)),
    'another encoding of the same',
  )
  return frame.kind
}

/** As a connection reads it; null if the bytes are not one whole frame. */
function split(random: Random, bytes: Uint8Array): Slices | null {
  const splitter = new FrameSplitter(maxFrameBytes)
  const frames: Slices[] = []
  for (const piece of pieces(random, bytes)) splitter.push(piece, frames)
  return frames.length === 1 && !splitter.partial ? (frames[0] as Slices) : null
}

/** How a body is cut up is not part of what a frame says. */
function plain(frame: Frame): unknown {
  if (frame.kind !== 'data') return frame
  return {
    ...frame,
    segments: frame.segments.map(segment => ({ ...segment, body: hex(joined(segment.body)) })),
  }
}

const hellos: readonly Hello[] = (['none', 'accepted', 'refused', 'duplicate'] as const).map(
  (verdict, i) => ({
    lowestVersion: 1,
    highestVersion: 1 + i,
    features: i,
    authentication: 'none',
    lane: i % 2 === 0 ? 'control' : 'data',
    verdict,
    port: 4803 * (i % 2),
    member: `n${i}#${'0123456789abcdef'.repeat(2)}`,
    expected: i === 0 ? '' : 'узел',
    cluster: 'default',
    cell: 'main',
    digest: '1bdbe24ba5473dd6',
    rules: 'anasazi order 1\n"x" -> a\n"*" -> main\n'.repeat(i * 10),
    reason: verdict === 'refused' ? 'another cluster' : '',
  }),
)

export const handshakeTarget: Target = {
  name: 'handshake',
  about: 'the hello of a daemon to a daemon',
  few: 1000,
  prepare() {
    const corpus = hellos.map(hello => encodeHello(hello, crc32))
    return {
      corpus: corpus.length,
      run(random, show) {
        const bytes = mutateBytes(random, random.pick(corpus), corpus)
        if (bytes.length >= HELLO_PREFIX_BYTES && random.chance(0.9)) {
          const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
          view.setUint32(8, bytes.length, true)
          view.setUint32(4, crc32(bytes.subarray(8)), true)
        }
        show(hex(bytes))
        let hello: Hello
        try {
          hello = decodeHello(bytes, crc32)
        } catch (error) {
          judgeError(error, ({ name }) => name === 'CodecError')
          return `refused: ${(error as CodecError).code}`
        }
        judgeSize(hello, bytes.length)
        // What this build cannot say, or cuts off, it cannot say again.
        if (
          hello.authentication !== 'none' ||
          hello.rules.length + hello.reason.length > MAX_RULES_BYTES / 24
        )
          return 'of another build'
        judgeEqual(decodeHello(encodeHello(hello, crc32), crc32), hello, 'decoded, encoded and decoded again')
        return hello.verdict
      },
    }
  },
}
