/**
 * A channel between two threads over a ring of shared memory for each direction. The message port beside it is only a
 * doorbell: rung when the other side sleeps or waits for room, never for a message.
 */

import type { MessagePort } from 'node:worker_threads'
import { MessageChannel } from 'node:worker_threads'
import type { Channel } from './channel.ts'
import { ignoreClose, ignoreData, ignoreDrain } from './channel.ts'
import { createRingMemory, Ring } from './ring.ts'

/** One chunk: a reader gets memory of its own for it. Bytes. */
const CHUNK_BYTES = 256 << 10
/** What one turn of the loop reads at most before others have theirs. Bytes. */
const TURN_BYTES = 1 << 20
/** An empty ring is looked at this often, turn by turn, before the reader asks to be woken. */
const IDLE_TURNS = 3
/** What `reserve` gives at most. Bytes. */
const RESERVE_BYTES = 512 << 10

/** One end of the channel, to be passed to another thread; `port` goes into the list of what is transferred. */
export interface RingEnd {
  readonly incoming: SharedArrayBuffer
  readonly outgoing: SharedArrayBuffer
  readonly port: MessagePort
}

class RingChannel implements Channel {
  onData: (chunk: Uint8Array) => void = ignoreData
  onDrain: () => void = ignoreDrain
  onClose: (error: Error | null) => void = ignoreClose
  closed = false
  private readonly incoming: Ring
  private readonly outgoing: Ring
  private readonly port: MessagePort
  /** What did not fit. */
  private queue: Uint8Array[] = []
  private queueBytes = 0
  private paused = true
  private polling = false
  private idleTurns = 0
  private closing = false
  private finished = false
  private drainAsked = false
  private portClosed = false
  private readonly pollTask: () => void = () => this.poll()

  constructor(end: RingEnd) {
    this.incoming = new Ring(end.incoming)
    this.outgoing = new Ring(end.outgoing)
    this.port = end.port
    this.port.on('message', () => this.onDoorbell())
    this.port.on('close', () => {
      this.portClosed = true
      // What the other side wrote before it ended is still there.
      if (this.closed) this.finish()
      else this.schedule()
    })
  }

  get pending(): number {
    return this.outgoing.used + this.queueBytes
  }

  write(slices: readonly Uint8Array[]): void {
    if (this.closed || this.closing) return
    for (const slice of slices) {
      this.queue.push(slice)
      this.queueBytes += slice.length
    }
    this.fill()
  }

  reserve(bytes: number): Uint8Array | null {
    return this.queueBytes > 0 ? null : this.outgoing.reserve(bytes, RESERVE_BYTES)
  }

  wantDrain(): void {
    if (this.drainAsked || this.closed) return
    this.drainAsked = true
    this.await()
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
    this.schedule()
  }

  close(): void {
    if (this.closed || this.closing) return
    this.closing = true
    if (this.queueBytes === 0) this.closeNow()
  }

  abort(): void {
    if (this.closed) return
    this.queue = []
    this.queueBytes = 0
    this.closeNow()
    this.port.close()
  }

  atTurnEnd(task: () => void): void {
    setImmediate(task)
  }

  private closeNow(): void {
    this.closed = true
    this.outgoing.close()
    this.ring()
    // The other side closes the port when it has read the end.
  }

  private ring(): void {
    if (!this.portClosed) this.port.postMessage(0, [])
  }

  private fill(): void {
    let filled = 0
    let index = 0
    while (index < this.queue.length) {
      const slice = this.queue[index]!
      const count = this.outgoing.put(slice, filled)
      filled += count
      if (count < slice.length) {
        this.queue[index] = slice.subarray(count)
        break
      }
      index++
    }
    if (index > 0) this.queue = this.queue.slice(index)
    this.queueBytes -= filled
    if (filled > 0 && this.outgoing.commit(filled)) this.ring()
    if (this.queueBytes > 0) this.await()
    else if (this.closing && !this.closed) this.closeNow()
  }

  /** Be told when the other side reads. */
  private await(): void {
    if (!this.outgoing.awaitRoom(this.outgoing.used)) return
    setImmediate(() => this.onRoom())
  }

  private onRoom(): void {
    if (this.closed) return
    if (this.queueBytes > 0) this.fill()
    if (!this.drainAsked) return
    this.drainAsked = false
    this.onDrain()
  }

  private onDoorbell(): void {
    this.onRoom()
    this.schedule()
  }

  private schedule(): void {
    if (this.polling || this.finished || (this.paused && !this.portClosed)) return
    this.polling = true
    setImmediate(this.pollTask)
  }

  private poll(): void {
    this.polling = false
    let taken = 0
    while (!this.paused && !this.closed && taken < TURN_BYTES) {
      const chunk = this.incoming.take(CHUNK_BYTES)
      if (chunk === null) break
      if (this.incoming.producerWaits) this.ring()
      taken += chunk.length
      this.onData(chunk)
    }
    if (this.incoming.used === 0 && (this.incoming.closed || this.portClosed)) return this.finish()
    if (this.paused) return
    this.idleTurns = taken > 0 ? 0 : this.idleTurns + 1
    if (this.closed) {
      // Only the other side's end is of interest now.
      this.discard()
    } else if (taken > 0 || this.idleTurns <= IDLE_TURNS || !this.incoming.sleep()) {
      this.schedule()
    }
  }

  private discard(): void {
    while (this.incoming.take(CHUNK_BYTES) !== null) continue
    if (this.incoming.producerWaits) this.ring()
    if (this.incoming.closed || this.portClosed) this.finish()
    else if (!this.incoming.sleep()) this.schedule()
  }

  private finish(): void {
    if (this.finished) return
    this.finished = true
    this.closed = true
    this.outgoing.close()
    this.port.close()
    this.onClose(null)
  }
}

/** @param capacity bytes for each direction, a power of two. */
export function createRingEnds(capacity: number): [RingEnd, RingEnd] {
  const one = createRingMemory(capacity)
  const other = createRingMemory(capacity)
  const { port1, port2 } = new MessageChannel()
  return [
    { incoming: one, outgoing: other, port: port1 },
    { incoming: other, outgoing: one, port: port2 },
  ]
}

export function createRingChannel(end: RingEnd): Channel {
  return new RingChannel(end)
}
