import fc from 'fast-check'
import { expect, it } from 'vitest'
import { SafePlaces } from './safe-places.ts'

it('names the least place above what was told, in whatever order they come', () => {
  const steps = fc.array(fc.record({ adds: fc.array(fc.integer({ min: 1, max: 400 })), told: fc.nat(30) }))
  fc.assert(
    fc.property(steps, script => {
      const safe = new SafePlaces()
      const added: number[] = []
      let told = 0
      for (const { adds, told: more } of script) {
        for (const ts of adds) {
          safe.add(ts)
          added.push(ts)
        }
        told += more
        expect(safe.firstAbove(told)).toBe(Math.min(...added.filter(ts => ts > told)))
      }
    }),
  )
})

it('forgets what was told', () => {
  const safe = new SafePlaces()
  for (let ts = 1; ts <= 10_000; ts++) {
    safe.add(ts)
    safe.add(ts)
    expect(safe.firstAbove(ts - 2)).toBe(Math.max(1, ts - 1))
  }
  expect(JSON.stringify(safe).length).toBeLessThan(20_000)
})
