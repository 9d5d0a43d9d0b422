/** Members, and the views of one group as a chain of deltas. */

import type { MemberId, Place } from '../core/types.ts'
import { comparePlaces } from './place.ts'
import type { JoinKey, Point, SessionId, ViewId } from './types.ts'

/**
 * One daemon's local state, as replicated here: an object per stretch of our history that the daemon shares with us. When it
 * is lost the object is final, and if it comes back it gets a new one; so fates decided before stay as they are.
 */
export class Home {
  readonly daemon: MemberId
  readonly sessions: Map<number, Session> = new Map()
  /** Of all its sessions together. */
  memberships = 0
  /** Counts changes: opens, joins, leaves, disconnects. */
  version = 0
  /** Each session still here has acknowledged everything delivered to it up to this point. */
  acknowledged: Point
  /** It did not come along; what `acknowledged` does not cover is unknown for ever. */
  lost = false

  constructor(daemon: MemberId, acknowledged: Point) {
    this.daemon = daemon
    this.acknowledged = acknowledged
  }
}

export class Session {
  readonly home: Home
  readonly number: number
  readonly id: SessionId
  readonly name: string
  readonly groups: Map<string, Member> = new Map()
  /** Set by its disconnect: what it had acknowledged. */
  ended: Point | null = null

  constructor(home: Home, number: number, name: string) {
    this.home = home
    this.number = number
    this.name = name
    this.id = `${name}@${home.daemon}.${number}`
  }
}

/** One membership: from a join to the leave. A member that leaves and joins again is another object. */
export interface Member {
  readonly session: Session
  readonly joined: JoinKey
}

/** The order of members in a view: by join; places of different configurations may be equal, hence the rest. */
export function compareMembers(a: Member, b: Member): number {
  const order = comparePlaces(a.joined, b.joined)
  if (order !== 0) return order
  const left = a.session.home.daemon
  const right = b.session.home.daemon
  if (left !== right) return left < right ? -1 : 1
  return a.session.number - b.session.number
}

/** Index of the first member not before `member`. */
function position(list: readonly Member[], member: Member): number {
  let low = 0
  let high = list.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compareMembers(list[middle] as Member, member) < 0) low = middle + 1
    else high = middle
  }
  return low
}

/** Takes a member out of a sorted list; false if it is not there. */
export function removeMember(list: Member[], member: Member): boolean {
  const at = position(list, member)
  if (list[at] !== member) return false
  list.splice(at, 1)
  return true
}

/** Merges two sorted lists into a new one. */
export function mergeMembers(a: readonly Member[], b: readonly Member[]): Member[] {
  if (b.length === 0) return [...a]
  const merged: Member[] = []
  let i = 0
  for (const member of b) {
    while (i < a.length && compareMembers(a[i] as Member, member) < 0) merged.push(a[i++] as Member)
    merged.push(member)
  }
  while (i < a.length) merged.push(a[i++] as Member)
  return merged
}

export function idsOf(members: readonly Member[]): SessionId[] {
  return members.map(member => member.session.id)
}

/**
 * A view. Only the newest of a group holds the list of members; an older one holds the step to the next, and works its list
 * out when asked (Baker's shallow binding), so that a change costs the size of the change.
 */
export class GroupView {
  readonly scope: string
  readonly index: number
  readonly id: ViewId
  /** What lies after `from`, up to and including `until`, is delivered in this view; `until` is null while it lasts. */
  readonly from: Place
  until: Place | null = null
  /** The transitional signal was given. */
  signalled = false
  #list: Member[] | null
  #next: GroupView | null = null
  #joined: readonly Member[] = []
  #left: readonly Member[] = []

  constructor(scope: string, index: number, from: Place, list: Member[]) {
    this.scope = scope
    this.index = index
    this.id = `${scope}/${index}`
    this.from = from
    this.#list = list
  }

  /** Sorted. While this is the group's newest view, the very list that the next change works on. */
  members(): readonly Member[] {
    if (this.#list !== null) return this.#list
    // From here on to the newest: who came after this view, and who was in it and went.
    const came = new Set<Member>()
    const went = new Set<Member>()
    let view = this.#step(came, went)
    while (view.#list === null) view = view.#step(came, went)
    const stayed = came.size === 0 ? view.#list : view.#list.filter(member => !came.has(member))
    return mergeMembers(stayed, [...went].sort(compareMembers))
  }

  #step(came: Set<Member>, went: Set<Member>): GroupView {
    for (const member of this.#left) if (!came.delete(member)) went.add(member)
    for (const member of this.#joined) came.add(member)
    return this.#next as GroupView
  }

  /** Ends this view and hands its list, to be changed, to the next one: `joined` sorted, `left` in any order. */
  supersede(next: GroupView, joined: readonly Member[], left: readonly Member[]): void {
    this.until = next.from
    this.#list = null
    this.#next = next
    this.#joined = joined
    this.#left = left
  }

  /** Ends this view without another: the group has no members any more. */
  end(at: Place): void {
    this.until = at
  }
}
