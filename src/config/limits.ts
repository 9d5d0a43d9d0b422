/**
 * Every limit and every timeout of a cell: its default, its bounds, its unit, and what it is for.
 * The schema, `docs/configuration.md` and the counters `cell.limits.*` are made from these tables.
 */

import type { CellLimits, CellTimeouts } from '../core/api.ts'
import { defaultLimits as coreLimits, defaultTimeouts as coreTimeouts } from '../core/state.ts'
import { defaultGroupLimits } from '../groups/limits.ts'
import type { GroupLimits } from '../groups/limits.ts'

/** Limits of the sessions of one daemon in one cell, beyond those of the group layer. */
export interface ClientLimits {
  /** What one client has not acknowledged, above which it is warned and the daemon holds back its credit. */
  readonly clientQueueBytes: number
  /** What one client may have sent that has no place in the order yet, before the daemon stops reading from it. */
  readonly clientIntakeBytes: number
  /** Connections that have not finished their handshake. */
  readonly handshakes: number
}

/** All limits of a cell, of every layer. How large a segment may be follows from `messageBytes`. */
export type NodeLimits = Omit<CellLimits, 'maxSegmentBytes'> & GroupLimits & ClientLimits
export type LimitName = keyof NodeLimits
export type TimeoutName = keyof CellTimeouts

/** A whole number in the configuration. */
export interface Quantity {
  readonly default: number
  readonly minimum: number
  readonly maximum: number
  readonly unit:
    | 'bytes'
    | 'ms'
    | 'segments'
    | 'members'
    | 'groups'
    | 'sessions'
    | 'connections'
    | 'views'
    | 'messages'
    | 'daemons'
  readonly help: string
}

const KiB = 1024
const MiB = 1024 * KiB

export const limitTable: { readonly [Name in LimitName]: Quantity } = {
  maxFrameBytes: {
    default: coreLimits.maxFrameBytes,
    minimum: 1 * KiB,
    maximum: 1 * MiB,
    unit: 'bytes',
    help: 'Payload of one frame between daemons; longer segments are fragmented.',
  },
  maxFrameSegments: {
    default: coreLimits.maxFrameSegments,
    minimum: 1,
    maximum: 65_535,
    unit: 'segments',
    help: 'Segments in one frame between daemons.',
  },
  windowBytes: {
    default: coreLimits.windowBytes,
    minimum: 64 * KiB,
    maximum: 1024 * MiB,
    unit: 'bytes',
    help: 'What a member may have in flight that not every member has given credit for.',
  },
  queueBytes: {
    default: coreLimits.queueBytes,
    minimum: 64 * KiB,
    maximum: 4096 * MiB,
    unit: 'bytes',
    help: 'What may wait for the window before it counts as a limit that was hit. Clients are bounded each by clientIntakeBytes.',
  },
  aggregateFrom: {
    default: coreLimits.aggregateFrom,
    minimum: 2,
    maximum: 1025,
    unit: 'members',
    help: 'Members from which on announcements go through one of them, a hop more and far fewer frames. The same at all members.',
  },
  maxMembers: {
    default: coreLimits.maxMembers,
    minimum: 1,
    maximum: 1024,
    unit: 'members',
    help: 'Daemons in one configuration.',
  },
  groupNameBytes: {
    default: defaultGroupLimits.groupNameBytes,
    minimum: 1,
    maximum: 255,
    unit: 'bytes',
    help: 'Length of a group name in UTF-8.',
  },
  groupsPerSession: {
    default: defaultGroupLimits.groupsPerSession,
    minimum: 1,
    maximum: 1_000_000,
    unit: 'groups',
    help: 'Groups that one session may be a member of at the same time.',
  },
  destinationGroups: {
    default: defaultGroupLimits.destinationGroups,
    minimum: 1,
    maximum: 1024,
    unit: 'groups',
    help: 'Groups in the destination of one message.',
  },
  sessions: {
    default: defaultGroupLimits.sessions,
    minimum: 1,
    maximum: 65_535,
    unit: 'sessions',
    help: 'Sessions at one daemon.',
  },
  messageBytes: {
    default: defaultGroupLimits.messageBytes,
    minimum: 1,
    maximum: 1024 * MiB,
    unit: 'bytes',
    help: 'Length of one message.',
  },
  sessionNameBytes: {
    default: defaultGroupLimits.sessionNameBytes,
    minimum: 1,
    maximum: 255,
    unit: 'bytes',
    help: "Length of a session's name in UTF-8.",
  },
  fateViews: {
    default: defaultGroupLimits.fateViews,
    minimum: 1,
    maximum: 65_536,
    unit: 'views',
    help: 'Past views of each group that are remembered, so that fates of messages in them can be asked for.',
  },
  fateViewsTotal: {
    default: defaultGroupLimits.fateViewsTotal,
    minimum: 1,
    maximum: 10_000_000,
    unit: 'views',
    help: 'Past views of all groups together that are remembered; the oldest go first.',
  },
  fatePrivate: {
    default: defaultGroupLimits.fatePrivate,
    minimum: 1,
    maximum: 10_000_000,
    unit: 'messages',
    help: 'Private messages whose fates can be asked for.',
  },
  statePartBytes: {
    default: defaultGroupLimits.statePartBytes,
    minimum: 4 * KiB,
    maximum: 1 * MiB,
    unit: 'bytes',
    help: 'Size of one part of the group state that is exchanged after a merge; less than a frame.',
  },
  rememberedDaemons: {
    default: defaultGroupLimits.rememberedDaemons,
    minimum: 0,
    maximum: 1024,
    unit: 'daemons',
    help: 'Lost daemons whose last state is kept, so that it need not be sent if they come back unchanged.',
  },
  clientQueueBytes: {
    default: 2 * MiB,
    minimum: 64 * KiB,
    maximum: 1024 * MiB,
    unit: 'bytes',
    help: 'What one client has not acknowledged, above which it is warned and the daemon holds back its credit.',
  },
  clientIntakeBytes: {
    default: 8 * MiB,
    minimum: 64 * KiB,
    maximum: 1024 * MiB,
    unit: 'bytes',
    help: 'What one client may have sent that has no place in the order yet, before its connection is not read.',
  },
  handshakes: {
    // All clients of a daemon that comes back connect to it at once.
    default: defaultGroupLimits.sessions,
    minimum: 1,
    maximum: 65_535,
    unit: 'connections',
    help: 'Connections that have not finished their handshake.',
  },
}

export const timeoutTable: { readonly [Name in TimeoutName]: Quantity } = {
  heartbeatMs: {
    default: coreTimeouts.heartbeatMs,
    minimum: 5,
    maximum: 60_000,
    unit: 'ms',
    help: 'Interval of heartbeats.',
  },
  suspectAfterMs: {
    default: coreTimeouts.suspectAfterMs,
    minimum: 20,
    maximum: 600_000,
    unit: 'ms',
    help: 'Silence after which a member is suspected; at least three heartbeats.',
  },
  stalledAfterMs: {
    default: coreTimeouts.stalledAfterMs,
    minimum: 100,
    maximum: 600_000,
    unit: 'ms',
    help: 'A member that must make progress with what it received, and makes none for so long, is suspected.',
  },
  settleMs: {
    default: coreTimeouts.settleMs,
    minimum: 0,
    maximum: 60_000,
    unit: 'ms',
    help: 'How long joins are collected before a configuration is formed.',
  },
  gatherMs: {
    default: coreTimeouts.gatherMs,
    minimum: 10,
    maximum: 600_000,
    unit: 'ms',
    help: 'How long a gathering may go without agreement before it goes on without those who do not agree.',
  },
  recoverMs: {
    default: coreTimeouts.recoverMs,
    minimum: 20,
    maximum: 600_000,
    unit: 'ms',
    help: 'A recovery without progress for so long is given up.',
  },
  holdDownMs: {
    default: coreTimeouts.holdDownMs,
    minimum: 0,
    maximum: 600_000,
    unit: 'ms',
    help: 'Wait before a lost peer is admitted again; doubles with each loss.',
  },
  maxHoldDownMs: {
    default: coreTimeouts.maxHoldDownMs,
    minimum: 0,
    maximum: 3_600_000,
    unit: 'ms',
    help: 'The longest such wait.',
  },
  acknowledgeMs: {
    default: coreTimeouts.acknowledgeMs,
    minimum: 1,
    maximum: 10_000,
    unit: 'ms',
    help: 'Delay of acknowledgements that nobody waits for, and after which a blocked member asks.',
  },
  silentAfterMs: {
    default: coreTimeouts.silentAfterMs,
    minimum: 1,
    maximum: 10_000,
    unit: 'ms',
    help: 'Silence after which a member promises timestamps ahead, so that nobody waits for it.',
  },
}

export const limitNames: readonly LimitName[] = Object.keys(limitTable) as LimitName[]
export const timeoutNames: readonly TimeoutName[] = Object.keys(timeoutTable) as TimeoutName[]

export function defaultLimits(): NodeLimits {
  return defaultsOf(limitTable)
}

export function defaultTimeouts(): CellTimeouts {
  return defaultsOf(timeoutTable)
}

function defaultsOf<Name extends string>(table: { readonly [N in Name]: Quantity }): { [N in Name]: number } {
  const entries = Object.entries<Quantity>(table).map(([name, quantity]) => [name, quantity.default])
  return Object.fromEntries(entries) as { [N in Name]: number }
}
