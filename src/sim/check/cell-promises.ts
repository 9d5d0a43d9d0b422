/** What the specification says of configurations, self-delivery and safe messages. */

import type { ConfigurationRecord, History, Span } from './cell-trace.ts'
import type { Report } from './report.ts'

/** Well-formed histories: nested members, one successor of a transitional configuration, increasing epochs. */
export function checkConfigurations(history: History, report: Report): void {
  const next: (Span | undefined)[] = []
  const cameWith = new Map<number, Span>()
  for (const spans of history.spans) {
    for (const span of spans)
      if (span.next >= 0) cameWith.set(span.next * history.processes.length + span.process, span)
  }
  for (const spans of history.spans) {
    let before: Span | undefined
    for (const span of spans) {
      if (before) checkEpochs(history, report, before, span)
      before = span
      if (span.transitional < 0) continue
      checkNested(history, report, span)
      if (span.next < 0) continue
      const first = next[span.transitional]
      if (!first) {
        next[span.transitional] = span
        checkCompanions(history, report, span, cameWith)
      } else if (first.next !== span.next) {
        const [a, b] = [history.processes[first.process]!.name, history.processes[span.process]!.name]
        const id = history.configurations[span.transitional]!.id
        const what = `the transitional ${id} leads to ${history.configurations[first.next]!.id} at ${a} and to ${history.configurations[span.next]!.id} at ${b}`
        report.add('EVS well-formed', what, [a, b])
      }
    }
  }
}

/** Ids of regular configurations begin with their epoch, which grows as long as a process lives. */
function checkEpochs(history: History, report: Report, before: Span, span: Span): void {
  const [old, id] = [history.configurations[before.regular]!.id, history.configurations[span.regular]!.id]
  const [oldEpoch, epoch] = [Number.parseInt(old, 10), Number.parseInt(id, 10)]
  if (epoch > oldEpoch || Number.isNaN(epoch) || Number.isNaN(oldEpoch)) return
  const name = history.processes[span.process]!.name
  report.add('EVS well-formed', `${name} installs ${id} after ${old}: epochs must increase`, [name])
}

/** A transitional configuration is part of the one before and of the one after. */
function checkNested(history: History, report: Report, span: Span): void {
  const inner = history.configurations[span.transitional]!
  const name = history.processes[span.process]!.name
  const within = (outer: ConfigurationRecord): void => {
    for (const member of inner.members) {
      if (outer.memberSet.has(member)) continue
      const stranger = history.processes[member]!.name
      const what = `${stranger} is in the transitional ${inner.id} but not in ${outer.id}, as ${name} installs them`
      report.add('EVS well-formed', what, [name, stranger])
      return
    }
  }
  within(history.configurations[span.regular]!)
  if (span.next >= 0) within(history.configurations[span.next]!)
}

/** Members of a transitional configuration who install the next regular one come to it that very way. */
function checkCompanions(
  history: History,
  report: Report,
  span: Span,
  cameWith: ReadonlyMap<number, Span>,
): void {
  const t = history.configurations[span.transitional]!
  for (const member of t.members) {
    const other = cameWith.get(span.next * history.processes.length + member)
    if (!other || other.transitional === span.transitional) continue
    const [a, b] = [history.processes[span.process]!.name, history.processes[member]!.name]
    const way =
      other.transitional < 0 ? 'no transitional one' : history.configurations[other.transitional]!.id
    const what = `${b} is in the transitional ${t.id} of ${a} but comes to ${history.configurations[span.next]!.id} through ${way}`
    report.add('EVS well-formed', what, [a, b])
  }
}

/** EVS 3: a process delivers what it sent, unless it fails first. */
export function checkSelfDelivery(history: History, report: Report): void {
  for (const spans of history.spans) {
    for (const span of spans) {
      if (!history.mustHave(span)) continue
      const place = history.place[span.process]!
      for (const message of span.sent) {
        if (place[message] !== 0) continue
        const name = history.processes[span.process]!.name
        const what = `${name} never delivers its own ${history.messages.name(message)}, sent in ${history.configurations[span.regular]!.id}`
        report.add('EVS 3', what, [name], [history.messages.name(message)])
      }
    }
  }
}

/**
 * EVS 7.1: a safe message delivered in x is delivered by every member of x, unless it fails.
 * EVS 7.2: and if x is regular, every member of x installed it.
 */
export function checkSafe(history: History, report: Report): void {
  const checkedRegular = new Uint8Array(history.messages.size)
  const checkedTransitional = new Int32Array(history.messages.size).fill(-1)
  const installed = new Set<number>()
  for (const spans of history.spans) {
    for (const span of spans) {
      const list = history.delivered[span.process]!
      for (let i = span.from; i < span.to; i++) {
        const message = list[i]!
        if (history.safe[message] === 0) continue
        if (i < span.cut) {
          if (checkedRegular[message] !== 0) continue
          checkedRegular[message] = 1
          if (!installed.has(span.regular)) everyoneInstalled(history, report, span, message)
          installed.add(span.regular)
          everyoneDelivers(history, report, span, message, span.regular)
        } else if (checkedTransitional[message] !== span.transitional) {
          checkedTransitional[message] = span.transitional
          everyoneDelivers(history, report, span, message, span.transitional)
        }
      }
    }
  }
}

function everyoneDelivers(
  history: History,
  report: Report,
  span: Span,
  message: number,
  inside: number,
): void {
  for (const member of history.configurations[inside]!.members) {
    const other = history.span(member, span.regular)
    if (!other || history.place[member]![message] !== 0 || !history.mustHave(other)) continue
    const [p, q] = [history.processes[span.process]!.name, history.processes[member]!.name]
    const m = history.messages.name(message)
    const what = `${p} delivers the safe ${m} in ${history.configurations[inside]!.id}; its member ${q} never does, though it does not fail`
    report.add('EVS 7.1', what, [p, q], [m])
  }
}

function everyoneInstalled(history: History, report: Report, span: Span, message: number): void {
  const configuration = history.configurations[span.regular]!
  for (const member of configuration.members) {
    if (history.span(member, span.regular)) continue
    if (history.options.partial && history.processes[member]!.events.length === 0) continue
    const [p, q] = [history.processes[span.process]!.name, history.processes[member]!.name]
    const m = history.messages.name(message)
    const what = `${p} delivers the safe ${m} in ${configuration.id}, which its member ${q} never installed`
    report.add('EVS 7.2', what, [p, q], [m])
  }
}

/** EVS 2.1, in a drained run: the members of a living process's last configuration are all in it, alive. */
export function checkDrained(history: History, report: Report): void {
  for (const spans of history.spans) {
    const last = spans.at(-1)
    if (!last || last.failed) continue
    const name = history.processes[last.process]!.name
    const id = history.configurations[last.regular]!.id
    if (last.transitional >= 0) {
      const t = history.configurations[last.transitional]!.id
      report.add('EVS 2.1', `${name} ends in the transitional ${t} and never installs a regular one`, [name])
      continue
    }
    for (const member of history.configurations[last.regular]!.members) {
      const other = history.spans[member]!.at(-1)
      if (!other && history.options.partial) continue
      if (other?.regular === last.regular && !other.failed && other.transitional < 0) continue
      const q = history.processes[member]!.name
      const state = !other
        ? 'left no trace'
        : other.failed
          ? 'failed'
          : `ends in ${history.configurations[other.regular]!.id}`
      report.add('EVS 2.1', `${name} ends in ${id}, but its member ${q} ${state}`, [name, q])
    }
  }
}
