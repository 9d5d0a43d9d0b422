/**
 * Process groups over the delivery of one cell: sessions, members, views, and what became of messages.
 *
 * Sans-IO, like the cell. The host calls the requests of its local sessions and `handle` with every event of the cell, in
 * order; then it passes `takeSubmissions()` to the cell, opens the cell's gate if `gateOpen`, and carries out `takeEvents()`.
 * Everything that is shared with other daemons changes only in `handle`, by what was delivered; so whoever delivers the same
 * has the same. `docs/groups.md` explains the rules.
 */

import type { CellEvent } from '../core/api.ts'
import type { Configuration, MemberId, Place, Segment } from '../core/types.ts'
import { invariant } from '../lib/assert.ts'
import type { Cover } from '../lib/coverage.ts'
import { addresseesOf, without } from './addressees.ts'
import { Consumption } from './consumption.ts'
import { type Change, Directory, type Group } from './directory.ts'
import { GroupError } from './errors.ts'
import { Exchange, stateParts } from './exchange.ts'
import { fateOf, PrivateFates } from './fates.ts'
import { defaultGroupLimits, type GroupLimits } from './limits.ts'
import { mergeExchange, type NetworkChange } from './merge.ts'
import { comparePlaces, comparePoints, endOf } from './place.ts'
import { RememberedHomes } from './remembered.ts'
import { type Objection, objectionToJoin, objectionToMessages, objectionToOpen } from './rules.ts'
import { LocalSessions } from './sessions.ts'
import { bitmapOf, networkViewChange, sessionsOf, viewChange } from './telling.ts'
import type {
  Cause,
  DigestHead,
  DisconnectHead,
  Fate,
  GroupEvent,
  GroupSegment,
  MessagesHead,
  Point,
  SegmentHead,
  SessionId,
  StateHead,
  ViewId,
} from './types.ts'
import { type GroupView, type Home, idsOf, type Member, Session } from './view.ts'

export interface GroupsOptions {
  readonly self: MemberId
  readonly limits?: Partial<GroupLimits>
  /** Told of rare situations as they happen, so that a simulation can show that it reached them. */
  readonly cover?: Cover
}

/** A segment for `cell.submit(segment, urgent)`. */
export interface Submission {
  readonly segment: GroupSegment
  readonly urgent: boolean
}

/** What `open` and the other requests count for in windows and queues, beyond names. */
const NOMINAL_BYTES = 64

type Deliver = Extract<CellEvent, { type: 'deliver' }>
/** What is said for a client. */
type RequestHead = Exclude<SegmentHead, DigestHead | StateHead>
type Transitional = Extract<CellEvent, { type: 'transitional' }>

/** The installed configuration, and what was learned in it. */
interface Current {
  readonly configuration: Configuration
  readonly exchange: Exchange
  readonly consumption: Consumption
  /** What we share a history with, by rank; null until the exchange makes it so. */
  readonly homes: (Home | null)[]
  /** Set by the transitional configuration that closes it. */
  closing: Transitional | null
  /** The exchange was applied. */
  shown: boolean
  /** Scope of new view ids, and the last index used: see `ViewId`. */
  scope: string
  index: number
}

export class Groups {
  readonly self: MemberId
  readonly limits: GroupLimits
  readonly #cover: Cover
  readonly #sessions: LocalSessions
  readonly #directory: Directory
  readonly #private: PrivateFates
  readonly #remembered: RememberedHomes
  #current: Current | null = null
  /** The last configuration whose exchange was complete here, and who came along ever since. */
  #lastShown: Configuration | null = null
  #along: ReadonlySet<MemberId>
  /** Exchanges cut short since. */
  #skipped = 0
  /**
   * A companion lied in the exchange shown last: others hold for true what is not. So our common history counts for nothing:
   * in the next exchange everybody of us tells everything.
   */
  #lied = false
  /** Place of the last delivery. */
  #place: Place = { epoch: 0, ts: 0, rank: 0, index: 0 }
  #horizon: Point = { epoch: 0, ts: 0 }
  #submissions: Submission[] = []
  #events: GroupEvent[] = []

  constructor(options: GroupsOptions) {
    this.self = options.self
    this.limits = { ...defaultGroupLimits, ...options.limits }
    this.#cover = options.cover ?? (() => {})
    this.#sessions = new LocalSessions(this.limits)
    this.#directory = new Directory(options.self, this.limits)
    this.#remembered = new RememberedHomes(this.limits.rememberedDaemons)
    this.#private = new PrivateFates(this.limits.fatePrivate)
    this.#along = new Set([options.self])
  }

  // Requests of local sessions. Each is checked against all that was accepted before, delivered or not.

  /** Number of the new session: 1, 2, 3 … @throws GroupError `bad-name`, `name-in-use`, `too-many-sessions`. */
  open(name: string): number {
    const session = this.#sessions.open(name)
    this.#submit({ kind: 'open', session, name }, [], NOMINAL_BYTES + name.length)
    return session
  }

  /** @throws GroupError `no-session`, `bad-group`, `already-member`, `too-many-groups`. */
  join(session: number, group: string): void {
    this.#sessions.join(session, group)
    this.#submit({ kind: 'join', session, group }, [], NOMINAL_BYTES + group.length)
  }

  /** @throws GroupError `no-session`, `not-member`. */
  leave(session: number, group: string): void {
    this.#sessions.leave(session, group)
    this.#submit({ kind: 'leave', session, group }, [], NOMINAL_BYTES + group.length)
  }

  /**
   * The session ends; ordered after everything accepted from it.
   * @param acknowledged what `Acknowledgements.closing` says
   * @throws GroupError `no-session`.
   */
  disconnect(session: number, reason: DisconnectHead['reason'], acknowledged: Point): void {
    this.#sessions.close(session)
    this.#submit({ kind: 'disconnect', session, reason, acknowledged }, [], NOMINAL_BYTES)
  }

  /**
   * A packed run of messages: `[u32 LE length][bytes]`, `count` times, sliced anyhow.
   * @throws GroupError `no-session`, `bad-group`, `bad-destination`, `bad-message`, `message-too-large`.
   */
  messages(
    session: number,
    fields: Omit<MessagesHead, 'kind' | 'session'>,
    body: readonly Uint8Array[],
  ): void {
    let bytes = 0
    for (const slice of body) bytes += slice.length
    this.#sessions.messages(session, fields, bytes, this.#isKnown)
    const { destination, service, selfDiscard, trace, firstSequence, count } = fields
    this.#submit(
      { kind: 'messages', session, destination, service, selfDiscard, trace, firstSequence, count },
      body,
      NOMINAL_BYTES + bytes,
      service === 'safe',
    )
  }

  // From the cell.

  handle(event: CellEvent): void {
    switch (event.type) {
      case 'deliver':
        return this.#deliver(event)
      case 'delivered':
        return this.#delivered(event.ts)
      case 'consumed':
        return this.#consumed(event.byRank)
      case 'transitional':
        return this.#transitional(event)
      case 'regular':
        return this.#regular(event.configuration)
      default:
        return
    }
  }

  // To the host.

  takeSubmissions(): Submission[] {
    const taken = this.#submissions
    if (taken.length > 0) this.#submissions = []
    return taken
  }

  takeEvents(): GroupEvent[] {
    const taken = this.#events
    if (taken.length > 0) this.#events = []
    return taken
  }

  /** The exchange of the configuration last handled is complete: the cell may order what clients sent. */
  get gateOpen(): boolean {
    return this.#current !== null && this.#current.shown && this.#current.closing === null
  }

  // Questions. All are answered from what has been delivered.

  /** Names of the groups that have members, sorted. */
  groups(): string[] {
    const names: string[] = []
    for (const group of this.#directory.groups.values()) if (group.view !== null) names.push(group.name)
    return names.sort()
  }

  /** Groups that have members. */
  get groupCount(): number {
    return this.#directory.shown
  }

  /** Local sessions, those that are closing included. */
  get sessionCount(): number {
    return this.#sessions.size
  }

  /** How many members a group has, without a list of them. */
  memberCount(group: string): number {
    return this.#directory.groups.get(group)?.members.length ?? 0
  }

  /** Members in join order; empty if there are none. */
  members(group: string): SessionId[] {
    return idsOf(this.#directory.groups.get(group)?.members ?? [])
  }

  view(group: string): { readonly id: ViewId; readonly members: readonly SessionId[] } | null {
    const view = this.#directory.groups.get(group)?.view ?? null
    return view === null ? null : { id: view.id, members: idsOf(view.members()) }
  }

  /** All sessions of a daemon of the directory. */
  sessionsOf(daemon: MemberId): SessionId[] {
    const sessions = this.#directory.homes.get(daemon)?.sessions.values() ?? []
    return [...sessions].map(session => session.id)
  }

  /**
   * What became of the messages at this place, in this group of their destination ('' if they were private).
   * @throws GroupError `fate-not-yet`, `fate-expired`, `fate-no-view`.
   */
  fateOf(group: string, place: Place): Fate | 'pending' {
    if (comparePlaces(place, this.#place) > 0) {
      throw new GroupError('fate-not-yet', 'nothing has been delivered at this position yet')
    }
    if (group === '') return this.#private.fateOf(place, this.#cover)
    const view = this.#directory.viewAt(group, place)
    if (view === undefined) {
      throw new GroupError(
        'fate-expired',
        `the view of group '${group}' at this position is not remembered here`,
      )
    }
    if (view === null)
      throw new GroupError('fate-no-view', `group '${group}' had no members at this position`)
    return fateOf(view.id, sessionsOf(view.members()), place, this.#cover)
  }

  /** @throws InvariantError with evidence. */
  invariants(): void {
    this.#directory.invariants()
    const current = this.#current
    if (current === null) return
    for (const home of current.homes) {
      const known = home === null || home.lost || this.#directory.homes.get(home.daemon) === home
      invariant(known, 'a daemon of the configuration is in the directory', home?.daemon)
    }
    if (!current.shown) return
    invariant(
      current.configuration.members.every(daemon => this.#directory.homes.has(daemon)) &&
        this.#directory.homes.size === current.configuration.members.length,
      'a shown directory is of the daemons of its configuration',
      { members: current.configuration.members, directory: [...this.#directory.homes.keys()] },
    )
  }

  readonly #isKnown = (group: string): boolean => this.#directory.groups.has(group)

  #submit(head: SegmentHead, body: readonly Uint8Array[], bytes: number, safe = false, urgent = false): void {
    this.#submissions.push({ segment: { safe, more: false, head, bytes, body }, urgent })
  }

  // Configurations and the exchange.

  #regular(configuration: Configuration): void {
    const before = this.#current
    if (before !== null) this.#leaveConfiguration(before)
    this.#submissions = this.#submissions.filter(({ urgent }) => !urgent)
    this.#current = {
      configuration,
      exchange: new Exchange(configuration),
      consumption: new Consumption(configuration.members.length),
      homes: configuration.members.map(daemon =>
        this.#along.has(daemon) ? (this.#directory.homes.get(daemon) ?? null) : null,
      ),
      closing: null,
      shown: false,
      scope: configuration.id.key,
      index: 0,
    }
    this.#events.push({ type: 'configuration', configuration })
    this.#submitDigest(configuration)
    this.#settle()
  }

  /** The old configuration has ended with all its deliveries: now its Plan's word on what was consumed counts. */
  #leaveConfiguration(before: Current): void {
    const { closing, homes, configuration } = before
    invariant(closing !== null, 'a transitional configuration precedes each regular one but the first')
    homes.forEach((home, rank) => {
      if (home === null) return
      const consumed = closing.consumed[rank] ?? 0
      if (Number.isFinite(consumed)) {
        const point = { epoch: configuration.id.epoch, ts: consumed }
        const evidence = { daemon: home.daemon, used: home.acknowledged, planned: point }
        invariant(comparePoints(home.acknowledged, point) <= 0, 'a Plan knows all that was used', evidence)
        // 0 says nothing; anything above says that all of the older configurations was acknowledged.
        if (consumed > 0) home.acknowledged = point
      }
      if (!this.#along.has(home.daemon)) home.lost = true
    })
    if (before.shown) return
    this.#skipped++
    this.#cover('exchange cut short')
  }

  #submitDigest(configuration: Configuration): void {
    const remembered: { daemon: MemberId; version: number }[] = []
    for (const daemon of this.#lied ? [] : configuration.members) {
      if (this.#along.has(daemon)) continue
      const home = this.#directory.homes.get(daemon) ?? this.#remembered.get(daemon)
      if (home !== undefined) remembered.push({ daemon, version: home.version })
    }
    const head: DigestHead = {
      kind: 'digest',
      configuration: configuration.id.key,
      lastShown: this.#lied ? null : (this.#lastShown?.id ?? null),
      along: this.#lied ? [this.self] : [...this.#along].sort(),
      version: this.#directory.homes.get(this.self)?.version ?? 0,
      remembered,
    }
    const bytes = NOMINAL_BYTES * (1 + head.along.length + remembered.length)
    this.#submit(head, [], bytes, false, true)
  }

  #exchangeMessage(sender: MemberId, place: Place, head: DigestHead | StateHead): Objection {
    const current = this.#current as Current
    // Left over from an exchange that was cut short: it counts for nothing.
    if (head.configuration !== current.configuration.id.key) return null
    const { exchange } = current
    const { components } = exchange
    const objection =
      head.kind === 'groupState' ? exchange.addPart(sender, head) : exchange.addDigest(sender, head)
    if (exchange.components !== components) this.#submitState(current)
    if (exchange.complete && !current.shown) this.#show(current, place)
    return objection
  }

  #submitState(current: Current): void {
    const { exchange, configuration } = current
    const tells = exchange.tells(this.self)
    if (tells === null || current.closing !== null) return
    const home = this.#directory.homes.get(this.self) as Home
    const component = new Set(exchange.componentOf(this.self).members)
    const groupOf = (name: string): Group => this.#directory.groups.get(name) as Group
    const limit = this.limits.statePartBytes
    const parts = stateParts(configuration.id.key, home, tells === 'full', groupOf, component, limit)
    for (const { head, bytes } of parts) this.#submit(head, [], bytes, false, true)
    if (parts.length > 1) this.#cover('exchange sent in parts')
  }

  #show(current: Current, place: Place): void {
    const { exchange, configuration, closing } = current
    const key = configuration.id.key
    const { changes, lost, lied } = mergeExchange(this.#directory, exchange, this.#remembered, key, place)
    this.#remembered.lose(this.#lied ? [] : lost, configuration)
    this.#lied = lied !== null
    if (lied !== null) this.#object(lied, 'it told others what is not so')
    if (exchange.components?.length === 1 && configuration.members.length > 1)
      this.#cover('exchange with equal digests')
    if (this.#skipped > 0 && this.#lastShown !== null) this.#cover('view skipped configurations')
    this.#skipped = 0
    this.#lastShown = configuration
    this.#along = new Set(closing === null ? configuration.members : closing.members)
    current.shown = true
    configuration.members.forEach((daemon, rank) => {
      current.homes[rank] = this.#directory.homes.get(daemon) ?? null
    })
    this.#acknowledge()
    this.#events.push({ type: 'shown', configuration })
    for (const change of changes) this.#tellNetworkView(change)
    if (closing !== null) this.#signal()
  }

  #transitional(event: Transitional): void {
    const current = this.#current
    invariant(
      current !== null && current.closing === null,
      'a transitional configuration closes a regular one',
    )
    invariant(event.of.id.key === current.configuration.id.key, 'it closes the current one', event.of.id)
    current.closing = event
    current.scope = `${current.scope}~${bitmapOf(event)}`
    const together = new Set(event.members)
    this.#along = new Set([...this.#along].filter(daemon => together.has(daemon)))
    this.#signal()
  }

  /** Tells local members of views that reach daemons which do not come along; once a view. */
  #signal(): void {
    for (const group of this.#directory.groups.values()) this.#signalView(group)
  }

  #signalView(group: Group): void {
    const { view, local } = group
    if (view === null || view.signalled || local.length === 0 || !group.reachesBeyond(this.#along)) return
    this.#tellSignal(group, view)
  }

  #tellSignal({ name, local }: Group, view: GroupView): void {
    view.signalled = true
    this.#events.push({ type: 'transitional', sessions: local, group: name, view: view.id })
  }

  // Deliveries.

  #deliver({ sender, place, segment }: Deliver): void {
    const { head } = segment as Segment<SegmentHead>
    this.#place = place
    const objection =
      head === null
        ? 'it has no head'
        : head.kind === 'digest' || head.kind === 'groupState'
          ? this.#exchangeMessage(sender, place, head)
          : this.#deliverRequest(sender, place, head, segment as GroupSegment)
    if (objection !== null) this.#object(sender, objection)
  }

  /** What others say against the rules counts for nothing, here as at everybody who delivers it. We say nothing of the kind. */
  #object(sender: MemberId, why: string): void {
    invariant(sender !== this.self, 'what we order was checked', why)
    this.#cover('segment against the rules')
    this.#events.push({ type: 'ignored', daemon: sender, why })
  }

  #deliverRequest(sender: MemberId, place: Place, head: RequestHead, segment: GroupSegment): Objection {
    const current = this.#current
    // Before, the directory is not the same for all; afterwards every member is in it.
    if (current?.shown !== true) return 'it speaks for a client before the exchange'
    const home = this.#directory.homes.get(sender)
    invariant(home !== undefined, 'a sender is in the directory', { sender, place })
    if (head.kind === 'open') {
      const objection = objectionToOpen(home, head)
      if (objection !== null) return objection
      home.version++
      home.sessions.set(head.session, new Session(home, head.session, head.name))
      if (sender === this.self) this.#events.push({ type: 'opened', session: head.session })
      return null
    }
    const session = home.sessions.get(head.session)
    if (session === undefined) return 'it speaks for a session that is not open'
    switch (head.kind) {
      case 'messages':
        return this.#deliverMessages(session, place, head, segment)
      case 'join': {
        const objection = objectionToJoin(session, head.group)
        if (objection !== null) return objection
        const change = this.#directory.join(session, head.group, current.scope, ++current.index, place)
        this.#tellView(change, 'join', place)
        break
      }
      case 'leave': {
        const member = session.groups.get(head.group)
        if (member === undefined) return 'it leaves a group that its session is not in'
        this.#deliverLeave(session, member, head.group, place)
        break
      }
      case 'disconnect':
        this.#deliverDisconnect(session, head, place)
    }
    home.version++
    return null
  }

  #deliverLeave(session: Session, member: Member, name: string, place: Place): void {
    const change = this.#depart(member, name, place)
    if (session.home.daemon === this.self) {
      this.#events.push({ type: 'left', session: session.number, group: name })
    }
    this.#tellView(change, 'leave', place)
  }

  #deliverDisconnect(session: Session, head: DisconnectHead, place: Place): void {
    const { home, number } = session
    session.ended = head.acknowledged
    home.sessions.delete(number)
    if (home.daemon === this.self) {
      this.#sessions.closed(number)
      this.#events.push({ type: 'closed', session: number, place })
    }
    // In join order, one join being at one place: indexes of views must not depend on how this daemon learned of them.
    const members = [...session.groups].sort(([, a], [, b]) => comparePlaces(a.joined, b.joined))
    for (const [name, member] of members)
      this.#tellView(this.#depart(member, name, place), 'disconnect', place)
  }

  #depart(member: Member, name: string, place: Place): Change {
    const current = this.#current as Current
    return this.#directory.leave(member, name, current.scope, ++current.index, place)
  }

  #deliverMessages(
    session: Session,
    place: Place,
    head: MessagesHead,
    { body, safe }: GroupSegment,
  ): Objection {
    let bytes = 0
    for (const slice of body) bytes += slice.length
    const objection = objectionToMessages(head, safe, bytes, this.limits.messageBytes)
    if (objection !== null) return objection
    const own = session.home.daemon === this.self ? head.session : 0
    const { destination } = head
    if (destination.to === 'member') {
      this.#deliverPrivate(session, place, head, body, own)
      return null
    }
    const { receivers: all, views } = addresseesOf(this.#directory, destination.groups)
    const receivers = own !== 0 && head.selfDiscard ? without(all, own) : all
    if (receivers.length === 0 && own === 0) return null
    this.#events.push({ type: 'messages', sender: session.id, head, body, place, receivers, own, views })
    return null
  }

  #deliverPrivate(
    session: Session,
    place: Place,
    head: MessagesHead,
    body: readonly Uint8Array[],
    own: number,
  ): void {
    const { daemon, session: number } = head.destination as { daemon: MemberId; session: number }
    const target = this.#directory.homes.get(daemon)?.sessions.get(number) ?? null
    const local = target !== null && daemon === this.self
    if (!local && own === 0) return
    this.#private.add(place, target)
    const discarded = !local || (head.selfDiscard && own === number)
    const receivers = discarded ? [] : [{ group: null, view: null, sessions: [number] }]
    this.#events.push({ type: 'messages', sender: session.id, head, body, place, receivers, own, views: [] })
  }

  // Views.

  #tellView({ group, before, after, joined, left }: Change, cause: Cause, place: Place): void {
    if (after === null) return
    if (group.local.length > 0) {
      const change = viewChange(group.name, before, after, cause, idsOf(joined), idsOf(left), [], true)
      this.#events.push({ type: 'view', sessions: group.local, change, place })
    }
    // A view made after the cut still has the members that are cut off.
    if (this.#current?.closing !== null) this.#signalView(group)
  }

  #tellNetworkView(change: NetworkChange): void {
    const { group, before } = change
    if (group.local.length === 0) return
    invariant(before !== null, 'local members have a view before', group.name)
    // A merge cuts nobody off, but it too is announced before it is shown: a network view never comes without its signal.
    if (!before.signalled) this.#tellSignal(group, before)
    this.#events.push({ type: 'view', sessions: group.local, change: networkViewChange(change), place: null })
  }

  // What was acknowledged.

  #consumed(byRank: readonly number[]): void {
    const current = this.#current as Current
    // Once the configuration is closed only what its Plan says counts, which is the same for all.
    if (current.closing === null && current.consumption.heard(byRank)) this.#acknowledge()
  }

  #delivered(ts: number): void {
    const current = this.#current as Current
    if (current.closing !== null) return
    if (current.consumption.delivered(ts)) this.#acknowledge()
    // Told only as far as there were deliveries: an idle cell has nothing new to acknowledge.
    const { epoch } = current.configuration.id
    const point = { epoch, ts: this.#place.epoch === epoch ? Math.min(ts, this.#place.ts) : 0 }
    if (point.ts === 0 || comparePoints(point, this.#horizon) <= 0) return
    this.#horizon = point
    this.#events.push({ type: 'horizon', epoch, ts: point.ts })
  }

  /** Facts became usable. */
  #acknowledge(): void {
    const { homes, consumption, configuration } = this.#current as Current
    const { epoch } = configuration.id
    for (let rank = 0; rank < homes.length; rank++) {
      const home = homes[rank] as Home | null
      const ts = consumption.usable[rank] as number
      if (home === null || ts === 0) continue
      if (home.acknowledged.epoch < epoch || home.acknowledged.ts < ts) home.acknowledged = { epoch, ts }
    }
    this.#settle()
  }

  /** Tells how far fates are settled: as far as every daemon that still is with us has acknowledged. */
  #settle(): void {
    const least = this.#directory.leastAcknowledged()
    if (least === null || comparePoints(least, this.#directory.settled) <= 0) return
    this.#directory.settled = least
    this.#events.push({ type: 'settled', place: endOf(least) })
  }
}
