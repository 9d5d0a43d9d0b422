/** Medians over the turns of a variant, and what it is compared with in the same turns. */

import { type MeasureName, measureNames } from './measures.ts'
import type { Run, RowResult, VariantResult } from './result.ts'
import type { ServiceName } from './task.ts'

export interface Spread {
  readonly median: number
  readonly least: number
  readonly most: number
  /** Of what was measured several times within each turn. */
  readonly p99?: number
}

/** Cores that others may use before a turn is called noisy. */
export const noisyCores = 0.12

export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b)
  const half = sorted.length >> 1
  const middle = sorted[half] ?? Number.NaN
  const median = sorted.length % 2 === 1 ? middle : ((sorted[half - 1] ?? middle) + middle) / 2
  return { median, least: sorted[0] ?? Number.NaN, most: sorted.at(-1) ?? Number.NaN }
}

/** Of all repetitions of all turns. */
export function pooledSpread(samples: readonly number[]): Spread {
  const sorted = [...samples].sort((a, b) => a - b)
  return { ...spreadOf(sorted), p99: sorted[Math.ceil(sorted.length * 0.99) - 1] ?? Number.NaN }
}

export function valuesOf(runs: readonly Run[], name: MeasureName): number[] {
  return runs
    .map(run => run.values[name])
    .filter((value): value is number => value !== undefined && Number.isFinite(value))
}

/** Of every measure that the variant has: of its turns, or of all repetitions where there are several in each turn. */
export function spreadsOf({ runs }: VariantResult): { readonly [Name in MeasureName]?: Spread } {
  const spreads: { [Name in MeasureName]?: Spread } = {}
  for (const name of measureNames) {
    const samples = runs.flatMap(run => run.samples[name] ?? [])
    const values = valuesOf(runs, name)
    if (samples.length > 0) spreads[name] = pooledSpread(samples)
    else if (values.length > 0) spreads[name] = spreadOf(values)
  }
  return spreads
}

export interface Comparison {
  readonly variant: string
  readonly with: string
  /** Value of the variant divided by that of the other, in the same turn. */
  readonly ratios: { readonly [Name in MeasureName]?: Spread }
}

/** Ours with every peer and limit, other versions of ours with ours as such, and safe with agreed. */
export function comparisonsOf({ variants }: RowResult): Comparison[] {
  const ours = variants.filter(({ variant }) => variant.system === 'anasazi')
  const strangers = variants.filter(({ variant }) => variant.system !== 'anasazi')
  const pairs: [VariantResult, VariantResult][] = ours.flatMap(one =>
    strangers.map((other): [VariantResult, VariantResult] => [one, other]),
  )
  const compare = (one: VariantResult, change: { service: ServiceName } | { version: string }): void => {
    const like = { ...one.variant, ...change }
    const other = ours.find(({ variant }) => alike.every(name => variant[name] === like[name]))
    if (other !== undefined && other !== one) pairs.push([one, other])
  }
  for (const one of ours) {
    if (one.variant.service === 'safe') compare(one, { service: 'agreed' })
    if (one.variant.version !== '') compare(one, { version: '' })
  }
  return pairs.map(([one, other]) => ({ variant: one.name, with: other.name, ratios: ratiosOf(one, other) }))
}

/** Two of ours that have these in common do the same. */
const alike = ['service', 'iterator', 'version'] as const

function ratiosOf(one: VariantResult, other: VariantResult): Comparison['ratios'] {
  const ratios: { [Name in MeasureName]?: Spread } = {}
  for (const name of measureNames) {
    const each = one.runs.map(
      (run, i) => (run.values[name] ?? Number.NaN) / (other.runs[i]?.values[name] ?? 0),
    )
    const known = each.filter(Number.isFinite)
    if (known.length > 0) ratios[name] = spreadOf(known)
  }
  return ratios
}

export function isNoisy({ othersCores }: Run): boolean {
  return (othersCores ?? 0) > noisyCores
}

export interface Noise {
  /** Turns that others disturbed, also when they were run again. */
  readonly noisy: number
  readonly all: number
  /** Times that turns were run again. */
  readonly reruns: number
}

export function noiseOf(rows: readonly RowResult[]): Noise {
  const runs = rows.flatMap(({ variants }) => variants.flatMap(each => each.runs))
  const reruns = runs.reduce((sum, run) => sum + run.reruns, 0)
  return { noisy: runs.filter(isNoisy).length, all: runs.length, reruns }
}
