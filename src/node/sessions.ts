/**
 * The client side of a cell: requests in, events out. It carries out what connections ask, through the group layer, and
 * turns the group layer's events into the bytes of the client protocol: once for all local receivers.
 */

import { type Counters } from '../admin/counters.ts'
import type { AdminEvent } from '../admin/events.ts'
import { counterIndex } from '../admin/registry.ts'
import type { Channel } from '../client/channel.ts'
import { ClientProtocolError } from '../codec/client-bytes.ts'
import {
  CLIENT_PROTOCOL_HIGHEST,
  CLIENT_PROTOCOL_LOWEST,
  type CellDescription,
  type ClientFrame,
  type ClientLimits,
  type FateFrame,
  type HelloFrame,
  type QueryFrame,
  type SegmentFrame,
} from '../codec/client.ts'
import { MAX_MEMBER_NAME_BYTES } from '../codec/identity.ts'
import type { SlowClientPolicy } from '../config/config.ts'
import type { NodeLimits } from '../config/limits.ts'
import type { CountedLimit } from '../admin/registry.ts'
import type { MemberId, Place } from '../core/types.ts'
import { Acknowledgements } from '../groups/acknowledgements.ts'
import { GroupError, type GroupErrorCode } from '../groups/errors.ts'
import type { Groups } from '../groups/groups.ts'
import { utf8Length } from '../groups/names.ts'
import type { Destination, DisconnectHead, GroupEvent, SegmentHead, SessionId } from '../groups/types.ts'
import { Connection } from './connection.ts'
import { type SlowClientActions, SlowClients } from './slow.ts'
import { Telling } from './telling.ts'

export interface SessionServerOptions {
  readonly self: MemberId
  readonly cluster: string
  readonly cell: string
  readonly groups: Groups
  readonly limits: NodeLimits
  readonly slow: SlowClientPolicy
  readonly counters: Counters
  readonly emit: (event: AdminEvent) => void
  /**
   * All cells of the node, in the order of the configuration, in which the first matching pattern decides: the same for
   * all clients, or they would not meet. Empty while the node starts; handshakes wait for it.
   */
  readonly describeCells: () => readonly CellDescription[]
  /** JSON of the node's status; asked by clients. */
  readonly status: () => Promise<string>
  /** Something waits for a step. */
  readonly wake: () => void
}

/** A client that connects and says nothing is let go after this. */
const handshakeMs = 5000

/** How long a client has to read its last words; what it has not read until then is let go with the connection. */
const lastWordsMs = 10_000

/** Packs under way when the window closes. */
const intakeSlack = 1024 * 1024

const acceptedMessages = counterIndex('cell.accepted.messages')
const acceptedBytes = counterIndex('cell.accepted.bytes')

export class SessionServer {
  readonly connections: Set<Connection> = new Set()
  readonly bySession: Map<number, Connection> = new Map()
  readonly acknowledgements: Acknowledgements = new Acknowledgements()
  private readonly options: SessionServerOptions
  private readonly slow: SlowClients
  /** Of this step. */
  private now = 0
  private readonly telling: Telling
  /** Connections with input, or that closed. */
  private readonly ready: Set<Connection> = new Set()
  private readonly handshakes: Set<Connection> = new Set()
  /** Connections that were ended and are not gone yet, and until when they may stay; null: just ended. */
  private readonly ending: Map<Connection, number | null> = new Map()
  private sessionCounter = 0
  private leaving = false

  private readonly slowActions: SlowClientActions = {
    warn: (connection, message) => {
      connection.send({ kind: 'warning', code: 'slow', message })
      this.telling.touch(connection)
    },
    evict: (connection, words) => this.evict(connection, words),
  }

  constructor(options: SessionServerOptions) {
    this.options = options
    this.telling = new Telling(this.bySession, this.acknowledgements, options.counters)
    this.slow = new SlowClients(options.limits, options.slow, options.counters, options.emit, options.cell)
  }

  /** A new channel of a client; if it may not stay, it is told why. I/O context: only registers. */
  accept(channel: Channel, now: number, mayStay: boolean = true): void {
    const connection = new Connection(channel, now, changed => {
      this.ready.add(changed)
      this.options.wake()
    })
    this.connections.add(connection)
    this.handshakes.add(connection)
    if (!mayStay) {
      const words = 'this daemon has no descriptor left for another client; try again, or use another daemon'
      this.refuse(connection, 'too-many-connections', words)
    } else if (this.handshakes.size > this.options.limits.handshakes) {
      this.hit('handshakes', connection.id, this.handshakes.size)
      this.refuse(
        connection,
        'too-many-handshakes',
        'too many connections are waiting for their handshake; try again',
      )
    }
  }

  /**
   * Carries out what clients sent, in turns of one chunk each.
   * @param hasTime whether more may be done now; asked after each chunk.
   * @returns false if some of it must wait for the next step.
   */
  intake(now: number, hasTime: () => boolean): boolean {
    this.now = now
    if (this.options.describeCells().length === 0) return true
    // Who has more comes again at the end: a set is iterated in the order in which it was filled.
    for (const connection of this.ready) {
      this.ready.delete(connection)
      this.takeChunk(connection)
      if (connection.hasInput && connection.stage !== 'closed') this.ready.add(connection)
      if (!hasTime()) break
    }
    return this.ready.size === 0
  }

  /** An event of the group layer, in order. */
  handle(event: GroupEvent): void {
    if (event.type === 'closed') this.sessionClosed(event.session, event.place)
    else if (event.type === 'ignored') this.brokenRule(event.daemon, event.why)
    else this.telling.handle(event)
  }

  private brokenRule(member: MemberId, words: string): void {
    const { counters, emit, cell } = this.options
    counters.count('cell.rules.broken')
    emit({ type: 'brokenRule', cell, member, words })
  }

  /** A segment of ours got its place: its bytes no longer count as intake of its session. */
  originated(head: SegmentHead, body: readonly Uint8Array[]): void {
    if (head.kind !== 'messages' && head.kind !== 'join' && head.kind !== 'leave') return
    const connection = this.bySession.get(head.session)
    if (connection === undefined) return
    if (head.kind !== 'messages') connection.intake -= requestBytes(head.group)
    for (const slice of body) connection.intake -= slice.length
    if (connection.intake <= this.options.limits.clientIntakeBytes) connection.setReading(true)
  }

  /** Time passed: handshakes that are late, clients that lag or do not go. @returns whether credit must be held. */
  tick(now: number): boolean {
    for (const connection of this.handshakes) {
      if (now - connection.since < handshakeMs) break // in the order of arrival
      this.refuse(connection, 'handshake-timeout', `no hello within ${handshakeMs} ms`)
    }
    for (const [connection, until] of this.ending) {
      if (until === null) this.ending.set(connection, now + lastWordsMs)
      else if (now >= until) {
        this.ending.delete(connection)
        connection.channel.abort()
      }
    }
    return this.slow.tick(now, this.slowActions)
  }

  /** Our own loop stood still for so long: who did not read could not, if it is we who did not write. */
  stalled(ms: number): void {
    this.slow.excuse(ms)
  }

  nextDeadline(): number {
    let next = this.slow.nextDeadline()
    for (const connection of this.handshakes) {
      next = Math.min(next, connection.since + handshakeMs)
      break
    }
    for (const until of this.ending.values()) next = Math.min(next, until ?? 0)
    return next
  }

  /** Hands everything told in this step to the channels, and sees who lags. */
  flush(now: number): void {
    for (const connection of this.telling.takeDirty()) {
      connection.flush()
      this.slow.look(connection, now)
    }
  }

  /** The daemon leaves: every session is told, and its disconnect ordered. */
  leave(): void {
    this.leaving = true
    for (const connection of this.connections) {
      if (connection.stage === 'open') this.disconnect(connection, 'closed')
      else if (connection.stage === 'handshake') {
        this.refuse(connection, 'daemon-leaving', 'this daemon is leaving; connect to another one')
      }
    }
  }

  /** Closes what is left, at once. */
  close(): void {
    for (const connection of this.connections) {
      if (connection.stage === 'open' || connection.stage === 'closing') {
        connection.send({ kind: 'closing', code: 'daemon-leaving', words: 'this daemon is leaving' })
      }
      connection.finish()
    }
    this.connections.clear()
  }

  get sessionsLeft(): number {
    return this.bySession.size
  }

  /** What has been told but not acknowledged, of all sessions. */
  get outstandingBytes(): number {
    let bytes = 0
    for (const connection of this.bySession.values()) bytes += connection.outstanding
    return bytes
  }

  private takeChunk(connection: Connection): void {
    // What came before the end of the channel counts as sent.
    if (connection.stage === 'closed' || (connection.gone && !connection.hasInput))
      return this.closed(connection)
    const frames: ClientFrame[] = []
    try {
      connection.takeFrames(frames)
      for (const frame of frames) this.take(connection, frame)
    } catch (error) {
      // The frames before the malformed one stand; nothing after it is believed.
      if (!(error instanceof ClientProtocolError)) throw error
      for (const frame of frames) if (connection.stage === 'open') this.take(connection, frame)
      this.refuse(connection, 'protocol', error.message)
    }
    if (connection.gone) this.ready.add(connection)
  }

  private take(connection: Connection, frame: ClientFrame): void {
    if (connection.stage === 'handshake') {
      if (frame.kind === 'hello') this.welcome(connection, frame)
      else this.refuse(connection, 'protocol', `the first frame must be a hello, not ${frame.kind}`)
      return
    }
    if (connection.stage !== 'open') return
    switch (frame.kind) {
      case 'hello':
        this.refuse(connection, 'protocol', 'a second hello')
        break
      case 'join':
        this.request(connection, frame, () => {
          this.options.groups.join(connection.session, frame.group)
          connection.joining.set(frame.group, frame.request)
          this.takenIn(connection, requestBytes(frame.group))
        })
        break
      case 'leave':
        this.request(connection, frame, () => {
          this.options.groups.leave(connection.session, frame.group)
          connection.leaving.set(frame.group, frame.request)
          this.takenIn(connection, requestBytes(frame.group))
        })
        break
      case 'segment':
        this.segment(connection, frame)
        break
      case 'acknowledge':
        this.acknowledge(connection, frame.bytes)
        break
      case 'fate':
        this.request(connection, frame, () => this.fate(connection, frame))
        break
      case 'query':
        this.query(connection, frame)
        break
      case 'close':
        this.disconnect(connection, 'closed')
    }
  }

  private welcome(connection: Connection, hello: HelloFrame): void {
    const { cluster, cell, self, limits } = this.options
    if (this.leaving) return this.refuse(connection, 'daemon-leaving', 'this daemon is leaving')
    if (hello.lowest > CLIENT_PROTOCOL_HIGHEST || hello.highest < CLIENT_PROTOCOL_LOWEST) {
      const ours = `${CLIENT_PROTOCOL_LOWEST} to ${CLIENT_PROTOCOL_HIGHEST}`
      const words = `the client speaks versions ${hello.lowest} to ${hello.highest} of the protocol, this daemon ${ours}`
      return this.refuse(connection, 'version', words)
    }
    if (hello.cluster !== '' && hello.cluster !== cluster) {
      const words = `the client wants cluster "${hello.cluster}", this daemon is of cluster "${cluster}"`
      return this.refuse(connection, 'cluster', words)
    }
    if (hello.cell !== '' && hello.cell !== cell) {
      return this.refuse(
        connection,
        'cell',
        `the client wants cell "${hello.cell}", this address is of "${cell}"`,
      )
    }
    if (hello.auth !== 'none') {
      return this.refuse(connection, 'auth', `authentication "${hello.auth}" is not offered, only "none"`)
    }
    const opened = this.open(hello.name)
    if (opened instanceof GroupError) {
      this.objected(opened, connection.id, hello.name)
      return this.refuse(connection, opened.code, opened.message)
    }
    const { session, name } = opened
    const id: SessionId = `${name}@${self}.${session}`
    this.handshakes.delete(connection)
    connection.trace = hello.trace
    connection.send({
      kind: 'welcome',
      version: Math.min(hello.highest, CLIENT_PROTOCOL_HIGHEST),
      features: 0,
      number: session,
      session: id,
      daemon: self,
      cluster,
      cell,
      limits: this.clientLimits(),
      cells: this.options.describeCells(),
    })
    connection.welcomed(session, id, limits.messageBytes)
    this.bySession.set(session, connection)
    this.acknowledgements.open(session)
    this.telling.touch(connection)
    this.options.counters.count('cell.sessions.opened')
  }

  /** Opens a session; whoever has no name of its own gets one that is free. */
  private open(wanted: string): { readonly session: number; readonly name: string } | GroupError {
    for (;;) {
      const name = wanted === '' ? `client${++this.sessionCounter}` : wanted
      try {
        return { session: this.options.groups.open(name), name }
      } catch (error) {
        if (!(error instanceof GroupError)) throw error
        if (wanted !== '' || error.code !== 'name-in-use') return error
      }
    }
  }

  private clientLimits(): ClientLimits {
    const { messageBytes, groupNameBytes, groupsPerSession, destinationGroups, clientIntakeBytes } =
      this.options.limits
    return {
      maxMessageBytes: messageBytes,
      maxGroupNameBytes: groupNameBytes,
      maxGroupsPerSession: groupsPerSession,
      maxDestinationGroups: destinationGroups,
      maxInFlightBytes: clientIntakeBytes,
    }
  }

  /** Carries out a request; what the group layer objects to is the answer. */
  private request(
    connection: Connection,
    { request, group }: { readonly request: number; readonly group: string },
    run: () => void,
  ): void {
    try {
      run()
    } catch (error) {
      if (!(error instanceof GroupError)) throw error
      const { code, message, retryable } = error
      this.objected(error, connection.id, group)
      connection.send({ kind: 'error', request, code, message, retryable })
      this.telling.touch(connection)
    }
  }

  /** A limit was hit. */
  private hit(limit: CountedLimit, who: string, value: number): void {
    const { counters, emit, cell, limits } = this.options
    counters.count(`cell.limits.${limit}`)
    emit({ type: 'limit', cell, limit, who, value, bound: limits[limit] })
  }

  /** The group layer objected; perhaps because of a limit. */
  private objected({ code }: GroupError, who: string, name: string): void {
    const { limits } = this.options
    const limit = limitBehind[code]
    if (limit === undefined) return
    if (limit !== 'groupNameBytes' && limit !== 'sessionNameBytes') return this.hit(limit, who, limits[limit])
    const bytes = utf8Length(name)
    if (bytes > limits[limit]) this.hit(limit, who, bytes)
  }

  private segment(connection: Connection, frame: SegmentFrame): void {
    const { groups, counters } = this.options
    const { service, selfDiscard, firstSequence, count, body, bytes } = frame
    try {
      const destination = destinationOf(frame)
      const trace = frame.trace || connection.trace
      groups.messages(
        connection.session,
        { destination, service, selfDiscard, trace, firstSequence, count },
        body,
      )
    } catch (error) {
      if (!(error instanceof GroupError)) throw error
      this.segmentObjected(connection, frame, error)
      // Accepted messages must not be lost silently: a segment that cannot be ordered ends the session.
      return this.refuse(connection, error.code, `message ${firstSequence}: ${error.message}`)
    }
    counters.add(acceptedMessages, count)
    counters.add(acceptedBytes, bytes)
    this.takenIn(connection, bytes)
  }

  /** Something of this client waits for its place in the order. */
  private takenIn(connection: Connection, bytes: number): void {
    const { counters, limits } = this.options
    connection.intake += bytes
    // The library keeps within its window and one message, so that its acknowledgements are always read. Who does not
    // is no longer read, and has only itself to hold up.
    if (connection.intake > limits.clientIntakeBytes + limits.messageBytes + intakeSlack) {
      if (!connection.setReading(false)) return
      this.hit('clientIntakeBytes', connection.id, connection.intake)
      counters.count('cell.intake.pauses')
    }
  }

  private segmentObjected(
    connection: Connection,
    { destination, bytes, count }: SegmentFrame,
    error: GroupError,
  ): void {
    const { destinationGroups } = this.options.limits
    if (error.code === 'message-too-large') this.hit('messageBytes', connection.id, bytes - 4 * count)
    else if (destination.to !== 'groups') return
    else if (destination.groups.length > destinationGroups) {
      this.hit('destinationGroups', connection.id, destination.groups.length)
    } else for (const group of destination.groups) this.objected(error, connection.id, group)
  }

  private acknowledge(connection: Connection, bytes: number): void {
    if (!this.acknowledgements.acknowledge(connection.session, bytes, connection.sent)) {
      this.refuse(connection, 'protocol', `acknowledges ${bytes} bytes of ${connection.sent} sent`)
      return
    }
    connection.acknowledged = bytes
    this.slow.acknowledged(connection, this.now)
  }

  private fate(connection: Connection, frame: FateFrame): void {
    const fate = this.options.groups.fateOf(frame.group, frame.place)
    const settled = fate !== 'pending'
    const { view, received, unknown } = settled ? fate : { view: '', received: [], unknown: [] }
    if (!settled) connection.awaitSettled(frame.place)
    connection.send({ kind: 'fateAnswer', request: frame.request, settled, view, received, unknown })
    this.telling.touch(connection)
  }

  private query(connection: Connection, frame: QueryFrame): void {
    const { groups } = this.options
    const answer = (json: string): void => {
      if (connection.stage !== 'open') return
      connection.send({ kind: 'answer', request: frame.request, json })
      this.telling.touch(connection)
      this.options.wake()
    }
    if (frame.what === 'groups') {
      answer(JSON.stringify(groups.groups().map(group => ({ group, members: groups.memberCount(group) }))))
    } else if (frame.what === 'members') {
      answer(JSON.stringify(groups.members(frame.group)))
    } else {
      this.options.status().then(answer, (error: unknown) => {
        if (connection.stage !== 'open') return
        const message = error instanceof Error ? error.message : String(error)
        connection.send({ kind: 'error', request: frame.request, code: 'internal', message, retryable: true })
        this.telling.touch(connection)
        this.options.wake()
      })
    }
  }

  /** The session's end enters the order, after everything that was accepted from it. */
  private disconnect(connection: Connection, reason: DisconnectHead['reason']): void {
    if (this.bySession.get(connection.session) !== connection || connection.ending) return
    connection.ending = true
    if (connection.stage === 'open') connection.stage = 'closing'
    // Who is going anyway holds nobody up.
    this.slow.forget(connection)
    const acknowledged = this.acknowledgements.closing(connection.session)
    this.options.groups.disconnect(connection.session, reason, acknowledged)
    const counter = reason === 'closed' ? 'closed' : reason === 'evicted' ? 'evicted' : 'lost'
    this.options.counters.count(`cell.sessions.${counter}`)
  }

  private sessionClosed(session: number, place: Place): void {
    this.acknowledgements.closed(session, place)
    const connection = this.bySession.get(session)
    if (connection === undefined) return
    this.bySession.delete(session)
    this.telling.forget(connection)
    if (connection.stage !== 'closing') return
    const leaving = { kind: 'closing', code: 'daemon-leaving', words: 'this daemon is leaving' } as const
    connection.send(this.leaving ? leaving : { kind: 'closing', code: 'closed', words: '' })
    this.end(connection)
  }

  /** Nothing more is to be said; the channel closes once the client has read what was. */
  private end(connection: Connection): void {
    connection.finish()
    this.connections.delete(connection)
    this.handshakes.delete(connection)
    this.ready.delete(connection)
    if (!connection.gone) this.ending.set(connection, null)
  }

  /** The channel is gone, or what comes from it is of no interest. */
  private closed(connection: Connection): void {
    if (connection.gone) {
      connection.stage = 'closed'
      this.ending.delete(connection)
    }
    this.connections.delete(connection)
    this.handshakes.delete(connection)
    if (connection.session > 0) this.disconnect(connection, 'lost')
  }

  private evict(connection: Connection, words: string): void {
    connection.send({ kind: 'closing', code: 'evicted', words })
    this.disconnect(connection, 'evicted')
    this.end(connection)
  }

  /** Last words in the handshake, or to a client that broke the protocol. */
  private refuse(connection: Connection, code: string, words: string): void {
    this.options.emit({ type: 'clientRefused', cell: this.options.cell, address: connection.id, code, words })
    this.options.counters.count('cell.sessions.refused')
    if (connection.stage === 'handshake') connection.send({ kind: 'refused', code, words })
    else connection.send({ kind: 'closing', code, words })
    if (connection.session > 0) this.disconnect(connection, 'lost')
    this.end(connection)
  }
}

/** What a join or leave that waits for its place counts for: somebody could ask for both, again and again. */
function requestBytes(group: string): number {
  return 64 + group.length
}

/** Objections of the group layer that mean a limit was hit; for names, if they are too long. */
const limitBehind: { readonly [Code in GroupErrorCode]?: CountedLimit } = {
  'bad-group': 'groupNameBytes',
  'bad-name': 'sessionNameBytes',
  'too-many-groups': 'groupsPerSession',
  'too-many-sessions': 'sessions',
}

/** @throws GroupError for a member id that no session of any daemon can have: peers could not be told of it. */
function destinationOf(frame: SegmentFrame): Destination {
  const { destination } = frame
  if (destination.to === 'groups') return destination
  const match = /^[^@]+@(([^#@]+)#[0-9a-f]{32})\.([1-9][0-9]{0,15})$/.exec(destination.member)
  if (match === null || utf8Length(match[2] as string) > MAX_MEMBER_NAME_BYTES) {
    throw new GroupError('bad-destination', `'${destination.member}' is not the id of a session`)
  }
  return { to: 'member', daemon: match[1] as string, session: Number(match[3]) }
}
