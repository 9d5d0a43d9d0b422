/** The nouns of process groups: sessions, groups, views, fates; and the heads of the segments that carry them. */

import type { Configuration, ConfigurationId, MemberId, Place, Segment, Service } from '../core/types.ts'

/** A client session's identity: `name@daemon.number`, e.g. `alice@n1#5f3a….7`. Unique for ever: a reconnect is a new one. */
export type SessionId = string

/**
 * Same group and same view id ⇒ same ordered members. Made of a *scope* and an index: `scope/index`. The scope is the key
 * of the configuration; for views made in a transitional configuration `key~ranks`, where `ranks` is the transitional
 * set as a bitmap over the members of the configuration, in hex: two sides of a partition may have delivered different
 * joins after the cut, and count on independently. Index 0 is the view made by the exchange, 1, 2, 3 … (over all groups
 * of the cell) the ordered changes.
 */
export type ViewId = string

/** Everything of a session's or daemon's history up to timestamp `ts` of the configuration with this epoch. */
export interface Point {
  readonly epoch: number
  readonly ts: number
}

export type Cause = 'join' | 'leave' | 'disconnect' | 'network'

/** Where a message goes. */
export type Destination =
  | { readonly to: 'groups'; readonly groups: readonly string[] }
  | { readonly to: 'member'; readonly daemon: MemberId; readonly session: number }

/** Client messages, packed by the client library: one destination set, one service. */
export interface MessagesHead {
  readonly kind: 'messages'
  /** Number of the sending session at its daemon. */
  readonly session: number
  readonly destination: Destination
  readonly service: Service
  /** The sender does not want its own copy. */
  readonly selfDiscard: boolean
  /** A trace was asked for this segment. */
  readonly trace: boolean
  /** Session sequence of the first message; the others follow. */
  readonly firstSequence: number
  readonly count: number
}

/** The first ordered word of a session. */
export interface OpenHead {
  readonly kind: 'open'
  readonly session: number
  readonly name: string
}
export interface JoinHead {
  readonly kind: 'join'
  readonly session: number
  readonly group: string
}
export interface LeaveHead {
  readonly kind: 'leave'
  readonly session: number
  readonly group: string
}
/** The session is gone; leaves all its groups at once. */
export interface DisconnectHead {
  readonly kind: 'disconnect'
  readonly session: number
  readonly reason: 'closed' | 'lost' | 'evicted'
  /** Everything up to here was acknowledged by the session; beyond it nothing is known. */
  readonly acknowledged: Point
}

/** First segment of every daemon in a new configuration: opens the exchange. */
export interface DigestHead {
  readonly kind: 'digest'
  /** Key of the configuration whose exchange this belongs to; in any other it counts for nothing. */
  readonly configuration: string
  /** The last configuration whose exchange this daemon completed; null at boot. */
  readonly lastShown: ConfigurationId | null
  /** Who came along with it ever since: the chain of transitional configurations. Sorted, contains the daemon itself. */
  readonly along: readonly MemberId[]
  /** Counts changes of this daemon's local state: its open, join, leave and disconnect messages. 0: it is empty. */
  readonly version: number
  /** Members of the configuration that did not come along, whose local state is still known from earlier, in which version. */
  readonly remembered: readonly { readonly daemon: MemberId; readonly version: number }[]
}
/** One bounded part of a daemon's local state; sent only if the digests show that somebody lacks it. */
export interface StateHead {
  readonly kind: 'groupState'
  /** Key of the configuration whose exchange this belongs to. */
  readonly configuration: string
  /** False: everyone remembers the sessions and members; only the views of the groups are told. The same in all parts. */
  readonly full: boolean
  readonly sessions: readonly { readonly session: number; readonly name: string }[]
  /** Scopes of view ids (see {@link ViewId}) that `groups` refers to; up to about 400 bytes each. */
  readonly scopes: readonly string[]
  /** A group with many members may go on in the next part. */
  readonly groups: readonly GroupState[]
  readonly last: boolean
}
export interface GroupState {
  readonly group: string
  /** The view it has at the sender: index in `scopes` of this part, and the index within that scope. */
  readonly scope: number
  readonly index: number
  /** True: all members of that view are on daemons that came along with the sender. */
  readonly whole: boolean
  /** Members on the sending daemon; empty unless `full`. */
  readonly members: readonly { readonly session: number; readonly joined: JoinKey }[]
}

/** When a member joined; fixed for its membership, so that merged views keep one order. Compare epoch, then ts, rank, index. */
export type JoinKey = Place

export type SegmentHead =
  | MessagesHead
  | OpenHead
  | JoinHead
  | LeaveHead
  | DisconnectHead
  | DigestHead
  | StateHead

export type GroupSegment = Segment<SegmentHead>

/** One set of members that comes into a view together, with the view it comes from. */
export interface Origin {
  readonly view: ViewId
  readonly members: readonly SessionId[]
}

/** A change of a group's membership as it travels: a delta. `members` is materialised when asked for. */
export interface ViewChange {
  readonly group: string
  readonly view: ViewId
  readonly previous: ViewId | null
  readonly cause: Cause
  readonly joined: readonly SessionId[]
  readonly left: readonly SessionId[]
  /** For `network`: all the sets that came together. Otherwise empty: everybody comes from `previous`. */
  readonly origins: readonly Origin[]
  /** True: `joined` follow those who stay, in this order. False (a merge): take the order from `members()`. */
  readonly appended: boolean
  /** Members in join order; built when asked for, at any time. */
  members(): readonly SessionId[]
}

/** What became of a message. */
export interface Fate {
  /** The view it was delivered in; '' for a private message. */
  readonly view: ViewId
  readonly received: readonly SessionId[]
  readonly unknown: readonly SessionId[]
}

/** What the group layer tells the session server, in order. `sessions` are numbers of local sessions. */
export type GroupEvent =
  /** A regular configuration was installed; its exchange begins. */
  | { readonly type: 'configuration'; readonly configuration: Configuration }
  /** Its exchange is complete: the views that changed follow. */
  | { readonly type: 'shown'; readonly configuration: Configuration }
  /** The session is part of the order. */
  | { readonly type: 'opened'; readonly session: number }
  /** The view in which a local session joined (it is shown the whole list), or the next one of a group it is in. */
  | {
      readonly type: 'view'
      readonly sessions: readonly number[]
      readonly change: ViewChange
      /** Place of the join, leave or disconnect; null for `network`. */
      readonly place: Place | null
    }
  /** The view ends by a configuration change: if members were cut off, what follows may not reach them. At most once a view. */
  | {
      readonly type: 'transitional'
      readonly sessions: readonly number[]
      readonly group: string
      readonly view: ViewId
    }
  /** A local session left this group by its own wish; its last word on it. */
  | { readonly type: 'left'; readonly session: number; readonly group: string }
  /** A local session is gone from the order: its disconnect was delivered at `place`. */
  | { readonly type: 'closed'; readonly session: number; readonly place: Place }
  | MessagesEvent
  /** A daemon ordered something against the rules: it counts for nothing, here as everywhere. */
  | { readonly type: 'ignored'; readonly daemon: MemberId; readonly why: string }
  /** All deliveries up to here have been told. Said after them, once a turn at most. */
  | { readonly type: 'horizon'; readonly epoch: number; readonly ts: number }
  /** Messages up to and including this place have their fates settled. Monotone. */
  | { readonly type: 'settled'; readonly place: Place }

/** Local receivers of a segment, and why: `group` null for a private one. */
export interface Receivers {
  readonly group: string | null
  readonly view: ViewId | null
  readonly sessions: readonly number[]
}

export interface MessagesEvent {
  readonly type: 'messages'
  readonly sender: SessionId
  readonly head: MessagesHead
  readonly body: readonly Uint8Array[]
  readonly place: Place
  /** Each local receiver once, in the first destination group that it is a member of. */
  readonly receivers: readonly Receivers[]
  /** Local number of the sender if it is ours, whether it receives a copy or not; else 0. */
  readonly own: number
  /** For the sender's receipt: the view of each destination group that has members, in the order of the destination. */
  readonly views: readonly { readonly group: string; readonly view: ViewId }[]
}
