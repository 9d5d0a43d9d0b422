import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ClientProtocolError } from './client-bytes.ts'
import {
  clientStreamLimits,
  createClientFrameDecoder,
  createDaemonFrameDecoder,
  daemonStreamLimits,
  HANDSHAKE_STREAM_LIMITS,
} from './client-decode.ts'
import type { ClientControlFrame, DaemonControlFrame } from './client-encode.ts'
import {
  encodeClientFrame,
  encodeDaemonFrame,
  encodeDestination,
  encodeMessagesHead,
  encodeSegmentHead,
} from './client-encode.ts'
import type { ClientFrame, DaemonFrame } from './client.ts'

const place = { epoch: 7, ts: 2 ** 40 + 3, rank: 2, index: 5 }

const fromClient: ClientControlFrame[] = [
  {
    kind: 'hello',
    lowest: 1,
    highest: 3,
    features: 9,
    cluster: 'prod',
    auth: 'none',
    cell: 'main',
    name: 'алиса',
    trace: true,
  },
  { kind: 'join', request: 1, group: 'заказы' },
  { kind: 'leave', request: 2, group: 'orders' },
  { kind: 'acknowledge', bytes: 2 ** 45 },
  { kind: 'fate', request: 3, group: '', place },
  { kind: 'query', request: 4, what: 'members', group: 'orders' },
  { kind: 'close' },
]

const fromDaemon: DaemonControlFrame[] = [
  {
    kind: 'welcome',
    version: 1,
    features: 0,
    number: 12,
    session: 'a@n1#00.12',
    daemon: 'n1#00',
    cluster: 'prod',
    cell: 'main',
    limits: {
      maxMessageBytes: 16 << 20,
      maxGroupNameBytes: 255,
      maxGroupsPerSession: 100,
      maxDestinationGroups: 64,
      maxInFlightBytes: 8 << 20,
    },
    cells: [
      { name: 'main', patterns: [], endpoints: ['unix:/run/x'] },
      { name: 'wan', patterns: ['wan.*', 'far'], endpoints: [] },
    ],
  },
  { kind: 'refused', code: 'refused', words: 'this daemon is of cluster "prod"' },
  { kind: 'joined', request: 1, groupId: 4, group: 'заказы' },
  { kind: 'left', request: 2, groupId: 4 },
  {
    kind: 'view',
    groupId: 4,
    full: true,
    view: 'v2',
    previous: null,
    cause: 'join',
    joined: ['a', 'b'],
    left: [],
    origins: [],
    place,
  },
  {
    kind: 'view',
    groupId: 4,
    full: false,
    view: 'v3',
    previous: 'v2',
    cause: 'network',
    joined: [],
    left: ['b'],
    origins: [
      { view: 'v2', members: ['a'] },
      { view: null, members: [] },
    ],
    place: null,
  },
  { kind: 'transitional', groupId: 4, view: 'v2' },
  { kind: 'define', ref: 77, sender: 'b@n2#11.1' },
  { kind: 'own', firstSequence: 5, count: 2, place, views: [{ group: 'orders', view: 'v3' }] },
  { kind: 'settled', place },
  { kind: 'fateAnswer', request: 9, settled: true, view: 'v3', received: ['a'], unknown: ['b'] },
  { kind: 'answer', request: 10, json: '{"groups":[]}' },
  { kind: 'error', request: 11, code: 'not-a-member', message: 'no', retryable: true },
  { kind: 'warning', code: 'slow', message: 'read faster' },
  { kind: 'closing', code: 'evicted', words: 'too slow' },
]

const bodies = [Uint8Array.of(2, 0, 0, 0, 65, 66, 0, 0, 0, 0), Uint8Array.of(1, 0, 0, 0, 9)]

function segmentBytes(): Uint8Array[] {
  const groups = encodeDestination({ to: 'groups', groups: ['orders', 'б'] })
  const member = encodeDestination({ to: 'member', member: 'b@n2#11.1' })
  return [
    encodeSegmentHead(groups, 'safe', true, false, 41, 2, bodies[0]!.length),
    bodies[0]!,
    encodeSegmentHead(member, 'fifo', false, true, 43, 1, bodies[1]!.length),
    bodies[1]!,
  ]
}

function messagesBytes(): Uint8Array[] {
  return [
    encodeMessagesHead(4, 77, place, 41, 2, 'agreed', false, true, bodies[0]!.length),
    bodies[0]!,
    encodeMessagesHead(0, 77, place, 2 ** 50, 1, 'safe', true, false, bodies[1]!.length),
    bodies[1]!,
  ]
}

function join(pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0))
  let at = 0
  for (const piece of pieces) {
    whole.set(piece, at)
    at += piece.length
  }
  return whole
}

/** Frames with joined bodies, so that the way the stream was cut does not show. */
function normal(frames: readonly (ClientFrame | DaemonFrame)[]): unknown[] {
  return frames.map(frame => ('body' in frame ? { ...frame, body: [...join(frame.body)] } : frame))
}

/** Decodes `bytes` cut at `cuts`. */
function decode<F>(
  decoder: { push(chunk: Uint8Array, out: F[]): void },
  bytes: Uint8Array,
  cuts: number[],
): F[] {
  const out: F[] = []
  let at = 0
  for (const cut of [...cuts, bytes.length].sort((a, b) => a - b)) {
    const to = Math.min(cut, bytes.length)
    decoder.push(bytes.slice(at, to), out)
    at = to
  }
  return out
}

const clientBytes = join([...fromClient.map(encodeClientFrame), ...segmentBytes()])
const daemonBytes = join([...fromDaemon.map(encodeDaemonFrame), ...messagesBytes()])
const clientDecoder = () => createClientFrameDecoder(clientStreamLimits(1 << 20))
const daemonDecoder = () => createDaemonFrameDecoder(daemonStreamLimits(1 << 20))

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

/** Fields are written apart. */
function golden(fields: string): string {
  return fields.replaceAll(' ', '')
}

function everyByte(bytes: Uint8Array): number[] {
  return Array.from({ length: bytes.length }, (_, i) => i)
}

function attempt(bytes: Uint8Array): void {
  for (const decoder of [clientDecoder(), daemonDecoder()]) {
    try {
      decoder.push(bytes, [] as never[])
    } catch (error) {
      expect(error).toBeInstanceOf(ClientProtocolError)
    }
  }
}

describe('the client protocol', () => {
  test('every frame survives the way there, both directions', () => {
    const client = decode(clientDecoder(), clientBytes, [])
    expect(normal(client).slice(0, fromClient.length)).toEqual(fromClient)
    expect(normal(client).slice(fromClient.length)).toEqual([
      {
        kind: 'segment',
        destination: { to: 'groups', groups: ['orders', 'б'] },
        service: 'safe',
        selfDiscard: true,
        trace: false,
        firstSequence: 41,
        count: 2,
        body: [...bodies[0]!],
        bytes: 10,
      },
      {
        kind: 'segment',
        destination: { to: 'member', member: 'b@n2#11.1' },
        service: 'fifo',
        selfDiscard: false,
        trace: true,
        firstSequence: 43,
        count: 1,
        body: [...bodies[1]!],
        bytes: 5,
      },
    ])
    const daemon = normal(decode(daemonDecoder(), daemonBytes, []))
    expect(daemon.slice(0, fromDaemon.length)).toEqual(fromDaemon)
    expect(daemon.slice(fromDaemon.length)).toEqual([
      {
        kind: 'messages',
        groupId: 4,
        sender: 77,
        place,
        firstSequence: 41,
        count: 2,
        service: 'agreed',
        selfDiscard: false,
        trace: true,
        body: [...bodies[0]!],
        bytes: 10,
      },
      {
        kind: 'messages',
        groupId: 0,
        sender: 77,
        place,
        firstSequence: 2 ** 50,
        count: 1,
        service: 'safe',
        selfDiscard: true,
        trace: false,
        body: [...bodies[1]!],
        bytes: 5,
      },
    ])
  })

  test('a payload within one chunk is one slice of that chunk, without a copy', () => {
    const out: DaemonFrame[] = []
    const chunk = join(messagesBytes())
    daemonDecoder().push(chunk, out)
    const first = out[0]!
    if (first.kind !== 'messages') throw new Error('expected messages')
    expect(first.body.length).toBe(1)
    expect(first.body[0]!.buffer).toBe(chunk.buffer)
  })

  test('cuts anywhere change nothing', () => {
    const wholeClient = normal(decode(clientDecoder(), clientBytes, []))
    const wholeDaemon = normal(decode(daemonDecoder(), daemonBytes, []))
    expect(normal(decode(clientDecoder(), clientBytes, everyByte(clientBytes)))).toEqual(wholeClient)
    expect(normal(decode(daemonDecoder(), daemonBytes, everyByte(daemonBytes)))).toEqual(wholeDaemon)
    fc.assert(
      fc.property(fc.array(fc.nat(daemonBytes.length), { maxLength: 12 }), cuts => {
        expect(normal(decode(clientDecoder(), clientBytes, cuts))).toEqual(wholeClient)
        expect(normal(decode(daemonDecoder(), daemonBytes, cuts))).toEqual(wholeDaemon)
      }),
      { numRuns: 100 },
    )
  })

  test('garbage, flipped and missing bytes end in a ClientProtocolError or in well-formed frames, nothing else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), bytes => attempt(bytes)),
      { numRuns: 300 },
    )
    fc.assert(
      fc.property(
        fc.boolean(),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        fc.nat(),
        (client, flips, drop) => {
          const bytes = (client ? clientBytes : daemonBytes).slice()
          for (const [at, value] of flips) bytes[at % bytes.length] = value
          const cut = drop % bytes.length
          attempt(join([bytes.subarray(0, cut), bytes.subarray(cut + (drop % 3))]))
        },
      ),
      { numRuns: 500 },
    )
  })

  // A member that drives epochs and timestamps up must not make clients of others fail.
  test.each([2 ** 52 + 1, 2 ** 53 - 1])('places come as far as the numbers of a cell: %d', count => {
    const far = { epoch: count, ts: count, rank: 0xffff, index: 0xffff_ffff }
    const head = encodeMessagesHead(1, 1, far, count, 1, 'agreed', false, false, 4)
    const out: DaemonFrame[] = []
    const decoder = createDaemonFrameDecoder(daemonStreamLimits(100))
    decoder.push(head, out)
    decoder.push(new Uint8Array(4), out)
    decoder.push(encodeDaemonFrame({ kind: 'settled', place: far }), out)
    expect(out).toMatchObject([{ place: far, firstSequence: count }, { place: far }])
  })

  test('a lying length or count is refused before anything is allocated for it', () => {
    const huge = Uint8Array.of(255, 255, 255, 255, 4)
    expect(() => clientDecoder().push(huge, [])).toThrow(/at most \d+ are allowed/)
    const beforeHello = createClientFrameDecoder(HANDSHAKE_STREAM_LIMITS)
    const segment = join(segmentBytes())
    expect(() => beforeHello.push(segment, [])).toThrow(/payload/)
    const counted = segment.slice()
    new DataView(counted.buffer).setUint32(7 + 9, 0xffffffff, true)
    expect(() => clientDecoder().push(counted, [])).toThrow(/do not fit/)
    const members = encodeDaemonFrame({
      kind: 'fateAnswer',
      request: 1,
      settled: true,
      view: '',
      received: [],
      unknown: [],
    })
    new DataView(members.buffer).setUint32(12, 900_000, true)
    expect(() => daemonDecoder().push(members, [])).toThrow(/claims 900000 elements/)
  })

  test('frames before the broken one are handed over; afterwards the decoder stays broken', () => {
    const decoder = clientDecoder()
    const out: ClientFrame[] = []
    const bytes = join([
      encodeClientFrame({ kind: 'close' }),
      Uint8Array.of(1, 0, 0, 0, 250),
      encodeClientFrame({ kind: 'close' }),
    ])
    expect(() => decoder.push(bytes, out)).toThrow(/unknown frame kind 250/)
    expect(out).toEqual([{ kind: 'close' }])
    expect(() => decoder.push(encodeClientFrame({ kind: 'close' }), out)).toThrow(/already broken/)
  })

  test('another protocol is told apart by its first bytes', () => {
    const decoder = createClientFrameDecoder(HANDSHAKE_STREAM_LIMITS)
    const http = new TextEncoder().encode('GET / HTTP/1.1\r\n\r\n')
    expect(() => decoder.push(http, [])).toThrow(ClientProtocolError)
    const hello = encodeClientFrame(fromClient[0]!)
    hello[5] = 0
    expect(() => createClientFrameDecoder(HANDSHAKE_STREAM_LIMITS).push(hello, [])).toThrow(/magic/)
  })

  test('golden bytes', () => {
    const join258 = encodeClientFrame({ kind: 'join', request: 258, group: 'ab' })
    expect(hex(join258)).toBe(golden('09000000 02 02010000 0200 6162'))
    expect(hex(encodeClientFrame({ kind: 'acknowledge', bytes: 1 }))).toBe(
      golden('09000000 05 000000000000f03f'),
    )
    const orders = encodeDestination({ to: 'groups', groups: ['ab'] })
    expect(hex(encodeSegmentHead(orders, 'agreed', true, false, 1, 1, 5))).toBe(
      golden('1e000000 04 1600 06 000000000000f03f 01000000 00 01000000 0200 6162'),
    )
    const at = { epoch: 1, ts: 2, rank: 3, index: 4 }
    expect(hex(encodeMessagesHead(1, 2, at, 1, 1, 'safe', false, true, 4))).toBe(
      golden(
        '34000000 48 2d00 0b 01000000 02000000 000000000000f03f 0000000000000040 03000000 04000000 000000000000f03f 01000000',
      ),
    )
  })
})
