/** One pass over each session's lines: builds its stays in views, and checks what is local to the session. */

import type { ClientTraceLine } from '../../lib/trace.ts'
import type { GroupOptions } from './groups.ts'
import {
  comparePositions,
  type FateRecord,
  type GroupHistory,
  type GroupTrace,
  type MessageRecord,
  parsePosition,
  RECEIVED,
  SENT,
  SHOWN,
  type SessionRecord,
  type Stay,
  type ViewRecord,
} from './groups-trace.ts'
import type { Names, Report } from './report.ts'

type Line<E> = Extract<ClientTraceLine, { e: E }>

/** A session's dealings with one group. */
interface Membership {
  stay: Stay | null
  joins: number
  leaves: number
  closes: number
  /** Own messages it must receive, with the number of leaves asked for before them. */
  owed: { message: MessageRecord; leaves: number }[]
}

/** Knowledge of more groups than this is noted for the destinations only. */
const MAX_KNOWLEDGE = 8

export class GroupWalk implements GroupHistory {
  readonly options: GroupOptions
  readonly sessions: readonly SessionRecord[]
  readonly groups: Names
  readonly messages: readonly MessageRecord[]
  readonly views: ViewRecord[] = []
  readonly fates: FateRecord[] = []
  readonly steps: number[][] = []
  readonly sentTo: ReadonlyMap<number, readonly MessageRecord[]>
  private readonly trace: GroupTrace
  private readonly report: Report
  private readonly byId: Map<string, ViewRecord>[] = []
  private runs = 0
  private memberships: Map<number, Membership> = new Map()
  private lastPosition: number[] | null = null
  private positions: Map<number, number[] | null> = new Map()
  private gone: Set<number> = new Set()

  constructor(trace: GroupTrace, options: GroupOptions, report: Report) {
    this.trace = trace
    this.options = options
    this.report = report
    this.sessions = trace.sessions
    this.groups = trace.groups
    this.messages = trace.messages
    this.sentTo = trace.sentTo
    // Sessions that appear only in lines of others are added while walking; they have no lines of their own.
    for (let i = 0; i < trace.sessions.length; i++) this.walk(trace.sessions[i]!)
    while (this.steps.length < trace.sessions.length) this.steps.push([])
  }

  view(group: number, id: string): ViewRecord | undefined {
    return this.byId[group]?.get(id)
  }

  session(name: string): SessionRecord | undefined {
    const index = this.trace.sessionNames.find(name)
    return index < 0 ? undefined : this.sessions[index]
  }

  alive(session: SessionRecord): boolean {
    const dead = this.options.dead
    return !session.closed && !(dead && (dead.has(session.name) || dead.has(session.daemon)))
  }

  private violate(property: string, session: SessionRecord, what: string, message?: MessageRecord): void {
    this.report.add(property, `${session.name} ${what}`, [session.name], message ? [message.name] : [])
  }

  private membership(group: number): Membership {
    let membership = this.memberships.get(group)
    if (!membership) {
      membership = { stay: null, joins: 0, leaves: 0, closes: 0, owed: [] }
      this.memberships.set(group, membership)
    }
    return membership
  }

  private walk(session: SessionRecord): void {
    this.memberships = new Map()
    this.lastPosition = null
    this.gone = new Set()
    const steps: number[] = []
    this.steps.push(steps)
    for (const line of session.lines) {
      if (session.closed) {
        if (line.e !== 'fate') {
          this.violate('Groups closed', session, `has an event '${line.e}' after its session was closed`)
          continue
        }
      }
      if (line.e === 'receive') this.receive(session, line, steps)
      else if (line.e === 'send') this.send(session, line, steps)
      else if (line.e === 'view') this.show(session, line, steps)
      else if (line.e === 'transitional') this.signal(session, line)
      else if (line.e === 'fate') this.fate(session, line)
      else if (line.e === 'join') this.membership(this.groups.index(line.group)).joins++
      else if (line.e === 'leave') this.membership(this.groups.index(line.group)).leaves++
      else if (line.e === 'closed') this.close(session, line)
    }
    for (const [group, membership] of this.memberships) this.end(session, group, membership)
  }

  private end(session: SessionRecord, group: number, membership: Membership): void {
    const stay = membership.stay
    if (stay) stay.to = session.receptions.length
    if (!this.options.drained || !this.alive(session)) return
    for (const { message } of membership.owed) this.owes(session, group, message)
  }

  private owes(session: SessionRecord, group: number, message: MessageRecord): void {
    if (session.received.has(message.index)) return
    const what = `sent ${message.name} as a member of ${this.groups.name(group)} and never receives it`
    this.violate('Groups self-delivery', session, what, message)
  }

  private close(session: SessionRecord, line: Line<'closed'>): void {
    if (line.group === undefined) {
      session.closed = true
      for (const membership of this.memberships.values()) {
        if (!membership.stay) continue
        membership.stay.ending = 'closed'
        membership.stay.to = session.receptions.length
        membership.stay = null
      }
      return
    }
    const group = this.groups.index(line.group)
    const membership = this.membership(group)
    membership.closes++
    // What was sent before the leave was asked for precedes it in the session's stream.
    membership.owed = membership.owed.filter(({ message, leaves }) => {
      if (leaves >= membership.closes) return true
      this.owes(session, group, message)
      return false
    })
    if (!membership.stay) return
    membership.stay.ending = 'left'
    membership.stay.to = session.receptions.length
    membership.stay = null
  }

  private signal(session: SessionRecord, line: Line<'transitional'>): void {
    const stay = this.membership(this.groups.index(line.group)).stay
    if (stay?.view.id !== line.id) {
      const now = stay ? `it is in ${stay.view.id}` : 'it is in no view'
      this.violate(
        'Groups current',
        session,
        `gets a transitional signal for ${line.group} ${line.id}, but ${now}`,
      )
      return
    }
    if (stay.signalled) return
    stay.signalled = true
    stay.beforeSignal = stay.messages.length
  }

  private receive(session: SessionRecord, line: Line<'receive'>, steps: number[]): void {
    const message = this.trace.message(line.m)
    if (session.received.has(message.index)) {
      this.violate('Groups once', session, `receives ${message.name} twice`, message)
      return
    }
    session.received.set(message.index, session.receptions.length)
    const group = line.group === undefined ? -1 : this.groups.index(line.group)
    session.receptions.push(message)
    steps.push(message.index * 4 + RECEIVED)
    this.position(session, line, message)
    this.origin(session, line, message)
    if (this.gone.has(message.sender)) {
      const what = `receives ${message.name} after the view that its sender's disconnect caused`
      this.violate('Groups disconnect', session, what, message)
    }
    if (group < 0) return
    const stay = this.membership(group).stay
    if (!stay || line.view !== stay.view.id) {
      const now = stay ? `it is in ${stay.view.id}` : 'it is in no view'
      const what = `receives ${message.name} for ${line.group} in view ${line.view}, but ${now}`
      this.violate('Groups current', session, what, message)
    }
    this.note(message, group)
  }

  /** Notes the message in the stays of all groups it was for. */
  private note(message: MessageRecord, group: number): void {
    if (!message.groups || !message.groups.includes(group))
      this.membership(group).stay?.messages.push(message.index)
    if (!message.groups) return
    for (const destination of message.groups)
      this.memberships.get(destination)?.stay?.messages.push(message.index)
  }

  /** What a reception says of its message must agree with its sending and with other receptions. */
  private origin(session: SessionRecord, line: Line<'receive'>, message: MessageRecord): void {
    const sender = message.sender < 0 ? undefined : this.sessions[message.sender]
    if (sender?.name !== line.from) {
      this.violate('Groups sent', session, `receives ${message.name} as from ${line.from}`, message)
    }
    if (message.sends === 0) {
      if (this.options.partial && (!sender || sender.lines.length === 0)) return
      this.violate('Groups sent', session, `receives ${message.name}, which nobody sent`, message)
      return
    }
    if (message.service !== line.service) {
      const what = `receives ${message.name} as ${line.service}, but it was sent as ${message.service}`
      this.violate('Groups sent', session, what, message)
    }
    if (message.selfDiscard && message.sender === session.index) {
      this.violate(
        'Groups self-discard',
        session,
        `receives its own ${message.name}, which it wished not to`,
        message,
      )
    }
    if (line.group === undefined) {
      if (message.addressee < 0) message.addressee = session.index
      const addressee = message.to ?? this.sessions[message.addressee]!.name
      if (message.groups!.length > 0 || addressee !== session.name)
        this.violate(
          'Groups private',
          session,
          `receives ${message.name} privately, not being its addressee`,
          message,
        )
    } else if (!message.groups!.includes(this.groups.index(line.group))) {
      const what = `receives ${message.name} for ${line.group}, to which it was not sent`
      this.violate(message.groups!.length === 0 ? 'Groups private' : 'Groups sent', session, what, message)
    }
  }

  private position(session: SessionRecord, line: Line<'receive'>, message: MessageRecord): void {
    if (message.position === null) {
      message.position = line.position
      const place = parsePosition(line.position)
      this.positions.set(message.index, place)
      message.epoch = place?.[0] ?? -1
    } else if (message.position !== line.position) {
      const what = `receives ${message.name} at ${line.position}, others at ${message.position}`
      this.violate('Groups position', session, what, message)
      return
    }
    const place = this.positions.get(message.index)!
    if (!place) {
      const what = `receives ${message.name} at '${line.position}', which is not epoch.ts.rank.segment.index`
      this.violate('Groups position', session, what, message)
      return
    }
    if (this.lastPosition && comparePositions(place, this.lastPosition) <= 0) {
      const what = `receives ${message.name} at ${line.position}, not after its last at ${this.lastPosition.join('.')}`
      this.violate('Groups position', session, what, message)
    }
    this.lastPosition = place
  }

  private send(session: SessionRecord, line: Line<'send'>, steps: number[]): void {
    const message = this.trace.message(line.m)
    if (message.sender !== session.index) {
      this.violate('Groups sent', session, `sends ${message.name}, an id that is not its own`, message)
    }
    if (message.sends > 1) {
      this.violate(
        'Groups sent',
        session,
        `sends ${message.name}, an id that is used ${message.sends} times`,
        message,
      )
      return
    }
    steps.push(message.index * 4 + SENT)
    const all = this.memberships.size <= MAX_KNOWLEDGE
    const groups = all ? this.memberships.keys() : message.groups!
    for (const group of groups) {
      const stay = this.memberships.get(group)?.stay
      if (stay) message.knowledge.push({ stay, count: stay.messages.length })
    }
    if (message.selfDiscard) return
    for (const group of message.groups!) {
      const membership = this.memberships.get(group)
      if (!membership?.stay || membership.leaves > membership.closes) continue
      membership.owed.push({ message, leaves: membership.leaves })
    }
  }

  private show(session: SessionRecord, line: Line<'view'>, steps: number[]): void {
    const group = this.groups.index(line.group)
    const membership = this.membership(group)
    const view = this.record(session, group, line)
    if (!line.members.includes(session.name)) {
      this.violate(
        'Groups view',
        session,
        `is shown view ${line.id} of ${line.group} without being its member`,
      )
    }
    if (membership.joins <= membership.closes) {
      const why = membership.closes > 0 ? 'after its leave' : 'without having joined'
      this.violate('Groups leave', session, `is shown view ${line.id} of ${line.group} ${why}`)
    }
    if (view.stays.has(session.index)) {
      this.violate('Groups view', session, `is shown view ${line.id} of ${line.group} twice`)
      return
    }
    steps.push(view.index * 4 + SHOWN)
    const before = membership.stay
    const signalled = before !== null && before.signalled && view.cause !== 'network'
    const stay: Stay = {
      session: session.index,
      view,
      messages: [],
      beforeSignal: 0,
      signalled,
      from: session.receptions.length,
      to: session.receptions.length,
      ending: 'end',
      next: null,
      run: before && view.cause !== 'network' ? before.run : this.runs++,
    }
    if (before) {
      before.to = session.receptions.length
      before.ending = 'view'
      before.next = stay
    }
    membership.stay = stay
    session.stays.push(stay)
    view.stays.set(session.index, stay)
    if (view.cause === 'disconnect' && before) for (const left of view.left) this.gone.add(left)
    if (this.gone.size > 0) {
      for (const joined of view.joined) {
        if (!this.gone.has(joined)) continue
        const back = this.sessions[joined]!.name
        this.violate(
          'Groups disconnect',
          session,
          `sees ${back} in view ${line.id} of ${line.group} after its disconnect`,
        )
      }
    }
    this.previous(session, before, view)
  }

  /** Each session comes to a view from the one that the view's cause and origins say. */
  private previous(session: SessionRecord, before: Stay | null, view: ViewRecord): void {
    const where = `view ${view.id} of ${this.groups.name(view.group)}`
    const from = before?.view.id ?? null
    if (view.cause === 'network') {
      const origin = view.originOf.get(session.index)
      const said = origin === undefined ? null : view.origins[origin]!.view
      if (said !== from) {
        this.violate(
          'Groups origins',
          session,
          `comes to ${where} from ${from ?? 'nowhere'}, its origin says ${said ?? 'nowhere'}`,
        )
      }
      if (before && !before.signalled) {
        this.violate(
          'Groups signal',
          session,
          `is shown the network ${where} without a transitional signal before`,
        )
      }
      return
    }
    const previous = view.previous
    if (!before) {
      if (previous && previous.members.includes(session.index)) {
        this.violate(
          'Groups view',
          session,
          `is shown ${where} but not ${previous.id} before it, of which it is a member`,
        )
      }
    } else if (previous !== before.view) {
      this.violate(
        'Groups view',
        session,
        `comes to ${where} from ${from}, others from ${previous?.id ?? 'nowhere'}`,
      )
    }
  }

  /** The view by group and id; the first to show it defines it, others must agree. */
  private record(session: SessionRecord, group: number, line: Line<'view'>): ViewRecord {
    while (this.byId.length <= group) this.byId.push(new Map())
    const known = this.byId[group]!.get(line.id)
    const before = this.membership(group).stay?.view ?? null
    if (known) {
      if (!sameView(known, line)) {
        const other = known.stays.keys().next().value
        const names = [session.name, ...(other === undefined ? [] : [this.sessions[other]!.name])]
        const what = `view ${line.id} of ${line.group} is not the same at ${names.join(' and at ')}`
        this.report.add('Groups view', what, names)
      }
      if (!known.previous && before && before !== known) link(known, before)
      return known
    }
    const members = line.members.map(name => this.trace.session(name).index)
    const originOf = new Map<number, number>()
    line.origins.forEach((origin, index) => {
      for (const name of origin.members) originOf.set(this.trace.session(name).index, index)
    })
    const view: ViewRecord = {
      index: this.views.length,
      group,
      id: line.id,
      names: line.members,
      members,
      memberSet: new Set(members),
      cause: line.cause,
      origins: line.origins,
      originOf,
      stays: new Map(),
      previous: null,
      joined: [],
      left: [],
    }
    if (before) link(view, before)
    this.views.push(view)
    this.byId[group]!.set(line.id, view)
    return view
  }

  private fate(session: SessionRecord, line: Line<'fate'>): void {
    const message = this.trace.message(line.m)
    const group = line.group === undefined ? -1 : this.groups.index(line.group)
    const stay = this.memberships.get(group)?.stay ?? null
    this.fates.push({
      session: session.index,
      line,
      message,
      group,
      stay,
      signalled: stay?.signalled === true,
    })
  }
}

function link(view: ViewRecord, previous: ViewRecord): void {
  view.previous = previous
  const before = new Set(previous.members)
  const after = new Set(view.members)
  view.joined = view.members.filter(member => !before.has(member))
  view.left = previous.members.filter(member => !after.has(member))
}

function sameView(view: ViewRecord, line: Line<'view'>): boolean {
  if (view.cause !== line.cause) return false
  if (view.names !== line.members) {
    if (view.names.length !== line.members.length) return false
    for (let i = 0; i < line.members.length; i++) if (view.names[i] !== line.members[i]) return false
  }
  if (view.origins === line.origins) return true
  if (view.origins.length !== line.origins.length) return false
  // The order of origins says nothing: each session may see its own first.
  return originsText(view.origins) === originsText(line.origins)
}

function originsText(origins: ViewRecord['origins']): string {
  return JSON.stringify(
    origins.map(origin => JSON.stringify([origin.view, [...origin.members].sort()])).sort(),
  )
}
