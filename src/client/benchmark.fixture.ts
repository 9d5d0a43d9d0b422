/**
 * How fast messages are packed, and taken apart. Not a test: prints messages per second.
 *
 *     tsc -p tsconfig.json --outDir OUT && node OUT/src/client/benchmark.fixture.js [bytes]
 */

import { createDaemonFrameDecoder, daemonStreamLimits } from '../codec/client-decode.ts'
import { encodeMessagesHead } from '../codec/client-encode.ts'
import type { DaemonFrame } from '../codec/client.ts'
import { EventBatch } from './batch.ts'
import type { Channel } from './channel.ts'
import { groupsDestination, Outbox } from './outbox.ts'
import { MessageRun } from './run.ts'

const SECONDS = 1.5
const size = Number(process.argv[2] ?? 64)

/** A stream of segments of 128 KiB, cut into chunks of 64 KiB as sockets do. */
function makeChunks(): { chunks: Uint8Array[]; messages: number } {
  const perSegment = Math.max(1, Math.floor((128 << 10) / (size + 4)))
  const payload = new Uint8Array(perSegment * (size + 4))
  const view = new DataView(payload.buffer)
  for (let i = 0; i < perSegment; i++) view.setUint32(i * (size + 4), size, true)
  const pieces: Uint8Array[] = []
  for (let i = 0; i < 16; i++) {
    const place = { epoch: 1, ts: i + 1, rank: 0, index: 0 }
    pieces.push(
      encodeMessagesHead(1, 1, place, 1, perSegment, 'agreed', false, false, payload.length),
      payload,
    )
  }
  const whole = Buffer.concat(pieces)
  const chunks: Uint8Array[] = []
  for (let at = 0; at < whole.length; at += 65_536) {
    chunks.push(Uint8Array.prototype.slice.call(whole, at, at + 65_536))
  }
  return { chunks, messages: perSegment * 16 }
}

function measure(what: string, round: () => number): void {
  let total = 0
  for (let i = 0; i < 20; i++) round()
  const start = performance.now()
  while (performance.now() - start < SECONDS * 1000) total += round()
  const rate = total / ((performance.now() - start) / 1000)
  process.stdout.write(`${what}, ${size} B: ${(rate / 1e6).toFixed(2)} million/s\n`)
}

const { chunks, messages } = makeChunks()
let sink = 0

function parse(touch: (batch: EventBatch) => void): number {
  const decoder = createDaemonFrameDecoder(daemonStreamLimits(1 << 24))
  for (const chunk of chunks) {
    const frames: DaemonFrame[] = []
    decoder.push(chunk, frames)
    const runs: MessageRun[] = []
    for (const frame of frames) {
      if (frame.kind === 'messages') runs.push(new MessageRun(frame, 'main', 'g', 'v', 's', false))
    }
    touch(new EventBatch(runs))
  }
  return messages
}

measure('parse, sender and length', () =>
  parse(batch => {
    for (const event of batch) if (event.type === 'message') sink += event.length + event.sender.length
  }),
)
measure('parse, first byte of data', () =>
  parse(batch => {
    for (const event of batch) if (event.type === 'message') sink += event.data[0] ?? 0
  }),
)

const channel: Channel = {
  pending: 0,
  closed: false,
  write() {},
  onData() {},
  onDrain() {},
  onClose() {},
  pause() {},
  resume() {},
  close() {},
  abort() {},
  atTurnEnd() {},
}
const destination = groupsDestination(['orders'])
const data = new Uint8Array(size)
const text = 'x'.repeat(size)

function pack(what: Uint8Array | string): number {
  const outbox = new Outbox({
    channel,
    sequences: { last: 0 },
    limitBytes: 1 << 30,
    trace: false,
    onAccepted: null,
    onWork() {},
  })
  for (let i = 0; i < 100_000; i++) {
    if (outbox.trySend(destination, what, 'agreed', false) === 0) throw new Error('full')
  }
  outbox.flush(null)
  return 100_000
}

measure('pack, bytes', () => pack(data))
measure('pack, text', () => pack(text))
process.stdout.write(sink === -1 ? '\n' : '')
