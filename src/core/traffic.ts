/** One turn of the data plane: what has accumulated is framed, delivered, acknowledged and repaired in one pass. */

import { factsFrame } from './announce.ts'
import type { FactsFrame, GroupPlan } from './frames.ts'
import type { Delivery, Ordering } from './ordering.ts'
import { groupOf } from './recover.ts'
import type { CellState, Standstill } from './state.ts'
import type { Stream } from './stream.ts'
import type { Facts, MemberId } from './types.ts'

/** Frames made in one turn; what is left waits for the next turn, which comes at once. */
const maxFramesPerTurn = 32

/** Timestamps grow by promises. A leap towards the end of the numbers would leave our own clock no room to count. */
const longestLeap = 2 ** 40
const lastTimestamp = 2 ** 53 - 2 * longestLeap

export function trafficTurn(state: CellState, now: number): void {
  if (!state.frozen) {
    sendFrames(state, now)
    const received = deliverTurn(state)
    announceTurn(state, received, now)
  }
  repairTurn(state, now)
}

function sendFrames(state: CellState, now: number): void {
  const { ordering, submissions, limits } = state
  if (ordering.heldCredit !== null) state.cover('credit held')
  ordering.window.release(ordering.creditOfAll())
  for (let count = 0; count < maxFramesPerTurn && !windowFull(state); count++) {
    if (state.buggify('window seems full')) break
    const size = state.buggify('small frame') ? { ...limits, maxFrameSegments: 1 } : limits
    const frame = ordering.nextFrame(submissions, state.gateOpen, size, now, (place, segment) => {
      state.events.push({ type: 'originate', place, segment })
    })
    if (frame === null) break
    state.sendToMembers('data', frame)
    state.announcer.sent(frame.facts)
    if (ordering.configuration.members.length === 1) ordering.window.release(ordering.creditOfAll())
  }
}

/** Also near the end of the numbers: what we framed there would be more than others let in. */
export function windowFull(state: CellState): boolean {
  const full = state.ordering.window.bytes >= state.limits.windowBytes
  if (full) state.cover('window closed')
  return full || state.ordering.highestTs >= lastTimestamp
}

/** Whether a frame of this ts may be let in: not if it would drive our clock, which follows it, out of the numbers. */
export function plausibleTimestamp(ordering: Ordering, ts: number): boolean {
  return ts <= Math.min(ordering.highestTs, lastTimestamp) + longestLeap
}

/** @returns our `received`. */
function deliverTurn(state: CellState): number {
  const { ordering, events } = state
  const emit = (delivery: Delivery): void => {
    events.push({ type: 'deliver', ...delivery })
  }
  const received = ordering.received()
  const stable = ordering.stable(received)
  const agreed = state.buggify('delivers less') ? received - state.random.int(8) : received
  const heldBackAt = ordering.deliver({ agreed, safe: stable, caps: null, takesPart: null }, emit)
  if (!state.buggify('keeps what is stable')) for (const stream of ordering.streams) stream.release(stable)
  const delivered = Math.min(agreed, heldBackAt - 1)
  if (delivered > state.deliveredTs) {
    state.deliveredTs = delivered
    events.push({ type: 'delivered', ts: delivered })
  }
  tellConsumed(state)
  return received
}

function tellConsumed(state: CellState): void {
  const { ordering } = state
  ordering.own.consumed = Math.max(ordering.own.consumed, ordering.consumed)
  let sum = 0
  for (const stream of ordering.streams) {
    stream.useConsumed(state.deliveredTs)
    sum += stream.consumed
  }
  if (sum === state.consumedSum || state.buggify('consumed untold')) return
  state.consumedSum = sum
  state.events.push({ type: 'consumed', byRank: ordering.streams.map(stream => stream.consumed) })
}

function announceTurn(state: CellState, received: number, now: number): void {
  const { announcer, ordering } = state
  const due = announcer.due(ordering, received, now) || announcer.owesRelays
  if (due && !state.buggify('facts untold')) tellFacts(state, now)
  const askers = announcer.takeAskers()
  if (askers.length > 0) {
    announcer.promise(ordering, now)
    state.send(askers, 'data', factsFrame(ordering, ordering.facts(ordering.received()), 'nothing'))
  }
  const full = windowFull(state) && state.submissions.ready(state.gateOpen)
  const asked = announcer.toAsk(ordering, received, full, now)
  if (asked.length > 0) {
    state.send(asked, 'data', factsFrame(ordering, ordering.facts(ordering.received()), 'answer'))
  }
}

function tellFacts(state: CellState, now: number): void {
  const { announcer, ordering } = state
  announcer.promise(ordering, now)
  if (state.buggify('promises far'))
    ordering.announced = Math.max(ordering.announced, ordering.highestTs + 5000)
  if (ordering.announced > ordering.highestTs) state.cover('promise ahead')
  const facts = ordering.facts(ordering.received())
  const heard = (member: MemberId): boolean => state.peers.hears(member) && !state.departed.has(member)
  const through = state.buggify('tells all itself') ? null : announcer.aggregator(ordering, heard, now)
  if (through === null) {
    const others = announcer.takeRelays(ordering)
    if (others.length > 0) state.cover('facts aggregated')
    state.sendToMembers('data', factsFrame(ordering, facts, 'nothing', others))
  } else state.send([through], 'data', factsFrame(ordering, facts, 'relay'))
  announcer.sent(facts)
}

/** Facts come from their owner; where they are aggregated, from anyone. */
export function onFacts(state: CellState, from: MemberId, frame: FactsFrame): void {
  const { ordering, announcer, limits } = state
  const { members } = ordering.configuration
  if (members[frame.rank] !== from || frame.rank === ordering.rank) return
  learn(ordering, frame.rank, frame.facts, true)
  if (members.length >= limits.aggregateFrom) {
    // Their owner's frames come another way, and may be on it still.
    for (const { rank, facts } of frame.others) learn(ordering, rank, facts, false)
  }
  if (state.frozen) return
  if (frame.wants === 'answer') announcer.asked(from)
  if (frame.wants === 'relay') announcer.relayFor(frame.rank)
}

function learn(ordering: Ordering, rank: number, facts: Facts, inOrder: boolean): void {
  if (rank !== ordering.rank) ordering.streams[rank]?.learn(facts, inOrder)
}

function repairTurn(state: CellState, now: number): void {
  const { ordering, repair } = state
  const group =
    state.phase.name === 'recover' && state.phase.plan !== null ? groupOf(state, state.phase.plan) : undefined
  // In recovery only what was asked for is.
  const underWay = state.frozen ? 'nothing' : state.relayed ? 'anything' : 'in order'
  const requests = repair.requests(ordering, now, supplierFor(state, group), wantedOf(state, group), underWay)
  for (const { to, frame } of requests) {
    state.cover('retransmission asked')
    state.send([to], 'control', frame)
  }
  for (const { to, frame } of repair.retransmissions(ordering)) {
    if (frame.rank !== ordering.rank) state.cover('retransmission by third party')
    state.send([to], 'data', frame)
  }
}

/** Whom to ask for a stream: in recovery whom the Plan names, otherwise its owner. */
function supplierFor(state: CellState, group: GroupPlan | undefined): (rank: number) => MemberId | null {
  return rank => {
    if (group !== undefined) return group.streams[rank]?.supplier ?? null
    return state.frozen ? null : (state.ordering.configuration.members[rank] as MemberId)
  }
}

function wantedOf(state: CellState, group: GroupPlan | undefined): (rank: number, stream: Stream) => number {
  if (group !== undefined) return rank => group.streams[rank]?.upTo ?? 0
  return (_, stream) => (state.frozen ? stream.contiguous : stream.highest)
}

/** Members that owe progress and make none, for a time. */
export function findStalled(state: CellState, now: number): void {
  if (state.frozen) return
  const { ordering, timeouts } = state
  const { members } = ordering.configuration
  // Frames of one that is gone may be here and not there: to get them there is recovery's work, and nobody owes them till then.
  const complete = members.every(member => state.peers.hears(member) && !state.departed.has(member))
  // Above the highest frame there is nothing to receive.
  const received = Math.min(ordering.received(), ordering.highestTs)
  const due = complete ? { clock: ordering.highestTs, received } : { clock: 0, received: 0 }
  members.forEach((member, rank) => {
    // Who left the configuration owes it nothing more, and is to be merged with, not suspected.
    if (rank === ordering.rank || state.departed.has(member)) return
    const streamStalled = state.repair.stalledFor(rank, now) >= timeouts.stalledAfterMs
    // One that cannot get a third member's frames suspects that one itself; give it the time.
    const acknowledgeStalled = owesFor(state, due, rank, now) >= timeouts.stalledAfterMs * 1.5
    // Who is lost already must be free to come back.
    if (!state.peers.hears(member)) return
    if (streamStalled || acknowledgeStalled) state.peers.lose(member, 'stalled', now)
  })
}

/** What every member could tell. */
interface Due {
  readonly clock: number
  readonly received: number
}

/**
 * How long member `rank` has not told what is in its own power: a clock that reaches every frame, and a `received` as high
 * as ours. While a third member's clock stands still nobody's `received` can go beyond it: only that one owes then.
 */
function owesFor(state: CellState, due: Due, rank: number, now: number): number {
  const stream = state.ordering.streams[rank] as Stream
  const owed = (state.owed[rank] ??= { clock: null, received: null })
  owed.clock = standstill(owed.clock, stream.counted.clock, due.clock, now)
  owed.received = standstill(owed.received, stream.received, due.received, now)
  return Math.max(now - (owed.clock?.since ?? now), now - (owed.received?.since ?? now))
}

function standstill(before: Standstill | null, fact: number, least: number, now: number): Standstill | null {
  if (fact >= least) return null
  return before?.fact === fact ? before : { fact, since: now }
}
