/** One group of a session: the public handle, its queue, and its way from joining to gone. */

import type { SessionId } from '../groups/types.ts'
import { AnasaziError } from '../lib/errors.ts'
import type { Batches, Events, Group, MessageData, MessageFate, Receipt, SendOptions } from './api.ts'
import type { CellSlot } from './cell-slot.ts'
import type { ViewEvent } from './events.ts'
import type { LinkGroup } from './link.ts'
import type { Destination } from './outbox.ts'
import { groupsDestination } from './outbox.ts'
import type { Position } from './position.ts'
import type { EventQueue } from './queue.ts'

export type MembershipState = 'joining' | 'joined' | 'leaving' | 'gone'

export class Membership implements Group {
  readonly name: string
  readonly queue: EventQueue
  readonly destination: Destination
  /** Resolves with the first view; rejects if there never is one. */
  readonly whenJoined: Promise<void>
  /** Callers that wait for the join; if all gave up it is undone. */
  joiners = 0
  state: MembershipState = 'joining'
  linkGroup: LinkGroup | null = null
  private readonly slot: CellSlot
  private settleJoin!: { resolve(): void; reject(error: Error): void }
  private leaving: Promise<void> | null = null
  private lastView: ViewEvent | null = null

  constructor(name: string, slot: CellSlot, queue: EventQueue) {
    this.name = name
    this.slot = slot
    this.queue = queue
    this.destination = groupsDestination([name])
    this.whenJoined = new Promise((resolve, reject) => {
      this.settleJoin = { resolve, reject }
    })
    // Whoever called `join` has a promise of its own; nobody need wait for this one.
    this.whenJoined.catch(() => {})
  }

  get cell(): string {
    return this.slot.name
  }

  get closed(): boolean {
    return this.state === 'gone' || this.state === 'leaving'
  }

  get view(): ViewEvent {
    return this.linkGroup?.view ?? this.lastView!
  }

  get members(): readonly SessionId[] {
    return this.view.members
  }

  batches(): Batches {
    return this.queue.batches()
  }

  events(): Events {
    return this.queue.events()
  }

  send(data: MessageData, options?: SendOptions): Promise<Receipt> {
    if (this.closed) return Promise.reject(this.closedError())
    return this.slot.send(this.destination, data, options)
  }

  trySend(data: MessageData, options?: SendOptions): number {
    if (this.closed) throw this.closedError()
    return this.slot.trySend(this.destination, data, options)
  }

  writable(): Promise<void> {
    if (this.closed) return Promise.reject(this.closedError())
    return this.slot.writable()
  }

  fate(position: Position): Promise<MessageFate> {
    return this.slot.fate(this.name, position)
  }

  leave(): Promise<void> {
    if (this.state === 'gone') return Promise.resolve()
    this.leaving ??= this.slot.leave(this)
    return this.leaving
  }

  private closedError(): AnasaziError {
    return new AnasaziError('closed', `The group '${this.name}' was left.`)
  }

  /* Called by the slot. */

  onFirstView(group: LinkGroup): void {
    this.linkGroup = group
    if (this.state === 'joining') this.state = 'joined'
    this.settleJoin.resolve()
  }

  /** The link is gone and another one may come. */
  onLinkLost(): void {
    this.lastView = this.linkGroup?.view ?? this.lastView
    this.linkGroup = null
  }

  onGone(error: Error | null): void {
    if (this.state === 'gone') return
    this.onLinkLost()
    this.state = 'gone'
    this.queue.end(error)
    this.settleJoin.reject(error ?? new AnasaziError('closed'))
  }
}
