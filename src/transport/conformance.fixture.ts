/** What every transport must do: one suite, run against each of them. */

import { afterEach, describe, expect, test } from 'vitest'
import type { Slices } from '../codec/envelope.ts'
import { joined } from '../codec/frames.fixture.ts'
import { FrameDecoder, FrameEncoder } from '../codec/peer.ts'
import type { DataFrame, Lane } from '../core/frames.ts'
import type { MemberId } from '../core/types.ts'
import { crc32 } from '../lib/crc32.ts'
import type { PeerEvent, Transport, TransportIdentity, TransportLimits } from './transport.ts'

export interface NodeOptions {
  readonly name: string
  /** Default: drawn. */
  readonly incarnation?: string
  readonly identity?: Partial<TransportIdentity>
  /** Names that it knows; default: all of the network. */
  readonly peers?: readonly string[]
  readonly limits?: Partial<TransportLimits>
  /** Its traffic can be held: see `Network.hold`. */
  readonly holdable?: boolean
  /** Is reached where the list of the others says nothing about. */
  readonly elsewhere?: boolean
}

/** Some transports that can reach each other; made anew for each test. */
export interface Network {
  /** A transport that is not started. */
  create(options: NodeOptions, self: MemberId, wake: () => void): Promise<Transport>
  /** Lets pass what is on its way; called again and again until what is waited for happens. */
  pump(): Promise<void>
  reset(a: Transport, b: Transport): void
  /** The process of `transport` dies. */
  kill(transport: Transport): Promise<void>
  hold(from: Transport, to: Transport, lane: Lane, held: boolean): void
  close(): Promise<void>
}

/** A transport with a record of all it told. */
export class Node {
  readonly transport: Transport
  readonly events: PeerEvent[] = []
  readonly frames: { readonly from: MemberId; readonly lane: Lane; readonly frame: DataFrame }[] = []
  wakes = 0
  draining = true
  readonly #encoder: FrameEncoder
  readonly #decoders = new Map<MemberId, FrameDecoder>()

  constructor(transport: Transport) {
    this.transport = transport
    this.#encoder = new FrameEncoder({ cell: 'main', self: transport.self, crc32 })
  }

  get self(): MemberId {
    return this.transport.self
  }

  drain(): void {
    this.transport.drain({
      onFrame: (from, lane, bytes) => this.frames.push({ from, lane, frame: this.decode(from, bytes) }),
      onPeer: event => this.events.push(event),
    })
  }

  /** Also checks that the frame is intact, and of whom the transport says that it is. */
  decode(from: MemberId, bytes: Slices): DataFrame {
    let decoder = this.#decoders.get(from)
    if (decoder === undefined) {
      decoder = new FrameDecoder({ cell: 'main', from, crc32 })
      this.#decoders.set(from, decoder)
    }
    return decoder.decode(bytes) as DataFrame
  }

  frame(seq: number, ...body: Uint8Array[]): Slices {
    const bytes = body.reduce((sum, slice) => sum + slice.length, 0)
    return this.#encoder.encode({
      kind: 'data',
      configuration: { epoch: 1, coordinator: this.self, nonce: 1, key: `1.${this.self}.1` },
      rank: 0,
      seq,
      ts: seq,
      facts: { clock: seq, seq, received: 0, credit: 0, consumed: 0 },
      segments: [{ safe: false, more: true, head: null, bytes, body }],
    })
  }

  send(to: Node | null, lane: Lane, seq: number, ...body: Uint8Array[]): void {
    this.transport.send(to === null ? null : to.self, lane, this.frame(seq, ...body))
  }

  seqs(from: Node, lane: Lane): number[] {
    return this.frames
      .filter(item => item.from === from.self && item.lane === lane)
      .map(item => item.frame.seq)
  }

  has(type: PeerEvent['type'], member: MemberId): boolean {
    return this.events.some(event => event.type === type && event.member === member)
  }

  reasons(type: PeerEvent['type']): string[] {
    return this.events.flatMap(event => (event.type === type && 'reason' in event ? [event.reason] : []))
  }

  isUp(other: Node): boolean {
    return this.transport.peers().some(peer => peer.member === other.self && peer.control && peer.data)
  }
}

let drawn = 0

export class Lab {
  readonly nodes: Node[] = []
  readonly network: Network

  constructor(network: Network) {
    this.network = network
  }

  async add(options: NodeOptions): Promise<Node> {
    const incarnation = options.incarnation ?? (++drawn).toString(16).padStart(32, '0')
    const waking: { node: Node | null } = { node: null }
    const wake = (): void => {
      if (waking.node !== null) waking.node.wakes++
    }
    const node = new Node(await this.network.create(options, `${options.name}#${incarnation}`, wake))
    waking.node = node
    await node.transport.start()
    this.nodes.push(node)
    return node
  }

  async addAll(...names: string[]): Promise<Node[]> {
    const nodes: Node[] = []
    for (const name of names) nodes.push(await this.add({ name }))
    await this.until(() => nodes.every(a => nodes.every(b => a === b || a.has('up', b.self))))
    return nodes
  }

  async step(): Promise<void> {
    for (const node of this.nodes) node.transport.flush()
    await this.network.pump()
    for (const node of this.nodes) if (node.draining) node.drain()
  }

  /** Steps until the condition holds; the test's own limit of time ends what never comes. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await this.step()
  }

  async close(): Promise<void> {
    await Promise.all(this.nodes.map(node => node.transport.close()))
    await this.network.close()
  }
}

const KiB = 1024
const MiB = 1024 * KiB

function patterned(bytes: number, seed: number): Uint8Array {
  const data = new Uint8Array(bytes)
  for (let i = 0; i < bytes; i++) data[i] = (i * 31 + seed * 7 + (i >> 8)) & 0xff
  return data
}

function ascending(seqs: readonly number[]): boolean {
  return seqs.every((seq, i) => i === 0 || seq > (seqs[i - 1] as number))
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i + 1)
}

function rules(digest: string, text: string): Partial<TransportIdentity> {
  return { order: { digest, rules: text } }
}

/** Runs the suite. */
export function conformance(makeNetwork: () => Network): void {
  let lab: Lab
  const open = (): Lab => (lab = new Lab(makeNetwork()))
  afterEach(() => lab.close())

  describe('frames', () => {
    test('arrive intact and in order, on both lanes, from each to each', async () => {
      const nodes = await open().addAll('n1', 'n2', 'n3')
      for (const seq of range(200)) {
        for (const from of nodes) {
          for (const to of nodes) {
            if (from === to) continue
            from.send(to, 'data', seq, patterned(seq * 40, seq), patterned(3, seq))
            if (seq <= 50) from.send(to, 'control', seq)
          }
        }
        if (seq % 20 === 0) await lab.step()
      }
      await lab.until(() => nodes.every(node => node.frames.length === 500))
      for (const to of nodes) {
        for (const from of nodes) {
          if (from === to) continue
          expect(to.seqs(from, 'data')).toEqual(range(200))
          expect(to.seqs(from, 'control')).toEqual(range(50))
        }
        for (const { lane, frame } of to.frames) {
          const body = joined(frame.segments[0]?.body ?? [])
          const sent = lane === 'data' ? [patterned(frame.seq * 40, frame.seq), patterned(3, frame.seq)] : []
          expect(Buffer.compare(body, joined(sent))).toBe(0)
        }
      }
    })

    test('to null go to every connected peer, and to nobody else', async () => {
      const [n1, n2, n3] = (await open().addAll('n1', 'n2', 'n3')) as [Node, Node, Node]
      n1.send(null, 'data', 1)
      n1.send(null, 'control', 2)
      await lab.until(() => n2.frames.length === 2 && n3.frames.length === 2)
      expect([n1.frames.length, n2.seqs(n1, 'data'), n3.seqs(n1, 'control')]).toEqual([0, [1], [2]])
    })

    test('to a list go to each in it once, and to nobody else', async () => {
      const names = ['n1', 'n2', 'n3', 'n4']
      open()
      for (const name of names) await lab.add({ name, peers: names })
      const [n1, n2, n3, n4] = lab.nodes as [Node, Node, Node, Node]
      await lab.until(() => lab.nodes.every(a => lab.nodes.every(b => a === b || a.has('up', b.self))))
      const large = patterned(40 * KiB, 1)
      n1.transport.send([n2.self, n3.self], 'data', n1.frame(1))
      n1.transport.send([n2.self, n3.self], 'data', n1.frame(2, large))
      n1.transport.send([n2.self, n3.self, n4.self], 'data', n1.frame(3, large))
      n1.transport.send([n2.self, n4.self], 'control', n1.frame(4, large))
      n1.transport.send([n3.self], 'data', n1.frame(5, large))
      n1.transport.send([], 'data', n1.frame(6, large))
      await lab.until(() => n2.frames.length === 4 && n3.frames.length === 4 && n4.frames.length === 2)
      for (let i = 0; i < 20; i++) await lab.step()
      const seqs = (node: Node): number[] => node.frames.map(({ frame }) => frame.seq).sort()
      expect([n1, n2, n3, n4].map(seqs)).toEqual([[], [1, 2, 3, 4], [1, 2, 3, 5], [3, 4]])
      expect(new Set([n2, n3, n4].flatMap(node => node.frames.map(({ from }) => from)))).toEqual(
        new Set([n1.self]),
      )
    })

    test('of 16 MiB, and an empty one behind it', async () => {
      const [n1, n2] = (await open().addAll('n1', 'n2')) as [Node, Node]
      const body = [patterned(16 * MiB - 5, 1), patterned(5, 2)]
      n1.send(n2, 'data', 1, ...body)
      n1.send(n2, 'data', 2)
      await lab.until(() => n2.frames.length === 2)
      expect(Buffer.compare(joined(n2.frames[0]?.frame.segments[0]?.body ?? []), joined(body))).toBe(0)
      await lab.until(() => n1.transport.pending(n2.self) === 0)
    })

    test('leave with flush, and are told by drain after one wake', async () => {
      const [n1, n2] = (await open().addAll('n1', 'n2')) as [Node, Node]
      n1.send(n2, 'data', 1)
      expect(n1.transport.pending(n2.self)).toBeGreaterThan(0)
      for (let i = 0; i < 5; i++) await lab.network.pump()
      n2.drain()
      expect(n2.frames).toEqual([])
      const before = n2.wakes
      n1.transport.flush()
      while (n2.wakes === before) await lab.network.pump()
      expect(n2.frames).toEqual([])
      n2.drain()
      expect(n2.seqs(n1, 'data')).toEqual([1])
      expect(n2.wakes).toBe(before + 1)
    })

    test('to who is not connected are dropped and counted', async () => {
      const [n1] = (await open().addAll('n1', 'n2')) as [Node]
      n1.transport.send(`n9#${'9'.repeat(32)}`, 'data', n1.frame(1))
      expect(n1.transport.counters.droppedUnconnected).toBe(1)
      expect(n1.transport.pending(`n9#${'9'.repeat(32)}`)).toBe(0)
    })

    test('that a throwing handler did not see are told next time', async () => {
      const [n1, n2] = (await open().addAll('n1', 'n2')) as [Node, Node]
      for (const seq of range(3)) n1.send(n2, 'data', seq)
      n2.draining = false
      await lab.until(() => n2.transport.counters.framesIn === 3)
      const seen: number[] = []
      const failing = {
        onFrame: (from: MemberId, _lane: Lane, bytes: Slices): void => {
          seen.push(n2.decode(from, bytes).seq)
          if (seen.length === 1) throw new Error('a fault of the handler')
        },
        onPeer: (): void => undefined,
      }
      expect(() => n2.transport.drain(failing)).toThrow('a fault of the handler')
      n2.transport.drain(failing)
      expect(seen).toEqual([1, 2, 3])
    })
  })

  describe('connections', () => {
    test('reset ten times under load: no identity lost, nobody declared dead, order kept', async () => {
      const [n1, n2] = (await open().addAll('n1', 'n2')) as [Node, Node]
      let seq = 0
      for (let round = 1; round <= 10; round++) {
        for (let i = 0; i < 20; i++) {
          seq++
          n1.send(n2, 'data', seq, patterned(2000, seq))
          n2.send(n1, 'control', seq)
          if (i % 5 === 0) await lab.step()
        }
        lab.network.reset(n1.transport, n2.transport)
        const ups = (node: Node): number => node.events.filter(event => event.type === 'up').length
        await lab.until(() => ups(n1) > round && ups(n2) > round && n1.isUp(n2) && n2.isUp(n1))
      }
      n1.send(n2, 'data', ++seq)
      n2.send(n1, 'control', seq)
      await lab.until(() => n2.seqs(n1, 'data').at(-1) === seq && n1.seqs(n2, 'control').at(-1) === seq)
      expect(ascending(n2.seqs(n1, 'data')) && ascending(n1.seqs(n2, 'control'))).toBe(true)
      for (const node of [n1, n2]) {
        expect(node.events.filter(event => event.type === 'refused' || event.type === 'rejected')).toEqual([])
        expect(node.events.filter(event => event.type === 'down').length).toBeGreaterThanOrEqual(10)
        expect(node.transport.counters.reconnects).toBeGreaterThanOrEqual(10)
      }
    })

    test('a process that dies is told as refused, once, to everyone', async () => {
      const nodes = (await open().addAll('n1', 'n2', 'n3')) as [Node, Node, Node]
      for (const victim of [nodes[1], nodes[0]]) {
        await lab.network.kill(victim.transport)
        lab.nodes.splice(lab.nodes.indexOf(victim), 1)
        await lab.until(() => lab.nodes.every(node => node.has('refused', victim.self)))
        for (const node of lab.nodes) {
          const told = node.events.filter(event => event.member === victim.self).map(event => event.type)
          expect(told).toEqual(['up', 'down', 'refused'])
          expect(node.isUp(victim)).toBe(false)
        }
      }
    })

    test('a process that was restarted is another member', async () => {
      const [n1, n2] = (await open().addAll('n1', 'n2')) as [Node, Node]
      await lab.network.kill(n2.transport)
      lab.nodes.splice(lab.nodes.indexOf(n2), 1)
      const again = await lab.add({ name: 'n2' })
      await lab.until(() => n1.has('up', again.self) && again.has('up', n1.self))
      const told = n1.events
        .filter(event => event.type !== 'rejected')
        .map(event => [event.type, event.member])
      expect(told).toEqual([
        ['up', n2.self],
        ['down', n2.self],
        ['refused', n2.self],
        ['up', again.self],
      ])
      n1.send(again, 'data', 1)
      again.send(n1, 'data', 1)
      await lab.until(() => n1.frames.length === 1 && again.frames.length === 1)
      n1.transport.send(n2.self, 'data', n1.frame(2))
      expect(n1.transport.counters.droppedUnconnected).toBe(1)
    })

    test('closing hands over what was sent before', async () => {
      const [n1, n2] = (await open().addAll('n1', 'n2')) as [Node, Node]
      for (const seq of range(50)) n1.send(n2, 'data', seq, patterned(20 * KiB, seq))
      n1.send(n2, 'control', 1)
      const closing = n1.transport.close()
      lab.nodes.splice(lab.nodes.indexOf(n1), 1)
      await lab.until(() => n2.has('refused', n1.self))
      await closing
      expect(n2.seqs(n1, 'data')).toEqual(range(50))
      expect(n2.seqs(n1, 'control')).toEqual([1])
      await n1.transport.close()
    })
  })

  describe('who does not belong here is refused in words on both sides', () => {
    const cases: [string, Partial<TransportIdentity>, string, string][] = [
      [
        'cluster',
        { cluster: 'b' },
        'cluster id is "a" here and "b" there',
        'cluster id is "b" here and "a" there',
      ],
      ['cell', { cell: 'wan' }, 'cell is "main" here and "wan" there', 'cell is "wan" here and "main" there'],
      [
        'rules',
        rules('2', '"x*" -> wan\n'),
        'cells differ: only here ""*" -> main"; only there ""x*" -> wan"',
        'cells differ: only here ""x*" -> wan"; only there ""*" -> main"',
      ],
      [
        'version',
        { versions: { lowest: 2, highest: 3 } },
        'wire versions 1 are spoken here and 2–3 there',
        'wire versions 2–3 are spoken here and 1 there',
      ],
    ]
    for (const [what, identity, here, there] of cases) {
      test(`another ${what}`, async () => {
        const [n1, n2] = (await open().addAll('n1', 'n2')) as [Node, Node]
        const n3 = await lab.add({ name: 'n3', identity })
        await lab.until(() =>
          [n1, n2].every(node => node.has('rejected', n3.self) && n3.has('rejected', node.self)),
        )
        expect(new Set([...n1.reasons('rejected'), ...n2.reasons('rejected')])).toEqual(new Set([here]))
        expect(new Set(n3.reasons('rejected'))).toEqual(new Set([there]))
        expect(n3.events.every(event => event.type === 'rejected')).toBe(true)
        expect(n1.isUp(n2) && n1.events.length === 2).toBe(true)
        expect(n1.transport.counters.rejected).toBeGreaterThan(0)
      })
    }

    test('a second process of the same name', async () => {
      const [n1, n2] = (await open().addAll('n1', 'n2')) as [Node, Node]
      const second = await lab.add({ name: 'n2', peers: ['n1'], elsewhere: true })
      await lab.until(() => n1.has('rejected', second.self) && second.has('rejected', n1.self))
      const words = `"n2" is connected as ${n2.self}: ${second.self} is another process of the same name`
      expect(n1.reasons('rejected')).toEqual([words])
      expect(second.reasons('rejected')[0]).toContain(words)
      n1.send(n2, 'data', 1)
      await lab.until(() => n2.frames.length === 1)
      expect(n1.events.map(event => event.type)).toEqual(['up', 'rejected'])
    })

    test('a name that is not in the list', async () => {
      const n1 = await open().add({ name: 'n1', peers: ['n2'] })
      const n9 = await lab.add({ name: 'n9', peers: ['n1'] })
      await lab.until(() => n1.has('rejected', n9.self) && n9.has('rejected', n1.self))
      expect(n1.reasons('rejected')).toEqual(['"n9" is not in the list of peers of "n1"'])
      expect(n9.reasons('rejected')[0]).toContain('"n9" is not in the list of peers of "n1"')
    })
  })

  describe('bounds', () => {
    test('a peer that does not read: its queue is bounded, control passes, others do not notice', async () => {
      const limits = { dataQueueBytes: MiB }
      const n1 = await open().add({ name: 'n1', limits, holdable: true })
      const n2 = await lab.add({ name: 'n2', holdable: true })
      const n3 = await lab.add({ name: 'n3', holdable: true })
      await lab.until(() => n1.has('up', n2.self) && n1.has('up', n3.self))
      lab.network.hold(n1.transport, n2.transport, 'data', true)
      let seq = 0
      while (n1.transport.counters.droppedFull < 20) {
        n1.send(null, 'data', ++seq, patterned(64 * KiB, seq))
        await lab.step()
        expect(n1.transport.pending(n2.self)).toBeLessThanOrEqual(MiB + KiB)
      }
      n1.send(null, 'control', 1)
      await lab.until(() => n2.seqs(n1, 'control').length === 1 && n3.seqs(n1, 'data').length === seq)
      expect(n3.seqs(n1, 'data')).toEqual(range(seq))
      lab.network.hold(n1.transport, n2.transport, 'data', false)
      await lab.until(() => n1.transport.pending(n2.self) === 0)
      n1.send(n2, 'data', ++seq)
      await lab.until(() => n2.seqs(n1, 'data').at(-1) === seq)
      const got = n2.seqs(n1, 'data')
      expect(ascending(got)).toBe(true)
      expect(got.length).toBe(seq - n1.transport.counters.droppedFull)
    })

    test('a host that does not drain stops being read, and loses nothing', async () => {
      const n1 = await open().add({ name: 'n1' })
      const n2 = await lab.add({ name: 'n2', limits: { dataInboxBytes: MiB } })
      await lab.until(() => n1.has('up', n2.self) && n2.has('up', n1.self))
      n2.draining = false
      const count = 600
      for (const seq of range(count)) n1.send(n2, 'data', seq, patterned(64 * KiB, seq))
      await lab.until(() => n2.transport.counters.readPauses > 0)
      for (let i = 0; i < 20; i++) await lab.step()
      expect(n2.transport.counters.framesIn).toBeLessThan(count)
      n2.draining = true
      await lab.until(() => n2.frames.length === count)
      expect(n2.seqs(n1, 'data')).toEqual(range(count))
    })
  })
}
