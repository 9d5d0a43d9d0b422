/**
 * Runs in a process of its own, out of a patched copy of the build: scenarios and seeds, until something is found.
 * Reads its orders from the first argument, writes one JSON object a line.
 */

import { checkCell } from '../check/cell.ts'
import { checkGroups } from '../check/groups.ts'
import { production } from '../production.ts'
import type { Violation } from '../recorder.ts'
import { run } from '../run.ts'
import { settingsOf } from '../settings.ts'
import { playScenario } from '../play.ts'
import type { World } from '../world.ts'

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

/** A broken promise to the outside says most, then what an oracle saw inside, a scenario's expectation, an assertion. */
function weight({ property }: Violation): number {
  if (/^(EVS|Groups|Fates) /.test(property)) return 0
  return property === 'no exception' ? 3 : property === 'scenario' ? 2 : 1
}

function strongest(violations: readonly Violation[]): Violation | null {
  return [...violations].sort((a, b) => weight(a) - weight(b))[0] ?? null
}

/** An assertion ends a run before it is judged; what the traces show by then is judged here. */
function judgeTraces(world: World): Violation[] {
  const { cellLines, clientLines } = world.recorder
  return [
    ...checkCell(cellLines, { drained: false }),
    ...checkGroups(clientLines, { drained: false, dead: world.dead() }),
  ].map(({ property, what }) => ({ property, at: world.now, detail: what }))
}

/** What was found; an exception that no judge caught is a finding too. */
function find(
  play: () => { readonly world: World; readonly violations: readonly Violation[] },
): Violation | null {
  try {
    const { world, violations } = play()
    return strongest(world.aborted ? [...violations, ...judgeTraces(world)] : violations)
  } catch (error) {
    const detail = error instanceof Error ? (error.stack ?? error.message) : String(error)
    return { property: 'no exception', at: 0, detail }
  }
}

function work({ scenarios, seeds }: Orders): void {
  for (const { name, source } of scenarios) {
    const violation = find(() => playScenario(source, production))
    tell({ by: 'scenario', where: name, violation })
    if (violation !== null) return
  }
  for (let seed = 1; seed <= seeds; seed++) {
    const violation = find(() => {
      const { result, world } = run({ settings: settingsOf(seed), parts: production })
      return { world, violations: result.violations }
    })
    tell({ by: 'seed', where: String(seed), violation })
    if (violation !== null) return
  }
}

tell({ ready: true })
work(JSON.parse(process.argv[2] ?? '') as Orders)
