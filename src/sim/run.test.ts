import { describe, expect, test } from 'vitest'
import type { CellApi, CellEvent, Outgoing } from '../core/api.ts'
import type { Frame } from '../core/frames.ts'
import { formatColumns } from './columns.ts'
import { calmLink } from './network.ts'
import { shortScenario } from './preset.ts'
import { coreOnly, production } from './production.ts'
import { distribution, summarize } from './report.ts'
import { run } from './run.ts'
import { settingsOf } from './settings.ts'
import { optionLines, playScenario } from './play.ts'
import type { World } from './world.ts'

const small = (seed: number) => {
  const settings = settingsOf(seed)
  return {
    ...settings,
    members: 3,
    workload: { ...settings.workload, messages: 60 },
    phases: { ...settings.phases, safetyMs: 800 },
  }
}

describe('a run', () => {
  test('is the same every time, traces and all, whatever ran in between', () => {
    const first = run({ settings: small(5), parts: production })
    run({ settings: small(6), parts: production })
    const second = run({ settings: small(5), parts: production })
    expect(second.result).toEqual({ ...first.result, elapsedMs: second.result.elapsedMs })
    expect(second.world.recorder.cellLines).toEqual(first.world.recorder.cellLines)
    expect(second.world.recorder.clientLines).toEqual(first.world.recorder.clientLines)
  })

  test('keeping notes changes nothing', () => {
    const quiet = run({ settings: small(7), parts: production })
    const noted = run({ settings: small(7), parts: production, notes: true })
    expect(noted.result.hash).toBe(quiet.result.hash)
    expect(noted.world.recorder.notes.length).toBeGreaterThan(10)
  })

  test.each([4, 5])('seed %i: what happened can be played again as a scenario', seed => {
    const settings = { ...small(seed), buggify: 0.05 }
    const { world, script } = run({ settings, parts: production })
    const lines = script.map(({ at, text }) => `at ${at}ms ${text}`)
    const source = [`members ${settings.members}`, ...optionLines(settings), ...lines].join('\n')
    const again = playScenario(source, production)
    expect(again.violations).toEqual([])
    const { cellLines } = world.recorder
    expect(cellLines.length).toBeGreaterThan(100)
    expect(again.world.recorder.cellLines.slice(0, cellLines.length)).toEqual(cellLines)
  })

  test('another seed is another run', () => {
    const hashes = [8, 9].map(seed => run({ settings: small(seed), parts: production }).result.hash)
    expect(hashes[0]).not.toBe(hashes[1])
  })

  test.each([11, 12, 13])('core alone, seed %i: every check holds', seed => {
    const { result } = run({ settings: small(seed), parts: coreOnly, groups: false })
    expect(result.violations).toEqual([])
    expect(result.delivered).toBeGreaterThan(0)
  })

  test.each([21, 22, 23])('all of it, seed %i: every check holds', seed => {
    const { result } = run({ settings: small(seed), parts: production })
    expect(result.violations).toEqual([])
    expect(result.messages).toBeGreaterThanOrEqual(60)
  })
})

test('what is suspected after the faults for a silence in them is no change of what converged', () => {
  const settings = {
    ...small(5),
    members: 2,
    network: calmLink,
    faults: { without: [], count: 0, recoveryChance: 0, recoveryCount: 0 },
  }
  const healsAt = settings.phases.warmUpMs + settings.phases.safetyMs
  // So long that some silences last for just the suspicion, which the first heartbeat after the cut may or may not prevent.
  const runs = [200, 205, 210, 215, 220, 225, 230, 235].map(cutMs => {
    const prepare = (world: World): void => {
      world.scheduler.at(healsAt - cutMs, () => {
        world.disturb([0, 1], 'links').until = Number.POSITIVE_INFINITY
        world.network.cut(0, 1)
        world.network.cut(1, 0)
      })
    }
    return run({ settings, parts: production, prepare }).result
  })
  expect(runs.flatMap(({ violations }) => violations)).toEqual([])
  // The split that comes late, and the merge after it.
  expect(runs.some(({ convergedMs }) => convergedMs > 20)).toBe(true)
})

/** Wraps every cell of a run. */
function tampered(change: (cell: CellApi, host: number) => void) {
  let count = 0
  return {
    ...production,
    cell: (...args: Parameters<typeof production.cell>) => {
      const cell = production.cell(...args)
      change(cell, count++)
      return cell
    },
  }
}

function dropEvents(cell: CellApi, drop: (event: CellEvent) => boolean): void {
  const take = cell.takeEvents.bind(cell)
  cell.takeEvents = () => take().filter(event => !drop(event))
}

/** Which properties a run without faults breaks. */
const properties = (parts: typeof production) =>
  run({
    settings: { ...small(5), faults: { without: [], count: 0, recoveryChance: 0, recoveryCount: 0 } },
    parts,
    groups: false,
  })
    .result.violations.map(violation => violation.property)
    .join()

describe('the judges notice', () => {
  test('a delivery that one member misses', () => {
    let missed = false
    const parts = tampered((cell, index) => {
      dropEvents(cell, event => {
        const head = event.type === 'deliver' ? (event.segment.head as { kind: string }) : null
        if (index !== 1 || missed || head?.kind !== 'messages') return false
        return (missed = true)
      })
    })
    expect(properties(parts)).toMatch(/EVS/)
  })

  test('a safe delivery of what others do not hold', () => {
    const parts = tampered(cell => {
      // Claims to everybody that it holds what it was never sent.
      const receive = cell.receive.bind(cell)
      cell.receive = (from, frame, now) => receive(from, boast(frame), now)
    })
    expect(properties(parts)).toMatch(/safe means held by all|exception|EVS/)
  })

  test('members that never agree', () => {
    const parts = tampered((cell, index) => {
      if (index !== 2) return
      const take = cell.takeOutbox.bind(cell)
      cell.takeOutbox = () =>
        take().filter(({ frame }: Outgoing) => frame.kind !== 'recovered' && frame.kind !== 'state')
    })
    expect(properties(parts)).toMatch(/convergence/)
  })

  test('an exception inside a cell', () => {
    const parts = tampered((cell, index) => {
      if (index === 1) {
        cell.evaluate = () => {
          throw new Error('boom')
        }
      }
    })
    expect(properties(parts)).toMatch(/no exception/)
  })
})

function boast(frame: Frame): Frame {
  if (frame.kind !== 'data' && frame.kind !== 'facts') return frame
  return { ...frame, facts: { ...frame.facts, received: frame.facts.received + 5000 } }
}

describe('what is printed', () => {
  test('the short run of a seed shows a partition and a merge', () => {
    const { world, violations } = playScenario(shortScenario(42), production, 42)
    expect(violations).toEqual([])
    const text = formatColumns(world, { color: false, width: 110 })
    expect(text).toMatch(/━━ cut /)
    expect(text).toMatch(/━━ healed /)
    expect(text).toMatch(/■ \d+ \{n1 n2 n3/)
    expect(Math.max(...text.split('\n').map(line => line.length))).toBeLessThanOrEqual(110)
  })

  test('a summary fails with the lowest failing seed and how to replay it', () => {
    const { result } = run({ settings: small(5), parts: production })
    const violations = [{ property: 'EVS 4', at: 1, detail: 'x' }]
    const results = [9, 3, 4].map(seed => ({ ...result, seed, violations: seed === 4 ? [] : violations }))
    const summary = summarize(results, { from: 3, to: 9, wallMs: 1, repeated: new Map([[4, 'other']]) })
    expect(summary).toMatchObject({ passed: false, failures: 2, properties: { 'EVS 4': [3, 9] } })
    expect(summary.firstFailure).toMatchObject({ seed: 3, replay: 'anasazi sim --seed 3 --full' })
    expect(summary.repeated.differed).toEqual([4])
  })

  test('a distribution', () => {
    expect(distribution([5, 1, 3, 2, 4])).toEqual({ min: 1, p10: 1, median: 3, p90: 5, max: 5 })
    expect(distribution([])).toEqual({ min: 0, p10: 0, median: 0, p90: 0, max: 0 })
  })
})
