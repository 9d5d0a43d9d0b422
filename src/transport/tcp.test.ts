import { connect, createServer, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ENVELOPE_BYTES } from '../codec/envelope.ts'
import { joined } from '../codec/frames.fixture.ts'
import { decodeHello, encodeHello, type Hello, helloLength } from '../codec/handshake.ts'
import { FrameEncoder } from '../codec/peer.ts'
import type { Lane } from '../core/frames.ts'
import { crc32 } from '../lib/crc32.ts'
import { makeHello } from './agreement.ts'
import { conformance, Lab, Node } from './conformance.fixture.ts'
import { drawHost, PORT, TcpNetwork } from './tcp.fixture.ts'
import { TcpTransport, type TcpTransportOptions } from './tcp.ts'
import { TransportError } from './transport.ts'

describe('the TCP mesh', () => conformance(() => new TcpNetwork()))

const N3 = `n3#${'3'.repeat(32)}`

function helloOf(lane: Lane, changes: Partial<Hello> = {}): Hello {
  return {
    ...makeHello({ ...TcpNetwork.identity, self: N3 }, { lane, port: 0, expected: 'n1' }),
    ...changes,
  }
}

function answerIn(received: Uint8Array): Hello | null {
  const length = helloLength(received)
  return length === 0 || received.length < length ? null : decodeHello(received.subarray(0, length), crc32)
}

describe('strangers', () => {
  let network: TcpNetwork
  let lab: Lab
  let n1: Node
  let n2: Node
  const sockets: Socket[] = []

  beforeEach(async () => {
    network = new TcpNetwork({ handshakeTimeoutMs: 300 })
    lab = new Lab(network)
    ;[n1, n2] = (await lab.addAll('n1', 'n2')) as [Node, Node]
  })
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy()
    await lab.close()
  })

  function dial(): Socket & { closedByPeer: boolean; received: Buffer } {
    const socket = Object.assign(connect({ host: network.host('n1'), port: PORT }), {
      closedByPeer: false,
      received: Buffer.alloc(0),
    })
    socket.on('error', () => undefined)
    socket.on('data', chunk => (socket.received = Buffer.concat([socket.received, chunk])))
    socket.on('close', () => (socket.closedByPeer = true))
    sockets.push(socket)
    return socket
  }

  /** n1 and n2 go on as if nothing had happened. */
  async function undisturbed(): Promise<void> {
    n1.send(n2, 'data', 1)
    n2.send(n1, 'control', 1)
    await lab.until(() => n2.frames.length === 1 && n1.frames.length === 1)
    const aboutPeers = n1.events.filter(event => event.type !== 'rejected')
    expect(aboutPeers.map(event => event.type)).toEqual(['up'])
  }

  const frameOf4GiB = new Uint8Array(ENVELOPE_BYTES)
  frameOf4GiB.set([0x41, 0x4e, 0x41, 0x5a])
  frameOf4GiB.fill(0xff, 8, 12)
  const helloOf4GiB = frameOf4GiB.slice()
  helloOf4GiB[3] = 0x48

  for (const [what, bytes, reason] of [
    ['random bytes', Buffer.from('GET / HTTP/1.1\r\n\r\n'), 'wrong magic'],
    ['one wrong byte', Buffer.from([0]), 'wrong magic'],
    ['a frame instead of a hello', frameOf4GiB, 'wrong magic'],
    ['a hello of 4 GiB', helloOf4GiB, 'hello of 4294967295 bytes'],
  ] as const) {
    test(`${what}: closed, counted, told once`, async () => {
      for (let i = 1; i <= 3; i++) {
        const socket = dial()
        socket.write(bytes)
        await lab.until(() => socket.closedByPeer)
        expect(socket.received.length).toBe(0)
        expect(n1.transport.counters.garbage).toBe(i)
      }
      await lab.until(() => n1.reasons('rejected').length > 0)
      expect(n1.reasons('rejected')).toHaveLength(1)
      expect(n1.reasons('rejected')[0]).toContain(reason)
      await undisturbed()
    })
  }

  test('silence, and half a hello: closed when the time is over', async () => {
    const silent = dial()
    const half = dial()
    half.write(encodeHello(helloOf('control'), crc32).subarray(0, 20))
    await lab.until(() => silent.closedByPeer && half.closedByPeer)
    expect(n1.transport.counters.timeouts).toBe(2)
    expect([...n1.reasons('rejected')].sort()).toEqual([
      'no peer: nothing within 300 ms',
      'no peer: only 20 bytes of a hello within 300 ms',
    ])
    await undisturbed()
  })

  test('hundreds of connections that say nothing: no more than allowed are kept', async () => {
    const many = Array.from({ length: 400 }, () => dial())
    await lab.until(() => many.filter(socket => socket.closedByPeer).length >= 400 - 256)
    await undisturbed()
    await lab.until(() => many.every(socket => socket.closedByPeer))
    // At once, or, on a machine so busy that they do not come together, when their time was over.
    const { rejected, timeouts } = n1.transport.counters
    expect(rejected + timeouts).toBeGreaterThanOrEqual(400)
  })

  async function enter(lane: Lane): Promise<ReturnType<typeof dial>> {
    const socket = dial()
    socket.write(encodeHello(helloOf(lane), crc32))
    await lab.until(() => answerIn(socket.received) !== null)
    expect(answerIn(socket.received)?.verdict).toBe('accepted')
    return socket
  }

  for (const [what, bytes] of [
    ['a frame of 4 GiB', frameOf4GiB],
    ['garbage', Buffer.from('not a frame at all')],
  ] as const) {
    test(`${what} after the handshake: that peer is disconnected`, async () => {
      const control = await enter('control')
      const data = await enter('data')
      await lab.until(() => n1.has('up', N3))
      data.write(bytes)
      await lab.until(() => data.closedByPeer && n1.has('down', N3))
      expect(control.closedByPeer).toBe(false)
      expect(n1.transport.counters.garbage).toBe(1)
      expect(n1.reasons('down')[0]).toMatch(/^data lane: the stream is broken: /)
    })
  }

  test('half a frame, then the end; frames before it arrived', async () => {
    const data = await enter('data')
    const frame = joined(
      new FrameEncoder({ cell: 'main', self: N3, crc32 }).encode({ kind: 'challenge', nonce: 7 }).slices,
    )
    data.write(joined([frame, frame.subarray(0, 30)]))
    data.end()
    await lab.until(() => data.closedByPeer)
    await lab.until(() => n1.frames.length === 1)
    expect(n1.frames[0]).toMatchObject({ from: N3, lane: 'data', frame: { kind: 'challenge', nonce: 7 } })
  })

  test('a frame that came in one piece with the hello is not lost', async () => {
    const socket = dial()
    const frame = joined(
      new FrameEncoder({ cell: 'main', self: N3, crc32 }).encode({ kind: 'challenge', nonce: 8 }).slices,
    )
    socket.write(joined([encodeHello(helloOf('control'), crc32), frame]))
    await lab.until(() => n1.frames.length === 1)
  })

  test('whoever means to reach another is told so', async () => {
    const socket = dial()
    socket.write(encodeHello(helloOf('control', { expected: 'n2' }), crc32))
    await lab.until(() => socket.closedByPeer)
    const words = '"n2" is expected at this address, but it is "n1"'
    expect(answerIn(socket.received)).toMatchObject({ verdict: 'refused', reason: words })
    await lab.until(() => n1.reasons('rejected').includes(words))
  })

  test('a process of our own name, and a method of authentication that is not known here', async () => {
    const namesake = dial()
    namesake.write(encodeHello(helloOf('control', { member: `n1#${'a'.repeat(32)}` }), crc32))
    const bytes = encodeHello(helloOf('control'), crc32)
    bytes[20] = 9
    new DataView(bytes.buffer, bytes.byteOffset).setUint32(4, crc32(bytes.subarray(8)), true)
    const method = dial()
    method.write(bytes)
    await lab.until(() => namesake.closedByPeer && method.closedByPeer)
    await lab.until(() => n1.reasons('rejected').length === 2)
    expect(answerIn(namesake.received)?.reason).toContain('"n1" is already running as')
    expect(answerIn(method.received)?.reason).toBe('authentication is "none" here and "method 9" there')
  })
})

describe('alone', () => {
  const transports: Node[] = []
  const servers: Server[] = []
  afterEach(async () => {
    await Promise.all(transports.splice(0).map(node => node.transport.close()))
    for (const server of servers.splice(0)) server.close()
  })

  async function start(name: string, options: Partial<TcpTransportOptions>): Promise<Node> {
    const transport = new TcpTransport({
      ...TcpNetwork.identity,
      self: `${name}#${'0'.repeat(32)}`,
      listen: { host: '127.0.0.1', port: 0 },
      peers: [],
      wake: () => undefined,
      ...options,
    })
    const node = new Node(transport)
    transports.push(node)
    await transport.start()
    return node
  }

  async function until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise(resolve => {
        setImmediate(resolve)
      })
      for (const node of transports) {
        node.transport.flush()
        node.drain()
      }
    }
  }

  test('an address in use is refused in words', async () => {
    const first = await start('n1', {})
    const { port } = first.transport as TcpTransport
    expect(port).toBeGreaterThan(0)
    const second = start('n2', { listen: { host: '127.0.0.1', port } })
    await expect(second).rejects.toThrow(
      `cannot accept peers on 127.0.0.1:${port}: another process listens there`,
    )
    await expect(second).rejects.toBeInstanceOf(TransportError)
  })

  test('an address in the list that leads to oneself is recognised', async () => {
    const host = drawHost()
    const n1 = await start('n1', {
      listen: { host, port: PORT },
      peers: [
        { name: 'n1', host, port: PORT },
        { name: 'n2', host, port: PORT },
      ],
    })
    await until(() => n1.reasons('rejected').length >= 2)
    expect(n1.reasons('rejected')[0]).toBe(
      '"n1" has connected to itself: the address given for "n2" is its own',
    )
    expect(n1.transport.peers().map(peer => peer.name)).toEqual(['n2'])
  })

  test('an address at which another daemon answers is told on both sides', async () => {
    const hosts = [drawHost(), drawHost()] as const
    const peers = [
      { name: 'n1', host: hosts[0], port: PORT },
      { name: 'n2', host: hosts[1], port: PORT },
      { name: 'n3', host: hosts[1], port: PORT },
    ]
    const n1 = await start('n1', { listen: { host: hosts[0], port: PORT }, peers })
    const n2 = await start('n2', { listen: { host: hosts[1], port: PORT }, peers })
    const words = '"n3" is expected at this address, but it is "n2"'
    await until(
      () => n1.has('up', n2.self) && [n1, n2].every(n => n.reasons('rejected').some(r => r.includes(words))),
    )
  })

  test('open: who knows nobody is known by nobody, and is still taken in, told when it dies, and forgotten', async () => {
    const n1 = await start('n1', { open: true })
    const { port } = n1.transport as TcpTransport
    const n0 = await start('n0', { peers: [{ name: 'n1', host: '127.0.0.1', port }], open: true })
    const n2 = await start('n2', { peers: [{ name: 'n1', host: '127.0.0.1', port }], open: true })
    await until(() => [n0, n2].every(node => node.has('up', n1.self) && n1.has('up', node.self)))
    n1.send(null, 'data', 1)
    await until(() => n0.frames.length === 1 && n2.frames.length === 1)
    for (const node of [n0, n2]) {
      await node.transport.close()
      await until(() => n1.has('refused', node.self))
    }
    expect(n1.transport.peers()).toEqual([])
  })

  test('a server that answers garbage is told, and tried again', async () => {
    const host = drawHost()
    let asked = 0
    const server = createServer(socket => {
      asked++
      socket.on('error', () => undefined)
      socket.end('220 mail.example ESMTP\r\n')
    })
    servers.push(server)
    await new Promise<void>(resolve => server.listen({ host, port: PORT }, resolve))
    const n1 = await start('n1', { peers: [{ name: 'n2', host, port: PORT }] })
    await until(() => asked >= 6)
    expect(n1.events).toHaveLength(1)
    expect(n1.reasons('rejected')[0]).toContain('what answers is no peer')
    expect(n1.has('refused', 'n2')).toBe(false)
  })

  test('a frame that does not end, for a flipped bit in its length, costs the connection', async () => {
    const hosts = [drawHost(), drawHost()] as const
    const peers = hosts.map((host, i) => ({ name: `n${i + 1}`, host, port: PORT }))
    const n1 = await start('n1', {
      peers,
      listen: { host: hosts[0], port: PORT },
      timeouts: { idleTimeoutMs: 400 },
    })
    const self = `n2#${'2'.repeat(32)}`
    const frame = joined(
      new FrameEncoder({ cell: 'main', self, crc32 }).encode({ kind: 'challenge', nonce: 7 }).slices,
    )
    const longer = frame.slice()
    longer[10] = (longer[10] as number) ^ 16
    const enter = (lane: Lane): Socket => {
      const socket = connect({ host: hosts[0], port: PORT })
      socket.on('error', () => undefined)
      socket.write(encodeHello({ ...helloOf(lane, { expected: 'n1' }), member: self }, crc32))
      return socket
    }
    const [control, data] = [enter('control'), enter('data')]
    await until(() => n1.has('up', self))
    control.write(longer)
    // Something comes on both lanes all the time: it is not silence that ends this.
    const talk = setInterval(() => {
      data.write(frame)
      control.write(frame)
    }, 20)
    await until(() => n1.reasons('down').length > 0)
    clearInterval(talk)
    expect(n1.reasons('down')[0]).toBe('control lane: a frame that began 500 ms ago has not ended')
    expect(n1.frames.every(({ lane }) => lane === 'data')).toBe(true)
    data.destroy()
  })

  test('a peer that falls silent is disconnected and, as it answers, connected again', async () => {
    const hosts = [drawHost(), drawHost()] as const
    const peers = hosts.map((host, i) => ({ name: `n${i + 1}`, host, port: PORT }))
    const options = { peers, timeouts: { idleTimeoutMs: 400 } }
    const n1 = await start('n1', { ...options, listen: { host: hosts[0], port: PORT } })
    const n2 = await start('n2', {
      ...options,
      listen: { host: hosts[1], port: PORT },
      timeouts: { idleTimeoutMs: 0 },
    })
    // n1 talks, n2 does not.
    let seq = 0
    const talk = setInterval(() => n1.send(n2, 'control', ++seq), 20)
    await until(() => n1.reasons('down').length > 0)
    expect(n1.reasons('down')[0]).toBe('control lane: nothing received for 400 ms')
    await until(() => n1.events.filter(event => event.type === 'up').length === 2)
    clearInterval(talk)
    expect(n1.events.filter(event => event.type === 'refused')).toEqual([])
  })
})
