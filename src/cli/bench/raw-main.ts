/**
 * Entry of a process that moves bytes over plain sockets, for the limit that there is without any protocol:
 *
 *     raw-main relay   SOCKET HOST:PORT PEER…         as a daemon: a client over a unix socket, peers over TCP
 *     raw-main client  SOCKET SIZE                    as a client of it
 *     raw-main direct  HOST:PORT SIZE PEER…           both in one, without a client
 *
 * Those with peers say when they listen, and connect to them at a line `dial`. Each says when it is ready. Those that send obey the lines of `task.ts`; of RATE only 0 and -1 are known.
 */

import { once } from 'node:events'
import net from 'node:net'
import { createInterface } from 'node:readline'
import { nowMicros } from './payload.ts'
import type { Answer } from './task.ts'

/** What may wait in one socket before its sources are held. */
const waitingBytes = 1 << 20
/** Bytes of one write, or a message if that is longer. */
const writeBytes = 65_536

const input = createInterface({ input: process.stdin }).once('close', () => process.exit(0))

function say(answer: Answer): void {
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}

/** Resolves with a connection; whoever listens may not have begun. */
async function dial(where: net.NetConnectOpts): Promise<net.Socket> {
  for (;;) {
    const socket = net.connect(where)
    const error = await new Promise<unknown>(resolve => {
      socket.once('error', resolve)
      socket.once('connect', () => resolve(null))
    })
    if (error === null) return socket.setNoDelay(true)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

function place(address: string): { readonly host: string; readonly port: number } {
  const colon = address.lastIndexOf(':')
  return { host: address.slice(0, colon), port: Number(address.slice(colon + 1)) }
}

/** Once it listens, a promise of so many connections. */
async function accept(where: net.ListenOptions, count: number): Promise<() => Promise<net.Socket[]>> {
  const sockets: net.Socket[] = []
  const server = net.createServer()
  const all = new Promise<net.Socket[]>(resolve => {
    server.on('connection', socket => {
      sockets.push(socket.setNoDelay(true))
      if (sockets.length < count) return
      server.close()
      resolve(sockets)
    })
  })
  server.listen(where)
  await once(server, 'listening')
  return () => all
}

interface Peers {
  readonly incoming: readonly net.Socket[]
  readonly outgoing: readonly net.Socket[]
}

/** Connections with all peers, once all of them listen: a link between them accepts what nobody listens to, too. */
async function meet(own: string, peers: readonly string[]): Promise<Peers> {
  const accepted = await accept(place(own), peers.length)
  say({ type: 'listening' })
  await once(input, 'line')
  const outgoing = await Promise.all(peers.map(peer => dial(place(peer))))
  return { incoming: await accepted(), outgoing }
}

/** Passes on what comes, to all of these; reads no more while one of them cannot keep up. */
function forward(from: net.Socket, to: readonly net.Socket[]): void {
  let full = 0
  const onDrain = (): void => {
    if (--full === 0) from.resume()
  }
  from.on('data', (chunk: Buffer) => {
    for (const socket of to) {
      if (socket.write(chunk) || socket.writableLength < waitingBytes) continue
      if (full++ === 0) from.pause()
      socket.once('drain', onDrain)
    }
  })
}

async function relay([path = '', own = '', ...peers]: readonly string[]): Promise<void> {
  const clients = await accept({ path }, 1)
  const { incoming, outgoing } = await meet(own, peers)
  say({ type: 'ready' })
  const [client] = await clients()
  if (client === undefined) return
  forward(client, [client, ...outgoing])
  for (const socket of incoming) forward(socket, [client])
}

/** Counts bytes, and measures when it is told to. */
class Counter {
  bytes = 0
  stopped = false
  private readonly size: number
  private readonly flood: () => void

  /** @param flood begins to send. */
  constructor(size: number, flood: () => void) {
    this.size = size
    this.flood = flood
    input.on('line', line => this.obey(line.split(' ')))
  }

  private obey([command, rate, , , warm, seconds]: readonly string[]): void {
    if (command === 'quit') process.exit(0)
    if (command === 'stop') this.stopped = true
    if (command !== 'work') return
    if (rate === '0') this.flood()
    setTimeout(() => this.measure(Number(seconds)), Number(warm) * 1000)
  }

  private measure(seconds: number): void {
    const { bytes } = this
    const from = nowMicros()
    say({ type: 'began' })
    setTimeout(() => {
      const moved = this.bytes - bytes
      const messages = moved / this.size
      const rest = { sent: 0, bySender: [], own: [], cross: [], marked: [] }
      say({ type: 'measured', seconds: (nowMicros() - from) / 1e6, messages, bytes: moved, ...rest })
    }, seconds * 1000)
  }
}

async function client([path = '', size = '']: readonly string[]): Promise<void> {
  const socket = await dial({ path })
  const chunk = Buffer.alloc(Math.max(writeBytes, Number(size)), 65)
  let isTalking = false
  const counter = new Counter(Number(size), () => {
    isTalking = true
    write()
  })
  const write = (): void => {
    if (!isTalking || counter.stopped) return
    while (socket.writableLength < waitingBytes) socket.write(chunk)
  }
  socket.on('drain', write)
  socket.on('data', (data: Buffer) => {
    counter.bytes += data.length
  })
  say({ type: 'ready' })
}

async function direct([own = '', size = '', ...peers]: readonly string[]): Promise<void> {
  const { incoming, outgoing } = await meet(own, peers)
  const chunk = Buffer.alloc(Math.max(writeBytes, Number(size)), 65)
  let full = 0
  const write = (): void => {
    while (full === 0 && !counter.stopped) {
      counter.bytes += chunk.length
      for (const socket of outgoing) {
        if (socket.write(chunk) || socket.writableLength < waitingBytes) continue
        full++
        socket.once('drain', onDrain)
      }
    }
  }
  const onDrain = (): void => {
    if (--full === 0) write()
  }
  const counter = new Counter(Number(size), write)
  for (const socket of incoming) {
    socket.on('data', (data: Buffer) => {
      counter.bytes += data.length
    })
  }
  say({ type: 'ready' })
}

const [, , kind, ...words] = process.argv
if (kind === 'relay') await relay(words)
else if (kind === 'client') await client(words)
else await direct(words)
