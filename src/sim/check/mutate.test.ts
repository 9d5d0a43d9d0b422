import { expect, test } from 'vitest'
import type { TraceBundle } from './bundle.ts'
import { MUTATORS, mutationTable, mutationText } from './mutate.ts'
import { generateReference } from './reference.ts'

function* traces(count: number): Generator<TraceBundle> {
  for (let seed = 5001; seed < 5001 + count; seed++) yield generateReference({ seed, steps: 500 })
}

test('at least 99 % of the mutations of every mutator are caught by the right property', {
  timeout: 300_000,
}, () => {
  const rows = mutationTable(traces(100), 1, 2)
  expect(rows.map(row => row.name)).toEqual(MUTATORS.map(mutator => mutator.name))
  for (const row of rows) {
    const broken = row.tried - row.equivalent
    const evidence = `${row.name}: ${row.example}`
    expect(broken, row.name).toBeGreaterThan(0)
    expect(row.right / broken, evidence).toBeGreaterThanOrEqual(0.99)
    expect(row.alarms, evidence).toBe(0)
  }
  expect(mutationText(rows).split('\n')[0]).toContain('by the right property')
})

test('an empty trace can be neither spoiled nor caught', () => {
  const rows = mutationTable([{ cell: [], clients: [], drained: true }], 1)
  for (const row of rows) expect(row).toMatchObject({ tried: 0, caught: 0, right: 0 })
  expect(mutationText(rows)).toContain('–')
})
