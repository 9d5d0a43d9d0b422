/** The nouns of process groups: sessions, groups, views, fates; and the heads of the segments that carry them. */

import type { ConfigurationId, MemberId, Place, Segment, Service } from '../core/types.ts'

/** A client session's identity: `name@daemon.number`, e.g. `alice@n1#5f3a….7`. Unique for ever: a reconnect is a new one. */
export type SessionId = string

/** `configuration key/index`: same group and same view id ⇒ same ordered members. */
export type ViewId = string

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
  readonly acknowledged: { readonly epoch: number; readonly ts: number }
}

/** First segment of every daemon in a new configuration: opens the exchange. */
export interface DigestHead {
  readonly kind: 'digest'
  /** The last configuration whose exchange this daemon completed; null at boot. */
  readonly lastShown: ConfigurationId | null
  /** Who came along with it ever since: the chain of transitional configurations. Sorted, contains the daemon itself. */
  readonly along: readonly MemberId[]
  /** Counts changes of this daemon's local state. */
  readonly version: number
}
/** One bounded part of a daemon's local state; sent only if the digests show that somebody lacks it. */
export interface StateHead {
  readonly kind: 'groupState'
  readonly sessions: readonly { readonly session: number; readonly name: string }[]
  readonly groups: readonly {
    readonly group: string
    readonly view: ViewId
    readonly members: readonly { readonly session: number; readonly joined: JoinKey }[]
  }[]
  readonly last: boolean
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
  /** Members in join order (built on demand). */
  members(): readonly SessionId[]
}

/** What became of a message. */
export interface Fate {
  readonly view: ViewId
  readonly received: readonly SessionId[]
  readonly unknown: readonly SessionId[]
}

/** What the group layer tells the session server, in order. `sessions` are numbers of local sessions. */
export type GroupEvent =
  | { readonly type: 'opened'; readonly session: number }
  /** The view in which a local session joined (it is shown the whole list), or the next one of a group it is in. */
  | { readonly type: 'view'; readonly sessions: readonly number[]; readonly change: ViewChange; readonly place: Place | null }
  | { readonly type: 'transitional'; readonly sessions: readonly number[]; readonly group: string; readonly view: ViewId }
  /** A local session left this group by its own wish; its last word on it. */
  | { readonly type: 'left'; readonly session: number; readonly group: string }
  /** A local session is gone from the order (its disconnect was delivered). */
  | { readonly type: 'closed'; readonly session: number }
  | {
      readonly type: 'messages'
      readonly sender: SessionId
      readonly head: MessagesHead
      readonly body: readonly Uint8Array[]
      readonly place: Place
      /** Per group of the destination with local receivers, each local receiver once (in the first group it is a member of). `group` null: private. */
      readonly receivers: readonly { readonly group: string | null; readonly view: ViewId | null; readonly sessions: readonly number[] }[]
      /** Local number of the sender if it is ours, whether it receives a copy or not; else 0. Private or own: needs a receipt. */
      readonly own: number
      /** For the sender's receipt: the view of each destination group with members. */
      readonly views: readonly { readonly group: string; readonly view: ViewId }[]
    }
  /** Messages up to this place have their fates settled. */
  | { readonly type: 'settled'; readonly place: Place }
