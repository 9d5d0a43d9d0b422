import { describe, expect, it } from 'vitest'
import { parseScenario } from '../../sim/scenario.ts'
import { painter } from '../style.ts'
import { fakeSession, runCommand } from '../terminal.fixture.ts'
import { scenarios } from './catalogue.ts'
import { allHeld, measureText, resultsJson, resultsMarkdown, resultText, verdictText } from './report.ts'
import type { Outcome, Result } from './run.ts'
import { scenarioText } from './run.ts'
import type { Scenario } from './scenario.ts'

const plain = painter(false)

function scenarioNamed(wanted: string): Scenario {
  return scenarios.find(({ name }) => name === wanted) as Scenario
}

function outcome(parts: Partial<Outcome>): Outcome {
  return {
    where: 'processes',
    verdict: 'held',
    why: [],
    notes: [],
    measures: [],
    extent: '',
    rounds: 1,
    elapsedMs: 1000,
    ...parts,
  }
}

const measures = [{ what: 'kill → view', unit: 'ms', bound: 500, values: [100, 300, 200] }] as const
const results: readonly Result[] = [
  {
    scenario: scenarioNamed('kill'),
    outcomes: [
      outcome({ where: 'simulator' }),
      outcome({ measures: measures.map(each => ({ ...each, values: [...each.values] })), rounds: 3 }),
    ],
  },
  { scenario: scenarioNamed('bridge'), outcomes: [outcome({ verdict: 'broken', why: ['no | view'] })] },
  { scenario: scenarioNamed('full-disk'), outcomes: [outcome({ verdict: 'skipped', why: ['no disk'] })] },
  {
    scenario: scenarioNamed('key-rotation'),
    outcomes: [outcome({ verdict: 'unsupported', why: ['sealing'] })],
  },
]

describe('the catalogue', () => {
  it('has the 25 scenarios, each with something to play or a reason', () => {
    expect(scenarios.map(({ number }) => number)).toEqual(Array.from({ length: 25 }, (_, i) => i + 1))
    expect(new Set(scenarios.map(({ name }) => name)).size).toBe(25)
    for (const { simulator, real, unsupported } of scenarios) {
      expect(typeof simulator !== 'string' || typeof real !== 'string' || unsupported !== undefined).toBe(
        true,
      )
    }
  })

  it('names texts that exist and can be read', () => {
    for (const { simulator } of scenarios) {
      if (typeof simulator === 'string') continue
      for (const name of simulator) expect(parseScenario(scenarioText(name)).length, name).toBeGreaterThan(3)
    }
  })
})

describe('results', () => {
  it('are counted: what is not supported or was skipped neither holds nor breaks anything', () => {
    expect(verdictText(results, plain)).toBe('4 scenarios: 1 held, 1 did not, 1 skipped, 1 unsupported\n')
    expect(allHeld(results)).toBe(false)
    expect(allHeld(results.filter(({ scenario }) => scenario.name !== 'bridge'))).toBe(true)
  })

  it('have every measured value and its bound', () => {
    expect(measureText({ ...measures[0], values: [100, 300, 200] })).toBe(
      'kill → view: p50 200, p99 300, max 300 ms of 3 (promised 500)',
    )
    expect(measureText({ ...measures[0], bound: null, values: [7.25] })).toBe('kill → view: 7.3 ms')
    expect(resultText(results[0] as Result, plain)).toContain(
      '  held processes (3 rounds, 1.0 s)\n    kill → view',
    )
    expect(resultText(results[1] as Result, plain)).toContain('  broken processes (1.0 s)\n    no | view\n')
    expect(resultText(results[3] as Result, plain)).toContain('  unsupported: sealing\n')
  })

  it('are one JSON document', () => {
    const document = JSON.parse(resultsJson(results)) as Record<string, unknown>
    expect(document['counts']).toEqual({ held: 1, broken: 1, skipped: 1, unsupported: 1 })
    expect(document['scenarios']).toMatchObject([
      { name: 'kill', verdict: 'held', outcomes: [{}, { measures: [{ p50: 200, p99: 300, max: 300 }] }] },
      { name: 'bridge', verdict: 'broken', outcomes: [{ why: ['no | view'] }] },
      { verdict: 'skipped' },
      { verdict: 'unsupported' },
    ])
  })

  it('are a table without a date, whose cells are not broken by what is in them', () => {
    const table = resultsMarkdown(results)
    expect(table).toContain('| 1 | kill |')
    expect(table).toContain('kill → view: 200 / 300 / 300 (3 times) ms, bound 500 |')
    expect(table).toContain('**broken** (no \\| view)')
    expect(table).toContain('*Unsupported: sealing.*')
    expect(table).not.toMatch(/\b20[0-9]{2}-[0-9]{2}/)
    const rows = table.split('\n').filter(line => /^\| [0-9]/.test(line))
    expect(rows.map(row => row.split(/(?<!\\)\|/).length)).toEqual([8, 8, 8, 8])
  })
})

describe('anasazi chaos', () => {
  const { connect } = fakeSession()

  it('lists what there is', async () => {
    const { code, output } = await runCommand(['chaos', 'list'], connect)
    expect(code).toBe(0)
    expect(output.trimEnd().split('\n')).toHaveLength(25)
    const json = await runCommand(['chaos', 'list', '--json'], connect)
    expect(JSON.parse(json.output)).toMatchObject([
      { number: 1, name: 'kill' },
      ...scenarios.slice(1).map(({ name }) => ({ name })),
    ])
  })

  it.each([
    [['run']],
    [['run', 'nothing']],
    [['run', 'kill', '--repeat', '0']],
    [['run', 'kill', '--only', 'paper']],
    [['walk']],
  ])('ends with 2 for %j', async args => {
    const { code, output, errors } = await runCommand(['chaos', ...args], connect)
    expect([code, output]).toEqual([2, ''])
    expect(errors).not.toBe('')
  })

  it('runs texts in the simulator, and counts what is not supported apart', async () => {
    const args = ['chaos', 'run', 'restart-at-once', '25', '--only', 'simulator', '--json']
    const { code, output, errors } = await runCommand(args, connect)
    expect(code).toBe(0)
    expect(JSON.parse(output)).toMatchObject({ counts: { held: 1, broken: 0, skipped: 0, unsupported: 1 } })
    expect(errors).toContain('restart-at-once: simulator: restarted-is-another')
  })
})
