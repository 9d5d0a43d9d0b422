/** Frames of every kind for tests: fixed ones, and generators of arbitrary ones. */

import fc from 'fast-check'
import type { Frame, Row, StreamPlan, StreamState } from '../core/frames.ts'
import type { ConfigurationId, Facts, MemberId, Place, Segment } from '../core/types.ts'
import type { Destination, SegmentHead } from '../groups/types.ts'

export const A: MemberId = `n1#${'0123456789abcdef'.repeat(2)}`
export const B: MemberId = `n2#${'fedcba9876543210'.repeat(2)}`
export const C: MemberId = `узел#${'00'.repeat(15)}ff`

export function configurationIdOf(epoch: number, coordinator: MemberId, nonce: number): ConfigurationId {
  return { epoch, coordinator, nonce, key: `${epoch}.${coordinator}.${nonce}` }
}

const configuration = configurationIdOf(7, A, 0xdeadbeef)
const old = configurationIdOf(6, B, 5)
const facts: Facts = { clock: 100, seq: 3, received: 98, credit: 90, consumed: 2 ** 52 }

const heads: Record<string, SegmentHead> = {
  messages: {
    kind: 'messages',
    session: 4,
    destination: { to: 'groups', groups: ['orders', 'заказы'] },
    service: 'safe',
    selfDiscard: true,
    trace: true,
    firstSequence: 1_000_000_000_000,
    count: 2,
  },
  private: {
    kind: 'messages',
    session: 4,
    destination: { to: 'member', daemon: B, session: 9 },
    service: 'fifo',
    selfDiscard: false,
    trace: false,
    firstSequence: 1,
    count: 1,
  },
  open: { kind: 'open', session: 1, name: 'alice' },
  join: { kind: 'join', session: 1, group: 'orders' },
  leave: { kind: 'leave', session: 1, group: 'orders' },
  disconnect: { kind: 'disconnect', session: 1, reason: 'evicted', acknowledged: { epoch: 7, ts: 99 } },
  digest: {
    kind: 'digest',
    configuration: configuration.key,
    lastShown: old,
    along: [A, B],
    version: 12,
    remembered: [{ daemon: C, version: 3 }],
  },
  digestAtBoot: {
    kind: 'digest',
    configuration: configuration.key,
    lastShown: null,
    along: [A],
    version: 0,
    remembered: [],
  },
  groupState: {
    kind: 'groupState',
    configuration: configuration.key,
    full: true,
    sessions: [{ session: 1, name: 'alice' }],
    scopes: [old.key, `${old.key}~3`],
    groups: [
      {
        group: 'orders',
        scope: 1,
        index: 3,
        whole: true,
        members: [{ session: 1, joined: { epoch: 6, ts: 44, rank: 1, index: 0 } }],
      },
    ],
    last: true,
  },
}

function segment(head: SegmentHead | null, body: number[], more = false): Segment {
  const safe = head?.kind === 'messages' && head.service === 'safe'
  return { safe, more, head, bytes: body.length + 32, body: body.length > 0 ? [Uint8Array.from(body)] : [] }
}

const streamState: StreamState = {
  contiguous: 5,
  counted: { clock: 90, seq: 5 },
  newest: { clock: 110, seq: 8 },
  received: 80,
  consumed: 70,
  infinite: true,
}
const streamPlan: StreamPlan = { upTo: 8, clock: Infinity, received: 80, consumed: 70, supplier: A }

/** One frame of every kind, and every kind of segment head. */
export const FIXED_FRAMES: Readonly<Record<string, Frame>> = {
  data: {
    kind: 'data',
    configuration,
    rank: 1,
    seq: 3,
    ts: 100,
    facts,
    segments: [segment(null, [1, 2, 3], true), segment(heads['messages'] as SegmentHead, [4, 5])],
  },
  dataOfHeads: {
    kind: 'data',
    configuration,
    rank: 1,
    seq: 4,
    ts: 101,
    facts,
    segments: Object.values(heads).map(head => segment(head, [])),
  },
  facts: { kind: 'facts', configuration, rank: 2, facts, wants: 'answer', others: [] },
  factsOfOthers: {
    kind: 'facts',
    configuration,
    rank: 0,
    facts,
    wants: 'nothing',
    others: [
      { rank: 1, facts },
      { rank: 2, facts },
    ],
  },
  nak: { kind: 'nak', configuration, rank: 2, from: 4, to: 9 },
  heartbeat: {
    kind: 'heartbeat',
    configuration,
    ballot: 8,
    maxEpoch: 9,
    phase: 'gather',
    target: 0x12345678,
    matrix: 0x9abcdef0,
    rows: [
      { member: A, version: 2, hears: [B, C] },
      { member: B, version: 1, hears: [] },
    ],
    facts: null,
  },
  heartbeatWithFacts: {
    kind: 'heartbeat',
    configuration,
    ballot: 7,
    maxEpoch: 7,
    phase: 'operational',
    target: 1,
    matrix: 2,
    rows: [],
    facts,
  },
  challenge: { kind: 'challenge', nonce: 0xffffffff },
  answer: { kind: 'answer', nonce: Number.MAX_SAFE_INTEGER },
  form: { kind: 'form', configuration, members: [A, B, C] },
  refuse: { kind: 'refuse', configuration, epoch: 11, why: 'deaf' },
  state: {
    kind: 'state',
    configuration,
    old,
    oldMembers: [A, B],
    streams: [streamState, { ...streamState, infinite: false }],
  },
  plan: {
    kind: 'plan',
    configuration,
    members: [A, B, C],
    groups: [{ old, oldMembers: [A, B], together: [A], streams: [streamPlan, { ...streamPlan, clock: 90 }] }],
  },
  recovered: { kind: 'recovered', configuration },
  install: { kind: 'install', configuration },
}

const u32 = fc.oneof(fc.nat(), fc.integer({ min: 0, max: 0xffffffff }))
const u16 = fc.integer({ min: 0, max: 0xffff })
const count = fc.oneof(fc.nat(), fc.maxSafeNat())
const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 })
const memberName = fc
  .stringMatching(/^[a-zа-я0-9._-]{1,12}$/)
  .filter(text => new TextEncoder().encode(text).length <= 64)
const member = fc
  .tuple(memberName, fc.array(fc.integer({ min: 0, max: 15 }), { minLength: 32, maxLength: 32 }))
  .map(([text, digits]) => `${text}#${digits.map(digit => digit.toString(16)).join('')}`)
const members = (least: number): fc.Arbitrary<string[]> =>
  fc.uniqueArray(member, { minLength: least, maxLength: 5 }).map(list => list.sort())
const id = fc.tuple(count, member, u32).map(([epoch, by, nonce]) => configurationIdOf(epoch, by, nonce))
const factsOf: fc.Arbitrary<Facts> = fc.record({
  clock: count,
  seq: count,
  received: count,
  credit: count,
  consumed: count,
})
const place: fc.Arbitrary<Place> = fc.record({ epoch: count, ts: count, rank: u16, index: u32 })
const destination: fc.Arbitrary<Destination> = fc.oneof(
  fc.record({ to: fc.constant('groups' as const), groups: fc.array(name, { maxLength: 4 }) }),
  fc.record({ to: fc.constant('member' as const), daemon: member, session: u32 }),
)
const head: fc.Arbitrary<SegmentHead> = fc.oneof(
  fc.record({
    kind: fc.constant('messages' as const),
    session: u32,
    destination,
    service: fc.constantFrom('fifo' as const, 'causal' as const, 'agreed' as const, 'safe' as const),
    selfDiscard: fc.boolean(),
    trace: fc.boolean(),
    firstSequence: count,
    count: u32,
  }),
  fc.record({ kind: fc.constant('open' as const), session: u32, name }),
  fc.record({ kind: fc.constantFrom('join' as const, 'leave' as const), session: u32, group: name }),
  fc.record({
    kind: fc.constant('disconnect' as const),
    session: u32,
    reason: fc.constantFrom('closed' as const, 'lost' as const, 'evicted' as const),
    acknowledged: fc.record({ epoch: count, ts: count }),
  }),
  fc.record({
    kind: fc.constant('digest' as const),
    configuration: name,
    lastShown: fc.option(id),
    along: members(1),
    version: count,
    remembered: fc.array(fc.record({ daemon: member, version: count }), { maxLength: 3 }),
  }),
  fc.record({
    kind: fc.constant('groupState' as const),
    configuration: name,
    full: fc.boolean(),
    sessions: fc.array(fc.record({ session: u32, name }), { maxLength: 3 }),
    scopes: fc.array(name, { minLength: 2, maxLength: 3 }),
    groups: fc.array(
      fc.record({
        group: name,
        scope: fc.nat(1),
        index: count,
        whole: fc.boolean(),
        members: fc.array(fc.record({ session: u32, joined: place }), { maxLength: 3 }),
      }),
      { maxLength: 3 },
    ),
    last: fc.boolean(),
  }),
)
const segmentOf: fc.Arbitrary<Segment> = fc
  .record({
    safe: fc.boolean(),
    head: fc.option(head),
    bytes: u32,
    body: fc.array(fc.uint8Array({ maxLength: 12 }), { maxLength: 3 }),
  })
  // What windows count is never less than the payload; only the last fragment has a head.
  .map(segment => ({
    ...segment,
    more: segment.head === null,
    bytes: Math.max(segment.bytes, lengthOf(segment.body)),
  }))
const row: fc.Arbitrary<Row> = fc
  .record({ member, version: count, hears: members(0) })
  .map(value => ({ ...value, hears: value.hears.filter(other => other !== value.member) }))
const pair = fc.record({ clock: count, seq: count })
const streamStateOf: fc.Arbitrary<StreamState> = fc.record({
  contiguous: count,
  counted: pair,
  newest: pair,
  received: count,
  consumed: count,
  infinite: fc.boolean(),
})
const streamPlanOf: fc.Arbitrary<StreamPlan> = fc.record({
  upTo: count,
  clock: fc.oneof(count, fc.constant(Infinity)),
  received: count,
  consumed: count,
  supplier: member,
})
const groupPlan = members(1).chain(oldMembers =>
  fc.record({
    old: id,
    oldMembers: fc.constant(oldMembers),
    together: fc.subarray(oldMembers, { minLength: 1 }),
    streams: fc.array(streamPlanOf, { minLength: oldMembers.length, maxLength: oldMembers.length }),
  }),
)

/** Any frame that may be put on the wire. */
export const anyFrame: fc.Arbitrary<Frame> = fc.oneof(
  fc.record({
    kind: fc.constant('data' as const),
    configuration: id,
    rank: u16,
    seq: count,
    ts: count,
    facts: factsOf,
    segments: fc.array(segmentOf, { maxLength: 6 }),
  }),
  fc.record({
    kind: fc.constant('facts' as const),
    configuration: id,
    rank: u16,
    facts: factsOf,
    wants: fc.constantFrom('nothing' as const, 'answer' as const, 'relay' as const),
    others: fc.array(fc.record({ rank: u16, facts: factsOf }), { maxLength: 4 }),
  }),
  fc
    .record({
      kind: fc.constant('nak' as const),
      configuration: id,
      rank: u16,
      range: fc.tuple(count, count),
    })
    .map(({ range: [x, y], ...nak }) => ({ ...nak, from: Math.min(x, y), to: Math.max(x, y) })),
  fc.record({
    kind: fc.constant('heartbeat' as const),
    configuration: id,
    ballot: count,
    maxEpoch: count,
    phase: fc.constantFrom('operational' as const, 'gather' as const, 'recover' as const, 'leaving' as const),
    target: count,
    matrix: count,
    rows: fc.array(row, { maxLength: 4 }),
    facts: fc.option(factsOf),
  }),
  fc.record({ kind: fc.constantFrom('challenge' as const, 'answer' as const), nonce: count }),
  fc.record({ kind: fc.constant('form' as const), configuration: id, members: members(1) }),
  fc.record({
    kind: fc.constant('refuse' as const),
    configuration: id,
    epoch: count,
    why: fc.constantFrom('epoch' as const, 'deaf' as const),
  }),
  members(1).chain(oldMembers =>
    fc.record({
      kind: fc.constant('state' as const),
      configuration: id,
      old: id,
      oldMembers: fc.constant(oldMembers),
      streams: fc.array(streamStateOf, { minLength: oldMembers.length, maxLength: oldMembers.length }),
    }),
  ),
  fc.record({
    kind: fc.constant('plan' as const),
    configuration: id,
    members: members(1),
    groups: fc.array(groupPlan, { maxLength: 3 }),
  }),
  fc.record({ kind: fc.constantFrom('recovered' as const, 'install' as const), configuration: id }),
)

function lengthOf(body: readonly Uint8Array[]): number {
  return body.reduce((sum, slice) => sum + slice.length, 0)
}

/** One piece of bytes. */
export function joined(slices: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(slices.reduce((sum, slice) => sum + slice.length, 0))
  let at = 0
  for (const slice of slices) {
    bytes.set(slice, at)
    at += slice.length
  }
  return bytes
}

/** The frame with every body as one slice: how a body is cut up is not part of a frame's meaning. */
export function whole(frame: Frame): Frame {
  if (frame.kind !== 'data') return frame
  return {
    ...frame,
    segments: frame.segments.map(segment => {
      const body = joined(segment.body)
      return { ...segment, body: body.length > 0 ? [body] : [] }
    }),
  }
}
