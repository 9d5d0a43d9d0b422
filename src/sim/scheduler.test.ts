import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Scheduler } from './scheduler.ts'

describe('scheduler', () => {
  test('fires by time, and by order of scheduling within one time', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(20), { maxLength: 80 }), times => {
        const scheduler = new Scheduler()
        const fired: { at: number; index: number }[] = []
        times.forEach((at, index) => scheduler.at(at, () => fired.push({ at: scheduler.now, index })))
        while (scheduler.step());
        const expected = times
          .map((at, index) => ({ at, index }))
          .sort((a, b) => a.at - b.at || a.index - b.index)
        expect(fired).toEqual(expected)
      }),
    )
  })

  test('what is scheduled for the past happens now, after what is due already', () => {
    const scheduler = new Scheduler()
    const seen: string[] = []
    scheduler.at(5, () => {
      seen.push('a')
      scheduler.at(1, () => seen.push(`late at ${scheduler.now}`))
    })
    scheduler.at(5, () => seen.push('b'))
    scheduler.runUntil(5)
    expect(seen).toEqual(['a', 'b', 'late at 5'])
  })

  test('a cancelled timer does not fire and does not move the clock', () => {
    const scheduler = new Scheduler()
    const timer = scheduler.at(3, () => expect.unreachable())
    timer.action = null
    expect(scheduler.step()).toBe(false)
    expect(scheduler.now).toBe(0)
  })

  test('runUntil leaves later timers alone and the clock at the given time', () => {
    const scheduler = new Scheduler()
    let count = 0
    scheduler.at(10, () => count++)
    scheduler.runUntil(9)
    expect([count, scheduler.now, scheduler.pending]).toEqual([0, 9, 1])
    scheduler.runUntil(10)
    expect(count).toBe(1)
  })

  test('a cancelled timer that is due does not bring forward the next one', () => {
    const scheduler = new Scheduler()
    let count = 0
    scheduler.at(3, () => expect.unreachable()).action = null
    scheduler.at(10, () => count++)
    scheduler.runUntil(5)
    expect([count, scheduler.now]).toEqual([0, 5])
  })
})
