/** Runs rows: all variants of a row take turns, as often as wanted, each time in processes of its own. */

import { missingForNetwork } from '../lab/netns.ts'
import { openAnasazi } from './anasazi-site.ts'
import { BenchError } from './bench-error.ts'
import { CorosyncClient, missingForCorosync, openCorosync } from './corosync-site.ts'
import { runRaw } from './raw-run.ts'
import type { RowResult, Run } from './result.ts'
import { type Choices, type Row, rowsOf, rowTitle, type Variant, variantName, variantsOf } from './row.ts'
import type { Outcome } from './scenario.ts'
import { scenarios } from './scenarios.ts'
import type { Site, SiteOptions } from './site.ts'
import { isNoisy } from './summary.ts'

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
  /** How often a turn is run again that others disturbed. */
  readonly mostReruns: number
  /** Told what goes on, a line at a time. */
  readonly progress: (text: string) => void
  /** Told each row when it is complete. */
  readonly onRow: (result: RowResult) => void | Promise<void>
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
          const again = (): Promise<Run> => runOnce(row, variant, options, client)
          const run = await quietest(again, options.mostReruns, cores =>
            progress(`${title}: ${name} again, as others used ${cores.toFixed(2)} cores`),
          )
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

/**
 * Runs once more, so often at most, while others disturb; of all that did not fail the least disturbed one counts, whatever
 * its values are.
 */
export async function quietest(
  once: () => Promise<Run>,
  mostReruns: number,
  onNoise: (cores: number) => void,
): Promise<Run> {
  let best = await once()
  let reruns = 0
  while (isNoisy(best) && reruns < mostReruns) {
    onNoise(best.othersCores ?? 0)
    const next = await once()
    reruns++
    if (next.failed !== null) return { ...next, reruns }
    if ((next.othersCores ?? 0) < (best.othersCores ?? 0)) best = next
  }
  return { ...best, reruns }
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
    return { values, samples, times: times?.buckets() ?? [], othersCores, failed: null, reruns: 0 }
  } catch (error) {
    if (!(error instanceof BenchError)) throw error
    const failed = [error.message, error.advice].filter(Boolean).join(' ')
    return { values: {}, samples: {}, times: [], othersCores: null, failed, reruns: 0 }
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
  const site = await open(variant, { members: row.members, namespaces, settings: variant.settings }, client)
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
