/** Calls what an application gave us: what it throws ends here, and nobody else notices. */

/** Different errors that are told apart; whoever throws more of them is told once for all the rest. */
const mostKnown = 64

/** An error that a callback threw, or rejected with. */
export interface CallbackFailure {
  /** Which callback: the name of the option or method by which it came to us. */
  readonly callback: string
  readonly error: unknown
  /** The error in words. */
  readonly words: string
}

export class Callbacks {
  private readonly report: (failure: CallbackFailure) => void
  private readonly known = new Set<string>()
  private reporting = false

  /** @param report told once of each distinct error of each callback. What it throws is dropped. */
  constructor(report: (failure: CallbackFailure) => void) {
    this.report = report
  }

  /** Calls `run`, which calls the callback. A promise that it returns may reject: that is the same. */
  call(callback: string, run: () => unknown): void {
    try {
      const result = run()
      if (result instanceof Promise) result.catch((error: unknown) => this.failed(callback, error))
    } catch (error) {
      this.failed(callback, error)
    }
  }

  /** For callbacks that are called elsewhere. */
  failed(callback: string, error: unknown): void {
    const words = wordsOf(error)
    const identity = this.known.size < mostKnown ? `${callback} ${words}` : 'more'
    // Whoever is told by a callback that fails again would be told of that, and so on.
    if (this.reporting || this.known.has(identity)) return
    this.known.add(identity)
    this.reporting = true
    try {
      this.report({ callback, error, words })
    } catch {
      // There is nobody left to tell.
    } finally {
      this.reporting = false
    }
  }
}

/** Anything can be thrown, even what has no words. */
function wordsOf(error: unknown): string {
  try {
    return (error instanceof Error ? `${error.name}: ${error.message}` : String(error)).slice(0, 200)
  } catch {
    return 'something that cannot be told'
  }
}
