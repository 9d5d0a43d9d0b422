/** Changes of phase: nothing else assigns `phase`. */

import type { FormFrame } from './frames.ts'
import type { CellState, Coordination } from './state.ts'

export function becomeOperational(state: CellState, why: string): void {
  state.phase = { name: 'operational' }
  state.heartbeatDue = true
  state.events.push({ type: 'phase', phase: 'operational', why })
}

/** @param delay ms before an own Form: jitter after a refusal. */
export function becomeGather(state: CellState, why: string, now: number, delay = 0): void {
  coverInterruption(state)
  state.phase = {
    name: 'gather',
    since: now,
    targetAt: now,
    notBefore: now + delay,
    deadline: now + state.timeouts.gatherMs,
  }
  state.heartbeatDue = true
  state.events.push({ type: 'phase', phase: 'gather', why })
}

/** Freezes: from an accepted Form on there is no way back into the old configuration. */
export function becomeRecover(state: CellState, form: FormFrame, now: number): void {
  coverInterruption(state)
  const { recoverMs, heartbeatMs } = state.timeouts
  const coordinates = form.configuration.coordinator === state.self
  const retryAt = now + heartbeatMs / 2
  const coordination: Coordination | null = coordinates
    ? { states: new Map(), recovered: new Set(), retryAt }
    : null
  const deadline = now + recoverMs * (coordinates ? 1 : 2)
  state.ballot = form.configuration.epoch
  state.sawEpoch(state.ballot)
  state.frozen = true
  for (const stream of state.ordering.streams) stream.frozen = true
  state.phase = { name: 'recover', form, coordination, plan: null, recovered: false, deadline, retryAt }
  state.heartbeatDue = true
  state.events.push({ type: 'phase', phase: 'recover', why: `forming ${form.configuration.key}` })
}

export function becomeLeft(state: CellState, why: string): void {
  state.phase = { name: 'left' }
  state.events.push({ type: 'phase', phase: 'left', why })
}

/** Called where an attempt ends without an Install. */
function coverInterruption(state: CellState): void {
  const { phase } = state
  if (phase.name !== 'recover') return
  if (phase.coordination !== null) {
    state.cover(
      phase.plan === null ? 'coordinator interrupted before Plan' : 'coordinator interrupted before Install',
    )
  } else if (phase.recovered) state.cover('interrupted after Recovered')
  else state.cover(phase.plan === null ? 'interrupted after Form' : 'interrupted after Plan')
}
