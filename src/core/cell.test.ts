import { describe, expect, it } from 'vitest'
import { Random } from '../lib/prng.ts'
import type { Cell } from './cell.ts'
import type { Frame } from './frames.ts'
import { Net, segment } from './net.fixture.ts'

describe('a cell', () => {
  it('merges three members that boot together, and orders what all of them send', () => {
    const net = new Net()
    const cells = ['a', 'b', 'c'].map((name, i) => net.add(name, i + 1))
    net.run(500)
    for (const cell of cells) expect(cell.configuration.members).toEqual(cells.map(c => c.self))
    const random = new Random(1)
    for (let i = 0; i < 300; i++) {
      cells[random.int(3)]?.submit(segment(`m${i}`, 10, random.chance(0.2)))
      if (random.chance(0.3)) net.run(random.int(4))
    }
    net.run(500)
    const [a, b, c] = cells.map(cell => net.delivered(cell))
    expect(a).toHaveLength(300)
    expect(b).toEqual(a)
    expect(c).toEqual(a)
  })

  it('fragments a large segment, and delivers it whole in one place', () => {
    const net = new Net()
    const [a, b] = ['a', 'b'].map((name, i) => net.add(name, i + 1)) as [Cell, Cell]
    net.run(500)
    a.submit(segment('small'))
    a.submit(segment('large', 1_000_003))
    b.submit(segment('other'))
    a.submit(segment('after', 10, true))
    net.run(500)
    expect(net.delivered(a)).toHaveLength(4)
    expect(net.delivered(b)).toEqual(net.delivered(a))
    const large = net.log.get(b.self)?.find(e => e.type === 'deliver' && e.segment.head === 'large')
    expect(large?.type === 'deliver' && large.segment.body.reduce((n, s) => n + s.length, 0)).toBe(1_000_003)
  })

  it('goes on on both sides of a cut, and merges when it heals', () => {
    const net = new Net()
    const cells = ['a', 'b', 'c', 'd', 'e'].map((name, i) => net.add(name, i + 1))
    net.run(500)
    const left = new Set([cells[0]?.self, cells[1]?.self])
    net.cut = (x, y) => left.has(x) !== left.has(y)
    for (const cell of cells) cell.submit(segment(`before ${cell.self}`, 10, true))
    net.run(3000)
    expect(cells.map(cell => cell.configuration.members.length)).toEqual([2, 2, 3, 3, 3])
    for (const cell of cells) cell.submit(segment(`apart ${cell.self}`, 10, true))
    net.run(500)
    net.cut = () => false
    net.run(5000)
    expect(cells.map(cell => cell.configuration.members.length)).toEqual([5, 5, 5, 5, 5])
    expect(net.delivered(cells[0] as Cell).filter(m => m.startsWith('apart'))).toHaveLength(2)
    expect(net.delivered(cells[4] as Cell).filter(m => m.startsWith('apart'))).toHaveLength(3)
  })

  it('settles a bridge in one stable choice', () => {
    const net = new Net()
    const cells = ['a', 'b', 'c'].map((name, i) => net.add(name, i + 1))
    net.run(500)
    const ends = new Set([cells[0]?.self, cells[2]?.self])
    net.cut = (x, y) => ends.has(x) && ends.has(y)
    net.run(5000)
    expect(cells.map(cell => cell.configuration.members.length)).toEqual([2, 2, 1])
    const epochs = cells.map(cell => cell.configuration.id.key)
    net.run(20_000)
    expect(cells.map(cell => cell.configuration.id.key)).toEqual(epochs)
    net.cut = () => false
    net.run(6000)
    expect(cells.map(cell => cell.configuration.members.length)).toEqual([3, 3, 3])
  })

  it('leaves gracefully: the others re-form at once', () => {
    const net = new Net()
    const cells = ['a', 'b', 'c'].map((name, i) => net.add(name, i + 1))
    net.run(500)
    cells[0]?.leave(net.now)
    net.run(100)
    expect(cells[0]?.phase).toBe('left')
    expect(cells[1]?.configuration.members).toEqual(cells.slice(1).map(c => c.self))
  })

  it.each([
    ['is suspected though others pass its frames on', true, ['a silent']],
    ['is not while its frames come from itself', false, []],
  ] as const)('that it does not hear %s', (_, relayed, losses) => {
    const { net, cells } = Net.formed('abc')
    const [a, , c] = cells as [Cell, Cell, Cell]
    a.submit(segment('m'))
    net.run(100)
    const frame = net.wire.find(packet => packet.from === a.self && packet.frame.kind === 'data')
      ?.frame as Frame
    net.cut = (x, y) => x === a.self || y === a.self
    for (let i = 0; i < 40; i++) {
      c.receive(a.self, frame, net.now, relayed)
      net.run(50)
    }
    expect(net.losses(c)).toEqual(losses)
  })
})
