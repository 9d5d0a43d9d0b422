/** Transports with datagrams on loopback, over sockets that lose, double and reorder what arrives, and stop it at will. */

import type { Lane } from '../core/frames.ts'
import { Random } from '../lib/prng.ts'
import { TcpNetwork } from './tcp.fixture.ts'
import type { TcpTransportOptions } from './tcp.ts'
import type { Transport } from './transport.ts'
import { UdpTransport, type UdpTransportOptions } from './udp.ts'
import { type DatagramSocket, openDatagramSocket, type SocketRequest } from './udp-socket.ts'

/** What happens to datagrams that arrive; parts of 1. */
export interface Faults {
  lose: number
  double: number
  /** Comes after the next one. */
  overtaken: number
  /** What is longer does not pass. */
  longestBytes: number
  /** What a socket holds; the rest of a turn of the loop is lost. */
  mostInTurn: number
}

export const NO_FAULTS: Faults = {
  lose: 0,
  double: 0,
  overtaken: 0,
  longestBytes: Number.POSITIVE_INFINITY,
  mostInTurn: Number.POSITIVE_INFINITY,
}

export interface UdpNetworkOptions {
  readonly mtuBytes: number
  readonly multicast?: boolean
  readonly faults?: Partial<Faults>
  readonly seed?: number
}

/** Groups are drawn like hosts: tests do not hear each other. */
function drawGroup(): string {
  const draw = Math.floor(Math.random() * 250 ** 2)
  return `239.77.${1 + (draw % 250)}.${1 + Math.floor(draw / 250)}`
}

export class UdpNetwork extends TcpNetwork {
  readonly faults: Faults
  readonly multicast: { readonly host: string; readonly port: number } | null
  /** Longest datagram that was sent. */
  longestBytes = 0
  /** The last datagram with a part of a stream, and where it went. */
  lastPiece: { readonly bytes: Uint8Array; readonly host: string; readonly port: number } | null = null
  /** Names of those who hear nothing that is sent to the group. */
  readonly deaf: Set<string> = new Set()
  readonly #options: UdpNetworkOptions
  readonly #random: Random
  readonly #heldWays = new Set<string>()
  readonly #namesBySelf = new Map<string, string>()

  constructor(options: UdpNetworkOptions) {
    super()
    this.#options = options
    this.#random = new Random(options.seed ?? 1)
    this.faults = { ...NO_FAULTS, ...options.faults }
    this.multicast = options.multicast === true ? { host: drawGroup(), port: 4803 } : null
  }

  protected override make(name: string, options: TcpTransportOptions): Transport {
    this.#namesBySelf.set(options.self, name)
    const more: Pick<UdpTransportOptions, 'mtuBytes' | 'multicast' | 'openSocket'> = {
      mtuBytes: this.#options.mtuBytes,
      multicast: this.multicast,
      openSocket: request => this.#open(name, request),
    }
    return new UdpTransport({ ...options, ...more })
  }

  async #open(name: string, request: SocketRequest): Promise<DatagramSocket> {
    let late: (() => void) | null = null
    let inTurn = 0
    const isLost = (bytes: Uint8Array, from: string): boolean => {
      if (request.membership !== null && this.deaf.has(name)) return true
      if (this.#heldWays.has(`${name} ${from}`) || bytes.length > this.faults.longestBytes) return true
      if (inTurn++ === 0) setImmediate(() => (inTurn = 0))
      return inTurn > this.faults.mostInTurn || this.#random.chance(this.faults.lose)
    }
    const onMessage = (bytes: Uint8Array, from: string): void => {
      if (isLost(bytes, from)) return
      const arrive = (): void => request.onMessage(bytes, from)
      if (late === null && this.#random.chance(this.faults.overtaken)) {
        late = arrive
        return
      }
      arrive()
      if (this.#random.chance(this.faults.double)) arrive()
      late?.()
      late = null
    }
    const socket = await openDatagramSocket({ ...request, onMessage })
    return {
      ...socket,
      send: (slices, to) => {
        const bytes = Buffer.concat(slices)
        this.longestBytes = Math.max(this.longestBytes, bytes.length)
        if (bytes[12] === 1) this.lastPiece = { bytes, ...to }
        socket.send(slices, to)
      },
    }
  }

  /** Stops datagrams between two, and nothing else. */
  holdDatagrams(from: Transport, to: Transport, held: boolean): void {
    const [a, b] = [from, to].map(({ self }) => this.#namesBySelf.get(self) ?? '') as [string, string]
    for (const way of [`${a} ${this.host(b)}`, `${b} ${this.host(a)}`]) {
      if (held) this.#heldWays.add(way)
      else this.#heldWays.delete(way)
    }
  }

  override hold(from: Transport, to: Transport, lane: Lane, held: boolean): void {
    super.hold(from, to, lane, held)
    if (lane === 'data') this.holdDatagrams(from, to, held)
  }
}
