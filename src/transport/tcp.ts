import { createServer, type Server, type Socket } from 'node:net'
import { encodeHello, type Hello } from '../codec/handshake.ts'
import type { MemberId } from '../core/types.ts'
import { type Crc32, crc32 as crc32InScript } from '../lib/crc32.ts'
import { disagreement, makeHello, nameOfMember, notListed } from './agreement.ts'
import { Inbox } from './inbox.ts'
import type { Carrier } from './tcp-connection.ts'
import { awaitHello, endWith, type HelloFailure } from './tcp-handshake.ts'
import {
  type Decision,
  DEFAULT_TCP_TIMEOUTS,
  type PeerContext,
  TcpPeer,
  type TcpTimeouts,
} from './tcp-peer.ts'
import {
  DEFAULT_TRANSPORT_LIMITS,
  type Lane,
  newTransportCounters,
  type PeerEvent,
  type PeerInfo,
  type Slices,
  type Transport,
  type TransportCounters,
  TransportError,
  type TransportHandler,
  type TransportIdentity,
  type TransportLimits,
} from './transport.ts'

export interface PeerAddress {
  /** Name of the daemon. */
  readonly name: string
  readonly host: string
  readonly port: number
}

export interface TcpTransportOptions extends TransportIdentity {
  /** Where peers may connect; port 0 takes any; null: nowhere, others cannot dial us. */
  readonly listen: { readonly host: string; readonly port: number } | null
  /** The other members; an entry with our own name is ignored. */
  readonly peers: readonly PeerAddress[]
  /** Also accept peers that are not in the list, if they agree in everything else. Default false. */
  readonly open?: boolean
  /** Something waits to be drained. Must not throw, nor call into the transport. */
  readonly wake: () => void
  readonly limits?: Partial<TransportLimits>
  readonly timeouts?: Partial<TcpTimeouts>
  /** For handshakes only. */
  readonly crc32?: Crc32
  /** Counted in here; default: counters of its own. */
  readonly counters?: TransportCounters
  /** Carries data past the connections to peers that offer the same features. Default: nothing does. */
  readonly carrier?: Carrier
}

const SILENCE_CHECK_MS = 250
/** The same refusal of the same peer is told again after this. */
const REPORT_AGAIN_MS = 60_000
const MAX_REPORTS_KEPT = 1000

/** A mesh of TCP connections, two to each peer. The contract is in `transport.ts`. */
export class TcpTransport implements Transport {
  readonly self: MemberId
  readonly counters: Readonly<TransportCounters>
  readonly #options: TcpTransportOptions
  readonly #context: PeerContext & { host: string; port: number }
  readonly #counters: TransportCounters
  readonly #peersByName = new Map<string, TcpPeer>()
  readonly #peersByMember = new Map<MemberId, TcpPeer>()
  /** Gives up a handshake that has not been finished. */
  readonly #handshakes = new Set<() => void>()
  /** When each refusal was told last, by who it was, or else by host, and words. */
  readonly #told = new Map<string, number>()
  #server: Server | null = null
  #timer: NodeJS.Timeout | null = null
  #state: 'new' | 'open' | 'closed' = 'new'

  constructor(options: TcpTransportOptions) {
    this.self = options.self
    this.#counters = options.counters ?? newTransportCounters()
    this.counters = this.#counters
    this.#options = options
    const limits = { ...DEFAULT_TRANSPORT_LIMITS, ...options.limits }
    this.#context = {
      identity: options,
      crc32: options.crc32 ?? crc32InScript,
      timeouts: { ...DEFAULT_TCP_TIMEOUTS, ...options.timeouts },
      limits,
      carrier: options.carrier ?? null,
      counters: this.#counters,
      inbox: new Inbox(options.wake, limits, this.#counters),
      host: '',
      port: 0,
      report: event => this.#report(event),
      identified: (peer, before) => {
        if (before !== null) this.#peersByMember.delete(before)
        if (peer.member !== null) this.#peersByMember.set(peer.member, peer)
      },
      forget: peer => this.#forget(peer),
    }
  }

  /** Port on which peers are accepted; 0 if none are. */
  get port(): number {
    return this.#context.port
  }

  /** IP address on which peers are accepted; '' if none are. */
  get host(): string {
    return this.#context.host
  }

  /** For a carrier, which adds what came past the connections. */
  get inbox(): Inbox {
    return this.#context.inbox
  }

  async start(): Promise<void> {
    if (this.#state !== 'new') throw new TransportError('closed', 'a transport is started once')
    this.#state = 'open'
    if (this.#options.listen !== null) await this.#listen(this.#options.listen)
    const own = nameOfMember(this.self)
    for (const address of this.#options.peers) {
      if (address.name === own) continue
      this.#peersByName.set(address.name, new TcpPeer(this.#context, address, true))
    }
    for (const peer of this.#peersByName.values()) peer.start()
    this.#timer = setInterval(() => {
      for (const peer of this.#peersByName.values()) peer.checkSilence(SILENCE_CHECK_MS)
    }, SILENCE_CHECK_MS)
  }

  #listen({ host, port }: { host: string; port: number }): Promise<void> {
    const server = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 10_000 }, socket =>
      this.#accept(socket),
    )
    this.#server = server
    return new Promise((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) => {
        const why = error.code === 'EADDRINUSE' ? 'another process listens there' : error.message
        reject(new TransportError('listen', `cannot accept peers on ${host}:${port}: ${why}`, error))
      })
      server.listen({ host, port, backlog: 511 }, () => {
        server.removeAllListeners('error')
        // Out of descriptors, for one: existing connections live on, and accepting goes on by itself.
        server.on('error', () => undefined)
        const address = server.address()
        if (typeof address === 'object' && address !== null) {
          this.#context.host = address.address
          this.#context.port = address.port
        }
        resolve()
      })
    })
  }

  async close(): Promise<void> {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    if (this.#timer !== null) clearInterval(this.#timer)
    for (const giveUp of this.#handshakes) giveUp()
    this.#handshakes.clear()
    const server = this.#server
    const unlistened = new Promise<void>(resolve => {
      if (server === null) resolve()
      else server.close(() => resolve())
    })
    await Promise.all([...this.#peersByName.values()].map(peer => peer.close()))
    await unlistened
  }

  send(to: MemberId | readonly MemberId[] | null, lane: Lane, frame: Slices): number {
    let copies = 0
    if (to === null) {
      for (const peer of this.#peersByName.values()) {
        if (peer.connection(lane)?.send(frame) === true) copies++
      }
      return copies
    }
    if (typeof to !== 'string') {
      for (const member of to) copies += this.send(member, lane, frame)
      return copies
    }
    const connection = this.#peersByMember.get(to)?.connection(lane)
    if (connection !== undefined && connection !== null) return connection.send(frame) ? 1 : 0
    this.#counters.droppedUnconnected++
    return 0
  }

  flush(): void {
    // Control first: it is the first to be handed to the system, and so the first to leave.
    for (const peer of this.#peersByName.values()) peer.connection('control')?.flush()
    for (const peer of this.#peersByName.values()) peer.connection('data')?.flush()
  }

  drain(handler: TransportHandler): void {
    this.#context.inbox.drain(handler)
  }

  pending(to: MemberId): number {
    const peer = this.#peersByMember.get(to)
    if (peer === undefined) return 0
    return (peer.connection('control')?.pending ?? 0) + (peer.connection('data')?.pending ?? 0)
  }

  peers(): readonly PeerInfo[] {
    return [...this.#peersByName.values()].map(peer => peer.info)
  }

  /** Breaks the connections to a peer, or to all, as a failing network would. They are made again at once. */
  reset(to: MemberId | null): void {
    for (const peer of this.#peersByName.values()) {
      if (to === null || peer.member === to) peer.reset()
    }
  }

  #accept(socket: Socket): void {
    const address = `${socket.remoteAddress ?? 'unknown'}:${socket.remotePort ?? 0}`
    const { timeouts, crc32, limits } = this.#context
    if (this.#state !== 'open' || this.#handshakes.size >= limits.maxHandshakes) {
      this.#counters.rejected++
      socket.on('error', () => undefined)
      socket.destroy()
      return
    }
    const giveUp = awaitHello(
      socket,
      { timeoutMs: timeouts.handshakeTimeoutMs, crc32 },
      {
        onHello: (hello, rest) => {
          this.#handshakes.delete(giveUp)
          this.#greet(socket, address, hello, rest)
        },
        onFailure: (failure, reason) => {
          this.#handshakes.delete(giveUp)
          this.#notPeer(failure, reason, address)
        },
      },
    )
    this.#handshakes.add(giveUp)
  }

  #notPeer(failure: HelloFailure, reason: string, address: string): void {
    // A connection that ends before its first word is what a peer leaves behind that gave up an attempt.
    if (failure === 'closed') return
    if (failure === 'garbage') this.#counters.garbage++
    else this.#counters.timeouts++
    this.#report({ type: 'rejected', member: null, address, by: 'us', reason: `no peer: ${reason}` })
  }

  /** Somebody who says who he is. */
  #greet(socket: Socket, address: string, hello: Hello, rest: Uint8Array): void {
    const { lane, member } = hello
    const { crc32, timeouts, port } = this.#context
    const mine = makeHello(this.#options, { lane, port })
    const words = disagreement(mine, hello) ?? this.#objection(hello)
    const peer = words === null ? this.#peerFor(hello, socket) : null
    const decision: Decision =
      peer === null
        ? { verdict: 'refused', reason: words ?? 'too many peers that are not in the list' }
        : peer.decide(hello)
    if (peer !== null && decision.verdict === 'accepted') {
      socket.write(encodeHello({ ...mine, verdict: 'accepted' }, crc32))
      peer.adopt(socket, hello, { outbound: false, address, rest })
      return
    }
    const { verdict } = decision
    const reason = decision.verdict === 'accepted' ? '' : decision.reason
    endWith(socket, encodeHello({ ...mine, verdict, reason }, crc32), timeouts.lingerMs)
    if (verdict === 'refused') {
      this.#counters.rejected++
      this.#report({ type: 'rejected', member, address, by: 'us', reason })
    }
  }

  #objection(hello: Hello): string | null {
    const name = nameOfMember(hello.member)
    const own = nameOfMember(this.self)
    if (hello.member === this.self)
      return `"${own}" has connected to itself: the address given for "${hello.expected}" is its own`
    if (hello.expected !== '' && hello.expected !== own) {
      return `"${hello.expected}" is expected at this address, but it is "${own}"`
    }
    if (name === own)
      return `"${own}" is already running as ${this.self}: ${hello.member} is another process of the same name`
    if (this.#options.open !== true && this.#peersByName.get(name)?.listed !== true) {
      return notListed(name, own)
    }
    return null
  }

  #peerFor(hello: Hello, socket: Socket): TcpPeer | null {
    const name = nameOfMember(hello.member)
    const known = this.#peersByName.get(name)
    if (known !== undefined) return known
    const open = [...this.#peersByName.values()].filter(peer => !peer.listed).length
    if (open >= this.#context.limits.maxOpenPeers) return null
    const host = socket.remoteAddress ?? ''
    const peer = new TcpPeer(this.#context, { name, host, port: host === '' ? 0 : hello.port }, false)
    this.#peersByName.set(name, peer)
    return peer
  }

  #forget(peer: TcpPeer): void {
    if (this.#peersByName.get(peer.name) === peer) this.#peersByName.delete(peer.name)
    if (peer.member !== null && this.#peersByMember.get(peer.member) === peer) {
      this.#peersByMember.delete(peer.member)
    }
  }

  #report(event: PeerEvent): void {
    if (this.#state !== 'open') return
    if (event.type === 'rejected' && this.#toldLately(event)) return
    this.#context.inbox.addEvent(event)
  }

  #toldLately({ member, address, reason }: PeerEvent & { type: 'rejected' }): boolean {
    const key = `${member ?? address.slice(0, address.lastIndexOf(':'))} ${reason}`
    const now = performance.now()
    const last = this.#told.get(key)
    if (last !== undefined && now - last < REPORT_AGAIN_MS) return true
    if (this.#told.size >= MAX_REPORTS_KEPT) this.#told.clear()
    this.#told.set(key, now)
    return false
  }
}
