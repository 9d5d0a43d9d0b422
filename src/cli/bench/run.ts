/** Runs rows: all variants of a row take turns, as often as wanted, each time in processes of its own. */

import { missingForNetwork } from '../lab/netns.ts'
import { BenchError } from './bench-error.ts'
import { CorosyncClient, missingForCorosync } from './corosync-site.ts'
import type { RowResult, Run } from './result.ts'
import { type Choices, rowsOf, rowTitle, variantName, variantsOf } from './row.ts'
import { isNoisy } from './summary.ts'
import { runTurn, type TurnOptions } from './turn.ts'

export interface BenchOptions extends TurnOptions {
  readonly choices: Choices
  /** How often every variant has its turn. */
  readonly pairs: number
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
  // Every process that is started must end with this one: as many listeners as there are processes are no leak.
  process.setMaxListeners(0)
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
          let tries = 0
          const again = (): Promise<Run> => {
            const label = `${title} ${name} ${round}${tries++ === 0 ? '' : ` again ${tries - 1}`}`
            return runTurn(row, variant, options, client, label)
          }
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

function refuseWhatIsMissing({ choices, terrain }: BenchOptions): void {
  if (terrain.delayMs > 0 && choices.peers.length > 0) {
    throw new BenchError('corosync cannot be measured with a delay: the link emulator relays TCP only')
  }
  if (terrain.rateLimit > 0 && !terrain.namespaces) {
    throw new BenchError('there is no rate to be limited on loopback', 'Use --network namespaces.')
  }
  const forPeer = choices.peers.length === 0 ? null : missingForCorosync()
  if (forPeer !== null) throw new BenchError(`corosync cannot be measured here: ${forPeer}`)
  const missing = terrain.namespaces ? missingForNetwork() : null
  if (missing !== null) throw new BenchError(missing, 'Use --network loopback, which needs nothing.')
}
