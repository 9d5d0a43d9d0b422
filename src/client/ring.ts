/**
 * A ring of bytes in shared memory: one producer, one consumer, no locks. Positions only grow (modulo 2^32), the
 * capacity is a power of two, and each side writes only its own position.
 */

/* Words of the control block. */
const HEAD = 0
const TAIL = 1
const CONSUMER_SLEEPS = 2
const PRODUCER_WAITS = 3
const CLOSED = 4
const COMMITS = 5
const DOORBELLS = 6
const CONTROL_WORDS = 16

export const RING_CONTROL_BYTES: number = CONTROL_WORDS * 4

export interface RingCounters {
  /** How often the producer published bytes. */
  readonly commits: number
  /** How often one side had to wake the other. */
  readonly doorbells: number
  /** Bytes that wait. */
  readonly used: number
}

/** @param capacity a power of two. */
export function createRingMemory(capacity: number): SharedArrayBuffer {
  return new SharedArrayBuffer(RING_CONTROL_BYTES + capacity)
}

export class Ring {
  readonly memory: SharedArrayBuffer
  readonly capacity: number
  private readonly control: Int32Array
  private readonly data: Uint8Array
  private readonly mask: number

  /** @throws RangeError if `memory` was not made by `createRingMemory`. */
  constructor(memory: SharedArrayBuffer) {
    const capacity = memory.byteLength - RING_CONTROL_BYTES
    if (capacity < 64 || (capacity & (capacity - 1)) !== 0) {
      throw new RangeError(`a ring of ${capacity} bytes; it must be a power of two`)
    }
    this.memory = memory
    this.capacity = capacity
    this.mask = capacity - 1
    this.control = new Int32Array(memory, 0, CONTROL_WORDS)
    this.data = new Uint8Array(memory, RING_CONTROL_BYTES, capacity)
  }

  /** Bytes published and not yet consumed. */
  get used(): number {
    return (Atomics.load(this.control, HEAD) - Atomics.load(this.control, TAIL)) >>> 0
  }

  get counters(): RingCounters {
    const commits = Atomics.load(this.control, COMMITS)
    return { commits, doorbells: Atomics.load(this.control, DOORBELLS), used: this.used }
  }

  /* The producer's side. */

  /** Free memory at the head, in one piece, as much as there is up to `most`; null if that is less than `least`. */
  reserve(least: number, most: number): Uint8Array | null {
    const start = Atomics.load(this.control, HEAD) & this.mask
    const length = Math.min(this.capacity - this.used, this.capacity - start, most)
    return length < least ? null : this.data.subarray(start, start + length)
  }

  /** Copy as much of `bytes` as fits; returns how much. `commit` publishes it. */
  put(bytes: Uint8Array, ahead: number): number {
    const room = this.capacity - this.used - ahead
    const count = Math.min(room, bytes.length)
    if (count <= 0) return 0
    const start = (Atomics.load(this.control, HEAD) + ahead) & this.mask
    // Built here by `reserve`: it stands where it belongs.
    if (bytes.buffer === this.memory && bytes.byteOffset === RING_CONTROL_BYTES + start) return count
    const first = Math.min(count, this.capacity - start)
    this.data.set(bytes.subarray(0, first), start)
    if (first < count) this.data.set(bytes.subarray(first, count), 0)
    return count
  }

  /** Publish `count` bytes. True: the consumer sleeps and must be woken. */
  commit(count: number): boolean {
    Atomics.store(this.control, HEAD, (Atomics.load(this.control, HEAD) + count) | 0)
    Atomics.add(this.control, COMMITS, 1)
    return this.rouse(CONSUMER_SLEEPS)
  }

  /** Ask for a doorbell at the next consumption. True: some has happened since, or there is nothing to wait for. */
  awaitRoom(usedBefore: number): boolean {
    Atomics.store(this.control, PRODUCER_WAITS, 1)
    if (this.used >= usedBefore && usedBefore > 0) return false
    Atomics.store(this.control, PRODUCER_WAITS, 0)
    return true
  }

  close(): boolean {
    Atomics.store(this.control, CLOSED, 1)
    return this.rouse(CONSUMER_SLEEPS)
  }

  /* The consumer's side. */

  /** A copy of what is there, up to `most` bytes; null if there is nothing. */
  take(most: number): Uint8Array | null {
    const tail = Atomics.load(this.control, TAIL)
    const available = (Atomics.load(this.control, HEAD) - tail) >>> 0
    if (available === 0) return null
    const start = tail & this.mask
    const count = Math.min(available, most)
    const first = Math.min(count, this.capacity - start)
    const chunk = new Uint8Array(count)
    chunk.set(this.data.subarray(start, start + first))
    if (first < count) chunk.set(this.data.subarray(0, count - first), first)
    Atomics.store(this.control, TAIL, (tail + count) | 0)
    return chunk
  }

  /** True: the producer waits for room and must be told. Once after each `take`. */
  get producerWaits(): boolean {
    return this.rouse(PRODUCER_WAITS)
  }

  /** Ask for a doorbell at the next commit. False: something came in the meantime. */
  sleep(): boolean {
    Atomics.store(this.control, CONSUMER_SLEEPS, 1)
    if (this.used === 0 && !this.closed) return true
    Atomics.store(this.control, CONSUMER_SLEEPS, 0)
    return false
  }

  get closed(): boolean {
    return Atomics.load(this.control, CLOSED) === 1
  }

  private rouse(word: number): boolean {
    if (Atomics.load(this.control, word) === 0 || Atomics.exchange(this.control, word, 0) === 0) return false
    Atomics.add(this.control, DOORBELLS, 1)
    return true
  }
}
