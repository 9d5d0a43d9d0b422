/** Virtual time: nothing waits, the clock jumps to the next thing that happens. */

/** Something that will happen; `cancel` it by setting `action` to null. */
export interface Timer {
  /** Virtual milliseconds. */
  readonly at: number
  /** Breaks ties: what was scheduled first happens first. */
  readonly order: number
  action: (() => void) | null
}

/** A binary heap of timers. Two runs that schedule the same things in the same order see the same history. */
export class Scheduler {
  /** Virtual milliseconds since the beginning of the run. */
  now = 0
  /** Timers fired so far. */
  fired = 0
  private order = 0
  private readonly heap: Timer[] = []

  get pending(): number {
    return this.heap.length
  }

  /** Runs `action` at time `at`, or now if that is past. */
  at(at: number, action: () => void): Timer {
    const timer: Timer = { at: at > this.now ? at : this.now, order: this.order++, action }
    const heap = this.heap
    let index = heap.length
    heap.push(timer)
    while (index > 0) {
      const parentIndex = (index - 1) >> 1
      const parent = heap[parentIndex] as Timer
      if (!before(timer, parent)) break
      heap[index] = parent
      index = parentIndex
    }
    heap[index] = timer
    return timer
  }

  after(delayMs: number, action: () => void): Timer {
    return this.at(this.now + delayMs, action)
  }

  /** Fires the next timer. @returns false if there is none. */
  step(): boolean {
    for (;;) {
      const timer = this.pop()
      if (timer === undefined) return false
      if (timer.action === null) continue
      this.now = timer.at
      this.fired++
      const action = timer.action
      timer.action = null
      action()
      return true
    }
  }

  /** Fires everything due up to and including `time`, and leaves the clock there. */
  runUntil(time: number): void {
    for (;;) {
      const next = this.heap[0]
      if (next === undefined || next.at > time) break
      // What was cancelled must not let the one behind it run before its time.
      if (next.action === null) this.pop()
      else this.step()
    }
    if (time > this.now) this.now = time
  }

  private pop(): Timer | undefined {
    const heap = this.heap
    const top = heap[0]
    const last = heap.pop()
    if (top === undefined || last === undefined || heap.length === 0) return top
    let index = 0
    for (;;) {
      let child = 2 * index + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && before(heap[child + 1] as Timer, heap[child] as Timer)) child++
      if (!before(heap[child] as Timer, last)) break
      heap[index] = heap[child] as Timer
      index = child
    }
    heap[index] = last
    return top
  }
}

function before(a: Timer, b: Timer): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order)
}
