import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { configurationId } from './configuration.ts'
import type { DataFrame } from './frames.ts'
import { type Delivery, type DeliveryCut, Ordering } from './ordering.ts'
import { Submissions } from './submissions.ts'
import type { Segment } from './types.ts'

const id = configurationId(2, 'a', 1)
const configuration = { id, members: ['a', 'b', 'c'] }
const everything: DeliveryCut = {
  agreed: Number.POSITIVE_INFINITY,
  safe: Number.POSITIVE_INFINITY,
  caps: null,
  takesPart: null,
}
const limits = { maxFrameBytes: 100, maxFrameSegments: 10 }

function piece(head: string, safe = false, more = false): Segment {
  return { safe, more, head: more ? null : head, bytes: 1, body: [Uint8Array.of(head.length)] }
}

function frame(rank: number, seq: number, ts: number, ...segments: Segment[]): DataFrame {
  const facts = { clock: ts, seq, received: 0, credit: 0, consumed: 0 }
  return { kind: 'data', configuration: id, rank, seq, ts, facts, segments }
}

function arrive(order: readonly DataFrame[]): Ordering {
  const ordering = new Ordering(configuration, 'a')
  for (const each of order) ordering.accept(each)
  return ordering
}

function deliver(
  ordering: Ordering,
  cut: Partial<DeliveryCut> = {},
): { heads: unknown[]; heldBackAt: number } {
  const heads: unknown[] = []
  const heldBackAt = ordering.deliver({ ...everything, ...cut }, ({ segment }) => heads.push(segment.head))
  return { heads, heldBackAt }
}

function learn(ordering: Ordering, rank: number, clock: number, received = 0, credit = received): void {
  const seq = ordering.streams[rank]?.contiguous ?? 0
  ordering.streams[rank]?.learn({ clock, seq, received, credit, consumed: 0 })
}

describe('the order', () => {
  it('is (ts, rank, index in the frame)', () => {
    const ordering = new Ordering(configuration, 'a')
    ordering.accept(frame(2, 1, 5, piece('c5')))
    ordering.accept(frame(1, 1, 5, piece('b5.0'), piece('b5.1')))
    ordering.accept(frame(1, 2, 7, piece('b7')))
    ordering.accept(frame(2, 2, 6, piece('c6')))
    const places: Delivery['place'][] = []
    ordering.deliver(everything, ({ place }) => places.push(place))
    expect(places.map(p => [p.epoch, p.ts, p.rank, p.index])).toEqual([
      [2, 5, 1, 0],
      [2, 5, 1, 1],
      [2, 5, 2, 0],
      [2, 6, 2, 0],
      [2, 7, 1, 0],
    ])
  })

  it('is the same whatever the frames’ order of arrival and the passes of delivery', () => {
    const frames = [0, 1, 2, 3, 4, 5].flatMap(i => [
      frame(1, i + 1, 3 * i + 1, piece(`b${i}`, i === 2)),
      frame(2, i + 1, 2 * i + 1, piece(`c${i}`, i === 4)),
    ])
    const expected = deliver(arrive(frames)).heads
    fc.assert(
      fc.property(
        fc.shuffledSubarray(frames, { minLength: frames.length }),
        fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 6 }),
        (order, cuts) => {
          const ordering = arrive(order)
          const heads: unknown[] = []
          for (const cut of cuts) heads.push(...deliver(ordering, { agreed: cut, safe: cut - 3 }).heads)
          heads.push(...deliver(ordering).heads)
          expect(heads).toEqual(expected)
        },
      ),
    )
  })

  it('says received: the least clock that counts of the others', () => {
    const ordering = new Ordering(configuration, 'a')
    ordering.accept(frame(1, 1, 50, piece('b')))
    expect(ordering.received()).toBe(0)
    learn(ordering, 2, 40)
    expect(ordering.received()).toBe(40)
    learn(ordering, 2, 900)
    // Our own next frame lies above the highest seen, and above no more than that.
    expect(ordering.received()).toBe(50)
    ordering.announced = 60
    expect(ordering.received()).toBe(50)
  })

  it('says stable: the least received of all', () => {
    const ordering = new Ordering(configuration, 'a')
    learn(ordering, 1, 0, 30)
    learn(ordering, 2, 0, 20)
    expect(ordering.stable(40)).toBe(20)
    expect(ordering.stable(10)).toBe(10)
  })

  it('holds back behind a safe message all that follows, in its frame and after it', () => {
    const ordering = new Ordering(configuration, 'a')
    ordering.accept(frame(1, 1, 5, piece('x'), piece('safe', true), piece('y')))
    ordering.accept(frame(2, 1, 6, piece('z')))
    expect(deliver(ordering, { safe: 4 })).toEqual({ heads: ['x'], heldBackAt: 5 })
    expect(deliver(ordering, { safe: 4 })).toEqual({ heads: [], heldBackAt: 5 })
    expect(deliver(ordering, { safe: 5 })).toEqual({
      heads: ['safe', 'y', 'z'],
      heldBackAt: Number.POSITIVE_INFINITY,
    })
  })

  it('cuts by ts, by the seq of a stream and by who takes part', () => {
    const ordering = new Ordering(configuration, 'a')
    for (let seq = 1; seq <= 3; seq++) {
      ordering.accept(frame(1, seq, seq * 10, piece(`b${seq}`)))
      ordering.accept(frame(2, seq, seq * 10 + 1, piece(`c${seq}`)))
    }
    expect(deliver(ordering, { agreed: 10 }).heads).toEqual(['b1'])
    expect(deliver(ordering, { caps: [9, 2, 1] }).heads).toEqual(['c1', 'b2'])
    expect(deliver(ordering, { takesPart: [true, false, true] }).heads).toEqual(['c2', 'c3'])
    expect(ordering.nextUndelivered()?.segments[0]?.head).toBe('b3')
  })

  it('delivers a fragmented segment at the place of its last fragment, whole', () => {
    const ordering = new Ordering(configuration, 'a')
    ordering.accept(frame(1, 1, 5, piece('', false, true)))
    ordering.accept(frame(2, 1, 6, piece('c')))
    expect(deliver(ordering).heads).toEqual(['c'])
    ordering.accept(frame(1, 2, 8, piece('b')))
    const out: Delivery[] = []
    ordering.deliver(everything, delivery => out.push(delivery))
    expect(
      out.map(({ place, segment }) => [place.ts, segment.head, segment.bytes, segment.body.length]),
    ).toEqual([[8, 'b', 2, 2]])
  })

  it('never delivers past a gap', () => {
    const ordering = new Ordering(configuration, 'a')
    ordering.accept(frame(1, 2, 20, piece('b2')))
    expect(deliver(ordering).heads).toEqual([])
    ordering.accept(frame(1, 1, 10, piece('b1')))
    expect(deliver(ordering).heads).toEqual(['b1', 'b2'])
  })
})

describe('our own frames', () => {
  it('lie above all that we promised and all that we saw', () => {
    const ordering = new Ordering(configuration, 'b')
    const submissions = new Submissions()
    const originated: number[] = []
    const next = (): DataFrame | null =>
      ordering.nextFrame(submissions, true, limits, 0, place => originated.push(place.ts))
    expect(next()).toBeNull()
    submissions.push(piece('one'), false)
    ordering.announced = 100
    expect(next()).toMatchObject({ rank: 1, seq: 1, ts: 101, facts: { clock: 101, seq: 1 } })
    ordering.accept(frame(0, 1, 500, piece('a')))
    submissions.push(piece('two', true), false)
    expect(next()).toMatchObject({ seq: 2, ts: 501, facts: { clock: 501, seq: 2, received: 0 } })
    expect(originated).toEqual([101, 501])
    expect([ordering.safe.firstAbove(0), ordering.window.bytes, ordering.own.contiguous]).toEqual([501, 2, 2])
  })

  it('tell no credit beyond what lagging clients allow, and take none back', () => {
    const ordering = new Ordering(configuration, 'a')
    expect(ordering.facts(10).credit).toBe(10)
    ordering.heldCredit = ordering.own.credit
    expect(ordering.facts(20)).toMatchObject({ received: 20, credit: 10 })
    ordering.heldCredit = null
    expect(ordering.facts(20).credit).toBe(20)
    ordering.heldCredit = 5
    expect(ordering.facts(30).credit).toBe(20)
  })

  it('close their window on the least credit of all, ours included while it is held', () => {
    const ordering = new Ordering(configuration, 'a')
    learn(ordering, 1, 0, 30)
    learn(ordering, 2, 0, 20)
    expect(ordering.creditOfAll()).toBe(20)
    ordering.heldCredit = 7
    expect(ordering.creditOfAll()).toBe(7)
    expect(new Ordering({ id, members: ['a'] }, 'a').creditOfAll()).toBe(Number.POSITIVE_INFINITY)
  })

  it('belong to a member of the configuration', () => {
    expect(() => new Ordering(configuration, 'd')).toThrow('we are in our own configuration')
  })
})
