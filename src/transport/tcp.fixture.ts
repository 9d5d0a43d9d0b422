/** TCP transports on loopback addresses of their own, with relays in between that can stop a lane. */

import { connect, createServer, type Server, type Socket } from 'node:net'
import type { Lane } from '../core/frames.ts'
import type { NodeOptions, Network } from './conformance.fixture.ts'
import type { TcpTimeouts } from './tcp-peer.ts'
import { TcpTransport, type TcpTransportOptions } from './tcp.ts'
import type { Transport, TransportIdentity } from './transport.ts'

export const PORT = 4803

/** Hosts 127.x.y.z, drawn, so that no test meets another's listeners nor ports that the system gives out. */
export function drawHost(): string {
  const draw = Math.floor(Math.random() * 250 ** 3)
  return `127.${1 + (draw % 250)}.${1 + (Math.floor(draw / 250) % 250)}.${1 + Math.floor(draw / 62_500)}`
}

/** Byte of a hello that tells the lane. */
const LANE_AT = 21

interface Passage {
  readonly sockets: readonly Socket[]
  readonly lane: Lane
  readonly from: string
  readonly to: string
}

/** Passes connections on to `to`, and stops reading from both ends while a lane is held. */
class Relay {
  readonly host: string = drawHost()
  readonly #server: Server
  readonly #from: string
  readonly #to: string
  readonly #toHost: () => string
  readonly #passages = new Set<Passage>()
  readonly #held = new Set<Lane>()

  constructor(from: string, to: string, toHost: () => string) {
    this.#from = from
    this.#to = to
    this.#toHost = toHost
    this.#server = createServer({ noDelay: true }, socket => this.#pass(socket))
  }

  listen(): Promise<void> {
    return new Promise(resolve => this.#server.listen({ host: this.host, port: PORT }, resolve))
  }

  #pass(near: Socket): void {
    const far = connect({ host: this.#toHost(), port: PORT, noDelay: true })
    let passage: Passage | null = null
    near.once('data', first => {
      passage = {
        sockets: [near, far],
        lane: first[LANE_AT] === 0 ? 'control' : 'data',
        from: this.#from,
        to: this.#to,
      }
      this.#passages.add(passage)
      far.write(first)
      forward(near, far)
      this.#apply(passage)
    })
    forward(far, near)
    for (const socket of [near, far]) {
      socket.on('error', () => undefined)
      socket.on('close', () => {
        if (passage !== null) this.#passages.delete(passage)
        near.destroy()
        far.destroy()
      })
    }
  }

  joins(a: string, b: string): boolean {
    return (this.#from === a && this.#to === b) || (this.#from === b && this.#to === a)
  }

  hold(lane: Lane, held: boolean): void {
    if (held) this.#held.add(lane)
    else this.#held.delete(lane)
    for (const passage of this.#passages) this.#apply(passage)
  }

  #apply(passage: Passage): void {
    for (const socket of passage.sockets) {
      if (this.#held.has(passage.lane)) socket.pause()
      else socket.resume()
    }
  }

  close(): Promise<void> {
    for (const { sockets } of this.#passages) for (const socket of sockets) socket.destroy()
    return new Promise(resolve => this.#server.close(() => resolve()))
  }
}

function forward(from: Socket, to: Socket): void {
  from.on('data', chunk => {
    if (!to.write(chunk)) {
      from.pause()
      to.once('drain', () => from.resume())
    }
  })
}

/** One turn of the event loop, in which sockets are read. */
export function turn(): Promise<void> {
  return new Promise(resolve => {
    setImmediate(resolve)
  })
}

export class TcpNetwork implements Network {
  readonly #hosts = new Map<string, string>()
  readonly #relays: Relay[] = []
  readonly #names = new Map<string, string>()
  readonly #timeouts: Partial<TcpTimeouts>

  constructor(timeouts: Partial<TcpTimeouts> = {}) {
    this.#timeouts = timeouts
  }

  host(name: string): string {
    const host = this.#hosts.get(name) ?? drawHost()
    this.#hosts.set(name, host)
    return host
  }

  /** What all transports of this network agree on. */
  static readonly identity: Omit<TransportIdentity, 'self'> = {
    cluster: 'a',
    cell: 'main',
    order: { digest: '1', rules: '"*" -> main\n' },
  }

  async create(options: NodeOptions, self: string, wake: () => void): Promise<Transport> {
    const names = options.peers ?? ['n1', 'n2', 'n3']
    const peers: TcpTransportOptions['peers'][number][] = []
    for (const name of names) {
      const host = options.holdable === true ? await this.#relay(options.name, name) : this.host(name)
      peers.push({ name, host, port: PORT })
    }
    this.#names.set(self, options.name)
    return this.make(options.name, {
      self,
      ...TcpNetwork.identity,
      listen: { host: options.elsewhere === true ? drawHost() : this.host(options.name), port: PORT },
      peers,
      wake,
      timeouts: { idleTimeoutMs: 0, ...this.#timeouts },
      ...options.identity,
      ...(options.limits === undefined ? {} : { limits: options.limits }),
    })
  }

  protected make(_name: string, options: TcpTransportOptions): Transport {
    return new TcpTransport(options)
  }

  async #relay(from: string, to: string): Promise<string> {
    const relay = new Relay(from, to, () => this.host(to))
    this.#relays.push(relay)
    await relay.listen()
    return relay.host
  }

  pump(): Promise<void> {
    return turn()
  }

  reset(a: Transport, b: Transport): void {
    ;(a as TcpTransport).reset(b.self)
  }

  kill(transport: Transport): Promise<void> {
    return transport.close()
  }

  hold(from: Transport, to: Transport, lane: Lane, held: boolean): void {
    const a = this.#names.get(from.self) ?? ''
    const b = this.#names.get(to.self) ?? ''
    for (const relay of this.#relays) if (relay.joins(a, b)) relay.hold(lane, held)
  }

  async close(): Promise<void> {
    await Promise.all(this.#relays.map(relay => relay.close()))
  }
}
