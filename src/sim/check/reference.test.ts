import { expect, test } from 'vitest'
import { checkBundle } from './bundle.ts'
import { generateReference } from './reference.ts'

test('two thousand valid traces raise no alarm, and have in them what matters', { timeout: 300_000 }, () => {
  const seen: Record<string, number> = {}
  const count = (what: string, number = 1): void => {
    seen[what] = (seen[what] ?? 0) + number
  }
  for (let seed = 1; seed <= 2000; seed++) {
    const bundle = generateReference({ seed, ...(seed % 4 > 0 ? { steps: 150 + (seed % 200) } : {}) })
    expect(checkBundle(bundle), `seed ${seed}`).toEqual([])
    count(bundle.drained ? 'drained' : 'cut short')
    for (const line of bundle.cell) count(line.e === 'conf' ? line.kind : line.e)
    for (const line of bundle.clients) {
      count(`client ${line.e}`)
      if (line.e === 'view') count(`view ${line.cause}`)
      if (line.e === 'view' && line.origins.length > 1) count('merge')
      if (line.e === 'fate' && line.unknown.length > 0) count('unknown')
    }
    count('installs lost', lostInstalls(bundle.cell))
  }
  const rare = [
    'fail',
    'merge',
    'unknown',
    'installs lost',
    'view disconnect',
    'view leave',
    'client transitional',
  ]
  for (const what of [...rare, 'drained', 'cut short']) expect(seen[what] ?? 0, what).toBeGreaterThan(200)
})

/** Regular configurations that some living member never installed though another did. */
function lostInstalls(lines: ReturnType<typeof generateReference>['cell']): number {
  const installed = new Map<string, { members: readonly string[]; by: Set<string> }>()
  for (const line of lines) {
    if (line.e !== 'conf' || line.kind !== 'regular') continue
    const entry = installed.get(line.id) ?? { members: line.members, by: new Set() }
    installed.set(line.id, entry)
    entry.by.add(line.p)
  }
  return [...installed.values()].filter(({ members, by }) => by.size < members.length).length
}

test('the same seed makes the same trace', () => {
  expect(generateReference({ seed: 42 })).toEqual(generateReference({ seed: 42 }))
  expect(generateReference({ seed: 42 }).cell).not.toEqual(generateReference({ seed: 43 }).cell)
})
