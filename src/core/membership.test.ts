import { describe, expect, it } from 'vitest'
import type { Sometimes } from '../lib/coverage.ts'
import type { Cell } from './cell.ts'
import { configurationId } from './configuration.ts'
import type { Frame } from './frames.ts'
import { Net, segment } from './net.fixture.ts'
import { defaultTimeouts } from './state.ts'

const membershipKinds = new Set(['form', 'refuse', 'state', 'plan', 'recovered', 'install'])

function namesOf(cell: Cell): string {
  return cell.configuration.members.map(member => member.split('#')[0]).join('')
}

/** Frames that a member says something with in its configuration. */
function speaks(frame: Frame): boolean {
  return (
    frame.kind === 'data' || frame.kind === 'facts' || (frame.kind === 'heartbeat' && frame.facts !== null)
  )
}

describe('forming', () => {
  it('works over a path slower than a heartbeat', () => {
    const net = new Net()
    net.delayMs = 130
    const cells = ['a', 'b', 'c'].map((name, i) => net.add(name, i + 1))
    expect(net.until(() => cells.every(cell => namesOf(cell) === 'abc'), 20_000)).toBe(true)
    const { key } = (cells[0] as Cell).configuration.id
    net.run(10_000)
    for (const cell of cells) expect(cell.configuration.id.key).toBe(key)
  })

  it('brings together sixteen that boot at once, in a few attempts', () => {
    const net = new Net()
    const cells = [...'abcdefghijklmnop'].map((name, i) => net.add(name, i + 1))
    expect(net.until(() => cells.every(cell => cell.configuration.members.length === 16), 2000)).toBe(true)
    expect((cells[0] as Cell).configuration.id.epoch).toBeLessThan(6)
  })

  it('wakes an idle cell for heartbeats only', () => {
    const { net, cells } = Net.formed('abc')
    for (const cell of cells) cell.submit(segment(cell.self))
    net.run(1000)
    net.turns = 0
    net.run(1000)
    // Ten heartbeats each, and every cell has a turn for each of them, when it leaves and when it arrives.
    expect(net.turns).toBeLessThan(3 * 3 * 10 * 2 + 20)
  })

  it.each([...membershipKinds])('survives the loss of the first %s', kind => {
    const net = new Net()
    const cells = ['a', 'b', 'c'].map((name, i) => net.add(name, i + 1))
    let lost = 0
    net.drop = frame => frame.kind === kind && lost++ === 0
    expect(net.until(() => cells.every(cell => namesOf(cell) === 'abc'), 10_000)).toBe(true)
    const keys = cells.map(cell => cell.configuration.id.key)
    expect(new Set(keys).size).toBe(1)
    // A refusal is rare: nobody need have sent one.
    if (kind !== 'refuse') expect(lost).toBeGreaterThan(0)
  })

  it('forms without one that answers nothing, and takes it back when it does', () => {
    const marks = new Set<Sometimes>()
    const options = { cover: (mark: Sometimes) => marks.add(mark) }
    const { net, cells } = Net.formed('abc', options)
    const [a, b, c] = cells as [Cell, Cell, Cell]
    net.drop = (frame, from, to) => membershipKinds.has(frame.kind) && (from === c.self || to === c.self)
    const d = net.add('d', 9, options)
    expect(net.until(() => namesOf(d) === 'abd', 10_000)).toBe(true)
    // It goes on in the old configuration, alone: the others left it, and live.
    c.submit(segment('unheard'))
    net.run(3000)
    expect(namesOf(a)).toBe('abd')
    expect(namesOf(b)).toBe('abd')
    expect(marks).toContain('proof that a member left')
    net.drop = () => false
    expect(net.until(() => [a, b, c, d].every(cell => namesOf(cell) === 'abcd'), 20_000)).toBe(true)
    expect(net.delivered(c)).toContain('unheard')
  })

  it('does not wait in a circle when joins settle for longer than others may take to agree', () => {
    const net = new Net()
    const cells = ['a', 'b'].map((name, i) => net.add(name, i + 1, { timeouts: { settleMs: 5000 } }))
    expect(net.until(() => cells.every(cell => namesOf(cell) === 'ab'), 20_000)).toBe(true)
  })

  it('does not count as stalled who left the configuration, and lives', () => {
    const { net, cells } = Net.formed('ab', { timeouts: { stalledAfterMs: 200 } })
    const [a, b] = cells as [Cell, Cell]
    net.kill(b)
    a.submit(segment('owed'))
    for (let i = 0; i < 20; i++) {
      const configuration = configurationId(9, b.self, 1)
      const { target, matrix } = { target: 0, matrix: a.state.peers.digest }
      const said = {
        ballot: 9,
        maxEpoch: 9,
        phase: 'operational' as const,
        target,
        matrix,
        rows: [],
        facts: null,
      }
      a.receive(b.self, { kind: 'heartbeat', configuration, ...said }, net.now)
      net.run(50)
    }
    expect(a.phase).toBe('gather')
    expect(net.losses(a)).toEqual([])
  })

  it('gathers again as soon as a member gave up the attempt that the others have installed', () => {
    let givesUp = false
    const buggify = (point: string): boolean => givesUp && point === 'gives up an attempt'
    const net = new Net()
    const [a, b] = ['a', 'b'].map((name, i) => net.add(name, i + 1)) as [Cell, Cell]
    expect(net.until(() => namesOf(a) === 'ab' && namesOf(b) === 'ab', 5000)).toBe(true)
    const c = net.add('c', 3, { buggify })
    net.drop = (frame, from) => {
      // All have recovered, and c does not wait to hear of it.
      if (frame.kind === 'recovered' && from === c.self) givesUp = true
      return false
    }
    const together = (): boolean => [a, b, c].every(cell => namesOf(cell) === 'abc')
    expect(net.until(() => namesOf(a) === 'abc' && c.phase === 'gather', 5000)).toBe(true)
    givesUp = false
    net.drop = () => false
    expect(namesOf(c)).toBe('c')
    expect(net.until(together, 400)).toBe(true)
    for (const cell of [a, b, c]) expect(net.losses(cell)).toEqual([])
  })

  it('sees a restart before any silence, and never hears the old incarnation again', () => {
    const { net, cells } = Net.formed('ab')
    const [a, b] = cells as [Cell, Cell]
    net.kill(b)
    const again = net.add('b', 77)
    expect(net.until(() => a.configuration.members.includes(again.self), 900)).toBe(true)
    expect(net.losses(a)).toEqual(['b restarted'])
    expect(a.configuration.members).toEqual([a.self, again.self])
  })
})

describe('a Form', () => {
  it('of an epoch not above all accepted is refused, with the highest that was seen', () => {
    const { net, cells } = Net.formed('ab')
    const [a, b] = cells as [Cell, Cell]
    const { id, members } = b.configuration
    for (const epoch of [id.epoch, id.epoch - 1]) {
      b.receive(a.self, { kind: 'form', configuration: configurationId(epoch, a.self, 5), members }, net.now)
    }
    expect(b.phase).toBe('operational')
    expect(b.takeOutbox().map(({ frame }) => frame)).toEqual([
      expect.objectContaining({ kind: 'refuse', why: 'epoch', epoch: id.epoch }),
      expect.objectContaining({ kind: 'refuse', why: 'epoch', epoch: id.epoch }),
    ])
  })

  it('with a member that is not heard is refused', () => {
    const { net, cells } = Net.formed('ab')
    const [a, b] = cells as [Cell, Cell]
    const members = [a.self, b.self, 'z#9']
    b.receive(a.self, { kind: 'form', configuration: configurationId(50, a.self, 5), members }, net.now)
    expect(b.phase).toBe('operational')
    expect(b.takeOutbox()[0]?.frame).toMatchObject({ kind: 'refuse', why: 'deaf' })
  })

  it('with a list that is not sorted, or names somebody twice, is none', () => {
    const { net, cells } = Net.formed('abc')
    const [a, b, c] = cells.map(cell => cell.self) as [string, string, string]
    const cell = cells[1] as Cell
    for (const members of [
      [a, c, b],
      [a, b, b, c],
    ]) {
      cell.receive(a, { kind: 'form', configuration: configurationId(50, a, 5), members }, net.now)
    }
    expect(cell.phase).toBe('operational')
    expect(cell.takeOutbox()).toEqual([])
  })

  it('freezes: no frame, no fact, no delivery until an Install, and what was submitted comes after it', () => {
    const { net, cells } = Net.formed('abc')
    const [a, b] = cells as [Cell, Cell, Cell]
    const old = b.configuration
    b.receive(
      a.self,
      { kind: 'form', configuration: configurationId(old.id.epoch + 1, a.self, 5), members: old.members },
      net.now,
    )
    expect(b.state.frozen).toBe(true)
    net.drop = frame => frame.kind === 'install'
    b.submit(segment('later'))
    a.submit(segment('now'))
    const inFlight = net.now + net.delayMs
    net.until(() => b.configuration !== old, 50)
    expect(b.configuration).toBe(old)
    expect(net.delivered(b)).toEqual([])
    net.run(3000)
    const said = net.wire.filter(({ at, from, frame }) => {
      if (at <= inFlight || from !== b.self || !speaks(frame)) return false
      return 'configuration' in frame && frame.configuration.key === old.id.key
    })
    expect(said).toEqual([])
    net.drop = () => false
    expect(net.until(() => cells.every(cell => net.delivered(cell).includes('later')), 10_000)).toBe(true)
    expect(cells.map(cell => net.delivered(cell).filter(head => head === 'now').length)).toEqual([1, 1, 1])
  })
})

describe('an Install', () => {
  it('that is lost is made up for by the first frame of the new configuration', () => {
    const marks = new Set<Sometimes>()
    const net = new Net()
    const cells = ['a', 'b', 'c'].map((name, i) => net.add(name, i + 1, { cover: mark => marks.add(mark) }))
    net.drop = frame => frame.kind === 'install'
    expect(net.until(() => cells.every(cell => namesOf(cell) === 'abc'), 5000)).toBe(true)
    expect(marks).toContain('Install by first frame')
  })

  it('is not made up for by a frame of somebody outside it', () => {
    const net = new Net()
    const [a, b] = ['a', 'b'].map((name, i) => net.add(name, i + 1)) as [Cell, Cell]
    net.drop = frame =>
      frame.kind === 'install' || (frame.kind === 'heartbeat' && frame.configuration.epoch > 1)
    const recovered = (): boolean => b.state.phase.name === 'recover' && b.state.phase.recovered
    expect(net.until(recovered, 5000)).toBe(true)
    const { phase } = b.state
    if (phase.name !== 'recover') throw new Error('not recovering')
    const { configuration } = phase.form
    const facts = { clock: 0, seq: 0, received: 0, credit: 0, consumed: 0 }
    b.receive('z#9', { kind: 'facts', configuration, rank: 0, facts, wants: 'nothing', others: [] }, net.now)
    expect(namesOf(b)).toBe('b')
    b.receive(a.self, { kind: 'facts', configuration, rank: 0, facts, wants: 'nothing', others: [] }, net.now)
    expect(namesOf(b)).toBe('ab')
  })

  it('missed by one of two binds it to what the other may have delivered', () => {
    const { net, cells } = Net.formed('abc')
    const [a, b, c] = cells as [Cell, Cell, Cell]
    // c is cut off with its promise where it is: what a sends now lies beyond the least clock.
    const gone = new Set([c.self])
    net.cut = (x, y) => gone.has(x) !== gone.has(y) || (gone.has(x) && gone.has(y) && x !== y)
    a.submit(segment('safe', 10, true))
    // b says Recovered; the Install and all that follows is lost to it.
    net.drop = (frame, from) => {
      if (frame.kind === 'install' && from === a.self) gone.add(a.self)
      return frame.kind === 'install'
    }
    expect(net.until(() => namesOf(a) === 'ab', 10_000)).toBe(true)
    expect(net.transitional(a)).toEqual(['safe'])
    expect(net.until(() => namesOf(b) === 'b', 20_000)).toBe(true)
    expect(net.transitional(b)).toEqual(['safe'])
  })
})

describe('recovery', () => {
  it('fetches from a third member what the sender took to its grave', () => {
    const marks = new Set<Sometimes>()
    const { net, cells } = Net.formed('abc', { cover: mark => marks.add(mark) })
    const [a, b, c] = cells as [Cell, Cell, Cell]
    net.drop = (frame, from, to) => frame.kind === 'data' && from === c.self && to === a.self
    c.submit(segment('last words', 300_000))
    expect(net.until(() => (b.state.ordering.streams[2]?.contiguous ?? 0) === 2, 100)).toBe(true)
    net.kill(c)
    expect(net.until(() => namesOf(a) === 'ab' && namesOf(b) === 'ab', 10_000)).toBe(true)
    expect(net.delivered(a)).toEqual(net.delivered(b))
    expect(net.delivered(a)).toEqual(['last words'])
    expect(marks).toContain('retransmission by third party')
  })

  it('parts from one who never supplies what only it has, rather than try the same for ever', () => {
    const { net, cells } = Net.formed('abc')
    const [a, b, c] = cells as [Cell, Cell, Cell]
    // Large frames never reach a: a hole in the path, while all that is small passes.
    net.drop = (frame, _, to) => frame.kind === 'data' && to === a.self
    c.submit(segment('last words'))
    expect(net.until(() => (b.state.ordering.streams[2]?.contiguous ?? 0) === 1, 100)).toBe(true)
    net.kill(c)
    const attempts = a.state.maxEpoch
    expect(net.until(() => namesOf(a) === 'a', 5000)).toBe(true)
    expect(a.state.maxEpoch - attempts).toBeLessThan(4)
    expect(net.until(() => namesOf(a) === 'ab' && namesOf(b) === 'ab', 5000)).toBe(true)
    expect(net.losses(a)).toContain('b unresponsive')
    expect(net.delivered(a)).toEqual([])
    expect(net.delivered(b)).toEqual(['last words'])
  })

  it('drops a half-sent segment everywhere, and its sender sends it again, once and whole', () => {
    const marks = new Set<Sometimes>()
    const limits = { maxFrameBytes: 1000, windowBytes: 3000 }
    const { net, cells } = Net.formed('abc', { limits, cover: mark => marks.add(mark) })
    const [a, b, c] = cells as [Cell, Cell, Cell]
    b.submit(segment('before', 10))
    b.submit(segment('large', 100_000))
    b.submit(segment('after', 10))
    expect(net.until(() => (a.state.ordering.streams[1]?.assembling.length ?? 0) > 5, 1000)).toBe(true)
    net.kill(c)
    expect(net.until(() => namesOf(b) === 'ab' && net.delivered(a).includes('after'), 20_000)).toBe(true)
    net.run(100)
    for (const cell of [a, b]) {
      expect(net.delivered(cell)).toEqual(['before', 'large', 'after'])
      const large = net.events(cell, 'deliver').find(event => event.segment.head === 'large')
      expect(large?.segment.bytes).toBe(100_000)
      expect(large?.segment.body.reduce((sum, slice) => sum + slice.length, 0)).toBe(100_000)
    }
    expect(marks).toContain('partial assembly dropped')
    expect(marks).toContain('sender starts fragments again')
    const places = net.events(b, 'originate').filter(event => event.segment.head === 'large')
    expect(places).toHaveLength(1)
  })

  it('ends with the regular configuration for what all hold, and is agreed on safe messages on both sides', () => {
    const { net, cells } = Net.formed('abcd')
    const left = new Set(cells.slice(0, 2).map(cell => cell.self))
    for (const cell of cells) cell.submit(segment(`held ${cell.self}`, 10, true))
    net.run(100)
    net.cut = (x, y) => left.has(x) !== left.has(y)
    for (const cell of cells) cell.submit(segment(`cut ${cell.self}`, 10, true))
    net.run(3000)
    expect(cells.map(namesOf)).toEqual(['ab', 'ab', 'cd', 'cd'])
    for (const [i, cell] of cells.entries()) {
      expect(net.delivered(cell).slice(0, 4)).toEqual(net.delivered(cells[0] as Cell).slice(0, 4))
      expect(net.delivered(cell)).toEqual(net.delivered(cells[i < 2 ? 0 : 2] as Cell))
      expect(net.transitional(cell).every(head => head.startsWith('cut'))).toBe(true)
      expect(net.transitional(cell)).toContain(`cut ${cell.self}`)
    }
  })
})

describe('time', () => {
  it('near the limit of timestamps makes the same members form again, and clocks restart', () => {
    const { net, cells } = Net.formed('ab', { maxTimestamp: 5000 })
    const before = cells[0]?.configuration.id.epoch as number
    for (let i = 0; i < 20; i++) {
      cells[i % 2]?.submit(segment(`m${i}`, 10, i % 3 === 0))
      net.run(50)
    }
    net.run(1000)
    const [a, b] = cells as [Cell, Cell]
    expect(a.configuration.id.epoch).toBeGreaterThan(before)
    expect(namesOf(a)).toBe('ab')
    expect(net.delivered(a)).toHaveLength(20)
    expect(net.delivered(b)).toEqual(net.delivered(a))
    for (const { place } of net.events(a, 'deliver')) expect(place.ts).toBeLessThan(5000 + 2048)
    expect(net.losses(a)).toEqual([])
  })

  it('lost in a short pause changes nothing', () => {
    const { net, cells } = Net.formed('abc')
    const [a, b] = cells as [Cell, Cell, Cell]
    const { key } = a.configuration.id
    net.paused.add(b.self)
    a.submit(segment('meanwhile', 10, true))
    net.run(defaultTimeouts.suspectAfterMs * 0.8)
    net.paused.clear()
    net.run(1000)
    for (const cell of cells) expect(cell.configuration.id.key).toBe(key)
    expect(net.delivered(b)).toEqual(['meanwhile'])
  })

  it('lost in a long pause makes a cell distrust itself before others, and come back', () => {
    const marks = new Set<Sometimes>()
    const { net, cells } = Net.formed('abc', { cover: mark => marks.add(mark) })
    const [a, b, c] = cells as [Cell, Cell, Cell]
    net.paused.add(b.self)
    expect(net.until(() => namesOf(a) === 'ac' && namesOf(c) === 'ac', 5000)).toBe(true)
    a.submit(segment('without b'))
    net.run(4000)
    net.paused.clear()
    expect(net.until(() => cells.every(cell => namesOf(cell) === 'abc'), 10_000)).toBe(true)
    expect(marks).toContain('stall distrusts itself')
    expect(net.losses(b).filter(loss => loss.endsWith('silent'))).toEqual([])
    expect(net.delivered(b)).toEqual([])
  })
})

describe('a leave', () => {
  it('hands over all that was accepted before it, and is no suspicion', () => {
    const { net, cells } = Net.formed('abc')
    const [a, b, c] = cells as [Cell, Cell, Cell]
    for (let i = 0; i < 50; i++) b.submit(segment(`b${i}`, 10, i % 2 === 0))
    b.leave(net.now)
    expect(b.room).toBe(0)
    expect(net.until(() => b.phase === 'left', 500)).toBe(true)
    expect(net.until(() => namesOf(a) === 'ac' && namesOf(c) === 'ac', 100)).toBe(true)
    expect(net.delivered(a)).toHaveLength(50)
    expect(net.delivered(c)).toEqual(net.delivered(a))
    expect(net.losses(a)).toEqual(['b left'])
    expect(b.nextDeadline).toBe(Number.POSITIVE_INFINITY)
    b.receive(a.self, { kind: 'challenge', nonce: 1 }, net.now)
    expect(b.takeOutbox()).toEqual([])
  })

  it('does not wait for ever for what cannot be handed over', () => {
    const { net, cells } = Net.formed('ab')
    const [, b] = cells as [Cell, Cell]
    net.drop = frame => frame.kind === 'data'
    b.submit(segment('never'))
    b.leave(net.now)
    expect(net.until(() => b.phase === 'left', 1100)).toBe(true)
  })
})
