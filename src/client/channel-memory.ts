/** A channel within one thread: two queues, no copies. */

import type { Channel } from './channel.ts'
import { ignoreClose, ignoreData, ignoreDrain } from './channel.ts'

/** How delivery is put off; the task must not run before the call returned. */
export type Schedule = (task: () => void) => void

class MemoryChannel implements Channel {
  onData: (chunk: Uint8Array) => void = ignoreData
  onDrain: () => void = ignoreDrain
  onClose: (error: Error | null) => void = ignoreClose
  pending = 0
  closed = false
  peer: MemoryChannel | null = null
  private readonly schedule: Schedule
  private paused = true
  /** What the peer wrote and this end has not seen. */
  private inbox: Uint8Array[] = []
  private inboxHead = 0
  private scheduled = false
  private peerClosed = false
  private readonly deliverTask: () => void = () => this.deliver()

  constructor(schedule: Schedule) {
    this.schedule = schedule
  }

  write(slices: readonly Uint8Array[]): void {
    const peer = this.peer
    if (this.closed || peer === null || peer.closed) return
    for (const slice of slices) {
      if (slice.length === 0) continue
      this.pending += slice.length
      peer.inbox.push(slice)
    }
    peer.wake()
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
    this.wake()
  }

  close(): void {
    if (this.closed) return
    this.closed = true
    const peer = this.peer
    if (peer !== null) {
      peer.peerClosed = true
      peer.wake()
    }
    this.inbox = []
    this.schedule(() => this.onClose(null))
  }

  abort(): void {
    if (this.closed) return
    const peer = this.peer
    if (peer !== null) {
      peer.inbox = []
      peer.inboxHead = 0
    }
    this.close()
  }

  atTurnEnd(task: () => void): void {
    this.schedule(task)
  }

  private wake(): void {
    if (this.scheduled || this.closed) return
    // The other end's close is seen by a paused reader too, but only after what came before it.
    if (this.paused && !(this.peerClosed && this.inbox.length === 0)) return
    this.scheduled = true
    this.schedule(this.deliverTask)
  }

  private deliver(): void {
    this.scheduled = false
    let taken = 0
    // Only what is here now: a peer that answers within the call must not keep this turn going for ever.
    const end = this.inbox.length
    while (!this.paused && !this.closed && this.inboxHead < end) {
      const chunk = this.inbox[this.inboxHead++]!
      taken += chunk.length
      this.onData(chunk)
    }
    if (this.closed) return
    if (this.inboxHead === this.inbox.length) {
      this.inbox = []
      this.inboxHead = 0
    } else if (this.inboxHead > 1024) {
      this.inbox = this.inbox.slice(this.inboxHead)
      this.inboxHead = 0
    }
    const peer = this.peer
    if (taken > 0 && peer !== null && !peer.closed) {
      peer.pending -= taken
      peer.onDrain()
    }
    if (this.inbox.length > 0) this.wake()
    else if (this.peerClosed) this.endByPeer()
  }

  private endByPeer(): void {
    this.closed = true
    this.onClose(null)
  }
}

/**
 * Two connected ends.
 *
 * @param schedule puts delivery off, by default to the end of the event-loop turn; a host with a loop of its own gives
 *   its own.
 */
export function createChannelPair(
  schedule: Schedule = task => void setImmediate(task),
  peerSchedule: Schedule = schedule,
): [Channel, Channel] {
  const one = new MemoryChannel(schedule)
  const other = new MemoryChannel(peerSchedule)
  one.peer = other
  other.peer = one
  return [one, other]
}
