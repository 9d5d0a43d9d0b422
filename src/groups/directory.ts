/**
 * Who is a member of what, as replicated by the order: sessions of each daemon, members and views of each group. Changed only
 * by delivered messages, so all who deliver the same have the same.
 */

import type { MemberId, Place } from '../core/types.ts'
import { invariant } from '../lib/assert.ts'
import { Deque } from '../lib/deque.ts'
import type { GroupLimits } from './limits.ts'
import { comparePlaces, comparePoints, covers } from './place.ts'
import type { Point, Receivers } from './types.ts'
import {
  compareMembers,
  GroupView,
  type Home,
  type Member,
  mergeMembers,
  removeMember,
  type Session,
} from './view.ts'

/** A group that has members, or past views that are remembered. */
export class Group {
  readonly name: string
  /** Null: no members. */
  view: GroupView | null = null
  /** Views that ended, oldest first. */
  readonly past: GroupView[] = []
  /** Past views forgotten because of this group's own limit; their entries in the queue of all are void. */
  forgotten = 0
  /** Members of the view by daemon. */
  readonly daemons: Map<MemberId, number> = new Map()
  /** Numbers of local members, in the view's order. Never changed in place: events hold it. */
  local: readonly number[] = []
  /** What every segment to this group alone tells, kept from view to view. */
  #receivers: readonly Receivers[] | null = null
  #views: readonly { readonly group: string; readonly view: string }[] | null = null

  constructor(name: string) {
    this.name = name
  }

  get members(): readonly Member[] {
    return this.view === null ? [] : this.view.members()
  }

  /** The view's local receivers; empty if there are none. */
  receivers(): readonly Receivers[] {
    if (this.#receivers === null) {
      const view = this.view
      const none = view === null || this.local.length === 0
      this.#receivers = none ? [] : [{ group: this.name, view: view.id, sessions: this.local }]
    }
    return this.#receivers
  }

  views(): readonly { readonly group: string; readonly view: string }[] {
    if (this.#views === null) {
      this.#views = this.view === null ? [] : [{ group: this.name, view: this.view.id }]
    }
    return this.#views
  }

  changed(): void {
    this.#receivers = null
    this.#views = null
  }

  /** True if a member of the view is on a daemon that is not in `daemons`. */
  reachesBeyond(daemons: ReadonlySet<MemberId>): boolean {
    for (const daemon of this.daemons.keys()) if (!daemons.has(daemon)) return true
    return false
  }
}

/** A change of one group: `after` is null if nobody is left. */
export interface Change {
  readonly group: Group
  readonly before: GroupView | null
  readonly after: GroupView | null
  readonly joined: readonly Member[]
  readonly left: readonly Member[]
}

export class Directory {
  readonly self: MemberId
  readonly limits: GroupLimits
  readonly homes: Map<MemberId, Home> = new Map()
  readonly groups: Map<string, Group> = new Map()
  /** Groups with members. */
  shown = 0
  /** Fates up to here are settled: past views that end before it may be forgotten. */
  settled: Point = { epoch: 0, ts: 0 }
  #pastViews = 0
  readonly #pastQueue: Deque<Group> = new Deque()

  constructor(self: MemberId, limits: GroupLimits) {
    this.self = self
    this.limits = limits
  }

  group(name: string): Group {
    let group = this.groups.get(name)
    if (group === undefined) {
      group = new Group(name)
      this.groups.set(name, group)
    }
    return group
  }

  /** Adds a member that joined now: after all others, since places grow. */
  join(session: Session, name: string, scope: string, index: number, place: Place): Change {
    const group = this.group(name)
    const member: Member = { session, joined: place }
    invariant(!session.groups.has(name), 'a session joins a group that it is not in', {
      id: session.id,
      name,
    })
    session.groups.set(name, member)
    session.home.memberships++
    return this.replace(group, [member], [], scope, index, place)
  }

  leave(member: Member, name: string, scope: string, index: number, place: Place): Change {
    const group = this.groups.get(name)
    invariant(group !== undefined && group.view !== null, 'a group that is left has members', name)
    member.session.groups.delete(name)
    member.session.home.memberships--
    return this.replace(group, [], [member], scope, index, place)
  }

  /**
   * Gives the group its next view: `joined` (sorted) come in, `left` go. The list is reworked only as far as needed.
   * Ends the group if nobody is left; then scope and index are not used.
   */
  replace(
    group: Group,
    joined: readonly Member[],
    left: readonly Member[],
    scope: string,
    index: number,
    place: Place,
  ): Change {
    const before = group.view
    if (before === null) {
      group.view = new GroupView(scope, index, place, [...joined])
      this.shown++
    } else if (joined.length === 0 && left.length === before.members().length) {
      before.end(place)
      group.view = null
      this.shown--
    } else {
      const list = rework(before.members() as Member[], joined, left)
      group.view = new GroupView(scope, index, place, list)
      before.supersede(group.view, joined, left)
    }
    for (const member of left) this.#count(group, member, -1)
    for (const member of joined) this.#count(group, member, 1)
    this.#relist(group, joined, left)
    if (before !== null) this.#remember(group, before)
    return { group, before, after: group.view, joined, left }
  }

  /** The view that covers a place; undefined: not remembered; null: the group had no members there. */
  viewAt(name: string, place: Place): GroupView | null | undefined {
    const group = this.groups.get(name)
    if (group === undefined) return undefined
    const { view, past } = group
    if (view !== null && comparePlaces(view.from, place) < 0) return view
    let low = 0
    let high = past.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (comparePlaces((past[middle] as GroupView).from, place) < 0) low = middle + 1
      else high = middle
    }
    const found = past[low - 1]
    if (found === undefined) return undefined
    return comparePlaces(place, found.until as Place) <= 0 ? found : null
  }

  /** What every daemon that still is with us has acknowledged; null if none is. */
  leastAcknowledged(): Point | null {
    let least: Point | null = null
    for (const { lost, acknowledged } of this.homes.values()) {
      if (!lost && (least === null || comparePoints(acknowledged, least) < 0)) least = acknowledged
    }
    return least
  }

  #count(group: Group, member: Member, step: number): void {
    const { daemon } = member.session.home
    const count = (group.daemons.get(daemon) ?? 0) + step
    if (count === 0) group.daemons.delete(daemon)
    else group.daemons.set(daemon, count)
  }

  #relist(group: Group, joined: readonly Member[], left: readonly Member[]): void {
    group.changed()
    const gone = left.filter(member => member.session.home.daemon === this.self)
    if (gone.length > 0) {
      const numbers = new Set(gone.map(member => member.session.number))
      group.local = group.local.filter(number => !numbers.has(number))
    }
    const come = joined.filter(member => member.session.home.daemon === this.self)
    // A local member is never merged in from elsewhere, so it is a fresh join and comes last.
    if (come.length > 0) group.local = [...group.local, ...come.map(member => member.session.number)]
  }

  #remember(group: Group, view: GroupView): void {
    const { past } = group
    past.push(view)
    this.#pastViews++
    this.#pastQueue.push(group)
    const { fateViews, fateViewsTotal } = this.limits
    while (past.length > fateViews && covers(this.settled, (past[0] as GroupView).until as Place)) {
      past.shift()
      group.forgotten++
      this.#pastViews--
    }
    while (this.#pastViews > fateViewsTotal) this.#forget(this.#pastQueue.shift() as Group)
    if (this.#pastQueue.length > 2 * this.#pastViews + 1024) this.#compact()
  }

  /** Takes an entry of the queue of past views: the oldest one of this group, or a void one. */
  #forget(group: Group): void {
    if (group.forgotten > 0) group.forgotten--
    else {
      group.past.shift()
      this.#pastViews--
    }
    if (group.past.length === 0 && group.view === null && group.forgotten === 0)
      this.groups.delete(group.name)
  }

  /** Drops the void entries; costs as much as was added since the last time. */
  #compact(): void {
    for (let count = this.#pastQueue.length; count > 0; count--) {
      const group = this.#pastQueue.shift() as Group
      if (group.forgotten > 0) this.#forget(group)
      else this.#pastQueue.push(group)
    }
  }

  /** @throws InvariantError with evidence. */
  invariants(): void {
    let shown = 0
    let past = 0
    let members = 0
    for (const group of this.groups.values()) {
      if (group.view !== null) shown++
      past += group.past.length
      members += group.members.length
      this.#checkGroup(group)
    }
    invariant(shown === this.shown, 'groups with members are counted', { shown, counted: this.shown })
    invariant(past === this.#pastViews, 'past views are counted', { past, counted: this.#pastViews })
    let memberships = 0
    for (const home of this.homes.values()) {
      let ofHome = 0
      for (const session of home.sessions.values()) {
        invariant(session.ended === null, 'an ended session is gone', session.id)
        ofHome += session.groups.size
      }
      const { daemon } = home
      invariant(ofHome === home.memberships, 'memberships of a daemon are counted', { daemon, ofHome })
      memberships += ofHome
    }
    // Every member of a group knows its group (below), so equal numbers make the two sides the same.
    invariant(members === memberships, 'sessions and groups agree', { members, memberships })
  }

  #checkGroup(group: Group): void {
    const { members } = group
    const daemons = new Map<MemberId, number>()
    const local: number[] = []
    members.forEach((member, i) => {
      const { session } = member
      const { daemon } = session.home
      const previous = members[i - 1]
      const sorted = previous === undefined || compareMembers(previous, member) < 0
      invariant(sorted, 'members are in join order', { group: group.name, id: session.id })
      invariant(
        this.homes.get(daemon) === session.home,
        'a member is of a daemon of the directory',
        session.id,
      )
      invariant(session.groups.get(group.name) === member, 'a member knows its group', session.id)
      daemons.set(daemon, (daemons.get(daemon) ?? 0) + 1)
      if (daemon === this.self) local.push(session.number)
    })
    invariant(
      local.length === group.local.length && local.every((number, i) => number === group.local[i]),
      'local receivers are the local members',
      { group: group.name, local, cached: group.local },
    )
    const same =
      daemons.size === group.daemons.size && [...daemons].every(([d, n]) => group.daemons.get(d) === n)
    invariant(same, 'members are counted by daemon', group.name)
    for (let i = 1; i < group.past.length; i++) {
      const apart =
        comparePlaces((group.past[i - 1] as GroupView).until as Place, (group.past[i] as GroupView).from) <= 0
      invariant(apart, 'views follow each other', group.name)
    }
  }
}

/** The next list, in place where that is cheap. */
function rework(list: Member[], joined: readonly Member[], left: readonly Member[]): Member[] {
  if (left.length === 1) removeMember(list, left[0] as Member)
  else if (left.length > 1) {
    const gone = new Set(left)
    list = list.filter(member => !gone.has(member))
  }
  const last = list.at(-1)
  const first = joined[0]
  if (first === undefined) return list
  if (last === undefined || compareMembers(last, first) < 0) {
    for (const member of joined) list.push(member)
    return list
  }
  return mergeMembers(list, joined)
}
