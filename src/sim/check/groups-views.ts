/** What the checkers demand of group views: members change as the cause says, origins are a partition. */

import type { GroupHistory, ViewRecord } from './groups-trace.ts'
import type { Report } from './report.ts'

export function checkViews(history: GroupHistory, report: Report): void {
  for (const view of history.views) {
    if (history.options.drained) checkLast(history, view, report)
    const names = [...view.stays.keys()].slice(0, 1).map(index => history.sessions[index]!.name)
    const broken = (property: string, why: string): void =>
      report.add(property, `view ${view.id} of ${history.groups.name(view.group)} ${why}`, names)
    if (new Set(view.members).size !== view.members.length) broken('Groups view', 'lists a member twice')
    if (view.cause === 'network') checkOrigins(history, view, broken)
    else checkChange(view, broken)
  }
}

/** A drained run ends in agreement: a session's last view of a group is also the last one of every member that lives. */
function checkLast(history: GroupHistory, view: ViewRecord, report: Report): void {
  const lastOf = (session: number): boolean =>
    view.stays.get(session)?.ending === 'end' && history.alive(history.sessions[session]!)
  const witness = [...view.stays.keys()].find(lastOf)
  if (witness === undefined) return
  for (const member of view.members) {
    const session = history.sessions[member]!
    if (lastOf(member) || !history.alive(session)) continue
    if (session.lines.length === 0) continue
    const p = history.sessions[witness]!.name
    const what = `${p} ends in view ${view.id} of ${history.groups.name(view.group)}, but its member ${session.name}, who lives, does not`
    report.add('Groups last view', what, [p, session.name])
  }
}

type Broken = (property: string, why: string) => void

/** Members stand in the order in which they joined: a join appends, everything else keeps the order. */
function checkChange(view: ViewRecord, broken: Broken): void {
  const previous = view.previous
  if (!previous) return
  const wrong = (why: string): void => broken('Groups view', `(cause ${view.cause}) ${why} ${previous.id}`)
  if (view.cause === 'join') {
    if (view.left.length > 0) wrong('lacks members of')
    else if (view.joined.length === 0) wrong('adds nobody to')
    else if (!startsWith(view.members, previous.members)) wrong('changes the order of')
    return
  }
  if (view.joined.length > 0) wrong('adds members to')
  else if (view.left.length === 0) wrong('removes nobody from')
  else {
    const left = new Set(view.left)
    if (
      !startsWith(
        view.members,
        previous.members.filter(member => !left.has(member)),
      )
    )
      wrong('changes the order of')
  }
}

function startsWith(list: readonly number[], start: readonly number[]): boolean {
  for (let i = 0; i < start.length; i++) if (list[i] !== start[i]) return false
  return true
}

function checkOrigins(history: GroupHistory, view: ViewRecord, broken: Broken): void {
  const rank = new Map<string, number>()
  view.names.forEach((name, index) => rank.set(name, index))
  const seen = new Set<string>()
  for (const origin of view.origins) {
    const from = origin.view === null ? undefined : history.view(view.group, origin.view)
    const before = from && new Map(from.names.map((name, index) => [name, index]))
    const ranks: [number, number][] = []
    for (const member of origin.members) {
      if (seen.has(member)) broken('Groups origins', `has ${member} in two origins`)
      seen.add(member)
      const after = rank.get(member)
      if (after === undefined) broken('Groups origins', `has an origin with ${member}, who is not its member`)
      if (!before) continue
      const earlier = before.get(member)
      if (earlier === undefined)
        broken('Groups origins', `says that ${member} comes from ${origin.view}, which lacks it`)
      else if (after !== undefined) ranks.push([earlier, after])
    }
    ranks.sort((a, b) => a[0] - b[0])
    if (ranks.some((pair, index) => index > 0 && pair[1] < ranks[index - 1]![1])) {
      broken('Groups view', `changes the order of members that come from ${origin.view}`)
    }
  }
}
