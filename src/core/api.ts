/**
 * The contract between a cell and whoever drives it (the node runtime, the simulator, a test).
 *
 * Sans-IO. The host calls inputs (`receive`, `submit`, `peerLost` …), then `evaluate(now)` once per turn of its loop,
 * then drains `takeOutbox()` and `takeEvents()`, and calls `evaluate` again no later than `nextDeadline`.
 * No input calls back into the host, and nothing happens except inside a call.
 */

import type { Buggify } from '../lib/buggify.ts'
import type { Sometimes } from '../lib/coverage.ts'
import type { Frame, Lane } from './frames.ts'
import type { Configuration, MemberId, Place, Segment } from './types.ts'

export interface CellLimits {
  /** Payload bytes a data frame may carry; a larger segment is fragmented. */
  readonly maxFrameBytes: number
  /** Segments in one frame. */
  readonly maxFrameSegments: number
  /** Bytes of a whole segment, over all its fragments: the same at all members, as a larger one is delivered to none. */
  readonly maxSegmentBytes: number
  /** Bytes a member may have in flight that not everyone has given credit for. */
  readonly windowBytes: number
  /** Bytes that may wait for the window before `room` is 0. */
  readonly queueBytes: number
  /** Members in one configuration. */
  readonly maxMembers: number
  /** Members from which on announcements go through one of them. */
  readonly aggregateFrom: number
}

export interface CellTimeouts {
  readonly heartbeatMs: number
  readonly suspectAfterMs: number
  /** A member that owes us progress (of what it received) and makes none for this long is suspected. */
  readonly stalledAfterMs: number
  /** How long joins are collected before a configuration is formed. */
  readonly settleMs: number
  readonly gatherMs: number
  /** A recovery without progress for this long is given up. */
  readonly recoverMs: number
  /** First and longest hold-down before a lost peer is re-admitted; doubles with each loss. */
  readonly holdDownMs: number
  readonly maxHoldDownMs: number
  /** Delay of lazy acknowledgements, and after which a blocked member asks. */
  readonly acknowledgeMs: number
  /** Silence after which a member promises ahead. */
  readonly silentAfterMs: number
}

export interface CellOptions {
  readonly self: MemberId
  /** Seed of the cell's only source of randomness (nonces, jitter). */
  readonly seed: number
  readonly limits?: Partial<CellLimits>
  readonly timeouts?: Partial<CellTimeouts>
  /** Frames take several ways: passed on by others, or to all at once. They may come long after facts about them. */
  readonly relayed?: boolean
  /** Highest timestamp before a configuration is re-formed to restart its clocks; 2^52 unless a test lowers it. */
  readonly maxTimestamp?: number
  /** Told of rare situations as they happen, so that a simulation can show that it reached them. */
  readonly cover?: (mark: Sometimes) => void
  /** Asked whether to do something rare but correct. */
  readonly buggify?: Buggify
}

/** A frame to send, encoded once, to each of `to`; null: to everyone reachable, members or not. Never to ourselves. */
export interface Outgoing {
  readonly to: readonly MemberId[] | null
  readonly lane: Lane
  readonly frame: Frame
}

export type LossReason =
  | 'silent'
  | 'refused'
  | 'left'
  | 'stalled'
  | 'restarted'
  | 'unresponsive'
  | 'disagrees'

/** What a cell tells the layer above, in order. */
export type CellEvent =
  | {
      readonly type: 'regular'
      readonly configuration: Configuration
      /** The transitional set we came with; null for the first configuration of an incarnation. */
      readonly together: readonly MemberId[] | null
    }
  | {
      readonly type: 'transitional'
      /** The regular configuration that it closes. */
      readonly of: Configuration
      readonly members: readonly MemberId[]
      /** By rank in `of`: the highest `consumed` known to anyone who comes along; the same for all of them. */
      readonly consumed: readonly number[]
    }
  /** A whole segment, fragments joined. `sender` is the member whose stream it came in. */
  | {
      readonly type: 'deliver'
      readonly sender: MemberId
      readonly place: Place
      readonly segment: Segment
    }
  /** Everything with ts ≤ `ts` of the current configuration has been handed up (said when it advances, once a turn). */
  | { readonly type: 'delivered'; readonly ts: number }
  /** A segment of ours got its place in the order. */
  | { readonly type: 'originate'; readonly place: Place; readonly segment: Segment }
  /** `consumed` facts of members moved: by rank, the highest that is covered by what has been delivered. */
  | { readonly type: 'consumed'; readonly byRank: readonly number[] }
  /** Typed reasons, for operators. */
  | { readonly type: 'suspect'; readonly member: MemberId; readonly reason: LossReason }
  | { readonly type: 'heard'; readonly member: MemberId }
  | { readonly type: 'phase'; readonly phase: PhaseName; readonly why: string }

export type PhaseName = 'operational' | 'gather' | 'recover' | 'left'

/** How full a cell is. */
export interface CellLoad {
  /** Waits for its place in the order. */
  readonly queueBytes: number
  /** Our frames in flight without everyone's credit. */
  readonly windowBytes: number
  /** Frames kept for retransmission. */
  readonly historyBytes: number
}

/** What `Cell` in `cell.ts` implements. */
export interface CellApi {
  readonly self: MemberId
  readonly configuration: Configuration
  readonly phase: PhaseName
  /** Bytes that `submit` takes before the host should stop accepting from its clients; ≤ 0 is full. */
  readonly room: number
  readonly load: CellLoad
  /** When anything was last heard of a member; null if never. */
  lastHeardAt(member: MemberId): number | null
  /** When `evaluate` must next be called. */
  readonly nextDeadline: number
  /**
   * A decoded frame that `from` put on the wire.
   * @param relayed it came by a third member: no sign that we hear `from`.
   */
  receive(from: MemberId, frame: Frame, now: number, relayed?: boolean): void
  /** A path to some peer opened: it should hear of us at once, not at the next heartbeat. */
  peerConnected(): void
  /** The peer's process is known to have died: its kernel closed the connection and then refused a new one. */
  peerLost(member: MemberId, reason: 'refused', now: number): void
  /** Queue a segment. Client segments (`urgent` false) wait while the gate is closed; urgent ones go first. */
  submit(segment: Segment, urgent?: boolean): void
  /** Each installed configuration starts with the gate closed; the group layer opens it when its exchange is complete. */
  openGate(): void
  /** Local clients lag: hold our `credit` where it is. The host bounds how long. */
  holdCredit(held: boolean): void
  /** Every local session has acknowledged everything of this configuration with ts ≤ `ts`. */
  setConsumed(ts: number): void
  /** Leave gracefully: others re-form at once. Phase `left` follows. */
  leave(now: number): void
  evaluate(now: number): void
  takeOutbox(): Outgoing[]
  takeEvents(): CellEvent[]
  /** Throws, with evidence, if an internal invariant does not hold. */
  invariants(): void
}
