/** A few of the scenarios of `anasazi chaos run`, on real daemons. Times are measured, and not judged: others use the machine, too. */

import { describe, expect, it } from 'vitest'
import { scenarios } from '../src/cli/chaos/catalogue.ts'
import { measureText } from '../src/cli/chaos/report.ts'
import { type Outcome, runScenario } from '../src/cli/chaos/run.ts'
import type { Scenario } from '../src/cli/chaos/scenario.ts'
import { describeNetns } from './requires.ts'

const patienceMs = 120_000

async function play(name: string): Promise<Outcome> {
  const scenario = scenarios.find(each => each.name === name) as Scenario
  const { outcomes } = await runScenario(scenario, {
    repeat: 1,
    where: ['processes'],
    progress: text => process.stderr.write(`${text}\n`),
    keep: false,
    judgesTime: false,
  })
  const [outcome] = outcomes
  if (outcome === undefined) throw new Error(`${name} is not played on processes`)
  for (const measure of outcome.measures) process.stderr.write(`figure: ${measureText(measure)}\n`)
  return outcome
}

/** Everything held, and the checkers have read traces of all. */
function expectHeld({ verdict, why, extent }: Outcome): void {
  expect(why).toEqual([])
  expect(verdict).toBe('held')
  expect(extent).toMatch(/^[0-9]{3,} lines of [0-9]+ daemons and [0-9]+ sessions$/)
}

describe('scenarios on real daemons', () => {
  it.each(['kill', 'reorder-and-duplicate', 'misconfigured'])(
    '%s',
    async name => expectHeld(await play(name)),
    patienceMs,
  )
})

describeNetns('scenarios on hosts of their own', () => {
  it('deaf-or-mute', async () => expectHeld(await play('deaf-or-mute')), patienceMs)
}, ['nft'])
