/**
 * A cell: one complete EVS system, sans-IO. `api.ts` is the contract; `docs/protocol.md` the protocol.
 *
 * Inputs only mutate; `evaluate` decides what follows, in one pass.
 */

import { InvariantError } from '../lib/assert.ts'
import type { CellApi, CellEvent, CellLoad, CellOptions, Outgoing, PhaseName } from './api.ts'
import { sameConfiguration } from './configuration.ts'
import type { DataFrame, Frame, MembershipFrame, OrderingFrame } from './frames.ts'
import { discontent, gatherDeadline, gatherTurn, retarget } from './gather.ts'
import { checkInvariants } from './invariants.ts'
import {
  heartbeatTurn,
  leavingHeartbeat,
  onAnswer,
  onChallenge,
  onHeartbeat,
  sawConfiguration,
  tellPeerChanges,
} from './liveness.ts'
import { becomeGather, becomeLeft } from './phases.ts'
import {
  fetchProgress,
  groupOf,
  installBy,
  onForm,
  onInstall,
  onPlan,
  onRecovered,
  onRefuse,
  onState,
  recoverTurn,
} from './recover.ts'
import { CellState } from './state.ts'
import { bytesOf, type Stream } from './stream.ts'
import { findStalled, onFacts, plausibleTimestamp, trafficTurn, windowFull } from './traffic.ts'
import type { Configuration, MemberId, Segment } from './types.ts'

/** What the segments of one frame may count for: several times what a frame of any configuration carries. */
const mostFrameBytes = 4 * 1024 * 1024
/** Frames and segments of a stream that are held whatever the window. */
const leastPieces = 4096

export class Cell implements CellApi {
  /** For tests and the simulator's oracles; everybody else uses the methods. */
  readonly state: CellState
  private deadline: number

  constructor(options: CellOptions, now: number) {
    this.state = new CellState(options, now)
    this.deadline = now
  }

  get self(): MemberId {
    return this.state.self
  }

  get configuration(): Configuration {
    return this.state.ordering.configuration
  }

  get phase(): PhaseName {
    return this.state.phaseName
  }

  get room(): number {
    return this.state.leavingSince === null ? this.state.limits.queueBytes - this.state.submissions.bytes : 0
  }

  get nextDeadline(): number {
    return this.deadline
  }

  receive(from: MemberId, frame: Frame, now: number, relayed: boolean = false): void {
    const { state } = this
    if (state.phase.name === 'left' || from === state.self) return
    // What queued up while our own loop stalled speaks of attempts that are over: we distrust ourselves first.
    const stalled = now - state.lastTurnAt > state.timeouts.suspectAfterMs / 2
    if (!relayed) state.peers.alive(from, now)
    switch (frame.kind) {
      case 'data':
      case 'facts':
      case 'nak':
        this.receiveOrdering(from, frame, now)
        break
      case 'heartbeat':
        installBy(state, from, frame.configuration)
        onHeartbeat(state, from, frame, now)
        break
      case 'challenge':
        onChallenge(state, from, frame.nonce)
        break
      case 'answer':
        onAnswer(state, from, frame.nonce, now)
        break
      default:
        if (stalled) state.cover('stall distrusts itself')
        else this.receiveMembership(from, frame, now)
    }
  }

  peerConnected(): void {
    this.state.heartbeatDue = true
  }

  peerLost(member: MemberId, reason: 'refused', now: number): void {
    this.state.peers.lose(member, reason, now)
  }

  submit(segment: Segment, urgent = false): void {
    this.state.submissions.push(segment, urgent)
  }

  openGate(): void {
    this.state.gateOpen = true
  }

  holdCredit(held: boolean): void {
    const { ordering } = this.state
    if (held) ordering.heldCredit ??= ordering.own.credit
    else ordering.heldCredit = null
  }

  setConsumed(ts: number): void {
    const { ordering } = this.state
    if (ts > ordering.consumed) ordering.consumed = ts
  }

  get load(): CellLoad {
    const { ordering, submissions } = this.state
    let historyBytes = 0
    for (const stream of ordering.streams) historyBytes += stream.heldBytes
    return { queueBytes: submissions.bytes, windowBytes: ordering.window.bytes, historyBytes }
  }

  lastHeardAt(member: MemberId): number | null {
    return this.state.peers.get(member)?.lastHeardAt ?? null
  }

  leave(now: number): void {
    this.state.leavingSince ??= now
  }

  evaluate(now: number): void {
    const { state } = this
    if (state.phase.name === 'left') {
      this.deadline = Number.POSITIVE_INFINITY
      return
    }
    this.noticeStall(now)
    state.peers.tick(now)
    if (now >= state.lookAt) {
      state.lookAt = now + state.timeouts.heartbeatMs
      state.announcer.measure(now)
      findStalled(state, now)
    }
    this.membershipTurn(now)
    trafficTurn(state, now)
    this.leaveTurn(now)
    heartbeatTurn(state, now)
    tellPeerChanges(state)
    state.lastTurnAt = now
    this.deadline = this.findDeadline(now)
  }

  takeOutbox(): Outgoing[] {
    const { outbox } = this.state
    if (outbox.length > 0) this.state.outbox = []
    return outbox
  }

  takeEvents(): CellEvent[] {
    const { events } = this.state
    if (events.length > 0) this.state.events = []
    return events
  }

  invariants(): void {
    checkInvariants(this.state)
  }

  private receiveOrdering(from: MemberId, frame: OrderingFrame, now: number): void {
    const { state } = this
    installBy(state, from, frame.configuration)
    const { ordering } = state
    if (!sameConfiguration(frame.configuration, ordering.configuration.id)) {
      sawConfiguration(state, from, frame.configuration)
      return
    }
    const { members } = ordering.configuration
    if (frame.rank >= members.length || !members.includes(from)) return
    if (frame.kind === 'data') {
      if (frame.rank === ordering.rank || !this.mayCome(from, frame) || !this.fits(frame)) return
      if (!ordering.accept(frame)) return
      state.announcer.frameReceived(bytesOf(frame))
      fetchProgress(state, now)
    } else if (frame.kind === 'facts') onFacts(state, from, frame)
    else state.repair.owe(from, frame)
  }

  /** Of a stream its owner speaks, and in recovery whom the Plan names, as nobody else is asked: anyone else made it up. */
  private mayCome(from: MemberId, { rank }: DataFrame): boolean {
    const { ordering, phase } = this.state
    if (ordering.configuration.members[rank] === from) return true
    if (phase.name !== 'recover' || phase.plan === null) return false
    return groupOf(this.state, phase.plan)?.streams[rank]?.supplier === from
  }

  /**
   * Bounds on what a member that keeps to no window can make us hold, and on what its clock can do to ours. A frame that
   * does not fit counts as lost: asked for again once what is held became stable.
   */
  private fits(frame: DataFrame): boolean {
    const { ordering, limits, frozen, phase } = this.state
    if (!plausibleTimestamp(ordering, frame.ts) || bytesOf(frame) > mostFrameBytes) return false
    if (frozen && phase.name === 'recover' && phase.plan !== null) {
      // Nothing becomes stable any more, and recovery must not want for room; but it wants no more than the Plan.
      return frame.seq <= (groupOf(this.state, phase.plan)?.streams[frame.rank]?.upTo ?? 0)
    }
    const stream = ordering.streams[frame.rank] as Stream
    const windows = frame.seq === stream.contiguous + 1 ? 16 : 4
    const room = windows * (limits.windowBytes + limits.maxFrameBytes)
    // A segment counts for some bytes at any member that behaves: no window of its has more pieces than this.
    return stream.heldBytes <= room && stream.heldPieces <= Math.max(leastPieces, room / 16)
  }

  private receiveMembership(from: MemberId, frame: MembershipFrame, now: number): void {
    const { state } = this
    // Only those who answered our challenge may move us.
    if (!state.peers.get(from)?.answered) return
    state.sawEpoch(frame.configuration.epoch)
    switch (frame.kind) {
      case 'form':
        onForm(state, from, frame, now)
        break
      case 'refuse':
        onRefuse(state, from, frame, now)
        break
      case 'state':
        onState(state, from, frame, now)
        break
      case 'plan':
        onPlan(state, from, frame, now)
        break
      case 'recovered':
        onRecovered(state, from, frame, now)
        break
      case 'install':
        onInstall(state, from, frame)
        break
      default:
        throw new InvariantError('a frame of a known kind', frame satisfies never)
    }
  }

  private noticeStall(now: number): void {
    const { state } = this
    const gap = now - state.lastTurnAt
    if (gap <= state.timeouts.suspectAfterMs / 2) return
    state.cover('stall distrusts itself')
    state.peers.rearm(now)
    state.repair.rearm(now)
    state.owed = []
    const { phase } = state
    if (phase.name === 'gather' || phase.name === 'recover') phase.deadline += gap
  }

  private membershipTurn(now: number): void {
    const { state } = this
    retarget(state, now)
    const why = state.phase.name === 'operational' ? discontent(state) : null
    if (why !== null) becomeGather(state, why, now)
    if (state.phase.name === 'recover') recoverTurn(state, state.phase, now)
    retarget(state, now)
    if (state.phase.name === 'gather') gatherTurn(state, state.phase, now)
  }

  /** A graceful leave: once all that was accepted is stable, or after a bounded time. */
  private leaveTurn(now: number): void {
    const { state } = this
    if (state.leavingSince === null) return
    const { ordering, submissions } = state
    const settled =
      !state.frozen && submissions.empty && ordering.stable(ordering.received()) >= ordering.highestTs
    if (!settled && now < state.leavingSince + state.timeouts.suspectAfterMs) return
    // Twice: one may be lost, and silence costs the others a whole suspicion.
    state.send(null, 'control', leavingHeartbeat(state))
    state.send(null, 'control', leavingHeartbeat(state))
    becomeLeft(state, 'asked to leave')
  }

  private findDeadline(now: number): number {
    const { state } = this
    const { phase } = state
    let next = Math.min(state.heartbeatAt, state.peers.nextDeadline(), state.repair.nextDeadline())
    if (phase.name === 'gather') next = Math.min(next, gatherDeadline(state, phase, now))
    if (phase.name === 'recover') {
      next = Math.min(next, phase.deadline, phase.coordination?.retryAt ?? phase.retryAt)
    }
    if (state.leavingSince !== null) next = Math.min(next, state.leavingSince + state.timeouts.suspectAfterMs)
    if (!state.frozen) {
      next = Math.min(next, state.announcer.nextDeadline())
      if (state.submissions.ready(state.gateOpen) && !windowFull(state)) return now
    }
    if (state.repair.owing || state.heartbeatDue || state.targetVersion !== state.peers.version) return now
    return Math.max(next, now)
  }
}
