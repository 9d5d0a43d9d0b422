/** What can be measured: kinds of work, their sizes, and the systems that do it. */

import { mergedSettings, type Settings } from './settings.ts'
import type { Iteration, ServiceName } from './task.ts'

export type Kind =
  | 'throughput'
  | 'groups'
  | 'latency'
  | 'loaded'
  | 'paused'
  | 'cells'
  | 'idle'
  | 'views'
  | 'crowd'
  | 'joiner'

/** `raw`: the same processes and sockets, and bytes without a protocol; `direct`: the same without daemons. */
export type System = 'anasazi' | 'corosync' | 'corosync-udpu' | 'raw' | 'direct'

/** One line of the table: the same work for every variant. */
export interface Row {
  readonly kind: Kind
  /** Daemons. */
  readonly members: number
  /** Clients that send; 0: none. */
  readonly talkers: number
  /** Bytes of a message. */
  readonly size: number
  /** Messages a second of each talker; 0: as many as go. */
  readonly rate: number
  /** Groups, or for crowds sessions. */
  readonly many: number
  /** The rate is this share of what the system itself can do at most, found out before; 0: it is `rate`. */
  readonly ofMaximum: number
}

/** Who does the work, and how. */
export interface Variant {
  readonly system: System
  readonly iterator: Iteration
  readonly service: ServiceName
  /** Of the cells of its daemons; of ours. */
  readonly settings: Settings
  /** What distinguishes it from ours as such; '' for that. */
  readonly version: string
}

/** Ours once more, with other settings. */
export interface Version {
  readonly name: string
  readonly settings: Settings
}

export interface Choices {
  readonly kinds: readonly Kind[]
  readonly sizes: readonly number[]
  readonly members: readonly number[]
  readonly senders: readonly ('all' | 'one')[]
  readonly services: readonly ServiceName[]
  readonly iterators: readonly Iteration[]
  /** Of all daemons of ours. */
  readonly settings: Settings
  readonly versions: readonly Version[]
  readonly peers: readonly ('corosync' | 'corosync-udpu')[]
  readonly limits: readonly ('raw' | 'direct')[]
  /** Messages a second of each talker, where the load is fixed. */
  readonly rate: number
  /** For `loaded`: what all the others send together, messages a second, or half of what goes; a row for each. */
  readonly background: readonly (number | 'half')[]
  /** How many groups and sessions there are in rows of many: this share of what their names say. */
  readonly share: number
}

/** Names of kinds on the command line, with what they measure. */
export const kinds: Readonly<Record<Kind, string>> = {
  throughput: 'messages and bytes a second at each receiver, as fast as it goes',
  groups: 'the same with 1000 groups, each message to one of them at random',
  latency: 'time from sending to delivery at a fixed load: one talker, and five',
  loaded: 'the same of 64 B probes while all others send 1 KiB messages',
  paused: 'the latency of everyone else while an idle daemon is stopped, until the view changes',
  cells: 'one cell alone, and while another one on the same daemons is slow, lossy and has a stopped member',
  idle: 'CPU and memory of five daemons that have nothing to do',
  views:
    'times to a view at all: a client joins, the network is cut and healed, a daemon is killed and comes back',
  crowd: '500 sessions of two processes in one group, until all views have arrived',
  joiner: 'one session joins 10,000 groups',
}

/** The rows of these choices, in the order in which they are shown. */
export function rowsOf(choices: Choices): Row[] {
  return choices.kinds.flatMap(kind => ofKind(kind, choices))
}

function ofKind(kind: Kind, choices: Choices): Row[] {
  const { rate, members, sizes, share } = choices
  const five = members.includes(5) ? 5 : Math.max(...members)
  const row = { kind, members: five, talkers: 0, size: 1024, rate, many: 1, ofMaximum: 0 }
  switch (kind) {
    case 'throughput':
      return choices.senders.flatMap(senders =>
        members.flatMap(count =>
          sizes.map(size => ({
            ...row,
            members: count,
            talkers: senders === 'all' ? count : 1,
            size,
            rate: 0,
          })),
        ),
      )
    case 'groups': {
      const least = Math.min(...members)
      return [{ ...row, members: least, talkers: least, size: 64, rate: 0, many: 1000 * share }]
    }
    case 'latency':
      return [
        { ...row, talkers: 1 },
        { ...row, talkers: five },
      ]
    case 'loaded':
      return choices.background.map(load => ({
        ...row,
        talkers: five,
        rate: load === 'half' ? 0 : load / (five - 1),
        ofMaximum: load === 'half' ? 0.5 : 0,
      }))
    case 'paused':
      return [{ ...row, talkers: 1 }]
    case 'cells':
      return [
        { ...row, talkers: five, rate: 0 },
        { ...row, talkers: 1 },
      ]
    case 'views':
    case 'idle':
      return [{ ...row, rate: 0 }]
    case 'crowd':
      return [{ ...row, members: Math.min(...members), rate: 0, many: 500 * share }]
    case 'joiner':
      return [{ ...row, members: Math.min(...members), rate: 0, many: 10_000 * share }]
  }
}

/** Who does the work of a row, in the order in which they take turns. */
export function variantsOf(row: Row, choices: Choices): Variant[] {
  const { kind } = row
  const talks = row.talkers > 0
  const services =
    talks && kind !== 'paused' && kind !== 'cells' ? choices.services : choices.services.slice(0, 1)
  const iterators =
    row.rate === 0 && row.ofMaximum === 0 && talks ? choices.iterators : choices.iterators.slice(0, 1)
  const versions = [{ name: '', settings: {} }, ...choices.versions].map(({ name, settings }) => ({
    version: name,
    settings: mergedSettings(choices.settings, settings),
  }))
  const ours = services.flatMap(service =>
    iterators.flatMap(iterator =>
      versions.map(version => ({ system: 'anasazi' as const, iterator, service, ...version })),
    ),
  )
  const plain = { iterator: 'batches', service: 'agreed', settings: {}, version: '' } as const
  // A client of corosync would need a connection for each group, and has one order for all of them.
  const peers = kind === 'joiner' || kind === 'cells' ? [] : choices.peers
  const limits = kind === 'throughput' || kind === 'groups' ? choices.limits : []
  return [...ours, ...[...peers, ...limits].map(system => ({ system, ...plain }))]
}

export function variantName({ system, iterator, service, version }: Variant): string {
  if (system !== 'anasazi') return system
  const how = [service === 'safe' ? 'safe' : '', iterator === 'plain' ? 'plain' : '', version]
  return [system, ...how].filter(Boolean).join(' ')
}

export function rowTitle(row: Row): string {
  const { kind, members, talkers, many, rate } = row
  const size = sizeText(row.size)
  const daemons = `${members} daemons`
  const one = talkers === 1 ? 'one sends' : talkers === members ? 'all send' : `${talkers} send`
  switch (kind) {
    case 'throughput':
      return `throughput, ${daemons}, ${one}, ${size}`
    case 'groups':
      return `throughput, ${daemons}, ${one}, ${size}, ${many} groups at random`
    case 'latency':
      return `latency, ${daemons}, ${talkers === 1 ? 'one talker' : `${talkers} talkers`}, ${rate}/s each, ${size}`
    case 'loaded':
      return `latency of 64 B at 1000/s under load, ${daemons}, others ${loadText(row)} of ${size}`
    case 'paused':
      return `an idle daemon stopped, ${daemons}, one talker, ${rate}/s, ${size}`
    case 'cells': {
      const pace = rate === 0 ? '' : ` ${rate}/s,`
      return `one cell beside another, ${daemons}, ${one},${pace} ${size}`
    }
    case 'idle':
      return `idle, ${daemons}`
    case 'views':
      return `views, ${daemons}`
    case 'crowd':
      return `${many} sessions of two processes in one group, ${daemons}`
    case 'joiner':
      return `one session joins ${many} groups, ${daemons}`
  }
}

function loadText({ rate, members, ofMaximum }: Row): string {
  return ofMaximum > 0 ? `${ofMaximum * 100} % of their maximum` : `${Math.round(rate * (members - 1))}/s`
}

export function sizeText(bytes: number): string {
  return bytes >= 1024 && bytes % 1024 === 0 ? `${bytes / 1024} KiB` : `${bytes} B`
}
