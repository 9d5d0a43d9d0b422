/** What local clients are told: events of the group layer as frames, encoded once for all who get the same. */

import type { Counters } from '../admin/counters.ts'
import { counterIndex } from '../admin/registry.ts'
import type { ViewFrame } from '../codec/client.ts'
import { encodeDaemonFrame, encodeMessagesHead } from '../codec/client-encode.ts'
import type { Place } from '../core/types.ts'
import type { Acknowledgements } from '../groups/acknowledgements.ts'
import { comparePlaces } from '../groups/place.ts'
import type { GroupEvent, MessagesEvent, Receivers, SessionId } from '../groups/types.ts'
import { Deque } from '../lib/deque.ts'
import type { Connection } from './connection.ts'

type ViewEvent = Extract<GroupEvent, { type: 'view' }>

/** Sender numbers kept before all are forgotten and given anew. */
const maxSenders = 8192

const deliveredMessages = counterIndex('cell.delivered.messages')
const deliveredBytes = counterIndex('cell.delivered.bytes')
const deliveredSafe = counterIndex('cell.delivered.safe')
const deliveredSegments = counterIndex('cell.segments.delivered')

export class Telling {
  private readonly bySession: ReadonlyMap<number, Connection>
  private readonly acknowledgements: Acknowledgements
  private readonly counters: Counters
  private readonly groupNumbers: Map<string, { number: number; members: number }> = new Map()
  private lastGroupNumber = 0
  /** Numbers of groups that no local session is in any more. They have 32 bits: used again, they never end. */
  private readonly freeNumbers: Deque<number> = new Deque()
  private readonly senders: Map<SessionId, number> = new Map()
  /** Connections with something to flush. */
  private dirty: Set<Connection> = new Set()

  constructor(
    bySession: ReadonlyMap<number, Connection>,
    acknowledgements: Acknowledgements,
    counters: Counters,
  ) {
    this.bySession = bySession
    this.acknowledgements = acknowledgements
    this.counters = counters
  }

  touch(connection: Connection): void {
    this.dirty.add(connection)
  }

  takeDirty(): Iterable<Connection> {
    const { dirty } = this
    if (dirty.size > 0) this.dirty = new Set()
    return dirty
  }

  handle(event: GroupEvent): void {
    switch (event.type) {
      case 'configuration':
        this.acknowledgements.configuration(event.configuration.id.epoch)
        break
      case 'horizon':
        this.acknowledgements.horizon(event.epoch, event.ts)
        break
      case 'view':
        this.view(event)
        break
      case 'transitional':
        this.transitional(event.sessions, event.group, event.view)
        break
      case 'left':
        this.left(event.session, event.group)
        break
      case 'messages':
        this.messages(event)
        break
      case 'settled':
        this.settled(event.place)
        break
      default:
        break
    }
  }

  /** The session is gone: its groups may be too. */
  forget(connection: Connection): void {
    for (const group of connection.groups) this.releaseGroup(group)
    connection.groups.clear()
  }

  private settled(place: Place): void {
    for (const connection of this.bySession.values()) {
      if (connection.awaited === null) continue
      if (comparePlaces(connection.awaited, place) <= 0) connection.awaited = null
      connection.send({ kind: 'settled', place })
      this.touch(connection)
    }
  }

  private view({ sessions, change, place }: ViewEvent): void {
    const { group, view, previous, cause, left, origins } = change
    this.counters.count('cell.views')
    const frame = { kind: 'view', view, previous, cause, left, origins, place } as const
    let delta: Uint8Array | null = null
    let full: Uint8Array | null = null
    for (const session of sessions) {
      const connection = this.bySession.get(session)
      if (connection === undefined) continue
      const request = connection.joining.get(group)
      const joins = request !== undefined && !connection.groups.has(group)
      const groupId = this.groupNumber(group, joins ? connection : null)
      if (joins) {
        connection.joining.delete(group)
        connection.send({ kind: 'joined', request, groupId, group })
        this.counters.count('cell.joins')
      }
      if (joins || !change.appended) {
        full ??= encodeDaemonFrame({
          ...frame,
          groupId,
          full: true,
          joined: change.members(),
        } satisfies ViewFrame)
        connection.sendBytes(full)
      } else {
        delta ??= encodeDaemonFrame({
          ...frame,
          groupId,
          full: false,
          joined: change.joined,
        } satisfies ViewFrame)
        connection.sendBytes(delta)
      }
      this.mark(connection, place)
      this.touch(connection)
    }
  }

  private transitional(sessions: readonly number[], group: string, view: string): void {
    for (const session of sessions) {
      const connection = this.bySession.get(session)
      if (connection === undefined) continue
      connection.send({ kind: 'transitional', groupId: this.groupNumber(group, null), view })
      this.touch(connection)
    }
  }

  private left(session: number, group: string): void {
    const connection = this.bySession.get(session)
    if (connection === undefined) return
    const request = connection.leaving.get(group) ?? 0
    connection.leaving.delete(group)
    connection.send({ kind: 'left', request, groupId: this.groupNumber(group, null) })
    if (connection.groups.delete(group)) this.releaseGroup(group)
    this.counters.count('cell.leaves')
    this.touch(connection)
  }

  private messages(event: MessagesEvent): void {
    const { head, body, place, sender, own, receivers } = event
    this.counters.add(deliveredSegments, 1)
    let bytes = 0
    for (const slice of body) bytes += slice.length
    let copied = false
    if (receivers.length > 0) {
      const ref = this.senderNumber(sender)
      for (const entry of receivers) if (this.copies(event, entry, ref, bytes)) copied = true
    }
    if (own === 0) return
    const connection = this.bySession.get(own)
    if (connection === undefined) return
    connection.awaitSettled(place)
    const { destination } = head
    if (copied && destination.to === 'groups' && destination.groups.length === 1) return
    const { firstSequence, count } = head
    connection.send({ kind: 'own', firstSequence, count, place, views: event.views })
    this.mark(connection, place)
    this.touch(connection)
  }

  /** Sends copies to one entry of receivers. True if the sender itself was among them. */
  private copies(event: MessagesEvent, entry: Receivers, ref: number, bytes: number): boolean {
    const { head, body, place, sender, own } = event
    const { firstSequence, count, service, selfDiscard, trace } = head
    const groupId = entry.group === null ? 0 : this.groupNumber(entry.group, null)
    const bytesOfHead = encodeMessagesHead(
      groupId,
      ref,
      place,
      firstSequence,
      count,
      service,
      selfDiscard,
      trace,
      bytes,
    )
    let copied = false
    let define: Uint8Array | null = null
    for (const session of entry.sessions) {
      const connection = this.bySession.get(session)
      if (connection === undefined) continue
      if (!connection.defined.has(ref)) {
        connection.defined.add(ref)
        define ??= encodeDaemonFrame({ kind: 'define', ref, sender })
        connection.sendBytes(define)
      }
      connection.sendShared(bytesOfHead, body, bytes)
      this.acknowledgements.mark(session, place, connection.sent)
      this.dirty.add(connection)
      if (session === own) copied = true
    }
    const copies = entry.sessions.length
    this.counters.add(deliveredMessages, count * copies)
    this.counters.add(deliveredBytes, bytes * copies)
    if (service === 'safe') this.counters.add(deliveredSafe, count * copies)
    return copied
  }

  private mark(connection: Connection, place: MessagesEvent['place'] | null): void {
    if (place !== null) this.acknowledgements.mark(connection.session, place, connection.sent)
  }

  /** The group's number at this daemon; `joining` counts a membership in it. */
  private groupNumber(group: string, joining: Connection | null): number {
    let entry = this.groupNumbers.get(group)
    if (entry === undefined) {
      entry = { number: this.freeNumbers.shift() ?? ++this.lastGroupNumber, members: 0 }
      this.groupNumbers.set(group, entry)
    }
    if (joining !== null) {
      joining.groups.add(group)
      entry.members++
    }
    return entry.number
  }

  private releaseGroup(group: string): void {
    const entry = this.groupNumbers.get(group)
    if (entry === undefined || --entry.members > 0) return
    this.groupNumbers.delete(group)
    this.freeNumbers.push(entry.number)
  }

  private senderNumber(sender: SessionId): number {
    let number = this.senders.get(sender)
    if (number !== undefined) return number
    if (this.senders.size >= maxSenders) {
      this.senders.clear()
      for (const connection of this.bySession.values()) connection.defined.clear()
    }
    number = this.senders.size + 1
    this.senders.set(sender, number)
    return number
  }
}
