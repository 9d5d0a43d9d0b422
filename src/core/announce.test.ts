import { describe, expect, it } from 'vitest'
import { Announcer, factsFrame } from './announce.ts'
import type { Cell } from './cell.ts'
import { configurationId } from './configuration.ts'
import type { Frame } from './frames.ts'
import { Net, segment } from './net.fixture.ts'
import { Ordering } from './ordering.ts'
import { defaultLimits, defaultTimeouts } from './state.ts'
import type { Facts } from './types.ts'

const id = configurationId(2, 'a', 1)
const { acknowledgeMs, silentAfterMs, suspectAfterMs, heartbeatMs } = defaultTimeouts

function made(members = ['a', 'b', 'c']): { ordering: Ordering; announcer: Announcer } {
  const ordering = new Ordering({ id, members }, 'a')
  return { ordering, announcer: new Announcer(defaultLimits, defaultTimeouts, 2 ** 52) }
}

function arrive(ordering: Ordering, rank: number, seq: number, ts: number, safe = false): void {
  const facts = { clock: ts, seq, received: 0, credit: 0, consumed: 0 }
  const segments = [{ safe, more: false, head: 'm', bytes: 10, body: [] }]
  ordering.accept({ kind: 'data', configuration: id, rank, seq, ts, facts, segments })
}

function learn(ordering: Ordering, rank: number, more: Partial<Facts>): void {
  const seq = ordering.streams[rank]?.contiguous ?? 0
  ordering.streams[rank]?.learn({ clock: 0, seq, received: 0, credit: 0, consumed: 0, ...more })
}

function isFacts({ frame }: { frame: Frame }): boolean {
  return frame.kind === 'facts'
}

describe('announcements of many members', () => {
  const names = [...'abcdefghijklmnop']

  /** All talk a little: each sends one message in turn. */
  function chat(aggregateFrom: number): { net: Net; cells: Cell[]; frames: number } {
    const { net, cells } = Net.formed(names.join(''), { limits: { aggregateFrom } })
    net.delayMs = 0.1
    net.wire.length = 0
    for (const cell of cells) {
      cell.submit(segment(`of ${cell.self}`))
      net.run(silentAfterMs / 2)
    }
    net.run(heartbeatMs)
    const sent = cells.map(cell => `of ${cell.self}`)
    for (const cell of cells) expect(net.delivered(cell)).toEqual(sent)
    return { net, cells, frames: net.wire.filter(isFacts).length }
  }

  it('go through one, which spares most of the frames', () => {
    const direct = chat(names.length + 1)
    const { frames, net, cells } = chat(names.length)
    expect(frames).toBeLessThan(direct.frames / 3)
    const [aggregator] = cells as [Cell]
    const ways = net.wire
      .filter(isFacts)
      .map(({ from, to }) => from === aggregator.self || to === aggregator.self)
    expect(new Set(ways)).toEqual(new Set([true]))
  })

  it('go to everyone when the aggregator stands still, and it delays only what is first', () => {
    const { net, cells } = chat(2)
    const [aggregator, ...others] = cells as [Cell, Cell, Cell]
    // The aggregator is silent for longest: it has promised ahead of all, and nobody waits for a promise of its.
    net.run(heartbeatMs * 3)
    for (const cell of others) cell.submit(segment('again'))
    net.run(heartbeatMs * 3)
    net.paused.add(aggregator.self)
    // Two talk in turn: each must hear that the other has seen what it said.
    const waits = [...'12345678'].map((head, round) => {
      const before = net.now
      others[round % 2]?.submit(segment(head))
      const all = (): boolean => others.every(cell => net.delivered(cell).at(-1) === head)
      expect(net.until(all, suspectAfterMs / 2)).toBe(true)
      return net.now - before
    })
    // Who waits asks, and then tells everyone itself: there and back is two hops.
    expect(waits[0]).toBeGreaterThan(acknowledgeMs)
    expect(waits.at(-1)).toBeCloseTo(2 * net.delayMs)
    for (const cell of others) expect(cell.configuration.members).toHaveLength(names.length)
  })
})

describe('facts alone', () => {
  it('are due at once when a frame lies above our promise, and not again', () => {
    const { ordering, announcer } = made()
    expect(announcer.due(ordering, 0, 0)).toBe(false)
    arrive(ordering, 1, 1, 5)
    expect(announcer.due(ordering, 0, 0)).toBe(true)
    announcer.promise(ordering, 0)
    announcer.sent(ordering.facts(0))
    expect(announcer.due(ordering, 0, 0)).toBe(false)
  })

  it('are due at once when received passes a safe message', () => {
    const { ordering, announcer } = made()
    arrive(ordering, 1, 1, 5, true)
    announcer.promise(ordering, 0)
    announcer.sent(ordering.facts(4))
    expect(announcer.due(ordering, 4, 0)).toBe(false)
    expect(announcer.due(ordering, 5, 0)).toBe(true)
  })

  it('are due for each of several safe messages, not only when received passes the last', () => {
    const { ordering, announcer } = made()
    arrive(ordering, 1, 1, 5, true)
    arrive(ordering, 2, 1, 9, true)
    announcer.promise(ordering, 0)
    announcer.sent(ordering.facts(4))
    expect(announcer.due(ordering, 4, 0)).toBe(false)
    expect(announcer.due(ordering, 7, 0)).toBe(true)
    announcer.sent(ordering.facts(7))
    expect(announcer.due(ordering, 8, 0)).toBe(false)
    expect(announcer.due(ordering, 9, 0)).toBe(true)
  })

  it('are due lazily when anything else moved, and at once for a quarter of a window', () => {
    const { ordering, announcer } = made()
    arrive(ordering, 1, 1, 5)
    announcer.promise(ordering, 0)
    announcer.sent(ordering.facts(0))
    announcer.frameReceived(10)
    expect(announcer.due(ordering, 5, 100)).toBe(false)
    expect(announcer.nextDeadline()).toBe(100 + acknowledgeMs)
    expect(announcer.due(ordering, 5, 100 + acknowledgeMs)).toBe(true)
    announcer.sent(ordering.facts(5))
    expect(announcer.nextDeadline()).toBe(Number.POSITIVE_INFINITY)
    announcer.frameReceived(defaultLimits.windowBytes / 4)
    expect(announcer.due(ordering, 6, 200)).toBe(true)
  })

  it('are due at the very moment that their deadline names, whatever was rounded', () => {
    const { ordering, announcer } = made()
    arrive(ordering, 1, 1, 5)
    announcer.promise(ordering, 0)
    announcer.sent(ordering.facts(0))
    announcer.frameReceived(10)
    // 3/7 + 2 − 3/7 is less than 2 in doubles.
    expect(announcer.due(ordering, 5, 3 / 7)).toBe(false)
    expect(announcer.due(ordering, 5, announcer.nextDeadline())).toBe(true)
  })

  it('leave no deadline behind when what moved came to rest by itself', () => {
    const { ordering, announcer } = made()
    ordering.window.add(1, 10)
    expect(announcer.due(ordering, 5, 100)).toBe(false)
    expect(announcer.nextDeadline()).toBe(100 + acknowledgeMs)
    ordering.window.release(1)
    expect(announcer.due(ordering, 5, 101)).toBe(false)
    expect(announcer.nextDeadline()).toBe(Number.POSITIVE_INFINITY)
  })

  it('tell a credit that is no longer held back', () => {
    const { ordering, announcer } = made()
    ordering.heldCredit = 0
    announcer.sent(ordering.facts(50))
    expect(announcer.due(ordering, 50, 0)).toBe(false)
    expect(announcer.nextDeadline()).toBe(Number.POSITIVE_INFINITY)
    ordering.heldCredit = null
    announcer.due(ordering, 50, 0)
    expect(announcer.due(ordering, 50, acknowledgeMs)).toBe(true)
  })

  it('are never due for one who is alone', () => {
    const { ordering, announcer } = made(['a'])
    ordering.highestTs = 100
    expect(announcer.due(ordering, 100, 1000)).toBe(false)
  })
})

describe('a promise', () => {
  it('is exact while we talk, and ahead of frames when we are silent', () => {
    const { ordering, announcer } = made()
    ordering.highestTs = 100
    ordering.lastSentAt = 1000
    announcer.promise(ordering, 1000 + silentAfterMs)
    expect(ordering.announced).toBe(100)
    announcer.promise(ordering, 1001 + silentAfterMs)
    expect(ordering.announced).toBe(100 + 1024)
    // Ahead of frames, not of promises: it does not grow by itself.
    announcer.promise(ordering, 1001 + silentAfterMs)
    expect(ordering.announced).toBe(100 + 1024)
  })

  it('reaches the further the longer we are silent, within a bound', () => {
    const { ordering, announcer } = made()
    ordering.lastSentAt = 0
    announcer.promise(ordering, 20 * silentAfterMs)
    expect(ordering.announced).toBe(20 * 1024)
    announcer.promise(ordering, Number.POSITIVE_INFINITY)
    expect(ordering.announced).toBe(2 ** 30)
    const soon = new Announcer(defaultLimits, defaultTimeouts, 2 ** 32)
    ordering.announced = 0
    soon.promise(ordering, Number.POSITIVE_INFINITY)
    expect(ordering.announced).toBe(2 ** 12)
  })

  it('reaches over two suspicions of the rate of frames', () => {
    const { ordering, announcer } = made()
    ordering.lastSentAt = 1099 - silentAfterMs
    announcer.measure(1000)
    for (let i = 0; i < 5000; i++) announcer.frameReceived(1)
    announcer.measure(1100)
    announcer.promise(ordering, 1100)
    expect(ordering.announced).toBe(50 * suspectAfterMs * 2)
  })

  it('is never taken back', () => {
    const { ordering, announcer } = made()
    ordering.announced = 5000
    announcer.promise(ordering, 0)
    expect(ordering.announced).toBe(5000)
  })
})

describe('who is blocked', () => {
  it('asks after a while whose clock holds up the next delivery, ever more rarely', () => {
    const { ordering, announcer } = made()
    arrive(ordering, 1, 1, 5)
    expect(announcer.toAsk(ordering, 0, false, 0)).toEqual([])
    const asked: number[] = []
    for (let now = 0; now < 1000; now++) {
      const members = announcer.toAsk(ordering, 0, false, now)
      if (members.length === 0) continue
      expect(members).toEqual(['c'])
      expect(announcer.nextDeadline()).toBeGreaterThan(now)
      asked.push(now)
    }
    expect(asked[0]).toBe(acknowledgeMs)
    expect(asked.length).toBeGreaterThan(4)
    expect(asked.length).toBeLessThan(1000 / heartbeatMs + 8)
  })

  it('asks those whose received holds up a safe message', () => {
    const { ordering, announcer } = made()
    arrive(ordering, 1, 1, 5, true)
    learn(ordering, 1, { received: 5 })
    learn(ordering, 2, { clock: 5 })
    announcer.toAsk(ordering, 5, false, 0)
    expect(announcer.toAsk(ordering, 5, false, acknowledgeMs)).toEqual(['c'])
  })

  it('asks those whose credit keeps the window shut', () => {
    const { ordering, announcer } = made()
    ordering.window.add(7, 10)
    learn(ordering, 2, { credit: 7 })
    announcer.toAsk(ordering, 7, true, 0)
    expect(announcer.toAsk(ordering, 7, true, acknowledgeMs)).toEqual(['b'])
    expect(announcer.toAsk(ordering, 7, false, acknowledgeMs)).toEqual([])
    expect(announcer.nextDeadline()).toBe(Number.POSITIVE_INFINITY)
  })

  it('is answered once, however often it asked', () => {
    const { ordering, announcer } = made()
    announcer.asked('b')
    announcer.asked('b')
    announcer.asked('c')
    expect(announcer.takeAskers()).toEqual(['b', 'c'])
    expect(announcer.takeAskers()).toEqual([])
    expect(factsFrame(ordering, ordering.facts(3), 'answer')).toMatchObject({
      rank: 0,
      wants: 'answer',
      facts: { received: 3 },
    })
  })
})
