/** The events of one cell as integer arrays, and the history they tell: who delivered what in which configuration. */

import type { CellTraceLine } from '../../lib/trace.ts'
import type { CheckOptions } from './cell.ts'
import { Names, type Report } from './report.ts'

/** Events are packed as `index * 4 + kind`. */
export const CONFIGURATION = 0
export const SEND = 1
export const DELIVER = 2
export const FAIL = 3

export interface ConfigurationRecord {
  readonly index: number
  readonly id: string
  readonly regular: boolean
  /** For a transitional one: the regular one it closes; −1 if not said. */
  readonly of: number
  /** Indexes of processes, as listed. */
  readonly members: readonly number[]
  readonly memberSet: ReadonlySet<number>
}

/**
 * One process's stay in a regular configuration and in the transitional one after it: com_p(c) of the paper.
 * Its deliveries are `delivered[from…cut)` in the regular and `delivered[cut…to)` in the transitional configuration.
 */
export interface Span {
  readonly process: number
  readonly regular: number
  transitional: number
  /** The next regular configuration; −1: none was installed. */
  next: number
  readonly from: number
  cut: number
  to: number
  failed: boolean
  /** Messages sent in the regular configuration, in order. */
  readonly sent: number[]
}

/** All that one process did. */
export interface ProcessRecord {
  readonly name: string
  readonly index: number
  readonly events: number[]
  failed: boolean
}

/** What the checks read. Messages, processes and configurations are indexes. */
export interface History {
  readonly options: CheckOptions
  readonly processes: readonly ProcessRecord[]
  readonly messages: Names
  readonly configurations: readonly ConfigurationRecord[]
  /** By process: its deliveries in order, each message once. */
  readonly delivered: readonly (readonly number[])[]
  /** By process, by message: 1 + its place in `delivered`; 0 if it was not delivered. */
  readonly place: readonly Int32Array[]
  /** By process, in order. */
  readonly spans: readonly (readonly Span[])[]
  /** By regular configuration: the stays of all who installed it. */
  readonly spansOf: readonly (readonly Span[])[]
  /** By message: sender, or −1 if it was never sent. */
  readonly sender: Int32Array
  /** By message: the regular configuration it was sent in, or −1. */
  readonly sentIn: Int32Array
  /** By message: how many deliveries its sender had made in that configuration before. */
  readonly deliveredBefore: Int32Array
  /** By message: how many messages its sender had sent in that configuration before. */
  readonly sentBefore: Int32Array
  readonly safe: Uint8Array
  /** The stay of a process in a regular configuration. */
  span(process: number, regular: number): Span | undefined
  /** True if the process, having installed the regular configuration, owes everything the rules promise for it. */
  mustHave(span: Span): boolean
}

export class CellTrace {
  readonly processes: ProcessRecord[] = []
  private readonly processNames = new Names()
  private readonly messages = new Names()
  private readonly configurationNames = new Names()
  private readonly configurations: (ConfigurationRecord | undefined)[] = []
  private readonly safe: boolean[] = []
  private readonly conflicts: { property: string; what: string; processes: string[]; messages: string[] }[] =
    []
  events = 0

  private process(name: string): ProcessRecord {
    const index = this.processNames.index(name)
    while (this.processes.length <= index) {
      const next = this.processes.length
      this.processes.push({ name: this.processNames.name(next), index: next, events: [], failed: false })
    }
    return this.processes[index]!
  }

  private push(name: string, index: number, kind: number): void {
    this.events++
    this.process(name).events.push(index * 4 + kind)
  }

  configuration(name: string, id: string, kind: string, members: readonly string[], of?: string): void {
    const index = this.configurationNames.index(id)
    const known = this.configurations[index]
    const regular = kind === 'regular'
    const closes = regular || of === undefined ? -1 : this.configurationNames.index(of)
    const list = members.map(member => this.process(member).index)
    if (!known) {
      this.configurations[index] = { index, id, regular, of: closes, members: list, memberSet: new Set(list) }
    } else if (known.regular !== regular || known.of !== closes || !sameSet(known, list)) {
      this.conflict('EVS well-formed', `configuration ${id} is not the same at ${name} as at others`, name)
    }
    if (new Set(list).size !== list.length) {
      this.conflict('EVS well-formed', `configuration ${id} lists a member twice at ${name}`, name)
    }
    if (!members.includes(name)) {
      this.conflict('EVS well-formed', `${name} installs configuration ${id} without being its member`, name)
    }
    this.push(name, index, CONFIGURATION)
  }

  private conflict(property: string, what: string, process: string, messages: string[] = []): void {
    this.conflicts.push({ property, what, processes: [process], messages })
  }

  send(name: string, message: string, safe: boolean): void {
    const index = this.messages.index(message)
    if (safe) this.safe[index] = true
    this.push(name, index, SEND)
  }

  deliver(name: string, message: string): void {
    this.push(name, this.messages.index(message), DELIVER)
  }

  fail(name: string): void {
    this.process(name).failed = true
    this.push(name, 0, FAIL)
  }

  line(line: CellTraceLine): void {
    if (line.e === 'deliver') this.deliver(line.p, line.m)
    else if (line.e === 'send') this.send(line.p, line.m, line.service === 'safe')
    else if (line.e === 'conf') this.configuration(line.p, line.id, line.kind, line.members, line.of)
    else this.fail(line.p)
  }

  /** One pass over all events: tags each with its configuration (EVS 2.2) and checks what is local to a process. */
  history(report: Report, options: CheckOptions): History {
    for (const c of this.conflicts) report.add(c.property, c.what, c.processes, c.messages)
    const messages = this.messages.size
    const configurations: ConfigurationRecord[] = []
    for (let i = 0; i < this.configurationNames.size; i++) {
      // A transitional configuration may close one that nobody installed (the trace is wrong, or partial).
      configurations.push(
        this.configurations[i] ?? {
          index: i,
          id: this.configurationNames.name(i),
          regular: true,
          of: -1,
          members: [],
          memberSet: new Set(),
        },
      )
    }
    const walk = new Walk(this.processes, this.messages, configurations, report, options)
    for (let m = 0; m < messages; m++) if (this.safe[m]) walk.safe[m] = 1
    for (const process of this.processes) walk.run(process)
    return walk
  }
}

function sameSet(known: ConfigurationRecord, members: readonly number[]): boolean {
  if (known.members.length !== members.length) return false
  for (const member of members) if (!known.memberSet.has(member)) return false
  return true
}

/** Builds the history, process by process. */
class Walk implements History {
  readonly options: CheckOptions
  readonly processes: readonly ProcessRecord[]
  readonly messages: Names
  readonly configurations: readonly ConfigurationRecord[]
  readonly delivered: number[][] = []
  readonly place: Int32Array[] = []
  readonly spans: Span[][] = []
  readonly spansOf: Span[][] = []
  readonly sender: Int32Array
  readonly sentIn: Int32Array
  readonly deliveredBefore: Int32Array
  readonly sentBefore: Int32Array
  readonly safe: Uint8Array
  private readonly report: Report
  private readonly byPair: Map<number, Span> = new Map()

  constructor(
    processes: readonly ProcessRecord[],
    messages: Names,
    configurations: readonly ConfigurationRecord[],
    report: Report,
    options: CheckOptions,
  ) {
    this.processes = processes
    this.messages = messages
    this.configurations = configurations
    this.report = report
    this.options = options
    this.sender = new Int32Array(messages.size).fill(-1)
    this.sentIn = new Int32Array(messages.size).fill(-1)
    this.deliveredBefore = new Int32Array(messages.size)
    this.sentBefore = new Int32Array(messages.size)
    this.safe = new Uint8Array(messages.size)
    for (let i = 0; i < configurations.length; i++) this.spansOf.push([])
  }

  span(process: number, regular: number): Span | undefined {
    return this.byPair.get(regular * this.processes.length + process)
  }

  mustHave(span: Span): boolean {
    return span.next >= 0 || (this.options.drained && !span.failed)
  }

  run(process: ProcessRecord): void {
    const delivered: number[] = []
    const place = new Int32Array(this.messages.size)
    const spans: Span[] = []
    this.delivered.push(delivered)
    this.place.push(place)
    this.spans.push(spans)
    let span: Span | undefined
    let ended = false
    for (const event of process.events) {
      const kind = event & 3
      const index = event >>> 2
      if (ended) {
        this.afterFailure(process, kind, index)
        continue
      }
      if (kind === DELIVER) this.deliver(process, index, span, delivered, place)
      else if (kind === SEND) this.send(process, index, span, delivered.length)
      else if (kind === CONFIGURATION) span = this.install(process, index, span, spans, delivered.length)
      else {
        ended = true
        if (span) span.failed = true
      }
    }
    if (span) span.to = delivered.length
    if (span && span.transitional < 0) span.cut = span.to
  }

  private afterFailure(process: ProcessRecord, kind: number, index: number): void {
    const what =
      kind === CONFIGURATION
        ? `installs configuration ${this.configurations[index]!.id}`
        : kind === FAIL
          ? 'fails'
          : `${kind === SEND ? 'sends' : 'delivers'} ${this.messages.name(index)}`
    this.report.add('EVS 2.2', `${process.name} ${what} after it has failed`, [process.name])
  }

  private deliver(
    process: ProcessRecord,
    message: number,
    span: Span | undefined,
    delivered: number[],
    place: Int32Array,
  ): void {
    if (!span) {
      const what = `${process.name} delivers ${this.messages.name(message)} before its first configuration`
      this.report.add('EVS 2.2', what, [process.name], [this.messages.name(message)])
      return
    }
    if (place[message] !== 0) {
      const what = `${process.name} delivers ${this.messages.name(message)} twice`
      this.report.add('EVS 1.4', what, [process.name], [this.messages.name(message)])
      return
    }
    delivered.push(message)
    place[message] = delivered.length
  }

  private send(process: ProcessRecord, message: number, span: Span | undefined, delivered: number): void {
    const name = this.messages.name(message)
    if (!span) {
      this.report.add(
        'EVS 2.2',
        `${process.name} sends ${name} before its first configuration`,
        [process.name],
        [name],
      )
      return
    }
    if (span.transitional >= 0) {
      const where = this.configurations[span.transitional]!.id
      const what = `${process.name} sends ${name} in the transitional configuration ${where}`
      this.report.add('EVS 1.4', what, [process.name], [name])
    }
    if (this.sender[message]! >= 0) {
      const other = this.processes[this.sender[message]!]!.name
      this.report.add(
        'EVS 1.4',
        `${name} is sent by ${other} and again by ${process.name}`,
        [other, process.name],
        [name],
      )
      return
    }
    this.sender[message] = process.index
    this.sentIn[message] = span.regular
    this.deliveredBefore[message] = delivered - span.from
    this.sentBefore[message] = span.sent.length
    span.sent.push(message)
  }

  private install(
    process: ProcessRecord,
    index: number,
    span: Span | undefined,
    spans: Span[],
    delivered: number,
  ): Span | undefined {
    const configuration = this.configurations[index]!
    if (!configuration.regular) return this.installTransitional(process, configuration, span, delivered)
    if (span) {
      span.to = delivered
      if (span.transitional < 0) {
        span.cut = delivered
        const what = `${process.name} installs ${configuration.id} after ${this.configurations[span.regular]!.id} without a transitional configuration between`
        this.report.add('EVS well-formed', what, [process.name])
      }
      span.next = index
    }
    const pair = index * this.processes.length + process.index
    if (this.byPair.has(pair)) {
      const what = `${process.name} installs configuration ${configuration.id} twice`
      this.report.add('EVS well-formed', what, [process.name])
    }
    const next: Span = {
      process: process.index,
      regular: index,
      transitional: -1,
      next: -1,
      from: delivered,
      cut: delivered,
      to: delivered,
      failed: false,
      sent: [],
    }
    if (!this.byPair.has(pair)) {
      this.byPair.set(pair, next)
      this.spansOf[index]!.push(next)
    }
    spans.push(next)
    return next
  }

  private installTransitional(
    process: ProcessRecord,
    configuration: ConfigurationRecord,
    span: Span | undefined,
    delivered: number,
  ): Span | undefined {
    const broken = (why: string): void =>
      this.report.add(
        'EVS well-formed',
        `${process.name} installs the transitional ${configuration.id} ${why}`,
        [process.name],
      )
    if (!span) {
      broken('before any regular configuration')
      return undefined
    }
    if (span.transitional >= 0) {
      broken(`right after the transitional ${this.configurations[span.transitional]!.id}`)
      return span
    }
    if (configuration.of !== span.regular) {
      const named = configuration.of < 0 ? 'nothing' : this.configurations[configuration.of]!.id
      broken(`that closes ${named} while it is in ${this.configurations[span.regular]!.id}`)
    }
    span.transitional = configuration.index
    span.cut = delivered
    return span
  }
}
