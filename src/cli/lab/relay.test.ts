import { once } from 'node:events'
import net from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import { RelayLinks } from './links.ts'
import { Relay } from './relay.ts'
import { Weather } from './weather.ts'

/** A server that sends back what it gets, and its address. */
async function echo(): Promise<{ readonly address: string; readonly sockets: net.Socket[] }> {
  const sockets: net.Socket[] = []
  const server = net.createServer(socket => {
    sockets.push(socket)
    socket.on('error', () => {})
    socket.pipe(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { address: `127.0.0.1:${(server.address() as net.AddressInfo).port}`, sockets }
}

interface Caller {
  readonly socket: net.Socket
  /** Bytes that came. */
  readonly got: () => number
  readonly until: (bytes: number) => Promise<void>
}

async function call(address: string): Promise<Caller> {
  const socket = net.connect({ host: '127.0.0.1', port: Number(address.split(':')[1]) })
  socket.on('data', () => {})
  socket.on('error', () => {})
  onTestFinished(() => void socket.destroy())
  await once(socket, 'connect')
  const until = async (bytes: number): Promise<void> => {
    while (socket.bytesRead < bytes) await once(socket, 'data')
  }
  return { socket, got: () => socket.bytesRead, until }
}

function closed(socket: net.Socket): Promise<void> {
  return new Promise(resolve => {
    socket.once('close', () => resolve())
  })
}

async function relayTo(address: string, forth: Weather = new Weather(1)): Promise<Relay> {
  const relay = await Relay.listen(address, { forth })
  onTestFinished(() => relay.close())
  return relay
}

it('a relay passes everything on, of any size, and its end', async () => {
  const relay = await relayTo((await echo()).address)
  const caller = await call(relay.address)
  const bytes = 20 * 1024 * 1024
  caller.socket.write(new Uint8Array(bytes))
  await caller.until(bytes)
  caller.socket.end()
  await once(caller.socket, 'close')
  expect(caller.got()).toBe(bytes)
})

it('a stalled way loses nothing and tells nothing, not even an end', async () => {
  const weather = new Weather(1)
  const { address, sockets } = await echo()
  const relay = await relayTo(address, weather)
  const caller = await call(relay.address)
  caller.socket.write('one')
  await caller.until(3)
  weather.set({ stalled: true })
  caller.socket.end('two')
  // Another connection, on a way that is not stalled, is there and back several times in between.
  const other = await call((await relayTo(address)).address)
  for (let i = 1; i <= 20; i++) {
    other.socket.write('x')
    await other.until(i)
  }
  expect(sockets[0]?.bytesRead).toBe(3)
  expect(sockets[0]?.readableEnded).toBe(false)
  const ended = once(sockets[0] as net.Socket, 'end')
  weather.set({})
  await ended
  expect(sockets[0]?.bytesRead).toBe(6)
})

it('a slow way takes its time', async () => {
  const weather = new Weather(1)
  weather.set({ delayMs: 50, jitterMs: 5, bytesPerSecond: 1_000_000 })
  const relay = await relayTo((await echo()).address, weather)
  const caller = await call(relay.address)
  const began = performance.now()
  caller.socket.write(new Uint8Array(100_000))
  await caller.until(100_000)
  // 50 ms on the way, and 100 ms for the bytes; a timer may fire a little early.
  expect(performance.now() - began).toBeGreaterThan(140)
})

it('a reset reaches both ends', async () => {
  const { address, sockets } = await echo()
  const relay = await relayTo(address)
  const caller = await call(relay.address)
  caller.socket.write('x')
  await caller.until(1)
  const both = Promise.all([caller.socket, sockets[0] as net.Socket].map(closed))
  expect(relay.reset()).toBe(1)
  await both
})

it('links between three: what is cut is cut in both directions of dialling', async () => {
  const links = new RelayLinks(['a', 'b', 'c'])
  onTestFinished(() => links.close())
  const { address } = await echo()
  const ab = await call(await links.route('a', 'b', address))
  const ba = await call(await links.route('b', 'a', address))
  const ac = await call(await links.route('a', 'c', address))
  const send = (): void => [ab, ba, ac].forEach(({ socket }) => socket.write('x'))
  send()
  await Promise.all([ab, ba, ac].map(({ until }) => until(1)))
  links.split(['a', 'c'])
  send()
  await ac.until(2)
  expect([ab.got(), ba.got()]).toEqual([1, 1])
  links.heal()
  await Promise.all([ab, ba].map(({ until }) => until(2)))
  expect(() => links.dropNext('gossip', 'a', 'b')).toThrow('no frames of kind gossip')
  expect(() => links.dropNext('form', 'a', 'd')).toThrow('no way from a to d')
})
