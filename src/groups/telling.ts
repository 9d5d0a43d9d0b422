/** Small pure steps from the directory to what is told. */

import type { CellEvent } from '../core/api.ts'
import type { MemberId } from '../core/types.ts'
import { invariant } from '../lib/assert.ts'
import type { NetworkChange } from './merge.ts'
import type { Cause, Origin, SessionId, ViewChange } from './types.ts'
import { type GroupView, idsOf, type Member, type Session } from './view.ts'

export function* sessionsOf(members: readonly Member[]): Iterable<Session> {
  for (const member of members) yield member.session
}

export function viewChange(
  group: string,
  before: GroupView | null,
  after: GroupView,
  cause: Cause,
  joined: readonly SessionId[],
  left: readonly SessionId[],
  origins: readonly Origin[],
  appended: boolean,
): ViewChange {
  return {
    group,
    view: after.id,
    previous: before?.id ?? null,
    cause,
    joined,
    left,
    origins,
    appended,
    members: () => idsOf(after.members()),
  }
}

/** Of a view that the network changed: who was lost and is met again comes from elsewhere (see the origins), but neither joined nor left. */
export function networkViewChange({
  group,
  before,
  after,
  joined,
  left,
  origins,
}: NetworkChange): ViewChange {
  invariant(after !== null, 'local members have a view afterwards', group.name)
  const old = new Set(idsOf(left))
  const fresh = idsOf(joined).filter(id => !old.delete(id))
  const appended = joined.length === fresh.length && endsWith(after.members(), joined)
  return viewChange(group.name, before, after, 'network', fresh, [...old], origins, appended)
}

function endsWith(list: readonly Member[], tail: readonly Member[]): boolean {
  const from = list.length - tail.length
  return tail.every((member, i) => list[from + i] === member)
}

/** The transitional set over the members of the configuration that it closes: 4 ranks a hex digit, the lowest bit first. */
export function bitmapOf({ of, members }: Extract<CellEvent, { type: 'transitional' }>): string {
  const together = new Set(members)
  let hex = ''
  for (let rank = 0; rank < of.members.length; rank += 4) {
    let digit = 0
    for (let bit = 0; bit < 4; bit++) {
      const daemon = of.members[rank + bit]
      if (daemon !== undefined && together.has(daemon)) digit |= 1 << bit
    }
    hex += digit.toString(16)
  }
  return hex
}

/** `n1` of `n1#5f3a…`. */
export function nameOf(daemon: MemberId): string {
  const hash = daemon.lastIndexOf('#')
  return hash < 0 ? daemon : daemon.slice(0, hash)
}
