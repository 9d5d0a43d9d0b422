/**
 * The Plan: what becomes of each old configuration, as a pure function of the States. U, K, R and T are the names of
 * `docs/protocol.md`.
 */

import { sameMembers } from './configuration.ts'
import type { FormFrame, GroupPlan, PlanFrame, StateFrame, StreamPlan, StreamState } from './frames.ts'
import type { ConfigurationId, MemberId } from './types.ts'

/** One State with its author. */
export interface Report {
  readonly member: MemberId
  readonly state: StateFrame
}

/** Two members report different things of what should be one old configuration. */
export class Disagreement extends Error {
  override readonly name = 'Disagreement'
  readonly member: MemberId

  constructor(member: MemberId, old: ConfigurationId) {
    super(`${member} reports other members of ${old.key}`)
    this.member = member
  }
}

/** @param reports one for every member of the form. Throws {@link Disagreement}, naming whom the first report contradicts. */
export function makePlan(form: FormFrame, reports: readonly Report[]): PlanFrame {
  const byOld = new Map<string, Report[]>()
  for (const report of reports) {
    const { key } = report.state.old
    const group = byOld.get(key)
    if (group === undefined) byOld.set(key, [report])
    else group.push(report)
  }
  const groups = [...byOld.values()].map(planGroup)
  return { kind: 'plan', configuration: form.configuration, members: form.members, groups }
}

function planGroup(reports: readonly Report[]): GroupPlan {
  const { old, oldMembers } = (reports[0] as Report).state
  for (const { member, state } of reports) {
    if (!sameMembers(state.oldMembers, oldMembers) || state.streams.length !== oldMembers.length) {
      throw new Disagreement(member, old)
    }
  }
  const together = oldMembers.filter(member => reports.some(report => report.member === member))
  const streams = oldMembers.map((owner, rank) => planStream(rank, together.includes(owner), reports))
  return { old, oldMembers, together, streams }
}

function planStream(rank: number, ownerComes: boolean, reports: readonly Report[]): StreamPlan {
  let longest = reports[0] as Report
  let received = 0
  let consumed = 0
  // An obligation: someone who said Recovered to an earlier Plan may be followed by others who installed on it.
  let infinite = ownerComes
  for (const report of reports) {
    const state = streamOf(report, rank)
    if (state.contiguous > streamOf(longest, rank).contiguous) longest = report
    received = Math.max(received, state.received)
    consumed = Math.max(consumed, state.consumed)
    infinite ||= state.infinite
  }
  const upTo = streamOf(longest, rank).contiguous
  let clock = 0
  for (const report of reports) {
    const { counted, newest } = streamOf(report, rank)
    // A pair that did not count for the one who heard it may count with what the others hold.
    for (const pair of [counted, newest]) if (pair.seq <= upTo) clock = Math.max(clock, pair.clock)
  }
  return {
    upTo,
    clock: infinite ? Number.POSITIVE_INFINITY : clock,
    received: ownerComes ? Number.POSITIVE_INFINITY : received,
    // Also of those who come: what one of T has used already to tell a fate, all of T must know.
    consumed,
    supplier: longest.member,
  }
}

function streamOf(report: Report, rank: number): StreamState {
  return report.state.streams[rank] as StreamState
}
