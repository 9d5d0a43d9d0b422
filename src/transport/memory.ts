/** A transport within one process, moved by hand: nothing happens but in `MemoryHub.deliver()`. For tests and embedding. */

import type { Slices } from '../codec/envelope.ts'
import type { Lane } from '../core/frames.ts'
import type { MemberId } from '../core/types.ts'
import { disagreement, makeHello, nameOfMember, notListed, sameNameConflict } from './agreement.ts'
import { Inbox, type Readable } from './inbox.ts'
import {
  DEFAULT_TRANSPORT_LIMITS,
  newTransportCounters,
  type PeerEvent,
  type PeerInfo,
  type Transport,
  type TransportCounters,
  TransportError,
  type TransportHandler,
  type TransportIdentity,
  type TransportLimits,
} from './transport.ts'

export interface MemoryTransportOptions extends TransportIdentity {
  /** Names that may connect; null: any. */
  readonly peers: readonly string[] | null
  readonly wake: () => void
  readonly limits?: Partial<TransportLimits>
}

const ADDRESS = 'memory'
const LANES: readonly Lane[] = ['control', 'data']

/** One direction of one lane between two transports. */
class MemoryLink implements Readable {
  readonly from: MemoryTransport
  readonly to: MemoryTransport
  readonly lane: Lane
  /** Sent but not flushed, and flushed but not delivered. */
  readonly queued: Slices[] = []
  readonly flying: Slices[] = []
  bytes = 0
  held = false
  #reading = true

  constructor(from: MemoryTransport, to: MemoryTransport, lane: Lane) {
    this.from = from
    this.to = to
    this.lane = lane
  }

  setReading(reading: boolean): void {
    this.#reading = reading
  }

  /** Delivers frame by frame, as long as the receiver reads. */
  deliver(): boolean {
    const { flying } = this
    let count = 0
    while (count < flying.length && this.#reading && !this.held) {
      const frame = flying[count] as Slices
      count++
      this.bytes -= frame.bytes
      this.to.accept(this, this.from.self, frame)
    }
    flying.splice(0, count)
    return count > 0
  }
}

/** What all transports of one test, or one process, are attached to. */
export class MemoryHub {
  readonly #transports: MemoryTransport[] = []
  readonly #links = new Map<string, MemoryLink>()
  /** Pairs that refused each other; told once. */
  readonly #refused = new Set<string>()

  create(options: MemoryTransportOptions): MemoryTransport {
    return new MemoryTransport(this, options)
  }

  /** Connects who is not connected and moves what was flushed. Returns whether anything happened. */
  deliver(): boolean {
    let moved = this.#connect()
    for (const link of this.#links.values()) moved = link.deliver() || moved
    return moved
  }

  /** Stops or lets go one lane in one direction, as a peer that does not read. */
  hold(from: MemberId, to: MemberId, lane: Lane, held: boolean): void {
    const link = this.#links.get(linkKey(from, to, lane))
    if (link !== undefined) link.held = held
  }

  /** Breaks the connections of two members; what was on its way is lost. They connect again with the next `deliver`. */
  reset(a: MemberId, b: MemberId): void {
    if (!this.#cut(a, b)) return
    for (const [self, peer] of [
      [a, b],
      [b, a],
    ] as const) {
      const event: PeerEvent = { type: 'down', member: peer, address: ADDRESS, reason: 'reset' }
      this.#transports.find(transport => transport.self === self)?.report(event)
    }
  }

  /** The process of this member dies: everyone connected to it knows at once. */
  kill(member: MemberId): void {
    const victim = this.#transports.find(transport => transport.self === member)
    if (victim !== undefined) this.detach(victim, 'closed by the peer')
  }

  attach(transport: MemoryTransport): void {
    this.#transports.push(transport)
  }

  detach(transport: MemoryTransport, reason: string): void {
    const index = this.#transports.indexOf(transport)
    if (index >= 0) this.#transports.splice(index, 1)
    for (const other of this.#transports) {
      if (!this.#cut(transport.self, other.self)) continue
      const about = { member: transport.self, address: ADDRESS }
      other.report({ type: 'down', ...about, reason })
      other.report({ type: 'refused', ...about, reason: 'the process is dead' })
      other.forget(transport.self)
    }
    for (const pair of this.#refused) if (pair.split(' ').includes(transport.self)) this.#refused.delete(pair)
  }

  link(from: MemberId, to: MemberId, lane: Lane): MemoryLink | undefined {
    return this.#links.get(linkKey(from, to, lane))
  }

  /** Links from one member, both lanes. */
  *linksFrom(from: MemberId): IterableIterator<MemoryLink> {
    for (const link of this.#links.values()) if (link.from.self === from) yield link
  }

  #cut(a: MemberId, b: MemberId): boolean {
    let any = false
    for (const lane of LANES) {
      any = this.#links.delete(linkKey(a, b, lane)) || any
      any = this.#links.delete(linkKey(b, a, lane)) || any
    }
    return any
  }

  #connect(): boolean {
    let any = false
    for (const [index, a] of this.#transports.entries()) {
      for (const b of this.#transports.slice(index + 1)) any = this.#join(a, b) || any
    }
    return any
  }

  #join(a: MemoryTransport, b: MemoryTransport): boolean {
    const pair = `${a.self} ${b.self}`
    if (this.#links.has(linkKey(a.self, b.self, 'control')) || this.#refused.has(pair)) return false
    const wordsOfA = a.objection(b, this.#namesake(a, b))
    const wordsOfB = b.objection(a, this.#namesake(b, a))
    if (wordsOfA !== null || wordsOfB !== null) {
      this.#refused.add(pair)
      const inWords = (own: string | null, refuser: MemoryTransport, theirs: string | null): string =>
        own ?? `refused by ${refuser.self}: ${theirs}`
      a.reject(b.self, wordsOfA === null ? 'them' : 'us', inWords(wordsOfA, b, wordsOfB))
      b.reject(a.self, wordsOfB === null ? 'them' : 'us', inWords(wordsOfB, a, wordsOfA))
      return true
    }
    for (const lane of LANES) {
      this.#links.set(linkKey(a.self, b.self, lane), new MemoryLink(a, b, lane))
      this.#links.set(linkKey(b.self, a.self, lane), new MemoryLink(b, a, lane))
    }
    a.connected(b.self)
    b.connected(a.self)
    return true
  }

  /** Who is connected to `at` under the name of `comer`. */
  #namesake(at: MemoryTransport, comer: MemoryTransport): MemberId | null {
    const name = nameOfMember(comer.self)
    const other = this.#transports.find(
      transport =>
        transport !== comer &&
        nameOfMember(transport.self) === name &&
        (transport === at || this.#links.has(linkKey(at.self, transport.self, 'control'))),
    )
    return other?.self ?? null
  }
}

function linkKey(from: MemberId, to: MemberId, lane: Lane): string {
  return `${lane} ${from} ${to}`
}

/** The contract is in `transport.ts`. */
export class MemoryTransport implements Transport {
  readonly self: MemberId
  readonly counters: Readonly<TransportCounters>
  readonly #hub: MemoryHub
  readonly #options: MemoryTransportOptions
  readonly #limits: TransportLimits
  readonly #counters: TransportCounters = newTransportCounters()
  readonly #inbox: Inbox
  /** Everyone who was connected once. */
  readonly #known = new Set<MemberId>()
  #state: 'new' | 'open' | 'closed' = 'new'

  constructor(hub: MemoryHub, options: MemoryTransportOptions) {
    this.self = options.self
    this.counters = this.#counters
    this.#hub = hub
    this.#options = options
    this.#limits = { ...DEFAULT_TRANSPORT_LIMITS, ...options.limits }
    this.#inbox = new Inbox(options.wake, this.#limits, this.#counters)
  }

  start(): Promise<void> {
    if (this.#state !== 'new') throw new TransportError('closed', 'a transport is started once')
    this.#state = 'open'
    this.#hub.attach(this)
    return Promise.resolve()
  }

  /** What is queued is delivered at once: there is nobody to wait for. */
  close(): Promise<void> {
    if (this.#state !== 'open') return Promise.resolve()
    this.flush()
    for (const link of this.#hub.linksFrom(this.self)) link.deliver()
    this.#state = 'closed'
    this.#hub.detach(this, 'closed by the peer')
    return Promise.resolve()
  }

  send(to: MemberId | readonly MemberId[] | null, lane: Lane, frame: Slices): number {
    let copies = 0
    if (to === null) {
      for (const link of this.#hub.linksFrom(this.self)) {
        if (link.lane === lane) copies += this.#queue(link, frame)
      }
      return copies
    }
    if (typeof to !== 'string') {
      for (const member of to) copies += this.send(member, lane, frame)
      return copies
    }
    const link = this.#hub.link(this.self, to, lane)
    if (link !== undefined) return this.#queue(link, frame)
    this.#counters.droppedUnconnected++
    return 0
  }

  /** @returns 1, or 0 if there is no room. */
  #queue(link: MemoryLink, frame: Slices): number {
    const maximum = link.lane === 'data' ? this.#limits.dataQueueBytes : this.#limits.controlQueueBytes
    if (link.bytes > 0 && link.bytes + frame.bytes > maximum) {
      this.#counters.droppedFull++
      return 0
    }
    link.bytes += frame.bytes
    link.queued.push(frame)
    return 1
  }

  flush(): void {
    for (const link of this.#hub.linksFrom(this.self)) {
      for (const frame of link.queued) {
        this.#counters.framesOut++
        this.#counters.bytesOut += frame.bytes
        link.flying.push(frame)
      }
      link.queued.length = 0
    }
  }

  drain(handler: TransportHandler): void {
    this.#inbox.drain(handler)
  }

  pending(to: MemberId): number {
    const bytes = (lane: Lane): number => this.#hub.link(this.self, to, lane)?.bytes ?? 0
    return bytes('control') + bytes('data')
  }

  peers(): readonly PeerInfo[] {
    return [...this.#known].map(member => {
      const control = this.#hub.link(this.self, member, 'control')
      const data = this.#hub.link(this.self, member, 'data')
      return {
        name: nameOfMember(member),
        member,
        address: ADDRESS,
        control: control !== undefined,
        data: data !== undefined,
        pendingControl: control?.bytes ?? 0,
        pendingData: data?.bytes ?? 0,
      }
    })
  }

  /** For the hub: why `other` may not connect; null if it may. `namesake`: who is connected under its name. */
  objection(other: MemoryTransport, namesake: MemberId | null): string | null {
    const parts = { lane: 'control', port: 0 } as const
    const words = disagreement(makeHello(this.#options, parts), makeHello(other.#options, parts))
    if (words !== null) return words
    if (namesake !== null) return sameNameConflict(namesake, other.self)
    const { peers } = this.#options
    const name = nameOfMember(other.self)
    return peers === null || peers.includes(name) ? null : notListed(name, nameOfMember(this.self))
  }

  /** For the hub. */
  reject(member: MemberId, by: 'us' | 'them', reason: string): void {
    this.#counters.rejected++
    this.report({ type: 'rejected', member, address: ADDRESS, by, reason })
  }

  /** For the hub. */
  connected(member: MemberId): void {
    this.#counters.connections += LANES.length
    if (this.#known.has(member)) this.#counters.reconnects += LANES.length
    this.#known.add(member)
    this.report({ type: 'up', member, address: ADDRESS })
  }

  /** For the hub: this incarnation does not come back. */
  forget(member: MemberId): void {
    this.#known.delete(member)
  }

  /** For the hub. */
  accept(link: Readable & { readonly lane: Lane }, from: MemberId, frame: Slices): void {
    if (this.#state !== 'open') return
    this.#counters.bytesIn += frame.bytes
    this.#inbox.addFrames(link, from, link.lane, [frame])
  }

  report(event: PeerEvent): void {
    if (this.#state === 'open') this.#inbox.addEvent(event)
  }
}
