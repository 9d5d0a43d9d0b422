/** What must hold after every step, whatever arrived. Run by tests and by the simulator. */

import { invariant } from '../lib/assert.ts'
import { isSorted } from './configuration.ts'
import type { CellState } from './state.ts'
import type { Stream } from './stream.ts'

export function checkInvariants(state: CellState): void {
  const { ordering, phase } = state
  const { id, members } = ordering.configuration
  invariant(members.includes(state.self), 'we are in our own configuration', members)
  invariant(isSorted(members), 'members are sorted', members)
  invariant(state.ballot >= id.epoch, 'the ballot is never below the installed epoch', [
    state.ballot,
    id.epoch,
  ])
  invariant(state.maxEpoch >= state.ballot, 'no epoch was accepted that was not seen')
  invariant(phase.name !== 'recover' || state.frozen, 'recovering means frozen')
  invariant(phase.name !== 'operational' || !state.frozen, 'a frozen configuration is never resumed')
  invariant(!state.frozen || state.ballot > id.epoch, 'only a newer Form freezes')
  if (phase.name === 'recover') {
    invariant(state.ballot === phase.form.configuration.epoch, 'only the last accepted Form counts')
    invariant(!phase.recovered || phase.plan !== null, 'nothing is recovered without a Plan')
  }
  const received = ordering.received()
  invariant(
    state.frozen || state.deliveredTs <= received,
    'nothing is delivered beyond what everyone promised',
  )
  ordering.streams.forEach((stream, rank) => checkStream(stream, rank === ordering.rank, ordering.announced))
  invariant(ordering.window.bytes >= 0 && state.submissions.bytes >= 0, 'sizes are not negative')
}

function checkStream(stream: Stream, own: boolean, announced: number): void {
  invariant(stream.delivered <= stream.contiguous, 'only what is held without a gap is delivered')
  invariant(stream.contiguous <= stream.highest, 'what is held exists')
  invariant(
    stream.counted.seq <= stream.contiguous,
    'a pair counts only once its frames are held',
    stream.counted,
  )
  invariant(stream.counted.clock <= stream.newest.clock || own, 'the newest pair is the newest')
  invariant(!own || stream.counted.clock <= announced, 'we promised what we sent')
}
