import { createSocket } from 'node:dgram'
import { afterEach, describe, expect, test } from 'vitest'
import { encodeFeedback, encodePieceHeader, encodeProbe } from '../codec/datagram.ts'
import { crc32 } from '../lib/crc32.ts'
import { conformance, Lab, type Node } from './conformance.fixture.ts'
import { PORT, turn } from './tcp.fixture.ts'
import { type Faults, UdpNetwork, type UdpNetworkOptions } from './udp.fixture.ts'
import type { UdpTransport } from './udp.ts'
import { openDatagramSocket } from './udp-socket.ts'

const LOOPBACK_MTU_BYTES = 65_535
const ETHERNET_MTU_BYTES = 1500
const faulty: Partial<Faults> = { lose: 0.05, double: 0.05, overtaken: 0.05 }

for (const multicast of [false, true]) {
  const mtuBytes = LOOPBACK_MTU_BYTES
  const what = multicast ? 'multicast' : 'datagrams to each peer'
  describe(what, () => conformance(() => new UdpNetwork({ mtuBytes, multicast })))
}

describe('datagrams of which some are lost, doubled and overtaken', () =>
  conformance(() => new UdpNetwork({ mtuBytes: LOOPBACK_MTU_BYTES, faults: faulty })))

let network: UdpNetwork
let lab: Lab = new Lab(new UdpNetwork({ mtuBytes: ETHERNET_MTU_BYTES }))
afterEach(() => lab.close())

const udp = (node: Node): UdpTransport => node.transport as UdpTransport

function carrier(from: Node, to: Node): string {
  const info = from.transport.peers().find(({ member }) => member === to.self)
  return info?.carrier ?? 'connection'
}

/** Nodes that all follow each other. */
async function scene(options: Partial<UdpNetworkOptions>, names: readonly string[]): Promise<Node[]> {
  network = new UdpNetwork({ mtuBytes: ETHERNET_MTU_BYTES, ...options })
  lab = new Lab(network)
  const nodes: Node[] = []
  for (const name of names) nodes.push(await lab.add({ name, peers: names }))
  await lab.until(() => nodes.every(a => nodes.every(b => a === b || carrier(a, b) !== 'connection')))
  return nodes
}

let seq = 0
/** Sends a frame to a list. @returns its number. */
function sendTo(from: Node, to: readonly Node[], bytes: number): number {
  const body = new Uint8Array(bytes).fill(++seq)
  from.transport.send(
    to.map(({ self }) => self),
    'data',
    from.frame(seq, body),
  )
  return seq
}

const two = ['n1', 'n2']
const three = ['n1', 'n2', 'n3']

for (const multicast of [false, true]) {
  describe(multicast ? 'by multicast' : 'to each peer', () => {
    for (const [what, faults] of [
      ['a network that fails in every way', { lose: 0.1, double: 0.1, overtaken: 0.1 }],
      ['sockets that hold little', { mostInTurn: 20 }],
    ] as const) {
      test(`${what}: nothing is missing, repeated or overtaken, and no datagram too long`, async () => {
        const nodes = await scene({ multicast, faults }, three)
        const sent = new Map<Node, number[]>(nodes.map(node => [node, []]))
        for (let round = 0; round < 60; round++) {
          for (const node of nodes) {
            const others = nodes.filter(other => other !== node)
            for (const bytes of [10, 500, round * 1000]) sent.get(node)?.push(sendTo(node, others, bytes))
          }
          await lab.step()
        }
        await lab.until(() => nodes.every(node => node.frames.length === 2 * 180))
        for (const to of nodes) {
          for (const from of nodes) if (from !== to) expect(to.seqs(from, 'data')).toEqual(sent.get(from))
        }
        expect(network.longestBytes).toBe(ETHERNET_MTU_BYTES - 28)
        for (const { datagrams, counters } of nodes.map(udp)) {
          expect(datagrams.resent).toBeGreaterThan(0)
          expect(counters.garbage + counters.droppedFull).toBe(0)
        }
      })
    }

    test('who does not hear datagrams any more gets everything over the connection, until it hears', async () => {
      const [n1, n2, n3] = (await scene({ multicast }, three)) as [Node, Node, Node]
      const sent: number[] = []
      const talk = async (until: () => boolean): Promise<void> => {
        while (!until()) {
          sent.push(sendTo(n1, [n2, n3], 3000))
          await lab.step()
        }
      }
      await talk(() => n2.frames.length > 20)
      network.holdDatagrams(n1.transport, n2.transport, true)
      await talk(() => carrier(n1, n2) === 'connection' && n2.frames.length > 40)
      expect(carrier(n1, n3)).not.toBe('connection')
      network.holdDatagrams(n1.transport, n2.transport, false)
      await talk(() => carrier(n1, n2) !== 'connection')
      await talk(() => n2.frames.length > 80)
      await lab.until(() => n2.frames.length === sent.length && n3.frames.length === sent.length)
      expect([n2.seqs(n1, 'data'), n3.seqs(n1, 'data')]).toEqual([sent, sent])
      expect(udp(n1).datagrams).toMatchObject({ attached: 3, detached: 1 })
      expect(n1.events.filter(({ type }) => type !== 'up')).toEqual([])
    })

    test('where only short datagrams pass, the connections are kept', async () => {
      network = new UdpNetwork({
        mtuBytes: ETHERNET_MTU_BYTES,
        multicast,
        faults: { longestBytes: ETHERNET_MTU_BYTES - 29 },
      })
      lab = new Lab(network)
      const [n1, n2] = (await lab.addAll(...two)) as [Node, Node]
      for (let probes = 0; probes < 3; probes = udp(n1).datagrams.out) await lab.step()
      const number = sendTo(n1, [n2], 5000)
      await lab.until(() => n2.frames.length === 1)
      expect(n2.seqs(n1, 'data')).toEqual([number])
      expect(carrier(n1, n2)).toBe('connection')
    })
  })
}

async function undisturbed(n1: Node, n2: Node): Promise<void> {
  const numbers = [sendTo(n1, [n2], 10_000), sendTo(n2, [n1], 10_000)]
  await lab.until(() => n1.frames.length + n2.frames.length === 2)
  expect([n2.seqs(n1, 'data'), n1.seqs(n2, 'data')]).toEqual(numbers.map(number => [number]))
}

/** Sends datagrams to where n1 receives, and waits until it has seen them. */
async function throwAt(n1: Node, ...datagrams: readonly Uint8Array[]): Promise<void> {
  const before = udp(n1).datagrams.foreign
  const socket = createSocket('udp4')
  for (const datagram of datagrams) socket.send(datagram, PORT, network.host('n1'))
  await lab.until(() => udp(n1).datagrams.foreign === before + datagrams.length)
  socket.close()
}

describe('strangers', () => {
  test('whatever they send is dropped and counted', async () => {
    const [n1, n2] = (await scene({}, two)) as [Node, Node]
    const key = { low: 1, high: 2 }
    const position = { attached: true, paused: false, expected: 9, attachment: 1, probe: 1, gaps: [] }
    await throwAt(
      n1,
      new Uint8Array(0),
      Buffer.from('GET / HTTP/1.1\r\n\r\n'),
      new Uint8Array(1400).fill(0xff),
      Buffer.concat([encodePieceHeader(key, 0), new Uint8Array(100)]),
      encodeProbe(key, 1, 1472),
      encodeFeedback({ key, ...position }, crc32),
    )
    await undisturbed(n1, n2)
  })

  test('a datagram of an earlier connection is a stranger’s', async () => {
    const [n1, n2] = (await scene({}, two)) as [Node, Node]
    sendTo(n2, [n1], 10)
    await lab.until(() => n1.frames.length === 1)
    const { bytes } = network.lastPiece as { bytes: Uint8Array }
    network.reset(n1.transport, n2.transport)
    await lab.until(() => n1.reasons('down').length > 0 && carrier(n2, n1) === 'udp' && n1.isUp(n2))
    await throwAt(n1, bytes)
    n1.frames.length = 0
    await undisturbed(n1, n2)
  })
})

describe('multicast', () => {
  test('one datagram reaches all', async () => {
    const [n1, n2, n3] = (await scene({ multicast: true }, three)) as [Node, Node, Node]
    sendTo(n1, [n2, n3], 1)
    await lab.until(() => n2.frames.length === 1 && n3.frames.length === 1)
    const { datagrams, counters } = udp(n1)
    const before = { ...datagrams, bytesOut: counters.bytesOut }
    for (let i = 0; i < 50; i++) sendTo(n1, [n2, n3], 10_000)
    await lab.until(() => n2.frames.length === 51 && n3.frames.length === 51)
    // A busy machine may be slow to acknowledge; what is sent again for that is no copy that was meant.
    const again = (datagrams.resent - before.resent) * (ETHERNET_MTU_BYTES - 28)
    expect(counters.bytesOut - before.bytesOut - again).toBeLessThan(1.5 * 50 * 10_000)
  })

  test('who does not hear the group gets copies over the connection, and others do not notice', async () => {
    network = new UdpNetwork({ mtuBytes: ETHERNET_MTU_BYTES, multicast: true })
    network.deaf.add('n3')
    lab = new Lab(network)
    const [n1, n2, n3] = (await lab.addAll(...three)) as [Node, Node, Node]
    await lab.until(() => carrier(n1, n2) === 'multicast')
    const sent = Array.from({ length: 50 }, () => sendTo(n1, [n2, n3], 1000))
    await lab.until(() => n2.frames.length === 50 && n3.frames.length === 50)
    expect([n2.seqs(n1, 'data'), n3.seqs(n1, 'data')]).toEqual([sent, sent])
    expect(carrier(n1, n3)).toBe('connection')
  })

  test('what is for some is not heard by others', async () => {
    const names = [...three, 'n4']
    const [n1, n2, n3, n4] = (await scene({ multicast: true }, names)) as [Node, Node, Node, Node]
    const sent: number[] = []
    // At first as copies; then the one for whom nothing is leaves the stream, and multicast serves the others.
    while (carrier(n1, n4) !== 'connection') sent.push(sendTo(n1, [n2, n3], 5000))
    for (let i = 0; i < 20; i++) sent.push(sendTo(n1, [n2, n3], 5000))
    await lab.until(() => n2.frames.length === sent.length && n3.frames.length === sent.length)
    expect([carrier(n1, n2), carrier(n1, n3), n4.frames.length]).toEqual(['multicast', 'multicast', 0])
    const number = sendTo(n1, [n2, n3, n4], 5000)
    await lab.until(() => n4.frames.length === 1)
    expect(n4.seqs(n1, 'data')).toEqual([number])
    await lab.until(() => carrier(n1, n4) === 'multicast')
  })
})

const onMessage = (): void => undefined

describe('what cannot be listened on is said in words', () => {
  test.each([
    ['127.0.0.1', null, 'cannot receive datagrams on 127.0.0.1:'],
    ['10.254.254.254', null, 'cannot receive datagrams on 10.254.254.254:'],
    ['239.77.1.1', { interface: '10.254.254.254' }, 'cannot be a member of the multicast group 239.77.1.1:'],
  ] as const)('%s', async (host, membership, words) => {
    lab = new Lab(new UdpNetwork({ mtuBytes: ETHERNET_MTU_BYTES }))
    const first = await openDatagramSocket({ host: '127.0.0.1', port: 0, membership: null, onMessage })
    await turn()
    await expect(openDatagramSocket({ host, port: first.port, membership, onMessage })).rejects.toThrow(words)
    await first.close()
  })
})
