import { expect, it } from 'vitest'
import { Bench } from './runtime.fixture.ts'

it('what other members order against the rules is counted, and told with who and why', async () => {
  const bench = await Bench.start()
  const ignored = { type: 'ignored', daemon: 'n9#1', why: 'it opens a session twice' } as const
  bench.runtime.sessions.handle(ignored)
  bench.runtime.sessions.handle(ignored)
  expect(bench.counters.get('cell.rules.broken')).toBe(2)
  expect(bench.told('brokenRule')).toMatchObject([
    { member: 'n9#1', words: ignored.why },
    { member: 'n9#1', words: ignored.why },
  ])
})
