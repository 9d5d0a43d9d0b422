import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { HostLoop, ManualLoop, monotonicMs, type Steppable } from './loop.ts'

class Target implements Steppable {
  nextDeadline: number = Number.POSITIVE_INFINITY
  readonly steps: number[] = []
  onStep: () => void = () => {}

  step(now: number): void {
    this.steps.push(now)
    this.onStep()
  }
}

describe('the host loop', () => {
  beforeEach(() => {
    vi.useFakeTimers({
      toFake: ['setTimeout', 'clearTimeout', 'setImmediate', 'clearImmediate', 'performance'],
    })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  it('steps once for many wakes, after the callbacks of this turn', () => {
    const target = new Target()
    const loop = new HostLoop(target)
    for (let i = 0; i < 5; i++) loop.wake()
    expect(target.steps).toEqual([])
    vi.advanceTimersByTime(0)
    expect(target.steps).toHaveLength(1)
    vi.advanceTimersByTime(60_000)
    expect(target.steps).toHaveLength(1)
    loop.wake()
    vi.advanceTimersByTime(0)
    expect(target.steps).toHaveLength(2)
    loop.stop()
  })

  it('steps at the deadline, not before it', () => {
    const target = new Target()
    const loop = new HostLoop(target)
    const start = monotonicMs()
    target.nextDeadline = start + 50.5
    loop.wake()
    vi.advanceTimersByTime(50)
    expect(target.steps).toHaveLength(1)
    target.nextDeadline = Number.POSITIVE_INFINITY
    vi.advanceTimersByTime(2)
    expect(target.steps).toHaveLength(2)
    expect(target.steps[1]).toBeGreaterThanOrEqual(start + 50.5)
    vi.advanceTimersByTime(60_000)
    expect(target.steps).toHaveLength(2)
    loop.stop()
  })

  it('follows a deadline that comes nearer, and one that goes away', () => {
    const target = new Target()
    const loop = new HostLoop(target)
    const start = monotonicMs()
    target.nextDeadline = start + 1000
    loop.wake()
    vi.advanceTimersByTime(1)
    target.nextDeadline = start + 100
    loop.wake()
    vi.advanceTimersByTime(98)
    expect(target.steps).toHaveLength(2)
    target.onStep = () => {
      target.nextDeadline = start + 2000
    }
    vi.advanceTimersByTime(3)
    expect(target.steps).toHaveLength(3)
    target.onStep = () => {}
    vi.advanceTimersByTime(1000)
    // The timer that was set for the first deadline looked, and saw that there is time.
    expect(target.steps.length).toBeLessThanOrEqual(4)
    const seen = target.steps.length
    target.nextDeadline = start + 2000
    vi.advanceTimersByTime(1000)
    expect(target.steps.length).toBeGreaterThan(seen)
    expect(target.steps.at(-1)).toBeGreaterThanOrEqual(start + 2000)
    loop.stop()
  })

  it('goes on at once while a deadline is due, without keeping others from their turn', () => {
    const target = new Target()
    const loop = new HostLoop(target)
    let others = 0
    target.onStep = () => {
      expect(others).toBe(target.steps.length - 1)
      setImmediate(() => others++)
      target.nextDeadline = target.steps.length < 10 ? monotonicMs() : Number.POSITIVE_INFINITY
    }
    loop.wake()
    vi.advanceTimersByTime(20)
    expect(target.steps).toHaveLength(10)
    expect(others).toBe(10)
    loop.stop()
  })

  it('does nothing after stop', () => {
    const target = new Target()
    const loop = new HostLoop(target)
    target.nextDeadline = monotonicMs() + 10
    loop.wake()
    vi.advanceTimersByTime(0)
    loop.wake()
    loop.stop()
    loop.wake()
    // Not even a timer, which would keep the process.
    expect(vi.getTimerCount()).toBe(0)
    vi.advanceTimersByTime(1000)
    expect(target.steps).toHaveLength(1)
  })

  it('does not arm again if a step stops it', () => {
    const target = new Target()
    const loop = new HostLoop(target)
    target.nextDeadline = monotonicMs()
    target.onStep = () => loop.stop()
    loop.wake()
    vi.advanceTimersByTime(1000)
    expect(target.steps).toHaveLength(1)
    expect(vi.getTimerCount()).toBe(0)
  })
})

describe('the manual loop', () => {
  it('only passes wakes on, until it is stopped', () => {
    let wakes = 0
    const loop = new ManualLoop(() => wakes++)
    loop.wake()
    loop.wake()
    loop.stop()
    loop.wake()
    expect(wakes).toBe(2)
  })
})
