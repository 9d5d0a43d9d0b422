/** Mutations of sessions' traces. The arguments look at the history by brute force. */

import type { ClientTraceLine } from '../../lib/trace.ts'
import type { Random } from '../../lib/prng.ts'
import type { GroupHistory, MessageRecord, SessionRecord, Stay } from './groups-trace.ts'
import type { Mutation, Mutator, Specimen } from './mutate.ts'

type Line<E> = Extract<ClientTraceLine, { e: E }>

export function withClients(
  specimen: Specimen,
  clients: readonly ClientTraceLine[],
  breaks: Iterable<string>,
): Mutation {
  return { bundle: { ...specimen.bundle, clients }, breaks: [...new Set(breaks)] }
}

/** A random line of a kind, or −1. */
export function pickClientLine(
  lines: readonly ClientTraceLine[],
  random: Random,
  wanted: (line: ClientTraceLine) => boolean,
): number {
  const found: number[] = []
  lines.forEach((line, index) => {
    if (wanted(line)) found.push(index)
  })
  return found.length === 0 ? -1 : random.pick(found)
}

function messageOf(history: GroupHistory, name: string): MessageRecord {
  return history.messages.find(message => message.name === name)!
}

function before(stay: Stay): readonly number[] {
  return stay.signalled ? stay.messages.slice(0, stay.beforeSignal) : stay.messages
}

/** Was the one's leave, before any transitional signal, what the other one was shown next? */
function showed(left: Stay, saw: Stay): boolean {
  const next = saw.ending === 'view' ? saw.next!.view : null
  const leaver = next?.cause === 'leave' && next.left.length === 1 ? next.left[0] : -1
  return left.ending === 'left' && !left.signalled && !saw.signalled && leaver === left.session
}

/** Did the other one go on to the same place from the view, so that both must have seen the same in it? */
function wentTogether(history: GroupHistory, stay: Stay, other: Stay): boolean {
  if (stay.ending === 'view' && other.ending === 'view') {
    const [a, b] = [stay.next!.view, other.next!.view]
    return (
      a === b && (a.cause !== 'network' || a.originOf.get(stay.session) === b.originOf.get(other.session))
    )
  }
  if (stay.ending === 'end' && other.ending === 'end') {
    const lives = (one: Stay): boolean => history.alive(history.sessions[one.session]!)
    return history.options.drained && lives(stay) && lives(other)
  }
  return showed(stay, other) || showed(other, stay)
}

/**
 * Would the sender's messages just before and just after it, as far as the session received them in views joined by other
 * than network views, be of one configuration, or of a sender that was a member all the time?
 */
function leavesGap(
  history: GroupHistory,
  session: SessionRecord,
  stay: Stay,
  message: MessageRecord,
): boolean {
  const run = session.stays.filter(one => one.run === stay.run)
  const arrivals = run.flatMap(one =>
    one.messages
      .map(index => history.messages[index]!)
      .filter(other => other.sender === message.sender)
      .map(other => ({ message: other, stay: one })),
  )
  const at = arrivals.findIndex(arrival => arrival.message === message)
  const [earlier, later] = [arrivals[at - 1], arrivals[at + 1]]
  if (!earlier || !later) return false
  if (earlier.message.epoch === later.message.epoch) return true
  const between = run.slice(run.indexOf(earlier.stay), run.indexOf(later.stay) + 1)
  return between.every(one => one.view.members.includes(message.sender))
}

/** What demands that a session received a message in a view it was in: see `drop`. */
function demandedInView(
  history: GroupHistory,
  session: SessionRecord,
  stay: Stay,
  message: MessageRecord,
): string[] {
  const breaks: string[] = []
  const own = stay.messages
  const at = own.indexOf(message.index)
  const others = [...stay.view.stays.values()].filter(
    other => other !== stay && other.messages.includes(message.index),
  )
  if (others.some(other => wentTogether(history, stay, other))) breaks.push('Groups together')
  const beforeSignal = before(stay)
  for (const other of stay.view.memberSet.has(message.sender) ? others : []) {
    const place = other.messages.indexOf(message.index)
    const later = beforeSignal.slice(at + 1)
    if (later.some(one => other.messages.indexOf(one) > place)) breaks.push('Groups prefix')
  }
  if (leavesGap(history, session, stay, message)) breaks.push('Groups fifo')
  return breaks
}

/** A view, which the session need not have been shown, in which somebody received it as safe, before any signal. */
function demandedAsSafe(history: GroupHistory, session: SessionRecord, message: MessageRecord): boolean {
  if (message.service !== 'safe') return false
  return history.views.some(view => {
    if (!view.members.includes(session.index)) return false
    const claims = (one: Stay): boolean =>
      one.session !== session.index && before(one).includes(message.index)
    if (![...view.stays.values()].some(claims)) return false
    const own = view.stays.get(session.index)
    if (own?.ending === 'view' || own?.ending === 'left') return true
    return (own === undefined || own.ending === 'end') && history.options.drained && history.alive(session)
  })
}

/** A later message whose sender had received this one in a view that the two sessions shared. */
function demandedAsCause(session: SessionRecord, message: MessageRecord): boolean {
  const ordinal = session.received.get(message.index)!
  return session.receptions.slice(ordinal + 1).some((later, index) => {
    if (later.sender === session.index) return false
    const at = ordinal + 1 + index
    return later.knowledge.some(({ stay, count }) => {
      const own = stay.view.stays.get(session.index)
      if (!own || at < own.from || at >= own.to) return false
      return stay.messages.slice(0, count).includes(message.index)
    })
  })
}

function counted(lines: readonly ClientTraceLine[], event: string): number {
  return lines.filter(line => line.e === event).length
}

/** Was it sent by a member that stayed until its message must have come back? */
function demandedOfSelf(history: GroupHistory, session: SessionRecord, message: MessageRecord): boolean {
  if (message.sender !== session.index || message.selfDiscard) return false
  const at = session.lines.findIndex(line => line.e === 'send' && line.m === message.name)
  return message.groups!.some(group => {
    const name = history.groups.name(group)
    const about = (lines: readonly ClientTraceLine[]): ClientTraceLine[] =>
      lines.filter(
        line => (line.e === 'view' || line.e === 'leave' || line.e === 'closed') && line.group === name,
      )
    const past = about(session.lines.slice(0, at))
    const member = past.findLast(line => line.e === 'view' || line.e === 'closed')?.e === 'view'
    if (!member || counted(past, 'leave') > counted(past, 'closed')) return false
    const left = counted(about(session.lines), 'closed') > counted(past, 'closed')
    return left || (history.options.drained && history.alive(session))
  })
}

/**
 * Dropping "p receives m" leaves a valid trace unless something demands it: the view it came in (those who went along saw
 * it; somebody saw it before something that p saw; it was safe; p saw earlier and later ones of its sender), a later
 * message that it caused, p's own sending, or a fate that says p received it. A private message by itself demands nothing.
 */
function drop(specimen: Specimen, random: Random): Mutation | null {
  const lines = specimen.bundle.clients
  const at = pickClientLine(lines, random, line => line.e === 'receive')
  if (at < 0) return null
  const line = lines[at] as Line<'receive'>
  const history = specimen.groups
  const session = history.session(line.p)!
  const message = messageOf(history, line.m)
  const breaks: string[] = []
  for (const stay of session.stays) {
    if (stay.messages.includes(message.index)) breaks.push(...demandedInView(history, session, stay, message))
  }
  if (demandedAsSafe(history, session, message)) breaks.push('Groups safe')
  if (demandedAsCause(session, message)) breaks.push('Groups causal')
  if (demandedOfSelf(history, session, message)) breaks.push('Groups self-delivery')
  const told = history.fates.some(fate => fate.message === message && fate.line.received.includes(line.p))
  if (told) breaks.push('Fates true')
  return withClients(specimen, lines.toSpliced(at, 1), breaks)
}

/** A session receives a message once: never allowed. */
function duplicate(specimen: Specimen, random: Random): Mutation | null {
  const lines = specimen.bundle.clients
  const at = pickClientLine(lines, random, line => line.e === 'receive')
  if (at < 0) return null
  const end = lines.findIndex(one => one.p === lines[at]!.p && one.e === 'closed' && one.group === undefined)
  const to = random.between(at + 1, end < 0 ? lines.length : end)
  return withClients(specimen, lines.toSpliced(to, 0, lines[at]!), ['Groups once'])
}

/** What nobody sent must not be received. */
function phantom(specimen: Specimen, random: Random): Mutation | null {
  const lines = specimen.bundle.clients
  const at = pickClientLine(lines, random, line => line.e === 'receive')
  if (at < 0) return null
  const line = lines[at] as Line<'receive'>
  const copy = { ...line, m: `${line.from}:${1_000_000 + random.int(1000)}` }
  return withClients(specimen, lines.toSpliced(at + 1, 0, copy), ['Groups sent'])
}

/**
 * Two receptions of one session, one right after the other, change places. Their positions tell, so it is never valid;
 * and if somebody else received both, the order of the two is contradictory.
 */
function swap(specimen: Specimen, random: Random): Mutation | null {
  const lines = specimen.bundle.clients
  const last = new Map<string, number>()
  const pairs: [number, number][] = []
  lines.forEach((line, index) => {
    const previous = last.get(line.p)
    if (line.e === 'receive' && previous !== undefined && lines[previous]!.e === 'receive')
      pairs.push([previous, index])
    last.set(line.p, index)
  })
  if (pairs.length === 0) return null
  const [a, b] = random.pick(pairs)
  const [one, two] = [lines[a] as Line<'receive'>, lines[b] as Line<'receive'>]
  const history = specimen.groups
  const [m1, m2] = [messageOf(history, one.m).index, messageOf(history, two.m).index]
  const both = history.sessions.some(
    session => session.name !== one.p && session.received.has(m1) && session.received.has(m2),
  )
  return withClients(specimen, lines.with(a, two).with(b, one), [both ? 'Groups order' : 'Groups position'])
}

/**
 * A message received right after the transitional signal is received before it: the session claims more. Valid unless the
 * message is safe and some member that lives never received it, or somebody received something of a member before it that
 * this session never did. (The other way round a session claims less: always valid.)
 */
function moveOverSignal(specimen: Specimen, random: Random): Mutation | null {
  const lines = specimen.bundle.clients
  const history = specimen.groups
  const candidates: { signal: number; message: MessageRecord; breaks: string[] }[] = []
  const told = new Set<Stay>()
  lines.forEach((line, signal) => {
    if (line.e !== 'transitional') return
    const session = history.session(line.p)!
    const group = history.groups.find(line.group)
    const stay = session.stays.find(one => one.view.id === line.id && one.view.group === group)!
    // Only the first signal since the last network view says anything.
    const before = session.stays.find(one => one.next === stay)
    if (told.has(stay) || (before?.signalled && stay.view.cause !== 'network')) return
    told.add(stay)
    const first = stay.messages[stay.beforeSignal]
    if (first === undefined) return
    const message = history.messages[first]!
    candidates.push({ signal, message, breaks: claimsTooMuch(history, stay, message) })
  })
  const wrong = candidates.filter(({ breaks }) => breaks.length > 0)
  if (candidates.length === 0) return null
  // Claims that are too much are rare; without a preference for them the mutator would show little.
  const { signal, message, breaks } = random.pick(wrong.length > 0 ? wrong : candidates)
  const line = lines[signal]!
  const from = lines.findIndex(one => one.p === line.p && one.e === 'receive' && one.m === message.name)
  return withClients(specimen, lines.toSpliced(signal, 1).toSpliced(from, 0, line), breaks)
}

function lacks(session: SessionRecord, message: MessageRecord): boolean {
  return !session.received.has(message.index) && !(message.selfDiscard && message.sender === session.index)
}

function claimsTooMuch(history: GroupHistory, stay: Stay, message: MessageRecord): string[] {
  const breaks: string[] = []
  for (const member of message.service === 'safe' ? stay.view.members : []) {
    const theirs = stay.view.stays.get(member)
    const session = history.sessions[member]!
    const lives = history.options.drained && history.alive(session) && session.lines.length > 0
    const goesOn = theirs !== undefined && (theirs.ending === 'view' || theirs.ending === 'left')
    const owes = goesOn || (lives && (theirs === undefined || theirs.ending === 'end'))
    if (owes && lacks(session, message)) breaks.push('Groups safe')
  }
  const own = history.sessions[stay.session]!
  for (const other of stay.view.stays.values()) {
    const until = other.messages.indexOf(message.index)
    const earlier = other.messages.slice(0, Math.max(0, until))
    const missing = earlier.map(one => history.messages[one]!).filter(one => lacks(own, one))
    if (missing.some(one => stay.view.members.includes(one.sender))) breaks.push('Groups prefix')
  }
  return breaks
}

/**
 * The last message that p receives in a view comes after the next view instead, and says so. Tried only where somebody
 * else received it before that same view: so the view is before and after the message, which is never valid.
 */
function moveOverView(specimen: Specimen, random: Random): Mutation | null {
  const lines = specimen.bundle.clients
  const history = specimen.groups
  const last = new Map<string, number>()
  const candidates: [number, number][] = []
  lines.forEach((line, index) => {
    if (line.e !== 'receive' && line.e !== 'view') return
    const previous = last.get(line.p)
    last.set(line.p, index)
    if (line.e !== 'view' || previous === undefined) return
    const receive = lines[previous]!
    if (receive.e !== 'receive' || receive.group !== line.group) return
    const m = messageOf(history, receive.m).index
    const view = history.view(history.groups.find(line.group), line.id)!
    const witness = [...view.stays.values()].some(stay => {
      const ordinal = history.sessions[stay.session]!.received.get(m)
      return history.sessions[stay.session]!.name !== line.p && ordinal !== undefined && ordinal < stay.from
    })
    if (witness) candidates.push([previous, index])
  })
  if (candidates.length === 0) return null
  const [from, to] = random.pick(candidates)
  const moved = { ...(lines[from] as Line<'receive'>), view: (lines[to] as Line<'view'>).id }
  return withClients(specimen, lines.toSpliced(to + 1, 0, moved).toSpliced(from, 1), ['Groups order'])
}

/** One session sees a view with a member too many, too few, or in another order. Tried where another session saw it, too. */
function memberMismatch(specimen: Specimen, random: Random): Mutation | null {
  const lines = specimen.bundle.clients
  const history = specimen.groups
  const at = pickClientLine(lines, random, line => {
    if (line.e !== 'view') return false
    return history.view(history.groups.find(line.group), line.id)!.stays.size > 1
  })
  if (at < 0) return null
  const line = lines[at] as Line<'view'>
  const dice = random.int(3)
  const list = [...line.members]
  if (dice === 0) list.splice(random.int(list.length), 1)
  else if (dice === 1) list.push('stranger@n0#0.1')
  else list.push(list.shift()!)
  return withClients(specimen, lines.with(at, { ...line, members: list }), ['Groups view'])
}

/**
 * Everybody is shown that a member comes from another origin. Tried where the member itself was shown the view and the two
 * origins have different views, so that its own trace says where it came from: never valid.
 */
function originMismatch(specimen: Specimen, random: Random): Mutation | null {
  const lines = specimen.bundle.clients
  const at = pickClientLine(
    lines,
    random,
    line => line.e === 'view' && new Set(line.origins.map(origin => origin.view)).size > 1,
  )
  if (at < 0) return null
  const line = lines[at] as Line<'view'>
  const origins = line.origins.map(origin => ({ view: origin.view, members: [...origin.members] }))
  const from = origins.find(origin => origin.members.includes(line.p))!
  const to = random.pick(origins.filter(origin => origin.view !== from.view))
  from.members.splice(from.members.indexOf(line.p), 1)
  to.members.push(line.p)
  const mutated = lines.map(one =>
    one.e === 'view' && one.group === line.group && one.id === line.id ? { ...one, origins } : one,
  )
  return withClients(specimen, mutated, ['Groups origins'])
}

/** Two messages of a session under one id: it is then sent twice, which is never allowed. */
function reuseMessageId(specimen: Specimen, random: Random): Mutation | null {
  const lines = specimen.bundle.clients
  const a = pickClientLine(lines, random, line => line.e === 'send')
  if (a < 0) return null
  const first = lines[a] as Line<'send'>
  const b = pickClientLine(
    lines,
    random,
    line => line.e === 'send' && line.p === first.p && line.m !== first.m,
  )
  if (b < 0) return null
  const lose = (lines[b] as Line<'send'>).m
  const mutated = lines.map(line =>
    (line.e === 'send' || line.e === 'receive' || line.e === 'fate') && line.m === lose
      ? { ...line, m: first.m }
      : line,
  )
  return withClients(specimen, mutated, ['Groups sent'])
}

/** Two views that one session was shown get one id: it is shown it twice, which is never allowed. */
function reuseViewId(specimen: Specimen, random: Random): Mutation | null {
  const lines = specimen.bundle.clients
  const a = pickClientLine(lines, random, line => line.e === 'view')
  if (a < 0) return null
  const first = lines[a] as Line<'view'>
  const b = pickClientLine(
    lines,
    random,
    line => line.e === 'view' && line.p === first.p && line.group === first.group && line.id !== first.id,
  )
  if (b < 0) return null
  const lose = (lines[b] as Line<'view'>).id
  const renamed = (id: string): string => (id === lose ? first.id : id)
  const mutated = lines.map((line): ClientTraceLine => {
    if (!('group' in line) || line.group !== first.group) return line
    if (line.e === 'transitional') return { ...line, id: renamed(line.id) }
    if (line.e === 'fate') return { ...line, view: renamed(line.view) }
    if (line.e === 'receive') return { ...line, view: renamed(line.view!) }
    if (line.e !== 'view') return line
    const origins = line.origins.map(origin => ({
      ...origin,
      view: origin.view === null ? null : renamed(origin.view),
    }))
    return { ...line, id: renamed(line.id), origins }
  })
  return withClients(specimen, mutated, ['Groups view'])
}

/** A session is told something of a group after it left it, or of anything after it was closed: never allowed. */
function afterTheEnd(specimen: Specimen, random: Random): Mutation | null {
  const lines = specimen.bundle.clients
  const at = pickClientLine(lines, random, line => line.e === 'closed')
  if (at < 0) return null
  const line = lines[at] as Line<'closed'>
  const moved = lines.findLastIndex(
    (one, index) =>
      index < at && one.p === line.p && one.e === 'receive' && (line.group ?? one.group) === one.group,
  )
  if (moved < 0) return null
  const mutated = lines.toSpliced(at + 1, 0, lines[moved]!).toSpliced(moved, 1)
  return withClients(specimen, mutated, [line.group === undefined ? 'Groups closed' : 'Groups current'])
}

/** A private message reaches somebody else as well: never allowed. */
function misdeliver(specimen: Specimen, random: Random): Mutation | null {
  const lines = specimen.bundle.clients
  const at = pickClientLine(lines, random, line => line.e === 'receive' && line.group === undefined)
  if (at < 0) return null
  const line = lines[at] as Line<'receive'>
  const other = pickClientLine(lines, random, one => one.p !== line.p && one.e === 'receive')
  if (other < 0) return null
  const copy = { ...line, p: lines[other]!.p }
  return withClients(specimen, lines.toSpliced(other + 1, 0, copy), ['Groups private'])
}

export const GROUP_MUTATORS: readonly Mutator[] = [
  { name: 'client: drop a reception', apply: drop },
  { name: 'client: duplicate a reception', apply: duplicate },
  { name: 'client: swap two receptions', apply: swap },
  { name: 'client: phantom reception', apply: phantom },
  { name: 'client: move over the transitional signal', apply: moveOverSignal },
  { name: 'client: move over a view', apply: moveOverView },
  { name: 'client: member mismatch', apply: memberMismatch },
  { name: 'client: origin mismatch', apply: originMismatch },
  { name: 'client: reuse a message id', apply: reuseMessageId },
  { name: 'client: reuse a view id', apply: reuseViewId },
  { name: 'client: reception after the end', apply: afterTheEnd },
  { name: 'client: private message to another', apply: misdeliver },
]
