/** Runs targets: so many inputs, or for so long; every input from (target, seed, run) alone. */

import { Random } from '../../lib/prng.ts'
import type { Target } from './target.ts'
import { targets } from './targets.ts'

export interface FuzzOptions {
  /** Names of targets. */
  readonly names: readonly string[]
  readonly seed: number
  /** Inputs for each target; null: until the time is over. */
  readonly runs: number | null
  /** Time for each target, ms. */
  readonly ms: number
  /** A single input, to see it again. */
  readonly only?: number
  readonly progress?: (target: string, inputs: number) => void
  /** With `only`: what the input is. */
  readonly show?: (what: string) => void
}

export interface FuzzFailureReport {
  readonly run: number
  readonly error: string
  /** The command that tries this input again. */
  readonly replay: string
}

export interface FuzzReport {
  readonly target: string
  readonly seed: number
  readonly corpus: number
  readonly inputs: number
  readonly ms: number
  /** How often each outcome came. */
  readonly outcomes: Readonly<Record<string, number>>
  readonly failures: readonly FuzzFailureReport[]
}

/** After so many a target has made its point. */
const mostFailures = 5

export function fuzz(options: FuzzOptions): FuzzReport[] {
  return targets.filter(({ name }) => options.names.includes(name)).map(target => fuzzTarget(target, options))
}

/** Runs one target. */
export function fuzzTarget(target: Target, options: FuzzOptions): FuzzReport {
  const { seed, runs, ms, only } = options
  const { name } = target
  const prepared = target.prepare()
  const root = new Random(seed).fork(name)
  const outcomes = new Map<string, number>()
  const failures: FuzzFailureReport[] = []
  const begun = performance.now()
  const first = only ?? 0
  const last = only === undefined ? (runs ?? Number.POSITIVE_INFINITY) : only + 1
  let run = first
  let toldAt = begun
  while (run < last && failures.length < mostFailures) {
    let outcome: string
    try {
      outcome = prepared.run(root.fork(run), options.show ?? (() => {}))
    } catch (error) {
      outcome = 'FAILURE'
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
      failures.push({ run, error: text, replay: `anasazi fuzz --target ${name} --seed ${seed} --run ${run}` })
    }
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
    run++
    const now = performance.now()
    if (now - toldAt > 500) {
      options.progress?.(name, run - first)
      toldAt = now
    }
    if (runs === null && only === undefined && now - begun >= ms) break
  }
  const sorted = [...outcomes].sort(([a], [b]) => (a < b ? -1 : 1))
  return {
    target: name,
    seed,
    corpus: prepared.corpus,
    inputs: run - first,
    ms: performance.now() - begun,
    outcomes: Object.fromEntries(sorted),
    failures,
  }
}
