/**
 * One session, many threads. The thread that owns the session is to the others what a daemon is to a client: it speaks
 * the same protocol with them, over rings of shared memory, and passes packed runs on without looking into them.
 */

import { clientStreamLimits, createClientFrameDecoder } from '../codec/client-decode.ts'
import type { DaemonControlFrame } from '../codec/client-encode.ts'
import { encodeDaemonFrame, encodeMessagesHead } from '../codec/client-encode.ts'
import type { FrameSplitter } from '../codec/client-splitter.ts'
import type { ClientFrame, SegmentFrame } from '../codec/client.ts'
import { CLIENT_PROTOCOL_HIGHEST, SHARED_SESSION_FEATURE } from '../codec/client.ts'
import type { SessionId } from '../groups/types.ts'
import { AnasaziError } from '../lib/errors.ts'
import type { Session, SessionOptions, SharedHandle, ShareOptions } from './api.ts'
import type { RingEnd } from './channel-ring.ts'
import { createRingChannel, createRingEnds } from './channel-ring.ts'
import type { Channel } from './channel.ts'
import type { QueuedItem, ViewEvent } from './events.ts'
import type { DeliveredAt } from './outbox.ts'
import { positionOf } from './position.ts'
import { Ring } from './ring.ts'
import type { RingCounters } from './ring.ts'
import type { MessageRun } from './run.ts'
import { ClientSession } from './session.ts'

const DEFAULT_RING_BYTES = 2 << 20
/** A thread that lags by this much holds the others up; it keeps memory flat. Bytes. */
const MOST_PENDING_BYTES = 4 << 20

/** Senders numbered before all are forgotten and numbered anew. */
const MOST_SENDERS = 8192

/** An own segment of a thread, on its way; reported in the order it was accepted. */
interface ThreadSegment {
  readonly firstSequence: number
  readonly count: number
  delivered: DeliveredAt | null
}

class ThreadServer {
  attached = false
  gone = false
  readonly divides: boolean
  private readonly hub: ShareHub
  private readonly session: ClientSession
  private readonly channel: Channel
  private readonly decoder: FrameSplitter<ClientFrame>
  private readonly defined = new Set<number>()
  private readonly announced = new Set<string>()
  /** Requests that the mark of a leave answers, by group. */
  private readonly leaveRequests = new Map<string, number>()
  private readonly joining = new Map<string, Promise<unknown>>()
  private closing = false
  private flushing = false
  private segments: ThreadSegment[] = []
  private out: Uint8Array[] = []
  private onDrained: (() => void) | null = null

  constructor(hub: ShareHub, session: ClientSession, channel: Channel, divides: boolean) {
    this.hub = hub
    this.session = session
    this.channel = channel
    this.divides = divides
    this.decoder = createClientFrameDecoder(clientStreamLimits(session.limits.maxMessageBytes))
    channel.onData = chunk => this.read(chunk)
    channel.onDrain = () => this.drained()
    channel.onClose = () => this.onGone()
    channel.resume()
  }

  private onGone(): void {
    if (this.gone) return
    this.gone = true
    this.out = []
    this.release()
    this.hub.onThreadGone(this)
  }

  private read(chunk: Uint8Array): void {
    const frames: ClientFrame[] = []
    try {
      this.decoder.push(chunk, frames)
      for (const frame of frames) this.handle(frame)
    } catch (error) {
      const known = error instanceof AnasaziError ? error.code : 'protocol'
      this.end(known, error instanceof Error ? error.message : String(error))
    }
    this.flush()
  }

  private handle(frame: ClientFrame): void {
    if (this.gone) return
    switch (frame.kind) {
      case 'hello':
        return this.greet()
      case 'segment':
        return this.onSegment(frame)
      case 'join':
        return this.onJoin(frame.request, frame.group)
      case 'leave':
        return this.answer(frame.request, this.leave(frame.request, frame.group), () => {})
      case 'fate': {
        const { request, group, place } = frame
        return this.answer(request, this.session.fateIn(group, positionOf(place, 0)), fate =>
          this.send({ kind: 'fateAnswer', request, settled: true, ...fate }),
        )
      }
      case 'query': {
        const { request, what, group } = frame
        const { session } = this
        const asking: Promise<unknown> =
          what === 'groups'
            ? session.groups()
            : what === 'members'
              ? session.membersOf(group)
              : session.status()
        return this.answer(request, asking, value =>
          this.send({ kind: 'answer', request, json: JSON.stringify(value) ?? 'null' }),
        )
      }
      case 'close':
        this.closing = true
        return this.closeWhenDelivered()
      case 'acknowledge':
        // What the owner read is read; a thread that lags is held back by its ring.
        return
    }
  }

  private answer<T>(request: number, asking: Promise<T>, reply: (value: T) => void): void {
    asking.then(
      value => {
        reply(value)
        this.flush()
      },
      (error: unknown) => {
        const known = error instanceof AnasaziError ? error : new AnasaziError('internal', String(error))
        const { code, message, retryable } = known
        this.send({ kind: 'error', request, code, message, retryable })
        this.flush()
      },
    )
  }

  private greet(): void {
    const { session } = this
    const { number, daemon, cluster, limits, cell } = session.welcome()
    this.attached = true
    this.send({
      kind: 'welcome',
      version: CLIENT_PROTOCOL_HIGHEST,
      features: SHARED_SESSION_FEATURE,
      number,
      session: session.id,
      daemon,
      cluster,
      cell,
      limits,
      cells: [{ name: cell, patterns: ['*'], endpoints: [] }],
    })
    for (const view of this.hub.shown.values()) this.view(view)
    this.hub.onAttached()
  }

  private onSegment(frame: SegmentFrame): void {
    const { firstSequence, count, body, service, selfDiscard } = frame
    const { slot, destination } = this.session.routeOf(frame.destination)
    const segment: ThreadSegment = { firstSequence, count, delivered: null }
    this.segments.push(segment)
    const taken = slot.sendPacked(destination, body, count, service, selfDiscard, {
      sequence: 0,
      resolve: delivered => {
        segment.delivered = delivered
        this.reportOwn()
      },
      reject: () => {},
    })
    if (!taken) throw new AnasaziError('connection-lost')
    if (slot.hasRoom) return
    this.channel.pause()
    slot.writable().then(
      () => this.channel.resume(),
      () => {},
    )
  }

  private reportOwn(): void {
    let reported = 0
    for (const { firstSequence, count, delivered } of this.segments) {
      if (delivered === null) break
      const { place, views } = delivered
      this.send({ kind: 'own', firstSequence, count, place, views })
      reported++
    }
    if (reported > 0) this.segments = this.segments.slice(reported)
    this.flushLater()
    this.closeWhenDelivered()
  }

  private onJoin(request: number, group: string): void {
    const joining = this.session.join(group)
    this.joining.set(group, joining)
    this.answer(request, joining, () => {
      this.send({ kind: 'joined', request, groupId: this.hub.groupId(group), group })
    })
  }

  private async leave(request: number, name: string): Promise<void> {
    // Requests for a group are done one after the other, as a daemon would.
    await this.joining.get(name)?.catch(() => {})
    this.joining.delete(name)
    const membership = this.session.membershipIn(name)
    if (membership === null) throw new AnasaziError('not-a-member', `It is '${name}'.`)
    // The mark comes through the hub in its order, and is the answer.
    this.leaveRequests.set(name, request)
    await membership.leave()
  }

  /** Detach once everything this thread sent is seen in the order. */
  private closeWhenDelivered(): void {
    if (this.closing && this.segments.length === 0) this.end('closed', 'as asked')
  }

  /* Called by the hub. */

  send(frame: DaemonControlFrame): void {
    if (!this.gone) this.out.push(encodeDaemonFrame(frame))
  }

  view(event: ViewEvent): void {
    const { group, view, previous, cause, origins } = event
    const groupId = this.hub.groupId(group)
    const full = !this.announced.has(group)
    if (full) {
      this.announced.add(group)
      this.send({ kind: 'joined', request: 0, groupId, group })
    }
    const joined = full || event.full ? event.members : event.joined
    const left = full || event.full ? [] : event.left
    const all = full || event.full
    this.send({ kind: 'view', groupId, full: all, view, previous, cause, joined, left, origins, place: null })
  }

  forgetSenders(): void {
    this.defined.clear()
  }

  messages(ref: number, sender: SessionId, head: Uint8Array, run: MessageRun): void {
    if (!this.defined.has(ref)) {
      this.defined.add(ref)
      this.send({ kind: 'define', ref, sender })
    }
    this.out.push(head, ...run.slices)
  }

  left(group: string): void {
    if (!this.announced.delete(group)) return
    const request = this.leaveRequests.get(group) ?? 0
    this.leaveRequests.delete(group)
    this.send({ kind: 'left', request, groupId: this.hub.groupId(group) })
  }

  private flushLater(): void {
    if (this.flushing) return
    this.flushing = true
    this.channel.atTurnEnd(() => {
      this.flushing = false
      this.flush()
    })
  }

  flush(): void {
    if (this.out.length === 0 || this.gone) return
    const slices = this.out
    this.out = []
    this.channel.write(slices)
  }

  /** Resolves once the thread has taken enough; null if it has. */
  get lagging(): Promise<void> | null {
    if (this.gone || this.channel.pending <= MOST_PENDING_BYTES) return null
    this.channel.wantDrain?.()
    return new Promise(resolve => {
      this.onDrained = resolve
    })
  }

  private drained(): void {
    if (this.onDrained === null) return
    if (this.channel.pending * 2 > MOST_PENDING_BYTES) this.channel.wantDrain?.()
    else this.release()
  }

  private release(): void {
    this.onDrained?.()
    this.onDrained = null
  }

  end(code: string, words: string): void {
    if (this.gone) return
    this.send({ kind: 'closing', code, words })
    this.flush()
    this.channel.close()
    this.onGone()
  }
}

/** All threads of one session. */
class ShareHub {
  /** Last view of each group that has been passed on. */
  readonly shown: Map<string, ViewEvent> = new Map()
  private readonly session: ClientSession
  private readonly by: 'sender' | 'group'
  private readonly threads: ThreadServer[] = []
  private dividing: ThreadServer[] = []
  private readonly groupIds = new Map<string, number>()
  private lastGroupId = 0
  private readonly refs = new Map<SessionId, number>()
  private running = false

  constructor(session: ClientSession, by: 'sender' | 'group') {
    this.session = session
    this.by = by
    session.settledListener = place => {
      for (const thread of this.threads) {
        if (!thread.attached) continue
        thread.send({ kind: 'settled', place })
        thread.flush()
      }
    }
  }

  add(options: ShareOptions): SharedHandle {
    const [here, there] = createRingEnds(options.ringBytes ?? DEFAULT_RING_BYTES)
    const divides = options.mode === 'divide'
    const thread = new ThreadServer(this, this.session, createRingChannel(here), divides)
    this.threads.push(thread)
    return there
  }

  onAttached(): void {
    this.dividing = this.threads.filter(thread => thread.divides && thread.attached)
    if (this.running || this.threads.some(thread => !thread.attached)) return
    this.running = true
    void this.run()
  }

  onThreadGone(thread: ThreadServer): void {
    const at = this.threads.indexOf(thread)
    if (at >= 0) this.threads.splice(at, 1)
    this.dividing = this.threads.filter(one => one.divides && one.attached)
    if (this.threads.length > 0) this.onAttached()
  }

  groupId(group: string): number {
    let id = this.groupIds.get(group)
    if (id === undefined) {
      id = ++this.lastGroupId
      this.groupIds.set(group, id)
    }
    return id
  }

  private async run(): Promise<void> {
    const queue = this.session.claimItems()
    try {
      for (;;) {
        const items = await queue.takeNext()
        if (items === null) break
        for (const item of items) this.pass(item)
        for (const thread of this.threads.slice()) thread.flush()
        for (const thread of this.threads.slice()) await thread.lagging
      }
      this.end(new AnasaziError('closed'))
    } catch (error) {
      this.end(error instanceof AnasaziError ? error : new AnasaziError('internal', '', { cause: error }))
    }
  }

  private pass(item: QueuedItem): void {
    switch (item.type) {
      case 'run':
        return this.passRun(item)
      case 'view':
        this.shown.set(item.group, item)
        for (const thread of this.threads) if (thread.attached) thread.view(item)
        return
      case 'transitional': {
        const groupId = this.groupId(item.group)
        const frame = { kind: 'transitional', groupId, view: item.view } as const
        for (const thread of this.threads) if (thread.attached) thread.send(frame)
        return
      }
      case 'left':
        this.shown.delete(item.group)
        for (const thread of this.threads) thread.left(item.group)
        this.groupIds.delete(item.group)
        return
      case 'warning': {
        const { code, message } = item
        for (const thread of this.threads)
          if (thread.attached) thread.send({ kind: 'warning', code, message })
        return
      }
      case 'reconnected':
        for (const thread of this.threads.slice()) {
          thread.end(
            'connection-lost',
            `The session goes on as the new member ${item.session}; share it again.`,
          )
        }
        return
    }
  }

  private passRun(run: MessageRun): void {
    const { sender, group, place, firstSequence, count, service, bytes } = run
    let ref = this.refs.get(sender)
    if (ref === undefined) {
      if (this.refs.size >= MOST_SENDERS) {
        this.refs.clear()
        for (const thread of this.threads) thread.forgetSenders()
      }
      ref = this.refs.size + 1
      this.refs.set(sender, ref)
    }
    const groupId = group === null ? 0 : this.groupId(group)
    const head = encodeMessagesHead(groupId, ref, place, firstSequence, count, service, false, false, bytes)
    for (const thread of this.threads) {
      if (thread.attached && !thread.divides) thread.messages(ref, sender, head, run)
    }
    if (this.dividing.length === 0) return
    const key = this.by === 'sender' ? ref : groupId
    this.dividing[key % this.dividing.length]!.messages(ref, sender, head, run)
  }

  private end(error: AnasaziError): void {
    for (const thread of this.threads.slice()) thread.end(error.code, error.message)
  }
}

const hubs = new WeakMap<ClientSession, ShareHub>()

/** What `Session.share` does where there are threads. */
export function shareSession(session: ClientSession, options: ShareOptions): SharedHandle {
  let hub = hubs.get(session)
  if (hub === undefined) {
    hub = new ShareHub(session, options.by ?? 'sender')
    hubs.set(session, hub)
  }
  return hub.add(options)
}

/**
 * Use a session of another thread. The result is a session like any other, with the id of the shared one; its
 * sequences and watermarks count what this thread sent, and `close()` detaches this thread only.
 *
 * @throws AnasaziError `protocol`, `handshake-timeout`.
 */
export function attach(handle: SharedHandle, options: SessionOptions = {}): Promise<Session> {
  // The other half of the ring leaves room to build packs where they will be read.
  const sendBufferBytes = new Ring(handle.outgoing).capacity / 2
  return ClientSession.open(async () => createRingChannel(handle as RingEnd), {
    sendBufferBytes,
    ...options,
    reconnect: false,
  })
}

/** Proof of how the thread is reached: what was published in each direction, and how often a doorbell was rung. */
export function shareCounters(handle: Pick<SharedHandle, 'incoming' | 'outgoing'>): {
  readonly incoming: RingCounters
  readonly outgoing: RingCounters
} {
  return { incoming: new Ring(handle.incoming).counters, outgoing: new Ring(handle.outgoing).counters }
}
