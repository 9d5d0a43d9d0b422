/**
 * Fates: who received a message and of whom it is not known. All answers are compared with each other and with the traces.
 *
 * `received` is never false. Those who came along together until their answers were settled have the same answer.
 * `received` and `unknown` divide the view's members.
 */

import {
  discards,
  type FateRecord,
  type GroupHistory,
  type SessionRecord,
  type Stay,
} from './groups-trace.ts'
import { type Report, some } from './report.ts'

export function checkFates(history: GroupHistory, report: Report): void {
  /** By message and group: an answer that was found true. Most answers repeat one. */
  const sound = new Map<number, FateRecord>()
  for (const fate of history.fates) {
    const key = (fate.group + 1) * history.messages.length + fate.message.index
    const known = sound.get(key)
    if (!known || !sameAnswer(known, fate)) {
      const before = report.total
      checkMembers(history, report, fate)
      checkTruth(history, report, fate)
      if (report.total === before) sound.set(key, fate)
    }
    checkAsker(history, report, fate)
    checkUnknown(history, report, fate)
  }
  checkAgreement(history, report)
}

function sameAnswer(one: FateRecord, other: FateRecord): boolean {
  const [a, b] = [one.line, other.line]
  return (
    a.view === b.view &&
    a.position === b.position &&
    sameList(a.received, b.received) &&
    sameList(a.unknown, b.unknown)
  )
}

function tell(history: GroupHistory, fate: FateRecord): string {
  return `${history.sessions[fate.session]!.name} is told of ${fate.message.name} (view ${fate.line.view})`
}

/** `received` and `unknown` are disjoint and together the members of the view; the view and the position are the message's. */
function checkMembers(history: GroupHistory, report: Report, fate: FateRecord): void {
  const { line, message } = fate
  const name = history.sessions[fate.session]!.name
  const broken = (why: string): void =>
    report.add('Fates members', `${tell(history, fate)}: ${why}`, [name], [message.name])
  const all = [...line.received, ...line.unknown]
  const set = new Set(all)
  if (set.size !== all.length) broken('somebody is listed twice')
  if (message.position !== null && message.position !== line.position) {
    broken(`its position is ${line.position}, it was received at ${message.position}`)
  }
  if (fate.group < 0) {
    if (message.to !== null && (all.length !== 1 || all[0] !== message.to)) {
      broken(`it was a private message to ${message.to}, the answer speaks of ${some(all)}`)
    }
    return
  }
  const view = history.view(fate.group, line.view)
  // Nobody may have lived to be shown the view of a message: then its members are not known here.
  if (!view) return
  const strangers = all.filter(member => !view.memberSet.has(history.session(member)?.index ?? -1))
  const missing = view.names.filter(member => !set.has(member))
  if (strangers.length > 0) broken(`${some(strangers)} is not in the view`)
  if (missing.length > 0) broken(`${some(missing)} of the view is neither received nor unknown`)
}

/** Whoever is in `received` has the message in its trace. */
function checkTruth(history: GroupHistory, report: Report, fate: FateRecord): void {
  const { line, message } = fate
  for (const member of line.received) {
    const session = history.session(member)
    // One that left no trace at all cannot testify.
    if (!session || session.lines.length === 0) continue
    if (session.received.has(message.index) || discards(message, session.index)) continue
    const what = `${tell(history, fate)} that ${member} received it, which is false`
    report.add('Fates true', what, [history.sessions[fate.session]!.name, member], [message.name])
  }
}

/** Whoever asks, having received the message itself, is told of the view it received it in, and that it did. */
function checkAsker(history: GroupHistory, report: Report, fate: FateRecord): void {
  const { line, message } = fate
  const asker = history.sessions[fate.session]!
  const ordinal = asker.received.get(message.index)
  if (ordinal === undefined || fate.group < 0) return
  const stay = stayAt(history, fate)
  const inView = stay !== undefined && ordinal >= stay.from && ordinal < stay.to
  if (!inView && message.groups?.includes(fate.group) && wasMember(asker, fate.group, ordinal)) {
    const what = `${tell(history, fate)}: it received the message in another view`
    report.add('Fates members', what, [asker.name], [message.name])
  }
  if (stay && stay.ending !== 'left' && line.unknown.length > 0 && line.unknown.includes(asker.name)) {
    const what = `${tell(history, fate)} that it is not known to have received it itself`
    report.add('Fates unknown', what, [asker.name], [message.name])
  }
}

/** True if the session was in some view of the group when it received its n-th message. */
function wasMember(session: SessionRecord, group: number, ordinal: number): boolean {
  return session.stays.some(stay => stay.view.group === group && ordinal >= stay.from && ordinal < stay.to)
}

function stayAt(history: GroupHistory, fate: FateRecord): Stay | undefined {
  return fate.group < 0 ? undefined : history.view(fate.group, fate.line.view)?.stays.get(fate.session)
}

/**
 * Answers of one message in one view agree if their askers came along together until the later of the two was settled.
 *
 * The *way* of a session from a view on is its list of network views and the origins in which it came to them; ways form
 * a tree. An answer was settled by the point of the way at which it was given; or, if its asker had already had the
 * transitional signal, by the next point, for the change of configuration may have settled it. Who left meanwhile may
 * not have come along at all, see `leftUnknowing`.
 */
function checkAgreement(history: GroupHistory, report: Report): void {
  const ways = new Ways()
  const settled = new Map<number, FateRecord[]>()
  const rest: { fate: FateRecord; way: readonly number[]; at: number }[] = []
  for (const fate of history.fates) {
    const stay = stayAt(history, fate)
    if (!stay || !fate.stay || fate.stay.session !== fate.session) continue
    const way = ways.from(stay)
    let at = networksUntil(stay, fate.stay)
    if (at < 0) continue
    if (fate.signalled) at++
    const point = way[at]
    if (point === undefined) continue
    const key = fate.message.index * MAX_POINTS + point
    const others = settled.get(key)
    // One stands for all, but for those that it cannot be compared with.
    if (!others) settled.set(key, [fate])
    else if (!compareAll(history, report, others, fate)) others.push(fate)
    if (at + 1 < way.length) rest.push({ fate, way, at })
  }
  for (const { fate, way, at } of rest) {
    for (let beyond = at + 1; beyond < way.length; beyond++) {
      const others = settled.get(fate.message.index * MAX_POINTS + way[beyond]!)
      if (others) compareAll(history, report, others, fate)
    }
  }
}

/** @returns true if the answer could be compared with each of the others. */
function compareAll(
  history: GroupHistory,
  report: Report,
  others: readonly FateRecord[],
  fate: FateRecord,
): boolean {
  let all = true
  for (const other of others) {
    if (leftUnknowing(other, fate) || leftUnknowing(fate, other)) all = false
    else compare(history, report, other, fate)
  }
  return all
}

/**
 * True if the one had been shown that the other's asker left the group, which the asker itself never saw before a
 * transitional signal: its daemon may have been lost before the leave was delivered there. The group goes on in the same
 * view for those who came along, so nothing in their traces tells that they have parted.
 */
function leftUnknowing(one: FateRecord, other: FateRecord): boolean {
  if (one.stay === null || other.stay === null || one.stay.view.memberSet.has(other.session)) return false
  let last = other.stay
  while (last.next) last = last.next
  return last.ending !== 'left' || last.signalled
}

/** Bounds the number of points, so that a message and a point make one number. */
const MAX_POINTS = 0x100_0000

/** The points of sessions' ways, numbered so that equal ways have equal numbers. */
class Ways {
  private readonly known: Map<Stay, number[]> = new Map()
  /** By view: the point where ways from it begin. */
  private readonly roots: Map<number, number> = new Map()
  /** By point, by view and origin: the next point. */
  private readonly next: Map<number, number>[] = []

  from(stay: Stay): readonly number[] {
    let way = this.known.get(stay)
    if (way) return way
    way = [this.point(this.roots, stay.view.index)]
    for (let next = stay.next; next; next = next.next) {
      if (next.view.cause !== 'network') continue
      const origin = next.view.originOf.get(next.session) ?? -1
      way.push(this.point(this.next[way.at(-1)!]!, next.view.index * 0x1_0000 + origin + 1))
    }
    this.known.set(stay, way)
    return way
  }

  private point(branches: Map<number, number>, branch: number): number {
    let point = branches.get(branch)
    if (point === undefined) {
      point = this.next.length
      if (point >= MAX_POINTS) throw new RangeError(`more than ${MAX_POINTS} different ways of sessions`)
      this.next.push(new Map())
      branches.set(branch, point)
    }
    return point
  }
}

/** How many network views lie between two stays of one membership; −1 if the one does not lead to the other. */
function networksUntil(stay: Stay, until: Stay): number {
  let count = 0
  for (let next: Stay | null = stay; next; next = next.next) {
    if (next !== stay && next.view.cause === 'network') count++
    if (next === until) return count
  }
  return -1
}

function drainedEnd(history: GroupHistory, stay: Stay): boolean {
  let last = stay
  while (last.next) last = last.next
  return last.ending === 'end' && history.options.drained && history.alive(history.sessions[stay.session]!)
}

function compare(history: GroupHistory, report: Report, one: FateRecord, other: FateRecord): void {
  if (
    sameMembers(one.line.received, other.line.received) &&
    sameMembers(one.line.unknown, other.line.unknown)
  )
    return
  const [a, b] = [history.sessions[one.session]!.name, history.sessions[other.session]!.name]
  const what = `${a} and ${b}, who came along together, have different fates of ${one.message.name}: received ${some(one.line.received)} and received ${some(other.line.received)}`
  report.add('Fates agree', what, [a, b], [one.message.name])
}

function sameList(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

function sameMembers(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false
  if (sameList(a, b)) return true
  const set = new Set(a)
  return b.every(member => set.has(member))
}

/** In a drained run: a member that never closed, left or was separated from the answerer received it, and that is known. */
function checkUnknown(history: GroupHistory, report: Report, fate: FateRecord): void {
  if (!history.options.drained || fate.line.unknown.length === 0) return
  const stay = stayAt(history, fate)
  if (!stay || !drainedEnd(history, stay)) return
  const asker = history.sessions[fate.session]!
  for (const member of fate.line.unknown) {
    const session = history.session(member)
    const theirs = session && stay.view.stays.get(session.index)
    if (!session || !theirs || !alwaysTogether(history, stay, theirs, session)) continue
    if (discards(fate.message, session.index)) continue
    const what = `${tell(history, fate)} that nothing is known of ${member}, which came along with it all the time and still lives`
    report.add('Fates unknown', what, [asker.name, member], [fate.message.name])
  }
}

/** From this stay on both went through the same views, in the same origins, to the end. */
function alwaysTogether(history: GroupHistory, stay: Stay, theirs: Stay, session: SessionRecord): boolean {
  let a: Stay | null = stay
  let b: Stay | null = theirs
  while (a && b) {
    if (a.view !== b.view) return false
    if (
      a !== stay &&
      a.view.cause === 'network' &&
      a.view.originOf.get(a.session) !== a.view.originOf.get(b.session)
    ) {
      return false
    }
    if (!a.next && !b.next) return b.ending === 'end' && history.alive(session)
    a = a.next
    b = b.next
  }
  return false
}
