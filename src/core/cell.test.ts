import { describe, expect, it } from 'vitest'
import { Random } from '../lib/prng.ts'
import type { CellEvent } from './api.ts'
import { Cell } from './cell.ts'
import type { Frame } from './frames.ts'
import type { MemberId, Segment } from './types.ts'

/** A few cells on a perfect network with a millisecond of delay; virtual time. */
class Net {
  now = 0
  readonly cells = new Map<MemberId, Cell>()
  readonly log = new Map<MemberId, CellEvent[]>()
  private queue: { at: number; to: MemberId; from: MemberId; frame: Frame }[] = []
  cut: (a: MemberId, b: MemberId) => boolean = () => false

  add(name: string, seed: number): Cell {
    const self = `${name}#${seed.toString(16).padStart(32, '0')}`
    const cell = new Cell({ self, seed }, this.now)
    this.cells.set(self, cell)
    this.log.set(self, [])
    return cell
  }

  run(ms: number): void {
    const end = this.now + ms
    for (;;) {
      for (const cell of this.cells.values()) this.turn(cell)
      const next = Math.min(
        ...this.queue.map(p => p.at),
        ...[...this.cells.values()].map(c => c.nextDeadline),
      )
      if (next > end) break
      this.now = Math.max(this.now, next)
      const due = this.queue.filter(p => p.at <= this.now)
      this.queue = this.queue.filter(p => p.at > this.now)
      for (const { to, from, frame } of due) this.cells.get(to)?.receive(from, frame, this.now)
    }
    this.now = end
  }

  private turn(cell: Cell): void {
    cell.evaluate(this.now)
    cell.invariants()
    for (const { to, frame } of cell.takeOutbox()) {
      for (const target of to ?? this.cells.keys()) {
        if (target === cell.self || this.cut(cell.self, target)) continue
        this.queue.push({ at: this.now + 1, to: target, from: cell.self, frame })
      }
    }
    for (const event of cell.takeEvents()) {
      this.log.get(cell.self)?.push(event)
      if (event.type === 'regular') cell.openGate()
    }
  }

  delivered(self: MemberId): string[] {
    return (this.log.get(self) ?? []).flatMap(e => (e.type === 'deliver' ? [String(e.segment.head)] : []))
  }
}

function segment(head: string, bytes = 10, safe = false): Segment {
  return { safe, more: false, head, bytes, body: [new Uint8Array(bytes)] }
}

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
    const [a, b, c] = cells.map(cell => net.delivered(cell.self))
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
    expect(net.delivered(a.self)).toHaveLength(4)
    expect(net.delivered(b.self)).toEqual(net.delivered(a.self))
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
    expect(net.delivered(cells[0]?.self as string).filter(m => m.startsWith('apart'))).toHaveLength(2)
    expect(net.delivered(cells[4]?.self as string).filter(m => m.startsWith('apart'))).toHaveLength(3)
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
})
