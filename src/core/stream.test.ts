import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { configurationId } from './configuration.ts'
import type { DataFrame } from './frames.ts'
import { bytesOf, maxFramesAhead, Stream } from './stream.ts'
import type { Facts } from './types.ts'

const configuration = configurationId(1, 'a', 1)

function facts(clock: number, seq: number, more: Partial<Facts> = {}): Facts {
  return { clock, seq, received: 0, credit: 0, consumed: 0, ...more }
}

function frame(seq: number, ts = seq * 10, bytes = 1): DataFrame {
  const segments = [{ safe: false, more: false, head: seq, bytes, body: [] }]
  return { kind: 'data', configuration, rank: 0, seq, ts, facts: facts(ts, seq), segments }
}

describe('a stream', () => {
  it('holds frames in any order, and counts clocks over what it holds without a gap', () => {
    const stream = new Stream()
    expect(stream.accept(frame(1))).toBe(true)
    expect(stream.accept(frame(3))).toBe(true)
    expect([stream.contiguous, stream.highest, stream.counted.clock]).toEqual([1, 3, 10])
    expect(stream.newest).toEqual({ clock: 30, seq: 3 })
    expect(stream.gaps(3, 9)).toEqual([{ from: 2, to: 2 }])
    expect(stream.overtaken).toBe(true)
    expect(stream.accept(frame(2))).toBe(true)
    expect([stream.contiguous, stream.counted.clock, stream.gaps(3, 9)]).toEqual([3, 30, []])
    expect(stream.overtaken).toBe(false)
  })

  it('takes no frame twice, none before the first, none too far ahead', () => {
    const stream = new Stream()
    expect(stream.accept(frame(2))).toBe(true)
    expect(stream.accept(frame(2))).toBe(false)
    expect(stream.accept(frame(0))).toBe(false)
    expect(stream.accept(frame(maxFramesAhead + 1))).toBe(false)
    expect(stream.accept(frame(maxFramesAhead))).toBe(true)
    expect(stream.accept(frame(1))).toBe(true)
    expect(stream.accept(frame(1))).toBe(false)
    expect(stream.heldBytes).toBe(3)
  })

  it('counts a promise ahead only once its frames are here', () => {
    const stream = new Stream()
    stream.learn(facts(500, 2))
    expect(stream.counted.clock).toBe(0)
    expect(stream.gaps(2, 9)).toEqual([{ from: 1, to: 2 }])
    expect(stream.overtaken).toBe(false)
    stream.accept(frame(1))
    expect(stream.counted.clock).toBe(10)
    stream.accept(frame(2))
    expect(stream.counted).toEqual({ clock: 500, seq: 2 })
  })

  it('frozen, keeps the newest pair until a higher one counts', () => {
    const stream = new Stream()
    stream.learn(facts(30, 2))
    stream.frozen = true
    stream.learn(facts(90, 4))
    stream.accept(frame(3, 70))
    expect([stream.contiguous, stream.highest, stream.newest]).toEqual([0, 4, { clock: 30, seq: 2 }])
    stream.accept(frame(1))
    stream.accept(frame(2))
    expect(stream.counted).toEqual({ clock: 70, seq: 3 })
    expect(stream.newest).toEqual({ clock: 70, seq: 3 })
    stream.learn(facts(80, 3))
    expect(stream.newest).toEqual({ clock: 80, seq: 3 })
  })

  it('merges facts in any order, and never goes back', () => {
    const told = [
      facts(10, 0, { received: 5, credit: 5, consumed: 1 }),
      facts(20, 0, { received: 7, credit: 6, consumed: 2 }),
      facts(30, 0, { received: 9, credit: 9, consumed: 4 }),
    ]
    fc.assert(
      fc.property(fc.shuffledSubarray([...told, ...told], { minLength: 6 }), order => {
        const stream = new Stream()
        for (const each of order) stream.learn(each)
        stream.useConsumed(Number.POSITIVE_INFINITY)
        expect([stream.counted.clock, stream.received, stream.credit, stream.consumed]).toEqual([30, 9, 9, 4])
      }),
    )
  })

  it('never lets in a frame below its sender’s promise, nor counts it as progress', () => {
    const stream = new Stream()
    stream.learn(facts(100, 0))
    expect(stream.accept(frame(1, 100))).toBe(false)
    expect([stream.contiguous, stream.heldBytes]).toEqual([0, 0])
    expect(stream.frame(1)).toBeUndefined()
    expect(stream.accept(frame(1, 101))).toBe(true)
    expect(stream.contiguous).toBe(1)
  })

  it('never lets in a frame whose timestamp does not rise, also when it was here first', () => {
    const stream = new Stream()
    expect(stream.accept(frame(2, 5))).toBe(true)
    expect(stream.accept(frame(1, 5))).toBe(true)
    expect([stream.contiguous, stream.heldBytes]).toEqual([1, 1])
    expect(stream.next(Number.POSITIVE_INFINITY)?.seq).toBe(1)
    stream.delivered = 1
    expect(stream.next(Number.POSITIVE_INFINITY)).toBeUndefined()
  })

  it('hands up within a cap only', () => {
    const stream = new Stream()
    stream.accept(frame(1))
    expect(stream.next(0)).toBeUndefined()
    expect(stream.next(1)?.seq).toBe(1)
  })

  it('lets go only of what is both delivered and stable', () => {
    const stream = new Stream()
    for (let seq = 1; seq <= 3; seq++) stream.accept(frame(seq))
    expect(stream.release(30)).toBe(0)
    stream.delivered = 2
    expect(stream.release(19)).toBe(1)
    expect(stream.frame(1)).toBeUndefined()
    expect(stream.frame(2)?.seq).toBe(2)
    expect(stream.release(30)).toBe(1)
    expect(stream.heldBytes).toBe(1)
  })

  it('finds frames by seq through any run of arrivals, deliveries and releases', () => {
    const turn = fc.record({
      arrive: fc.integer({ min: 0, max: 900 }),
      keep: fc.integer({ min: 0, max: 30 }),
    })
    fc.assert(
      fc.property(fc.array(turn, { maxLength: 12 }), turns => {
        const stream = new Stream()
        let released = 0
        for (const { arrive, keep } of turns) {
          const from = stream.contiguous + 1
          // Odd ones first: every turn has gaps while it lasts.
          for (const odd of [1, 0])
            for (let seq = from; seq < from + arrive; seq++) if (seq % 2 === odd) stream.accept(frame(seq))
          expect(stream.contiguous).toBe(from + arrive - 1)
          stream.delivered = stream.contiguous
          const stable = Math.max(0, stream.contiguous - keep) * 10
          released += stream.release(stable)
          expect(stream.heldBytes).toBe(stream.contiguous - released)
          expect(stream.frame(released)).toBeUndefined()
          if (stream.contiguous > released) expect(stream.frame(released + 1)?.seq).toBe(released + 1)
          expect(stream.frame(stream.contiguous + 1)).toBeUndefined()
        }
      }),
      { numRuns: 30 },
    )
  })

  it('asks for a bounded run, however far a stream says that it goes', () => {
    const stream = new Stream()
    stream.learn(facts(1, 2 ** 53 - 1))
    expect(stream.gaps(stream.highest, 9)).toEqual([{ from: 1, to: 256 }])
  })

  it('lacks runs of frames: the first one, and those that were overtaken', () => {
    const stream = new Stream()
    for (const seq of [3, 4, 7, 9]) stream.accept(frame(seq))
    stream.learn(facts(120, 12))
    const runs = [
      { from: 1, to: 2 },
      { from: 5, to: 6 },
      { from: 8, to: 8 },
    ]
    // 10, 11 and 12 may be on their way.
    expect(stream.gaps(12, 9)).toEqual(runs)
    expect(stream.gaps(12, 2)).toEqual(runs.slice(0, 2))
    expect(stream.gaps(6, 9)).toEqual(runs.slice(0, 2))
    expect(stream.gaps(5, 9)).toEqual([
      { from: 1, to: 2 },
      { from: 5, to: 5 },
    ])
    for (const seq of [1, 2, 5, 6, 8]) stream.accept(frame(seq))
    expect(stream.gaps(12, 9)).toEqual([{ from: 10, to: 12 }])
  })

  it('asks for a bounded number of frames, in however many runs', () => {
    const stream = new Stream()
    for (let seq = 100; seq <= 1000; seq += 100) stream.accept(frame(seq))
    const runs = stream.gaps(1000, 9)
    expect(runs.map(({ from, to }) => to - from + 1)).toEqual([99, 99, 58])
  })

  it('uses a consumed fact once what it covers was delivered, and the first that waits is not displaced', () => {
    const stream = new Stream()
    stream.learn(facts(0, 0, { consumed: 10 }))
    stream.useConsumed(9)
    expect(stream.consumed).toBe(0)
    stream.learn(facts(0, 0, { consumed: 20 }))
    stream.useConsumed(9)
    stream.useConsumed(12)
    expect(stream.consumed).toBe(10)
    stream.useConsumed(20)
    expect(stream.consumed).toBe(20)
  })

  it('counts the bytes of all segments of a frame', () => {
    expect(bytesOf({ ...frame(1), segments: [...frame(1, 1, 4).segments, ...frame(1, 1, 5).segments] })).toBe(
      9,
    )
  })
})
