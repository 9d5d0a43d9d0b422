import { describe, expect, it } from 'vitest'
import { configurationId } from './configuration.ts'
import type { FormFrame, GroupPlan, StateFrame, StreamState } from './frames.ts'
import { Disagreement, makePlan, type Report } from './plan.ts'
import type { MemberId } from './types.ts'

const old = configurationId(3, 'a', 7)
const oldMembers = ['a', 'b', 'c']
const attempt = configurationId(4, 'a', 8)
const none: StreamState = {
  contiguous: 0,
  counted: { clock: 0, seq: 0 },
  newest: { clock: 0, seq: 0 },
  received: 0,
  consumed: 0,
  infinite: false,
}

/** What one member reports; streams by rank, the rest of each is nothing. */
function report(member: MemberId, streams: readonly Partial<StreamState>[]): Report {
  const full = oldMembers.map((_, rank): StreamState => ({ ...none, ...streams[rank] }))
  const state: StateFrame = { kind: 'state', configuration: attempt, old, oldMembers, streams: full }
  return { member, state }
}

function planOf(...reports: Report[]): GroupPlan {
  const form: FormFrame = { kind: 'form', configuration: attempt, members: reports.map(r => r.member) }
  return makePlan(form, reports).groups[0] as GroupPlan
}

describe('a Plan', () => {
  it('says T: those of the old configuration who report', () => {
    expect(planOf(report('a', []), report('c', [])).together).toEqual(['a', 'c'])
  })

  it('says U, the longest prefix anyone holds, and who holds it', () => {
    const plan = planOf(
      report('a', [{ contiguous: 4 }, { contiguous: 1 }, { contiguous: 5 }]),
      report('b', [{ contiguous: 2 }, { contiguous: 3 }, { contiguous: 6 }]),
    )
    expect(plan.streams.map(stream => stream.upTo)).toEqual([4, 3, 6])
    expect(plan.streams.map(stream => stream.supplier)).toEqual(['a', 'b', 'b'])
  })

  it('counts for K only what lies within U, but then also a pair that did not count for its hearer', () => {
    const plan = planOf(
      report('a', [{}, {}, { contiguous: 5, counted: { clock: 50, seq: 5 }, newest: { clock: 90, seq: 9 } }]),
      report('b', [{}, {}, { contiguous: 3, counted: { clock: 30, seq: 3 }, newest: { clock: 55, seq: 4 } }]),
    )
    expect(plan.streams[2]?.clock).toBe(55)
  })

  it('makes K infinite for those who come, and R', () => {
    const plan = planOf(
      report('a', [{ counted: { clock: 9, seq: 0 } }, { received: 8 }, { received: 5 }]),
      report('b', [{}, {}, { received: 7 }]),
    )
    expect(plan.streams.map(stream => stream.clock)).toEqual([
      Number.POSITIVE_INFINITY,
      Number.POSITIVE_INFINITY,
      0,
    ])
    expect(plan.streams.map(stream => stream.received)).toEqual([
      Number.POSITIVE_INFINITY,
      Number.POSITIVE_INFINITY,
      7,
    ])
  })

  it('keeps an obligation of anyone who comes, for a member that does not come', () => {
    const plan = planOf(report('a', []), report('b', [{}, {}, { infinite: true, received: 4 }]))
    expect(plan.streams[2]?.clock).toBe(Number.POSITIVE_INFINITY)
    expect(plan.streams[2]?.received).toBe(4)
  })

  it('tells the highest consumed anyone used, also of those who come', () => {
    const plan = planOf(report('a', [{ consumed: 3 }, { consumed: 9 }]), report('b', [{ consumed: 4 }]))
    expect(plan.streams.map(stream => stream.consumed)).toEqual([4, 9, 0])
  })

  it('keeps old configurations apart that share all but the nonce', () => {
    const other = configurationId(3, 'a', 9)
    const reports = [report('a', []), report('b', [])]
    const stranger: Report = { member: 'c', state: { ...(reports[0] as Report).state, old: other } }
    const form: FormFrame = { kind: 'form', configuration: attempt, members: oldMembers }
    const { groups } = makePlan(form, [...reports, stranger])
    expect(groups.map(group => [group.old.nonce, group.together])).toEqual([
      [7, ['a', 'b']],
      [9, ['c']],
    ])
  })

  it.each([
    ['other members', { oldMembers: ['a', 'b', 'd'] }],
    ['too few streams', { streams: [none] }],
  ])('names who reports %s of the same configuration', (_, change) => {
    const liar = report('b', [])
    const wrong: Report = { member: 'b', state: { ...liar.state, ...change } }
    let error: unknown
    try {
      planOf(report('a', []), wrong)
    } catch (caught) {
      error = caught
    }
    expect(error).toBeInstanceOf(Disagreement)
    expect((error as Disagreement).member).toBe('b')
  })
})
