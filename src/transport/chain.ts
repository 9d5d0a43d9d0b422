/**
 * Large frames for many go along a chain: their sender's uplink carries one copy instead of one for each receiver. Each
 * member hands a frame in and passes the same slices on to the next; the links between them carry it at the same time, one
 * frame behind each other.
 *
 * The chain begins with the member behind the sender, in ascending order, and goes round: when all send, every link carries
 * as much. Who cannot be asked to pass on, because it has been silent or does not take what waits for it, is *bypassed*: it
 * gets a copy of its own from the one before it, which goes on with the next. Who cannot be reached from one member is left
 * to the last ones of the chain. What is lost with a member in the middle the core asks its sender for, as for any loss.
 *
 * Everything else goes directly: small frames, what is for one member, the control lane. So order between frames of one
 * sender holds along each way only.
 */

import { KINDS } from '../codec/envelope.ts'
import { CodecError } from '../codec/error.ts'
import { kindOf, RelayCodec } from '../codec/relay.ts'
import type { Lane } from '../core/frames.ts'
import type { MemberId } from '../core/types.ts'
import { type Crc32, crc32 as crc32InScript } from '../lib/crc32.ts'
import type {
  PeerEvent,
  PeerInfo,
  RelayCounters,
  Slices,
  Transport,
  TransportCounters,
  TransportHandler,
} from './transport.ts'

/** Bytes from which on a frame goes along the chain: below, a copy for each costs less than the way of many hops. */
export const CHAIN_FRAME_BYTES: number = 8 * 1024

export interface ChainOptions {
  /** Name of the cell. */
  readonly cell: string
  /** A member of which nothing came for so long is not asked to pass on. Several heartbeats. */
  readonly silentAfterMs: number
  /** Nor one for which more bytes wait than this. */
  readonly queueBytes: number
  /** Monotonic ms; default `performance.now`. */
  readonly now?: () => number
  readonly crc32?: Crc32
}

/** A transport over another one that moves the frames. The contract is in `transport.ts`. */
export class ChainTransport implements Transport {
  readonly self: MemberId
  readonly relays: RelayCounters = {
    given: 0,
    in: 0,
    out: 0,
    outBytes: 0,
    bypassed: 0,
    unreached: 0,
    dropped: 0,
  }
  readonly #inner: Transport
  readonly #options: ChainOptions
  readonly #now: () => number
  readonly #codec: RelayCodec
  /** When each connected peer was last heard, directly. */
  readonly #heardAt = new Map<MemberId, number>()

  constructor(inner: Transport, options: ChainOptions) {
    const { self } = inner
    this.self = self
    this.#inner = inner
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
    this.#codec = new RelayCodec({ cell: options.cell, self, crc32: options.crc32 ?? crc32InScript })
  }

  get counters(): Readonly<TransportCounters> {
    return this.#inner.counters
  }

  start(): Promise<void> {
    return this.#inner.start()
  }

  close(): Promise<void> {
    return this.#inner.close()
  }

  send(to: MemberId | readonly MemberId[] | null, lane: Lane, frame: Slices): number {
    const goesAlong =
      lane === 'data' &&
      to !== null &&
      typeof to !== 'string' &&
      to.length > 1 &&
      frame.bytes >= CHAIN_FRAME_BYTES &&
      kindOf(frame) === KINDS.data
    if (!goesAlong) return this.#inner.send(to, lane, frame)
    return this.#passOn(this.self, this.#fromUsOn(to), frame, this.#now())
  }

  flush(): void {
    this.#inner.flush()
  }

  drain(handler: TransportHandler): void {
    const now = this.#now()
    const before = this.relays.out
    try {
      this.#inner.drain({
        onFrame: (from, lane, frame) => {
          this.#heardAt.set(from, now)
          if (lane === 'data' && kindOf(frame) === KINDS.relay) this.#arrived(from, frame, handler, now)
          else handler.onFrame(from, lane, frame)
        },
        onPeer: event => {
          this.#follow(event, now)
          handler.onPeer(event)
        },
      })
    } finally {
      // Others wait for it: it does not stay until our own work is done.
      if (this.relays.out > before) this.#inner.flush()
    }
  }

  pending(to: MemberId): number {
    return this.#inner.pending(to)
  }

  peers(): readonly PeerInfo[] {
    return this.#inner.peers()
  }

  #follow(event: PeerEvent, now: number): void {
    if (event.type === 'up') this.#heardAt.set(event.member, now)
    else if (event.type !== 'rejected') this.#heardAt.delete(event.member)
  }

  #arrived(by: MemberId, relay: Slices, handler: TransportHandler, now: number): void {
    let decoded
    try {
      decoded = this.#codec.decode(relay)
    } catch (error) {
      if (!(error instanceof CodecError)) throw error
      this.relays.dropped++
      return
    }
    const { origin, rest, frame } = decoded
    if (origin === this.self || rest.includes(this.self)) {
      this.relays.dropped++
      return
    }
    this.#passOn(origin, rest, frame, now)
    // Who is no peer of ours is no member of our configuration. Others may know it.
    if (!this.#heardAt.has(origin)) {
      this.relays.dropped++
      return
    }
    this.relays.in++
    handler.onFrame(origin, 'data', frame, by)
  }

  /** The members in ascending order, those behind us first. */
  #fromUsOn(members: readonly MemberId[]): MemberId[] {
    const sorted = [...members].sort()
    const behind = sorted.filter(member => member > this.self)
    return [...behind, ...sorted.filter(member => member < this.self)]
  }

  /** To the first that can pass it on to all behind it; to those before that one, a copy each. Returns the copies. */
  #passOn(origin: MemberId, rest: readonly MemberId[], frame: Slices, now: number): number {
    let copies = 0
    let unreached: MemberId[] = []
    for (const [index, member] of rest.entries()) {
      const passesOn = this.#canPassOn(member, now)
      const left = [...rest.slice(index + 1), ...unreached]
      const behind = passesOn ? left : []
      if (!passesOn && left.length > 0) this.relays.bypassed++
      if (!this.#sendCopy(member, origin, behind, frame)) {
        unreached.push(member)
        continue
      }
      copies++
      if (!passesOn) continue
      unreached = []
      break
    }
    this.relays.unreached += unreached.length
    return copies
  }

  #canPassOn(member: MemberId, now: number): boolean {
    const { silentAfterMs, queueBytes } = this.#options
    const heardAt = this.#heardAt.get(member)
    if (heardAt === undefined || now - heardAt > silentAfterMs) return false
    return this.#inner.pending(member) <= queueBytes
  }

  #sendCopy(member: MemberId, origin: MemberId, behind: readonly MemberId[], frame: Slices): boolean {
    const { relays } = this
    const own = origin === this.self
    const plain = own && behind.length === 0
    const sent = plain ? frame : this.#codec.encode({ origin, rest: behind, frame })
    if (this.#inner.send(member, 'data', sent) === 0) return false
    if (!own) {
      relays.out++
      relays.outBytes += sent.bytes
    } else if (!plain) relays.given++
    return true
  }
}
