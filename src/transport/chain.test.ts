import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { KINDS, type Slices } from '../codec/envelope.ts'
import { joined } from '../codec/frames.fixture.ts'
import { FrameEncoder } from '../codec/peer.ts'
import { RelayCodec } from '../codec/relay.ts'
import { crc32 } from '../lib/crc32.ts'
import { CHAIN_FRAME_BYTES, type ChainOptions, ChainTransport } from './chain.ts'
import { conformance, Lab, type Network, type Node, type NodeOptions } from './conformance.fixture.ts'
import { memoryNetwork } from './memory.fixture.ts'
import { TcpNetwork } from './tcp.fixture.ts'
import type { RelayCounters, Transport } from './transport.ts'

/** Chains over the transports of another network. */
class ChainNetwork implements Network {
  readonly clock = { now: 0 }
  readonly #inner: Network
  readonly #options: Partial<ChainOptions>
  readonly #inners = new Map<Transport, Transport>()

  constructor(inner: Network, options: Partial<ChainOptions> = {}) {
    this.#inner = inner
    this.#options = options
  }

  async create(options: NodeOptions, self: string, wake: () => void): Promise<ChainTransport> {
    const inner = await this.#inner.create(options, self, wake)
    const chain = new ChainTransport(inner, {
      cell: 'main',
      silentAfterMs: 500,
      queueBytes: 1 << 20,
      now: () => this.clock.now,
      ...this.#options,
    })
    this.#inners.set(chain, inner)
    return chain
  }

  #of(chain: Transport): Transport {
    return this.#inners.get(chain) as Transport
  }

  pump(): Promise<void> {
    return this.#inner.pump()
  }

  reset(a: Transport, b: Transport): void {
    this.#inner.reset(this.#of(a), this.#of(b))
  }

  kill(transport: Transport): Promise<void> {
    return this.#inner.kill(this.#of(transport))
  }

  hold(...[from, to, lane, held]: Parameters<Network['hold']>): void {
    this.#inner.hold(this.#of(from), this.#of(to), lane, held)
  }

  close(): Promise<void> {
    return this.#inner.close()
  }
}

describe('a chain in memory', () => conformance(() => new ChainNetwork(memoryNetwork())))
describe('a chain over TCP', () => conformance(() => new ChainNetwork(new TcpNetwork())))

const NAMES = ['n1', 'n2', 'n3', 'n4', 'n5']
const large = new Uint8Array(64 * 1024).fill(7)

let lab: Lab
let network: ChainNetwork

type Five = [Node, Node, Node, Node, Node]

async function five(
  options: Partial<ChainOptions> = {},
  peers: Record<string, string[]> = {},
): Promise<Five> {
  network = new ChainNetwork(memoryNetwork(), options)
  lab = new Lab(network)
  const nodes: Node[] = []
  for (const [index, name] of NAMES.entries()) {
    const incarnation = `${index + 1}`.repeat(32)
    nodes.push(await lab.add({ name, incarnation, peers: peers[name] ?? NAMES }))
  }
  await settle()
  return nodes as Five
}

/** Until nothing moves any more; in memory that takes a step for each hop. */
async function settle(): Promise<void> {
  for (let i = 0; i < 12; i++) await lab.step()
}

function others(nodes: readonly Node[], from: Node): Node[] {
  return nodes.filter(node => node !== from)
}

function sendAll(nodes: readonly Node[], from: Node, seq: number, body: Uint8Array = large): number {
  const to = others(nodes, from).map(node => node.self)
  return from.transport.send(to, 'data', from.frame(seq, body))
}

function counters(nodes: readonly Node[], name: keyof RelayCounters): number[] {
  return nodes.map(node => (node.transport.relays as RelayCounters)[name])
}

/** Frames that each has of `from`. */
function has(nodes: readonly Node[], from: Node): number[][] {
  return nodes.map(node => node.seqs(from, 'data'))
}

describe('a large frame for many', () => {
  afterEach(() => lab.close())

  test('leaves its sender once, goes round from there, and comes to each once, as of its sender', async () => {
    const nodes = await five()
    const [n1, n2, n3, n4, n5] = nodes
    for (const seq of [1, 2, 3]) expect(sendAll(nodes, n3, seq)).toBe(1)
    await settle()
    expect(has([n4, n5, n1, n2], n3)).toEqual(Array.from({ length: 4 }, () => [1, 2, 3]))
    expect(n3.transport.counters.framesOut).toBe(3)
    expect(counters(nodes, 'given')).toEqual([0, 0, 3, 0, 0])
    expect(counters(nodes, 'out')).toEqual([3, 0, 0, 3, 3])
    expect(counters(nodes, 'in')).toEqual([3, 3, 0, 3, 3])
    expect(n1.transport.relays?.outBytes).toBeGreaterThan(3 * large.length)
    for (const name of ['bypassed', 'unreached', 'dropped'] as const) {
      expect(counters(nodes, name), name).toEqual([0, 0, 0, 0, 0])
    }
    const bodies = [n1, n2, n4, n5].flatMap(node =>
      node.frames.map(({ frame }) => frame.segments[0]?.body ?? []),
    )
    for (const body of bodies) expect(Buffer.compare(joined(body), large)).toBe(0)
  })

  test('leaves each member with the drain that brought it, whatever the rest of its turn takes', async () => {
    const nodes = await five()
    const [n1, n2, n3] = nodes
    sendAll(nodes, n1, 1)
    n1.transport.flush()
    await network.pump()
    n2.drain()
    await network.pump()
    n3.drain()
    expect(has([n2, n3], n1)).toEqual([[1], [1]])
  })

  test('goes directly if it is small, for one, or of another kind or lane', async () => {
    const nodes = await five()
    const [n1, n2, n3] = nodes
    sendAll(nodes, n1, 1, large.subarray(0, CHAIN_FRAME_BYTES / 2))
    n1.send(n2, 'data', 2, large)
    n1.transport.send([n3.self], 'data', n1.frame(3, large))
    n1.transport.send([n2.self, n3.self], 'control', n1.frame(4, large))
    n1.send(null, 'data', 5, large)
    await settle()
    expect(has(others(nodes, n1), n1)).toEqual([
      [1, 2, 5],
      [1, 3, 5],
      [1, 5],
      [1, 5],
    ])
    expect(counters(nodes, 'given')).toEqual([0, 0, 0, 0, 0])
  })

  test('finds another way to a member that one of the chain does not reach', async () => {
    const nodes = await five({}, { n3: ['n1', 'n2', 'n5'], n4: ['n1', 'n2', 'n5'] })
    const [n1, , n3, n4] = nodes
    expect(n3.isUp(n4)).toBe(false)
    sendAll(nodes, n1, 1)
    await settle()
    expect(has(others(nodes, n1), n1)).toEqual([[1], [1], [1], [1]])
    expect([n1.transport.counters.framesOut, ...counters(nodes, 'unreached')]).toEqual([1, 0, 0, 0, 0, 0])
  })

  test('is given up for a member that nobody reaches', async () => {
    const alone = ['n1']
    const nodes = await five({}, { n5: alone, n2: ['n1', 'n3', 'n4'], n3: ['n1', 'n2', 'n4'], n4: NAMES })
    const [n1, , , , n5] = nodes
    network.reset(n1.transport, n5.transport)
    sendAll(nodes, n1, 1)
    for (let i = 0; i < 4; i++) {
      for (const node of nodes) node.transport.flush()
      await network.pump()
      for (const node of nodes.slice(1)) node.drain()
    }
    expect(counters(nodes, 'unreached')).toEqual([0, 0, 0, 1, 0])
  })

  test('bypasses who was silent: it gets its own copy, and those behind it do not wait for it', async () => {
    const nodes = await five()
    const [n1, n2, n3, n4, n5] = nodes
    network.clock.now = 400
    for (const node of [n2, n4, n5]) node.send(n1, 'control', 1)
    await settle()
    network.clock.now = 600
    for (const node of [n1, n4, n5]) node.send(n2, 'control', 2)
    await settle()
    n3.draining = false
    sendAll(nodes, n1, 1)
    await settle()
    expect(has([n2, n4, n5], n1)).toEqual([[1], [1], [1]])
    n3.draining = true
    await settle()
    expect(has([n3], n1)).toEqual([[1]])
    expect(counters(nodes, 'bypassed')).toEqual([0, 1, 0, 0, 0])
    expect(counters([n1], 'given')).toEqual([1])
  })

  test('bypasses who does not take what waits for it', async () => {
    const nodes = await five({ queueBytes: 2 * large.length })
    const [n1, n2, n3] = nodes
    network.hold(n1.transport, n2.transport, 'data', true)
    for (let seq = 1; seq <= 6; seq++) {
      sendAll(nodes, n1, seq)
      await lab.step()
    }
    await settle()
    expect(has([n2, n3], n1)).toEqual([[], [3, 4, 5, 6]])
    expect(counters(nodes, 'bypassed')).toEqual([4, 0, 0, 0, 0])
    network.hold(n1.transport, n2.transport, 'data', false)
    await settle()
    expect(has([n2], n1)).toEqual([[1, 2, 3, 4, 5, 6]])
    expect(n3.seqs(n1, 'data').toSorted()).toEqual([1, 2, 3, 4, 5, 6])
  })

  test('that was on its way when a member died is lost to those behind it; the next goes round it', async () => {
    const nodes = await five()
    const [n1, n2, n3, n4, n5] = nodes
    sendAll(nodes, n1, 1)
    n1.transport.flush()
    await network.pump()
    n2.drain()
    await network.pump()
    await network.kill(n3.transport)
    lab.nodes.splice(lab.nodes.indexOf(n3), 1)
    await settle()
    expect(has([n2, n4, n5], n1)).toEqual([[1], [], []])
    sendAll(nodes, n1, 2)
    await settle()
    expect(has([n2, n4, n5], n1)).toEqual([[1, 2], [2], [2]])
  })
})

function relay(by: Node, origin: Node, rest: readonly Node[], frame: Slices): Slices {
  const codec = new RelayCodec({ cell: 'main', self: by.self, crc32 })
  return codec.encode({ origin: origin.self, rest: rest.map(node => node.self), frame })
}

describe('what nobody should pass on', () => {
  afterEach(() => lab.close())

  test('is dropped and counted: in circles, of ourselves, of strangers, of other kinds', async () => {
    const nodes = await five({}, { n1: ['n2', 'n3', 'n4'] })
    const [n1, n2, n3, , n5] = nodes
    const frame = n3.frame(1, large)
    const challenge = new FrameEncoder({ cell: 'main', self: n3.self, crc32 }).encode({
      kind: 'challenge',
      nonce: 1,
    })
    const bad = [
      relay(n2, n3, [n1], frame),
      relay(n2, n1, [], frame),
      relay(n2, n5, [], frame),
      relay(n2, n3, [], challenge),
    ]
    for (const each of bad) n2.transport.send(n1.self, 'data', each)
    await settle()
    expect(n1.frames).toEqual([])
    expect(counters([n1], 'dropped')).toEqual([bad.length])
    expect(counters([n1], 'in')).toEqual([0])
  })

  test('on the control lane it is a frame like others, which no decoder takes', async () => {
    const nodes = await five()
    const [n1, n2, n3] = nodes
    n2.transport.send(n1.self, 'control', relay(n2, n3, [], n3.frame(1, large)))
    await network.pump()
    n2.transport.flush()
    await network.pump()
    const kinds: number[] = []
    n1.transport.drain({
      onFrame: (_from, _lane, { slices }, by) =>
        void kinds.push(slices[0]?.[17] ?? 0, by === undefined ? 0 : 1),
      onPeer: () => undefined,
    })
    expect(kinds).toEqual([KINDS.relay, 0])
  })

  test('garbage behind a good envelope never throws', async () => {
    const nodes = await five()
    const [n1, n2, n3, n4] = nodes
    const good = joined(relay(n2, n3, [n4], n3.frame(1, large.subarray(0, 100))).slices)
    let sent = 0
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat({ max: good.length - 1 }), fc.nat({ max: 255 })), { minLength: 1 }),
        changes => {
          const bytes = good.slice()
          for (const [at, value] of changes) if (at >= 16 && at !== 17) bytes[at] = value
          const own = new DataView(bytes.buffer).getUint16(56, true)
          new DataView(bytes.buffer).setUint32(4, crc32(bytes.subarray(8, own)), true)
          n2.transport.send(n1.self, 'data', { bytes: bytes.length, slices: [bytes] })
          sent++
        },
      ),
    )
    await network.pump()
    n2.transport.flush()
    await network.pump()
    n1.transport.drain({ onFrame: () => undefined, onPeer: () => undefined })
    const [seen, dropped] = [counters([n1], 'in')[0], counters([n1], 'dropped')[0]]
    expect((seen ?? 0) + (dropped ?? 0)).toBe(sent)
  })
})
