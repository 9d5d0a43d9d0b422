/**
 * The bytes of one turn on their way to the channel. They are laid one after the other into slabs, so that a turn is
 * mostly one slice; where the channel has memory of its own to build them in, that is the slab.
 */

import type { Channel } from './channel.ts'

/** Bytes. Small at first: most sessions of a busy daemon say little. */
const FIRST_SLAB_BYTES = 32 << 10
const SLAB_BYTES = 512 << 10
/** Used while the channel's own memory has no room in one piece. Bytes. */
const FALLBACK_SLAB_BYTES = 16 << 10

const NO_BYTES = new Uint8Array(0)

export class WriteBuffer {
  /** Where bytes are written, by whoever called `ensure`. */
  slab: Uint8Array = NO_BYTES
  /** Where the next byte goes. */
  at = 0
  private readonly channel: Channel
  private first = true
  private slabOfChannel = false
  /** Start of what is in the slab and not in `ready`. */
  private readyStart = 0
  private ready: Uint8Array[] = []
  private readyBytes = 0

  constructor(channel: Channel) {
    this.channel = channel
  }

  /** Bytes that were not written to the channel yet. */
  get bytes(): number {
    return this.readyBytes + this.at - this.readyStart
  }

  /** Make room for at least `bytes` in one piece at `at`. */
  ensure(bytes: number): void {
    if (this.slab.length - this.at >= bytes) return
    this.closeRange()
    this.at = 0
    this.readyStart = 0
    if (this.channel.reserve !== undefined) return this.ensureReserved(bytes)
    this.slab = new Uint8Array(Math.max(bytes, this.first ? FIRST_SLAB_BYTES : SLAB_BYTES))
    this.first = false
  }

  private ensureReserved(bytes: number): void {
    // What the channel reserves stands where its next byte goes: only if nothing else comes before.
    const own = this.ready.length === 0 ? this.channel.reserve!(bytes) : null
    this.slabOfChannel = own !== null
    this.slab = own ?? new Uint8Array(Math.max(bytes, FALLBACK_SLAB_BYTES))
  }

  /** A short frame. */
  copy(bytes: Uint8Array): void {
    if (this.slab.length - this.at < bytes.length) return this.append(bytes)
    this.slab.set(bytes, this.at)
    this.at += bytes.length
  }

  /** Bytes that need no copy. */
  append(bytes: Uint8Array): void {
    this.closeRange()
    this.ready.push(bytes)
    this.readyBytes += bytes.length
    if (this.slabOfChannel) this.retire()
  }

  private closeRange(): void {
    if (this.at === this.readyStart) return
    this.ready.push(this.slab.subarray(this.readyStart, this.at))
    this.readyBytes += this.at - this.readyStart
    this.readyStart = this.at
  }

  /** Another slice stands where the rest of the slab would have gone. */
  private retire(): void {
    this.slab = NO_BYTES
    this.slabOfChannel = false
    this.at = 0
    this.readyStart = 0
  }

  flush(): void {
    this.closeRange()
    if (this.ready.length === 0) return
    const slices = this.ready
    this.ready = []
    this.readyBytes = 0
    this.channel.write(slices)
  }

  clear(): void {
    this.ready = []
    this.readyBytes = 0
    this.at = this.readyStart
  }
}
