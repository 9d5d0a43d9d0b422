/** What a range of seeds amounts to. */

import { createHash } from 'node:crypto'
import { seldom, type Sometimes, sometimes } from '../lib/coverage.ts'
import type { Violation } from './recorder.ts'
import type { RunResult } from './run.ts'

export interface Distribution {
  readonly min: number
  readonly p10: number
  readonly median: number
  readonly p90: number
  readonly max: number
}

export interface FailedSeed {
  readonly seed: number
  readonly violations: readonly Violation[]
  readonly replay: string
}

export interface Summary {
  readonly seeds: { readonly from: number; readonly to: number; readonly run: number }
  readonly passed: boolean
  /** Why not, in sentences; empty if passed. */
  readonly reasons: readonly string[]
  readonly failures: number
  /** The lowest failing seed. */
  readonly firstFailure: FailedSeed | null
  /** Failing seeds by property. */
  readonly properties: Readonly<Record<string, readonly number[]>>
  readonly distributions: Readonly<Record<string, Distribution>>
  readonly faults: Readonly<Record<string, number>>
  /** Seeds that reached each mark. */
  readonly coverage: Readonly<Record<string, number>>
  readonly neverSeen: readonly string[]
  /** Hash over the hashes of all seeds, in order. */
  readonly hash: string
  /** Seeds that were run twice, and those that differed. */
  readonly repeated: { readonly count: number; readonly differed: readonly number[] }
  readonly elapsedMs: number
  readonly wallMs: number
}

export interface SummaryOptions {
  readonly from: number
  readonly to: number
  readonly wallMs: number
  readonly repeated: ReadonlyMap<number, string>
}

/** From this many seeds on, every mark must have been seen and the sizes must be what the simulator promises. */
const DEMANDING = 500

const measures = [
  'members',
  'messages',
  'delivered',
  'faults',
  'insideRecovery',
  'configurations',
  'frames',
  'virtualMs',
  'convergedMs',
  'elapsedMs',
] as const

export function summarize(results: readonly RunResult[], options: SummaryOptions): Summary {
  const ordered = [...results].sort((a, b) => a.seed - b.seed)
  const failed = ordered.filter(result => result.violations.length > 0)
  const hash = createHash('sha1')
  const properties: Record<string, number[]> = {}
  for (const { seed, hash: own, violations } of ordered) {
    hash.update(`${seed} ${own}\n`)
    for (const property of new Set(violations.map(violation => violation.property))) {
      ;(properties[property] ??= []).push(seed)
    }
  }
  const distributions = Object.fromEntries(
    measures.map(measure => [measure, distribution(ordered.map(result => result[measure]))]),
  )
  const coverage = coverageOf(ordered)
  const neverSeen = sometimes.filter(mark => coverage[mark] === 0)
  const differed = ordered
    .filter(({ seed, hash: own }) => (options.repeated.get(seed) ?? own) !== own)
    .map(result => result.seed)
  const first = failed[0]
  const reasons = [
    ...(first === undefined ? [] : [`${failed.length} of ${ordered.length} seeds violate something`]),
    ...(differed.length === 0
      ? []
      : [`not deterministic: seeds ${differed.join(' ')} differ when run twice`]),
    ...(ordered.length < DEMANDING ? [] : demands(distributions, neverSeen)),
  ]
  return {
    seeds: { from: options.from, to: options.to, run: ordered.length },
    passed: reasons.length === 0,
    reasons,
    failures: failed.length,
    firstFailure:
      first === undefined
        ? null
        : { seed: first.seed, violations: first.violations, replay: replayCommand(first.seed) },
    properties,
    distributions,
    faults: sum(ordered.map(result => result.faultCounts)),
    coverage,
    neverSeen,
    hash: hash.digest('hex').slice(0, 16),
    repeated: { count: options.repeated.size, differed },
    elapsedMs: Math.round(ordered.reduce((total, result) => total + result.elapsedMs, 0)),
    wallMs: Math.round(options.wallMs),
  }
}

export function replayCommand(seed: number): string {
  return `anasazi sim --seed ${seed} --full`
}

function coverageOf(results: readonly RunResult[]): Record<Sometimes, number> {
  const coverage = Object.fromEntries([...sometimes, ...seldom].map(mark => [mark, 0])) as Record<
    Sometimes,
    number
  >
  for (const result of results) {
    for (const mark of Object.keys(result.coverage) as Sometimes[]) coverage[mark]++
  }
  return coverage
}

function demands(distributions: Record<string, Distribution>, neverSeen: readonly string[]): string[] {
  const least: [string, number][] = [
    ['members', 5],
    ['messages', 500],
    ['faults', 8],
    ['insideRecovery', 1],
  ]
  const reasons = least
    .filter(([measure, value]) => (distributions[measure]?.median ?? 0) < value)
    .map(([measure, value]) => `the median of ${measure} is below ${value}`)
  if (neverSeen.length > 0) reasons.push(`never happened: ${neverSeen.join('; ')}`)
  return reasons
}

function sum(counts: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const total: Record<string, number> = {}
  for (const count of counts) {
    for (const [name, value] of Object.entries(count)) total[name] = (total[name] ?? 0) + value
  }
  return Object.fromEntries(Object.entries(total).sort(([, a], [, b]) => b - a))
}

export function distribution(values: readonly number[]): Distribution {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (share: number): number =>
    Math.round((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0) * 10) / 10
  return { min: at(0), p10: at(0.1), median: at(0.5), p90: at(0.9), max: at(1) }
}

/** The summary as a page of text. */
export function formatSummary(summary: Summary): string {
  const { seeds, distributions, coverage, firstFailure } = summary
  const lines = [`seeds ${seeds.from}–${seeds.to}: ${seeds.run} run, ${summary.failures} failed`, '']
  const columns = ['min', 'p10', 'median', 'p90', 'max'] as const
  lines.push(`${''.padEnd(18)}${columns.map(column => column.padStart(10)).join('')}`)
  for (const [name, values] of Object.entries(distributions)) {
    lines.push(`${name.padEnd(18)}${columns.map(column => String(values[column]).padStart(10)).join('')}`)
  }
  lines.push('', 'faults', wrapped(Object.entries(summary.faults)))
  lines.push('', 'sometimes (seeds that reached it)', wrapped(Object.entries(coverage)))
  if (summary.neverSeen.length > 0) lines.push('', `never: ${summary.neverSeen.join(', ')}`)
  if (Object.keys(summary.properties).length > 0) {
    lines.push('', 'violations')
    for (const [property, list] of Object.entries(summary.properties)) {
      lines.push(
        `  ${property}: ${list.length} seeds (${list.slice(0, 8).join(' ')}${list.length > 8 ? ' …' : ''})`,
      )
    }
  }
  const { repeated } = summary
  lines.push(
    '',
    `hash ${summary.hash}; ${repeated.count} seeds run twice, ${repeated.differed.length} differed; ` +
      `${(summary.elapsedMs / 1000).toFixed(1)} s of runs in ${(summary.wallMs / 1000).toFixed(1)} s`,
  )
  if (firstFailure !== null) lines.push('', formatFailure(firstFailure.seed, firstFailure.violations))
  lines.push(summary.passed ? 'passed' : `FAILED: ${summary.reasons.join('; ')}`)
  return lines.join('\n')
}

export function formatFailure(seed: number, violations: readonly Violation[]): string {
  const shown = violations
    .slice(0, 5)
    .map(({ property, at, detail }) => `  ${property} (at ${at.toFixed(1)} ms): ${detail}`)
  const more = violations.length > shown.length ? [`  and ${violations.length - shown.length} more`] : []
  return [`seed ${seed} fails:`, ...shown, ...more, `replay: ${replayCommand(seed)}`].join('\n')
}

function wrapped(entries: readonly (readonly [string, number])[]): string {
  const lines: string[] = []
  let line = ' '
  for (const [name, value] of entries) {
    const item = ` ${name} ${value};`
    if (line.length + item.length > 108) {
      lines.push(line)
      line = ' '
    }
    line += item
  }
  lines.push(line)
  return lines.join('\n')
}
