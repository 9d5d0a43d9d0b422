import { describe, expect, it } from 'vitest'
import { configurationId } from './configuration.ts'
import type { DataFrame, NakFrame } from './frames.ts'
import { Ordering } from './ordering.ts'
import { Repair, type Request, type UnderWay } from './repair.ts'
import { defaultLimits, defaultTimeouts } from './state.ts'
import type { Stream } from './stream.ts'

const id = configurationId(2, 'a', 1)
const members = ['a', 'b', 'c']
const { acknowledgeMs, heartbeatMs } = defaultTimeouts
const limits = { ...defaultLimits, windowBytes: 4000 }

function made(): { ordering: Ordering; repair: Repair } {
  return { ordering: new Ordering({ id, members }, 'a'), repair: new Repair(limits, defaultTimeouts) }
}

function frame(rank: number, seq: number, bytes = 100): DataFrame {
  const facts = { clock: seq, seq, received: 0, credit: 0, consumed: 0 }
  const segments = [{ safe: false, more: false, head: 'm', bytes, body: [] }]
  return { kind: 'data', configuration: id, rank, seq, ts: seq, facts, segments }
}

function nak(rank: number, from: number, to: number): NakFrame {
  return { kind: 'nak', configuration: id, rank, from, to }
}

function requests(
  repair: Repair,
  ordering: Ordering,
  now: number,
  underWay: UnderWay = 'in order',
): Request[] {
  return repair.requests(
    ordering,
    now,
    rank => members[rank] as string,
    (_, stream: Stream) => stream.highest,
    underWay,
  )
}

describe('a gap', () => {
  it('is asked for soon once it is overtaken, then ever more rarely', () => {
    const { ordering, repair } = made()
    ordering.accept(frame(1, 3))
    const asked: number[] = []
    for (let now = 0; now < 2000; now++) {
      for (const request of requests(repair, ordering, now)) {
        expect(request).toEqual({ to: 'b', frame: nak(1, 1, 2) })
        asked.push(now)
      }
      expect(repair.nextDeadline()).toBeGreaterThan(now)
    }
    expect(asked[0]).toBe(acknowledgeMs)
    const pauses = asked.slice(1).map((at, i) => at - (asked[i] as number))
    expect(pauses).toEqual(pauses.toSorted((x, y) => x - y))
    expect(Math.max(...pauses)).toBe(heartbeatMs * 2)
    expect(repair.stalledFor(1, 2000)).toBe(2000)
  })

  it('known from facts only is given more time: frames may be on their way', () => {
    const { ordering, repair } = made()
    ordering.streams[1]?.learn({ clock: 9, seq: 2, received: 0, credit: 0, consumed: 0 })
    expect(requests(repair, ordering, 0)).toEqual([])
    expect(repair.nextDeadline()).toBe(acknowledgeMs * 4)
    expect(requests(repair, ordering, acknowledgeMs * 4)).toHaveLength(1)
  })

  it('that moves is no loss: its patience begins again', () => {
    const { ordering, repair } = made()
    ordering.accept(frame(1, 3))
    requests(repair, ordering, 0)
    ordering.accept(frame(1, 1))
    expect(requests(repair, ordering, acknowledgeMs)).toEqual([])
    expect(repair.stalledFor(1, acknowledgeMs)).toBe(0)
    expect(requests(repair, ordering, acknowledgeMs * 2)).toEqual([{ to: 'b', frame: nak(1, 2, 2) }])
    ordering.accept(frame(1, 2))
    expect(requests(repair, ordering, 1000)).toEqual([])
    expect(repair.nextDeadline()).toBe(Number.POSITIVE_INFINITY)
  })

  it('known from a heartbeat only is given heartbeats: that lane overtakes what a slow link still carries', () => {
    const { ordering, repair } = made()
    const [, stream] = ordering.streams as [Stream, Stream]
    const told = (seq: number): void =>
      stream.learn({ clock: 9, seq, received: 0, credit: 0, consumed: 0 }, false)
    told(2)
    expect(requests(repair, ordering, 0)).toEqual([])
    expect(requests(repair, ordering, heartbeatMs * 2 - 1)).toEqual([])
    expect(repair.nextDeadline()).toBe(heartbeatMs * 2)
    // A frame every now and then: none is asked for.
    ordering.accept(frame(1, 1))
    told(4)
    expect(requests(repair, ordering, heartbeatMs * 2)).toEqual([])
    ordering.accept(frame(1, 2))
    expect(requests(repair, ordering, heartbeatMs * 4 - 1)).toEqual([])
    // Facts behind the frames are proof, and so is a frame behind the gap.
    stream.learn({ clock: 9, seq: 3, received: 0, credit: 0, consumed: 0 })
    expect(requests(repair, ordering, heartbeatMs * 4)).toEqual([])
    expect(requests(repair, ordering, heartbeatMs * 4 + acknowledgeMs * 4)).toHaveLength(1)
  })

  it('where frames take several ways is given time, overtaken or not', () => {
    const { ordering, repair } = made()
    const patience = heartbeatMs * 2
    ordering.streams[2]?.learn({ clock: 9, seq: 1, received: 0, credit: 0, consumed: 0 })
    ordering.accept(frame(1, 3))
    for (let now = 0; now < patience; now++) expect(requests(repair, ordering, now, 'anything')).toEqual([])
    expect(repair.nextDeadline()).toBe(patience)
    expect(requests(repair, ordering, patience, 'anything').map(({ to }) => to)).toEqual(['b', 'c'])
    ordering.accept(frame(1, 1))
    expect(requests(repair, ordering, patience + 1, 'anything')).toEqual([])
    expect(requests(repair, ordering, patience * 2, 'anything').map(({ to }) => to)).toEqual(['c'])
    expect(requests(repair, ordering, patience * 2 + 1, 'anything').map(({ to }) => to)).toEqual(['b'])
  })

  it('is asked for soon once nothing is on its way any more', () => {
    const { ordering, repair } = made()
    ordering.accept(frame(1, 3))
    requests(repair, ordering, 0, 'anything')
    requests(repair, ordering, 50, 'nothing')
    expect(repair.nextDeadline()).toBe(50 + acknowledgeMs)
    expect(requests(repair, ordering, 50 + acknowledgeMs, 'nothing')).toHaveLength(1)
  })

  it('does not stand still while our own loop did', () => {
    const { ordering, repair } = made()
    ordering.accept(frame(1, 3))
    requests(repair, ordering, 0)
    repair.rearm(5000)
    expect(repair.stalledFor(1, 5000)).toBe(0)
    expect(repair.stalledFor(1, 5010)).toBe(10)
  })

  it('among others is asked for with them', () => {
    const { ordering, repair } = made()
    for (let seq = 2; seq <= 60; seq += 2) ordering.accept(frame(1, seq))
    requests(repair, ordering, 0)
    const asked = requests(repair, ordering, acknowledgeMs)
    expect(asked.slice(0, 3).map(request => request.frame)).toEqual([
      nak(1, 1, 1),
      nak(1, 3, 3),
      nak(1, 5, 5),
    ])
    expect(asked).toHaveLength(16)
    for (const request of asked) ordering.accept(frame(1, request.frame.from))
    requests(repair, ordering, acknowledgeMs)
    expect(requests(repair, ordering, acknowledgeMs * 2)).toHaveLength(14)
  })

  it('of a stream is asked of whom a Plan names, as far as the Plan wants it', () => {
    const { ordering, repair } = made()
    ordering.accept(frame(1, 1))
    const ask = (now: number): Request[] =>
      repair.requests(
        ordering,
        now,
        () => 'c',
        rank => (rank === 1 ? 3 : 0),
        'nothing',
      )
    ask(0)
    expect(ask(acknowledgeMs * 4)).toEqual([{ to: 'c', frame: nak(1, 2, 3) }])
  })
})

describe('retransmissions', () => {
  it('go to who asked, of any stream that we hold, and only what we hold', () => {
    const { ordering, repair } = made()
    ordering.accept(frame(1, 1))
    ordering.accept(frame(1, 3))
    repair.owe('c', nak(1, 1, 9))
    expect(repair.owing).toBe(true)
    const sent = repair.retransmissions(ordering)
    expect(sent.map(({ to, frame: { rank, seq } }) => [to, rank, seq])).toEqual([
      ['c', 1, 1],
      ['c', 1, 3],
    ])
    expect(repair.owing).toBe(false)
  })

  it('stay within a quarter of a window a turn', () => {
    const { ordering, repair } = made()
    for (let seq = 1; seq <= 25; seq++) ordering.accept(frame(1, seq))
    repair.owe('c', nak(1, 1, 25))
    const turns: number[] = []
    while (repair.owing) turns.push(repair.retransmissions(ordering).length)
    expect(turns).toEqual([10, 10, 5])
  })

  it('owe a member once what it asks for twice, and a bounded run', () => {
    const { ordering, repair } = made()
    for (let seq = 1; seq <= 300; seq++) ordering.accept(frame(1, seq, 1))
    for (let i = 0; i < 100; i++) repair.owe('c', nak(1, 2 + (i % 2), 2 ** 53 - 1))
    const sent = repair.retransmissions(ordering)
    expect(sent).toHaveLength(256)
    expect(repair.owing).toBe(false)
  })

  it('owe each member that asks a bounded number of runs of a stream', () => {
    const { ordering, repair } = made()
    for (let seq = 1; seq <= 300; seq++) ordering.accept(frame(1, seq, 1))
    repair.owe('b', nak(1, 1, 1))
    for (let seq = 1; seq <= 199; seq += 2) repair.owe('c', nak(1, seq, seq))
    const sent = repair.retransmissions(ordering).map(({ to, frame: { seq } }) => [to, seq])
    expect(sent).toHaveLength(17)
    expect(sent[0]).toEqual(['b', 1])
    expect(sent.slice(1).map(([, seq]) => seq)).toEqual(Array.from({ length: 16 }, (_, i) => 169 + 2 * i))
    expect(repair.owing).toBe(false)
  })

  it.each([
    ['a run that goes back', nak(1, 5, 1)],
    ['what lies far ahead', nak(1, 2 ** 53 - 300, 2 ** 53 - 1)],
    ['what lies before the first', nak(1, 0, 0)],
  ])('of %s are none', (_, frame_) => {
    const { ordering, repair } = made()
    ordering.accept(frame(1, 1))
    repair.owe('c', frame_)
    expect(repair.retransmissions(ordering)).toEqual([])
    expect(repair.owing).toBe(false)
  })
})
