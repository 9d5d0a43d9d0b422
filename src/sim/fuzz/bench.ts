/** A daemon in this process, clients by hand, and all that they may say to each other. */

import { Counters } from '../../admin/counters.ts'
import { type Channel, ignoreClose, ignoreData, ignoreDrain } from '../../client/channel.ts'
import { createDaemonFrameDecoder, daemonStreamLimits } from '../../codec/client-decode.ts'
import {
  encodeClientFrame,
  encodeDaemonFrame,
  encodeDestination,
  encodeMessagesHead,
  encodeSegmentHead,
} from '../../codec/client-encode.ts'
import type { ClientFrame, DaemonFrame, HelloFrame, SegmentFrame } from '../../codec/client.ts'
import { defaultConfig } from '../../config/config.ts'
import type { CellConfig } from '../../config/config.ts'
import { ManualLoop } from '../../node/loop.ts'
import { CellRuntime } from '../../node/runtime.ts'
import { MemoryHub } from '../../transport/memory.ts'
import { hex, joined } from './judge.ts'
import { demand } from './target.ts'

export const maxMessageBytes = 100_000

export const hello: HelloFrame = {
  kind: 'hello',
  lowest: 1,
  highest: 1,
  features: 0,
  cluster: '',
  auth: 'none',
  cell: '',
  name: 'evil',
  trace: false,
}

// ---- encoding, of frames with a body too ----

export function encodeClient(frame: ClientFrame): Uint8Array {
  if (frame.kind !== 'segment') return encodeClientFrame(frame)
  const { destination, service, selfDiscard, trace, firstSequence, count, body, bytes } = frame
  const to = encodeDestination(destination)
  return joined([encodeSegmentHead(to, service, selfDiscard, trace, firstSequence, count, bytes), ...body])
}

export function encodeDaemon(frame: DaemonFrame): Uint8Array {
  if (frame.kind !== 'messages') return encodeDaemonFrame(frame)
  const { groupId, sender, place, firstSequence, count, service, selfDiscard, trace, body, bytes } = frame
  return joined([
    encodeMessagesHead(groupId, sender, place, firstSequence, count, service, selfDiscard, trace, bytes),
    ...body,
  ])
}

/** How a body is cut up is not part of what a frame says. */
export function plain(frame: ClientFrame | DaemonFrame): unknown {
  return 'body' in frame ? { ...frame, body: hex(joined(frame.body)) } : frame
}

/** A run of messages of these lengths. */
function payload(...lengths: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(lengths.reduce((sum, length) => sum + 4 + length, 0))
  const view = new DataView(bytes.buffer)
  let at = 0
  for (const length of lengths) {
    view.setUint32(at, length, true)
    at += 4 + length
  }
  return bytes
}

export function segment(
  to: SegmentFrame['destination'],
  firstSequence: number,
  ...lengths: readonly number[]
): SegmentFrame {
  const body = payload(...lengths)
  return {
    kind: 'segment',
    destination: to,
    service: 'agreed',
    selfDiscard: false,
    trace: false,
    firstSequence,
    count: lengths.length,
    body: [body],
    bytes: body.length,
  }
}

const place = { epoch: 1, ts: 5, rank: 0, index: 0 }

/** What a client may say, after its hello. */
export const requests: readonly ClientFrame[] = [
  hello,
  { kind: 'join', request: 1, group: 'orders' },
  { kind: 'join', request: 2, group: 'заказы' },
  { kind: 'leave', request: 3, group: 'orders' },
  segment({ to: 'groups', groups: ['orders'] }, 1, 10, 0, 5),
  segment({ to: 'groups', groups: ['orders', 'chat'] }, 4, 1000),
  { ...segment({ to: 'groups', groups: ['chat'] }, 7, 1), service: 'safe', selfDiscard: true, trace: true },
  segment({ to: 'member', member: `honest@n1#${'0'.repeat(31)}1.1` }, 9, 3),
  { kind: 'acknowledge', bytes: 100 },
  { kind: 'fate', request: 4, group: 'orders', place },
  { kind: 'fate', request: 5, group: '', place },
  { kind: 'query', request: 6, what: 'groups', group: '' },
  { kind: 'query', request: 7, what: 'members', group: 'orders' },
  { kind: 'query', request: 8, what: 'status', group: '' },
  { kind: 'close' },
]

export const words: readonly string[] = [
  '',
  'orders',
  'chat',
  'evil',
  'honest',
  'main',
  'none',
  'x'.repeat(300),
  'x'.repeat(60_000),
  'a b',
  '@',
  '#',
  '\u0000',
  '\ud800',
  `honest@n1#${'0'.repeat(31)}1.1`,
  `evil@n1#${'0'.repeat(31)}1.2`,
  `x@n9#${'f'.repeat(32)}.9007199254740993`,
  `@n1#${'0'.repeat(31)}1.0`,
]

// ---- a daemon in this process, and clients by hand ----

class HandChannel implements Channel {
  onData: (chunk: Uint8Array) => void = ignoreData
  onDrain: () => void = ignoreDrain
  onClose: (error: Error | null) => void = ignoreClose
  closed = false
  pending = 0
  private readonly written: (chunk: Uint8Array) => void

  constructor(written: (chunk: Uint8Array) => void) {
    this.written = written
  }

  write(slices: readonly Uint8Array[]): void {
    for (const slice of slices) this.written(slice)
  }

  pause(): void {}

  resume(): void {}

  close(): void {
    this.abort()
  }

  abort(): void {
    if (this.closed) return
    this.closed = true
    this.onClose(null)
  }

  atTurnEnd(task: () => void): void {
    task()
  }
}

export class HandClient {
  readonly channel: HandChannel
  /** All that the daemon wrote. */
  readonly chunks: Uint8Array[] = []
  readonly heard: DaemonFrame[] = []
  private readonly decoder = createDaemonFrameDecoder(daemonStreamLimits(maxMessageBytes))

  constructor() {
    this.channel = new HandChannel(chunk => {
      this.chunks.push(chunk)
      this.decoder.push(chunk, this.heard)
    })
  }

  say(bytes: Uint8Array): void {
    if (!this.channel.closed) this.channel.onData(bytes)
  }

  /** Reads and acknowledges what came. */
  acknowledge(): void {
    const welcome = this.heard.findIndex(({ kind }) => kind === 'welcome')
    if (welcome < 0) return
    const bytes = this.heard.slice(welcome + 1).reduce((sum, frame) => sum + encodeDaemon(frame).length, 0)
    this.say(encodeClientFrame({ kind: 'acknowledge', bytes }))
  }

  get received(): number {
    return this.heard.filter(({ kind }) => kind === 'messages').length
  }
}

export class Bench {
  now = 10_000
  readonly runtime: CellRuntime

  constructor() {
    const basic = defaultConfig({ hostName: 'n1', runtime: '/nowhere' }).cells[0] as CellConfig
    const limits = { ...basic.limits, messageBytes: maxMessageBytes, sessions: 10, clientIntakeBytes: 65_536 }
    const self = `n1#${'0'.repeat(31)}1`
    this.runtime = new CellRuntime({
      self,
      cluster: 'lab',
      config: { ...basic, limits },
      seed: 1,
      counters: new Counters(),
      emit: () => {},
      trace: null,
      createTransport: wake =>
        new MemoryHub().create({
          self,
          cluster: 'lab',
          cell: 'main',
          order: { digest: '0', rules: '' },
          peers: null,
          wake,
        }),
      createLoop: () => new ManualLoop(() => {}),
      describeCells: () => [{ name: 'main', patterns: ['*'], endpoints: ['unix:/run/main.sock'] }],
      status: async () => '{}',
      now: () => this.now,
    })
    // In memory there is nothing to wait for.
    void this.runtime.start()
    this.step()
  }

  step(ms: number = 0): void {
    const end = this.now + ms
    for (let steps = 0; this.runtime.nextDeadline < end; steps++) {
      demand(steps < 200 + ms, 'the daemon does not come to rest')
      this.now = Math.max(this.now, this.runtime.nextDeadline)
      this.runtime.step(this.now)
    }
    this.now = end
    for (let steps = 0; ; steps++) {
      this.runtime.step(this.now)
      if (this.runtime.nextDeadline > this.now) return
      demand(steps < 200, 'the daemon does not come to rest')
    }
  }

  client(name: string): HandClient {
    const client = new HandClient()
    this.runtime.accept(client.channel)
    if (name !== '') client.say(encodeClientFrame({ ...hello, name }))
    this.step()
    return client
  }
}

/** What a daemon says to two clients that do everything once. */
export function recordedAnswers(): { readonly frames: readonly DaemonFrame[]; readonly stream: Uint8Array } {
  const bench = new Bench()
  const one = bench.client('one')
  const two = bench.client('honest')
  for (const frame of requests.slice(1, -1)) {
    for (const client of [one, two]) client.say(encodeClient(frame))
    bench.step(10)
    for (const client of [one, two]) client.acknowledge()
    bench.step(10)
  }
  two.say(encodeClientFrame({ kind: 'close' }))
  bench.step(10)
  const twice = bench.client('one')
  return { frames: [...one.heard, ...two.heard, ...twice.heard], stream: joined(one.chunks) }
}

/** What a daemon may say besides. */
export const answers: readonly DaemonFrame[] = [
  { kind: 'error', request: 1, code: 'bad-group', message: 'no such group', retryable: false },
  { kind: 'warning', code: 'slow', message: 'read faster' },
  { kind: 'closing', code: 'evicted', words: 'too slow' },
  { kind: 'transitional', groupId: 1, view: '1.n1#0.5/0' },
  {
    kind: 'view',
    groupId: 1,
    full: false,
    view: '2.n1#0.5/0',
    previous: '1.n1#0.5/0',
    cause: 'network',
    joined: ['a@n1#0.1'],
    left: ['b@n2#0.1'],
    origins: [
      { view: '1.n1#0.5/0', members: ['c@n1#0.2'] },
      { view: null, members: ['a@n1#0.1'] },
    ],
    place: null,
  },
  { kind: 'fateAnswer', request: 4, settled: true, view: 'v', received: ['a@n1#0.1'], unknown: [] },
]
