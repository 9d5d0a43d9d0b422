/** The bounded queue between what is read and one consumer. */

import { AnasaziError } from '../lib/errors.ts'
import type { Batches, Events } from './api.ts'
import { EventBatch, EventCursor } from './batch.ts'
import type { QueuedItem, SessionEvent } from './events.ts'

/** What an event without payload is counted as. Bytes. */
const ITEM_BYTES = 256
/** A consumer gets about this much at a time, so that reading can go on while it works. Bytes. */
const BATCH_BYTES = 1 << 20
/** With more than this waiting, small runs no longer keep large chunks in memory. Bytes. */
const COMPACT_BEYOND_BYTES = 1 << 20

export interface QueueOwner {
  /** More than half is used and nobody takes anything. */
  onHalfUnread(queue: EventQueue): void
  /** The queue is full. `idle`: nobody took anything since it was half full. */
  onFull(queue: EventQueue, idle: boolean): void
  /** The queue was full and is half empty again. */
  onRoom(queue: EventQueue): void
}

interface Entry {
  /** Position in the session's arrival, to merge queues that nobody claimed. */
  readonly arrival: number
  readonly item: QueuedItem
}

function bytesOf(item: QueuedItem): number {
  return item.type === 'run' ? item.bytes + ITEM_BYTES : ITEM_BYTES
}

interface Waiter {
  resolve(items: QueuedItem[] | null): void
  reject(error: Error): void
}

export class EventQueue {
  /** For messages to people: the group's name, or null for the session. */
  readonly group: string | null
  /** Somebody asked for an iterator once: events go here from then on, whoever iterates. */
  claimed = false
  full = false
  private readonly owner: QueueOwner
  private readonly limit: number
  private entries: Entry[] = []
  private head = 0
  private waitingBytes = 0
  /** Bytes of the batch that the consumer works on. */
  private handedBytes = 0
  private reading = false
  private halfWarned = false
  private takes = 0
  private takesAtHalf = 0
  private waiter: Waiter | null = null
  private ended = false
  private error: Error | null = null
  /** The rest of a batch that `events()` began; survives a `break`. */
  private cursor: EventCursor | null = null

  constructor(group: string | null, limit: number, owner: QueueOwner) {
    this.group = group
    this.limit = limit
    this.owner = owner
  }

  get length(): number {
    return this.entries.length - this.head
  }

  push(arrival: number, item: QueuedItem): void {
    if (this.ended) return
    this.entries.push({ arrival, item })
    this.waitingBytes += bytesOf(item)
    if (item.type === 'run' && (!this.reading || this.waitingBytes > COMPACT_BEYOND_BYTES)) item.compact()
    const used = this.waitingBytes + this.handedBytes
    if (used * 2 > this.limit) this.onHalf()
    if (used > this.limit && !this.full) {
      this.full = true
      this.owner.onFull(this, this.takes === this.takesAtHalf)
    }
  }

  private onHalf(): void {
    if (this.halfWarned) return
    this.halfWarned = true
    this.takesAtHalf = this.takes
    if (!this.reading) this.owner.onHalfUnread(this)
  }

  /** Hand what has accumulated to a waiting consumer. Called once for each chunk that was read. */
  wake(): void {
    const waiter = this.waiter
    if (waiter === null || (this.length === 0 && !this.ended)) return
    this.waiter = null
    if (this.length > 0) waiter.resolve(this.takeItems())
    else if (this.error === null) waiter.resolve(null)
    else this.rejectOnce(waiter)
  }

  private rejectOnce(waiter: Waiter): void {
    const error = this.error!
    this.error = null
    waiter.reject(error)
  }

  /** Nothing follows. What is queued is still handed over, then the consumer ends, with the error if there is one. */
  end(error: Error | null): void {
    if (this.ended) return
    this.ended = true
    this.error = error
    this.wake()
  }

  /** Remove all entries, for the merge into the session's queue. */
  drain(): { readonly arrival: number; readonly item: QueuedItem }[] {
    const entries = this.entries.slice(this.head)
    this.entries = []
    this.head = 0
    this.waitingBytes = 0
    this.release(0)
    return entries
  }

  private takeItems(): QueuedItem[] {
    const items: QueuedItem[] = []
    let bytes = 0
    while (this.head < this.entries.length && bytes < BATCH_BYTES) {
      const item = this.entries[this.head++]!.item
      bytes += bytesOf(item)
      items.push(item)
    }
    if (this.head === this.entries.length) {
      this.entries = []
      this.head = 0
    } else if (this.head > 1024) {
      this.entries = this.entries.slice(this.head)
      this.head = 0
    }
    this.waitingBytes -= bytes
    this.takes++
    this.release(bytes)
    return items
  }

  /** The consumer is done with its last batch and works on `bytes` now. */
  private release(bytes: number): void {
    this.handedBytes = bytes
    const used = this.waitingBytes + bytes
    if (used * 2 > this.limit) return
    this.halfWarned = false
    if (this.full) {
      this.full = false
      this.owner.onRoom(this)
    }
  }

  /**
   * The next items; null at the end. For the one who claimed the queue.
   *
   * A second call while one waits rejects with `already-consumed`.
   */
  takeNext(): Promise<QueuedItem[] | null> {
    if (this.length > 0) return Promise.resolve(this.takeItems())
    this.release(0)
    if (this.waiter !== null) return Promise.reject(new AnasaziError('already-consumed', this.describe()))
    return new Promise((resolve, reject) => {
      this.waiter = { resolve, reject }
      if (this.ended) this.wake()
    })
  }

  /** @throws AnasaziError `already-consumed` if another consumer has not given it free. */
  claim(): void {
    if (this.reading) throw new AnasaziError('already-consumed', this.describe())
    this.reading = true
    this.claimed = true
  }

  /** The consumer stops; what is queued waits for the next one. */
  unclaim(): void {
    this.reading = false
    // It had the last batch in hand: without it there may be room again, and nobody else would notice.
    this.release(0)
    const waiter = this.waiter
    this.waiter = null
    waiter?.resolve(null)
  }

  private describe(): string {
    return this.group === null ? 'It is the session.' : `It is the group '${this.group}'.`
  }

  batches(): Batches {
    this.claim()
    return new BatchIterator(this)
  }

  events(): Events {
    this.claim()
    return new EventIterator(this)
  }

  takeCursor(): EventCursor | null {
    const cursor = this.cursor
    this.cursor = null
    return cursor
  }

  keepCursor(cursor: EventCursor | null): void {
    this.cursor = cursor
  }
}

class BatchIterator implements AsyncIterableIterator<EventBatch> {
  private readonly queue: EventQueue
  private done = false

  constructor(queue: EventQueue) {
    this.queue = queue
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async next(): Promise<IteratorResult<EventBatch, undefined>> {
    if (this.done) return { done: true, value: undefined }
    const rest = this.queue.takeCursor()?.rest() ?? []
    if (rest.length > 0) return { done: false, value: new EventBatch(rest) }
    const items = await this.queue.takeNext()
    if (items === null) {
      await this.return()
      return { done: true, value: undefined }
    }
    return { done: false, value: new EventBatch(items) }
  }

  return(): Promise<IteratorResult<EventBatch, undefined>> {
    if (!this.done) {
      this.done = true
      this.queue.unclaim()
    }
    return Promise.resolve({ done: true, value: undefined })
  }
}

class EventIterator implements AsyncIterableIterator<SessionEvent> {
  private readonly queue: EventQueue
  private cursor: EventCursor | null
  private done = false

  constructor(queue: EventQueue) {
    this.queue = queue
    this.cursor = queue.takeCursor()
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<SessionEvent, undefined>> {
    if (this.cursor !== null) {
      const event = this.cursor.take()
      if (event !== null) return Promise.resolve({ done: false, value: event })
      this.cursor = null
    }
    return this.refill()
  }

  private async refill(): Promise<IteratorResult<SessionEvent, undefined>> {
    for (;;) {
      if (this.done) return { done: true, value: undefined }
      const items = await this.queue.takeNext()
      if (items === null) return this.return()
      const cursor = new EventCursor(items)
      const event = cursor.take()
      if (event === null) continue
      this.cursor = cursor
      return { done: false, value: event }
    }
  }

  return(): Promise<IteratorResult<SessionEvent, undefined>> {
    if (!this.done) {
      this.done = true
      this.queue.keepCursor(this.cursor)
      this.cursor = null
      this.queue.unclaim()
    }
    return Promise.resolve({ done: true, value: undefined })
  }
}
