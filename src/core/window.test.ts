import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Window } from './window.ts'

describe('the window', () => {
  it('counts what is in flight until everyone gave credit for it', () => {
    const window = new Window()
    expect(window.oldest).toBe(Number.POSITIVE_INFINITY)
    window.add(5, 100)
    window.add(9, 50)
    expect([window.bytes, window.oldest]).toEqual([150, 5])
    expect(window.release(4)).toBe(false)
    expect(window.release(5)).toBe(true)
    expect([window.bytes, window.oldest]).toEqual([50, 9])
    expect(window.release(Number.POSITIVE_INFINITY)).toBe(true)
    expect([window.bytes, window.oldest]).toEqual([0, Number.POSITIVE_INFINITY])
    expect(window.release(Number.POSITIVE_INFINITY)).toBe(false)
  })

  it('is the sum of what lies above the credit, over many turns', () => {
    const turn = fc.record({
      frames: fc.integer({ min: 0, max: 400 }),
      lag: fc.integer({ min: 0, max: 600 }),
    })
    fc.assert(
      fc.property(fc.array(turn, { maxLength: 30 }), turns => {
        const window = new Window()
        let ts = 0
        let credit = 0
        for (const { frames, lag } of turns) {
          for (let i = 0; i < frames; i++) window.add(++ts, ts)
          credit = Math.max(credit, ts - lag)
          window.release(credit)
          expect(window.bytes).toBe((ts * (ts + 1) - credit * (credit + 1)) / 2)
          expect(window.oldest).toBe(credit < ts ? credit + 1 : Number.POSITIVE_INFINITY)
        }
      }),
      { numRuns: 50 },
    )
  })
})
