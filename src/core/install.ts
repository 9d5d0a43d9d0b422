/** Install: one atomic step from the old configuration, over the transitional one, into the new. */

import { invariant } from '../lib/assert.ts'
import { Announcer } from './announce.ts'
import { sameConfiguration } from './configuration.ts'
import type { GroupPlan, PlanFrame, StreamPlan } from './frames.ts'
import { type DeliveryCut, Ordering } from './ordering.ts'
import { becomeOperational } from './phases.ts'
import { Repair } from './repair.ts'
import type { CellState } from './state.ts'
import type { Configuration } from './types.ts'

export function install(state: CellState, plan: PlanFrame): void {
  const { ordering } = state
  const group = plan.groups.find(candidate => sameConfiguration(candidate.old, ordering.configuration.id))
  invariant(
    group !== undefined,
    'a Plan that we recovered for speaks of our configuration',
    plan.configuration.key,
  )
  deliverOld(state, group)
  const configuration: Configuration = { id: plan.configuration, members: plan.members }
  if (ordering.streams.some(stream => stream.assembling.length > 0)) state.cover('partial assembly dropped')
  if (state.submissions.fragmenting) state.cover('sender starts fragments again')
  state.submissions.restart()
  state.submissions.dropUrgent()
  state.ordering = new Ordering(configuration, state.self, state.limits.maxSegmentBytes)
  state.announcer = new Announcer(state.limits, state.timeouts, state.maxTimestamp)
  state.repair = new Repair(state.limits, state.timeouts)
  state.frozen = false
  state.gateOpen = false
  state.departed.clear()
  state.deliveredTs = 0
  state.consumedSum = 0
  state.owed = []
  state.sawEpoch(plan.configuration.epoch)
  state.events.push({ type: 'regular', configuration, together: group.together })
  becomeOperational(state, `installed ${plan.configuration.key}`)
}

/**
 * In the old regular configuration: everything up to min K, or to the first safe message that not everyone is known to
 * hold. In the transitional one: the rest up to min K; beyond it only streams with K = ∞, as any other frame may depend
 * on one that nobody here holds.
 */
function deliverOld(state: CellState, group: GroupPlan): void {
  const { ordering } = state
  const emit = (delivery: Parameters<Parameters<Ordering['deliver']>[1]>[0]): void => {
    state.events.push({ type: 'deliver', ...delivery })
  }
  const caps = group.streams.map(stream => stream.upTo)
  const agreed = least(group.streams, stream => stream.clock)
  const safe = least(group.streams, stream => stream.received)
  const regular: DeliveryCut = { agreed, safe, caps, takesPart: null }
  const heldBackAt = ordering.deliver(regular, emit)
  const consumed = group.streams.map(stream => stream.consumed)
  state.events.push({ type: 'transitional', of: ordering.configuration, members: group.together, consumed })
  if (group.together.length === group.oldMembers.length) state.cover('all stay in regular')
  if (heldBackAt !== Number.POSITIVE_INFINITY) state.cover('safe cut')
  const everything = Number.POSITIVE_INFINITY
  ordering.deliver({ ...regular, safe: everything }, emit)
  const takesPart = group.streams.map(stream => stream.clock === everything)
  const events = state.events.length
  ordering.deliver({ agreed: everything, safe: everything, caps, takesPart }, emit)
  if (state.events.length > events) state.cover('delivered beyond min K')
  if (ordering.nextUndelivered() !== undefined) state.cover('dropped for unknown predecessor')
}

function least(streams: readonly StreamPlan[], of: (stream: StreamPlan) => number): number {
  return streams.reduce((min, stream) => Math.min(min, of(stream)), Number.POSITIVE_INFINITY)
}
