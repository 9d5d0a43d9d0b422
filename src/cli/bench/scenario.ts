/** What a scenario is, and what several of them do. */

import type { Crew, Part, Watched } from './crew.ts'
import { type Histogram, merged } from './histogram.ts'
import type { Samples, Values } from './measures.ts'
import { nowMicros } from './payload.ts'
import type { Span } from './profile.ts'
import type { Row, Variant } from './row.ts'
import type { Site } from './site.ts'
import { memory } from './usage.ts'
import type { Worker } from './worker.ts'

export interface Timing {
  /** Before anything is measured. */
  readonly warmSeconds: number
  readonly seconds: number
  /** How often what changes views is done. */
  readonly repeat: number
}

/** What a run of a row has given. */
export interface Outcome {
  readonly values: Values
  /** What was measured several times in this run; `values` has the medians. */
  readonly samples?: Samples
  /** Times of delivery at others, µs, where they were taken. */
  readonly times: Histogram | null
  /** When it was measured; default: all the time. */
  readonly span?: Span
  /** Cores that strangers used meanwhile; null if unknown. */
  readonly othersCores: number | null
}

export type Scenario = (site: Site, row: Row, variant: Variant, timing: Timing) => Promise<Outcome>

export const quiet: Part = { rate: -1, isProbe: false, firstAt: 0 }
export const flood: Part = { rate: 0, isProbe: false, firstAt: 0 }
/** Talkers begin so long after they were told to, at moments spread over an interval. */
export const leadMicros: number = 50_000

/** Talkers of the same rate, their moments spread evenly. */
export function spread(talkers: number, rate: number): (index: number) => Part {
  const from = nowMicros() + leadMicros
  return index => ({ rate, isProbe: true, firstAt: from + (index * 1e6) / rate / talkers })
}

export async function timesOf(site: Site, crew: Crew): Promise<Outcome> {
  const watched = await crew.watch()
  const usage = usageOf(site, crew, watched)
  await crew.finish()
  const { measured, spent } = watched
  const own = merged(measured.map(each => each.own))
  const cross = merged(measured.map(each => each.cross))
  return {
    values: {
      offered: measured.reduce((sum, { sent, seconds }) => sum + sent / seconds, 0),
      ownP50: own.at(0.5),
      ownP99: own.at(0.99),
      ownP999: own.at(0.999),
      crossP50: cross.at(0.5),
      crossP99: cross.at(0.99),
      crossP999: cross.at(0.999),
      ...usage,
    },
    times: cross,
    span: watched.span,
    othersCores: spent.othersCores,
  }
}

/** CPU for each message that was delivered at each place, and memory at its most. */
export function usageOf(site: Site, crew: Crew, { measured, spent }: Watched): Values {
  const daemons = site.daemonPids.length
  const perMillion = (cpu: readonly number[]): number =>
    (mean(cpu) / mean(measured.map(({ messages }) => messages))) * 1e6
  return {
    daemonCpu: perMillion(spent.cpu.slice(0, daemons)),
    clientCpu: perMillion(spent.cpu.slice(daemons)),
    daemonMemory: Math.max(...site.daemonPids.map(pid => memory(pid).peak)),
    clientMemory: Math.max(...crew.workers.map(({ pid }) => memory(pid).peak)),
  }
}

/** When the last of them had a view of so many members, of those after a time; µs. */
export async function lastView(workers: readonly Worker[], members: number, after: number): Promise<number> {
  const seen = await Promise.all(
    workers.map(worker => worker.hear('view', view => view.members === members && view.at > after)),
  )
  return Math.max(...seen.map(({ at }) => at))
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, each) => sum + each, 0) / values.length
}
