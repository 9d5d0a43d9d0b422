/** The swarm: seeds without end, each another world, until time is up; what fails is made small and kept. */

import { buggifyPoints } from '../lib/buggify.ts'
import { sometimes } from '../lib/coverage.ts'
import { production } from './production.ts'
import type { Violation } from './recorder.ts'
import { run, type RunResult } from './run.ts'
import { type Task, workThrough } from './seeds.ts'
import { swarmSettingsOf } from './settings.ts'
import { shrink, type Shrunk } from './shrink.ts'

export interface SwarmOptions {
  /** First seed. */
  readonly from: number
  readonly minutes: number
  /** Threads. */
  readonly jobs: number
  readonly failFast: boolean
  /** Asked before each seed: when true, the hunt ends with what there is. */
  readonly stopped: () => boolean
  readonly progress: (totals: SwarmTotals) => void
  /** Told of each failure at once. */
  readonly failure: (failure: SwarmFailure) => void
}

/** What the seeds so far amount to. Its size does not grow with them. */
export interface SwarmTotals {
  readonly from: number
  seeds: number
  failed: number
  messages: number
  deliveries: number
  configurations: number
  virtualMs: number
  elapsedMs: number
  /** Longest time from the last fault to convergence, in virtual ms. */
  worstConvergedMs: number
  /** How often each happened. */
  readonly faults: Record<string, number>
  readonly buggified: Record<string, number>
  /** Seeds that reached each mark. */
  readonly coverage: Record<string, number>
}

export interface SwarmFailure {
  readonly seed: number
  readonly violations: readonly Violation[]
  readonly replay: string
}

export interface SwarmSummary extends SwarmTotals {
  readonly minutes: number
  readonly neverSeen: readonly string[]
  readonly failures: readonly SwarmFailure[]
}

/** Failures that are remembered in full. */
const maxFailures = 100

export async function runSwarm(options: SwarmOptions): Promise<SwarmSummary> {
  const { from, minutes, jobs, failFast, stopped, progress, failure } = options
  const began = process.hrtime.bigint()
  const elapsedMs = (): number => Number(process.hrtime.bigint() - began) / 1e6
  const totals = nothingYet(from)
  const failures: SwarmFailure[] = []
  let seed = from
  const next = (): Task | null => {
    if (stopped() || elapsedMs() >= minutes * 60_000 || (failFast && totals.failed > 0)) return null
    return { seed: seed++, again: false, invariantsEvery: 1, swarm: true }
  }
  const done = (_task: Task, result: RunResult): void => {
    add(totals, result)
    const { seed: tried, violations } = result
    if (violations.length > 0) {
      const failed = { seed: tried, violations, replay: swarmReplay(tried) }
      if (failures.length < maxFailures) failures.push(failed)
      failure(failed)
    }
    progress(totals)
  }
  await Promise.all(Array.from({ length: jobs }, () => workThrough(next, done)))
  const neverSeen = sometimes.filter(mark => totals.coverage[mark] === undefined)
  failures.sort((a, b) => a.seed - b.seed)
  return { ...totals, minutes: elapsedMs() / 60_000, neverSeen, failures }
}

export function swarmReplay(seed: number): string {
  return `anasazi sim --swarm --seed ${seed}`
}

/** The scenario of a seed that fails, as small as it gets within so many seconds. */
export function shrinkSeed(seed: number, property: string, seconds: number): Shrunk {
  const settings = swarmSettingsOf(seed)
  const { script } = run({ settings, parts: production })
  const until = process.hrtime.bigint() + BigInt(Math.round(seconds * 1e9))
  return shrink({
    settings,
    script,
    property,
    parts: production,
    goOn: () => process.hrtime.bigint() < until,
  })
}

function nothingYet(from: number): SwarmTotals {
  return {
    from,
    seeds: 0,
    failed: 0,
    messages: 0,
    deliveries: 0,
    configurations: 0,
    virtualMs: 0,
    elapsedMs: 0,
    worstConvergedMs: 0,
    faults: {},
    buggified: Object.fromEntries(buggifyPoints.map(point => [point, 0])),
    coverage: {},
  }
}

function add(totals: SwarmTotals, result: RunResult): void {
  totals.seeds++
  if (result.violations.length > 0) totals.failed++
  totals.messages += result.messages
  totals.deliveries += result.delivered
  totals.configurations += result.configurations
  totals.virtualMs += result.virtualMs
  totals.elapsedMs += Math.round(result.elapsedMs)
  totals.worstConvergedMs = Math.max(totals.worstConvergedMs, result.convergedMs)
  addCounts(totals.faults, result.faultCounts)
  addCounts(totals.buggified, result.buggified)
  for (const mark of Object.keys(result.coverage)) addCounts(totals.coverage, { [mark]: 1 })
}

function addCounts(totals: Record<string, number>, counts: Readonly<Record<string, number>>): void {
  for (const [name, count] of Object.entries(counts)) totals[name] = (totals[name] ?? 0) + count
}

/** The summary as a page of text. */
export function formatSwarm(summary: SwarmSummary): string {
  const { from, seeds, failed, minutes, failures } = summary
  const perSecond = seeds / (minutes * 60)
  const hours = summary.virtualMs / 3_600_000
  const lines = [
    `swarm of ${seeds} seeds from ${from} on in ${minutes.toFixed(1)} minutes (${perSecond.toFixed(1)}/s): ${failed} failed`,
    `${hours.toFixed(2)} simulated hours, ${summary.configurations} configurations, ${summary.messages} messages, ` +
      `${summary.deliveries} deliveries, convergence within ${summary.worstConvergedMs} ms`,
    '',
    `faults: ${list(summary.faults)}`,
    `rare things made common: ${list(summary.buggified)}`,
  ]
  if (summary.neverSeen.length > 0) lines.push(`never happened: ${summary.neverSeen.join(', ')}`)
  for (const { seed, violations, replay } of failures.slice(0, 10)) {
    const first = violations[0]
    lines.push('', `seed ${seed}: ${first?.property}: ${first?.detail.slice(0, 300)}`, `  replay: ${replay}`)
  }
  if (failures.length > 10) lines.push('', `and ${failures.length - 10} more`)
  return lines.join('\n')
}

function list(counts: Readonly<Record<string, number>>): string {
  const entries = Object.entries(counts).sort(([, a], [, b]) => b - a)
  return entries.map(([name, count]) => `${name} ${count}`).join(', ')
}
