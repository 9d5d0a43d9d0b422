/** Mutations of daemons' traces. The arguments look at the trace by brute force: they are slow, and not the checkers'. */

import type { CellTraceLine } from '../../lib/trace.ts'
import type { Random } from '../../lib/prng.ts'
import type { History, Span } from './cell-trace.ts'
import type { Mutation, Mutator, Specimen } from './mutate.ts'

type Line<E> = Extract<CellTraceLine, { e: E }>

const ORDERED = ['EVS 5', 'EVS 6.1', 'EVS 2.3/2.4']

function withCell(specimen: Specimen, cell: readonly CellTraceLine[], breaks: Iterable<string>): Mutation {
  return { bundle: { ...specimen.bundle, cell }, breaks: [...new Set(breaks)] }
}

/** A random line of a kind, or −1. */
function pickLine(
  lines: readonly CellTraceLine[],
  random: Random,
  wanted: (line: CellTraceLine) => boolean,
): number {
  const found: number[] = []
  lines.forEach((line, index) => {
    if (wanted(line)) found.push(index)
  })
  return found.length === 0 ? -1 : random.pick(found)
}

function processOf(history: History, name: string): number {
  return history.processes.findIndex(process => process.name === name)
}

function members(history: History, configuration: number): ReadonlySet<number> {
  return history.configurations[configuration]!.memberSet
}

/** Where a process delivered a message. */
interface Delivery {
  readonly span: Span
  readonly message: number
  /** Place in the process's deliveries. */
  readonly place: number
  readonly inTransitional: boolean
}

function deliveryOf(history: History, process: number, message: number): Delivery | null {
  const place = history.place[process]![message]! - 1
  const span = history.spans[process]!.find(one => place >= one.from && place < one.to)
  return place < 0 || !span ? null : { span, message, place, inTransitional: place >= span.cut }
}

function laterThan(history: History, delivery: Delivery): Delivery[] {
  const { span, place } = delivery
  const list = history.delivered[span.process]!
  const later: Delivery[] = []
  for (let i = place + 1; i < span.to; i++) {
    later.push({ span, message: list[i]!, place: i, inTransitional: i >= span.cut })
  }
  return later
}

function inside(delivery: Delivery): number {
  return delivery.inTransitional ? delivery.span.transitional : delivery.span.regular
}

function others(history: History, span: Span): readonly Span[] {
  return history.spansOf[span.regular]!.filter(one => one.process !== span.process)
}

/** Did this process deliver the one and later the other, in the same stay? */
function sawInOrder(history: History, process: number, first: number, second: number): boolean {
  const [a, b] = [history.place[process]![first]!, history.place[process]![second]!]
  return a > 0 && b > 0 && a < b
}

/** Had the sender of `later` sent or delivered `earlier` when it sent it? */
function directlyCauses(history: History, earlier: number, later: number, except: number): boolean {
  const sender = history.sender[later]!
  const span = history.span(sender, history.sentIn[later]!)
  if (!span) return false
  if (history.sender[earlier] === sender && history.sentIn[earlier] === span.regular) {
    return history.sentBefore[earlier]! < history.sentBefore[later]!
  }
  const place = history.place[sender]![earlier]! - 1
  return sender !== except && place >= span.from && place < span.from + history.deliveredBefore[later]!
}

function livesOn(span: Span): boolean {
  return span.transitional < 0 && span.next < 0 && !span.failed
}

/** Others who go the same way from the configuration in which something is delivered. */
function companions(history: History, delivery: Delivery): boolean {
  const { span } = delivery
  return others(history, span).some(other => {
    if (delivery.inTransitional)
      return other.transitional === span.transitional && span.next >= 0 && other.next === span.next
    if (span.transitional >= 0) return other.transitional === span.transitional
    return history.options.drained && livesOn(span) && livesOn(other)
  })
}

/**
 * Dropping "p delivers m" leaves a valid trace unless something demands it: m is p's own (3), somebody goes the same way
 * as p (4), p delivers later what m causes (5), or what somebody delivered after m (6.3), or m is safe and delivered by
 * somebody in a configuration with p (7.1). Nothing else speaks of messages that a process lacks.
 */
function drop(specimen: Specimen, random: Random): Mutation | null {
  const lines = specimen.bundle.cell
  const at = pickLine(lines, random, line => line.e === 'deliver')
  if (at < 0) return null
  const line = lines[at] as Line<'deliver'>
  const history = specimen.cell
  const p = processOf(history, line.p)
  const m = history.messages.find(line.m)
  const delivery = deliveryOf(history, p, m)!
  const { span } = delivery
  const must = history.mustHave(span)
  const breaks: string[] = []
  if (history.sender[m] === p && must) breaks.push('EVS 3')
  if (companions(history, delivery)) breaks.push('EVS 4')
  for (const later of laterThan(history, delivery)) {
    if (directlyCauses(history, m, later.message, p)) breaks.push('EVS 5')
    const witness = others(history, span).some(other => sawInOrder(history, other.process, m, later.message))
    if (witness && members(history, inside(later)).has(history.sender[m]!)) breaks.push('EVS 6.3')
  }
  if (history.safe[m] !== 0 && must) {
    for (const other of others(history, span)) {
      const theirs = deliveryOf(history, other.process, m)
      if (theirs && members(history, inside(theirs)).has(p)) breaks.push('EVS 7.1')
    }
  }
  return withCell(specimen, lines.toSpliced(at, 1), breaks)
}

/** A process delivers a message once: a second delivery is never allowed (1.4). */
function duplicate(specimen: Specimen, random: Random): Mutation | null {
  const lines = specimen.bundle.cell
  const at = pickLine(lines, random, line => line.e === 'deliver')
  if (at < 0) return null
  const line = lines[at]!
  const end = lines.findIndex(one => one.p === line.p && one.e === 'fail')
  const to = random.between(at + 1, end < 0 ? lines.length : end)
  return withCell(specimen, lines.toSpliced(to, 0, line), ['EVS 1.4'])
}

/** What nobody sent must not be delivered (1.3). */
function phantom(specimen: Specimen, random: Random): Mutation | null {
  const lines = specimen.bundle.cell
  const at = pickLine(lines, random, line => line.e === 'deliver' || line.e === 'conf')
  if (at < 0) return null
  const { t, p, cell } = lines[at]!
  return withCell(specimen, lines.toSpliced(at + 1, 0, { t, p, cell, e: 'deliver', m: 'phantom:1' }), [
    'EVS 1.3',
  ])
}

/**
 * p delivers m1 and at once m2, in one configuration; now the other way round. Valid unless the order m1, m2 is visible:
 * one sender, or a chain of events from m1 to m2 elsewhere (5, 6.1); or unless somebody delivered m1 without m2 in a
 * configuration with m2's sender, which is right only if m2 comes later (6.3).
 */
function swap(specimen: Specimen, random: Random): Mutation | null {
  const lines = specimen.bundle.cell
  const pairs = adjacentDeliveries(lines)
  if (pairs.length === 0) return null
  const [a, b] = random.pick(pairs)
  const history = specimen.cell
  const [one, two] = [lines[a] as Line<'deliver'>, lines[b] as Line<'deliver'>]
  const p = processOf(history, one.p)
  const [m1, m2] = [history.messages.find(one.m), history.messages.find(two.m)]
  const breaks: string[] = []
  const mutated = lines.with(a, two).with(b, one)
  if (history.sender[m1] === history.sender[m2]) breaks.push('EVS 5')
  if (directlyCauses(history, m1, m2, p)) breaks.push(...ORDERED)
  if (leadsTo(mutated, one.m, two.m)) breaks.push(...ORDERED)
  for (const other of others(history, deliveryOf(history, p, m1)!.span)) {
    const theirs = deliveryOf(history, other.process, m1)
    if (!theirs || deliveryOf(history, other.process, m2)) continue
    if (members(history, inside(theirs)).has(history.sender[m2]!)) breaks.push('EVS 6.3')
  }
  return withCell(specimen, mutated, breaks)
}

/** Indexes of two deliveries of one process with no event of that process between them. */
function adjacentDeliveries(lines: readonly CellTraceLine[]): [number, number][] {
  const last = new Map<string, number>()
  const pairs: [number, number][] = []
  lines.forEach((line, index) => {
    const before = last.get(line.p)
    if (line.e === 'deliver' && before !== undefined && lines[before]!.e === 'deliver')
      pairs.push([before, index])
    last.set(line.p, index)
  })
  return pairs
}

/** Does a chain of events, at whatever processes, lead from one delivery to another? */
function leadsTo(lines: readonly CellTraceLine[], from: string, to: string): boolean {
  const after = new Map<string, Set<string>>()
  const last = new Map<string, string>()
  const edge = (a: string, b: string): void => {
    const set = after.get(a)
    if (set) set.add(b)
    else after.set(a, new Set([b]))
  }
  for (const line of lines) {
    if (line.e === 'fail') continue
    const node = line.e === 'conf' ? `c ${line.id}` : line.e === 'send' ? `s ${line.m}` : `d ${line.m}`
    if (line.e === 'send') edge(node, `d ${line.m}`)
    const before = last.get(line.p)
    if (before !== undefined) edge(before, node)
    last.set(line.p, node)
  }
  const seen = new Set<string>()
  const todo = [`d ${from}`]
  for (let node = todo.pop(); node !== undefined; node = todo.pop()) {
    for (const next of after.get(node) ?? []) {
      if (next === `d ${to}`) return true
      if (!seen.has(next)) todo.push(next)
      seen.add(next)
    }
  }
  return false
}

/** Moves p's last delivery in a regular configuration over the transitional one, or the first one back. */
function moveOverTransitional(specimen: Specimen, random: Random): Mutation | null {
  const lines = specimen.bundle.cell
  const at = pickLine(lines, random, line => line.e === 'conf' && line.kind === 'transitional')
  if (at < 0) return null
  const line = lines[at] as Line<'conf'>
  const history = specimen.cell
  const span = history.span(
    processOf(history, line.p),
    history.configurations.find(c => c.id === line.of)!.index,
  )!
  const back = random.chance(0.5)
  if (back ? span.to === span.cut : span.from === span.cut) return null
  const message = history.delivered[span.process]![back ? span.cut : span.cut - 1]!
  const name = history.messages.name(message)
  const old = lines.findIndex(one => one.p === line.p && one.e === 'deliver' && one.m === name)
  const rest = lines.toSpliced(old, 1)
  const to = rest.indexOf(line) + (back ? 0 : 1)
  return withCell(specimen, rest.toSpliced(to, 0, lines[old]!), moved(history, span, message, back))
}

/**
 * Whoever enters the same transitional configuration tells a different story (4). Alone, to deliver later, in a smaller
 * configuration, is to claim less: always valid. To deliver earlier is to claim more: a safe message then obliges all of the
 * regular configuration (7.1, 7.2), and whatever anyone delivered before it must be there, too (6.3).
 */
function moved(history: History, span: Span, message: number, back: boolean): string[] {
  const breaks: string[] = []
  if (others(history, span).some(other => other.transitional === span.transitional)) breaks.push('EVS 4')
  if (!back) return breaks
  if (history.safe[message] !== 0) {
    for (const member of members(history, span.regular)) {
      const theirs = history.span(member, span.regular)
      if (!theirs) breaks.push('EVS 7.2')
      else if (history.mustHave(theirs) && history.place[member]![message] === 0) breaks.push('EVS 7.1')
    }
  }
  for (const other of others(history, span)) {
    for (let i = other.from; i < other.to; i++) {
      const earlier = history.delivered[other.process]![i]!
      if (!sawInOrder(history, other.process, earlier, message)) continue
      if (history.place[span.process]![earlier] === 0) breaks.push('EVS 6.3')
    }
  }
  return breaks
}

/** One process lists a member too many or too few in one configuration. */
function memberMismatch(specimen: Specimen, random: Random): Mutation | null {
  const lines = specimen.bundle.cell
  const at = pickLine(lines, random, line => line.e === 'conf')
  if (at < 0) return null
  const line = lines[at] as Line<'conf'>
  const history = specimen.cell
  const strangers = history.processes
    .map(process => process.name)
    .filter(name => !line.members.includes(name))
  const add = strangers.length > 0 && random.chance(0.5)
  const who = random.pick(add ? strangers : line.members)
  const list = add ? [...line.members, who].sort() : line.members.filter(member => member !== who)
  const mutated = lines.with(at, { ...line, members: list })
  const shared = lines.some((one, index) => index !== at && one.e === 'conf' && one.id === line.id)
  if (shared || who === line.p) return withCell(specimen, mutated, ['EVS well-formed'])
  const process = processOf(history, line.p)
  const configuration = history.configurations.find(one => one.id === line.id)!.index
  const stranger = processOf(history, who)
  const breaks =
    line.kind === 'regular'
      ? regularMismatch(history, process, configuration, stranger, add)
      : transitionalMismatch(history, process, configuration, stranger, add)
  return withCell(specimen, mutated, breaks)
}

/**
 * Only p installed this regular configuration. Without z it is valid unless z is in a transitional configuration next to
 * it (they must nest). With z, who never installed it: unless p delivered something safe in it (7.2), or lives in it to
 * the end of a drained run (2.1). z sent nothing in it and owes nothing in it.
 */
function regularMismatch(history: History, p: number, regular: number, z: number, add: boolean): string[] {
  const span = history.span(p, regular)!
  const before = history.spans[p]!.find(one => one.next === regular)
  if (!add) {
    const near = [span.transitional, before?.transitional ?? -1].filter(t => t >= 0)
    return near.some(t => members(history, t).has(z)) ? ['EVS well-formed'] : []
  }
  const breaks: string[] = []
  const delivered = history.delivered[p]!.slice(span.from, span.cut)
  if (delivered.some(message => history.safe[message] !== 0)) breaks.push('EVS 7.2')
  const last = span.transitional < 0 && span.next < 0 && !span.failed
  if (history.options.drained && last) breaks.push('EVS 2.1')
  return breaks
}

/**
 * Only p installed this transitional configuration. Without z it claims less: always valid. With z: z must be in the
 * regular ones before and after, and, if it installed the one after, have come this way (well-formed); what p delivered
 * safely in it binds z (7.1), and what z sent before it must not be missing (6.3).
 */
function transitionalMismatch(
  history: History,
  p: number,
  transitional: number,
  z: number,
  add: boolean,
): string[] {
  if (!add) return []
  const span = history.spans[p]!.find(one => one.transitional === transitional)!
  const breaks: string[] = []
  if (!members(history, span.regular).has(z)) breaks.push('EVS well-formed')
  if (span.next >= 0) {
    if (!members(history, span.next).has(z)) breaks.push('EVS well-formed')
    else if (history.span(z, span.next)) breaks.push('EVS well-formed')
  }
  const theirs = history.span(z, span.regular)
  for (let i = span.cut; i < span.to; i++) {
    const message = history.delivered[p]![i]!
    if (
      history.safe[message] !== 0 &&
      theirs &&
      history.mustHave(theirs) &&
      history.place[z]![message] === 0
    ) {
      breaks.push('EVS 7.1')
    }
    for (const other of others(history, span)) {
      for (let j = other.from; j < other.to; j++) {
        const earlier = history.delivered[other.process]![j]!
        if (history.sender[earlier] !== z || history.place[p]![earlier] !== 0) continue
        if (sawInOrder(history, other.process, earlier, message)) breaks.push('EVS 6.3')
      }
    }
  }
  return breaks
}

/** Two messages under one id: it is then sent twice, which is never allowed (1.4). */
function reuseMessageId(specimen: Specimen, random: Random): Mutation | null {
  const lines = specimen.bundle.cell
  const a = pickLine(lines, random, line => line.e === 'send')
  const b = pickLine(lines, random, line => line.e === 'send')
  if (a < 0 || a === b) return null
  const [keep, lose] = [(lines[a] as Line<'send'>).m, (lines[b] as Line<'send'>).m]
  const mutated = lines.map(line =>
    (line.e === 'send' || line.e === 'deliver') && line.m === lose ? { ...line, m: keep } : line,
  )
  return withCell(specimen, mutated, ['EVS 1.4'])
}

/** Two regular configurations of one process under one id: it installs it twice, which is never allowed. */
function reuseConfigurationId(specimen: Specimen, random: Random): Mutation | null {
  const lines = specimen.bundle.cell
  const a = pickLine(lines, random, line => line.e === 'conf' && line.kind === 'regular')
  if (a < 0) return null
  const first = lines[a] as Line<'conf'>
  const b = pickLine(
    lines,
    random,
    line => line.e === 'conf' && line.kind === 'regular' && line.p === first.p && line.id !== first.id,
  )
  if (b < 0) return null
  const lose = (lines[b] as Line<'conf'>).id
  const mutated = lines.map(line => {
    if (line.e !== 'conf') return line
    if (line.id === lose) return { ...line, id: first.id }
    return line.of === lose ? { ...line, of: first.id } : line
  })
  return withCell(specimen, mutated, ['EVS well-formed'])
}

export const CELL_MUTATORS: readonly Mutator[] = [
  { name: 'drop a delivery', apply: drop },
  { name: 'duplicate a delivery', apply: duplicate },
  { name: 'swap two deliveries', apply: swap },
  { name: 'phantom delivery', apply: phantom },
  { name: 'move over the transitional configuration', apply: moveOverTransitional },
  { name: 'member mismatch', apply: memberMismatch },
  { name: 'reuse a message id', apply: reuseMessageId },
  { name: 'reuse a configuration id', apply: reuseConfigurationId },
]
