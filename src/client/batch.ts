/** What an iterator hands over at a time, and the iterator over it. */

import type { MessageEvent, QueuedItem, SessionEvent } from './events.ts'
import { type MessageRun, RunCursor } from './run.ts'

/** What a batch consists of: messages that were sent together, and every other event. */
export type BatchPart = MessageRun | Exclude<SessionEvent, MessageEvent>

/** Events in their order, taken apart while they are iterated. May be iterated more than once. */
export class EventBatch implements Iterable<SessionEvent> {
  private readonly items: readonly QueuedItem[]

  constructor(items: readonly QueuedItem[]) {
    this.items = items
  }

  /** Number of events; fewer come if a peer sent a malformed payload. */
  get size(): number {
    let sum = 0
    for (const item of this.items) {
      if (item.type === 'run') sum += item.count
      else if (item.type !== 'left') sum++
    }
    return sum
  }

  /** The same, with messages that were sent together in one piece: for those who want no object for each message. */
  get parts(): readonly BatchPart[] {
    return this.items.filter(item => item.type !== 'left')
  }

  [Symbol.iterator](): EventCursor {
    return new EventCursor(this.items)
  }
}

/** Iterates the events of items. The result object is used again for every event, as `for … of` allows. */
export class EventCursor implements IterableIterator<SessionEvent> {
  private readonly items: readonly QueuedItem[]
  private itemIndex = 0
  private run: RunCursor | null = null
  private readonly result: { done: boolean; value: SessionEvent } = {
    done: false,
    value: undefined as unknown as SessionEvent,
  }

  constructor(items: readonly QueuedItem[]) {
    this.items = items
  }

  [Symbol.iterator](): EventCursor {
    return this
  }

  /** What has not been iterated yet. */
  rest(): QueuedItem[] {
    const items = this.items.slice(this.itemIndex)
    const run = this.run?.rest() ?? null
    return run === null ? items : [run, ...items]
  }

  next(): IteratorResult<SessionEvent, undefined> {
    const result = this.result
    const event = this.take()
    if (event === null) {
      result.done = true
      result.value = undefined as unknown as SessionEvent
    } else {
      result.value = event
    }
    return result as IteratorResult<SessionEvent, undefined>
  }

  /** The next event; null at the end. */
  take(): SessionEvent | null {
    for (;;) {
      if (this.run !== null) {
        const event = this.run.next()
        if (event !== null) return event
        this.run = null
      }
      if (this.itemIndex === this.items.length) return null
      const item = this.items[this.itemIndex++]!
      if (item.type === 'left') continue
      if (item.type !== 'run') return item
      this.run = new RunCursor(item)
    }
  }
}
