/**
 * The exchange that opens a configuration: ordered messages from which every member computes the same directory.
 *
 * First digests: who has come along with whom since which configuration. Members with the same history have the same
 * directory (a *component*); only what some other component lacks is then told in full. Complete as a function of the
 * delivered sequence alone; if the configuration ends before, nothing of it was applied.
 */

import type { Configuration, MemberId } from '../core/types.ts'
import { invariant } from '../lib/assert.ts'
import type { Group } from './directory.ts'
import { isSessionName, utf8Length } from './names.ts'
import {
  emptyDigest,
  isLaterScope,
  mostMemberships,
  mostNameBytes,
  mostSessions,
  type Objection,
  objectionToDigest,
} from './rules.ts'
import type { DigestHead, GroupState, JoinKey, StateHead } from './types.ts'
import type { Home } from './view.ts'

/** A group's view as a component knows it. */
export interface ComponentView {
  readonly scope: string
  readonly index: number
  readonly whole: boolean
}

export interface ToldView extends ComponentView {
  readonly by: MemberId
}

export interface Component {
  /** Sorted; components are ordered by their first member. */
  readonly members: readonly MemberId[]
  /** As told by its members; empty for our own component, which need not be told. */
  readonly views: Map<string, ToldView>
}

/** Local state of a daemon as received. */
export interface ReceivedState {
  full: boolean
  complete: boolean
  /** Groups and members told so far, for the bound on them. */
  entries: number
  readonly sessions: Map<number, string>
  readonly groups: Map<string, { session: number; joined: JoinKey }[]>
}

export class Exchange {
  readonly configuration: Configuration
  readonly digests: Map<MemberId, DigestHead> = new Map()
  readonly received: Map<MemberId, ReceivedState> = new Map()
  /** Known once all digests are. */
  components: readonly Component[] | null = null
  #componentOf: Map<MemberId, Component> = new Map()
  readonly #telling: Map<MemberId, 'full' | 'views' | null> = new Map()
  #missing: number

  constructor(configuration: Configuration) {
    this.configuration = configuration
    this.#missing = configuration.members.length
  }

  /** True once nothing more is needed. */
  get complete(): boolean {
    return this.components !== null && this.#missing === 0
  }

  componentOf(daemon: MemberId): Component {
    return this.#componentOf.get(daemon) as Component
  }

  /** With the last one the components are known. @returns why it counts for nothing. */
  addDigest(daemon: MemberId, digest: DigestHead): Objection {
    if (this.digests.has(daemon)) return 'it sends a second digest'
    const objection = objectionToDigest(daemon, digest, this.configuration)
    this.digests.set(daemon, objection === null ? digest : emptyDigest(daemon, digest))
    if (--this.#missing === 0) this.#findComponents()
    return objection
  }

  #findComponents(): void {
    this.components = componentsOf(this.configuration.members, this.digests)
    for (const component of this.components) {
      for (const member of component.members) this.#componentOf.set(member, component)
    }
    for (const daemon of this.configuration.members) {
      const telling = this.#decide(daemon)
      this.#telling.set(daemon, telling)
      if (telling !== null) this.#missing++
    }
  }

  /** What this daemon sends after the digests: its whole state, the views of its groups only, or nothing. */
  tells(daemon: MemberId): 'full' | 'views' | null {
    return this.#telling.get(daemon) ?? null
  }

  #decide(daemon: MemberId): 'full' | 'views' | null {
    const { version } = this.digests.get(daemon) as DigestHead
    // Version 0 says it all. And what all have in common nobody tells.
    if (version === 0 || this.components?.length === 1) return null
    const component = this.componentOf(daemon)
    for (const other of this.configuration.members) {
      if (this.componentOf(other) === component) continue
      // The local state of a daemon is a function of its own messages, of which everybody delivers a prefix: equal
      // versions are equal states, wherever they were learned.
      const { remembered } = this.digests.get(other) as DigestHead
      if (!remembered.some(known => known.daemon === daemon && known.version === version)) return 'full'
    }
    return 'views'
  }

  /** What breaks a rule in it is left out; the rest counts. @returns the last objection. */
  addPart(daemon: MemberId, part: StateHead): Objection {
    const tells = this.tells(daemon)
    if (tells === null || (tells === 'full') !== part.full) return 'it tells a state that nobody asked for'
    let state = this.received.get(daemon)
    if (state === undefined) {
      state = { full: part.full, complete: false, entries: 0, sessions: new Map(), groups: new Map() }
      this.received.set(daemon, state)
    }
    if (state.complete) return 'it goes on after the last part of its state'
    let objection: Objection = null
    for (const { session, name } of part.sessions) objection = addSession(state, session, name) ?? objection
    const component = this.componentOf(daemon)
    const { id } = this.configuration
    for (const told of part.groups) {
      const scope = part.scopes[told.scope]
      state.entries += 1 + told.members.length
      if (state.entries > 2 * mostMemberships) objection = 'it tells more groups than a daemon may be in'
      else if (scope === undefined || isLaterScope(scope, id.key))
        objection = 'it tells a view that cannot be'
      else {
        // Of one history there is one view. If two tell different ones, it cannot be known here who lies: the first counts.
        const { group, index, whole } = told
        if (!component.views.has(group)) component.views.set(group, { scope, index, whole, by: daemon })
        objection = addGroup(state, told, id.epoch) ?? objection
      }
    }
    if (!part.last) return objection
    state.complete = true
    this.#missing--
    return objection
  }
}

function addSession(state: ReceivedState, session: number, name: string): Objection {
  if (session < 1 || !isSessionName(name, mostNameBytes)) return 'it tells a session that cannot be'
  if (state.sessions.has(session)) return 'it tells a session twice'
  if (state.sessions.size >= mostSessions) return 'it tells more sessions than a daemon may have'
  state.sessions.set(session, name)
  return null
}

function addGroup(state: ReceivedState, { group, members }: GroupState, epoch: number): Objection {
  if (!state.full) return null
  let objection: Objection = null
  let list = state.groups.get(group)
  if (list === undefined) state.groups.set(group, (list = []))
  for (const member of members) {
    // Nothing is joined in this configuration before the exchange: whoever says so would come after those who join next.
    if (member.joined.epoch < epoch) list.push(member)
    else objection = 'it tells a join of the future'
  }
  return objection
}

/** Sets of daemons with the same last shown configuration and the same companions since, each listing the others. */
function componentsOf(members: readonly MemberId[], digests: ReadonlyMap<MemberId, DigestHead>): Component[] {
  const components: Component[] = []
  const placed = new Set<MemberId>()
  for (const daemon of members) {
    if (placed.has(daemon)) continue
    const own = digests.get(daemon) as DigestHead
    const together = members.filter(other => {
      const theirs = digests.get(other) as DigestHead
      return (
        other === daemon || (own.lastShown !== null && sameHistory(own, theirs) && own.along.includes(other))
      )
    })
    for (const other of together) placed.add(other)
    components.push({ members: together, views: new Map() })
  }
  return components
}

function sameHistory(a: DigestHead, b: DigestHead): boolean {
  if (a.lastShown?.key !== b.lastShown?.key || a.along.length !== b.along.length) return false
  return a.along.every((daemon, i) => daemon === b.along[i])
}

/** Nominal bytes of what a part is made of, on the wire. */
const PART_BYTES = 128
const SESSION_BYTES = 8
const GROUP_BYTES = 24
const MEMBER_BYTES = 32

/** A part, and its estimated size. */
export interface StatePart {
  readonly head: StateHead
  readonly bytes: number
}

/** Collects one part after another, each below the limit (or with a single entry). */
class PartWriter {
  readonly parts: StatePart[] = []
  readonly #configuration: string
  readonly #full: boolean
  readonly #limit: number
  #bytes = PART_BYTES
  #sessions: { session: number; name: string }[] = []
  #scopes: string[] = []
  #groups: GroupState[] = []

  constructor(configuration: string, full: boolean, limit: number) {
    this.#configuration = configuration
    this.#full = full
    this.#limit = limit
  }

  session(session: number, name: string): void {
    this.#room(SESSION_BYTES + utf8Length(name))
    this.#sessions.push({ session, name })
  }

  /** A group's members may be split over parts. */
  group(name: string, view: ComponentView, members: readonly { session: number; joined: JoinKey }[]): void {
    let from = 0
    do {
      this.#room(GROUP_BYTES + utf8Length(name) + MEMBER_BYTES, view.scope)
      const fit = Math.floor(Math.max(0, this.#limit - this.#bytes) / MEMBER_BYTES) + 1
      const chunk = members.slice(from, from + fit)
      this.#bytes += (chunk.length - 1) * MEMBER_BYTES
      const scope = this.#scopeOf(view.scope)
      this.#groups.push({ group: name, scope, index: view.index, whole: view.whole, members: chunk })
      from += fit
    } while (from < members.length)
  }

  finish(last: boolean): void {
    const head: StateHead = {
      kind: 'groupState',
      configuration: this.#configuration,
      full: this.#full,
      sessions: this.#sessions,
      scopes: this.#scopes,
      groups: this.#groups,
      last,
    }
    this.parts.push({ head, bytes: this.#bytes })
    this.#bytes = PART_BYTES
    this.#sessions = []
    this.#scopes = []
    this.#groups = []
  }

  /** Makes room for an entry, in the next part if need be. */
  #room(bytes: number, scope = ''): void {
    const needed = bytes + (this.#scopes.includes(scope) ? 0 : utf8Length(scope))
    const full = this.#bytes + needed > this.#limit && this.#bytes > PART_BYTES
    if (full) this.finish(false)
    this.#bytes += full ? bytes + utf8Length(scope) : needed
  }

  #scopeOf(scope: string): number {
    const at = this.#scopes.lastIndexOf(scope)
    return at >= 0 ? at : this.#scopes.push(scope) - 1
  }
}

/**
 * The parts in which a daemon tells its state.
 * @param home its local state, unchanged since the digests
 * @param component its companions; a view is `whole` if it reaches nobody else
 * @param omit for `views`: groups that another member of the component tells
 */
export function stateParts(
  configuration: string,
  home: Home,
  full: boolean,
  groupOf: (name: string) => Group,
  component: ReadonlySet<MemberId>,
  limit: number,
): StatePart[] {
  const writer = new PartWriter(configuration, full, limit)
  const names = new Map<string, { session: number; joined: JoinKey }[]>()
  for (const session of home.sessions.values()) {
    if (full) writer.session(session.number, session.name)
    for (const [name, { joined }] of session.groups) {
      const members = names.get(name)
      const member = { session: session.number, joined }
      if (members === undefined) names.set(name, [member])
      else members.push(member)
    }
  }
  for (const [name, members] of names) {
    const group = groupOf(name)
    const { view } = group
    invariant(view !== null, 'a group of a session has a view', name)
    const { scope, index } = view
    const whole = !group.reachesBeyond(component)
    if (full) writer.group(name, { scope, index, whole }, members)
    else if (leastOf(group, component) === home.daemon) writer.group(name, { scope, index, whole }, [])
  }
  writer.finish(true)
  return writer.parts
}

/** The member of the component that tells the group's view when nobody needs to tell the members: one is enough. */
function leastOf(group: Group, component: ReadonlySet<MemberId>): MemberId | null {
  let least: MemberId | null = null
  for (const daemon of group.daemons.keys()) {
    if (component.has(daemon) && (least === null || daemon < least)) least = daemon
  }
  return least
}
