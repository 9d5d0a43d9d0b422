/** What an iterator hands over at a time, and the iterator over it. */

import type { QueuedItem, SessionEvent } from './events.ts'
import { RunCursor } from './run.ts'

/** Events in their order, taken apart while they are iterated. May be iterated more than once. */
export class EventBatch implements Iterable<SessionEvent> {
  private readonly items: readonly (QueuedItem | SessionEvent)[]

  constructor(items: readonly (QueuedItem | SessionEvent)[]) {
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

  [Symbol.iterator](): EventCursor {
    return new EventCursor(this.items)
  }
}

/** Iterates the events of items. The result object is used again for every event, as `for … of` allows. */
export class EventCursor implements IterableIterator<SessionEvent> {
  private readonly items: readonly (QueuedItem | SessionEvent)[]
  private itemIndex = 0
  private run: RunCursor | null = null
  private readonly result: { done: boolean; value: SessionEvent } = {
    done: false,
    value: undefined as unknown as SessionEvent,
  }

  constructor(items: readonly (QueuedItem | SessionEvent)[]) {
    this.items = items
  }

  [Symbol.iterator](): EventCursor {
    return this
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
