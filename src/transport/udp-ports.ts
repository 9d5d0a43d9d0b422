import { isIPv6 } from 'node:net'
import type { DatagramCounters } from './transport.ts'
import { type DatagramSocket, type OpenDatagramSocket, openDatagramSocket } from './udp-socket.ts'

export interface MulticastGroup {
  /** IP address of the group. */
  readonly host: string
  readonly port: number
  /** IP address of the interface; default: where peers are accepted, or else what the system chooses. */
  readonly interface?: string
}

export interface PortsOptions {
  /** IP address to receive on. */
  readonly host: string
  /** 0: any. */
  readonly port: number
  readonly multicast: MulticastGroup | null
  /** Bytes of the largest IP packet that passes everywhere. */
  readonly mtuBytes: number
  readonly onMessage: (bytes: Uint8Array) => void
  readonly counters: DatagramCounters
  readonly openSocket?: OpenDatagramSocket
}

/** Headers of IP and UDP. */
const HEADER_BYTES = { v4: 28, v6: 48 } as const
const MAX_DATAGRAM_BYTES = 65_507
/** IPv4 addresses as sockets for IPv6 know them. */
const MAPPED = '::ffff:'

/** The sockets of a transport: one of its own, and with multicast one in the group. */
export class UdpPorts {
  /** Bytes of a whole datagram at most. */
  readonly datagramBytes: number
  readonly #options: PortsOptions
  readonly #own: DatagramSocket
  readonly #group: DatagramSocket | null

  private constructor(options: PortsOptions, own: DatagramSocket, group: DatagramSocket | null) {
    this.#options = options
    this.#own = own
    this.#group = group
    const { host, multicast, mtuBytes } = options
    const isLong = isIPv6(host) || (multicast !== null && isIPv6(multicast.host))
    this.datagramBytes = Math.min(mtuBytes - HEADER_BYTES[isLong ? 'v6' : 'v4'], MAX_DATAGRAM_BYTES)
  }

  /** @throws TransportError if the address cannot be listened on, or the group not be joined. */
  static async open(options: PortsOptions): Promise<UdpPorts> {
    const { host, port, multicast, onMessage } = options
    const open = options.openSocket ?? openDatagramSocket
    const own = await open({ host, port, membership: null, onMessage })
    if (multicast === null) return new UdpPorts(options, own, null)
    const fits = !isWildcard(host) && isIPv6(host) === isIPv6(multicast.host)
    const membership = { interface: multicast.interface ?? (fits ? host : '') }
    try {
      const group = await open({ host: multicast.host, port: multicast.port, membership, onMessage })
      return new UdpPorts(options, own, group)
    } catch (error) {
      await own.close()
      throw error
    }
  }

  /** Where others reach us; host '' for where connections come from. */
  get address(): { readonly host: string; readonly port: number; readonly receiveBytes: number } {
    const { host } = this.#options
    // It may be another address than connections come from, if we listen on one of several.
    const { port, receiveBytes } = this.#own
    return { host: isWildcard(host) ? '' : host, port, receiveBytes }
  }

  send(slices: readonly Uint8Array[], to: { readonly host: string; readonly port: number }): void {
    const host = this.#reachable(to.host)
    if (host === null) return
    this.#options.counters.out++
    this.#own.send(slices, { host, port: to.port })
  }

  sendToGroup(slices: readonly Uint8Array[]): void {
    const { multicast, counters } = this.#options
    if (this.#group === null || multicast === null) return
    counters.out++
    this.#group.send(slices, multicast)
  }

  /** The address as our socket wants it; null if it cannot send there. */
  #reachable(host: string): string | null {
    const plain = host.startsWith(MAPPED) ? host.slice(MAPPED.length) : host
    if (isIPv6(this.#options.host)) return isIPv6(plain) ? plain : `${MAPPED}${plain}`
    return isIPv6(plain) ? null : plain
  }

  async close(): Promise<void> {
    await Promise.all([this.#own.close(), this.#group?.close()])
  }
}

function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::'
}
