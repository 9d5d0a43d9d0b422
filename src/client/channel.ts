/**
 * The contract of a channel: a reliable, ordered, duplex stream of bytes between a client and its daemon, with
 * back-pressure. Sockets, message ports and queues in memory implement it, for both ends.
 *
 * A channel starts paused: set the three callbacks, then `resume()`. What arrives before is kept.
 */
export interface Channel {
  /**
   * Queue slices to be sent, in order, in one go. They belong to the channel from then on and must not be changed.
   * After the channel closed they are dropped.
   */
  write(slices: readonly Uint8Array[]): void
  /** Bytes written but not yet taken by the operating system or the other end. */
  readonly pending: number
  readonly closed: boolean
  /** A chunk arrived. The receiver may keep it; nobody writes into it any more. */
  onData: (chunk: Uint8Array) => void
  /** Some of what was pending has been taken. */
  onDrain: () => void
  /** The last call, exactly once; `error` is null if either end closed in an orderly way. */
  onClose: (error: Error | null) => void
  /** Ask for no more `onData`; the other end then feels back-pressure. A chunk under way may still come. */
  pause(): void
  resume(): void
  /** Send what is pending, then close. */
  close(): void
  /** Close at once; what is pending is lost. */
  abort(): void
  /** Ask for an `onDrain` when something is taken, where telling it unasked would cost too much. */
  wantDrain?(): void
  /**
   * Memory of the channel's own to build the next bytes in, at least `bytes` long; null if there is none now. What is
   * written next must begin with it, and is then not copied.
   */
  reserve?(bytes: number): Uint8Array | null
  /** Run `task` at the end of the current turn of the event loop, after the input of this turn was read. */
  atTurnEnd(task: () => void): void
}

/** Opens a channel to the endpoint of a cell. Rejects with an `AnasaziError`. */
export type OpenChannel = (address: string) => Promise<Channel>

export function ignoreData(_chunk: Uint8Array): void {}

export function ignoreDrain(): void {}

export function ignoreClose(_error: Error | null): void {}
