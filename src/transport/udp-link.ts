import type { Feedback, Key } from '../codec/datagram.ts'
import { CodecError } from '../codec/error.ts'
import { type Attach, isNotice, type NoticeCodec, type Offer } from '../codec/notice.ts'
import type { Slices } from '../codec/envelope.ts'
import type { Readable } from './inbox.ts'
import type { TcpConnection } from './tcp-connection.ts'
import type { DatagramCounters, TransportCounters } from './transport.ts'
import { type Position, UdpReceiver } from './udp-receiver.ts'
import type { Follower, UdpSender } from './udp-sender.ts'

export interface LinkContext {
  readonly notices: NoticeCodec
  readonly counters: TransportCounters
  readonly datagrams: DatagramCounters
  readonly maxFrameBytes: number
  /** Bytes queued for one peer. */
  readonly dataQueueBytes: number
  /** Number of the last probe that was sent to anybody. */
  readonly probes: { last: number }
  /** Another stream of a peer is known: its key may be used from now on. */
  offered(link: UdpLink, before: Offer | null): void
  /** It follows our stream, or no more. */
  follows(link: UdpLink, follower: Follower, yes: boolean): void
}

/** Pauses between probes of a peer that does not answer. */
const FIRST_PROBE_MS = 20
const MOST_PROBE_MS = 5000
/** A peer that fell behind is not tried again sooner; doubles with every time. */
const FIRST_HOLD_MS = 250
const MOST_HOLD_MS = 10_000
/** Who follows for so long is one that keeps up. */
const STABLE_MS = 10_000
/** More must not wait in the connection when the data lane leaves it. */
const MOST_WAITING_BYTES: number = 64 * 1024

/**
 * What there is beside one data connection: their stream, which we follow, and ours, which they follow. It ends with the
 * connection. A stream is left for the connection, and begun again, by notices in the connection; so no frame is lost,
 * repeated or overtaken by that.
 */
export class UdpLink implements Readable {
  readonly connection: TcpConnection
  /** Of our stream. */
  readonly key: Key
  /** With this they answer to our stream. */
  readonly answer: Key
  /** Our stream; others may follow it, too. */
  readonly sender: UdpSender
  readonly receiver: UdpReceiver
  /** They follow our stream; null: they get everything over the connection. */
  follower: Follower | null = null
  theirs: Offer | null = null
  /** The frames of the configuration are for them, too. */
  wanted = true
  /** Bytes of frames for many since the last that was for them. */
  missedBytes = 0
  /** When their hearing is tried again. */
  probeAt: number = Number.POSITIVE_INFINITY
  /** They must be told something that `receiver` does not know. */
  answerDue = false
  readonly #context: LinkContext
  #attachment = 0
  #attachedAt = 0
  #holdMs = FIRST_HOLD_MS
  #holdUntil = 0
  #probePauseMs = FIRST_PROBE_MS
  /** Only echoes of later probes count. */
  #probesBefore: number
  /** A probe was answered. */
  #heard = false
  #paused = false
  /** The last probe of theirs that we heard. */
  #probeHeard = 0
  /** Notices wait in the connection. */
  #unflushed = false
  /** Frames that come over the connection and are here already. */
  #skip = 0

  constructor(
    context: LinkContext,
    connection: TcpConnection,
    stream: { readonly key: Key; readonly answer: Key; readonly sender: UdpSender },
  ) {
    this.#context = context
    this.connection = connection
    this.key = stream.key
    this.answer = stream.answer
    this.sender = stream.sender
    this.#probesBefore = context.probes.last
    this.receiver = new UdpReceiver(context.maxFrameBytes)
  }

  /** The first thing said over a connection. */
  offer(at: { readonly host: string; readonly port: number; readonly receiveBytes: number }): void {
    const { notices } = this.#context
    const offer = notices.encode({ what: 'offer', stream: this.key, answer: this.answer, ...at })
    this.connection.send(offer, true)
    this.connection.flush()
  }

  /** What came over the connection; takes out what is not for the cell. @throws CodecError for a notice that is none. */
  filter(frames: Slices[], now: number): void {
    let kept = 0
    for (const frame of frames) {
      if (isNotice(frame)) this.#notice(frame, now)
      else if (this.#skip > 0) this.#skip--
      else frames[kept++] = frame
    }
    frames.length = kept
  }

  #notice(frame: Slices, now: number): void {
    const notice = this.#context.notices.decode(frame)
    if (notice.what === 'offer') {
      const before = this.theirs
      this.theirs = notice
      this.probeAt = now
      this.#context.offered(this, before)
    } else if (notice.what === 'attach') this.#attached(notice)
    else this.#skip = this.receiver.detach(notice)
  }

  #attached(notice: Attach): void {
    this.#skip = 0
    this.receiver.attach(notice)
    this.receiver.dueAt = 0
  }

  /** A piece of their stream. @throws CodecError if it is no sequence of frames. */
  take(piece: { number: number; payload: Uint8Array; urgent: boolean }, now: number, into: Slices[]): void {
    if (this.#paused) {
      this.answerDue = true
      return
    }
    const { receiver } = this
    const { duplicates } = receiver
    receiver.take(piece.number, piece.payload, piece.urgent, now, into)
    this.#context.datagrams.duplicates += receiver.duplicates - duplicates
  }

  heardProbe(number: number): void {
    this.#probeHeard = number
    this.answerDue = true
  }

  /** Something must be told to them. */
  due(now: number): boolean {
    return this.theirs !== null && (this.answerDue || this.receiver.dueAt <= now)
  }

  /** What is told to them. */
  tell(now: number): Position & { readonly paused: boolean; readonly probe: number } {
    this.answerDue = false
    return { ...this.receiver.tell(now), paused: this.#paused, probe: this.#probeHeard }
  }

  setReading(reading: boolean): void {
    this.#paused = !reading
    this.answerDue = this.receiver.attached
  }

  /** What they say. */
  hear(feedback: Feedback, now: number): void {
    if (feedback.probe > this.#probesBefore) this.#heard = true
    const { follower } = this
    if (follower === null || !feedback.attached || feedback.attachment !== this.#attachment) return
    // The connection stops them as well as us; here we would only send to nobody.
    if (feedback.paused) this.detach(now)
    else this.sender.hear(follower, feedback, now)
  }

  /** Whether they can follow from now on. */
  mayAttach(now: number): boolean {
    if (this.follower !== null || !this.#heard || !this.wanted || this.theirs === null) return false
    return now >= this.#holdUntil && this.connection.pending <= MOST_WAITING_BYTES
  }

  attach(now: number): void {
    this.#attachment = (this.#attachment + 1) & 0xffff
    this.#attachedAt = now
    this.probeAt = Number.POSITIVE_INFINITY
    this.missedBytes = 0
    this.follower = this.sender.attach(this.theirs?.receiveBytes ?? 0)
    this.#context.follows(this, this.follower, true)
    this.#context.datagrams.attached++
  }

  /** Our stream begins for them. */
  begin(piece: number, frame: number): void {
    const { notices } = this.#context
    this.connection.send(notices.encode({ what: 'attach', attachment: this.#attachment, piece, frame }), true)
    this.#unflushed = true
  }

  /** They get everything over the connection again; what they may lack of the stream comes first. */
  detach(now: number): void {
    const { follower } = this
    if (follower === null) return
    const { frame, frames } = this.leave(follower)
    const { connection } = this
    let { room } = connection
    const fit = frames.findIndex(({ bytes }) => (room -= bytes) < 0)
    const count = fit < 0 ? frames.length : fit
    if (follower.started) {
      const { notices } = this.#context
      const notice = { what: 'detach', attachment: this.#attachment, frame, frames: count } as const
      connection.send(notices.encode(notice), true)
    }
    frames.forEach((each, index) => connection.send(each, index < count))
    this.#unflushed = true
    this.#hold(now)
  }

  #hold(now: number): void {
    if (now - this.#attachedAt >= STABLE_MS) this.#holdMs = FIRST_HOLD_MS
    this.#holdUntil = now + this.#holdMs
    this.#holdMs = Math.min(this.#holdMs * 2, MOST_HOLD_MS)
    this.#heard = false
    this.#probesBefore = this.#context.probes.last
    this.#probePauseMs = FIRST_PROBE_MS
    this.probeAt = this.#holdUntil
    this.#context.datagrams.detached++
  }

  /** They follow no more. @returns what they may lack. */
  leave(follower: Follower): { readonly frame: number; readonly frames: readonly Slices[] } {
    this.follower = null
    this.#context.follows(this, follower, false)
    return this.sender.detach(follower)
  }

  /** A probe is sent now. */
  probed(now: number): void {
    this.probeAt = this.#heard ? Number.POSITIVE_INFINITY : now + this.#probePauseMs
    this.#probePauseMs = Math.min(this.#probePauseMs * 2, MOST_PROBE_MS)
  }

  flushNotices(): void {
    if (this.#unflushed) this.connection.flush()
    this.#unflushed = false
  }

  /** Bytes in datagrams on their way to them, or waiting. */
  get streamPending(): number {
    return this.follower === null ? 0 : this.sender.pending(this.follower)
  }

  /** Whether a frame more has room in their queue. One always has. */
  hasRoom(frame: Slices): boolean {
    const pending = this.connection.pending + this.streamPending
    return pending === 0 || pending + frame.bytes <= this.#context.dataQueueBytes
  }
}

/** The words with which a connection ends over which something came that makes no sense. */
export function brokenStream(error: unknown): string {
  if (!(error instanceof CodecError)) throw error
  return `the stream is broken: ${error.message}`
}
