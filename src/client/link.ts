/** One channel to one cell: handshake, requests and answers, acknowledgements, and the stream of frames. */

import { createDaemonFrameDecoder, daemonStreamLimits } from '../codec/client-decode.ts'
import { encodeClientFrame } from '../codec/client-encode.ts'
import type { FrameSplitter } from '../codec/client-splitter.ts'
import type {
  ClientPlace,
  DaemonFrame,
  FateAnswerFrame,
  HelloFrame,
  MessagesFrame,
  QuerySubject,
  ViewFrame,
  WelcomeFrame,
} from '../codec/client.ts'
import { CLIENT_PROTOCOL_HIGHEST, CLIENT_PROTOCOL_LOWEST, SHARED_SESSION_FEATURE } from '../codec/client.ts'
import type { SessionId, ViewId } from '../groups/types.ts'
import type { ErrorCode } from '../lib/errors.ts'
import { AnasaziError, isErrorCode } from '../lib/errors.ts'
import type { MessageFate } from './api.ts'
import type { Channel } from './channel.ts'
import type { QueuedItem } from './events.ts'
import { ViewEvent } from './events.ts'
import { MemberList } from './members.ts'
import { Outbox } from './outbox.ts'
import type { OutboxOptions } from './outbox.ts'
import { comparePlaces } from './position.ts'
import { MessageRun } from './run.ts'

/**
 * A daemon whose welcome is longer than this is none. Bytes. (Payloads have no bound of their own yet: they may follow
 * the welcome in the same chunk, and the handshake has its time.)
 */
const HANDSHAKE_BYTES = 1 << 20
/** A settled place answers "not yet" only if the daemon is wrong; asking again is bounded all the same. */
const MOST_FATE_ATTEMPTS = 8

/** A group of this link, from `joined` to `left`. */
export interface LinkGroup {
  readonly id: number
  readonly name: string
  view: ViewEvent | null
  list: MemberList
}

/** Where the link puts what it reads, in order. Nothing here may throw. */
export interface LinkReceiver {
  onItem(group: LinkGroup | null, item: QueuedItem): void
  /** The session is in this group though this side did not ask: another thread of it did. */
  onAnnounced(group: LinkGroup): void
  onJoined(group: LinkGroup): void
  onLeft(group: LinkGroup): void
  /** Fates up to this place are decided. */
  onSettled(place: ClientPlace): void
  onWarning(code: string, message: string): void
  /** The items of a chunk are complete. */
  onChunkEnd(): void
  /** The last call. `error` null: both sides closed in an orderly way. */
  onEnd(error: AnasaziError | null): void
}

interface Request {
  resolve(value: unknown): void
  reject(error: Error): void
}

interface SettledWaiter {
  readonly place: ClientPlace
  resolve(): void
  reject(error: Error): void
}

export interface LinkOptions {
  readonly cell: string
  readonly name: string
  readonly cluster: string
  readonly trace: boolean
  readonly handshakeTimeoutMs: number
  readonly outbox: Omit<OutboxOptions, 'channel' | 'onWork' | 'trace'>
}

export class Link {
  readonly outbox: Outbox
  private readonly channel: Channel
  private readonly receiver: LinkReceiver
  private readonly decoder: FrameSplitter<DaemonFrame>
  private readonly groups = new Map<number, LinkGroup>()
  private readonly senders = new Map<number, SessionId>()
  private readonly requests = new Map<number, Request>()
  private settledWaiters: SettledWaiter[] = []
  private settled: ClientPlace | null = null
  private lastRequest = 0
  private greeting: WelcomeFrame | null = null
  private onGreeted: ((error: AnasaziError | null) => void) | null = null
  private ownSender = -1
  private readBytes = 0
  /** Bytes up to the end of the welcome frame, which do not count. */
  private welcomeBytes = 0
  private acknowledged = 0
  private flushing = false
  private closing = false
  private error: AnasaziError | null = null
  private ended = false
  private readonly flushTask: () => void = () => this.flush()

  private constructor(channel: Channel, receiver: LinkReceiver, options: LinkOptions) {
    this.channel = channel
    this.receiver = receiver
    this.decoder = createDaemonFrameDecoder({
      maxControlBytes: HANDSHAKE_BYTES,
      maxPayloadBytes: 0xffff_ffff,
    })
    const { trace } = options
    this.outbox = new Outbox({ ...options.outbox, channel, trace, onWork: () => this.schedule() })
  }

  /** Rejects with `refused` or what the daemon says, `protocol`, `handshake-timeout`, `connection-lost`, `aborted`. */
  static open(
    channel: Channel,
    receiver: LinkReceiver,
    options: LinkOptions,
    signal: AbortSignal | null,
  ): Promise<Link> {
    const link = new Link(channel, receiver, options)
    return new Promise((resolve, reject) => {
      const finish = (error: AnasaziError | null) => {
        if (link.onGreeted === null) return
        link.onGreeted = null
        clearTimeout(timer)
        signal?.removeEventListener('abort', onAbort)
        if (error === null) return resolve(link)
        link.ended = true
        channel.abort()
        reject(error)
      }
      const onAbort = () => finish(new AnasaziError('aborted', '', { cause: signal?.reason }))
      const timer = setTimeout(
        () => finish(new AnasaziError('handshake-timeout', `${options.handshakeTimeoutMs} ms.`)),
        options.handshakeTimeoutMs,
      )
      link.onGreeted = finish
      if (signal?.aborted) return onAbort()
      signal?.addEventListener('abort', onAbort, { once: true })
      link.start(options)
    })
  }

  private start(options: LinkOptions): void {
    const channel = this.channel
    channel.onData = chunk => this.read(chunk)
    channel.onDrain = () => this.outbox.onDrain()
    channel.onClose = error => this.onChannelClose(error)
    const hello: HelloFrame = {
      kind: 'hello',
      lowest: CLIENT_PROTOCOL_LOWEST,
      highest: CLIENT_PROTOCOL_HIGHEST,
      features: 0,
      cluster: options.cluster,
      auth: 'none',
      cell: options.cell,
      name: options.name,
      trace: options.trace,
    }
    channel.write([encodeClientFrame(hello)])
    channel.resume()
  }

  get welcome(): WelcomeFrame {
    return this.greeting!
  }

  /** The session belongs to another thread, which this one reaches by the link. */
  private get shared(): boolean {
    return (this.welcome.features & SHARED_SESSION_FEATURE) !== 0
  }

  get isOpen(): boolean {
    return !this.ended && !this.closing
  }

  /** Why it ended; null while it has not, and after an orderly end. */
  get failure(): AnasaziError | null {
    return this.error
  }

  pause(): void {
    this.channel.pause()
  }

  resume(): void {
    if (!this.ended) this.channel.resume()
  }

  private schedule(): void {
    if (this.flushing) return
    this.flushing = true
    this.channel.atTurnEnd(this.flushTask)
  }

  private flush(): void {
    this.flushing = false
    if (this.ended) return
    const bytes = this.readBytes - this.welcomeBytes
    let frame: Uint8Array | null = null
    if (bytes > this.acknowledged && this.greeting !== null) {
      this.acknowledged = bytes
      frame = encodeClientFrame({ kind: 'acknowledge', bytes })
    }
    this.outbox.flush(frame)
  }

  private read(chunk: Uint8Array): void {
    if (this.ended) return
    this.readBytes += chunk.length
    const frames: DaemonFrame[] = []
    let broken: AnasaziError | null = null
    try {
      this.decoder.push(chunk, frames)
    } catch (error) {
      broken = new AnasaziError('protocol', (error as Error).message, { cause: error })
    }
    for (const frame of frames) {
      this.handle(frame)
      if (this.ended) return
    }
    this.receiver.onChunkEnd()
    if (broken !== null) {
      if (this.greeting === null) return this.onGreeted?.(broken)
      this.channel.abort()
      this.finish(broken)
      return
    }
    if (this.greeting !== null) this.schedule()
  }

  private handle(frame: DaemonFrame): void {
    if (this.greeting === null) return this.handshake(frame)
    switch (frame.kind) {
      case 'messages':
        return this.onMessages(frame)
      case 'define':
        if (frame.sender === this.greeting.session) this.ownSender = frame.ref
        else if (this.ownSender === frame.ref) this.ownSender = -1
        this.senders.set(frame.ref, frame.sender)
        return
      case 'own':
        if (!this.outbox.ownDelivered(frame.firstSequence, frame.place, frame.views)) {
          this.breach(`own segment ${frame.firstSequence} is not the next one`)
        }
        return
      case 'settled':
        return this.onSettled(frame.place)
      case 'view':
        return this.onView(frame)
      case 'transitional': {
        const group = this.groupOf(frame.groupId)
        if (group === null) return
        const { cell } = this.greeting
        return this.receiver.onItem(group, {
          type: 'transitional',
          cell,
          group: group.name,
          view: frame.view,
        })
      }
      case 'joined':
        return this.onJoined(frame.request, frame.groupId, frame.group)
      case 'left':
        return this.onLeft(frame.request, frame.groupId)
      case 'fateAnswer':
        return this.answer(frame.request, frame)
      case 'answer':
        return this.answer(frame.request, frame.json)
      case 'error':
        this.take(frame.request)?.reject(errorOf(frame.code, frame.message, frame.retryable))
        return
      case 'warning':
        return this.receiver.onWarning(frame.code, frame.message)
      case 'closing':
        return this.onClosing(frame.code, frame.words)
      default:
        return this.breach(`a '${frame.kind}' frame after the handshake`)
    }
  }

  private handshake(frame: DaemonFrame): void {
    if (this.onGreeted === null) return
    if (frame.kind === 'refused') {
      return this.onGreeted(errorOf(frame.code, frame.words, null))
    }
    if (frame.kind !== 'welcome') {
      return this.onGreeted(new AnasaziError('protocol', `The daemon began with a '${frame.kind}' frame.`))
    }
    if (frame.version < CLIENT_PROTOCOL_LOWEST || frame.version > CLIENT_PROTOCOL_HIGHEST) {
      return this.onGreeted(new AnasaziError('protocol', `The daemon chose version ${frame.version}.`))
    }
    this.greeting = frame
    this.welcomeBytes = this.decoder.firstFrameBytes
    Object.assign(this.decoder.limits, daemonStreamLimits(frame.limits.maxMessageBytes))
    this.outbox.limit(frame.limits.maxInFlightBytes, frame.limits.maxMessageBytes)
    this.onGreeted(null)
  }

  private onMessages(frame: MessagesFrame): void {
    const { cell } = this.greeting!
    const sender = this.senders.get(frame.sender)
    if (sender === undefined) return this.breach(`sender ${frame.sender} was not defined`)
    const group = frame.groupId === 0 ? null : this.groupOf(frame.groupId)
    if (group === null && frame.groupId !== 0) return
    const own = frame.sender === this.ownSender
    const name = group === null ? null : group.name
    const view = group === null || group.view === null ? null : group.view.view
    const run = new MessageRun(frame, cell, name, view, sender, own)
    if (own && !this.shared) this.outbox.ownCopy(frame.firstSequence, frame.place, name, view)
    this.receiver.onItem(group, run)
  }

  private onView(frame: ViewFrame): void {
    const group = this.groupOf(frame.groupId)
    if (group === null) return
    group.list = frame.full ? MemberList.full(frame.joined) : group.list.changed(frame.joined, frame.left)
    const first = group.view === null
    const view = new ViewEvent(this.greeting!.cell, group.name, frame, group.list)
    group.view = view
    this.receiver.onItem(group, view)
    if (first) this.receiver.onJoined(group)
  }

  private onJoined(request: number, id: number, name: string): void {
    let group = this.groups.get(id)
    if (group === undefined || group.name !== name) {
      group = { id, name, view: null, list: MemberList.full([]) }
      this.groups.set(id, group)
    }
    if (request === 0) this.receiver.onAnnounced(group)
    else this.answer(request, group)
  }

  private onLeft(request: number, id: number): void {
    const group = this.groupOf(id)
    if (group === null) return
    this.groups.delete(id)
    this.receiver.onLeft(group)
    if (request !== 0) this.answer(request, undefined)
  }

  private groupOf(id: number): LinkGroup | null {
    const group = this.groups.get(id)
    if (group !== undefined) return group
    this.breach(`group ${id} was not joined`)
    return null
  }

  private onSettled(place: ClientPlace): void {
    this.settled = place
    this.outbox.settle(place)
    this.receiver.onSettled(place)
    if (this.settledWaiters.length === 0) return
    const waiting: SettledWaiter[] = []
    for (const waiter of this.settledWaiters) {
      if (comparePlaces(waiter.place, place) <= 0) waiter.resolve()
      else waiting.push(waiter)
    }
    this.settledWaiters = waiting
  }

  private onClosing(code: string, words: string): void {
    const orderly = code === 'closed' && (this.closing || this.shared)
    this.channel.close()
    this.finish(orderly ? null : errorOf(code === 'closed' ? 'connection-lost' : code, words, null))
  }

  private breach(what: string): void {
    const error = new AnasaziError('protocol', `The daemon's stream is inconsistent: ${what}.`)
    this.channel.abort()
    this.finish(error)
  }

  private onChannelClose(cause: Error | null): void {
    if (this.greeting === null) {
      const why = cause === null ? 'It ended during the handshake.' : `${cause.message}.`
      this.onGreeted?.(new AnasaziError('connection-lost', why, { cause: cause ?? undefined }))
      return
    }
    const particulars = cause === null ? '' : `${cause.message}.`
    this.finish(new AnasaziError('connection-lost', particulars, { cause: cause ?? undefined }))
  }

  private finish(error: AnasaziError | null): void {
    if (this.ended) return
    this.ended = true
    this.error = error
    const lost = error ?? new AnasaziError('closed')
    const progress = {
      acceptedThrough: this.outbox.acceptedThrough,
      deliveredThrough: this.outbox.deliveredThrough,
    }
    const unresolved = new AnasaziError('fate-unknown', '', { cause: lost, ...progress })
    const closed = new AnasaziError(lost.code, '', { cause: error ?? undefined, ...progress })
    this.outbox.end(unresolved, closed)
    for (const request of this.requests.values()) request.reject(lost)
    this.requests.clear()
    for (const waiter of this.settledWaiters) waiter.reject(lost)
    this.settledWaiters = []
    this.receiver.onEnd(error)
  }

  private take(request: number): Request | null {
    const found = this.requests.get(request)
    if (found === undefined) {
      this.breach(`request ${request} was not made`)
      return null
    }
    this.requests.delete(request)
    return found
  }

  private answer(request: number, value: unknown): void {
    this.take(request)?.resolve(value)
  }

  private request<T>(frame: (request: number) => Uint8Array): Promise<T> {
    if (!this.isOpen) return Promise.reject(new AnasaziError('closed'))
    return new Promise<T>((resolve, reject) => {
      // Their numbers have 32 bits, and 0 is none.
      this.lastRequest = (this.lastRequest % 0xffff_ffff) + 1
      const request = this.lastRequest
      this.requests.set(request, { resolve: resolve as (value: unknown) => void, reject })
      this.outbox.control(frame(request))
    })
  }

  /** Resolves when the join is ordered; the first view follows. */
  join(group: string): Promise<LinkGroup> {
    return this.request(request => encodeClientFrame({ kind: 'join', request, group }))
  }

  leave(group: string): Promise<void> {
    return this.request(request => encodeClientFrame({ kind: 'leave', request, group }))
  }

  /** Resolves with the JSON text. */
  query(what: QuerySubject, group: string): Promise<string> {
    return this.request(request => encodeClientFrame({ kind: 'query', request, what, group }))
  }

  /** @param group '' for a private message. */
  async fate(group: string, place: ClientPlace): Promise<MessageFate & { readonly view: ViewId }> {
    for (let attempt = 0; attempt < MOST_FATE_ATTEMPTS; attempt++) {
      // Asked at once: only to those who wait does the daemon say when a place is settled.
      const answer = await this.request<FateAnswerFrame>(request =>
        encodeClientFrame({ kind: 'fate', request, group, place }),
      )
      if (answer.settled) {
        return { view: answer.view, received: answer.received, unknown: answer.unknown }
      }
      if (attempt === 0) await this.untilSettled(place)
      else await this.nextSettled()
    }
    throw new AnasaziError('protocol', 'The daemon calls a place settled and its fates not.')
  }

  private untilSettled(place: ClientPlace): Promise<void> {
    if (this.shared) return Promise.resolve()
    if (this.settled !== null && comparePlaces(place, this.settled) <= 0) return Promise.resolve()
    if (!this.isOpen) return Promise.reject(new AnasaziError('closed'))
    return new Promise((resolve, reject) => this.settledWaiters.push({ place, resolve, reject }))
  }

  /** Resolves at the next `settled` frame, whatever it says. */
  private nextSettled(): Promise<void> {
    return this.isOpen
      ? new Promise((resolve, reject) =>
          this.settledWaiters.push({ place: { epoch: 0, ts: 0, rank: 0, index: 0 }, resolve, reject }),
        )
      : Promise.reject(new AnasaziError('closed'))
  }

  /** Orderly end; `onEnd` follows. */
  close(): void {
    if (this.closing || this.ended) return
    this.outbox.control(encodeClientFrame({ kind: 'close' }))
    this.closing = true
    // A paused reader would never see the answer.
    this.channel.resume()
  }

  /** End without a word to the daemon. */
  abort(): void {
    this.channel.abort()
    this.finish(new AnasaziError('connection-lost'))
  }
}

/** Names that the group layer of a daemon has for things of the catalogue. */
const ALIASES: Readonly<Record<string, ErrorCode>> = {
  'bad-group': 'bad-group-name',
  'message-too-large': 'too-large',
  'no-session': 'closed',
  'not-member': 'not-a-member',
  'too-many-connections': 'too-many-sessions',
  'too-many-handshakes': 'too-many-sessions',
}

function errorOf(code: string, words: string, retryable: boolean | null): AnasaziError {
  const known: ErrorCode = isErrorCode(code) ? code : (ALIASES[code] ?? 'refused')
  const particulars = known === 'refused' ? `${code}: ${words}` : words
  return new AnasaziError(known, particulars, retryable === null ? {} : { retryable })
}
