/** Who of ours receives what is sent to groups, and in which view. */

import type { Directory } from './directory.ts'
import type { Receivers, ViewId } from './types.ts'
import type { GroupView } from './view.ts'

export interface Addressees {
  readonly receivers: readonly Receivers[]
  /** Views that the message is delivered in, whether or not members of ours are in them. */
  readonly views: readonly { readonly group: string; readonly view: ViewId }[]
}

const nobody: Addressees = { receivers: [], views: [] }

/** Of the groups that a message is sent to; what one group alone tells is kept from view to view and made for no message. */
export function addresseesOf({ groups }: Directory, names: readonly string[]): Addressees {
  if (names.length !== 1) {
    const views = names.flatMap(name => groups.get(name)?.views() ?? [])
    return { receivers: receiversOf(groups, names), views }
  }
  const group = groups.get(names[0] as string)
  if (group === undefined || group.view === null) return nobody
  return { receivers: group.receivers(), views: group.views() }
}

/** Each local member of the groups once, with the first group that it is in. */
function receiversOf(groups: Directory['groups'], names: readonly string[]): Receivers[] {
  const all: Receivers[] = []
  const reached = new Set<number>()
  for (const name of names) {
    const group = groups.get(name)
    if (group === undefined || group.local.length === 0) continue
    const sessions = reached.size === 0 ? group.local : group.local.filter(number => !reached.has(number))
    if (sessions.length === 0) continue
    for (const number of sessions) reached.add(number)
    all.push({ group: name, view: (group.view as GroupView).id, sessions })
  }
  return all
}

export function without(receivers: readonly Receivers[], session: number): Receivers[] {
  const rest: Receivers[] = []
  for (const { group, view, sessions } of receivers) {
    const others = sessions.filter(number => number !== session)
    if (others.length > 0) rest.push({ group, view, sessions: others })
  }
  return rest
}
