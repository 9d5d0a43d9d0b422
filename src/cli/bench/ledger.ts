/** What a receiver keeps of every message: is anything missing, and in which order did they come. */

/** All that came of one sender. */
export interface Origin {
  readonly hash: number
  readonly own: boolean
  /** Number that its next message must have. */
  next: number
  messages: number
  over: boolean
}

/** The order of the messages of one view of one group. */
export interface ViewHash {
  readonly view: string
  messages: number
  hash: number
}

interface Order {
  current: ViewHash
  readonly past: ViewHash[]
}

const noView = ''

export class Ledger {
  messages = 0
  bytes = 0
  /** Messages that did not have the number that follows that of the one before. */
  gaps = 0
  /** Senders whose last message was taken. */
  farewells = 0
  readonly origins: Map<string, Origin> = new Map()
  private readonly orders = new Map<string, Order>()
  private readonly self: string
  // Messages come in runs of one sender and group: the last ones are found without a look-up.
  private sender = ''
  private origin: Origin = { hash: 0, own: false, next: 0, messages: 0, over: false }
  private group = ''
  private order: Order = { current: { view: noView, messages: 0, hash: 0 }, past: [] }

  /** @param self id of this receiver's own session. */
  constructor(self: string) {
    this.self = self
  }

  /** A view of a group: the order is counted anew. */
  view(group: string, view: string): void {
    const order = this.orderOf(group)
    if (order.current.messages > 0) order.past.push(order.current)
    order.current = { view, messages: 0, hash: 0 }
  }

  /** What follows is of this sender, in this group. @returns the sender's. */
  turn(sender: string, group: string | null): Origin {
    if (sender !== this.sender) this.turnTo(sender)
    const name = group ?? ''
    if (name !== this.group) {
      this.order = this.orderOf(name)
      this.group = name
    }
    return this.origin
  }

  /** A message of that sender: `length` bytes of `chunk` from `start` on. */
  take(chunk: Uint8Array, start: number, length: number): void {
    const { origin } = this
    const { current } = this.order
    const sequence =
      (chunk[start + 4]! |
        (chunk[start + 5]! << 8) |
        (chunk[start + 6]! << 16) |
        (chunk[start + 7]! << 24)) >>>
      0
    if (sequence !== origin.next) this.gaps++
    origin.next = sequence + 1
    origin.messages++
    current.hash = roll(current.hash, origin.hash, sequence)
    current.messages++
    this.messages++
    this.bytes += length
  }

  /** Every view in which something was received, in the order of groups and views. */
  views(): {
    readonly group: string
    readonly view: string
    readonly messages: number
    readonly hash: number
  }[] {
    return [...this.orders]
      .flatMap(([group, { past, current }]) => [...past, current].map(each => ({ group, ...each })))
      .filter(({ messages }) => messages > 0)
      .sort((a, b) => (a.group < b.group ? -1 : a.group > b.group ? 1 : 0))
  }

  private turnTo(sender: string): void {
    let origin = this.origins.get(sender)
    if (origin === undefined) {
      origin = { hash: hashOf(sender), own: sender === this.self, next: 0, messages: 0, over: false }
      this.origins.set(sender, origin)
    }
    this.sender = sender
    this.origin = origin
  }

  private orderOf(group: string): Order {
    let order = this.orders.get(group)
    if (order === undefined) {
      order = { current: { view: noView, messages: 0, hash: 0 }, past: [] }
      this.orders.set(group, order)
    }
    return order
  }
}

/** One step of a hash that depends on everything before; 32 bits. */
export function roll(hash: number, sender: number, sequence: number): number {
  return (Math.imul((hash ^ sender) + sequence, 0x9e3779b1) ^ (hash >>> 15)) | 0
}

/** FNV-1a; 32 bits. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash | 0
}
