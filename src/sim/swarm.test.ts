import { expect, test } from 'vitest'
import type { SegmentHead } from '../groups/types.ts'
import { buggifyPoints } from '../lib/buggify.ts'
import { playScenario } from './play.ts'
import { production } from './production.ts'
import { run } from './run.ts'
import { swarmSettingsOf } from './settings.ts'
import { shrink } from './shrink.ts'

/** A cell that says it delivered what it dropped: every third segment that its own clients sent. */
const forgetful: typeof production = {
  ...production,
  cell: (options, now) => {
    const cell = production.cell(options, now)
    const take = cell.takeEvents.bind(cell)
    let own = 0
    cell.takeEvents = () =>
      take().filter(event => {
        if (event.type !== 'deliver' || event.sender !== cell.self) return true
        return (event.segment.head as SegmentHead).kind !== 'messages' || ++own % 3 > 0
      })
    return cell
  },
}

test('what fails is made small, and still fails', () => {
  const base = swarmSettingsOf(3)
  const settings = {
    ...base,
    members: 3,
    workload: { ...base.workload, messages: 60 },
    phases: { ...base.phases, safetyMs: 600 },
  }
  const { result, script } = run({ settings, parts: forgetful, groups: false })
  const property = result.violations[0]?.property ?? ''
  let tries = 0
  const goOn = (): boolean => tries++ < 400
  const { scenario, before, after } = shrink({ settings, script, property, parts: forgetful, goOn })
  expect(scenario).not.toBeNull()
  expect(before).toBeGreaterThan(50)
  expect(after).toBeLessThan(15)
  const found = playScenario(scenario ?? '', forgetful).violations.map(violation => violation.property)
  expect(found).toContain(property)
  expect(playScenario(scenario ?? '', production).violations).toEqual([])
})

test('seeds of the swarm differ in what goes wrong, and reach the rare things', () => {
  const buggified: Record<string, number> = {}
  const without = new Set<string>()
  const members = new Set<number>()
  for (let seed = 1; seed <= 300; seed++) {
    const settings = swarmSettingsOf(seed)
    without.add(settings.faults.without.join())
    members.add(settings.members)
  }
  expect([...members].sort()).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9])
  expect(without.size).toBeGreaterThan(100)
  for (let seed = 1; seed <= 40 && Object.keys(buggified).length < buggifyPoints.length; seed++) {
    const base = swarmSettingsOf(seed)
    const settings = { ...base, members: 4, buggify: 0.2, phases: { ...base.phases, safetyMs: 900 } }
    const { result } = run({ settings, parts: production })
    expect(result.violations).toEqual([])
    for (const [point, count] of Object.entries(result.buggified))
      buggified[point] = (buggified[point] ?? 0) + count
  }
  expect(Object.keys(buggified).sort()).toEqual([...buggifyPoints])
})
