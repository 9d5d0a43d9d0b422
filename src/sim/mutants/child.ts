/**
 * Runs in a process of its own, out of a patched copy of the build: scenarios and seeds, until something is found.
 * Reads its orders from the first argument, writes one JSON object a line.
 */

import { production } from '../production.ts'
import type { Violation } from '../recorder.ts'
import { run } from '../run.ts'
import { settingsOf } from '../settings.ts'
import { playScenario } from '../stage.ts'

export interface Orders {
  readonly scenarios: readonly { readonly name: string; readonly source: string }[]
  /** Seeds 1 … this. */
  readonly seeds: number
}

/** One line of output. The first is `ready`, which proves that the patched code can be loaded. */
export type ChildLine =
  | { readonly ready: true }
  | {
      readonly by: 'scenario' | 'seed'
      readonly where: string
      /** The first violation; null: none. */
      readonly violation: Violation | null
    }

function tell(line: ChildLine): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

/** What was found; an exception that no judge caught is a finding too. */
function firstOf(judge: () => readonly Violation[]): Violation | null {
  try {
    return judge()[0] ?? null
  } catch (error) {
    const detail = error instanceof Error ? (error.stack ?? error.message) : String(error)
    return { property: 'no exception', at: 0, detail }
  }
}

function work({ scenarios, seeds }: Orders): void {
  for (const { name, source } of scenarios) {
    const violation = firstOf(() => playScenario(source, production).violations)
    tell({ by: 'scenario', where: name, violation })
    if (violation !== null) return
  }
  for (let seed = 1; seed <= seeds; seed++) {
    const violation = firstOf(
      () => run({ settings: settingsOf(seed), parts: production }).result.violations,
    )
    tell({ by: 'seed', where: String(seed), violation })
    if (violation !== null) return
  }
}

tell({ ready: true })
work(JSON.parse(process.argv[2] ?? '') as Orders)
