import { describe, expect, it } from 'vitest'
import type { Place } from '../core/types.ts'
import { Acknowledgements } from './acknowledgements.ts'
import { Consumption } from './consumption.ts'

const at = (epoch: number, ts: number): Place => ({ epoch, ts, rank: 0, index: 0 })

function two(): Acknowledgements {
  const acknowledgements = new Acknowledgements()
  acknowledgements.configuration(3)
  acknowledgements.open(1)
  acknowledgements.open(2)
  return acknowledgements
}

describe('Acknowledgements', () => {
  it('say the least of all sessions, and the horizon if nothing is outstanding', () => {
    const a = two()
    expect(a.consumed()).toEqual({ epoch: 3, ts: 0 })
    a.mark(1, at(3, 5), 100)
    a.mark(2, at(3, 7), 50)
    a.horizon(3, 8)
    expect(a.consumed().ts).toBe(4)
    expect(a.acknowledge(1, 99, 100)).toBe(true)
    expect(a.consumed().ts).toBe(4)
    a.acknowledge(1, 100, 100)
    expect(a.consumed().ts).toBe(6)
    a.acknowledge(2, 50, 50)
    expect(a.consumed().ts).toBe(8)
  })

  it('do not split a timestamp', () => {
    const a = two()
    a.mark(1, { ...at(3, 5), index: 0 }, 10)
    a.mark(1, { ...at(3, 5), rank: 1 }, 20)
    a.horizon(3, 5)
    a.acknowledge(1, 10, 20)
    expect(a.consumed().ts).toBe(4)
    a.acknowledge(1, 20, 20)
    expect(a.consumed().ts).toBe(5)
  })

  it('refuse impossible acknowledgements', () => {
    const a = two()
    a.mark(1, at(3, 5), 10)
    expect(a.acknowledge(1, 11, 10)).toBe(false)
    expect(a.acknowledge(1, 5, 10)).toBe(true)
    expect(a.acknowledge(1, 4, 10)).toBe(false)
    expect(a.acknowledge(1, Number.NaN, 10)).toBe(false)
    expect(a.acknowledge(9, 4, 10)).toBe(true)
  })

  it('say nothing of a new configuration before the old one is acknowledged', () => {
    const a = two()
    a.mark(1, at(3, 5), 10)
    a.horizon(3, 5)
    a.configuration(4)
    a.horizon(4, 9)
    expect(a.consumed()).toEqual({ epoch: 4, ts: 0 })
    a.acknowledge(1, 10, 10)
    expect(a.consumed()).toEqual({ epoch: 4, ts: 9 })
  })

  it('hold at what a closing session acknowledged until its disconnect is delivered', () => {
    const a = two()
    a.mark(1, at(3, 5), 10)
    a.horizon(3, 6)
    expect(a.closing(1)).toEqual({ epoch: 3, ts: 4 })
    expect(a.acknowledge(1, 10, 10)).toBe(true)
    expect(a.consumed().ts).toBe(4)
    a.horizon(3, 8)
    a.closed(1, at(3, 8))
    expect(a.consumed().ts).toBe(8)
  })

  it('hold for a closing session that had acknowledged all: what follows is never acknowledged', () => {
    const a = two()
    a.horizon(3, 6)
    expect(a.closing(1)).toEqual({ epoch: 3, ts: 6 })
    a.mark(1, at(3, 7), 10)
    a.horizon(3, 7)
    expect(a.consumed().ts).toBe(6)
  })

  it('jump over what a closed session did not acknowledge, never into it', () => {
    const a = two()
    a.mark(1, at(3, 5), 10)
    a.mark(2, at(3, 8), 10)
    a.horizon(3, 9)
    a.closing(1)
    a.closed(1, at(3, 10))
    a.horizon(3, 10)
    // Up to 7 is acknowledged by all who are left. But who hears 7 may not know yet that session 1 did not have 5.
    expect(a.consumed().ts).toBe(4)
    a.acknowledge(2, 10, 10)
    expect(a.consumed().ts).toBe(10)
  })

  it('take a closed session of an older configuration into account in the new one', () => {
    const a = two()
    a.mark(1, at(3, 5), 10)
    a.closing(1)
    a.configuration(4)
    a.mark(2, at(4, 4), 10)
    a.horizon(4, 6)
    a.closed(1, at(4, 6))
    expect(a.consumed()).toEqual({ epoch: 4, ts: 0 })
    a.acknowledge(2, 10, 10)
    expect(a.consumed()).toEqual({ epoch: 4, ts: 6 })
  })
})

describe('Consumption', () => {
  it('uses a fact once everything up to it is delivered', () => {
    const c = new Consumption(2)
    expect(c.heard([0, 7])).toBe(false)
    expect(c.delivered(6)).toBe(false)
    expect(c.usable).toEqual([0, 0])
    expect(c.delivered(7)).toBe(true)
    expect(c.usable).toEqual([0, 7])
  })

  it('gets on although facts always run ahead', () => {
    const c = new Consumption(1)
    for (let ts = 1; ts <= 100; ts++) {
      c.heard([ts + 10])
      c.delivered(ts)
    }
    expect(c.usable[0]).toBeGreaterThan(85)
    expect(c.usable[0]).toBeLessThanOrEqual(100)
  })

  it('ignores older facts and older horizons', () => {
    const c = new Consumption(1)
    c.delivered(10)
    expect(c.heard([8])).toBe(true)
    expect(c.heard([5])).toBe(false)
    expect(c.delivered(3)).toBe(false)
    expect(c.usable).toEqual([8])
  })
})
