/**
 * The frames of the client protocol, both directions, as plain data. `docs/client-protocol.md` describes the bytes.
 *
 * A *segment* (client → daemon) and *messages* (daemon → client) carry a payload that is a run of
 * `[u32 LE length][bytes]` messages; a daemon never looks into it.
 */

import type { Service } from '../core/types.ts'
import type { Cause, SessionId, ViewId } from '../groups/types.ts'

/** `ANCL`, the first four bytes of a hello's body. */
export const CLIENT_MAGIC = 0x4c434e41

/** Lowest and highest version of the client protocol that this code speaks. */
export const CLIENT_PROTOCOL_LOWEST = 1
export const CLIENT_PROTOCOL_HIGHEST = 1

/**
 * Feature bit: the other side is no daemon but a session that is shared between threads. Every own segment is reported
 * by `own` and only by it (sequences are each thread's own), fates are answered once they are settled, and `joined`
 * and `left` with request 0 tell what other threads did.
 */
export const SHARED_SESSION_FEATURE = 1

/** A place in the order of one cell: (epoch, ts, rank of the sender, segment in its frame). */
export interface ClientPlace {
  readonly epoch: number
  readonly ts: number
  readonly rank: number
  readonly index: number
}

export interface HelloFrame {
  readonly kind: 'hello'
  readonly lowest: number
  readonly highest: number
  /** Feature bits that the client understands. */
  readonly features: number
  /** Cluster that the client wants; '' accepts any. */
  readonly cluster: string
  /** Authentication method; 'none' so far. */
  readonly auth: string
  /** Cell of this channel; '' is the daemon's default cell. */
  readonly cell: string
  /** Name of the session, the first part of its id. */
  readonly name: string
  /** Ask for the trace flag on all segments of this session. */
  readonly trace: boolean
}

export interface JoinFrame {
  readonly kind: 'join'
  readonly request: number
  readonly group: string
}

export interface LeaveFrame {
  readonly kind: 'leave'
  readonly request: number
  readonly group: string
}

export type SegmentDestination =
  | { readonly to: 'groups'; readonly groups: readonly string[] }
  | { readonly to: 'member'; readonly member: SessionId }

/** A packed run of messages: one destination set, one service. */
export interface SegmentFrame {
  readonly kind: 'segment'
  readonly destination: SegmentDestination
  readonly service: Service
  readonly selfDiscard: boolean
  readonly trace: boolean
  /** Session sequence of the first message, 1 or more; the others follow without a gap. Grows from segment to segment. */
  readonly firstSequence: number
  readonly count: number
  /** The payload as slices of the chunks it was read in; never joined. */
  readonly body: readonly Uint8Array[]
  /** Sum of the lengths of `body`. */
  readonly bytes: number
}

/** "I have read this many bytes of what you sent after the welcome." */
export interface AcknowledgeFrame {
  readonly kind: 'acknowledge'
  readonly bytes: number
}

/** Which members received the message at this place? `group` '' for a private message. */
export interface FateFrame {
  readonly kind: 'fate'
  readonly request: number
  readonly group: string
  readonly place: ClientPlace
}

export type QuerySubject = 'groups' | 'members' | 'status'

export interface QueryFrame {
  readonly kind: 'query'
  readonly request: number
  readonly what: QuerySubject
  /** '' where the subject needs none. */
  readonly group: string
}

/** Orderly end: what was sent before is ordered before the disconnect. Answered with `closing`. */
export interface CloseFrame {
  readonly kind: 'close'
}

/** Client → daemon. */
export type ClientFrame =
  | HelloFrame
  | JoinFrame
  | LeaveFrame
  | SegmentFrame
  | AcknowledgeFrame
  | FateFrame
  | QueryFrame
  | CloseFrame

/** Limits that the daemon enforces and the library checks first. */
export interface ClientLimits {
  /** Longest message, bytes. */
  readonly maxMessageBytes: number
  /** Longest group name, bytes of UTF-8. */
  readonly maxGroupNameBytes: number
  /** Groups that one session may be a member of at the same time. */
  readonly maxGroupsPerSession: number
  /** Groups in the destination of one message. */
  readonly maxDestinationGroups: number
  /** Bytes of segments that a client may have sent and not yet seen in the order: so the daemon need never stop reading. */
  readonly maxInFlightBytes: number
}

/** A cell of the daemon's node: which groups it orders and where its clients connect. */
export interface CellDescription {
  readonly name: string
  /** Group-name patterns (`lib/cells.ts`). */
  readonly patterns: readonly string[]
  /** Client addresses, `unix:/path` or `tcp://host:port`, the preferred one first. */
  readonly endpoints: readonly string[]
}

export interface WelcomeFrame {
  readonly kind: 'welcome'
  readonly version: number
  readonly features: number
  /** Number of the session at its daemon. */
  readonly number: number
  readonly session: SessionId
  /** The daemon's member id. */
  readonly daemon: string
  readonly cluster: string
  /** Cell that this channel belongs to. */
  readonly cell: string
  readonly limits: ClientLimits
  /** All cells of the node, the default one first. */
  readonly cells: readonly CellDescription[]
}

/** The handshake failed; the daemon closes the channel after it. */
export interface RefusedFrame {
  readonly kind: 'refused'
  readonly code: string
  readonly words: string
}

/** The join was ordered. Comes before the view that contains the session; binds the number until `left`. */
export interface JoinedFrame {
  readonly kind: 'joined'
  readonly request: number
  /** Number of the group at this daemon, 1 or more. */
  readonly groupId: number
  readonly group: string
}

/** The session's last word on this group: its leave was ordered. */
export interface LeftFrame {
  readonly kind: 'left'
  readonly request: number
  readonly groupId: number
}

export interface ViewOrigin {
  /** The view this set comes from; null if it had none. */
  readonly view: ViewId | null
  readonly members: readonly SessionId[]
}

/** A new view of a group, as a delta against the one before, or, if `full`, with all members in `joined`. */
export interface ViewFrame {
  readonly kind: 'view'
  readonly groupId: number
  readonly full: boolean
  readonly view: ViewId
  readonly previous: ViewId | null
  readonly cause: Cause
  /**
   * `full`: all members, in the view's order. Otherwise the new ones, which follow the staying ones in this order.
   * (A change that reorders the staying members must be sent `full`.)
   */
  readonly joined: readonly SessionId[]
  readonly left: readonly SessionId[]
  readonly origins: readonly ViewOrigin[]
  /** Place in the order of what caused it; null if a configuration change did. */
  readonly place: ClientPlace | null
}

/** A network-caused view of the group follows: what comes before it is delivered in the transitional configuration. */
export interface TransitionalFrame {
  readonly kind: 'transitional'
  readonly groupId: number
  /** The view that is ending. */
  readonly view: ViewId
}

/** From now on `ref` in `messages` means this sender. A number may be given anew later. */
export interface DefineFrame {
  readonly kind: 'define'
  readonly ref: number
  readonly sender: SessionId
}

/** A segment, in its order. The header depends on no receiver, so a daemon encodes it once for all of them. */
export interface MessagesFrame {
  readonly kind: 'messages'
  /** 0: private. Otherwise the receiver is a member of this group. */
  readonly groupId: number
  readonly sender: number
  readonly place: ClientPlace
  readonly firstSequence: number
  readonly count: number
  readonly service: Service
  readonly selfDiscard: boolean
  readonly trace: boolean
  /** The payload as slices of the chunks it was read in. */
  readonly body: readonly Uint8Array[]
  readonly bytes: number
}

/**
 * A segment of this session got its place and reached the point in the order where it is delivered. Sent, after
 * the copy if there is one, for every segment whose copy does not tell the sender everything: no copy comes back
 * (self-discard, not a member, private), or the destination is not exactly one group.
 */
export interface OwnFrame {
  readonly kind: 'own'
  readonly firstSequence: number
  readonly count: number
  readonly place: ClientPlace
  /** The view of each destination group that has members, in the order of the destination; empty for a private one. */
  readonly views: readonly { readonly group: string; readonly view: ViewId }[]
}

/** Messages up to and including this place have their fates settled. Monotone. */
export interface SettledFrame {
  readonly kind: 'settled'
  readonly place: ClientPlace
}

/** `settled` false: not yet; ask again after the next `settled` frame. */
export interface FateAnswerFrame {
  readonly kind: 'fateAnswer'
  readonly request: number
  readonly settled: boolean
  readonly view: ViewId
  readonly received: readonly SessionId[]
  readonly unknown: readonly SessionId[]
}

export interface AnswerFrame {
  readonly kind: 'answer'
  readonly request: number
  readonly json: string
}

/** The request failed; `code` is one of `lib/errors.ts`. */
export interface ErrorFrame {
  readonly kind: 'error'
  readonly request: number
  readonly code: string
  readonly message: string
  readonly retryable: boolean
}

export interface WarningFrame {
  readonly kind: 'warning'
  readonly code: string
  readonly message: string
}

/** The last frame: the daemon ends the session. `code` 'closed' answers a `close`. */
export interface ClosingFrame {
  readonly kind: 'closing'
  readonly code: string
  readonly words: string
}

/** Daemon → client. */
export type DaemonFrame =
  | WelcomeFrame
  | RefusedFrame
  | JoinedFrame
  | LeftFrame
  | ViewFrame
  | TransitionalFrame
  | DefineFrame
  | MessagesFrame
  | OwnFrame
  | SettledFrame
  | FateAnswerFrame
  | AnswerFrame
  | ErrorFrame
  | WarningFrame
  | ClosingFrame

/** Bounds of single fields, bytes or elements; beyond them a frame is malformed. */
export const FIELD_LIMITS = {
  /** Session, view and member ids; session names, cluster and cell names, addresses, patterns. */
  identifierBytes: 2048,
  groupNameBytes: 255,
  codeBytes: 64,
  wordsBytes: 8192,
  members: 1_000_000,
  destinationGroups: 1024,
  cells: 1024,
  jsonBytes: 67_108_864,
} as const

/** Every frame starts with u32 length, u8 kind; frames with a payload go on with u16 length of their header. */
export const FRAME_PREFIX_BYTES = 5
export const BULK_PREFIX_BYTES = 7
/** Header of a `messages` frame without the prefix. */
export const MESSAGES_HEADER_BYTES = 45
/** Prefix and header of a `messages` frame: what its payload is preceded by. */
export const MESSAGES_HEAD_BYTES: number = BULK_PREFIX_BYTES + MESSAGES_HEADER_BYTES

export const CLIENT_KINDS = {
  hello: 1,
  join: 2,
  leave: 3,
  segment: 4,
  acknowledge: 5,
  fate: 6,
  query: 7,
  close: 8,
} as const

export const DAEMON_KINDS = {
  welcome: 65,
  refused: 66,
  joined: 67,
  left: 68,
  view: 69,
  transitional: 70,
  define: 71,
  messages: 72,
  own: 73,
  settled: 74,
  fateAnswer: 75,
  answer: 76,
  error: 77,
  warning: 78,
  closing: 79,
} as const

/** Position of a service in this list is its code on the wire. */
export const SERVICES: readonly Service[] = ['fifo', 'causal', 'agreed', 'safe']
export const CAUSES: readonly Cause[] = ['join', 'leave', 'disconnect', 'network']
export const QUERY_SUBJECTS: readonly QuerySubject[] = ['groups', 'members', 'status']
