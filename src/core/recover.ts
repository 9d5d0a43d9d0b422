/**
 * Recover: Form → State → Plan → Recovered → Install. `docs/protocol.md` gives the rules and what breaks without each.
 *
 * From an accepted Form on a member is frozen in its old configuration for good; only the last accepted Form's Plan and
 * Install count; nothing merged before a Recovered is ever undone.
 */

import { isSorted, sameConfiguration, sameMembers } from './configuration.ts'
import type {
  FormFrame,
  GroupPlan,
  InstallFrame,
  PlanFrame,
  RecoveredFrame,
  RefuseFrame,
  StateFrame,
  StreamState,
} from './frames.ts'
import { install } from './install.ts'
import { tellSoon } from './liveness.ts'
import { isClique } from './matrix.ts'
import { becomeGather, becomeRecover } from './phases.ts'
import { Disagreement, makePlan } from './plan.ts'
import type { Stream } from './stream.ts'
import type { CellState, Coordination, Phase } from './state.ts'
import type { ConfigurationId, MemberId } from './types.ts'

type Recovering = Extract<Phase, { name: 'recover' }>

export function coordinatorOf(phase: Recovering): MemberId {
  return phase.form.configuration.coordinator
}

/** Enters an attempt, as its coordinator or as a participant, and says what we hold. */
export function acceptForm(state: CellState, form: FormFrame, now: number): void {
  becomeRecover(state, form, now)
  const { phase } = state
  const report = reportState(state, form.configuration)
  if (phase.name === 'recover' && phase.coordination !== null) {
    sendOthers(state, phase, form)
    takeState(state, phase, state.self, report, now)
  } else {
    state.send([form.configuration.coordinator], 'control', report)
  }
}

export function onForm(state: CellState, from: MemberId, frame: FormFrame, now: number): void {
  const { configuration, members } = frame
  if (configuration.coordinator !== from || members[0] !== from || !members.includes(state.self)) return
  if (members.length > state.limits.maxMembers || from === state.self) return
  if (!isSorted(members) || configuration.epoch > state.highestPlausibleEpoch) return
  const { phase } = state
  if (phase.name === 'recover' && sameConfiguration(phase.form.configuration, configuration)) {
    answerAgain(state, phase)
    return
  }
  state.sawEpoch(configuration.epoch)
  const epoch = Math.max(state.ballot, state.ordering.configuration.id.epoch)
  if (configuration.epoch <= epoch || state.buggify('refuses a Form')) {
    state.cover('Form refused for its epoch')
    refuse(state, from, configuration, 'epoch', now)
  } else if (!members.every(member => state.peers.hears(member))) {
    state.cover('Form refused as deaf')
    refuse(state, from, configuration, 'deaf', now)
  } else {
    if (phase.name === 'recover' && phase.coordination !== null) state.cover('yield to lower coordinator')
    acceptForm(state, frame, now)
  }
}

function refuse(
  state: CellState,
  to: MemberId,
  configuration: ConfigurationId,
  why: RefuseFrame['why'],
  now: number,
): void {
  state.send([to], 'control', { kind: 'refuse', configuration, epoch: state.maxEpoch, why })
  tellSoon(state, now) // our row tells the coordinator what we hear
}

export function onRefuse(state: CellState, from: MemberId, frame: RefuseFrame, now: number): void {
  state.sawEpoch(frame.epoch)
  const phase = attempt(state, frame.configuration)
  if (phase?.coordination == null || !phase.form.members.includes(from)) return
  const jitter = state.random.next() * state.timeouts.settleMs * 2
  becomeGather(state, `${from} refused: ${frame.why}`, now, jitter)
}

export function onState(state: CellState, from: MemberId, frame: StateFrame, now: number): void {
  const phase = attempt(state, frame.configuration)
  if (phase === null || phase.coordination === null || !phase.form.members.includes(from)) {
    state.cover('stale membership frame ignored')
    return
  }
  takeState(state, phase, from, frame, now)
}

function takeState(
  state: CellState,
  phase: Recovering,
  from: MemberId,
  frame: StateFrame,
  now: number,
): void {
  const { states } = phase.coordination as Coordination
  const before = states.get(from)
  if (before === undefined || heldBy(frame) > heldBy(before)) phase.deadline = now + state.timeouts.recoverMs
  // Once planned, a State only shows that its member is still fetching.
  states.set(from, frame)
  if (phase.plan !== null || states.size < phase.form.members.length) return
  const reports = phase.form.members.map(member => ({ member, state: states.get(member) as StateFrame }))
  let plan: PlanFrame
  try {
    plan = makePlan(phase.form, reports)
  } catch (error) {
    if (!(error instanceof Disagreement)) throw error
    if (error.member !== state.self) state.peers.lose(error.member, 'disagrees', now)
    becomeGather(state, error.message, now)
    return
  }
  coverPlan(state, plan)
  sendOthers(state, phase, plan)
  takePlan(state, phase, plan, now)
}

function heldBy(frame: StateFrame): number {
  return frame.streams.reduce((sum, stream) => sum + stream.contiguous, 0)
}

export function onPlan(state: CellState, from: MemberId, frame: PlanFrame, now: number): void {
  const phase = attempt(state, frame.configuration)
  if (phase === null || from !== coordinatorOf(phase)) {
    state.cover('stale Plan ignored')
    return
  }
  if (phase.plan !== null) {
    answerAgain(state, phase)
    return
  }
  if (sameMembers(frame.members, phase.form.members) && fits(state, frame)) takePlan(state, phase, frame, now)
  else becomeGather(state, `the Plan of ${from} does not fit what we reported`, now)
}

/** A Plan was made from our State among others: it cannot want less than we told. */
function fits(state: CellState, plan: PlanFrame): boolean {
  const { ordering } = state
  const group = groupOf(state, plan)
  return (
    group !== undefined &&
    sameMembers(group.oldMembers, ordering.configuration.members) &&
    group.streams.length === group.oldMembers.length &&
    group.streams.every(({ upTo, consumed }, rank) => {
      const stream = ordering.streams[rank] as Stream
      const ours = rank === ordering.rank ? stream.contiguous : stream.delivered
      // What was used to tell a fate is never taken back.
      return upTo >= ours && consumed >= stream.consumed
    }) &&
    group.together.includes(state.self) &&
    group.together.every(member => plan.members.includes(member) && group.oldMembers.includes(member))
  )
}

function takePlan(state: CellState, phase: Recovering, plan: PlanFrame, now: number): void {
  phase.plan = plan
  phase.deadline = now + state.timeouts.recoverMs * (phase.coordination === null ? 2 : 1)
  fetch(state, phase, now)
}

/** The part of a Plan that is about our old configuration. */
export function groupOf(state: CellState, plan: PlanFrame): GroupPlan | undefined {
  return plan.groups.find(group => sameConfiguration(group.old, state.ordering.configuration.id))
}

/** Once everything the Plan wants is here: merge what it taught, for good, and say Recovered. */
function fetch(state: CellState, phase: Recovering, now: number): void {
  const plan = phase.plan as PlanFrame
  const group = groupOf(state, plan) as GroupPlan
  const { streams } = state.ordering
  if (!group.streams.every((wanted, rank) => (streams[rank] as Stream).contiguous >= wanted.upTo)) return
  group.streams.forEach((wanted, rank) => {
    const stream = streams[rank] as Stream
    if (wanted.clock === Number.POSITIVE_INFINITY) stream.infinite = true
    else stream.count(wanted.clock, wanted.upTo)
    if (rank === state.ordering.rank) return
    if (wanted.received !== Number.POSITIVE_INFINITY)
      stream.received = Math.max(stream.received, wanted.received)
    stream.consumed = Math.max(stream.consumed, wanted.consumed)
  })
  phase.recovered = true
  phase.retryAt = now + retryMs(state)
  if (phase.coordination !== null) takeRecovered(state, phase, state.self, now)
  else state.send([coordinatorOf(phase)], 'control', recoveredFrame(phase))
}

export function onRecovered(state: CellState, from: MemberId, frame: RecoveredFrame, now: number): void {
  const phase = attempt(state, frame.configuration)
  if (phase?.coordination == null || phase.plan === null || !phase.form.members.includes(from)) {
    // A member that lost its Install asks in this way; our heartbeat, of the new configuration, is the answer.
    if (sameConfiguration(frame.configuration, state.ordering.configuration.id)) tellSoon(state, now)
    else state.cover('stale membership frame ignored')
    return
  }
  takeRecovered(state, phase, from, now)
}

function takeRecovered(state: CellState, phase: Recovering, from: MemberId, now: number): void {
  const { recovered } = phase.coordination as Coordination
  if (!recovered.has(from)) phase.deadline = now + state.timeouts.recoverMs
  recovered.add(from)
  if (recovered.size < phase.form.members.length) return
  sendOthers(state, phase, { kind: 'install', configuration: phase.form.configuration })
  install(state, phase.plan as PlanFrame)
}

export function onInstall(state: CellState, from: MemberId, frame: InstallFrame): void {
  const phase = attempt(state, frame.configuration)
  if (phase === null || !phase.recovered || phase.plan === null || from !== coordinatorOf(phase)) {
    state.cover('stale Install ignored')
    return
  }
  install(state, phase.plan)
}

/** The first frame of a configuration is an Install for whoever holds exactly its Plan and has recovered. */
export function installBy(state: CellState, from: MemberId, configuration: ConfigurationId): void {
  const phase = attempt(state, configuration)
  if (phase !== null && !phase.form.members.includes(from)) return
  if (phase === null || !phase.recovered || phase.plan === null) return
  state.cover('Install by first frame')
  install(state, phase.plan)
}

export function recoverTurn(state: CellState, phase: Recovering, now: number): void {
  if (state.buggify('gives up an attempt')) becomeGather(state, 'given up', now)
  else if (phase.coordination !== null) coordinateTurn(state, phase, phase.coordination, now)
  else participateTurn(state, phase, now)
}

function coordinateTurn(state: CellState, phase: Recovering, coordination: Coordination, now: number): void {
  const { members } = phase.form
  if (!isClique(state.peers.matrix, members)) {
    becomeGather(state, 'a member of the attempt was lost', now)
    return
  }
  if (phase.plan !== null && !phase.recovered) fetch(state, phase, now)
  if (state.phase !== phase) return
  const answered = phase.plan === null ? coordination.states : coordination.recovered
  const missing = members.filter(member => member !== state.self && !answered.has(member))
  if (now >= phase.deadline) {
    for (const member of missing) state.peers.lose(member, 'unresponsive', now)
    // All but us have what they need: then who does not supply us is lost, or the next attempt would be the same again.
    if (missing.length === 0)
      for (const member of suppliers(state, phase)) state.peers.lose(member, 'unresponsive', now)
    becomeGather(state, `no progress; ${missing.join(' ')} did not answer`, now)
  } else if (now >= coordination.retryAt) {
    coordination.retryAt = now + retryMs(state)
    if (missing.length > 0) state.send(missing, 'control', phase.plan ?? phase.form)
  }
}

/** Whom the Plan names for what we still lack. */
function suppliers(state: CellState, phase: Recovering): MemberId[] {
  const wanted = phase.plan === null ? [] : (groupOf(state, phase.plan)?.streams ?? [])
  const { streams } = state.ordering
  return wanted
    .filter(({ upTo }, rank) => (streams[rank] as Stream).contiguous < upTo)
    .map(({ supplier }) => supplier)
}

function participateTurn(state: CellState, phase: Recovering, now: number): void {
  const coordinator = coordinatorOf(phase)
  const last = state.peers.get(coordinator)?.last
  const { epoch } = phase.form.configuration
  if (!state.peers.hears(coordinator)) {
    becomeGather(state, `lost the coordinator ${coordinator}`, now)
  } else if (last != null && (last.ballot > epoch || (last.ballot === epoch && last.phase === 'gather'))) {
    becomeGather(state, `${coordinator} gave the attempt up`, now)
  } else if (now >= phase.deadline && phase.recovered && last?.ballot === epoch && last.phase === 'recover') {
    // We did our part, and what others still fetch is seen by the coordinator only: it ends what makes no progress.
    phase.deadline = now + state.timeouts.recoverMs * 2
  } else if (now >= phase.deadline) {
    state.peers.lose(coordinator, 'unresponsive', now)
    becomeGather(state, `no progress with ${coordinator}`, now)
  } else {
    if (phase.plan !== null && !phase.recovered) fetch(state, phase, now)
    if (state.phase === phase && now >= phase.retryAt) answerAgain(state, phase, now)
  }
}

/** Repeats our last answer: it, or what it answered, was lost or is slow. */
function answerAgain(state: CellState, phase: Recovering, now?: number): void {
  if (now !== undefined) phase.retryAt = now + retryMs(state)
  if (phase.coordination !== null) return
  const frame = phase.recovered ? recoveredFrame(phase) : reportState(state, phase.form.configuration)
  state.send([coordinatorOf(phase)], 'control', frame)
}

/** A frame was fetched: recovery makes progress, measured in time, not in counts. */
export function fetchProgress(state: CellState, now: number): void {
  const { phase } = state
  if (phase.name !== 'recover' || phase.plan === null || phase.recovered) return
  phase.deadline = now + state.timeouts.recoverMs * (phase.coordination === null ? 2 : 1)
}

/** What we know of our old configuration. Our own clock is in it too, but freezing made it ∞ for those who come along. */
export function reportState(state: CellState, configuration: ConfigurationId): StateFrame {
  const { ordering } = state
  const streams = ordering.streams.map((stream, rank): StreamState => {
    const own = rank === ordering.rank
    const pair = { clock: ordering.announced, seq: stream.contiguous }
    return {
      contiguous: stream.contiguous,
      counted: own ? pair : stream.counted,
      newest: own ? pair : stream.newest,
      received: own ? ordering.received() : stream.received,
      consumed: own ? ordering.consumed : stream.consumed,
      infinite: stream.infinite,
    }
  })
  const { id, members } = ordering.configuration
  return { kind: 'state', configuration, old: id, oldMembers: members, streams }
}

function recoveredFrame(phase: Recovering): RecoveredFrame {
  return { kind: 'recovered', configuration: phase.form.configuration }
}

/** The current phase if it is this very attempt. */
function attempt(state: CellState, configuration: ConfigurationId): Recovering | null {
  const { phase } = state
  return phase.name === 'recover' && sameConfiguration(phase.form.configuration, configuration) ? phase : null
}

function sendOthers(state: CellState, phase: Recovering, frame: FormFrame | PlanFrame | InstallFrame): void {
  const others = phase.form.members.filter(member => member !== state.self)
  if (others.length > 0) state.send(others, 'control', frame)
}

function retryMs(state: CellState): number {
  return state.timeouts.heartbeatMs / 2
}

function coverPlan(state: CellState, plan: PlanFrame): void {
  if (plan.groups.length > 2) state.cover('three-way merge')
  for (const group of plan.groups) {
    group.oldMembers.forEach((member, rank) => {
      const infinite = group.streams[rank]?.clock === Number.POSITIVE_INFINITY
      if (infinite && !group.together.includes(member)) state.cover('obligation wider than T')
    })
  }
}
