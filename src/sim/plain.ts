/**
 * The simplest possible layer over a cell: everybody is in every group, and a view is a configuration. It shows the ordering core
 * without the group layer on top, so that a fault found in a run can be placed.
 */

import type { CellEvent } from '../core/api.ts'
import type { Fate, GroupEvent, GroupSegment, MessagesHead } from '../groups/types.ts'
import type { GroupsPort } from './parts.ts'

export class PlainGroups implements GroupsPort {
  private readonly sessions: Map<number, string> = new Map()
  private readonly segments: { segment: GroupSegment; urgent: boolean }[] = []
  private events: GroupEvent[] = []
  private numbers = 0
  private epoch = 0
  private deliveredTs = 0

  handle(event: CellEvent): void {
    if (event.type === 'regular') {
      this.epoch = event.configuration.id.epoch
      this.deliveredTs = 0
    } else if (event.type === 'delivered') this.deliveredTs = event.ts
    else if (event.type === 'deliver') this.deliver(event)
  }

  private deliver(event: Extract<CellEvent, { type: 'deliver' }>): void {
    const head = event.segment.head as MessagesHead
    if (head.kind !== 'messages') return
    this.events.push({
      type: 'messages',
      sender: `plain@${event.sender}.${head.session}`,
      head,
      body: event.segment.body,
      place: event.place,
      receivers: [{ group: 'all', view: 'all', sessions: [...this.sessions.keys()] }],
      own: 0,
      views: [],
    })
  }

  open(name: string): number {
    this.sessions.set(++this.numbers, name)
    return this.numbers
  }

  join(): void {}

  leave(): void {}

  send(_session: number, head: MessagesHead, body: readonly Uint8Array[], bytes: number): void {
    const segment = { safe: head.service === 'safe', more: false, head, bytes, body }
    this.segments.push({ segment, urgent: false })
  }

  disconnect(session: number): void {
    const place = { epoch: 0, ts: this.deliveredTs, rank: 0, index: 0 }
    if (this.sessions.delete(session)) this.events.push({ type: 'closed', session, place })
  }

  mark(): void {}

  marked(): void {}

  acknowledge(): void {}

  invariants(): void {}

  fate(): Fate | 'pending' | null {
    return null
  }

  consumed(): { epoch: number; ts: number } {
    return { epoch: this.epoch, ts: this.deliveredTs }
  }

  get gateOpen(): boolean {
    return this.epoch > 0
  }

  takeSegments(): { segment: GroupSegment; urgent: boolean }[] {
    return this.segments.splice(0)
  }

  takeEvents(): GroupEvent[] {
    const { events } = this
    this.events = []
    return events
  }
}
