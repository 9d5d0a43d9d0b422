import { describe, expect, it } from 'vitest'
import type { Configuration, MemberId } from '../core/types.ts'
import { Groups } from './groups.ts'
import type { GroupEvent, GroupSegment } from './types.ts'

/** Daemons that deliver the same order at once, and check nothing. */
class Line {
  readonly daemons: readonly Groups[]
  readonly events: GroupEvent[][]
  #configuration: Configuration | null = null
  #epoch = 0
  #ts = 0

  constructor(...daemons: Groups[]) {
    this.daemons = daemons
    this.events = daemons.map(() => [])
  }

  configure(epoch: number): void {
    const members = this.daemons.map(daemon => daemon.self)
    const id = {
      epoch,
      coordinator: members[0] as MemberId,
      nonce: 1,
      key: `${epoch}.${members.join('+')}.1`,
    }
    this.#configuration = { id, members }
    this.#epoch = epoch
    this.#ts = 0
    for (const daemon of this.daemons) {
      daemon.handle({ type: 'regular', configuration: this.#configuration, together: null })
    }
    this.run()
  }

  close(...parts: Groups[][]): void {
    for (const part of parts) {
      const members = part.map(daemon => daemon.self)
      const of = this.#configuration as Configuration
      for (const daemon of part) {
        daemon.handle({ type: 'transitional', of, members, consumed: of.members.map(() => 0) })
      }
    }
  }

  run(): void {
    for (let busy = true; busy; ) {
      busy = false
      this.daemons.forEach((daemon, rank) => {
        const segments = daemon.takeSubmissions().map(submission => submission.segment)
        if (segments.length > 0) this.#deliver(rank, segments)
        busy ||= segments.length > 0
      })
    }
    this.daemons.forEach((daemon, rank) => this.events[rank]?.push(...daemon.takeEvents()))
  }

  #deliver(rank: number, segments: readonly GroupSegment[]): void {
    this.#ts++
    const sender = (this.daemons[rank] as Groups).self
    segments.forEach((segment, index) => {
      const place = { epoch: this.#epoch, ts: this.#ts, rank, index }
      for (const daemon of this.daemons) daemon.handle({ type: 'deliver', sender, place, segment })
    })
  }
}

describe('size', () => {
  it('10,000 groups, 500 sessions and 1000 joins in a burst are exchanged, split and merged', () => {
    const a = new Groups({ self: 'a#1' })
    const b = new Groups({ self: 'b#2' })
    const alone = [new Line(a), new Line(b)] as const
    for (const line of alone) line.configure(1)
    alone[0].close([a])
    alone[1].close([b])
    const both = new Line(a, b)
    both.configure(2)
    const wide = a.open('wide')
    for (let i = 0; i < 10_000; i++) a.join(wide, `group ${i}`)
    for (const daemon of [a, b]) {
      for (let i = 0; i < 500; i++) {
        const session = daemon.open(`client${i}`)
        daemon.join(session, 'burst')
        for (let j = 0; j < 20; j++) daemon.join(session, `group ${i * 20 + j}`)
      }
    }
    both.run()
    for (const daemon of [a, b]) {
      expect(daemon.groupCount).toBe(10_001)
      expect(daemon.members('burst').length).toBe(1000)
      expect(daemon.view('group 77')?.members.length).toBe(3)
      daemon.invariants()
    }
    const views = (both.events[1] ?? []).filter(event => event.type === 'view')
    // b's own members see every change from their own on: of groups, and of the burst, which a's members began.
    expect(views.length).toBe(10_000 + 500)
    expect(views.every(event => event.change.joined.length === 1 && event.change.appended)).toBe(true)

    both.close([a], [b])
    const split = [new Line(a), new Line(b)] as const
    for (const line of split) line.configure(3)
    expect(b.members('burst').length).toBe(500)
    expect(b.groupCount).toBe(10_001)
    split[0].close([a])
    split[1].close([b])
    const merged = new Line(a, b)
    merged.configure(4)
    const network = (merged.events[0] ?? []).filter(event => event.type === 'view')
    expect(network.length).toBe(10_001)
    expect(network.every(({ change }) => change.origins.length === 2 && change.cause === 'network')).toBe(
      true,
    )
    for (const name of ['burst', 'group 0', 'group 9999']) {
      expect(a.view(name)).toEqual(b.view(name))
    }
    a.disconnect(wide, 'closed', { epoch: 4, ts: 1 })
    merged.run()
    expect(b.view('group 77')?.members.length).toBe(2)
    for (const daemon of [a, b]) daemon.invariants()
  })
})
