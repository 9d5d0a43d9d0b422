/** Receipts: what a sender learns of its message. */

import type { SessionId, ViewId } from '../groups/types.ts'
import type { MessageFate, Receipt } from './api.ts'
import type { DeliveredAt } from './outbox.ts'
import type { Position } from './position.ts'
import { positionOf } from './position.ts'

class DeliveryReceipt implements Receipt {
  private readonly delivered: DeliveredAt
  private readonly askFate: (group: string) => Promise<MessageFate>
  private fate: Promise<MessageFate> | null = null

  constructor(delivered: DeliveredAt, askFate: (group: string) => Promise<MessageFate>) {
    this.delivered = delivered
    this.askFate = askFate
  }

  get position(): Position {
    return positionOf(this.delivered.place, this.delivered.index)
  }

  get sequence(): number {
    return this.delivered.sequence
  }

  get view(): ViewId | null {
    return this.delivered.views[0]?.view ?? null
  }

  get views(): readonly { readonly group: string; readonly view: ViewId }[] {
    return this.delivered.views
  }

  get settled(): Promise<MessageFate> {
    this.fate ??= this.ask()
    return this.fate
  }

  private async ask(): Promise<MessageFate> {
    const { destination, views } = this.delivered
    if (destination.member !== null) return this.askFate('')
    // Nobody was there: nobody received it, and nothing is unknown.
    if (views.length === 0) return { view: '', received: [], unknown: [] }
    if (views.length === 1) return this.askFate(views[0]!.group)
    const fates = await Promise.all(views.map(({ group }) => this.askFate(group)))
    const received = new Set<SessionId>()
    for (const fate of fates) for (const member of fate.received) received.add(member)
    const unknown = new Set<SessionId>()
    for (const fate of fates) {
      for (const member of fate.unknown) if (!received.has(member)) unknown.add(member)
    }
    return { view: fates[0]!.view, received: [...received], unknown: [...unknown] }
  }
}

/** @param askFate resolves with the fate in one group; '' for a private message. */
export function createReceipt(
  delivered: DeliveredAt,
  askFate: (group: string) => Promise<MessageFate>,
): Receipt {
  return new DeliveryReceipt(delivered, askFate)
}
