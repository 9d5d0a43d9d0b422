/** The client protocol in both directions: its decoders. */

import { MessageRun, RunCursor } from '../../client/run.ts'
import { ClientProtocolError } from '../../codec/client-bytes.ts'
import {
  clientStreamLimits,
  createClientFrameDecoder,
  createDaemonFrameDecoder,
  daemonStreamLimits,
} from '../../codec/client-decode.ts'
import type { FrameSplitter } from '../../codec/client-splitter.ts'
import type { ClientFrame, DaemonFrame } from '../../codec/client.ts'
import type { Random } from '../../lib/prng.ts'
import {
  answers,
  encodeClient,
  encodeDaemon,
  maxMessageBytes,
  plain,
  recordedAnswers,
  requests,
  words,
} from './bench.ts'
import { hex, joined, judgeEqual, judgeError, judgeSize, shorten } from './judge.ts'
import { mutateBytes, mutateData, pieces } from './mutate.ts'
import { demand, type Target } from './target.ts'

interface Direction<F extends ClientFrame | DaemonFrame> {
  readonly name: string
  readonly about: string
  frames(): readonly F[]
  encode(frame: F): Uint8Array
  decoder(): FrameSplitter<F>
  /** Looks into a frame as its receiver would. */
  look(frame: F): void
}

function decoderTarget<F extends ClientFrame | DaemonFrame>(direction: Direction<F>): Target {
  const { name, about, encode, decoder } = direction
  return {
    name,
    about,
    few: 1000,
    prepare() {
      const frames = direction.frames()
      const encoded = frames.map(encode)
      return {
        corpus: frames.length,
        run(random, show) {
          const bytes = changedStream(random, frames, encoded, encode)
          show(hex(bytes))
          const out: F[] = []
          let outcome = 'read'
          const splitter = decoder()
          try {
            for (const piece of pieces(random, bytes)) splitter.push(piece, out)
            if (!splitter.idle) outcome = 'not whole'
          } catch (error) {
            judgeError(error, own => own instanceof ClientProtocolError)
            outcome = 'refused'
          }
          for (const frame of out) {
            judgeSize(frame, encode(frame).length)
            direction.look(frame)
            const again: F[] = []
            const bytesAgain = encode(frame)
            decoder().push(bytesAgain, again)
            judgeEqual(again.map(plain), [plain(frame)], 'decoded, encoded and decoded again')
            judgeEqual(hex(encode(again[0] as F)), hex(bytesAgain), 'encoded twice')
          }
          // There is one way to say a thing: a stream that was read whole is written the same.
          if (outcome === 'read')
            judgeEqual(hex(joined(out.map(encode))), hex(bytes), 'another encoding of the same')
          return `${outcome}${out.length === 0 ? '' : `, after ${(out.at(-1) as F).kind}`}`
        },
      }
    },
  }
}

function changedStream<F>(
  random: Random,
  frames: readonly F[],
  encoded: readonly Uint8Array[],
  encode: (frame: F) => Uint8Array,
): Uint8Array {
  const parts: Uint8Array[] = []
  for (let count = random.between(1, 4); count > 0; count--) {
    if (random.chance(0.5)) parts.push(random.pick(encoded))
    else {
      try {
        parts.push(encode(mutateData(random, random.pick(frames), words)))
      } catch {
        // It has no bytes.
      }
    }
  }
  const stream = joined(parts)
  if (random.chance(0.4)) return stream
  const bytes = mutateBytes(random, stream, encoded)
  // Mostly with a length that fits, or the first frame would swallow all.
  if (parts.length === 1 && bytes.length >= 5 && random.chance(0.8))
    new DataView(bytes.buffer, bytes.byteOffset).setUint32(0, bytes.length - 4, true)
  return bytes
}

export const clientTarget: Target = decoderTarget<ClientFrame>({
  name: 'client',
  about: 'frames of clients to their daemon',
  frames: () => requests,
  encode: encodeClient,
  decoder: () => createClientFrameDecoder(clientStreamLimits(maxMessageBytes)),
  look: () => {},
})

export const daemonTarget: Target = decoderTarget<DaemonFrame>({
  name: 'daemon',
  about: 'frames of a daemon to its clients, and the messages in them',
  frames: () => [...recordedAnswers().frames, ...answers],
  encode: encodeDaemon,
  decoder: () => createDaemonFrameDecoder(daemonStreamLimits(maxMessageBytes)),
  look: frame => {
    if (frame.kind !== 'messages') return
    const cursor = new RunCursor(new MessageRun(frame, 'main', 'orders', 'v', 'a@n1#0.1', false))
    let bytes = 0
    let messages = 0
    for (let event = cursor.next(); event !== null; event = cursor.next()) {
      if (event.type !== 'message') continue
      messages++
      bytes += event.data.length + 4
    }
    demand(
      messages <= frame.count && bytes <= frame.bytes,
      `${messages} messages of ${bytes} bytes in ${shorten(plain(frame))}`,
    )
  },
})
