/**
 * The way out: messages are copied into packs, packs become segments, and one write a turn takes them all. It also
 * keeps, segment by segment, what was sent and not yet seen in the order.
 */

import { encodeDestination, encodeSegmentHead } from '../codec/client-encode.ts'
import type { ClientPlace } from '../codec/client.ts'
import type { Service } from '../core/types.ts'
import type { SessionId, ViewId } from '../groups/types.ts'
import { Deque } from '../lib/deque.ts'
import type { MessageData } from './api.ts'
import type { Channel } from './channel.ts'
import { comparePlaces } from './position.ts'
import { WriteBuffer } from './write-buffer.ts'

/** A pack is closed at this size; measured best between 64 and 128 KiB. Bytes. */
const PACK_BYTES = 128 << 10
/** Less room than this at the end of a slab is not worth another pack. Bytes. */
const LEAST_PACK_BYTES = 8 << 10
/** With so much packed the turn's end is not awaited. Bytes. */
const EAGER_FLUSH_BYTES = 512 << 10
/** Up to this length a string is tried as ASCII, which needs no encoder. Characters. */
const SHORT_TEXT = 48

/** Head of a segment frame without its destination. Bytes. */
const SEGMENT_HEAD_BYTES = 20

const encoder = new TextEncoder()

/** Where messages go; made once and compared by identity. */
export interface Destination {
  readonly groups: readonly string[]
  readonly member: SessionId | null
  /** As the protocol has it. */
  readonly encoded: Uint8Array
}

export function groupsDestination(groups: readonly string[]): Destination {
  return { groups, member: null, encoded: encodeDestination({ to: 'groups', groups }) }
}

export function memberDestination(member: SessionId): Destination {
  return { groups: [], member, encoded: encodeDestination({ to: 'member', member }) }
}

export interface DeliveredAt {
  readonly place: ClientPlace
  /** Index of the message in its segment. */
  readonly index: number
  readonly sequence: number
  readonly destination: Destination
  readonly views: readonly { readonly group: string; readonly view: ViewId }[]
}

export interface ReceiptWaiter {
  sequence: number
  resolve(delivered: DeliveredAt): void
  reject(error: Error): void
}

/** A segment that was sent and not yet seen in the order. */
interface SentSegment {
  readonly destination: Destination
  readonly firstSequence: number
  count: number
  /** Of the whole frame. */
  bytes: number
  waiters: ReceiptWaiter[] | null
}

/** A `send` that waits for room, with its copy of the data. */
interface Delayed {
  readonly destination: Destination
  readonly data: MessageData
  readonly service: Service
  readonly selfDiscard: boolean
  readonly waiter: ReceiptWaiter
}

export interface SequenceCounter {
  last: number
}

export interface OutboxOptions {
  readonly channel: Channel
  /** Shared by all cells of a session. */
  readonly sequences: SequenceCounter
  limitBytes: number
  readonly trace: boolean
  /** Called for every accepted message if a trace is recorded. */
  readonly onAccepted:
    | ((destination: Destination, sequence: number, service: Service, selfDiscard: boolean) => void)
    | null
  /** Something is to be flushed at the end of the turn. */
  readonly onWork: () => void
}

export class Outbox {
  /** Highest own sequence seen in the order, and highest that is settled. */
  deliveredThrough = 0
  settledThrough = 0
  /** Highest own sequence accepted for this cell. */
  acceptedThrough = 0
  private readonly options: OutboxOptions
  private readonly channel: Channel
  private readonly sequences: SequenceCounter
  private readonly buffer: WriteBuffer
  /* The open pack: its segment, where its head will stand, where it must end. */
  private open: SentSegment | null = null
  private openStart = 0
  private openEnd = 0
  private openService: Service = 'agreed'
  private openSelfDiscard = false
  private headBytes = 0
  private last: SentSegment | null = null
  private readonly sent = new Deque<SentSegment>()
  private readonly unsettled = new Deque<{
    readonly place: ClientPlace
    readonly from: number
    readonly through: number
  }>()
  private readonly delayed = new Deque<Delayed>()
  private readonly writers: { resolve(): void; reject(error: Error): void }[] = []
  private settledPlace: ClientPlace | null = null
  /** Bytes of the segments in `sent`. */
  private inFlight = 0
  private draining = false
  /** Payload of one segment that the daemon takes. */
  private mostPayloadBytes = Number.POSITIVE_INFINITY
  private ended: Error | null = null

  constructor(options: OutboxOptions) {
    this.options = options
    this.channel = options.channel
    this.sequences = options.sequences
    this.buffer = new WriteBuffer(options.channel)
  }

  /** Bytes accepted and not yet seen in the order: in the pack, on their way, or waiting at the daemon. */
  get bytes(): number {
    return this.open === null ? this.inFlight : this.inFlight + this.buffer.at - this.openStart
  }

  /**
   * What the daemon takes before the order must have moved. It then reads us at any time, and our acknowledgements
   * never stand behind messages that wait for them. Messages packed together may not be longer than a single one.
   */
  limit(inFlightBytes: number, messageBytes: number): void {
    this.options.limitBytes = Math.min(this.options.limitBytes, inFlightBytes)
    this.mostPayloadBytes = messageBytes + 4
  }

  /** First own sequence that is not yet delivered; 0 if none is under way. */
  get firstInFlight(): number {
    return this.sent.peek()?.firstSequence ?? this.open?.firstSequence ?? 0
  }

  /** First own sequence that is delivered and not yet settled, or not delivered; 0 if none. */
  get firstUnsettled(): number {
    return this.unsettled.peek()?.from ?? this.firstInFlight
  }

  /** The message's sequence, or 0 if there is no room. The caller has checked the size. */
  trySend(destination: Destination, data: MessageData, service: Service, selfDiscard: boolean): number {
    if (!this.hasRoom) return 0
    return this.accept(destination, data, service, selfDiscard, null)
  }

  /** Accepts the message as soon as there is room and tells `waiter` when it is delivered. */
  send(
    destination: Destination,
    data: MessageData,
    service: Service,
    selfDiscard: boolean,
    waiter: ReceiptWaiter,
  ): void {
    if (this.hasRoom) {
      this.accept(destination, data, service, selfDiscard, waiter)
      return
    }
    const copy = typeof data === 'string' ? data : new Uint8Array(data)
    this.delayed.push({ destination, data: copy, service, selfDiscard, waiter })
    this.channel.wantDrain?.()
  }

  writable(): Promise<void> {
    if (this.ended !== null) return Promise.reject(this.ended)
    if (this.hasRoom) return Promise.resolve()
    this.channel.wantDrain?.()
    return new Promise((resolve, reject) => this.writers.push({ resolve, reject }))
  }

  /** The channel took something, or a flush is over. */
  onDrain(): void {
    if (this.draining || (this.writers.length === 0 && this.delayed.length === 0)) return
    if (this.bytes * 2 > this.options.limitBytes) {
      this.channel.wantDrain?.()
      return
    }
    // An eager flush of what is accepted here comes back to this function.
    this.draining = true
    while (this.delayed.length > 0 && this.bytes <= this.options.limitBytes) {
      const { destination, data, service, selfDiscard, waiter } = this.delayed.shift()!
      this.accept(destination, data, service, selfDiscard, waiter)
    }
    this.draining = false
    if (this.delayed.length > 0) return this.channel.wantDrain?.()
    for (const writer of this.writers.splice(0)) writer.resolve()
  }

  private accept(
    destination: Destination,
    data: MessageData,
    service: Service,
    selfDiscard: boolean,
    waiter: ReceiptWaiter | null,
  ): number {
    if (this.ended !== null) throw this.ended
    const sequence = ++this.sequences.last
    this.acceptedThrough = sequence
    const open = this.open
    if (
      open !== null &&
      (open.destination !== destination ||
        service !== this.openService ||
        selfDiscard !== this.openSelfDiscard ||
        open.firstSequence + open.count !== sequence)
    ) {
      this.closePack()
    }
    if (typeof data === 'string') this.packText(destination, data, service, selfDiscard, sequence)
    else this.packBytes(destination, data, service, selfDiscard, sequence)
    if (waiter !== null) {
      waiter.sequence = sequence
      const segment = this.last!
      segment.waiters ??= []
      segment.waiters.push(waiter)
    }
    this.options.onAccepted?.(destination, sequence, service, selfDiscard)
    if (this.buffer.bytes > EAGER_FLUSH_BYTES) this.flush(null)
    else this.options.onWork()
    return sequence
  }

  private packBytes(
    destination: Destination,
    data: Uint8Array,
    service: Service,
    selfDiscard: boolean,
    sequence: number,
  ): void {
    const { buffer } = this
    const length = data.length
    if (this.open !== null && buffer.at + 4 + length > this.openEnd) this.closePack()
    if (this.open === null && !this.openPack(destination, service, selfDiscard, sequence, 4 + length)) {
      return this.sendAlone(destination, data, service, selfDiscard, sequence)
    }
    const at = this.writeLength(length)
    buffer.slab.set(data, at)
    buffer.at = at + length
    this.open!.count++
  }

  private packText(
    destination: Destination,
    text: string,
    service: Service,
    selfDiscard: boolean,
    sequence: number,
  ): void {
    const { buffer } = this
    const length = text.length
    if (this.open === null) this.openPack(destination, service, selfDiscard, sequence, 4 + length * 3)
    // A UTF-16 unit becomes at most three bytes; if that may not fit, the exact bytes are made first.
    if (this.open === null || buffer.at + 4 + length * 3 > this.openEnd) {
      return this.packBytes(destination, encoder.encode(text), service, selfDiscard, sequence)
    }
    const start = buffer.at + 4
    let written = length <= SHORT_TEXT ? writeAscii(text, buffer.slab, start) : -1
    if (written < 0) {
      written = encoder.encodeInto(text, buffer.slab.subarray(start, start + length * 3)).written
    }
    this.writeLength(written)
    buffer.at = start + written
    this.open.count++
  }

  private writeLength(length: number): number {
    const { slab, at } = this.buffer
    slab[at] = length
    slab[at + 1] = length >>> 8
    slab[at + 2] = length >>> 16
    slab[at + 3] = length >>> 24
    return at + 4
  }

  /** False if the message is too large for a pack. */
  private openPack(
    destination: Destination,
    service: Service,
    selfDiscard: boolean,
    firstSequence: number,
    need: number,
  ): boolean {
    const { buffer } = this
    const headBytes = SEGMENT_HEAD_BYTES + destination.encoded.length
    if (headBytes + need > PACK_BYTES || need > this.mostPayloadBytes) return false
    buffer.ensure(headBytes + Math.max(need, LEAST_PACK_BYTES))
    this.openStart = buffer.at
    this.openEnd = Math.min(
      buffer.slab.length,
      buffer.at + PACK_BYTES,
      buffer.at + headBytes + this.mostPayloadBytes,
    )
    this.headBytes = headBytes
    buffer.at += headBytes
    this.openService = service
    this.openSelfDiscard = selfDiscard
    const segment = { destination, firstSequence, count: 0, bytes: 0, waiters: null }
    this.open = segment
    this.last = segment
    return true
  }

  private closePack(): void {
    const { open, buffer } = this
    if (open === null) return
    this.open = null
    if (open.count === 0) {
      buffer.at = this.openStart
      return
    }
    const payloadBytes = buffer.at - this.openStart - this.headBytes
    const head = this.encodeHead(open, this.openService, this.openSelfDiscard, payloadBytes)
    buffer.slab.set(head, this.openStart)
    this.push(open, this.headBytes + payloadBytes)
  }

  private push(segment: SentSegment, bytes: number): void {
    segment.bytes = bytes
    this.inFlight += bytes
    this.sent.push(segment)
  }

  private encodeHead(
    segment: SentSegment,
    service: Service,
    selfDiscard: boolean,
    payloadBytes: number,
  ): Uint8Array {
    return encodeSegmentHead(
      segment.destination.encoded,
      service,
      selfDiscard,
      this.options.trace,
      segment.firstSequence,
      segment.count,
      payloadBytes,
    )
  }

  /** A message larger than a pack is a segment of its own, in its own memory. */
  private sendAlone(
    destination: Destination,
    data: Uint8Array,
    service: Service,
    selfDiscard: boolean,
    firstSequence: number,
  ): void {
    const segment: SentSegment = { destination, firstSequence, count: 1, bytes: 0, waiters: null }
    this.last = segment
    this.push(segment, SEGMENT_HEAD_BYTES + destination.encoded.length + 4 + data.length)
    const head = this.encodeHead(segment, service, selfDiscard, 4 + data.length)
    const bytes = new Uint8Array(head.length + 4 + data.length)
    bytes.set(head)
    new DataView(bytes.buffer).setUint32(head.length, data.length, true)
    bytes.set(data, head.length + 4)
    this.buffer.append(bytes)
  }

  /**
   * A segment that was packed elsewhere, taken as it is whatever the room; returns the sequence of its first message.
   *
   * @param payload must not change any more.
   */
  sendPacked(
    destination: Destination,
    payload: readonly Uint8Array[],
    count: number,
    service: Service,
    selfDiscard: boolean,
    waiter: ReceiptWaiter,
  ): number {
    if (this.ended !== null) throw this.ended
    this.closePack()
    const firstSequence = this.sequences.last + 1
    this.sequences.last += count
    this.acceptedThrough = this.sequences.last
    waiter.sequence = firstSequence
    const segment: SentSegment = { destination, firstSequence, count, bytes: 0, waiters: [waiter] }
    let payloadBytes = 0
    for (const slice of payload) payloadBytes += slice.length
    this.push(segment, SEGMENT_HEAD_BYTES + destination.encoded.length + payloadBytes)
    this.buffer.copy(this.encodeHead(segment, service, selfDiscard, payloadBytes))
    for (const slice of payload) this.buffer.append(slice)
    const { onAccepted } = this.options
    if (onAccepted !== null) {
      for (let i = 0; i < count; i++) onAccepted(destination, firstSequence + i, service, selfDiscard)
    }
    if (this.buffer.bytes > EAGER_FLUSH_BYTES) this.flush(null)
    else this.options.onWork()
    return firstSequence
  }

  /** True while `trySend` would take a message. */
  get hasRoom(): boolean {
    return this.delayed.length === 0 && this.bytes <= this.options.limitBytes
  }

  /** A frame without payload, in its order between the segments. */
  control(frame: Uint8Array): void {
    this.closePack()
    this.buffer.copy(frame)
    this.options.onWork()
  }

  /** Write everything, and `acknowledgement` if there is one. */
  flush(acknowledgement: Uint8Array | null): void {
    this.closePack()
    if (acknowledgement !== null) this.buffer.copy(acknowledgement)
    this.buffer.flush()
    this.onDrain()
  }

  /** The copy of an own segment came back. It is the whole receipt only if there is exactly one destination group. */
  ownCopy(firstSequence: number, place: ClientPlace, group: string | null, view: ViewId | null): void {
    const segment = this.sent.peek()
    if (segment === undefined || segment.destination.groups.length !== 1) return
    if (group === null || view === null) return
    this.ownDelivered(firstSequence, place, [{ group, view }])
  }

  /** An own segment reached its place. False if it is not the one that must be next. */
  ownDelivered(
    firstSequence: number,
    place: ClientPlace,
    views: readonly { readonly group: string; readonly view: ViewId }[],
  ): boolean {
    const segment = this.sent.peek()
    if (segment === undefined || segment.firstSequence !== firstSequence) return false
    this.sent.shift()
    this.inFlight -= segment.bytes
    this.onDrain()
    this.deliveredThrough = segment.firstSequence + segment.count - 1
    this.unsettled.push({ place, from: segment.firstSequence, through: this.deliveredThrough })
    // A settled fact may have run ahead of what is delivered here.
    if (this.settledPlace !== null) this.settle(this.settledPlace)
    const { waiters, destination } = segment
    if (waiters === null) return true
    for (const waiter of waiters) {
      const index = waiter.sequence - segment.firstSequence
      waiter.resolve({ place, index, sequence: waiter.sequence, destination, views })
    }
    return true
  }

  settle(place: ClientPlace): void {
    this.settledPlace = place
    for (;;) {
      const first = this.unsettled.peek()
      if (first === undefined || comparePlaces(first.place, place) > 0) return
      this.unsettled.shift()
      this.settledThrough = first.through
    }
  }

  /**
   * Nothing is sent any more.
   *
   * @param unresolved rejects the receipts of what was sent and not seen in the order.
   * @param closed rejects what was not sent, and later calls.
   */
  end(unresolved: Error, closed: Error): void {
    if (this.ended !== null) return
    this.closePack()
    this.ended = closed
    for (let segment = this.sent.shift(); segment !== undefined; segment = this.sent.shift()) {
      for (const waiter of segment.waiters ?? []) waiter.reject(unresolved)
    }
    for (let one = this.delayed.shift(); one !== undefined; one = this.delayed.shift()) {
      one.waiter.reject(closed)
    }
    for (const writer of this.writers.splice(0)) writer.reject(closed)
    this.buffer.clear()
  }
}

/** The number of bytes, or -1 if the text is not ASCII. */
function writeAscii(text: string, slab: Uint8Array, start: number): number {
  const length = text.length
  for (let i = 0; i < length; i++) {
    const unit = text.charCodeAt(i)
    if (unit > 0x7f) return -1
    slab[start + i] = unit
  }
  return length
}
