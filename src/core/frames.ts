/** Everything one member says to another. Plain data: `codec/` turns it into bytes and back. */

import type { ConfigurationId, Facts, MemberId, Segment } from './types.ts'

/** A batch of segments of one stream, with its place in the order. */
export interface DataFrame {
  readonly kind: 'data'
  readonly configuration: ConfigurationId
  /** Rank of the member whose stream this is (in recovery, who has it may send it again). */
  readonly rank: number
  /** 1, 2, 3 … in the stream. */
  readonly seq: number
  /** Lamport timestamp; with `rank` it is the frame's place in the total order. */
  readonly ts: number
  /** The facts of member `rank` when the frame was first sent; `facts.clock ≥ ts`, `facts.seq = seq`. */
  readonly facts: Facts
  readonly segments: readonly Segment[]
}

/** Facts alone: an announcement. */
export interface FactsFrame {
  readonly kind: 'facts'
  readonly configuration: ConfigurationId
  readonly rank: number
  readonly facts: Facts
  /** `answer`: "I am blocked on you; tell me yours." `relay`: "I told nobody else; tell the others." */
  readonly wants: 'nothing' | 'answer' | 'relay'
  /** Facts of others, passed on. */
  readonly others: readonly RankedFacts[]
}

export interface RankedFacts {
  readonly rank: number
  readonly facts: Facts
}

/** "I lack frames `from`…`to` (inclusive) of stream `rank`." Answered with `data` frames. */
export interface NakFrame {
  readonly kind: 'nak'
  readonly configuration: ConfigurationId
  readonly rank: number
  readonly from: number
  readonly to: number
}

/** One member's word on whom it hears; only that member writes it, anyone may pass it on. */
export interface Row {
  readonly member: MemberId
  /** Increases with every change of `hears`. */
  readonly version: number
  /** Sorted; never contains `member` itself. */
  readonly hears: readonly MemberId[]
}

/** The liveness message, to members and strangers alike. */
export interface HeartbeatFrame {
  readonly kind: 'heartbeat'
  /** The sender's installed configuration. */
  readonly configuration: ConfigurationId
  /** Epoch of the last Form the sender accepted. Above `configuration.epoch`: it is frozen and will never resume. */
  readonly ballot: number
  /** Highest epoch the sender has seen anywhere. */
  readonly maxEpoch: number
  readonly phase: 'operational' | 'gather' | 'recover' | 'leaving'
  /** Digest of the member list the sender wants next; two gathering members agree when these are equal. */
  readonly target: number
  /** Digest of all rows the sender knows. */
  readonly matrix: number
  /** The rows, when the receiver may lack some; otherwise empty. */
  readonly rows: readonly Row[]
  /** The sender's facts in `configuration`; null once it is frozen. */
  readonly facts: Facts | null
}

/** Asked of a member not heard before; nothing it says counts until it answered (a replay cannot). */
export interface ChallengeFrame {
  readonly kind: 'challenge'
  readonly nonce: number
}
export interface AnswerFrame {
  readonly kind: 'answer'
  readonly nonce: number
}

/** Coordinator → members: "form this configuration with me". Accepting it freezes the old one for good. */
export interface FormFrame {
  readonly kind: 'form'
  readonly configuration: ConfigurationId
  readonly members: readonly MemberId[]
}

/** Answer to a Form (or to a stale State) that cannot be accepted. */
export interface RefuseFrame {
  readonly kind: 'refuse'
  readonly configuration: ConfigurationId
  /** Highest epoch the refusing member has accepted or seen: the next attempt must exceed it. */
  readonly epoch: number
  readonly why: 'epoch' | 'deaf'
}

/** A clock as a fact: "frames with ts ≤ clock have seq ≤ seq". */
export interface ClockPair {
  readonly clock: number
  readonly seq: number
}

/** What a frozen member knows of one stream of its old configuration. */
export interface StreamState {
  /** Held without a gap up to here. */
  readonly contiguous: number
  /** Best pair that counts (its seq ≤ contiguous). */
  readonly counted: ClockPair
  /** Newest pair heard, whether it counts or not. */
  readonly newest: ClockPair
  /** Highest `received` heard from this member. */
  readonly received: number
  /** Highest `consumed` of this member that the sender has used. */
  readonly consumed: number
  /** An earlier Plan, merged before a Recovered, made this clock ∞: an obligation. */
  readonly infinite: boolean
}

/** Participant → coordinator. */
export interface StateFrame {
  readonly kind: 'state'
  /** The attempt. */
  readonly configuration: ConfigurationId
  readonly old: ConfigurationId
  readonly oldMembers: readonly MemberId[]
  /** By rank in the old configuration. */
  readonly streams: readonly StreamState[]
}

/** Decisions for one stream of an old configuration. `clock` is Infinity for an obligation. */
export interface StreamPlan {
  /** U: the longest prefix held by anyone in T; all of T fetch it. */
  readonly upTo: number
  /** K: the highest clock that counts with that prefix; Infinity if the member froze and told its last frame. */
  readonly clock: number
  /** R: the highest `received` known, what became safe before the freeze; Infinity for those who come along. */
  readonly received: number
  readonly consumed: number
  /** A member that holds the prefix whole; asked for retransmissions. */
  readonly supplier: MemberId
}

export interface GroupPlan {
  readonly old: ConfigurationId
  readonly oldMembers: readonly MemberId[]
  /** T: those of `oldMembers` who move to the new configuration together; the transitional configuration. */
  readonly together: readonly MemberId[]
  /** By rank in the old configuration. */
  readonly streams: readonly StreamPlan[]
}

/** Coordinator → members, one per Form: what becomes of each old configuration. */
export interface PlanFrame {
  readonly kind: 'plan'
  readonly configuration: ConfigurationId
  readonly members: readonly MemberId[]
  readonly groups: readonly GroupPlan[]
}

/** Participant → coordinator: "I hold all the Plan asks of me, and what I learned I shall not forget." */
export interface RecoveredFrame {
  readonly kind: 'recovered'
  readonly configuration: ConfigurationId
}

/** Coordinator → members: every member has recovered; install. */
export interface InstallFrame {
  readonly kind: 'install'
  readonly configuration: ConfigurationId
}

export type MembershipFrame = FormFrame | RefuseFrame | StateFrame | PlanFrame | RecoveredFrame | InstallFrame

export type LivenessFrame = HeartbeatFrame | ChallengeFrame | AnswerFrame

export type OrderingFrame = DataFrame | FactsFrame | NakFrame

export type Frame = OrderingFrame | LivenessFrame | MembershipFrame

/** The liveness lane never waits behind the data lane. */
export type Lane = 'control' | 'data'
