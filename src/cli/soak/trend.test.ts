import { describe, expect, it } from 'vitest'
import { isLeak, judgedFrom, memoryBound, type Sample, trendOf } from './trend.ts'

const minute = 60_000

/** One sample a minute. */
function series(minutes: number, value: (minute: number) => number): Sample[] {
  return Array.from({ length: minutes }, (_, at) => ({ atMs: at * minute, value: value(at) }))
}

function leaks(samples: readonly Sample[]): boolean {
  const trend = trendOf(samples)
  return trend !== null && isLeak(trend, memoryBound)
}

describe('the trend of a process', () => {
  it('is its ends, the line through all samples, and how far the floor rose', () => {
    const trend = trendOf(series(31, at => 100 + 2 * at + (at % 2 === 0 ? 3 : -3)))
    expect(trend).toMatchObject({ start: 103, end: 163, most: 163, samples: 31, spanMs: 30 * minute })
    expect(trend?.slopePerHour).toBeCloseTo(120, 0)
    expect(trend?.floorGrowth).toBe(40)
    expect(trendOf([])).toBeNull()
    expect(trendOf(series(1, () => 7))).toMatchObject({ start: 7, end: 7, slopePerHour: 0, floorGrowth: 0 })
  })

  it('is a leak if line and floor rise', () => {
    expect(leaks(series(30, at => 100 + 2 * at))).toBe(true)
    // A sawtooth of 60 MB on a floor that rises slowly.
    expect(leaks(series(60, at => 100 + at + (at % 5) * 15))).toBe(true)
  })

  it('is none if it only moves, falls, or rises once', () => {
    expect(leaks(series(60, at => 100 + (at % 5) * 15))).toBe(false)
    expect(leaks(series(60, at => 200 - at))).toBe(false)
    expect(leaks(series(60, at => (at === 59 ? 400 : 100)))).toBe(false)
  })

  it('is not judged before there is enough of it', () => {
    const short = judgedFrom.spanMs / minute
    expect(leaks(series(short, at => 100 + 50 * at))).toBe(false)
    expect(leaks(series(short + 2, at => 100 + 50 * at))).toBe(true)
  })
})
