/** `anasazi sim --swarm`. */

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { production } from './production.ts'
import { formatFailure } from './report.ts'
import { run } from './run.ts'
import { swarmSettingsOf } from './settings.ts'
import {
  formatSwarm,
  runSwarm,
  shrinkSeed,
  type SwarmFailure,
  swarmReplay,
  type SwarmTotals,
} from './swarm.ts'

export interface SwarmFlags {
  /** One seed only. */
  readonly seed?: number
  /** First seed; drawn if it is not given. */
  readonly from?: number | undefined
  readonly minutes: number
  readonly jobs: number
  readonly failFast?: boolean
  readonly json?: boolean
  /** Directory for scenarios. */
  readonly keep?: string
}

/** Failures that are made small, each of another property; and the time for one, in seconds. */
const maxShrunk = 3
const shrinkSeconds = 120

const minuteNs = 60_000_000_000n
/** The first one ends the hunt with what it found so far. */
const signals: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM']

/** @returns the exit code. */
export async function huntSwarm(flags: SwarmFlags): Promise<number> {
  if (flags.seed !== undefined) return oneSeed(flags, flags.seed)
  const from = flags.from ?? Math.floor(Math.random() * 2 ** 40)
  const { minutes, jobs } = flags
  let interrupted = false
  const interrupt = (): void => {
    interrupted = true
  }
  for (const signal of signals) process.once(signal, interrupt)
  const failFast = flags.failFast === true
  const progress = progressOf()
  const stopped = (): boolean => interrupted
  const summary = await runSwarm({ from, minutes, jobs, failFast, stopped, progress, failure: tellFailure })
  for (const signal of signals) process.off(signal, interrupt)
  if (process.stderr.isTTY === true) process.stderr.write('\r\u001b[K')
  if (flags.json !== true) print(formatSwarm(summary))
  const scenarios = shrinkAll(summary.failures, flags)
  if (flags.json === true) print(JSON.stringify({ ...summary, passed: summary.failed === 0, scenarios }))
  return summary.failed === 0 ? 0 : 1
}

function oneSeed(flags: SwarmFlags, seed: number): number {
  const settings = swarmSettingsOf(seed)
  const { result } = run({ settings, parts: production })
  const { violations } = result
  if (violations.length === 0) {
    print(flags.json === true ? JSON.stringify({ ...result, settings }) : `seed ${seed}: every check holds`)
    return 0
  }
  if (flags.json !== true) print(formatFailure(seed, violations))
  const scenarios = shrinkAll([{ seed, violations, replay: swarmReplay(seed) }], flags)
  if (flags.json === true) print(JSON.stringify({ ...result, settings, scenarios }))
  return 1
}

interface KeptScenario {
  readonly seed: number
  readonly property: string
  readonly scenario: string | null
}

function shrinkAll(failures: readonly SwarmFailure[], flags: SwarmFlags): KeptScenario[] {
  const kept: KeptScenario[] = []
  for (const { seed, violations } of failures) {
    const property = violations[0]?.property ?? ''
    if (kept.length >= maxShrunk || kept.some(other => other.property === property)) continue
    process.stderr.write(`making seed ${seed} small (${property}) …\n`)
    const { scenario, before, after, tries } = shrinkSeed(seed, property, shrinkSeconds)
    kept.push({ seed, property, scenario })
    if (scenario !== null && flags.keep !== undefined) keep(flags.keep, seed, property, scenario)
    if (flags.json === true) continue
    if (scenario === null) print(`\nseed ${seed}: played from its script it does not fail`)
    else print(`\nseed ${seed}: ${before} lines made ${after} in ${tries} tries:\n\n${scenario}`)
  }
  return kept
}

function keep(directory: string, seed: number, property: string, scenario: string): void {
  mkdirSync(directory, { recursive: true })
  const file = join(directory, `${property.replace(/[^a-z0-9]+/gi, '-')}-${seed}.scenario`)
  writeFileSync(file, scenario)
  process.stderr.write(`written to ${file}\n`)
}

function tellFailure({ seed, violations }: SwarmFailure): void {
  const clear = process.stderr.isTTY === true ? '\r\u001b[K' : ''
  process.stderr.write(`${clear}seed ${seed} failed: ${violations[0]?.property}\n`)
}

/** On a terminal a line that changes; elsewhere a line a minute. */
function progressOf(): (totals: SwarmTotals) => void {
  const terminal = process.stderr.isTTY === true
  let toldAt = process.hrtime.bigint()
  return ({ seeds, failed, virtualMs }) => {
    const now = process.hrtime.bigint()
    if (!terminal && now - toldAt < minuteNs) return
    toldAt = now
    const line = `${seeds} seeds, ${failed} failed, ${(virtualMs / 3_600_000).toFixed(2)} simulated hours`
    process.stderr.write(terminal ? `\r${line} ` : `${line}\n`)
  }
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}
