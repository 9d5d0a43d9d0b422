/** Heartbeats: life, facts, the matrix; and what a heartbeat proves about its sender. */

import { sameConfiguration } from './configuration.ts'
import type { HeartbeatFrame } from './frames.ts'
import type { CellState } from './state.ts'
import type { ConfigurationId, MemberId } from './types.ts'

export function onHeartbeat(state: CellState, from: MemberId, frame: HeartbeatFrame, now: number): void {
  const { peers } = state
  if (peers.isGone(from)) return
  beatAlong(state, now)
  const nonce = peers.heartbeat(from, frame, now)
  if (nonce !== null) state.send([from], 'control', { kind: 'challenge', nonce })
  if (peers.get(from)?.answered !== true) return
  state.sawEpoch(Math.max(frame.maxEpoch, frame.ballot, frame.configuration.epoch))
  if (frame.phase === 'leaving') {
    peers.lose(from, 'left', now)
    return
  }
  const { configuration } = state.ordering
  const rank = configuration.members.indexOf(from)
  if (rank < 0 || from === state.self) return
  if (sameConfiguration(frame.configuration, configuration.id)) {
    if (frame.facts !== null) state.ordering.streams[rank]?.learn(frame.facts, false)
    // Frozen, and a frozen configuration is never resumed: it has left, though it lives.
    if (frame.ballot > configuration.id.epoch) depart(state, from)
  } else {
    sawConfiguration(state, from, frame.configuration)
    if (missedInstall(configuration.id, frame)) depart(state, from)
  }
}

/** Its sender is in an older configuration than ours, and will never install ours: it gave that attempt up. */
function missedInstall(ours: ConfigurationId, { configuration, ballot, phase }: HeartbeatFrame): boolean {
  if (configuration.epoch >= ours.epoch) return false
  return ballot > ours.epoch || (ballot === ours.epoch && phase === 'gather')
}

/** An authentic frame of a member under a newer configuration proves that it left ours. */
export function sawConfiguration(state: CellState, from: MemberId, seen: ConfigurationId): void {
  const { id, members } = state.ordering.configuration
  if (seen.epoch > id.epoch && members.includes(from)) depart(state, from)
}

function depart(state: CellState, member: MemberId): void {
  if (state.departed.has(member)) return
  state.departed.add(member)
  if (!state.frozen) state.cover('proof that a member left')
}

export function onChallenge(state: CellState, from: MemberId, nonce: number): void {
  state.send([from], 'control', { kind: 'answer', nonce })
}

export function onAnswer(state: CellState, from: MemberId, nonce: number, now: number): void {
  if (state.peers.isGone(from)) return
  const answered = state.peers.get(from)?.answered
  state.peers.answer(from, nonce, now)
  if (!answered && state.peers.get(from)?.answered) state.cover('challenge answered')
}

/** What the peers' module decided: told to operators, and covered. */
export function tellPeerChanges(state: CellState): void {
  for (const { member, reason } of state.peers.takeLosses()) {
    if (reason === 'silent') state.cover('suspected silent')
    if (reason === 'refused') state.cover('suspected refused')
    if (reason === 'stalled') state.cover('suspected stalled')
    if (reason === 'left') state.cover('graceful leave')
    if (reason === 'restarted') state.cover('restart seen before suspicion')
    state.events.push({ type: 'suspect', member, reason })
  }
  for (const member of state.peers.takeAdmissions()) {
    if ((state.peers.get(member)?.losses ?? 0) > 0) state.cover('hold-down')
    state.events.push({ type: 'heard', member })
  }
}

/**
 * Whose heartbeat is not far off says it with the others'. So members fall into one beat, led by whoever is earliest, and wake once
 * for the heartbeats of all and not for each: the idle cost of a daemon hardly grows with their number.
 */
function beatAlong(state: CellState, now: number): void {
  if (now >= state.heartbeatSentAt + state.timeouts.heartbeatMs / 2) state.heartbeatDue = true
}

/** A frame of somebody's asks for our heartbeat: now, but no faster than we gather, however often it asks. */
export function tellSoon(state: CellState, now: number): void {
  if (now >= state.heartbeatSentAt + state.timeouts.heartbeatMs / 4) state.heartbeatDue = true
}

export function heartbeatTurn(state: CellState, now: number): void {
  if (!state.heartbeatDue && now < state.heartbeatAt) return
  const { ordering, timeouts, phase } = state
  if (!state.heartbeatDue && state.buggify('late heartbeat')) {
    state.heartbeatAt = now + timeouts.heartbeatMs
    return
  }
  state.heartbeatDue = false
  state.heartbeatSentAt = now
  // Membership is a conversation over a lossy wire: it is worth a few frames more while it lasts.
  state.heartbeatAt = now + (phase.name === 'operational' ? timeouts.heartbeatMs : timeouts.heartbeatMs / 4)
  if (phase.name === 'left') return
  if (!state.frozen) state.announcer.promise(ordering, now)
  const facts = state.frozen ? null : ordering.facts(ordering.received())
  const frame: HeartbeatFrame = {
    kind: 'heartbeat',
    configuration: ordering.configuration.id,
    ballot: state.ballot,
    maxEpoch: state.maxEpoch,
    phase: phase.name,
    target: state.targetDigest,
    matrix: state.peers.digest,
    rows: rowsWanted(state, now) ? [...state.peers.matrix.values()] : [],
    facts,
  }
  state.send(null, 'control', frame)
  if (facts !== null) state.announcer.sent(facts)
}

export function leavingHeartbeat(state: CellState): HeartbeatFrame {
  const { ordering, ballot, maxEpoch, targetDigest, peers } = state
  const configuration = ordering.configuration.id
  const { digest } = peers
  return {
    kind: 'heartbeat',
    configuration,
    ballot,
    maxEpoch,
    phase: 'leaving',
    target: targetDigest,
    matrix: digest,
    rows: [],
    facts: null,
  }
}

function rowsWanted(state: CellState, now: number): boolean {
  if (state.phase.name !== 'operational' || now < state.rowsUntil) return true
  for (const peer of state.peers.all()) {
    if (peer.answered && peer.last !== null && peer.last.matrix !== state.peers.digest) return true
  }
  return false
}
