/** What the specification says of messages: that they were sent (1.3), together (4), causal (5), ordered (6). */

import {
  CONFIGURATION,
  DELIVER,
  FAIL,
  SEND,
  type History,
  type ProcessRecord,
  type Span,
} from './cell-trace.ts'
import { OrderGraph } from './order.ts'
import { type Report, some } from './report.ts'

/** EVS 1.3: what is delivered was sent, in the same regular configuration. */
export function checkSent(history: History, report: Report): void {
  const { delivered, sender, sentIn, messages, processes, configurations } = history
  for (const spans of history.spans) {
    for (const span of spans) {
      const list = delivered[span.process]!
      for (let i = span.from; i < span.to; i++) {
        const message = list[i]!
        if (sentIn[message] === span.regular) continue
        if (sender[message]! < 0 && hasUnobserved(history, span)) continue
        const name = messages.name(message)
        const where = configurations[span.regular]!.id
        const what =
          sender[message]! < 0
            ? 'which nobody sent'
            : `which was sent in ${configurations[sentIn[message]!]!.id} by ${processes[sender[message]!]!.name}`
        const at = processes[span.process]!.name
        report.add('EVS 1.3', `${at} delivers ${name} in (or right after) ${where}, ${what}`, [at], [name])
      }
    }
  }
}

/** True if the trace is partial and lacks a member of the configuration, who may have sent anything. */
function hasUnobserved(history: History, span: Span): boolean {
  if (!history.options.partial) return false
  const members = history.configurations[span.regular]!.members
  return members.some(member => history.processes[member]!.events.length === 0)
}

/**
 * EVS 4: whoever goes from the same configuration to the same next one delivered the same messages in it. The end of a
 * drained run counts as a next configuration, since by then everything has been delivered.
 */
export function checkMessagesTogether(history: History, report: Report): void {
  const regular: (Span | undefined)[] = []
  const transitional: (Span | undefined)[] = []
  const ended: (Span | undefined)[] = []
  for (const spans of history.spans) {
    for (const span of spans) {
      const t = span.transitional
      if (t < 0) {
        if (!history.options.drained || span.failed || span.next >= 0) continue
        const first = (ended[span.regular] ??= span)
        compare(history, report, first, span, [first.from, first.to, span.from, span.to], span.regular, -1)
        continue
      }
      const first = (regular[t] ??= span)
      if (first.regular === span.regular) {
        compare(history, report, first, span, [first.from, first.cut, span.from, span.cut], span.regular, t)
      }
      if (span.next < 0) continue
      const whole = (transitional[t] ??= span)
      if (whole.next === span.next) {
        compare(history, report, whole, span, [whole.cut, whole.to, span.cut, span.to], t, span.next)
      }
    }
  }
}

/** Compares two runs of deliveries as sets; `bounds` are from, to of the one and from, to of the other. */
function compare(
  history: History,
  report: Report,
  one: Span,
  other: Span,
  bounds: readonly [number, number, number, number],
  inside: number,
  next: number,
): void {
  const a = history.delivered[one.process]!
  const b = history.delivered[other.process]!
  const [aFrom, aTo, bFrom, bTo] = bounds
  let same = aTo - aFrom === bTo - bFrom
  for (let i = 0; same && i < aTo - aFrom; i++) same = a[aFrom + i] === b[bFrom + i]
  if (same) return
  const inA = new Set(a.slice(aFrom, aTo))
  const inB = new Set(b.slice(bFrom, bTo))
  const names = [history.processes[one.process]!.name, history.processes[other.process]!.name] as const
  const where = `${history.configurations[inside]!.id} before ${next < 0 ? 'the end' : history.configurations[next]!.id}`
  const onlyA = [...inA].filter(m => !inB.has(m)).map(m => history.messages.name(m))
  const onlyB = [...inB].filter(m => !inA.has(m)).map(m => history.messages.name(m))
  const tell = (only: string[], has: string, lacks: string): void => {
    if (only.length === 0) return
    const what = `${has} delivers ${some(only)} in ${where}, and ${lacks}, who moves on with it, does not`
    report.add('EVS 4', what, [has, lacks], only.slice(0, 5))
  }
  tell(onlyA, names[0], names[1])
  tell(onlyB, names[1], names[0])
}

/**
 * EVS 5: if the sending of m causally precedes the sending of m' in the same configuration, whoever delivers m'
 * delivered m before. It suffices to look one step back, at what the sender of m' had sent and delivered itself:
 * the rest follows by induction. Each (receiver, sender) pair keeps a pointer, so the cost is linear in deliveries.
 */
export function checkCausality(history: History, report: Report): void {
  const count = history.processes.length
  const seenDelivered = new Int32Array(count)
  const seenSent = new Int32Array(count)
  for (const spans of history.spans) {
    for (const span of spans) {
      seenDelivered.fill(0)
      seenSent.fill(0)
      const list = history.delivered[span.process]!
      for (let i = span.from; i < span.to; i++) {
        const message = list[i]!
        const sender = history.sender[message]!
        if (sender < 0 || history.sentIn[message] !== span.regular) continue
        const origin = history.span(sender, span.regular)
        if (!origin) continue
        const sentBefore = history.sentBefore[message]!
        while (seenSent[sender]! < sentBefore) {
          cause(history, report, span, message, i, origin.sent[seenSent[sender]!++]!)
        }
        if (sender === span.process) continue
        const deliveredBefore = history.deliveredBefore[message]!
        const causes = history.delivered[sender]!
        while (seenDelivered[sender]! < deliveredBefore) {
          cause(history, report, span, message, i, causes[origin.from + seenDelivered[sender]!++]!)
        }
      }
    }
  }
}

function cause(
  history: History,
  report: Report,
  span: Span,
  message: number,
  at: number,
  before: number,
): void {
  const place = history.place[span.process]![before]!
  if (place !== 0 && place <= at) return
  const name = history.processes[span.process]!.name
  const [m, b] = [history.messages.name(message), history.messages.name(before)]
  const how = place === 0 ? 'without' : 'before'
  const what = `${name} delivers ${m} ${how} ${b}, which causally precedes it (sender ${
    history.processes[history.sender[message]!]!.name
  })`
  report.add('EVS 5', what, [name], [m, b])
}

/**
 * EVS 6.1, 6.2 (and 2.3, 2.4): one order. A node for the delivery of a message, wherever it is delivered, one for
 * each configuration, one for each sending; what a process does is a chain. A cycle is a contradiction.
 */
export function checkOrder(history: History, report: Report): void {
  const messages = history.messages.size
  const graph = new OrderGraph()
  const nodes = 2 * messages + history.configurations.length
  for (let m = 0; m < messages; m++)
    if (history.sender[m]! >= 0) graph.add(messages + m, m, history.sender[m]!)
  const seen = new Int32Array(nodes).fill(-1)
  for (const process of history.processes) chain(history, graph, process, seen)
  const cycle = graph.findCycle(nodes)
  if (!cycle) return
  const tell = (node: number): string =>
    node < messages
      ? history.messages.name(node)
      : node < 2 * messages
        ? `the sending of ${history.messages.name(node - messages)}`
        : `configuration ${history.configurations[node - 2 * messages]!.id}`
  const steps = cycle.map(
    edge => `${tell(edge.from)} before ${tell(edge.to)} at ${history.processes[edge.label]!.name}`,
  )
  const changes = cycle.some(edge => edge.from >= 2 * messages)
  const property = changes ? 'EVS 2.3/2.4' : 'EVS 6.1'
  const processes = [...new Set(cycle.map(edge => history.processes[edge.label]!.name))]
  const ids = cycle.filter(edge => edge.from < messages).map(edge => history.messages.name(edge.from))
  report.add(property, `no single order: ${some(steps)}`, processes, ids)
}

/** Repeated events are violations of their own and stay out of the graph. */
function chain(history: History, graph: OrderGraph, process: ProcessRecord, seen: Int32Array): void {
  const messages = history.messages.size
  let last = -1
  for (const event of process.events) {
    const kind = event & 3
    const index = event >>> 2
    if (kind === FAIL) return
    let node = index
    if (kind === SEND) {
      if (history.sender[index] !== process.index) continue
      node = messages + index
    } else if (kind === CONFIGURATION) node = 2 * messages + index
    else if (kind === DELIVER && history.place[process.index]![index] === 0) continue
    if (seen[node] === process.index) continue
    seen[node] = process.index
    if (last >= 0) graph.add(last, node, process.index)
    last = node
  }
}

/**
 * EVS 6.3: p delivers m before m'; q delivers m' in x; the sender of m is in x: then q delivers m.
 * Most stays tell the same, or the beginning of the same: those need no comparing.
 */
export function checkPresence(history: History, report: Report): void {
  for (const spans of history.spansOf) {
    const longestFirst = [...spans].sort((a, b) => b.to - b.from - (a.to - a.from))
    const distinct: Span[] = []
    for (const span of longestFirst) {
      if (distinct.some(other => isPrefix(history, span, other) && demandsNoMore(span, other))) continue
      for (const other of distinct) {
        presence(history, report, other, span)
        presence(history, report, span, other)
      }
      distinct.push(span)
    }
  }
}

/** The rule asks more of what is delivered in a larger configuration, so of a longer regular part. */
function demandsNoMore(short: Span, long: Span): boolean {
  if (short.cut - short.from > long.cut - long.from) return false
  return short.cut === short.to || short.transitional === long.transitional
}

function isPrefix(history: History, short: Span, long: Span): boolean {
  const a = history.delivered[short.process]!
  const b = history.delivered[long.process]!
  const length = short.to - short.from
  if (length > long.to - long.from) return false
  for (let i = 0; i < length; i++) if (a[short.from + i] !== b[long.from + i]) return false
  return true
}

function presence(history: History, report: Report, witness: Span, span: Span): void {
  lacks(history, report, witness, span, span.from, span.cut, span.regular)
  if (span.transitional >= 0) lacks(history, report, witness, span, span.cut, span.to, span.transitional)
}

/** Does `span` lack something that the witness delivered before a message that `span` delivers in `inside`? */
function lacks(
  history: History,
  report: Report,
  witness: Span,
  span: Span,
  from: number,
  to: number,
  inside: number,
): void {
  const own = history.delivered[span.process]!
  const theirs = history.delivered[witness.process]!
  const placeThere = history.place[witness.process]!
  const placeHere = history.place[span.process]!
  let last = 0
  let after = -1
  for (let i = from; i < to; i++) {
    const place = placeThere[own[i]!]!
    if (place > last && place > witness.from && place <= witness.to) {
      last = place
      after = own[i]!
    }
  }
  const members = history.configurations[inside]!.memberSet
  for (let i = witness.from; i < last - 1; i++) {
    const message = theirs[i]!
    if (placeHere[message] !== 0 || !members.has(history.sender[message]!)) continue
    const [p, q] = [history.processes[witness.process]!.name, history.processes[span.process]!.name]
    const [m, m2] = [history.messages.name(message), history.messages.name(after)]
    const what = `${p} delivers ${m} before ${m2}; ${q} delivers ${m2} in ${history.configurations[inside]!.id}, to which the sender of ${m} belongs, but never ${m}`
    report.add('EVS 6.3', what, [p, q], [m, m2])
    return
  }
}
