import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Deque } from './deque.ts'

describe('a deque', () => {
  it('is empty at first, and again', () => {
    const deque = new Deque<number>()
    expect([deque.length, deque.peek(), deque.shift()]).toEqual([0, undefined, undefined])
    deque.push(1)
    expect([deque.length, deque.peek(), deque.shift(), deque.shift(), deque.length]).toEqual([
      1,
      1,
      1,
      undefined,
      0,
    ])
  })

  it('gives back what was pushed, in order, over any run of pushes and shifts', () => {
    const runs = fc.array(fc.tuple(fc.integer({ min: 0, max: 3000 }), fc.integer({ min: 0, max: 3000 })), {
      maxLength: 10,
    })
    fc.assert(
      fc.property(runs, list => {
        const deque = new Deque<number>()
        let pushed = 0
        let shifted = 0
        for (const [pushes, shifts] of list) {
          for (let i = 0; i < pushes; i++) deque.push(pushed++)
          for (let i = 0; i < shifts; i++) {
            const expected = shifted < pushed ? shifted++ : undefined
            if (deque.peek() !== expected || deque.shift() !== expected) throw new Error(`not ${expected}`)
          }
          expect(deque.length).toBe(pushed - shifted)
        }
      }),
      { numRuns: 50 },
    )
  })
})
