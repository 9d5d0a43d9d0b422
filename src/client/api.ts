/** What applications use: sessions, groups, receipts. */

import type { ClientLimits, ClientPlace } from '../codec/client.ts'
import type { Service } from '../core/types.ts'
import type { SessionId, ViewId } from '../groups/types.ts'
import type { CallbackFailure } from '../lib/callbacks.ts'
import type { AnasaziError } from '../lib/errors.ts'
import type { ClientTraceLine } from '../lib/trace.ts'
import type { EventBatch } from './batch.ts'
import type { SessionEvent, ViewEvent, WarningEvent } from './events.ts'
import type { Position } from './position.ts'

/** Bytes, or a string that is sent as UTF-8. Copied before the call returns. */
export type MessageData = Uint8Array | string

export interface SendOptions {
  /** Delivery guarantee; the session's default is `agreed`. */
  readonly service?: Service
  /** True: this session does not get a copy of its own. */
  readonly selfDiscard?: boolean
}

/** What became of a message; the same at every member that asks. */
export interface MessageFate {
  /** View it was delivered in; '' for a private message. */
  readonly view: ViewId
  /** Members that had it delivered before they left. */
  readonly received: readonly SessionId[]
  /** Members that left without it being known. */
  readonly unknown: readonly SessionId[]
}

/** A message of this session was delivered in the order. */
export interface Receipt {
  readonly position: Position
  readonly sequence: number
  /** View of the (first) destination group; null if nobody was in it, and for a private message. */
  readonly view: ViewId | null
  /** View of every destination group that has members. */
  readonly views: readonly { readonly group: string; readonly view: ViewId }[]
  /**
   * Asked for when first read: who received it. For several groups all their members together. Rejects with
   * `connection-lost`, `closed` or `fate-expired`.
   */
  readonly settled: Promise<MessageFate>
}

/** Watermarks over the session's sequence: every message up to … Those of a lost connection are passed over. */
export interface Progress {
  /** Taken from the application. */
  readonly accepted: number
  /** Delivered in the order. */
  readonly delivered: number
  /** Their fates are settled. */
  readonly settled: number
}

/** An async iterator with one consumer. `return()`, and so `break`, gives the place free for another. */
export interface Batches extends AsyncIterableIterator<EventBatch> {}
export interface Events extends AsyncIterableIterator<SessionEvent> {}

export interface Group {
  readonly name: string
  readonly cell: string
  /** True once the session left it or ended. */
  readonly closed: boolean
  /** The last view that came in; iterators may still be behind it. */
  readonly view: ViewEvent
  /** Members of `view`. */
  readonly members: readonly SessionId[]
  /**
   * Events of this group, everything that accumulated at a time: the primitive. Ends after a leave or `close()`;
   * throws an `AnasaziError` when the session is lost.
   */
  batches(): Batches
  /** The same, one by one: convenient, and one turn of the promise machinery dearer for each message. */
  events(): Events
  /**
   * Resolves when the message is delivered in the order. Waits for room by itself; pipelining is fine.
   *
   * Rejects with `fate-unknown` if the daemon is lost before, `closed`, `too-large`.
   */
  send(data: MessageData, options?: SendOptions): Promise<Receipt>
  /**
   * Never blocks, no promise: the message's session sequence, or 0 if it was not accepted (then await `writable()`).
   *
   * @throws AnasaziError `closed`, `too-large`.
   */
  trySend(data: MessageData, options?: SendOptions): number
  /** Resolves once `trySend` accepts messages again. Rejects when the session ends. */
  writable(): Promise<void>
  /** Resolves when settled. Rejects with `bad-position`, `fate-expired`, `connection-lost`. */
  fate(position: Position): Promise<MessageFate>
  /** Resolves when the leave is ordered; nothing of the group is delivered after. */
  leave(): Promise<void>
}

export interface JoinOptions {
  /** Abort: the promise rejects with `aborted`, and a join under way is undone. */
  readonly signal?: AbortSignal
}

export interface Session {
  readonly name: string
  /** Id in the default cell; of `idIn(cell)` in another one. New after each reconnection. */
  readonly id: SessionId
  idIn(cell: string): SessionId | null
  /** Member id of the daemon. */
  readonly daemon: string
  readonly cluster: string
  readonly limits: ClientLimits
  readonly closed: boolean
  readonly progress: Progress
  /** Resolves with the view in `group.view`. Joining again gives the same group. */
  join(group: string, options?: JoinOptions): Promise<Group>
  /** Events of all groups and private messages: the one order of each cell. */
  batches(): Batches
  events(): Events
  /** To several groups of one cell: one message, one place in the order, each receiver once. */
  sendMany(groups: readonly string[], data: MessageData, options?: SendOptions): Promise<Receipt>
  /** As `Group.trySend`; also 0 while the cell of the groups is not connected yet. */
  trySendMany(groups: readonly string[], data: MessageData, options?: SendOptions): number
  /** To one member; `cell` is the default one unless said otherwise. */
  sendTo(member: SessionId, data: MessageData, options?: SendOptions & { cell?: string }): Promise<Receipt>
  trySendTo(member: SessionId, data: MessageData, options?: SendOptions & { cell?: string }): number
  writable(): Promise<void>
  /** Fate of a private message; for others see `Group.fate`. */
  fate(position: Position, cell?: string): Promise<MessageFate>
  /** Groups that have members in the cell. */
  groups(cell?: string): Promise<readonly GroupSummary[]>
  membersOf(group: string): Promise<readonly SessionId[]>
  /** The daemon's own description of its state. */
  status(cell?: string): Promise<unknown>
  /**
   * A handle for one more thread. From the first call on the session's own iterators belong to the threads: they see
   * everything that was kept and that comes, once every handle is attached. Groups are the session's: what one thread
   * joins or leaves, all do.
   */
  share(options?: ShareOptions): SharedHandle
  /** Orderly end: what was sent is ordered first; every iterator ends, every group is left. */
  close(): Promise<void>
}

export interface ShareOptions {
  /**
   * `all` (default): the thread sees every message. `divide`: each message goes to exactly one of the threads that
   * divide them; views and signals go to all.
   */
  readonly mode?: 'all' | 'divide'
  /**
   * What decides the thread when messages are divided: messages of one sender (default), or of one group, stay in
   * order on one thread. Same for all threads of a session; the first call decides.
   */
  readonly by?: 'sender' | 'group'
  /** Shared memory for each direction, bytes, a power of two; default 2 MiB. */
  readonly ringBytes?: number
}

/**
 * A thread's part of a session: post it to a worker, with `port` in the list of what is transferred, and `attach` it
 * there, once.
 */
export interface SharedHandle {
  readonly incoming: SharedArrayBuffer
  readonly outgoing: SharedArrayBuffer
  readonly port: TransferablePort
}

/** A `MessagePort`, whichever platform declares it. */
export interface TransferablePort {
  postMessage(value: unknown): void
  close(): void
}

export interface GroupSummary {
  readonly group: string
  readonly members: number
}

export interface SessionOptions {
  /** First part of the session's id, unique at its daemon; by default the daemon makes one up. */
  readonly name?: string
  /** Refuse to talk to a daemon of another cluster; default: any. */
  readonly cluster?: string
  /** Cell to connect to first; default: the daemon's default cell. */
  readonly cell?: string
  /** Default service of sends; default `agreed`. */
  readonly service?: Service
  /** Bytes that may be under way, accepted and not seen in the order, before `trySend` returns 0; default 4 MiB, and never more than the daemon allows. */
  readonly sendBufferBytes?: number
  /** Bytes of events that may wait in one iterator's queue before reading stops; default 16 MiB. */
  readonly queueBytes?: number
  /** After a loss connect again as a new member; default false. */
  readonly reconnect?: boolean
  /** Longest wait for a connection, and longest handshake; ms, default 10,000. */
  readonly handshakeTimeoutMs?: number
  /** Called for every line of this session's trace. */
  readonly trace?: (line: ClientTraceLine) => void
  /** Monotonic nanoseconds, for the trace. */
  readonly clock?: () => bigint
  /** Called for every warning, which is also an event. */
  readonly onWarning?: (warning: WarningEvent) => void
  /** Called once when the session ends: null after `close()`. */
  readonly onClose?: (error: AnasaziError | null) => void
  /**
   * Called with what one of the callbacks above threw, or rejected with, once for each distinct error; without it, the
   * error is printed. The session does not notice either way.
   */
  readonly onCallbackError?: (failure: CallbackFailure) => void
  /** Gives up connecting. */
  readonly signal?: AbortSignal
}

export type { ClientPlace, Position }
