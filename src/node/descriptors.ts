/**
 * Descriptors that are kept back. Without them a daemon that has as many clients as the system allows could neither tell
 * the next one why it is sent away nor reach a peer whose connection broke.
 */

import { closeSync, openSync } from 'node:fs'
import { devNull } from 'node:os'

/** How often it is seen whether others took what was free; ms. */
const lookMs = 1000

/** Enough to send some clients away at a time, and to reach peers again. */
const keptBack = 16

export interface SystemDescriptors {
  /** @throws the system's error if there is none. */
  open(): number
  close(descriptor: number): void
}

const ofTheProcess: SystemDescriptors = { open: () => openSync(devNull, 'r'), close: closeSync }

export class DescriptorReserve {
  private readonly system: SystemDescriptors
  /** Empty while they run out: what is free then is free for those who need it. */
  private kept: number[] = []
  private closed = false
  private readonly timer: NodeJS.Timeout

  constructor(system: SystemDescriptors = ofTheProcess) {
    this.system = system
    this.refill()
    this.timer = setInterval(() => this.look(), lookMs).unref()
  }

  /** Gives all of it back if nothing else is free: a peer may need it, or a client be waiting to be sent away. */
  look(): void {
    if (this.kept.length > 0 && !this.isOneFree()) this.release()
  }

  /** Whether one more may be kept open for long; asked by whoever has just opened one. */
  allows(): boolean {
    if (this.kept.length === 0 && !this.refill()) return false
    if (this.isOneFree()) return true
    // It was the last one. It is given back, and all who come now find room enough to be told so.
    this.release()
    return false
  }

  close(): void {
    this.closed = true
    clearInterval(this.timer)
    this.release()
  }

  private isOneFree(): boolean {
    try {
      this.system.close(this.system.open())
      return true
    } catch {
      return false
    }
  }

  private release(): void {
    const { kept } = this
    this.kept = []
    for (const descriptor of kept) this.system.close(descriptor)
  }

  /** All of them, or none. */
  private refill(): boolean {
    if (this.closed) return false
    const { kept } = this
    try {
      while (kept.length < keptBack) kept.push(this.system.open())
      return true
    } catch {
      this.release()
      return false
    }
  }
}
