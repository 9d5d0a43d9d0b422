import { describe, expect, it } from 'vitest'
import { sometimesInGroups } from '../lib/coverage.ts'
import { RandomLife } from './random.fixture.ts'

function live(seed: number): RandomLife {
  const limits = { statePartBytes: 400 + (seed % 3) * 400 }
  const life = new RandomLife(seed, 2 + (seed % 5), limits, seed % 2 === 0)
  for (let i = 0; i < 700; i++) life.step()
  life.drain()
  life.check()
  return life
}

describe('groups under random partitions, merges and crashes', () => {
  it('keep one truth: views, origins, deliveries between views, fates', () => {
    const marks = new Set<string>()
    let networkViews = 0
    let answers = 0
    let differing = 0
    for (let seed = 1; seed <= 200; seed++) {
      const { world } = live(seed)
      for (const mark of world.marks) marks.add(mark)
      for (const { origins } of world.shown.values()) if (origins !== null) networkViews++
      answers += world.answers.length
      differing += world.answers.filter(answer => answer.text.includes('"unknown":["')).length
    }
    expect([...marks].sort()).toEqual([...sometimesInGroups].sort())
    expect(networkViews).toBeGreaterThan(300)
    expect(answers).toBeGreaterThan(10_000)
    expect(differing).toBeGreaterThan(300)
  })
})
