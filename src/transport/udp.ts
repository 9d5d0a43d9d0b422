import { type Datagram, decodeDatagram, encodeFeedback, encodeProbe, type Key } from '../codec/datagram.ts'
import { CodecError } from '../codec/error.ts'
import { NoticeCodec } from '../codec/notice.ts'
import type { MemberId } from '../core/types.ts'
import { type Crc32, crc32 as crc32InScript } from '../lib/crc32.ts'
import { TcpTransport, type TcpTransportOptions } from './tcp.ts'
import type { Carrier, TcpConnection } from './tcp-connection.ts'
import {
  type DatagramCounters,
  DEFAULT_TRANSPORT_LIMITS,
  FEATURES,
  type Lane,
  newTransportCounters,
  type PeerInfo,
  type Slices,
  type Transport,
  type TransportCounters,
  type TransportHandler,
} from './transport.ts'
import { drawKey, UdpKeys } from './udp-keys.ts'
import { brokenStream, type LinkContext, UdpLink } from './udp-link.ts'
import { type MulticastGroup, UdpPorts } from './udp-ports.ts'
import { Follower, UdpSender } from './udp-sender.ts'
import type { OpenDatagramSocket } from './udp-socket.ts'

export interface UdpTransportOptions extends Omit<TcpTransportOptions, 'carrier' | 'counters' | 'features'> {
  /** Bytes of the largest IP packet that passes everywhere. */
  readonly mtuBytes: number
  /** Send what is for many to this group, once; default: to each peer by itself. */
  readonly multicast?: MulticastGroup | null
  readonly openSocket?: OpenDatagramSocket
}

/** While something is on its way, it is looked after so often. */
const TICK_MS = 5
/** Frames for many that were not for a peer; then they are kept from it, so that the others get one copy again. */
const MOST_MISSED_BYTES: number = 64 * 1024

/**
 * Frames of the data lane in datagrams, to each peer or by multicast. All else goes over the connections of a
 * `TcpTransport`, which also carry the data of whom our datagrams do not reach, or who falls behind: see `UdpLink`. The
 * contract is in `transport.ts`, the whole in `docs/transports.md`.
 */
export class UdpTransport implements Transport, Carrier {
  readonly self: MemberId
  readonly counters: Readonly<TransportCounters>
  readonly datagrams: DatagramCounters = {
    in: 0,
    out: 0,
    resent: 0,
    duplicates: 0,
    foreign: 0,
    attached: 0,
    detached: 0,
  }
  readonly #options: UdpTransportOptions
  readonly #counters: TransportCounters = newTransportCounters()
  readonly #crc32: Crc32
  readonly #inner: TcpTransport
  readonly #context: LinkContext
  readonly #links = new Map<TcpConnection, UdpLink>()
  readonly #byMember = new Map<MemberId, UdpLink>()
  readonly #following = new Map<Follower, UdpLink>()
  readonly #keys = new UdpKeys()
  /** Connections that were there before the sockets. */
  readonly #early = new Set<TcpConnection>()
  #ports: UdpPorts | null = null
  /** The stream for all of them; null without multicast. */
  #common: { readonly key: Key; readonly sender: UdpSender } | null = null
  #timer: NodeJS.Timeout | null = null
  #timerAt: number = Number.POSITIVE_INFINITY
  #turn: NodeJS.Immediate | null = null
  #closed = false

  constructor(options: UdpTransportOptions) {
    const { self, cell } = options
    this.self = self
    this.counters = this.#counters
    this.#options = options
    this.#crc32 = options.crc32 ?? crc32InScript
    this.#inner = new TcpTransport({
      ...options,
      features: FEATURES.datagrams,
      counters: this.#counters,
      carrier: this,
    })
    const limits = { ...DEFAULT_TRANSPORT_LIMITS, ...options.limits }
    this.#context = {
      notices: new NoticeCodec({ cell, self, crc32: this.#crc32 }),
      counters: this.#counters,
      datagrams: this.datagrams,
      maxFrameBytes: limits.maxFrameBytes,
      dataQueueBytes: limits.dataQueueBytes,
      probes: { last: 0 },
      offered: (link, before) => {
        if (before !== null) this.#keys.delete(before.stream)
        if (link.theirs !== null) this.#keys.add({ key: link.theirs.stream, role: 'stream', link })
        this.#wakeAt(performance.now())
      },
      follows: (link, follower, yes) => {
        if (yes) this.#following.set(follower, link)
        else this.#following.delete(follower)
      },
    }
  }

  /** Port on which peers are accepted; 0 if none are. */
  get port(): number {
    return this.#inner.port
  }

  async start(): Promise<void> {
    await this.#inner.start()
    try {
      await this.#openSockets()
    } catch (error) {
      await this.close()
      throw error
    }
    for (const connection of this.#early) this.opened(connection)
    this.#early.clear()
  }

  async #openSockets(): Promise<void> {
    const { listen, multicast, mtuBytes, openSocket } = this.#options
    this.#ports = await UdpPorts.open({
      host: this.#inner.host === '' ? '0.0.0.0' : this.#inner.host,
      // The same number as for connections: one to remember, and to let pass.
      port: listen === null || listen.port === 0 ? 0 : this.#inner.port,
      multicast: multicast ?? null,
      mtuBytes,
      onMessage: bytes => this.#receive(bytes),
      counters: this.datagrams,
      ...(openSocket === undefined ? {} : { openSocket }),
    })
    if (multicast === null || multicast === undefined) return
    const key = drawKey()
    this.#keys.add({ key, role: 'own' })
    this.#common = { key, sender: this.#newSender(key, this.#ports) }
  }

  #newSender(key: Key, ports: UdpPorts): UdpSender {
    const sender = new UdpSender(key, ports.datagramBytes, {
      send: (piece, to) => {
        this.#counters.bytesOut += piece.bytes
        if (piece.resent) this.datagrams.resent++
        if (to === null && sender === this.#common?.sender) this.#ports?.sendToGroup(piece.slices)
        else
          for (const follower of to === null ? sender.followers : [to]) this.#sendTo(follower, piece.slices)
      },
      begin: (follower, piece, frame) => this.#following.get(follower)?.begin(piece, frame),
    })
    return sender
  }

  #sendTo(to: UdpLink | Follower, slices: readonly Uint8Array[]): void {
    const link = to instanceof Follower ? this.#following.get(to) : to
    const offer = link?.theirs ?? null
    if (link === undefined || offer === null) return
    const host = offer.host === '' ? link.connection.remoteHost : offer.host
    this.#ports?.send(slices, { host, port: offer.port })
  }

  opened(connection: TcpConnection): void {
    const ports = this.#ports
    if (ports === null) {
      this.#early.add(connection)
      return
    }
    const common = this.#common
    const key = common?.key ?? drawKey()
    const sender = common?.sender ?? this.#newSender(key, ports)
    const link = new UdpLink(this.#context, connection, { key, answer: drawKey(), sender })
    this.#links.set(connection, link)
    this.#byMember.set(connection.member, link)
    this.#keys.add({ key: link.answer, role: 'answer', link })
    link.offer(ports.address)
  }

  closed(connection: TcpConnection): void {
    this.#early.delete(connection)
    const link = this.#links.get(connection)
    if (link === undefined) return
    this.#links.delete(connection)
    if (this.#byMember.get(connection.member) === link) this.#byMember.delete(connection.member)
    this.#keys.delete(link.answer)
    if (link.theirs !== null) this.#keys.delete(link.theirs.stream)
    if (link.follower !== null) link.leave(link.follower)
    this.#inner.inbox.forget(link)
  }

  received(connection: TcpConnection, frames: Slices[]): void {
    const link = this.#links.get(connection)
    if (link === undefined) return
    try {
      link.filter(frames, performance.now())
    } catch (error) {
      frames.length = 0
      this.#break(connection, error)
    }
    if (link.due(performance.now())) this.#soon()
  }

  #break(connection: TcpConnection, error: unknown): void {
    const words = brokenStream(error)
    this.#counters.garbage++
    connection.destroy(words)
  }

  #receive(bytes: Uint8Array): void {
    if (this.#closed) return
    let datagram: Datagram
    try {
      datagram = decodeDatagram(bytes, this.#crc32)
    } catch (error) {
      if (!(error instanceof CodecError)) throw error
      this.datagrams.foreign++
      return
    }
    const { key } = datagram
    const owner = this.#keys.find(key)
    if (owner?.role === 'own') return
    if (owner === undefined || owner.role !== (datagram.kind === 'feedback' ? 'answer' : 'stream')) {
      this.datagrams.foreign++
      return
    }
    this.datagrams.in++
    const { link } = owner
    const now = performance.now()
    if (datagram.kind === 'feedback') {
      link.hear(datagram, now)
      this.#soon()
      return
    }
    if (datagram.kind === 'probe') link.heardProbe(datagram.number)
    else this.#take(link, datagram, now)
    if (link.due(now)) this.#soon()
    else if (link.receiver.dueAt !== Number.POSITIVE_INFINITY) this.#wakeAt(link.receiver.dueAt)
  }

  #take(link: UdpLink, piece: Datagram & { kind: 'piece' }, now: number): void {
    const { connection } = link
    this.#counters.bytesIn += piece.payload.length
    const frames: Slices[] = []
    try {
      link.take(piece, now, frames)
    } catch (error) {
      this.#break(connection, error)
    }
    if (frames.length > 0) this.#inner.inbox.addFrames(link, connection.member, 'data', frames)
  }

  send(to: MemberId | readonly MemberId[] | null, lane: Lane, frame: Slices): number {
    if (lane === 'control') return this.#inner.send(to, lane, frame)
    if (typeof to === 'string') return this.#sendOne(to, frame)
    const members = to ?? this.#connected()
    const sender = this.#common?.sender
    if (sender !== undefined && members.length > 1) return this.#sendMany(sender, members, frame)
    let copies = 0
    for (const member of members) copies += this.#sendOne(member, frame)
    return copies
  }

  #connected(): MemberId[] {
    return this.#inner.peers().flatMap(({ member, data }) => (member !== null && data ? [member] : []))
  }

  #sendOne(member: MemberId, frame: Slices): number {
    const link = this.#byMember.get(member)
    if (link === undefined || link.follower === null || this.#common !== null) {
      return this.#inner.send(member, 'data', frame)
    }
    if (!link.hasRoom(frame)) {
      this.#counters.droppedFull++
      return 0
    }
    this.#counters.framesOut++
    link.sender.enqueue(frame)
    return 1
  }

  #sendMany(sender: UdpSender, members: readonly MemberId[], frame: Slices): number {
    const now = performance.now()
    let all = true
    for (const link of this.#following.values()) all = this.#isFor(link, members, frame, now) && all
    if (all) this.#makeRoom(sender, frame, now)
    let copies = 0
    const common = all && sender.followers.size > 0
    if (common) copies += this.#enqueue(sender, frame)
    for (const member of members) {
      const link = this.#byMember.get(member)
      if (link !== undefined) link.wanted = true
      if (link === undefined || link.follower === null || !common) {
        copies += this.#inner.send(member, 'data', frame)
      }
    }
    return copies
  }

  /** A follower for whom the frame is not would hear it all the same: for a few, the others get copies of their own. */
  #isFor(link: UdpLink, members: readonly MemberId[], frame: Slices, now: number): boolean {
    if (members.includes(link.connection.member)) {
      link.missedBytes = 0
      return true
    }
    link.missedBytes += frame.bytes
    if (link.missedBytes < MOST_MISSED_BYTES) return false
    link.wanted = false
    link.detach(now)
    return true
  }

  /** Lets go of who alone is the reason that a queue is full. */
  #makeRoom(sender: UdpSender, frame: Slices, now: number): void {
    for (const link of this.#following.values()) {
      if (link.hasRoom(frame)) continue
      for (const follower of sender.slowest()) this.#following.get(follower)?.detach(now)
      return
    }
  }

  /** For all that follow, or none: the stream is the same for all. */
  #enqueue(sender: UdpSender, frame: Slices): number {
    const { size } = sender.followers
    for (const link of this.#following.values()) {
      if (link.hasRoom(frame)) continue
      this.#counters.droppedFull += size
      return 0
    }
    this.#counters.framesOut += size
    sender.enqueue(frame)
    return size
  }

  flush(): void {
    const now = performance.now()
    for (const link of this.#links.values()) if (link.mayAttach(now)) link.attach(now)
    for (const sender of this.#senders()) {
      sender.flush()
      sender.pump(now)
      if (sender.outstanding) this.#wakeAt(now + TICK_MS)
    }
    this.#inner.flush()
  }

  *#senders(): IterableIterator<UdpSender> {
    if (this.#common !== null) yield this.#common.sender
    else for (const link of this.#links.values()) yield link.sender
  }

  /** After all that this turn of the loop reads. */
  #soon(): void {
    if (this.#closed) return
    this.#turn ??= setImmediate(() => {
      this.#turn = null
      this.#answer(performance.now())
    })
  }

  #wakeAt(at: number): void {
    if (this.#closed || (this.#timer !== null && this.#timerAt <= at)) return
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timerAt = at
    this.#timer = setTimeout(
      () => {
        this.#timer = null
        this.#tick(performance.now())
      },
      Math.max(1, Math.ceil(at - performance.now())),
    )
  }

  /** Tells who must be told, and sends what may leave. */
  #answer(now: number): void {
    let at = Number.POSITIVE_INFINITY
    for (const link of this.#links.values()) {
      if (link.due(now)) this.#tell(link, now)
      if (link.theirs !== null) at = Math.min(at, link.receiver.dueAt)
    }
    for (const sender of this.#senders()) {
      sender.pump(now)
      if (sender.outstanding) at = Math.min(at, now + TICK_MS)
    }
    for (const link of this.#links.values()) link.flushNotices()
    if (at !== Number.POSITIVE_INFINITY) this.#wakeAt(at)
  }

  #tell(link: UdpLink, now: number): void {
    const key = link.theirs?.answer
    if (key === undefined) return
    this.#sendTo(link, [encodeFeedback({ key, ...link.tell(now) }, this.#crc32)])
  }

  #tick(now: number): void {
    for (const sender of this.#senders()) {
      sender.tick(now, now - this.#timerAt)
      for (const follower of sender.laggards(now)) this.#following.get(follower)?.detach(now)
    }
    this.#probe(now)
    this.#answer(now)
  }

  /** Asks all of whom it is not known whether they hear us. */
  #probe(now: number): void {
    const { probes } = this.#context
    const ports = this.#ports
    if (ports === null) return
    let next = Number.POSITIVE_INFINITY
    let group = false
    for (const link of this.#links.values()) {
      if (link.theirs === null) continue
      if (link.probeAt <= now) {
        const number = group ? probes.last : ++probes.last
        const common = this.#common
        const probe = [encodeProbe(link.key, number, ports.datagramBytes)]
        if (common === null) this.#sendTo(link, probe)
        else if (!group) this.#ports?.sendToGroup(probe)
        group = common !== null
        link.probed(now)
      }
      next = Math.min(next, link.probeAt)
    }
    if (next !== Number.POSITIVE_INFINITY) this.#wakeAt(next)
  }

  drain(handler: TransportHandler): void {
    this.#inner.drain(handler)
    // Who was stopped reads again, and says so.
    for (const link of this.#links.values()) if (link.answerDue) this.#soon()
  }

  pending(to: MemberId): number {
    const link = this.#byMember.get(to)
    return this.#inner.pending(to) + (link?.streamPending ?? 0)
  }

  peers(): readonly PeerInfo[] {
    return this.#inner.peers().map(peer => {
      const link = peer.member === null ? undefined : this.#byMember.get(peer.member)
      if (link === undefined || link.follower === null) return peer
      return {
        ...peer,
        pendingData: peer.pendingData + link.streamPending,
        carrier: this.#common === null ? 'udp' : 'multicast',
      }
    })
  }

  /** Breaks the connections to a peer, or to all, as a failing network would. They are made again at once. */
  reset(to: MemberId | null): void {
    this.#inner.reset(to)
  }

  async close(): Promise<void> {
    const now = performance.now()
    if (!this.#closed) for (const link of this.#links.values()) link.detach(now)
    this.#closed = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    if (this.#turn !== null) clearImmediate(this.#turn)
    await this.#inner.close()
    await this.#ports?.close()
    this.#ports = null
  }
}
