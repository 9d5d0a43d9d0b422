/** A run of messages of one segment as it was read, taken apart only while it is iterated. */

import type { ClientPlace, MessagesFrame } from '../codec/client.ts'
import type { Service } from '../core/types.ts'
import type { SessionId, ViewId } from '../groups/types.ts'
import type { WarningEvent } from './events.ts'
import { MessageEvent } from './events.ts'

export class MessageRun {
  readonly type = 'run'
  readonly cell: string
  readonly group: string | null
  readonly view: ViewId | null
  readonly sender: SessionId
  readonly own: boolean
  readonly place: ClientPlace
  readonly firstSequence: number
  readonly count: number
  readonly service: Service
  readonly bytes: number
  private body: readonly Uint8Array[]

  constructor(
    frame: MessagesFrame,
    cell: string,
    group: string | null,
    view: ViewId | null,
    sender: SessionId,
    own: boolean,
  ) {
    this.cell = cell
    this.group = group
    this.view = view
    this.sender = sender
    this.own = own
    this.place = frame.place
    this.firstSequence = frame.firstSequence
    this.count = frame.count
    this.service = frame.service
    this.bytes = frame.bytes
    this.body = frame.body
  }

  get slices(): readonly Uint8Array[] {
    return this.body
  }

  /** Copies the payload if it keeps a chunk much larger than itself in memory: for runs that wait unread. */
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
  private readonly run: MessageRun
  private readonly slices: readonly Uint8Array[]
  private slice: Uint8Array
  private sliceIndex = 0
  private at = 0
  private index = 0
  private warned = false

  constructor(run: MessageRun) {
    this.run = run
    this.slices = run.slices
    this.slice = this.slices[0] ?? NOTHING
  }

  /** The next message; a warning in place of the first malformed one; null at the end. */
  next(): MessageEvent | WarningEvent | null {
    const { slice, at, index } = this
    const run = this.run
    if (index < run.count && at + 4 <= slice.length) {
      const length =
        slice[at]! + slice[at + 1]! * 0x100 + slice[at + 2]! * 0x10000 + slice[at + 3]! * 0x1000000
      const end = at + 4 + length
      if (end <= slice.length) {
        this.at = end
        this.index = index + 1
        return new MessageEvent(run, slice, at + 4, length, index)
      }
    }
    return this.slow()
  }

  /** At the end, at the seam of two slices, or at something malformed. */
  private slow(): MessageEvent | WarningEvent | null {
    if (this.warned) return null
    const left = this.left()
    const run = this.run
    if (this.index === run.count) {
      return left === 0 ? null : this.warn(`${left} bytes follow the last message`)
    }
    if (left < 4) return this.warn(`the payload ends after ${this.index} of ${run.count} messages`)
    const head = this.take(4)
    const length = head[0]! + head[1]! * 0x100 + head[2]! * 0x10000 + head[3]! * 0x1000000
    if (length > left - 4) return this.warn(`message ${this.index} claims ${length} of ${left - 4} bytes`)
    const data = this.take(length)
    return new MessageEvent(run, data, 0, length, this.index++)
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

  private warn(what: string): WarningEvent {
    this.warned = true
    const { sender, group, place } = this.run
    const where = `${place.epoch}.${place.ts}.${place.rank}.${place.index}`
    return {
      type: 'warning',
      code: 'malformed-payload',
      message: `The payload of ${sender} at ${where} is malformed, its rest is dropped: ${what}.`,
      group,
    }
  }
}
