import { expect, test } from 'vitest'
import { A, B } from '../codec/frames.fixture.ts'
import { disagreement, makeHello } from './agreement.ts'
import type { TransportIdentity } from './transport.ts'

const identity: TransportIdentity = {
  self: A,
  cluster: 'prod',
  cell: 'main',
  order: { digest: '1', rules: '"a*" -> wan\n"*" -> main\n' },
}

function words(other: Partial<TransportIdentity>): string | null {
  const parts = { lane: 'data', port: 1 } as const
  return disagreement(makeHello(identity, parts), makeHello({ ...identity, self: B, ...other }, parts))
}

test('each difference is said in words', () => {
  expect(words({})).toBeNull()
  expect(words({ cluster: 'test' })).toBe('cluster id is "prod" here and "test" there')
  expect(words({ cell: 'wan' })).toBe('cell is "main" here and "wan" there')
  expect(words({ versions: { lowest: 2, highest: 4 } })).toBe('wire versions 1 are spoken here and 2–4 there')
  expect(words({ versions: { lowest: 1, highest: 4 } })).toBeNull()
})

test('of rules, the lines that differ', () => {
  expect(words({ order: { digest: '2', rules: '"b*" -> wan\n"*" -> main\n' } })).toBe(
    'cells differ: only here ""a*" -> wan"; only there ""b*" -> wan"',
  )
  expect(words({ order: { digest: '2', rules: '"*" -> main\n"a*" -> wan\n' } })).toContain('in another order')
  expect(words({ order: { digest: '2', rules: identity.order.rules } })).toBe(
    'cells have digest 1 here and 2 there',
  )
  const many = Array.from({ length: 9 }, (_, i) => `r${i}`).join('\n')
  expect(words({ order: { digest: '2', rules: many } })).toMatch(/only there "r0", "r1", "r2", and 6 more$/)
})
