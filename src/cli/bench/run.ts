/** Runs rows: all variants of a row take turns, as often as wanted, each time in processes of its own. */

import { missingForNetwork } from '../lab/netns.ts'
import { openAnasazi } from './anasazi-site.ts'
import { BenchError } from './bench-error.ts'
import { CorosyncClient, missingForCorosync, openCorosync } from './corosync-site.ts'
import type { Buckets } from './histogram.ts'
import type { Samples, Values } from './measures.ts'
import { runRaw } from './raw-run.ts'
import { type Choices, type Row, rowsOf, rowTitle, type Variant, variantName, variantsOf } from './row.ts'
import type { Outcome } from './scenario.ts'
import { scenarios } from './scenarios.ts'
import type { Site, SiteOptions } from './site.ts'

export interface BenchOptions {
  readonly choices: Choices
  /** How often every variant has its turn. */
  readonly pairs: number
  /** That each turn measures. */
  readonly seconds: number
  /** Before that, for each daemon of the row: what has run for so short a time is not compiled yet. */
  readonly warmSeconds: number
  /** How often each change of views is done in a turn. */
  readonly repeat: number
  /** Each daemon in a network namespace of its own. */
  readonly namespaces: boolean
  /** Told what goes on, a line at a time. */
  readonly progress: (text: string) => void
  /** Told each row when it is complete. */
  readonly onRow: (result: RowResult) => void | Promise<void>
}

/** One turn of one variant. */
export interface Run {
  readonly values: Values
  /** What was measured several times in this turn; `values` has the medians. */
  readonly samples: Samples
  /** Times of delivery at others, µs, by `histogram.ts`; empty where none were taken. */
  readonly times: Buckets
  /** Cores that others used meanwhile; null if unknown. */
  readonly othersCores: number | null
  /** Why there are no values; null if all went well. */
  readonly failed: string | null
}

export interface VariantResult {
  readonly name: string
  readonly variant: Variant
  readonly runs: readonly Run[]
}

export interface RowResult {
  readonly title: string
  readonly row: Row
  readonly variants: readonly VariantResult[]
}

/**
 * A turn that ends otherwise than it should, by a broken promise for example, has no values but says so; the others go on.
 *
 * @throws BenchError if it cannot be run here.
 */
export async function runBench(options: BenchOptions): Promise<RowResult[]> {
  const { choices, pairs, progress } = options
  refuseWhatIsMissing(options)
  const client = choices.peers.length === 0 ? null : new CorosyncClient()
  try {
    const results: RowResult[] = []
    for (const row of rowsOf(choices)) {
      const title = rowTitle(row)
      const variants = variantsOf(row, choices).map(variant => ({
        name: variantName(variant),
        variant,
        runs: [] as Run[],
      }))
      for (let round = 1; round <= pairs; round++) {
        for (const { name, variant, runs } of variants) {
          progress(`${title}: ${name}, round ${round} of ${pairs}`)
          const run = await runOnce(row, variant, options, client)
          if (run.failed !== null) progress(`${title}: ${name} failed: ${run.failed}`)
          runs.push(run)
        }
      }
      const result = { title, row, variants }
      results.push(result)
      await options.onRow(result)
    }
    return results
  } finally {
    client?.close()
  }
}

function refuseWhatIsMissing({ choices, namespaces }: BenchOptions): void {
  const forPeer = choices.peers.length === 0 ? null : missingForCorosync()
  if (forPeer !== null) throw new BenchError(`corosync cannot be measured here: ${forPeer}`)
  const missing = namespaces ? missingForNetwork() : null
  if (missing !== null) throw new BenchError(missing, 'Use --network loopback, which needs nothing.')
}

async function runOnce(
  row: Row,
  variant: Variant,
  options: BenchOptions,
  client: CorosyncClient | null,
): Promise<Run> {
  try {
    const { values, samples = {}, times, othersCores } = await measure(row, variant, options, client)
    return { values, samples, times: times?.buckets() ?? [], othersCores, failed: null }
  } catch (error) {
    if (!(error instanceof BenchError)) throw error
    const failed = [error.message, error.advice].filter(Boolean).join(' ')
    return { values: {}, samples: {}, times: [], othersCores: null, failed }
  }
}

async function measure(
  row: Row,
  variant: Variant,
  options: BenchOptions,
  client: CorosyncClient | null,
): Promise<Outcome> {
  const { system } = variant
  const { namespaces, seconds, warmSeconds, repeat } = options
  const timing = { seconds, warmSeconds: warmSeconds * row.members, repeat }
  if (system === 'raw' || system === 'direct') return runRaw(system, row, namespaces, timing)
  const site = await open(variant, { members: row.members, namespaces }, client)
  try {
    return await scenarios[row.kind](site, row, variant, timing)
  } finally {
    await site.close()
  }
}

function open({ system }: Variant, options: SiteOptions, client: CorosyncClient | null): Promise<Site> {
  if (system === 'anasazi') return openAnasazi(options)
  if (client === null) throw new BenchError('the client of corosync was not compiled')
  return openCorosync(client, system === 'corosync' ? 'knet' : 'udpu', options)
}
