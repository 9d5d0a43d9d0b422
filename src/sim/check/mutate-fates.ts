/** Mutations of fate answers. */

import type { ClientTraceLine } from '../../lib/trace.ts'
import type { Random } from '../../lib/prng.ts'
import type { FateRecord, GroupHistory, Stay } from './groups-trace.ts'
import { pickClientLine, withClients } from './mutate-groups.ts'
import type { Mutation, Mutator, Specimen } from './mutate.ts'

type FateLine = Extract<ClientTraceLine, { e: 'fate' }>

/** A random fate line that satisfies a condition, with its record. */
function pickFate(
  specimen: Specimen,
  random: Random,
  wanted: (line: FateLine) => boolean,
): { at: number; line: FateLine; fate: FateRecord } | null {
  const lines = specimen.bundle.clients
  const at = pickClientLine(lines, random, line => line.e === 'fate' && wanted(line))
  if (at < 0) return null
  const line = lines[at] as FateLine
  return { at, line, fate: specimen.groups.fates.find(one => one.line === line)! }
}

/** The session's stay in the view of the message. */
function origin(history: GroupHistory, fate: FateRecord): Stay | undefined {
  return fate.group < 0 ? undefined : history.view(fate.group, fate.line.view)?.stays.get(fate.session)
}

/** The network views that a session came to from a stay on, as words. */
function networks(stay: Stay): { word: string; stay: Stay }[] {
  const list: { word: string; stay: Stay }[] = []
  for (let next = stay.next; next; next = next.next) {
    if (next.view.cause !== 'network') continue
    list.push({ word: `${next.view.index} ${next.view.originOf.get(next.session) ?? 'nowhere'}`, stay: next })
  }
  return list
}

/** After how many network views an answer was certainly settled; null if it cannot be said. */
function settledAfter(stay: Stay, fate: FateRecord): number | null {
  if (!fate.stay) return null
  let reached: Stay | null = stay
  let count = 0
  while (reached && reached !== fate.stay) {
    reached = reached.next
    if (reached?.view.cause === 'network') count++
  }
  if (!reached) return null
  return fate.signalled ? count + 1 : count
}

/** Two answers of one message in one view must agree if the askers went together until the later one was settled. */
function mustAgree(history: GroupHistory, a: FateRecord, b: FateRecord): boolean {
  if (a === b || a.message !== b.message || a.group !== b.group || a.line.view !== b.line.view) return false
  const [one, two] = [origin(history, a), origin(history, b)]
  if (!one || !two) return false
  const [settledA, settledB] = [settledAfter(one, a), settledAfter(two, b)]
  if (settledA === null || settledB === null) return false
  const until = Math.max(settledA, settledB)
  const [wayA, wayB] = [networks(one), networks(two)]
  if (wayA.length < until || wayB.length < until) return false
  for (let i = 0; i < until; i++) if (wayA[i]!.word !== wayB[i]!.word) return false
  return true
}

function contradicts(history: GroupHistory, fate: FateRecord): boolean {
  return history.fates.some(other => mustAgree(history, fate, other))
}

/**
 * A member is said to have received what was unknown of it. Wrong if it did not, as its own trace shows, or if an answer that
 * must agree says otherwise. If it did receive it and nobody else was told, the answer only knows more than it did.
 */
function add(specimen: Specimen, random: Random): Mutation | null {
  const found = pickFate(specimen, random, line => line.unknown.length > 0)
  if (!found) return null
  const { at, line, fate } = found
  const history = specimen.groups
  const who = random.pick(line.unknown)
  const mutated = {
    ...line,
    received: [...line.received, who],
    unknown: line.unknown.filter(one => one !== who),
  }
  const breaks: string[] = []
  const session = history.session(who)
  const discards = fate.message.selfDiscard && fate.message.sender === session?.index
  if (session && session.lines.length > 0 && !session.received.has(fate.message.index) && !discards)
    breaks.push('Fates true')
  if (contradicts(history, fate)) breaks.push('Fates agree')
  return withClients(specimen, specimen.bundle.clients.with(at, mutated), breaks)
}

/**
 * A member that received is said to be unknown. Wrong if an answer that must agree says otherwise, if it is the asker
 * itself, or if it never parted from the asker and lives. Otherwise it may really have been lost before anyone knew.
 */
function remove(specimen: Specimen, random: Random): Mutation | null {
  const found = pickFate(specimen, random, line => line.received.length > 0)
  if (!found) return null
  const { at, line, fate } = found
  const history = specimen.groups
  const who = random.pick(line.received)
  const mutated = {
    ...line,
    received: line.received.filter(one => one !== who),
    unknown: [...line.unknown, who],
  }
  const breaks: string[] = []
  const asker = history.sessions[fate.session]!
  const stay = origin(history, fate)
  if (contradicts(history, fate)) breaks.push('Fates agree')
  if (who === asker.name && asker.received.has(fate.message.index) && stay && stay.ending !== 'left') {
    breaks.push('Fates unknown')
  }
  if (stay && neverParted(history, stay, fate, who)) breaks.push('Fates unknown')
  return withClients(specimen, specimen.bundle.clients.with(at, mutated), breaks)
}

/** A stay and all that follow it in the same membership. */
function onwards(first: Stay): Stay[] {
  const list = [first]
  for (let next = first.next; next; next = next.next) list.push(next)
  return list
}

/** In a drained run: both live to the end in the group and were shown the same views, in the same origins. */
function neverParted(history: GroupHistory, stay: Stay, fate: FateRecord, who: string): boolean {
  const session = history.session(who)
  const theirs = session && stay.view.stays.get(session.index)
  if (!session || !theirs || !history.options.drained) return false
  if (fate.message.selfDiscard && fate.message.sender === session.index) return false
  const [own, other] = [onwards(stay), onwards(theirs)]
  if (own.length !== other.length || own.some((one, index) => one.view !== other[index]!.view)) return false
  const [wayA, wayB] = [networks(stay), networks(theirs)]
  if (wayA.some((one, index) => one.word !== wayB[index]!.word)) return false
  const lives = (one: Stay): boolean => one.ending === 'end' && history.alive(history.sessions[one.session]!)
  return lives(own.at(-1)!) && lives(other.at(-1)!)
}

/** Somebody who is not in the view is said to have received: never allowed, as far as the view is known. */
function stranger(specimen: Specimen, random: Random): Mutation | null {
  const found = pickFate(specimen, random, line => viewOf(specimen.groups, line) !== undefined)
  if (!found) return null
  const { at, line } = found
  const view = viewOf(specimen.groups, line)!
  const outside = specimen.groups.sessions
    .map(session => session.name)
    .filter(name => !view.names.includes(name))
  const mutated = {
    ...line,
    received: [...line.received, outside.length > 0 ? random.pick(outside) : 'nobody@n0#0.1'],
  }
  return withClients(specimen, specimen.bundle.clients.with(at, mutated), ['Fates members'])
}

/** A member of the view is not mentioned: never allowed, as far as the view is known. */
function forget(specimen: Specimen, random: Random): Mutation | null {
  const found = pickFate(specimen, random, line => viewOf(specimen.groups, line) !== undefined)
  if (!found) return null
  const { at, line } = found
  const who = random.pick([...line.received, ...line.unknown])
  const without = (list: readonly string[]): string[] => list.filter(one => one !== who)
  const mutated = { ...line, received: without(line.received), unknown: without(line.unknown) }
  return withClients(specimen, specimen.bundle.clients.with(at, mutated), ['Fates members'])
}

function viewOf(history: GroupHistory, line: FateLine): ReturnType<GroupHistory['view']> {
  const group = line.group === undefined ? -1 : history.groups.find(line.group)
  return group < 0 ? undefined : history.view(group, line.view)
}

export const FATE_MUTATORS: readonly Mutator[] = [
  { name: 'fate: a member added', apply: add },
  { name: 'fate: a member removed', apply: remove },
  { name: 'fate: a stranger added', apply: stranger },
  { name: 'fate: a member forgotten', apply: forget },
]
