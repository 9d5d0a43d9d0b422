import { describe, expect, it } from 'vitest'
import { Random } from '../lib/prng.ts'
import type { Cell } from './cell.ts'
import { Net, segment } from './net.fixture.ts'

const limits = { maxFrameBytes: 1000, windowBytes: 5000, queueBytes: 20_000 }

describe('traffic', () => {
  it('is delivered alike under loss and with frames that overtake each other', () => {
    const { net, cells } = Net.formed('abc')
    const random = new Random(7)
    net.drop = frame => {
      net.delayMs = 1 + random.int(4)
      return (frame.kind === 'data' || frame.kind === 'facts' || frame.kind === 'nak') && random.chance(0.2)
    }
    for (let i = 0; i < 300; i++) {
      cells[random.int(3)]?.submit(segment(`m${i}`, 10, random.chance(0.2)))
      if (random.chance(0.3)) net.run(random.int(4))
    }
    const complete = (): boolean => cells.every(cell => net.delivered(cell).length === 300)
    expect(net.until(complete, 5000)).toBe(true)
    const [a, b, c] = cells.map(cell => net.delivered(cell))
    expect(b).toEqual(a)
    expect(c).toEqual(a)
    expect(cells.flatMap(cell => net.losses(cell))).toEqual([])
  })

  it('tells how far it has delivered, never past a safe message that is held back', () => {
    const { net, cells } = Net.formed('abc')
    const [a, b, c] = cells as [Cell, Cell, Cell]
    // a does not hear c's clock: nothing is agreed at a, and so nothing is safe at c.
    net.drop = (frame, from, to) => from === c.self && to === a.self && frame.kind !== 'data'
    b.submit(segment('agreed'))
    b.submit(segment('safe', 10, true))
    b.submit(segment('after'))
    net.run(400)
    expect(net.delivered(a)).toEqual([])
    expect(net.delivered(c)).toEqual(['agreed'])
    const told = net.events(c, 'delivered').map(event => event.ts)
    expect(told.at(-1)).toBe((net.events(c, 'deliver')[0]?.place.ts as number) - 1)
    expect(told).toEqual(told.toSorted((x, y) => x - y))
    net.drop = () => false
    net.run(200)
    expect(net.delivered(a)).toEqual(['agreed', 'safe', 'after'])
  })

  it('frees its history once everyone is known to hold it', () => {
    const { net, cells } = Net.formed('abc')
    for (let i = 0; i < 100; i++) cells[i % 3]?.submit(segment(`m${i}`, 1000))
    net.run(300)
    expect(cells.map(cell => cell.load)).toEqual(
      cells.map(() => ({ queueBytes: 0, windowBytes: 0, historyBytes: 0 })),
    )
  })

  it('waits behind a closed gate, but for what is urgent', () => {
    const net = new Net()
    const cell = net.add('a', 1)
    cell.submit(segment('client'))
    cell.submit(segment('urgent'), true)
    cell.evaluate(0)
    const heads = (): unknown[] =>
      cell.takeEvents().flatMap(e => (e.type === 'deliver' ? [e.segment.head] : []))
    expect(heads()).toEqual(['urgent'])
    expect(cell.load.queueBytes).toBe(10)
    cell.openGate()
    cell.evaluate(1)
    expect(heads()).toEqual(['client'])
  })
})

describe('the window', () => {
  it('shuts while lagging clients hold their daemon’s credit, and opens when they let go', () => {
    const { net, cells } = Net.formed('abc', { limits })
    const [a, b] = cells as [Cell, Cell, Cell]
    a.submit(segment('first'))
    net.run(200)
    b.holdCredit(true)
    for (let i = 0; i < 18; i++) a.submit(segment(`m${i}`, 1000))
    net.run(500)
    expect(a.load.windowBytes).toBeGreaterThanOrEqual(limits.windowBytes)
    expect(a.load.windowBytes).toBeLessThanOrEqual(limits.windowBytes + limits.maxFrameBytes)
    expect(a.load.queueBytes).toBe(18_000 - a.load.windowBytes)
    expect(a.room).toBe(limits.queueBytes - a.load.queueBytes)
    // What was sent is delivered: credit holds back senders, never receivers.
    expect(net.delivered(b)).toHaveLength(1 + a.load.windowBytes / 1000)
    b.holdCredit(true)
    b.holdCredit(false)
    expect(net.until(() => net.delivered(b).length === 19, 500)).toBe(true)
    expect(cells.flatMap(cell => net.losses(cell))).toEqual([])
  })

  it('counts our own lagging clients too', () => {
    const { net, cells } = Net.formed('ab', { limits })
    const [a] = cells as [Cell, Cell]
    a.holdCredit(true)
    for (let i = 0; i < 18; i++) a.submit(segment(`m${i}`, 1000))
    net.run(500)
    expect(a.load.queueBytes).toBeGreaterThan(0)
    a.holdCredit(false)
    expect(net.until(() => a.load.queueBytes === 0, 500)).toBe(true)
  })

  it('shut by a member that dies opens with the next configuration', () => {
    const { net, cells } = Net.formed('abc', { limits })
    const [a, b, c] = cells as [Cell, Cell, Cell]
    net.kill(c)
    for (let i = 0; i < 18; i++) a.submit(segment(`m${i}`, 1000))
    net.run(200)
    expect(a.load.queueBytes).toBeGreaterThan(0)
    expect(net.until(() => net.delivered(b).length === 18, 5000)).toBe(true)
    expect(net.delivered(a)).toEqual(net.delivered(b))
  })
})

describe('stalls', () => {
  it('part us from a member whose stream stands still although it lives', () => {
    const { net, cells } = Net.formed('abc')
    const [a, b, c] = cells as [Cell, Cell, Cell]
    net.drop = (frame, from, to) => frame.kind === 'data' && from === c.self && to === a.self
    c.submit(segment('large'))
    const parted = (): boolean => net.losses(a).includes('c stalled')
    expect(net.until(parted, 3900)).toBe(false)
    expect(net.until(parted, 1000)).toBe(true)
    net.drop = () => false
    expect(net.until(() => cells.every(cell => net.delivered(cell).includes('large')), 10_000)).toBe(true)
    expect(net.losses(b)).toEqual([])
  })

  it('keep nobody out who comes back: whoever is lost for one may answer, however slow the path', () => {
    const { net, cells } = Net.formed('abc')
    const [a, , c] = cells as [Cell, Cell, Cell]
    net.drop = (frame, from, to) => frame.kind === 'data' && from === c.self && to === a.self
    // There and back takes longer than a cell that gathers waits between heartbeats.
    net.delayMs = 60
    c.submit(segment('large'))
    expect(net.until(() => net.losses(a).includes('c stalled'), 5000)).toBe(true)
    const { key } = a.configuration.id
    const back = (): boolean => a.state.peers.hears(c.self)
    expect(net.until(back, 1000)).toBe(true)
    expect(a.configuration.id.key).toBe(key)
  })

  it('are not seen in members when it was our own loop that stood still', () => {
    const net = new Net()
    const a = net.add('a', 1)
    // Patient enough to tell what a does from what it would do to a.
    const b = net.add('b', 2, { timeouts: { suspectAfterMs: 20_000, stalledAfterMs: 20_000 } })
    net.run(500)
    net.drop = (frame, from) => frame.kind === 'data' && from === b.self
    b.submit(segment('lost'))
    net.run(500)
    net.paused.add(a.self)
    net.run(5000)
    net.drop = () => false
    net.paused.clear()
    net.run(2000)
    expect(net.losses(a)).toEqual([])
    expect(net.delivered(a)).toEqual(['lost'])
  })
})

describe('consumed', () => {
  it('travels as a fact and counts once what it covers is delivered', () => {
    const { net, cells } = Net.formed('ab')
    const [a, b] = cells as [Cell, Cell]
    a.submit(segment('m'))
    net.run(100)
    const ts = net.events(b, 'deliver')[0]?.place.ts as number
    b.setConsumed(ts)
    b.setConsumed(ts - 1)
    net.run(200)
    expect(net.events(a, 'consumed').at(-1)?.byRank).toEqual([0, ts])
    expect(net.events(b, 'consumed').at(-1)?.byRank).toEqual([0, ts])
  })

  it('is fixed for all who come along when its member dies', () => {
    const { net, cells } = Net.formed('abc')
    const [a, b, c] = cells as [Cell, Cell, Cell]
    a.submit(segment('m'))
    net.run(200)
    const ts = net.events(c, 'deliver')[0]?.place.ts as number
    c.setConsumed(ts)
    // Only b hears of it.
    net.drop = (_, from, to) => from === c.self && to === a.self
    net.run(50)
    net.kill(c)
    expect(net.until(() => [a, b].every(cell => cell.configuration.members.length === 2), 5000)).toBe(true)
    for (const cell of [a, b]) expect(net.events(cell, 'transitional').at(-1)?.consumed).toEqual([0, 0, ts])
  })
})
