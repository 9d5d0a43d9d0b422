/** What a complete exchange makes of the directory: a pure function of it and of what the exchange told. */

import type { MemberId, Place } from '../core/types.ts'
import { invariant } from '../lib/assert.ts'
import type { Change, Directory, Group } from './directory.ts'
import type { Component, ComponentView, Exchange, ReceivedState } from './exchange.ts'
import { comparePlaces } from './place.ts'
import type { RememberedHomes } from './remembered.ts'
import type { Origin } from './types.ts'
import { compareMembers, Home, idsOf, type Member, Session } from './view.ts'

/** A group that members come into or are lost from. */
interface Touched {
  readonly group: Group
  readonly joined: Member[]
  readonly left: Member[]
}

export interface NetworkChange extends Change {
  readonly origins: readonly Origin[]
}

export interface Merge {
  /** Groups whose view changed, sorted by name. */
  readonly changes: readonly NetworkChange[]
  /** Daemons of the old directory that are not in the configuration, or come with another history. */
  readonly lost: readonly Home[]
  /** A daemon with our history told others something else than what we know: they may know now what is not so. */
  readonly lied: MemberId | null
}

/**
 * Applies a complete exchange, at once.
 * @param remembered what is known of daemons that were lost before
 * @param scope of the views that change, index 0
 * @param place where the exchange was complete: what follows is delivered in the new views
 */
export function mergeExchange(
  directory: Directory,
  exchange: Exchange,
  remembered: RememberedHomes,
  scope: string,
  place: Place,
): Merge {
  const own = exchange.componentOf(directory.self)
  const lied = findLie(directory, exchange, own)
  const touched = new Map<string, Touched>()
  const lost: Home[] = []
  const previous = new Map(directory.homes)
  for (const home of previous.values()) {
    if (own.members.includes(home.daemon)) continue
    lost.push(home)
    home.lost = true
    directory.homes.delete(home.daemon)
    for (const session of home.sessions.values()) {
      for (const [name, member] of session.groups) touch(directory, touched, name).left.push(member)
    }
  }
  for (const daemon of exchange.configuration.members) {
    const known = directory.homes.get(daemon)
    const { version } = exchange.digests.get(daemon) as { version: number }
    if (own.members.includes(daemon)) {
      if (known === undefined) directory.homes.set(daemon, newHome(daemon, place))
      continue
    }
    const home = newHome(daemon, place)
    home.version = version
    directory.homes.set(daemon, home)
    if (version === 0) continue
    const state = exchange.received.get(daemon)
    const from =
      state?.full === true
        ? fromParts(state)
        : fromMemory(previous.get(daemon) ?? remembered.get(daemon), version)
    for (const { number, name, groups } of from) {
      const session = new Session(home, number, name)
      home.sessions.set(number, session)
      for (const [group, joined] of groups) {
        const member: Member = { session, joined }
        session.groups.set(group, member)
        home.memberships++
        touch(directory, touched, group).joined.push(member)
      }
    }
  }
  const names = [...touched.keys()].sort()
  const changes = names.map(name => settle(directory, exchange, touched.get(name) as Touched, scope, place))
  return { changes: changes.filter(change => change !== null), lost, lied }
}

/**
 * Who of our own component told something else than what we know. Everybody else of us finds the same; the others, who
 * have only its word, cannot.
 */
function findLie(directory: Directory, exchange: Exchange, own: Component): MemberId | null {
  for (const daemon of own.members) {
    const known = directory.homes.get(daemon)
    const { version } = exchange.digests.get(daemon) as { version: number }
    if ((known?.version ?? 0) !== version) return daemon
    const told = exchange.received.get(daemon)
    if (told?.full === true && known !== undefined && !sameState(known, told)) return daemon
  }
  if (exchange.components?.length === 1) return null
  const together = new Set(own.members)
  for (const group of directory.groups.values()) {
    // Whoever else may have told it, the first of those who have members in it must.
    const first = own.members.find(daemon => group.daemons.has(daemon))
    if (group.view === null || first === undefined) continue
    const { scope, index } = group.view
    const told = own.views.get(group.name)
    const whole = !group.reachesBeyond(together)
    if (told?.scope !== scope || told.index !== index || told.whole !== whole) return told?.by ?? first
  }
  return null
}

function sameState(home: Home, told: ReceivedState): boolean {
  let memberships = 0
  for (const { number, name, groups } of fromParts(told)) {
    const session = home.sessions.get(number)
    if (session?.name !== name) return false
    for (const [group, joined] of groups) {
      const member = session.groups.get(group)
      if (member === undefined || comparePlaces(member.joined, joined) !== 0) return false
    }
    memberships += groups.size
  }
  return told.sessions.size === home.sessions.size && memberships === home.memberships
}

function newHome(daemon: MemberId, place: Place): Home {
  return new Home(daemon, { epoch: place.epoch, ts: 0 })
}

function touch(directory: Directory, touched: Map<string, Touched>, name: string): Touched {
  let entry = touched.get(name)
  if (entry === undefined) {
    entry = { group: directory.group(name), joined: [], left: [] }
    touched.set(name, entry)
  }
  return entry
}

interface SessionState {
  readonly number: number
  readonly name: string
  readonly groups: Map<string, Place>
}

function fromParts(state: ReceivedState): Iterable<SessionState> {
  const sessions = new Map<number, SessionState>()
  for (const [number, name] of state.sessions) sessions.set(number, { number, name, groups: new Map() })
  for (const [group, members] of state.groups) {
    // A member that is no session of its daemon's is none.
    for (const { session, joined } of members) sessions.get(session)?.groups.set(group, joined)
  }
  return sessions.values()
}

function* fromMemory(home: Home | undefined, version: number): Iterable<SessionState> {
  invariant(home?.version === version, 'a state is left out only if everybody remembers it', version)
  for (const { number, name, groups } of home.sessions.values()) {
    const joined = new Map<string, Place>()
    for (const [group, member] of groups) joined.set(group, member.joined)
    yield { number, name, groups: joined }
  }
}

/** The group's next view; null if nobody here needs to be told. */
function settle(
  directory: Directory,
  exchange: Exchange,
  { group, joined, left }: Touched,
  scope: string,
  place: Place,
): NetworkChange | null {
  joined.sort(compareMembers)
  const origins = originsOf(directory, exchange, group, joined, left)
  const only = origins.length === 1 ? (origins[0] as ComponentOrigin).view : null
  if (only?.whole === true) {
    // Nobody lost, nobody met: at its members, all elsewhere, the view goes on; here it is learned, by its old id.
    directory.replace(group, joined, left, only.scope, only.index, place)
    return null
  }
  const change = directory.replace(group, joined, left, scope, 0, place)
  if (change.after === null) return null
  return { ...change, origins: origins.map(({ id, members }) => ({ view: id, members: idsOf(members) })) }
}

/** In the place of a view that its component ought to have told and did not. */
const untold: ComponentView = { scope: 'untold', index: 0, whole: false }

interface ComponentOrigin {
  readonly id: string
  readonly view: { readonly scope: string; readonly index: number; readonly whole: boolean }
  readonly members: Member[]
}

/** The members of the next view by the component they come from; in the order of the components. */
function originsOf(
  directory: Directory,
  exchange: Exchange,
  group: Group,
  joined: readonly Member[],
  left: readonly Member[],
): ComponentOrigin[] {
  const own = exchange.componentOf(directory.self)
  const gone = new Set(left)
  const stayed = group.members.filter(member => !gone.has(member))
  const byComponent = new Map<Component, Member[]>()
  if (stayed.length > 0) byComponent.set(own, stayed)
  for (const member of joined) {
    const component = exchange.componentOf(member.session.home.daemon)
    const members = byComponent.get(component)
    if (members === undefined) byComponent.set(component, [member])
    else members.push(member)
  }
  const origins: ComponentOrigin[] = []
  for (const component of exchange.components as readonly Component[]) {
    const members = byComponent.get(component)
    if (members === undefined) continue
    const current = group.view
    const view =
      component === own && current !== null
        ? { scope: current.scope, index: current.index, whole: left.length === 0 }
        : (component.views.get(group.name) ?? untold)
    origins.push({ id: `${view.scope}/${view.index}`, view, members })
  }
  return origins
}
