/** A few cells in one process: virtual time, a perfect network with a millisecond of delay unless a test says otherwise. */

import type { CellEvent, CellOptions } from './api.ts'
import { Cell } from './cell.ts'
import type { Frame } from './frames.ts'
import type { MemberId, Segment } from './types.ts'

interface Packet {
  readonly at: number
  readonly to: MemberId
  readonly from: MemberId
  readonly frame: Frame
}

/** Turns at one instant without any input, after which a cell is said to spin. */
const maxIdleTurns = 200

export class Net {
  now = 0
  readonly cells: Map<MemberId, Cell> = new Map()
  readonly log: Map<MemberId, CellEvent[]> = new Map()
  /** Every frame that got through, in order of arrival. */
  readonly wire: Packet[] = []
  /** These neither receive nor evaluate: what is sent to them waits. */
  readonly paused: Set<MemberId> = new Set()
  cut: (a: MemberId, b: MemberId) => boolean = () => false
  drop: (frame: Frame, from: MemberId, to: MemberId) => boolean = () => false
  delayMs = 1
  /** Calls of `evaluate`, of all cells. */
  turns = 0
  private queue: Packet[] = []

  add(name: string, seed: number, options: Partial<CellOptions> = {}): Cell {
    const self = memberOf(name, seed)
    const cell = new Cell({ self, seed, ...options }, this.now)
    this.cells.set(self, cell)
    this.log.set(self, [])
    return cell
  }

  /** Cells `a`, `b`, … that have formed one configuration. */
  static formed(names: string, options: Partial<CellOptions> = {}): { net: Net; cells: Cell[] } {
    const net = new Net()
    const cells = [...names].map((name, i) => net.add(name, i + 1, options))
    net.until(() => cells.every(cell => cell.configuration.members.length === cells.length), 5000)
    return { net, cells }
  }

  /** Crashes a cell: it is gone without a word. */
  kill(cell: Cell): void {
    this.cells.delete(cell.self)
  }

  run(ms: number): void {
    this.until(() => false, ms)
  }

  /** Runs until the condition holds; false if it does not within `ms`. */
  until(condition: () => boolean, ms: number): boolean {
    const end = this.now + ms
    for (;;) {
      for (const cell of this.cells.values()) if (!this.paused.has(cell.self)) this.turn(cell)
      if (condition()) return true
      const next = this.nextAt()
      if (next > end) break
      this.now = Math.max(this.now, next)
      const due = this.queue.filter(packet => packet.at <= this.now && !this.paused.has(packet.to))
      this.queue = this.queue.filter(packet => packet.at > this.now || this.paused.has(packet.to))
      for (const packet of due) {
        this.wire.push(packet)
        this.cells.get(packet.to)?.receive(packet.from, packet.frame, this.now)
      }
    }
    this.now = end
    return false
  }

  /** Heads of what a cell delivered, in order. */
  delivered(cell: Cell): string[] {
    return this.events(cell, 'deliver').map(event => String(event.segment.head))
  }

  events<Type extends CellEvent['type']>(
    cell: Cell,
    type: Type,
  ): Extract<CellEvent, { readonly type: Type }>[] {
    const all = this.log.get(cell.self) ?? []
    return all.filter((event): event is Extract<CellEvent, { readonly type: Type }> => event.type === type)
  }

  private nextAt(): number {
    let next = Number.POSITIVE_INFINITY
    for (const packet of this.queue) if (!this.paused.has(packet.to)) next = Math.min(next, packet.at)
    for (const cell of this.cells.values())
      if (!this.paused.has(cell.self)) next = Math.min(next, cell.nextDeadline)
    return next
  }

  /** Heads of what a cell delivered in a transitional configuration: after its change and before the next regular one. */
  transitional(cell: Cell): string[] {
    const heads: string[] = []
    let inside = false
    for (const event of this.log.get(cell.self) ?? []) {
      if (event.type === 'transitional') inside = true
      if (event.type === 'regular') inside = false
      if (event.type === 'deliver' && inside) heads.push(String(event.segment.head))
    }
    return heads
  }

  /** Why a cell lost members, in order. */
  losses(cell: Cell): string[] {
    return this.events(cell, 'suspect').map(({ member, reason }) => `${member.split('#')[0]} ${reason}`)
  }

  /** Evaluates until the cell waits for something: a cell that never does would burn a processor. */
  private turn(cell: Cell): void {
    for (let turns = 0; ; turns++) {
      this.turns++
      cell.evaluate(this.now)
      cell.invariants()
      this.collect(cell)
      if (cell.nextDeadline > this.now) return
      if (turns > maxIdleTurns) throw new Error(`${cell.self} spins at ${this.now} ms in ${cell.phase}`)
    }
  }

  private collect(cell: Cell): void {
    for (const { to, frame } of cell.takeOutbox()) {
      for (const target of to ?? this.cells.keys()) {
        if (target === cell.self || this.cut(cell.self, target)) continue
        if (this.drop(frame, cell.self, target)) continue
        this.queue.push({ at: this.now + this.delayMs, to: target, from: cell.self, frame })
      }
    }
    for (const event of cell.takeEvents()) {
      this.log.get(cell.self)?.push(event)
      if (event.type === 'regular') cell.openGate()
    }
  }
}

export function memberOf(name: string, seed: number): MemberId {
  return `${name}#${seed.toString(16).padStart(32, '0')}`
}

export function segment(head: string, bytes = 10, safe = false): Segment {
  return { safe, more: false, head, bytes, body: [new Uint8Array(bytes)] }
}
