/**
 * A daemon for tests: one process, one cell, no peers, the order is that of arrival. It speaks the codec over any
 * channel and has handles to misbehave.
 */

import { clientStreamLimits, createClientFrameDecoder } from '../codec/client-decode.ts'
import type { DaemonControlFrame } from '../codec/client-encode.ts'
import { encodeDaemonFrame, encodeMessagesHead } from '../codec/client-encode.ts'
import type {
  CellDescription,
  ClientFrame,
  ClientLimits,
  ClientPlace,
  SegmentFrame,
} from '../codec/client.ts'
import type { Cause } from '../groups/types.ts'
import type { Channel } from './channel.ts'
import { createChannelPair } from './channel-memory.ts'
import { comparePlaces } from './position.ts'

/** Member id of the daemon that is none. */
const FAKE = `fake#${'0'.repeat(32)}`

export interface FakeSession {
  readonly id: string
  readonly number: number
  readonly channel: Channel
  readonly defined: Set<number>
  /** Bytes of the delivery stream sent, and acknowledged. */
  sent: number
  acknowledged: number
  gone: boolean
  /** Frames received, by kind. */
  readonly received: Map<string, number>
}

interface FakeGroup {
  readonly id: number
  readonly name: string
  members: FakeSession[]
  view: string
}

interface FakeDelivery {
  readonly session: FakeSession
  readonly offset: number
  state: 'sent' | 'received' | 'unknown'
}

interface FakeFate {
  readonly place: ClientPlace
  readonly byGroup: Map<string, { readonly view: string; readonly deliveries: FakeDelivery[] }>
}

export interface FakeOptions {
  readonly limits?: Partial<ClientLimits>
  readonly cells?: readonly CellDescription[]
  readonly cell?: string
  readonly epoch?: number
  readonly version?: number
  /** Refuses the name. */
  readonly refuse?: (name: string) => { code: string; words: string } | null
  /** Ends the session in the same chunk that welcomes it. */
  readonly closing?: () => { code: string; words: string } | null
}

export class FakeDaemon {
  readonly sessions: Map<string, FakeSession> = new Map()
  /** While true nothing is settled. */
  holdSettled = false
  /** Segments are kept back until `release`. */
  holdSegments = false
  segments = 0
  private readonly options: FakeOptions
  private readonly groups = new Map<string, FakeGroup>()
  private readonly fates: FakeFate[] = []
  private held: (() => void)[] = []
  private lastNumber = 0
  private lastGroup = 0
  private ts = 0
  private views = 0
  private settled = 0

  constructor(options: FakeOptions = {}) {
    this.options = options
  }

  private get limits(): ClientLimits {
    return {
      maxMessageBytes: 16 << 20,
      maxGroupNameBytes: 255,
      maxGroupsPerSession: 1024,
      maxDestinationGroups: 64,
      maxInFlightBytes: 8 << 20,
      ...this.options.limits,
    }
  }

  /** The client end of a new channel in memory. */
  open(): Channel {
    const [client, server] = createChannelPair()
    this.serve(server)
    return client
  }

  serve(channel: Channel): void {
    const decoder = createClientFrameDecoder(clientStreamLimits(this.limits.maxMessageBytes))
    let session: FakeSession | null = null
    channel.onData = chunk => {
      const frames: ClientFrame[] = []
      try {
        decoder.push(chunk, frames)
      } catch {
        channel.abort()
      }
      for (const frame of frames) {
        if (session === null) session = this.greet(channel, frame)
        else this.handle(session, frame)
      }
    }
    channel.onClose = () => {
      if (session !== null) this.disconnect(session)
    }
    channel.resume()
  }

  private greet(channel: Channel, frame: ClientFrame): FakeSession | null {
    if (frame.kind !== 'hello') {
      channel.abort()
      return null
    }
    const refusal = this.options.refuse?.(frame.name) ?? null
    if (refusal !== null) {
      channel.write([encodeDaemonFrame({ kind: 'refused', ...refusal })])
      channel.close()
      return null
    }
    const number = ++this.lastNumber
    const id = `${frame.name || `client${number}`}@${FAKE}.${number}`
    const cell = this.options.cell ?? 'main'
    const session: FakeSession = {
      id,
      number,
      channel,
      defined: new Set(),
      sent: 0,
      acknowledged: 0,
      gone: false,
      received: new Map(),
    }
    this.sessions.set(id, session)
    const welcome = encodeDaemonFrame({
      kind: 'welcome',
      version: this.options.version ?? 1,
      features: 0,
      number,
      session: id,
      daemon: FAKE,
      cluster: 'test',
      cell,
      limits: this.limits,
      cells: this.options.cells ?? [{ name: 'main', patterns: ['*'], endpoints: [] }],
    })
    const closing = this.options.closing?.() ?? null
    if (closing === null) {
      channel.write([welcome])
      return session
    }
    channel.write([Buffer.concat([welcome, encodeDaemonFrame({ kind: 'closing', ...closing })])])
    channel.close()
    this.disconnect(session)
    return session
  }

  send(session: FakeSession, frame: DaemonControlFrame): void {
    this.write(session, [encodeDaemonFrame(frame)])
  }

  write(session: FakeSession, slices: readonly Uint8Array[]): void {
    if (session.gone) return
    for (const slice of slices) session.sent += slice.length
    session.channel.write(slices)
  }

  private handle(session: FakeSession, frame: ClientFrame): void {
    session.received.set(frame.kind, (session.received.get(frame.kind) ?? 0) + 1)
    if (session.gone) return
    switch (frame.kind) {
      case 'join':
        return this.join(session, frame.request, frame.group)
      case 'leave':
        return this.leave(session, frame.request, frame.group)
      case 'segment':
        this.segments++
        if (this.holdSegments) this.held.push(() => this.deliver(session, frame))
        else this.deliver(session, frame)
        return
      case 'acknowledge':
        session.acknowledged = frame.bytes
        return this.settle()
      case 'fate':
        return this.answerFate(session, frame.request, frame.group, frame.place)
      case 'query':
        return this.answerQuery(session, frame.request, frame.what, frame.group)
      case 'close':
        return this.close(session)
      default:
        session.channel.abort()
    }
  }

  private close(session: FakeSession): void {
    this.send(session, { kind: 'closing', code: 'closed', words: 'as asked' })
    this.disconnect(session)
    session.channel.close()
  }

  release(): void {
    this.holdSegments = false
    for (const deliver of this.held.splice(0)) deliver()
  }

  private nextPlace(): ClientPlace {
    return { epoch: this.options.epoch ?? 1, ts: ++this.ts, rank: 0, index: 0 }
  }

  private showView(
    group: FakeGroup,
    cause: Cause,
    joined: FakeSession[],
    left: string[],
    request: { session: FakeSession; request: number } | null,
  ): void {
    const previous = group.view === '' ? null : group.view
    group.view = `${this.options.epoch ?? 1}.${FAKE}.7/${++this.views}`
    const place = cause === 'network' ? null : this.nextPlace()
    for (const member of group.members) {
      const full = request?.session === member
      if (full) {
        this.send(member, { kind: 'joined', request: request.request, groupId: group.id, group: group.name })
      }
      this.send(member, {
        kind: 'view',
        groupId: group.id,
        full,
        view: group.view,
        previous: full ? null : previous,
        cause,
        joined: (full ? group.members : joined).map(one => one.id),
        left: full ? [] : left,
        origins: cause === 'network' ? [{ view: previous, members: group.members.map(one => one.id) }] : [],
        place,
      })
    }
  }

  private join(session: FakeSession, request: number, name: string): void {
    let group = this.groups.get(name)
    if (group === undefined) {
      group = { id: ++this.lastGroup, name, members: [], view: '' }
      this.groups.set(name, group)
    }
    group.members.push(session)
    this.showView(group, 'join', [session], [], { session, request })
  }

  private leave(session: FakeSession, request: number, name: string): void {
    const group = this.groups.get(name)
    if (group === undefined || !group.members.includes(session)) {
      const message = `You are not in '${name}'.`
      return this.send(session, { kind: 'error', request, code: 'not-a-member', message, retryable: false })
    }
    group.members = group.members.filter(member => member !== session)
    this.send(session, { kind: 'left', request, groupId: group.id })
    this.showView(group, 'leave', [], [session.id], null)
  }

  /** The session is gone from the order: its groups get views without it. */
  disconnect(session: FakeSession, cause: Cause = 'disconnect'): void {
    if (session.gone) return
    session.gone = true
    this.sessions.delete(session.id)
    for (const fate of this.fates) {
      for (const { deliveries } of fate.byGroup.values()) {
        for (const delivery of deliveries) {
          if (delivery.session === session && delivery.state === 'sent') {
            delivery.state = delivery.offset <= session.acknowledged ? 'received' : 'unknown'
          }
        }
      }
    }
    for (const group of this.groups.values()) {
      if (!group.members.includes(session)) continue
      group.members = group.members.filter(member => member !== session)
      if (cause === 'network') {
        for (const member of group.members) {
          this.send(member, { kind: 'transitional', groupId: group.id, view: group.view })
        }
      }
      this.showView(group, cause, [], [session.id], null)
    }
    this.settle()
  }

  evict(session: FakeSession, code = 'evicted', words = 'too slow'): void {
    this.send(session, { kind: 'closing', code, words })
    session.channel.close()
    this.disconnect(session)
  }

  /** The connection breaks without a word. */
  cut(session: FakeSession): void {
    session.channel.abort()
    this.disconnect(session)
  }

  /** Deliver a run from a made-up sender, as it is. */
  inject(session: FakeSession, group: string, sender: string, count: number, payload: Uint8Array): void {
    const ref = 1_000_000 + this.ts
    this.send(session, { kind: 'define', ref, sender })
    const place = this.nextPlace()
    const id = group === '' ? 0 : this.groups.get(group)!.id
    const head = encodeMessagesHead(id, ref, place, 1, count, 'agreed', false, false, payload.length)
    this.write(session, [head, payload])
  }

  private deliver(sender: FakeSession, frame: SegmentFrame): void {
    const place = this.nextPlace()
    const fate: FakeFate = { place, byGroup: new Map() }
    const { destination, firstSequence, count } = frame
    const views: { group: string; view: string }[] = []
    const served = new Set<FakeSession>()
    let ownCopy = false
    const sendTo = (session: FakeSession, groupId: number): FakeDelivery => {
      if (!served.has(session)) {
        served.add(session)
        if (session === sender) ownCopy = true
        if (!session.defined.has(sender.number)) {
          session.defined.add(sender.number)
          this.send(session, { kind: 'define', ref: sender.number, sender: sender.id })
        }
        const { service, selfDiscard, trace, bytes } = frame
        const head = encodeMessagesHead(
          groupId,
          sender.number,
          place,
          firstSequence,
          count,
          service,
          selfDiscard,
          trace,
          bytes,
        )
        this.write(session, [head, ...frame.body])
      }
      return { session, offset: session.sent, state: session.gone ? 'unknown' : 'sent' }
    }
    if (destination.to === 'member') {
      const target = this.sessions.get(destination.member)
      const deliveries = target === undefined ? [] : [sendTo(target, 0)]
      fate.byGroup.set('', { view: '', deliveries })
    } else {
      for (const name of destination.groups) {
        const group = this.groups.get(name)
        if (group === undefined || group.members.length === 0) continue
        views.push({ group: name, view: group.view })
        const deliveries: FakeDelivery[] = []
        for (const member of group.members) {
          if (member === sender && frame.selfDiscard) {
            deliveries.push({ session: member, offset: 0, state: 'received' })
          } else {
            deliveries.push(sendTo(member, group.id))
          }
        }
        fate.byGroup.set(name, { view: group.view, deliveries })
      }
    }
    this.fates.push(fate)
    const told = ownCopy && destination.to === 'groups' && destination.groups.length === 1
    if (!told && !sender.gone) this.send(sender, { kind: 'own', firstSequence, count, place, views })
    this.settle()
  }

  private settle(): void {
    if (this.holdSettled) return
    const before = this.settled
    for (; this.settled < this.fates.length; this.settled++) {
      let open = false
      for (const { deliveries } of this.fates[this.settled]!.byGroup.values()) {
        for (const delivery of deliveries) {
          if (delivery.state !== 'sent') continue
          if (delivery.session.acknowledged >= delivery.offset) delivery.state = 'received'
          else open = true
        }
      }
      if (open) break
    }
    if (this.settled === before) return
    const { place } = this.fates[this.settled - 1]!
    for (const session of this.sessions.values()) this.send(session, { kind: 'settled', place })
  }

  settleNow(): void {
    this.holdSettled = false
    this.settle()
  }

  private answerFate(session: FakeSession, request: number, group: string, place: ClientPlace): void {
    const fate = this.fates.find(one => comparePlaces(one.place, place) === 0)?.byGroup.get(group)
    if (fate === undefined) {
      const message = 'No such message is known here.'
      return this.send(session, { kind: 'error', request, code: 'fate-expired', message, retryable: false })
    }
    const who = (state: string) =>
      fate.deliveries.filter(one => one.state === state).map(one => one.session.id)
    const settled = who('sent').length === 0
    this.send(session, {
      kind: 'fateAnswer',
      request,
      settled,
      view: fate.view,
      received: settled ? who('received') : [],
      unknown: settled ? who('unknown') : [],
    })
  }

  private answerQuery(session: FakeSession, request: number, what: string, name: string): void {
    let answer: unknown = { daemon: FAKE }
    if (what === 'groups') {
      answer = [...this.groups.values()]
        .filter(group => group.members.length > 0)
        .map(group => ({ group: group.name, members: group.members.length }))
    } else if (what === 'members') {
      answer = (this.groups.get(name)?.members ?? []).map(member => member.id)
    }
    this.send(session, { kind: 'answer', request, json: JSON.stringify(answer) })
  }
}
