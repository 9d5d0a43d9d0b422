/** Messages of one segment as they were read, taken apart only while they are iterated. */

import type { ClientPlace, MessagesFrame } from '../codec/client.ts'
import type { Service } from '../core/types.ts'
import type { SessionId, ViewId } from '../groups/types.ts'
import type { WarningEvent } from './events.ts'
import { MessageEvent } from './events.ts'

/**
 * Called for each message of a run. Its bytes are those of `chunk` from `start` on, `length` of them; as with an event's
 * `data` they stay valid as long as `chunk` is held.
 */
export type LookAtMessage = (chunk: Uint8Array, start: number, length: number, sequence: number) => void

/**
 * Messages that one session sent together, one after the other in the order: what they have in common, and a way to look at
 * them that makes no object for a message.
 */
export class MessageRun {
  readonly type = 'run'
  readonly cell: string
  /** The group they were received in; null for private messages. */
  readonly group: string | null
  /** The view they are delivered in; null for private messages. */
  readonly view: ViewId | null
  readonly sender: SessionId
  /** True if this session sent them. */
  readonly own: boolean
  /** Place of the segment in the order; with `firstIndex` that of the first message. */
  readonly place: ClientPlace
  /** Which message of its segment the first one is. */
  readonly firstIndex: number
  /** Session sequence of the first one at its sender. */
  readonly firstSequence: number
  readonly count: number
  readonly service: Service
  /** With four bytes of length for each message. */
  readonly bytes: number
  private body: readonly Uint8Array[]

  constructor(
    frame: Pick<MessagesFrame, 'place' | 'firstSequence' | 'count' | 'service' | 'bytes' | 'body'>,
    cell: string,
    group: string | null,
    view: ViewId | null,
    sender: SessionId,
    own: boolean,
    firstIndex = 0,
  ) {
    this.cell = cell
    this.group = group
    this.view = view
    this.sender = sender
    this.own = own
    this.place = frame.place
    this.firstIndex = firstIndex
    this.firstSequence = frame.firstSequence
    this.count = frame.count
    this.service = frame.service
    this.bytes = frame.bytes
    this.body = frame.body
  }

  /**
   * Looks at each message in its order.
   *
   * @returns null; or a warning if the payload, which its sender's library wrote and nobody checked, is malformed: the rest
   * of it is dropped.
   */
  forEach(look: LookAtMessage): WarningEvent | null {
    const cursor = new RunCursor(this)
    const { firstSequence } = this
    while (cursor.advance()) {
      look(cursor.chunk, cursor.start, cursor.length, firstSequence + cursor.index)
    }
    return cursor.warning
  }

  /** Not for applications. */
  get slices(): readonly Uint8Array[] {
    return this.body
  }

  /** Copies the payload if it keeps a chunk much larger than itself in memory: for runs that wait unread. Not for applications. */
  compact(): void {
    let held = 0
    for (const slice of this.body) held += slice.buffer.byteLength
    if (held <= this.bytes * 2) return
    const copy = new Uint8Array(this.bytes)
    let at = 0
    for (const slice of this.body) {
      copy.set(slice, at)
      at += slice.length
    }
    this.body = [copy]
  }
}

const NOTHING = new Uint8Array(0)

/**
 * Walks over the messages of a run. The payload was written by a peer's library and checked by nobody: what does not
 * fit is dropped, and said.
 */
export class RunCursor {
  /** The message that it stands at: `length` bytes of `chunk` from `start`. */
  chunk: Uint8Array
  start = 0
  length = 0
  /** Which message of the run that is. */
  index = -1
  /** What was malformed, once that is reached. */
  warning: WarningEvent | null = null
  private told = false
  private readonly run: MessageRun
  private readonly slices: readonly Uint8Array[]
  private slice: Uint8Array
  private sliceIndex = 0
  private at = 0

  constructor(run: MessageRun) {
    this.run = run
    this.slices = run.slices
    this.slice = this.slices[0] ?? NOTHING
    this.chunk = this.slice
  }

  /** Goes to the next message; false at the end, or at something malformed. */
  advance(): boolean {
    const { slice, at } = this
    const index = this.index + 1
    if (index < this.run.count && at + 4 <= slice.length) {
      const length =
        slice[at]! + slice[at + 1]! * 0x100 + slice[at + 2]! * 0x10000 + slice[at + 3]! * 0x1000000
      const end = at + 4 + length
      if (end <= slice.length) {
        this.at = end
        this.stand(slice, at + 4, length)
        return true
      }
    }
    return this.warning === null && this.advanceSlowly()
  }

  /** The next message; a warning in place of the first malformed one; null at the end. */
  next(): MessageEvent | WarningEvent | null {
    if (this.advance()) return new MessageEvent(this.run, this.chunk, this.start, this.length, this.index)
    const { warning } = this
    // Told once; what follows is the end.
    if (warning === null || this.told) return null
    this.told = true
    return warning
  }

  /** What has not been walked over yet; null if nothing is left. */
  rest(): MessageRun | null {
    const { run, slices, sliceIndex } = this
    const passed = this.index + 1
    if (this.warning !== null || (passed === run.count && this.left() === 0)) return null
    const body = [this.slice.subarray(this.at), ...slices.slice(sliceIndex + 1)]
    const { place, service } = run
    const frame = {
      place,
      service,
      firstSequence: run.firstSequence + passed,
      count: run.count - passed,
      bytes: this.left(),
      body,
    }
    const { cell, group, view, sender, own } = run
    return new MessageRun(frame, cell, group, view, sender, own, run.firstIndex + passed)
  }

  private stand(chunk: Uint8Array, start: number, length: number): void {
    this.chunk = chunk
    this.start = start
    this.length = length
    this.index++
  }

  /** At the end, at the seam of two slices, or at something malformed. */
  private advanceSlowly(): boolean {
    const left = this.left()
    const { count, firstIndex } = this.run
    const index = this.index + 1
    const inSegment = firstIndex + index
    if (index === count) {
      return left === 0 ? false : this.warn(`${left} bytes follow the last message`)
    }
    if (left < 4) return this.warn(`the payload ends after ${inSegment} of ${firstIndex + count} messages`)
    const head = this.take(4)
    const length = head[0]! + head[1]! * 0x100 + head[2]! * 0x10000 + head[3]! * 0x1000000
    if (length > left - 4) return this.warn(`message ${inSegment} claims ${length} of ${left - 4} bytes`)
    this.stand(this.take(length), 0, length)
    return true
  }

  private left(): number {
    let sum = this.slice.length - this.at
    for (let i = this.sliceIndex + 1; i < this.slices.length; i++) sum += this.slices[i]!.length
    return sum
  }

  /** `count` bytes in one piece; the caller knows that they are there. */
  private take(count: number): Uint8Array {
    this.skipSeam()
    if (this.at + count <= this.slice.length) {
      this.at += count
      return this.slice.subarray(this.at - count, this.at)
    }
    const piece = new Uint8Array(count)
    let filled = 0
    while (filled < count) {
      this.skipSeam()
      const part = this.slice.subarray(this.at, this.at + count - filled)
      piece.set(part, filled)
      filled += part.length
      this.at += part.length
    }
    return piece
  }

  private skipSeam(): void {
    while (this.at === this.slice.length && this.sliceIndex + 1 < this.slices.length) {
      this.slice = this.slices[++this.sliceIndex]!
      this.at = 0
    }
  }

  /** @returns false. */
  private warn(what: string): false {
    const { sender, group, place } = this.run
    const where = `${place.epoch}.${place.ts}.${place.rank}.${place.index}`
    this.warning = {
      type: 'warning',
      code: 'malformed-payload',
      message: `The payload of ${sender} at ${where} is malformed, its rest is dropped: ${what}.`,
      group,
    }
    return false
  }
}
