/** Small pure steps from the directory to what is told. */

import type { CellEvent } from '../core/api.ts'
import type { MemberId } from '../core/types.ts'
import type { Cause, Origin, Receivers, SessionId, ViewChange } from './types.ts'
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

export function endsWith(list: readonly Member[], tail: readonly Member[]): boolean {
  const from = list.length - tail.length
  return tail.every((member, i) => list[from + i] === member)
}

export function without(receivers: readonly Receivers[], session: number): Receivers[] {
  const rest: Receivers[] = []
  for (const { group, view, sessions } of receivers) {
    const others = sessions.filter(number => number !== session)
    if (others.length > 0) rest.push({ group, view, sessions: others })
  }
  return rest
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
