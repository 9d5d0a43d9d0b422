/** Plays scenarios, one after the other, and says what held. */

import { readFileSync } from 'node:fs'
import { messageOf } from '../session.ts'
import { Cluster } from './cluster.ts'
import { Findings, type Measure } from './findings.ts'
import type { Play, Scenario } from './scenario.ts'

export type Where = 'simulator' | 'processes'
export type Verdict = 'held' | 'broken' | 'skipped' | 'unsupported'

/** What became of a scenario in one of the two places. */
export interface Outcome {
  readonly where: Where
  readonly verdict: Verdict
  /** Why it did not hold, was skipped, or is not supported. */
  readonly why: readonly string[]
  readonly notes: readonly string[]
  readonly measures: readonly Measure[]
  /** What the checkers have read. */
  readonly extent: string
  readonly rounds: number
  readonly elapsedMs: number
}

export interface Result {
  readonly scenario: Scenario
  readonly outcomes: readonly Outcome[]
}

export interface RunOptions {
  /** Rounds of those on real processes; at least as many as a scenario has varieties. */
  readonly repeat: number
  readonly where: readonly Where[]
  /** Told what goes on; a line at a time. */
  readonly progress: (text: string) => void
  /** True: the directory of a scenario that did not hold stays, with traces and logs. */
  readonly keep: boolean
  /** False: times are measured, but not judged: the machine is busy with other things. */
  readonly judgesTime: boolean
}

export async function runScenario(scenario: Scenario, options: RunOptions): Promise<Result> {
  const outcomes: Outcome[] = []
  for (const where of options.where) {
    const outcome = await judged(where, scenario, options)
    if (outcome !== null) outcomes.push(outcome)
  }
  return { scenario, outcomes }
}

async function judged(where: Where, scenario: Scenario, options: RunOptions): Promise<Outcome | null> {
  const none = { where, notes: [], measures: [], extent: '', rounds: 0, elapsedMs: 0 }
  const { unsupported, simulator, real } = scenario
  if (unsupported !== undefined) return { ...none, verdict: 'unsupported', why: [unsupported] }
  const began = performance.now()
  const tell = (text: string): void => options.progress(`${scenario.name}: ${where}: ${text}`)
  if (where === 'simulator') {
    if (typeof simulator === 'string') return null
    const why = await simulate(simulator, tell)
    const verdict = why.length === 0 ? 'held' : 'broken'
    return { ...none, verdict, why, rounds: 1, elapsedMs: performance.now() - began }
  }
  if (typeof real === 'string') return null
  const missing = real.missing?.() ?? null
  if (missing !== null) return { ...none, verdict: 'skipped', why: [missing] }
  return play(real, options, tell)
}

/** Text of a scenario of the simulator, as it lies in the repository. */
export function scenarioText(name: string): string {
  return readFileSync(new URL(`../../../test/scenarios/${name}.scenario`, import.meta.url), 'utf8')
}

async function simulate(names: readonly string[], tell: (text: string) => void): Promise<string[]> {
  const { playScenario } = await import('../../sim/play.ts')
  const { production } = await import('../../sim/production.ts')
  const why: string[] = []
  for (const name of names) {
    tell(name)
    const { violations } = playScenario(scenarioText(name), production)
    why.push(...violations.slice(0, 5).map(({ property, detail }) => `${name}: ${property}: ${detail}`))
  }
  return why
}

async function play(real: Play, options: RunOptions, tell: (text: string) => void): Promise<Outcome> {
  const began = performance.now()
  const rounds = Math.max(options.repeat, real.varieties ?? 1)
  const findings = new Findings(options.judgesTime)
  let extent = ''
  let cluster: Cluster | null = null
  try {
    tell('starting')
    cluster = await Cluster.open(real.options(), findings)
    for (let index = 0; index < rounds; index++) {
      if (rounds > 1 && index % Math.ceil(rounds / 20) === 0) tell(`round ${index + 1} of ${rounds}`)
      await real.round(cluster, index)
    }
    tell('verifying')
    const { lines, daemons, sessions } = await cluster.finish()
    extent = `${lines} lines of ${daemons} daemons and ${sessions} sessions`
  } catch (error) {
    findings.broken.push(messageOf(error))
    if (error instanceof Error && error.name !== 'StuckError') tell(String(error.stack))
  }
  const { broken: why, notes, measures } = findings
  const keep = options.keep && why.length > 0
  const directory = await cluster?.close(keep)
  if (keep && directory !== undefined) tell(`logs and traces are in ${directory}`)
  const verdict = why.length === 0 ? 'held' : 'broken'
  const elapsedMs = performance.now() - began
  return { where: 'processes', verdict, why, notes, measures, extent, rounds, elapsedMs }
}
