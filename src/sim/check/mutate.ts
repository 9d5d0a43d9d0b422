/**
 * Checks the checkers: spoils valid traces in one place and counts what is noticed.
 *
 * A mutation is *equivalent* if the spoiled trace is still valid. Each mutator decides that by an argument about the
 * specification, written above it, and names the properties that the mutation breaks; never by asking a checker.
 */

import { Random } from '../../lib/prng.ts'
import { checkBundle, deadOf, type TraceBundle } from './bundle.ts'
import { CellTrace, type History } from './cell-trace.ts'
import { GroupTrace, type GroupHistory } from './groups-trace.ts'
import { GroupWalk } from './groups-walk.ts'
import { CELL_MUTATORS } from './mutate-cell.ts'
import { FATE_MUTATORS } from './mutate-fates.ts'
import { GROUP_MUTATORS } from './mutate-groups.ts'
import { Report } from './report.ts'

/** A valid trace with what is known of it. */
export interface Specimen {
  readonly bundle: TraceBundle
  readonly cell: History
  readonly groups: GroupHistory
}

export interface Mutation {
  readonly bundle: TraceBundle
  /** The properties that it breaks, any of which may notice it; none: it is equivalent. */
  readonly breaks: readonly string[]
}

export interface Mutator {
  readonly name: string
  /** Spoils one place; null if the trace has no place of the kind. */
  readonly apply: (specimen: Specimen, random: Random) => Mutation | null
}

export interface MutationRow {
  readonly name: string
  /** Mutations made. */
  tried: number
  equivalent: number
  /** Of those that are not equivalent: noticed at all. */
  caught: number
  /** Noticed by a property that it breaks. */
  right: number
  /** Equivalent ones that were called violations. */
  alarms: number
  /** What went wrong first, for whoever must repair it. */
  example: string | null
}

export const MUTATORS: readonly Mutator[] = [...CELL_MUTATORS, ...GROUP_MUTATORS, ...FATE_MUTATORS]

export function specimenOf(bundle: TraceBundle): Specimen {
  const report = new Report()
  const cell = new CellTrace()
  for (const line of bundle.cell) cell.line(line)
  const groups = new GroupTrace()
  for (const line of bundle.clients) groups.line(line)
  return {
    bundle,
    cell: cell.history(report, { drained: bundle.drained }),
    groups: new GroupWalk(groups, { drained: bundle.drained, dead: deadOf(bundle) }, report),
  }
}

/** Applies every mutator to every trace, `each` times, and counts what the checkers notice. */
export function mutationTable(traces: Iterable<TraceBundle>, seed: number, each = 1): MutationRow[] {
  const rows = MUTATORS.map(({ name }): MutationRow => {
    return { name, tried: 0, equivalent: 0, caught: 0, right: 0, alarms: 0, example: null }
  })
  let number = 0
  for (const bundle of traces) {
    const specimen = specimenOf(bundle)
    const random = new Random(seed).fork(number++)
    MUTATORS.forEach((mutator, index) => {
      for (let i = 0; i < each; i++) {
        const mutation = mutator.apply(specimen, random)
        if (mutation) count(rows[index]!, mutation, number - 1)
      }
    })
  }
  return rows
}

function count(row: MutationRow, mutation: Mutation, trace: number): void {
  const violations = checkBundle(mutation.bundle)
  const found = new Set(violations.map(({ property }) => property))
  row.tried++
  if (mutation.breaks.length === 0) {
    row.equivalent++
    if (found.size === 0) return
    row.alarms++
    row.example ??= `trace ${trace}: held to be equivalent, but: ${violations[0]!.property}: ${violations[0]!.what}`
    return
  }
  if (found.size > 0) row.caught++
  if (mutation.breaks.some(property => found.has(property))) row.right++
  else
    row.example ??= `trace ${trace}: breaks ${mutation.breaks.join(', ')}; found: ${[...found].join(', ') || 'nothing'}`
}

/** The table as text, one mutator a line. */
export function mutationText(rows: readonly MutationRow[]): string {
  const head = ['mutation', 'tried', 'equivalent', 'caught', 'by the right property', 'false alarms']
  const cells = rows.map(row => {
    const broken = row.tried - row.equivalent
    const share = (part: number): string => (broken === 0 ? '–' : `${((100 * part) / broken).toFixed(1)} %`)
    return [
      row.name,
      `${row.tried}`,
      `${row.equivalent}`,
      share(row.caught),
      share(row.right),
      `${row.alarms}`,
    ]
  })
  const widths = head.map((name, column) => Math.max(name.length, ...cells.map(row => row[column]!.length)))
  const line = (row: string[]): string =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join('  ')
  return `${[head, ...cells].map(line).join('\n')}\n`
}
