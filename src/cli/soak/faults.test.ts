import { describe, expect, it } from 'vitest'
import { Random } from '../../lib/prng.ts'
import { drawFault, type Fault, faultKinds, type Field } from './faults.ts'

const field: Field = {
  daemons: ['n1', 'n2', 'n3', 'n4', 'n5'],
  mortal: ['n3', 'n4', 'n5'],
  clients: ['c1', 'c2'],
  mortalClients: ['c2'],
}

function draw(seed: number, count: number): Fault[] {
  const random = new Random(seed)
  return Array.from({ length: count }, () => drawFault(random, field))
}

describe('faults', () => {
  it('are the same for the same seed', () => {
    expect(draw(1, 50)).toEqual(draw(1, 50))
    expect(draw(1, 50)).not.toEqual(draw(2, 50))
  })

  it('are of every kind, last as long as their kind does, and spare those who must live', () => {
    const faults = draw(3, 400)
    expect(new Set(faults.map(({ kind }) => kind))).toEqual(new Set(Object.keys(faultKinds)))
    for (const { kind, targets, lastsMs } of faults) {
      const [least, most] = faultKinds[kind].lasts
      expect(lastsMs).toBeGreaterThanOrEqual(least)
      expect(lastsMs).toBeLessThanOrEqual(most)
      const pool = kind.startsWith('client') ? field.clients : field.daemons
      for (const target of targets) expect(pool).toContain(target)
      expect(new Set(targets).size).toBe(targets.length)
      if (kind === 'kill' || kind === 'restart') expect(field.mortal).toContain(targets[0])
      if (kind === 'clientKill') expect(targets).toEqual(['c2'])
      if (kind === 'oneWay') expect(targets).toHaveLength(2)
      // A cut has two sides.
      if (kind === 'cut') expect([1, 2, 3, 4]).toContain(targets.length)
    }
  })
})
