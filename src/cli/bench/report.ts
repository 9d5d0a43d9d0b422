/** Results as text for a terminal, and as one JSON document. */

import { cpus, totalmem } from 'node:os'
import type { Paint } from '../style.ts'
import { columns } from '../style.ts'
import { hotFunctions, hotText } from './hot.ts'
import { measureNames, measures, type MeasureName, valueText } from './measures.ts'
import type { RowResult } from './result.ts'
import type { Settings } from './settings.ts'
import { comparisonsOf, noiseOf, noisyCores, type Spread, spreadsOf } from './summary.ts'
import type { Terrain } from './underlay.ts'

export interface Conditions extends Terrain {
  readonly version: string
  readonly node: string
  readonly cores: number
  readonly processor: string
  readonly memoryGigabytes: number
  /** Of the cells of all daemons of ours; empty: the defaults. */
  readonly settings: Settings
  readonly pairs: number
  readonly seconds: number
  /** Version of the peer; absent if none was measured. */
  readonly corosync?: string
}

export function machineConditions(): Pick<Conditions, 'node' | 'cores' | 'processor' | 'memoryGigabytes'> {
  const all = cpus()
  return {
    node: process.version,
    cores: all.length,
    processor: all[0]?.model.trim() ?? 'unknown',
    memoryGigabytes: Math.round(totalmem() / 2 ** 30),
  }
}

export interface Table {
  /** Variants, then comparisons: `a / b`. */
  readonly head: readonly string[]
  readonly lines: readonly { readonly name: MeasureName; readonly cells: readonly string[] }[]
}

/** A line for each measure, a column for each variant and each comparison. */
export function tableOf(result: RowResult): Table {
  const comparisons = comparisonsOf(result)
  const spreads = result.variants.map(spreadsOf)
  const head = [
    ...result.variants.map(({ name }) => name),
    ...comparisons.map(each => `${each.variant} / ${each.with}`),
  ]
  const lines = usedMeasures(result).map(name => ({
    name,
    cells: [
      ...spreads.map(each => spreadText(name, each[name])),
      ...comparisons.map(({ ratios }) => ratioText(ratios[name])),
    ],
  }))
  return { head, lines }
}

export function rowText(result: RowResult, paint: Paint): string {
  const { head, lines } = tableOf(result)
  const rows = lines.map(({ name, cells }) => [`  ${measures[name].label}`, measures[name].unit, ...cells])
  const failures = failuresOf(result).map(failure => `  ${paint('red', 'failed')} ${failure}\n`)
  const table = columns([['', '', ...head], ...rows], paint)
  return `${paint('bold', result.title)}\n${table}${hotText(result, paint)}\n${failures.join('')}`
}

/** What went wrong in which turn. */
export function failuresOf({ variants }: RowResult): string[] {
  return variants.flatMap(({ name, runs }) =>
    runs.flatMap(({ failed }, i) => (failed === null ? [] : [`${name}, round ${i + 1}: ${failed}`])),
  )
}

/** Measures that any variant of the row has, in the order of the table. */
export function usedMeasures({ variants }: RowResult): MeasureName[] {
  return measureNames.filter(name =>
    variants.some(({ runs }) => runs.some(({ values }) => values[name] !== undefined)),
  )
}

/** `median (least–most)`; of one turn its value; of repetitions `median, p99 …, max …`. */
export function spreadText(name: MeasureName, spread: Spread | undefined): string {
  if (spread === undefined) return '-'
  const { median, least, most, p99 } = spread
  if (least === most) return valueText(name, median)
  if (p99 !== undefined) {
    return `${valueText(name, median)}, p99 ${valueText(name, p99)}, max ${valueText(name, most)}`
  }
  return `${valueText(name, median)} (${valueText(name, least)}–${valueText(name, most)})`
}

export function ratioText(spread: Spread | undefined): string {
  if (spread === undefined) return '-'
  const { median, least, most } = spread
  if (least === most) return `× ${factorText(median)}`
  return `× ${factorText(median)} (${factorText(least)}–${factorText(most)})`
}

export function factorText(factor: number): string {
  return factor.toLocaleString('en', { maximumSignificantDigits: 3 })
}

/** What may have disturbed the results, in a line. */
export function noiseText(rows: readonly RowResult[]): string {
  const { noisy, all, reruns } = noiseOf(rows)
  const again = reruns === 0 ? '' : ` Turns were run again ${reruns} ${reruns === 1 ? 'time' : 'times'}.`
  if (noisy === 0) {
    return `No other process used more than ${noisyCores} cores during any of ${all} turns that count.${again}`
  }
  return `During ${noisy} of ${all} turns other processes used more than ${noisyCores} cores: do not trust small differences.${again}`
}

export function resultsJson(rows: readonly RowResult[], conditions: Conditions): string {
  const document = {
    conditions,
    noise: noiseOf(rows),
    rows: rows.map(result => ({
      title: result.title,
      row: result.row,
      variants: result.variants.map(variant => ({
        ...variant,
        // Whole profiles are in files of their own.
        runs: variant.runs.map(({ profiles: _profiles, ...run }) => run),
        summary: spreadsOf(variant),
        functions: hotFunctions(variant),
      })),
      comparisons: comparisonsOf(result),
    })),
  }
  return `${JSON.stringify(document, null, 2)}\n`
}
