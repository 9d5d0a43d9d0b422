/** Gather: agreeing, by what everybody says of whom they hear, on the next members. Frozen or not. */

import { configurationId, digestMembers, sameMembers } from './configuration.ts'
import type { FormFrame } from './frames.ts'
import { cliqueOf } from './matrix.ts'
import { becomeOperational } from './phases.ts'
import { acceptForm } from './recover.ts'
import type { CellState, Phase } from './state.ts'
import type { MemberId } from './types.ts'

type Gathering = Extract<Phase, { name: 'gather' }>

/** Recomputes what we want to be, if the matrix changed. */
export function retarget(state: CellState, now: number): void {
  if (state.targetVersion === state.peers.version) return
  state.targetVersion = state.peers.version
  state.rowsUntil = now + state.timeouts.heartbeatMs * 3
  state.heartbeatDue = true
  const target = cliqueOf(state.peers.matrix, state.self, state.limits.maxMembers)
  if (target.length - 1 < state.peers.row.hears.length) state.cover('bridge')
  if (sameMembers(target, state.target)) return
  state.target = target
  state.targetDigest = digestMembers(target)
  const { phase } = state
  if (phase.name !== 'gather') return
  phase.targetAt = now
  const { gatherMs, heartbeatMs } = state.timeouts
  // Never at once: nobody can agree to a target before a heartbeat has told it.
  const least = now + heartbeatMs * 2
  phase.deadline = Math.max(least, Math.min(now + gatherMs, phase.since + gatherMs * 4))
}

/** Why the installed configuration cannot go on; null if it can. */
export function discontent(state: CellState): string | null {
  const { configuration } = state.ordering
  if (state.departed.size > 0) return `${[...state.departed].join(' ')} left the configuration`
  if (state.ordering.highestTs > state.maxTimestamp) return 'timestamps near their limit'
  if (!sameMembers(state.target, configuration.members)) return 'who hears whom has changed'
  return null
}

export function gatherTurn(state: CellState, phase: Gathering, now: number): void {
  if (!state.frozen && discontent(state) === null) {
    becomeOperational(state, 'everybody is back')
    return
  }
  const { target } = state
  if (target[0] === state.self) coordinateGather(state, phase, now)
  else if (now >= followerDeadline(state, phase)) {
    // The one who ought to form with us does not. Without the edge the next attempt differs from this one.
    const coordinator = target[0] as MemberId
    if (!busy(state, coordinator, phase, now)) state.peers.lose(coordinator, 'unresponsive', now)
    phase.deadline = now - patienceMs(state)
  }
}

function coordinateGather(state: CellState, phase: Gathering, now: number): void {
  const { target } = state
  const disagreeing = target.filter(member => member !== state.self && !agrees(state, member))
  if (disagreeing.length === 0) {
    const wait = settleMs(state)
    // To collect those who join is a kindness; patience with those whom we hear is a promise.
    const atOnce = wait <= state.timeouts.settleMs && state.buggify('settles at once')
    const settled = now >= phase.targetAt + wait || atOnce
    if (settled && now >= phase.notBefore) form(state, now)
  } else if (now >= coordinatorDeadline(state, phase)) {
    for (const member of disagreeing) {
      if (!busy(state, member, phase, now)) state.peers.lose(member, 'disagrees', now)
    }
    phase.deadline = now + state.timeouts.heartbeatMs - patienceMs(state)
  }
}

/**
 * How long the target must stand before it is formed. Who only shrinks need not wait; joins are collected. Leaving out
 * somebody whom one of us hears wants patience: others may be about to suspect the same member as we do (we by a refused
 * connection, they by silence), or to hear one who comes back, and until they do the matrix looks like a bridge with us
 * at its wrong end.
 */
function settleMs(state: CellState): number {
  const { target, timeouts, peers, ordering } = state
  const leavesOut = (member: MemberId): boolean => !target.includes(member)
  if (target.some(member => peers.matrix.get(member)?.hears.some(leavesOut))) {
    return patienceMs(state)
  }
  return target.every(member => ordering.configuration.members.includes(member)) ? 0 : timeouts.settleMs
}

/** Long enough for everyone else to suspect whom we suspect, and to tell. */
function patienceMs(state: CellState): number {
  return state.timeouts.suspectAfterMs + state.timeouts.heartbeatMs * 2
}

function agrees(state: CellState, member: MemberId): boolean {
  const last = state.peers.get(member)?.last
  return last?.phase === 'gather' && last.target === state.targetDigest
}

/** In an attempt of somebody else's, which ends within a bounded time. */
function busy(state: CellState, member: MemberId, phase: Gathering, now: number): boolean {
  const { gatherMs, recoverMs } = state.timeouts
  const last = state.peers.get(member)?.last
  return last?.phase === 'recover' && now < phase.targetAt + gatherMs + recoverMs * 3
}

function form(state: CellState, now: number): void {
  const epoch = Math.max(state.maxEpoch, state.ballot) + 1
  const configuration = configurationId(epoch, state.self, state.random.int(2 ** 32))
  const frame: FormFrame = { kind: 'form', configuration, members: state.target }
  acceptForm(state, frame, now)
}

/**
 * When those who want something else have had their time: not before one that is patient with us, as we with others, could
 * have come round. Edges lost any earlier make bridges, which want patience again, and so on without end.
 */
function coordinatorDeadline(state: CellState, phase: Gathering): number {
  return phase.deadline + patienceMs(state)
}

/** When the one who ought to form with us has had all the time it may take. */
function followerDeadline(state: CellState, phase: Gathering): number {
  return coordinatorDeadline(state, phase) + state.timeouts.gatherMs + state.timeouts.settleMs
}

/** When the gather phase next has something to decide. */
export function gatherDeadline(state: CellState, phase: Gathering, now: number): number {
  if (state.target[0] !== state.self) return followerDeadline(state, phase)
  const settled = Math.max(phase.notBefore, phase.targetAt + settleMs(state))
  const deadline = coordinatorDeadline(state, phase)
  if (settled <= now) return deadline
  // Past its deadline, with nobody who disagrees, the target only has to settle.
  return deadline <= now ? settled : Math.min(deadline, settled)
}
