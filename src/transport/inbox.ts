import type { Slices } from '../codec/envelope.ts'
import type { Lane } from '../core/frames.ts'
import type { MemberId } from '../core/types.ts'
import type { PeerEvent, TransportCounters, TransportHandler, TransportLimits } from './transport.ts'

type Item =
  | { readonly event: null; readonly from: MemberId; readonly lane: Lane; readonly frame: Slices }
  | { readonly event: PeerEvent }

/** Who can be asked to stop and to go on reading. */
export interface Readable {
  setReading(reading: boolean): void
}

/** What arrived and was not drained yet, in order. Its size is bounded by not reading on. */
export class Inbox {
  readonly #wake: () => void
  readonly #limits: TransportLimits
  readonly #counters: TransportCounters
  readonly #stopped = new Set<Readable>()
  #items: Item[] = []
  #controlBytes = 0
  #dataBytes = 0
  #woken = false

  constructor(wake: () => void, limits: TransportLimits, counters: TransportCounters) {
    this.#wake = wake
    this.#limits = limits
    this.#counters = counters
  }

  addEvent(event: PeerEvent): void {
    this.#items.push({ event })
    this.#rouse()
  }

  /** Adds what one read of `source` brought. */
  addFrames(source: Readable, from: MemberId, lane: Lane, frames: readonly Slices[]): void {
    let bytes = 0
    for (const frame of frames) {
      bytes += frame.bytes
      this.#items.push({ event: null, from, lane, frame })
    }
    this.#counters.framesIn += frames.length
    const full =
      lane === 'data'
        ? (this.#dataBytes += bytes) > this.#limits.dataInboxBytes
        : (this.#controlBytes += bytes) > this.#limits.controlInboxBytes
    if (full && !this.#stopped.has(source)) {
      this.#stopped.add(source)
      this.#counters.readPauses++
      source.setReading(false)
    }
    this.#rouse()
  }

  /** A source that is gone need not be asked any more. */
  forget(source: Readable): void {
    this.#stopped.delete(source)
  }

  #rouse(): void {
    if (this.#woken) return
    this.#woken = true
    this.#wake()
  }

  drain(handler: TransportHandler): void {
    const items = this.#items
    this.#items = []
    this.#woken = false
    this.#controlBytes = 0
    this.#dataBytes = 0
    let done = 0
    try {
      for (const item of items) {
        done++
        if (item.event === null) handler.onFrame(item.from, item.lane, item.frame)
        else handler.onPeer(item.event)
      }
    } finally {
      // Only after an exception is anything left; it must not be lost with it.
      if (done < items.length) this.#putBack(items.slice(done))
      for (const source of this.#stopped) source.setReading(true)
      this.#stopped.clear()
    }
  }

  #putBack(rest: Item[]): void {
    this.#items = [...rest, ...this.#items]
    for (const item of rest) {
      if (item.event !== null) continue
      if (item.lane === 'data') this.#dataBytes += item.frame.bytes
      else this.#controlBytes += item.frame.bytes
    }
    this.#rouse()
  }
}
