/** What the checkers demand of messages between sessions: order, and who must have received what. */

import {
  discards,
  type GroupHistory,
  type MessageRecord,
  RECEIVED,
  SENT,
  type SessionRecord,
  sentKey,
  type Stay,
  type ViewRecord,
} from './groups-trace.ts'
import { OrderGraph } from './order.ts'
import { type Report, some } from './report.ts'

/** One order of all views and messages of all groups, containing causality: no cycle. */
export function checkGroupOrder(history: GroupHistory, report: Report): void {
  const messages = history.messages.length
  const nodes = 2 * messages + history.views.length
  const graph = new OrderGraph()
  for (const message of history.messages) {
    if (message.sends > 0 && message.sender >= 0)
      graph.add(messages + message.index, message.index, message.sender)
  }
  for (let session = 0; session < history.steps.length; session++) {
    const steps = history.steps[session]!
    let last = -1
    for (const step of steps) {
      const kind = step & 3
      const index = step >>> 2
      const node = kind === RECEIVED ? index : kind === SENT ? messages + index : 2 * messages + index
      if (last >= 0) graph.add(last, node, session)
      last = node
    }
  }
  const cycle = graph.findCycle(nodes)
  if (!cycle) return
  const tell = (node: number): string => {
    if (node < messages) return history.messages[node]!.name
    if (node < 2 * messages) return `the sending of ${history.messages[node - messages]!.name}`
    const view = history.views[node - 2 * messages]!
    return `view ${view.id} of ${history.groups.name(view.group)}`
  }
  const steps = cycle.map(
    edge => `${tell(edge.from)} before ${tell(edge.to)} at ${history.sessions[edge.label]!.name}`,
  )
  const sessions = [...new Set(cycle.map(edge => history.sessions[edge.label]!.name))]
  const ids = cycle.filter(edge => edge.from < messages).map(edge => history.messages[edge.from]!.name)
  report.add('Groups order', `no single order: ${some(steps)}`, sessions, ids)
}

/** Those who came along together received the same messages of the group between the two views. */
export function checkTogether(history: GroupHistory, report: Report): void {
  for (const view of history.views) {
    const classes = new Map<string, Stay[]>()
    for (const stay of view.stays.values()) {
      const key = companions(history, stay)
      if (key === null) continue
      const list = classes.get(key)
      if (list) list.push(stay)
      else classes.set(key, [stay])
    }
    for (const stays of classes.values()) {
      // A message that the first one discarded is compared with the second one.
      for (let i = 1; i < stays.length; i++) compare(history, report, stays[0]!, stays[i]!)
      for (let i = 2; i < stays.length; i++) compare(history, report, stays[1]!, stays[i]!)
    }
    for (const stay of view.stays.values()) {
      const other = stay.ending === 'left' && !stay.signalled ? sawLeave(view, stay.session) : null
      if (other) compare(history, report, other, stay)
    }
  }
}

/** Names those who end a stay the same way and so must have seen the same in it; null: nothing is demanded. */
function companions(history: GroupHistory, stay: Stay): string | null {
  if (stay.ending === 'view') {
    const next = stay.next!.view
    return next.cause === 'network'
      ? `${next.index}/${next.originOf.get(stay.session) ?? -1}`
      : `${next.index}`
  }
  const session = history.sessions[stay.session]!
  return stay.ending === 'end' && history.options.drained && history.alive(session) ? 'end' : null
}

/**
 * Somebody to whom a session's own leave showed as the next view, with everything before it. After a transitional
 * signal the leave may come on both sides of a partition, with different messages before it.
 */
function sawLeave(view: ViewRecord, session: number): Stay | null {
  for (const stay of view.stays.values()) {
    const next = stay.next?.view
    if (!stay.signalled && next?.cause === 'leave' && next.left.length === 1 && next.left[0] === session)
      return stay
  }
  return null
}

function compare(history: GroupHistory, report: Report, one: Stay, other: Stay): void {
  if (sameSequence(history, one, other)) return
  const [a, b] = [history.sessions[one.session]!, history.sessions[other.session]!]
  const inA = new Set(one.messages)
  const inB = new Set(other.messages)
  const where = `${history.groups.name(one.view.group)} ${one.view.id}`
  const tell = (only: number[], has: SessionRecord, lacks: SessionRecord): void => {
    const missing = only
      .map(m => history.messages[m]!)
      .filter(m => !discards(m, has.index) && !discards(m, lacks.index))
    if (missing.length === 0) return
    const names = missing.map(m => m.name)
    const what = `${has.name} receives ${some(names)} in ${where}, and ${lacks.name}, who goes on with it, does not`
    report.add('Groups together', what, [has.name, lacks.name], names.slice(0, 5))
  }
  tell(
    [...inA].filter(m => !inB.has(m)),
    a,
    b,
  )
  tell(
    [...inB].filter(m => !inA.has(m)),
    b,
    a,
  )
}

function sameSequence(history: GroupHistory, one: Stay, other: Stay): boolean {
  return prefix(history, one, other, true)
}

/** True if `short` saw what `long` saw first, apart from what one of them discards; `whole`: and all of it. */
function prefix(history: GroupHistory, short: Stay, long: Stay, whole: boolean): boolean {
  const [a, b] = [short.messages, long.messages]
  const skip = (index: number): boolean => {
    const message = history.messages[index]!
    return message.selfDiscard && (message.sender === short.session || message.sender === long.session)
  }
  let i = 0
  let j = 0
  for (;;) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      i++
      j++
    } else if (i < a.length && skip(a[i]!)) i++
    else if (j < b.length && skip(b[j]!)) j++
    else return i === a.length && (!whole || j === b.length)
  }
}

/**
 * Before the transitional signal nobody misses anything of a member that anyone received earlier in that view: what a
 * session that was killed, evicted or cut off has seen is a prefix. (Those who only send to the group may be lost
 * without a signal, if no member is.)
 */
export function checkPrefixes(history: GroupHistory, report: Report): void {
  for (const view of history.views) {
    const longestFirst = [...view.stays.values()].sort((a, b) => b.messages.length - a.messages.length)
    const distinct: Stay[] = []
    for (const stay of longestFirst) {
      // Two, because what one of them discarded itself only the other can testify to.
      if (distinct.filter(other => covers(history, other, stay)).length >= 2) continue
      for (const other of distinct) {
        gap(history, report, other, stay)
        gap(history, report, stay, other)
      }
      distinct.push(stay)
    }
  }
}

/** True if a stay saw only the beginning of what another saw, and not more of it before the signal. */
function covers(history: GroupHistory, long: Stay, short: Stay): boolean {
  if (!prefix(history, short, long, false)) return false
  for (let i = untilSignal(short) - 1; i >= 0; i--) {
    const place = long.messages.indexOf(short.messages[i]!)
    // What `long` discarded itself has no place there: look at the one before.
    if (place >= 0) return place < untilSignal(long)
  }
  return true
}

/** Number of a stay's messages that came before any transitional signal. */
function untilSignal(stay: Stay): number {
  return stay.signalled ? stay.beforeSignal : stay.messages.length
}

function gap(history: GroupHistory, report: Report, witness: Stay, stay: Stay): void {
  const places = new Map<number, number>()
  witness.messages.forEach((message, place) => places.set(message, place))
  const until = untilSignal(stay)
  let last = -1
  let after = -1
  for (let i = 0; i < until; i++) {
    const place = places.get(stay.messages[i]!) ?? -1
    if (place > last) {
      last = place
      after = stay.messages[i]!
    }
  }
  const [p, q] = [history.sessions[witness.session]!, history.sessions[stay.session]!]
  for (let i = 0; i < last; i++) {
    const message = history.messages[witness.messages[i]!]!
    if (q.received.has(message.index) || discards(message, q.index)) continue
    if (!stay.view.memberSet.has(message.sender)) continue
    const later = history.messages[after]!.name
    const what = `${p.name} receives ${message.name} before ${later}; ${q.name} receives ${later} before any transitional signal, but never ${message.name}`
    report.add('Groups prefix', what, [p.name, q.name], [message.name, later])
    return
  }
}

/** A safe message received before the transitional signal is received by every member that does not fail. */
export function checkGroupSafe(history: GroupHistory, report: Report): void {
  for (const view of history.views) {
    const checked = new Set<number>()
    for (const stay of view.stays.values()) {
      const until = untilSignal(stay)
      for (let i = 0; i < until; i++) {
        const message = history.messages[stay.messages[i]!]!
        if (message.service !== 'safe' || checked.has(message.index)) continue
        checked.add(message.index)
        everyMember(history, report, view, stay, message)
      }
    }
  }
}

function everyMember(
  history: GroupHistory,
  report: Report,
  view: ViewRecord,
  stay: Stay,
  message: MessageRecord,
): void {
  for (const member of view.members) {
    const session = history.sessions[member]!
    if (session.received.has(message.index) || discards(message, member) || session.lines.length === 0)
      continue
    const theirs = view.stays.get(member)
    const lives = history.options.drained && history.alive(session)
    const owes = theirs
      ? theirs.ending === 'view' || theirs.ending === 'left' || (theirs.ending === 'end' && lives)
      : lives
    if (!owes) continue
    const p = history.sessions[stay.session]!.name
    const where = `${history.groups.name(view.group)} ${view.id}`
    const what = `${p} receives the safe ${message.name} in ${where} before any transitional signal; its member ${session.name} never does, though it does not fail`
    report.add('Groups safe', what, [p, session.name], [message.name])
  }
}

/** Messages of one sender arrive in the order it sent them; between two that arrive in one configuration none is missing. */
export function checkFifo(history: GroupHistory, report: Report): void {
  for (const session of history.sessions) {
    const last = new Map<number, MessageRecord>()
    for (const message of session.receptions) {
      const before = last.get(message.sender)
      if (before && !(message.sequence > before.sequence)) {
        const what = `${session.name} receives ${message.name} after ${before.name} of the same sender`
        report.add('Groups fifo', what, [session.name], [message.name, before.name])
      }
      last.set(message.sender, message)
    }
    checkGaps(history, report, session)
  }
}

/** The last message of a sender that arrived, in a stay of one run. */
interface Arrival {
  ordinal: number
  epoch: number
  /** True: its sender has been a member ever since. */
  member: boolean
}

/**
 * Between two messages of a sender none is missing if nothing can have come between sender and receiver meanwhile: the
 * two were sent in one configuration, or both were members of the view all the time. (A view may outlive a configuration
 * that brought it nothing new, and somebody who only sends to it may have been elsewhere for a while.)
 */
function checkGaps(history: GroupHistory, report: Report, session: SessionRecord): void {
  /** By run × sender. */
  const last = new Map<number, Arrival>()
  for (const stay of session.stays) {
    const key = (sender: number): number => stay.run * history.sessions.length + sender
    for (const left of stay.view.left) {
      const arrival = last.get(key(left))
      if (arrival) arrival.member = false
    }
    for (const index of stay.messages) {
      const message = history.messages[index]!
      const at = message.groups?.indexOf(stay.view.group) ?? -1
      if (at < 0) continue
      const ordinal = message.ordinals[at]!
      const before = last.get(key(message.sender))
      last.set(key(message.sender), {
        ordinal,
        epoch: message.epoch,
        member: stay.view.memberSet.has(message.sender),
      })
      if (!before || (before.epoch !== message.epoch && !before.member)) continue
      missingBetween(history, report, session, stay.view.group, message, before.ordinal, ordinal)
    }
  }
}

function missingBetween(
  history: GroupHistory,
  report: Report,
  session: SessionRecord,
  group: number,
  message: MessageRecord,
  from: number,
  to: number,
): void {
  const sent = history.sentTo.get(sentKey(message.sender, group))!
  for (let i = from + 1; i < to; i++) {
    const missing = sent[i]!
    // Out of order is another matter: it was received, at another time.
    if (discards(missing, session.index) || session.received.has(missing.index)) continue
    const what = `${session.name} receives ${sent[from]!.name} and ${message.name} of one sender in ${history.groups.name(group)}, but not ${missing.name} between them`
    report.add('Groups fifo', what, [session.name], [missing.name, message.name])
  }
}

/**
 * Whoever receives m' received before it everything that the sender of m' had received in views that the two share.
 * A pointer for each (stay, sender) keeps the cost linear.
 */
export function checkGroupCausality(history: GroupHistory, report: Report): void {
  for (const session of history.sessions) {
    const pointers = new Map<Stay, Map<number, number>>()
    session.receptions.forEach((message, ordinal) => {
      if (message.sender === session.index) return
      for (const { stay, count } of message.knowledge) {
        const own = stay.view.stays.get(session.index)
        if (!own || ordinal < own.from || ordinal >= own.to) continue
        let pointer = pointers.get(own)
        if (!pointer) pointers.set(own, (pointer = new Map()))
        let next = pointer.get(message.sender) ?? 0
        for (; next < count; next++) {
          const cause = history.messages[stay.messages[next]!]!
          const place = session.received.get(cause.index)
          if ((place !== undefined && place < ordinal) || discards(cause, session.index)) continue
          const how = place === undefined ? 'without' : 'before'
          const what = `${session.name} receives ${message.name} ${how} ${cause.name}, which its sender had received in ${history.groups.name(stay.view.group)} ${stay.view.id}`
          report.add('Groups causal', what, [session.name], [message.name, cause.name])
        }
        pointer.set(message.sender, next)
      }
    })
  }
}
