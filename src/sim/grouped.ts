/** The real group layer as the simulated daemon drives it: what the session server of a node does around `Groups`. */

import type { CellEvent } from '../core/api.ts'
import type { Place } from '../core/types.ts'
import { Acknowledgements } from '../groups/acknowledgements.ts'
import { GroupError } from '../groups/errors.ts'
import { Groups } from '../groups/groups.ts'
import type { Fate, GroupEvent, GroupSegment, MessagesHead } from '../groups/types.ts'
import type { GroupsOptions, GroupsPort } from './parts.ts'

export class GroupedSessions implements GroupsPort {
  private readonly groups: Groups
  private readonly acknowledgements: Acknowledgements = new Acknowledgements()

  constructor(options: GroupsOptions) {
    this.groups = new Groups(options)
  }

  handle(event: CellEvent): void {
    this.groups.handle(event)
  }

  open(name: string): number {
    const session = this.groups.open(name)
    this.acknowledgements.open(session)
    return session
  }

  join(session: number, group: string): void {
    this.groups.join(session, group)
  }

  leave(session: number, group: string): void {
    this.groups.leave(session, group)
  }

  send(session: number, head: MessagesHead, body: readonly Uint8Array[]): void {
    this.groups.messages(session, head, body)
  }

  disconnect(session: number, reason: 'closed' | 'lost' | 'evicted'): void {
    this.groups.disconnect(session, reason, this.acknowledgements.closing(session))
  }

  mark(session: number, place: Place, end: number): void {
    this.acknowledgements.mark(session, place, end)
  }

  marked(event: GroupEvent): void {
    if (event.type === 'configuration') this.acknowledgements.configuration(event.configuration.id.epoch)
    else if (event.type === 'closed') this.acknowledgements.closed(event.session, event.place)
    else if (event.type === 'horizon') this.acknowledgements.horizon(event.epoch, event.ts)
  }

  acknowledge(session: number, bytes: number, sent: number): void {
    if (!this.acknowledgements.acknowledge(session, bytes, sent)) throw new Error('a session went back')
  }

  fate(place: Place, group: string | null): Fate | 'pending' | null {
    try {
      return this.groups.fateOf(group ?? '', place)
    } catch (error) {
      // Asked too late, or for a group that had no members: nothing is known of it here.
      if (error instanceof GroupError) return null
      throw error
    }
  }

  consumed(): { epoch: number; ts: number } {
    return this.acknowledgements.consumed()
  }

  get gateOpen(): boolean {
    return this.groups.gateOpen
  }

  takeSegments(): readonly { readonly segment: GroupSegment; readonly urgent: boolean }[] {
    return this.groups.takeSubmissions()
  }

  takeEvents(): readonly GroupEvent[] {
    return this.groups.takeEvents()
  }

  invariants(): void {
    this.groups.invariants()
  }
}
