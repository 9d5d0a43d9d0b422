/**
 * Who drives a cell: the host's event loop, or the host itself (`loop: 'manual'`). The cell sees no difference: I/O only
 * enqueues and calls `wake`, everything else happens in `step`.
 */

/** What is driven. */
export interface Steppable {
  /** Processes everything that has accumulated, in one pass. `now`: monotonic ms. */
  step(now: number): void
  /** When `step` must next be called though nothing arrives, monotonic ms. */
  readonly nextDeadline: number
}

export interface Loop {
  /** Something is waiting: `step` soon. Cheap when called again before it. */
  wake(): void
  stop(): void
}

/** Monotonic milliseconds, the same in all threads of a process. */
export function monotonicMs(): number {
  return performance.timeOrigin + performance.now()
}

/** Steps after the I/O callbacks of the current turn of the event loop, and at deadlines. */
export class HostLoop implements Loop {
  private readonly target: Steppable
  private immediate: NodeJS.Immediate | null = null
  private timer: NodeJS.Timeout | null = null
  private timerAt: number = Number.POSITIVE_INFINITY
  private stopped = false
  private readonly run = (): void => {
    this.immediate = null
    if (this.stopped) return
    this.target.step(monotonicMs())
    this.arm()
  }

  constructor(target: Steppable) {
    this.target = target
  }

  wake(): void {
    if (this.immediate === null && !this.stopped) this.immediate = setImmediate(this.run)
  }

  stop(): void {
    this.stopped = true
    if (this.immediate !== null) clearImmediate(this.immediate)
    if (this.timer !== null) clearTimeout(this.timer)
  }

  private arm(): void {
    if (this.stopped) return
    const { nextDeadline } = this.target
    const now = monotonicMs()
    if (nextDeadline <= now) {
      this.wake()
      return
    }
    // A timer that fires too early only looks and arms again: cheaper than moving it at every step.
    if (this.timer !== null && this.timerAt <= nextDeadline && this.timerAt > now) return
    if (this.timer !== null) clearTimeout(this.timer)
    this.timerAt = nextDeadline
    const delay = Math.min(Math.ceil(nextDeadline - now), 2 ** 31 - 1)
    this.timer = setTimeout(() => {
      this.timer = null
      this.wake()
    }, delay)
  }
}

/** Tells the host to step; the host asks for `nextDeadline` itself. */
export class ManualLoop implements Loop {
  private readonly onWake: () => void
  private stopped = false

  constructor(onWake: () => void) {
    this.onWake = onWake
  }

  wake(): void {
    if (!this.stopped) this.onWake()
  }

  stop(): void {
    this.stopped = true
  }
}
