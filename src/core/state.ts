/** The state of a cell, and the few ways to change what all its parts share. Phases are set only by `phases.ts`. */

import type { Buggify } from '../lib/buggify.ts'
import type { Sometimes } from '../lib/coverage.ts'
import { Random } from '../lib/prng.ts'
import { Announcer } from './announce.ts'
import type { CellEvent, CellLimits, CellOptions, CellTimeouts, Outgoing, PhaseName } from './api.ts'
import { aloneConfiguration } from './configuration.ts'
import type { FormFrame, Frame, Lane, PlanFrame, StateFrame } from './frames.ts'
import { Ordering } from './ordering.ts'
import { Peers } from './peers.ts'
import { Repair } from './repair.ts'
import { Submissions } from './submissions.ts'
import type { MemberId } from './types.ts'

/** For daemons on one LAN or host. Suspicion takes four lost heartbeats; stalls get nine times as long. */
export const defaultTimeouts: CellTimeouts = {
  heartbeatMs: 100,
  suspectAfterMs: 450,
  stalledAfterMs: 4000,
  settleMs: 20,
  gatherMs: 600,
  recoverMs: 1000,
  holdDownMs: 100,
  maxHoldDownMs: 5000,
  acknowledgeMs: 2,
  silentAfterMs: 5,
}

export const defaultLimits: CellLimits = {
  maxFrameBytes: 256 * 1024,
  maxFrameSegments: 4096,
  maxSegmentBytes: 32 * 1024 * 1024,
  windowBytes: 1024 * 1024,
  queueBytes: 4 * 1024 * 1024,
  maxMembers: 64,
  aggregateFrom: 13,
}

/** What the coordinator of an attempt collects. */
export interface Coordination {
  readonly states: Map<MemberId, StateFrame>
  readonly recovered: Set<MemberId>
  /** When Form, Plan or nothing more is repeated to those who owe an answer. */
  retryAt: number
}

export type Phase =
  /** Ordering in the installed configuration; content with its members. */
  | { readonly name: 'operational' }
  /** Agreeing on whom to be with. Unless frozen, still ordering. */
  | {
      readonly name: 'gather'
      readonly since: number
      /** Last change of what we want, which the coordinator lets settle. */
      targetAt: number
      /** No Form of ours before (jitter after a refusal). */
      readonly notBefore: number
      deadline: number
    }
  /** Frozen: a Form is accepted, and the only exit is an Install (of this attempt or a later one). */
  | {
      readonly name: 'recover'
      readonly form: FormFrame
      readonly coordination: Coordination | null
      plan: PlanFrame | null
      recovered: boolean
      /** Given up without progress by then. */
      deadline: number
      retryAt: number
    }
  | { readonly name: 'left' }

/** A fact below what it should be, and since when it has not moved. */
export interface Standstill {
  readonly fact: number
  readonly since: number
}

export class CellState {
  readonly self: MemberId
  readonly limits: CellLimits
  readonly timeouts: CellTimeouts
  readonly maxTimestamp: number
  /** Frames may be passed on by others: see `CellOptions`. */
  readonly relayed: boolean
  readonly random: Random
  readonly peers: Peers
  readonly submissions: Submissions = new Submissions()
  readonly cover: (mark: Sometimes) => void
  readonly buggify: Buggify

  phase: Phase = { name: 'operational' }
  ordering: Ordering
  announcer: Announcer
  repair: Repair
  /** A Form was accepted since the configuration was installed: no frame, no fact, no delivery until an Install. */
  frozen = false
  /** Epoch of the last Form accepted. */
  ballot: number
  /** Highest epoch seen anywhere. */
  maxEpoch: number
  /** Members of the configuration that proved to have left it. */
  readonly departed: Set<MemberId> = new Set()
  gateOpen = false
  /** Set when a graceful leave began. */
  leavingSince: number | null = null
  /** What we want to be: the clique of the matrix; kept with the version it was computed from. */
  target: readonly MemberId[]
  targetDigest = 0
  targetVersion = -1
  /** When to look at rates and at who makes no progress; heartbeats wake us often enough for it. */
  lookAt: number
  heartbeatAt: number
  heartbeatSentAt: number = Number.NEGATIVE_INFINITY
  /** A heartbeat is owed now, to everyone. */
  heartbeatDue = true
  /** Heartbeats carry rows until then. */
  rowsUntil = 0
  lastTurnAt: number
  deliveredTs = 0
  /** Sum of the `consumed` facts last told to the layer above. */
  consumedSum = 0
  /** By rank: what a member could tell, and does not. */
  owed: { clock: Standstill | null; received: Standstill | null }[] = []

  outbox: Outgoing[] = []
  events: CellEvent[] = []

  constructor(options: CellOptions, now: number) {
    this.self = options.self
    this.limits = { ...defaultLimits, ...options.limits }
    this.timeouts = { ...defaultTimeouts, ...options.timeouts }
    this.maxTimestamp = options.maxTimestamp ?? 2 ** 52
    this.relayed = options.relayed ?? false
    this.random = new Random(options.seed)
    this.cover = options.cover ?? (() => {})
    this.buggify = options.buggify ?? (() => false)
    this.peers = new Peers(options.self, this.timeouts, this.random.fork('peers'))
    const configuration = aloneConfiguration(options.self, 1, this.random.int(2 ** 32))
    this.ballot = 1
    this.maxEpoch = 1
    this.target = configuration.members
    this.ordering = new Ordering(configuration, options.self, this.limits.maxSegmentBytes)
    this.announcer = new Announcer(this.limits, this.timeouts, this.maxTimestamp)
    this.repair = new Repair(this.limits, this.timeouts)
    this.lookAt = now
    this.heartbeatAt = now
    this.lastTurnAt = now
    this.events.push({ type: 'regular', configuration, together: null })
  }

  send(to: readonly MemberId[] | null, lane: Lane, frame: Frame): void {
    this.outbox.push({ to, lane, frame })
  }

  /** To the members of the configuration but ourselves. */
  sendToMembers(lane: Lane, frame: Frame): void {
    const others = this.ordering.configuration.members.filter(member => member !== this.self)
    if (others.length > 0) this.send(others, lane, frame)
  }

  sawEpoch(epoch: number): void {
    if (epoch > this.maxEpoch) this.maxEpoch = Math.min(epoch, this.highestPlausibleEpoch)
  }

  /** Epochs grow by one an attempt. A leap towards the end of the numbers would leave no room for later attempts. */
  get highestPlausibleEpoch(): number {
    return Math.max(this.maxEpoch + 2 ** 20, 2 ** 52)
  }

  get phaseName(): PhaseName {
    return this.phase.name
  }
}
