/** One turn: one variant does the work of one row once, in processes of its own. */

import { openAnasazi } from './anasazi-site.ts'
import { BenchError } from './bench-error.ts'
import { cells } from './cells-scenario.ts'
import { type CorosyncClient, openCorosync } from './corosync-site.ts'
import { maximumOf } from './load-scenarios.ts'
import { readProfiles, turnDirectory } from './profile-files.ts'
import { runRaw } from './raw-run.ts'
import type { Run } from './result.ts'
import type { Row, Variant } from './row.ts'
import type { Outcome } from './scenario.ts'
import { scenarios } from './scenarios.ts'
import type { Site, SiteOptions } from './site.ts'
import type { Terrain } from './underlay.ts'

export interface TurnOptions {
  readonly terrain: Terrain
  /** That each turn measures. */
  readonly seconds: number
  /** Before that, for each daemon of the row: what has run for so short a time is not compiled yet. */
  readonly warmSeconds: number
  /** How often each change of views is done in a turn. */
  readonly repeat: number
  /** Directory for profiles of our processes; null: none are wanted. */
  readonly profile: string | null
}

/**
 * What is the fault of what is measured is said by the run.
 * @param name of the turn, for its files.
 */
export async function runTurn(
  row: Row,
  variant: Variant,
  options: TurnOptions,
  client: CorosyncClient | null,
  name: string,
): Promise<Run> {
  const profile = options.profile === null ? null : turnDirectory(options.profile, name)
  try {
    const outcome = await measure(row, variant, { ...options, profile }, client)
    const { values, samples = {}, times, othersCores, span = null } = outcome
    const profiles = profile === null ? {} : readProfiles(profile, span)
    return {
      values,
      samples,
      times: times?.buckets() ?? [],
      othersCores,
      failed: null,
      profiles,
      reruns: 0,
    }
  } catch (error) {
    if (!(error instanceof BenchError)) throw error
    const failed = [error.message, error.advice].filter(Boolean).join(' ')
    return { values: {}, samples: {}, times: [], othersCores: null, failed, profiles: {}, reruns: 0 }
  }
}

async function measure(
  row: Row,
  variant: Variant,
  options: TurnOptions,
  client: CorosyncClient | null,
): Promise<Outcome> {
  const { system, settings } = variant
  const { terrain, seconds, warmSeconds, repeat, profile } = options
  const timing = { seconds, warmSeconds: warmSeconds * row.members, repeat }
  if (system === 'raw' || system === 'direct') return runRaw(system, row, terrain, timing)
  if (row.kind === 'cells') return cells(row, variant, { terrain, settings, profile }, timing)
  const onSite = async <Result>(
    how: Partial<SiteOptions>,
    use: (site: Site) => Promise<Result>,
  ): Promise<Result> => {
    const site = await open(system, { members: row.members, terrain, settings, profile, ...how }, client)
    try {
      return await use(site)
    } finally {
      await site.close()
    }
  }
  const work = scenarios[row.kind]
  if (row.ofMaximum === 0) return onSite({}, site => work(site, row, variant, timing))
  const maximum = await onSite({ profile: null }, site => maximumOf(site, row, variant, timing))
  const load = { ...row, rate: (maximum * row.ofMaximum) / (row.talkers - 1) }
  const outcome = await onSite({}, site => work(site, load, variant, timing))
  return { ...outcome, values: { maximum, ...outcome.values } }
}

function open(system: Variant['system'], options: SiteOptions, client: CorosyncClient | null): Promise<Site> {
  if (system === 'anasazi') return openAnasazi(options)
  if (client === null) throw new BenchError('the client of corosync was not compiled')
  return openCorosync(client, system === 'corosync' ? 'knet' : 'udpu', options)
}
