/** Members that order what no daemon that behaves orders: it counts for nothing, at everybody alike. */

import { describe, expect, it } from 'vitest'
import { configurationId } from '../core/configuration.ts'
import type { Configuration, MemberId, Place } from '../core/types.ts'
import { Groups } from './groups.ts'
import { mostMemberships, objectionToJoin } from './rules.ts'
import type { DigestHead, GroupEvent, GroupSegment, MessagesHead, SegmentHead, StateHead } from './types.ts'
import { Home, Session } from './view.ts'

const evil: MemberId = 'z#9'

/** Daemons that behave, and one that says whatever a test wants, in one order. */
class Order {
  readonly members: Map<MemberId, Groups> = new Map()
  readonly told: Map<MemberId, GroupEvent[]> = new Map()
  configuration: Configuration = { id: configurationId(0, evil, 0), members: [] }
  private queue: { readonly sender: MemberId; readonly segment: GroupSegment }[] = []
  private ts = 0
  private epoch = 1

  constructor(...names: readonly MemberId[]) {
    for (const self of names) {
      this.members.set(self, new Groups({ self }))
      this.told.set(self, [])
      this.form([self])
    }
  }

  /** These, and perhaps the evil one, form a configuration. */
  form(members: readonly MemberId[]): void {
    const id = configurationId(++this.epoch, members[0] as MemberId, 1)
    this.configuration = { id, members: [...members].sort() }
    this.ts = 0
    for (const member of members) {
      const groups = this.members.get(member)
      if (groups === undefined) continue
      const before = this.current.get(member)
      if (before !== undefined) {
        const together = before.members.filter(other => members.includes(other))
        groups.handle({
          type: 'transitional',
          of: before,
          members: together,
          consumed: before.members.map(() => 0),
        })
      }
      this.current.set(member, this.configuration)
      groups.handle({ type: 'regular', configuration: this.configuration, together: null })
      this.collect(member)
    }
    this.settle()
  }

  private readonly current: Map<MemberId, Configuration> = new Map()

  say(head: SegmentHead | null, change: Partial<GroupSegment> = {}): void {
    this.queue.push({
      sender: evil,
      segment: { safe: false, more: false, head, bytes: 100, body: [], ...change },
    })
    this.settle()
  }

  /** Everything that waits is delivered to all, in one order. */
  settle(): void {
    for (const member of this.configuration.members) this.collect(member)
    for (let next = this.queue.shift(); next !== undefined; next = this.queue.shift()) {
      const { id, members } = this.configuration
      const { sender, segment } = next
      const place = { epoch: id.epoch, ts: ++this.ts, rank: members.indexOf(sender), index: 0 }
      for (const member of members) {
        this.members.get(member)?.handle({ type: 'deliver', sender, place, segment })
        this.collect(member)
      }
    }
  }

  private collect(member: MemberId): void {
    const groups = this.members.get(member)
    if (groups === undefined) return
    for (const { segment } of groups.takeSubmissions()) this.queue.push({ sender: member, segment })
    this.told.get(member)?.push(...groups.takeEvents())
  }

  of(member: MemberId): Groups {
    return this.members.get(member) as Groups
  }

  /** What each says that it did not heed. */
  get ignored(): string[][] {
    return [...this.told.values()].map(events =>
      events.flatMap(event => (event.type === 'ignored' ? [`${event.daemon} ${event.why}`] : [])),
    )
  }

  /** Everybody of these sees the same, or the test fails. */
  agreed(...members: readonly MemberId[]): unknown {
    const seen = members.map(member => {
      const groups = this.of(member)
      groups.invariants()
      return groups.groups().map(name => [name, groups.view(name)])
    })
    for (const each of seen) expect(each).toEqual(seen[0])
    return seen[0]
  }
}

const digest = (order: Order, change: Partial<DigestHead> = {}): DigestHead => ({
  kind: 'digest',
  configuration: order.configuration.id.key,
  lastShown: null,
  along: [evil],
  version: 0,
  remembered: [],
  ...change,
})

const state = (order: Order, change: Partial<StateHead> = {}): StateHead => ({
  kind: 'groupState',
  configuration: order.configuration.id.key,
  full: true,
  sessions: [],
  scopes: [],
  groups: [],
  last: true,
  ...change,
})

const message = (change: Partial<MessagesHead> = {}): MessagesHead => ({
  kind: 'messages',
  session: 1,
  destination: { to: 'groups', groups: ['g'] },
  service: 'agreed',
  selfDiscard: false,
  trace: false,
  firstSequence: 1,
  count: 1,
  ...change,
})

/** Three members, one of them evil; its exchange is over, and it has session 1 in group g. */
function together(): Order {
  const order = new Order('a#1', 'b#2')
  order.form(['a#1', 'b#2', evil])
  order.say(digest(order))
  order.say({ kind: 'open', session: 1, name: 'z' })
  order.say({ kind: 'join', session: 1, group: 'g' })
  order.of('a#1').join(order.of('a#1').open('alice'), 'g')
  order.settle()
  expect(order.ignored).toEqual([[], []])
  expect(order.of('b#2').members('g')).toEqual([`z@${evil}.1`, 'alice@a#1.1'])
  return order
}

const body = [new Uint8Array(4)]
const nobody = { epoch: 0, ts: 0 }

describe('a member that orders nonsense', () => {
  it.each<[string, SegmentHead | null, Partial<GroupSegment>]>([
    ['a segment without a head', null, {}],
    ['a session opened twice', { kind: 'open', session: 1, name: 'z2' }, {}],
    ['a session number 0', { kind: 'open', session: 0, name: 'z' }, {}],
    ['a session name that takes ids apart', { kind: 'open', session: 2, name: 'alice@a#1' }, {}],
    ['a join of a session that is not open', { kind: 'join', session: 7, group: 'g' }, {}],
    ['a second join', { kind: 'join', session: 1, group: 'g' }, {}],
    ['a leave of a group that it is not in', { kind: 'leave', session: 1, group: 'h' }, {}],
    ['a leave of a group that there is not', { kind: 'leave', session: 1, group: 'nowhere' }, {}],
    [
      'a disconnect of nobody',
      { kind: 'disconnect', session: 9, reason: 'closed', acknowledged: nobody },
      {},
    ],
    ['messages of nobody', message({ session: 9 }), { body }],
    ['no messages', message({ count: 0 }), { body }],
    ['more messages than bytes', message({ count: 4_294_967_295 }), { body }],
    ['impossible sequences', message({ firstSequence: 2 ** 53 - 1 }), { body }],
    ['a message that claims to be safe', message({ service: 'safe' }), { body }],
    ['a message that is larger than any', message(), { body: [new Uint8Array(17 * 1024 * 1024)] }],
  ])('is not heeded: %s', (_, head, segment) => {
    const order = together()
    const before = order.agreed('a#1', 'b#2')
    order.say(head, segment)
    const [one, other] = order.ignored
    expect(one).toHaveLength(1)
    expect(other).toEqual(one)
    expect(order.agreed('a#1', 'b#2')).toEqual(before)
    // And the next view has the same id at all.
    order.of('b#2').join(order.of('b#2').open('bob'), 'g')
    order.settle()
    expect(order.agreed('a#1', 'b#2')).toMatchObject([
      ['g', { members: [`z@${evil}.1`, 'alice@a#1.1', 'bob@b#2.1'] }],
    ])
  })

  it('before the exchange, when the directories differ, speaks for no client', () => {
    const order = new Order('a#1', 'b#2')
    order.form(['a#1', 'b#2', evil])
    order.say({ kind: 'open', session: 1, name: 'z' })
    order.say(message(), { body })
    expect(order.ignored[0]).toEqual(
      Array.from({ length: 2 }, () => `${evil} it speaks for a client before the exchange`),
    )
    order.say(digest(order))
    expect(order.of('a#1').gateOpen).toBe(true)
  })

  it('cannot be in more groups than everybody can hold', () => {
    const home = new Home(evil, nobody)
    const session = new Session(home, 1, 'z')
    home.memberships = mostMemberships - 1
    expect(objectionToJoin(session, 'g')).toBeNull()
    home.memberships++
    expect(objectionToJoin(session, 'g')).not.toBeNull()
  })
})

describe('an exchange with a member that lies', () => {
  it.each<[string, Partial<DigestHead>]>([
    ['that came along without itself', { along: ['a#1'], lastShown: configurationId(1, 'a#1', 1) }],
    ['that has shown the future', { lastShown: configurationId(99, evil, 1) }],
    ['with more companions than members', { along: ['a#1', 'b#2', 'c#3', 'd#4', evil] }],
    [
      'that remembers more than there is',
      { remembered: Array.from({ length: 9 }, () => ({ daemon: 'a#1', version: 3 })) },
    ],
  ])('counts a digest %s as that of a new daemon', (_, change) => {
    const order = new Order('a#1', 'b#2')
    order.form(['a#1', 'b#2', evil])
    order.say(digest(order, change))
    expect(order.ignored[0]).toHaveLength(1)
    expect(order.ignored[1]).toEqual(order.ignored[0])
    expect(order.of('a#1').gateOpen).toBe(true)
  })

  it('heeds no second digest, no state that nobody asked for, and none after the last part', () => {
    const order = new Order('a#1', 'b#2')
    order.form(['a#1', 'b#2', evil])
    order.say(state(order))
    order.say(digest(order, { version: 3 }))
    order.say(digest(order))
    order.say(state(order, { full: false }))
    order.say(state(order))
    order.say(state(order))
    expect(order.ignored[0]).toEqual([
      `${evil} it tells a state that nobody asked for`,
      `${evil} it sends a second digest`,
      `${evil} it tells a state that nobody asked for`,
      `${evil} it goes on after the last part of its state`,
    ])
    expect(order.ignored[1]).toEqual(order.ignored[0])
    expect(order.of('b#2').gateOpen).toBe(true)
  })

  it('leaves out sessions, members and views that cannot be, and takes the rest', () => {
    const order = new Order('a#1', 'b#2')
    order.form(['a#1', 'b#2', evil])
    order.say(digest(order, { version: 3 }))
    const { key, epoch } = order.configuration.id
    const joined = { epoch: 1, ts: 1, rank: 0, index: 0 }
    order.say(
      state(order, {
        sessions: [
          { session: 1, name: 'z' },
          { session: 1, name: 'again' },
          { session: 0, name: 'zero' },
          { session: 2, name: 'a b' },
        ],
        scopes: ['1.z#9.1', `${key}~7`],
        groups: [
          { group: 'g', scope: 0, index: 1, whole: true, members: [{ session: 1, joined }] },
          { group: 'h', scope: 1, index: 1, whole: true, members: [{ session: 1, joined }] },
          { group: 'i', scope: 0, index: 2, whole: true, members: [{ session: 5, joined }] },
          {
            group: 'j',
            scope: 0,
            index: 3,
            whole: true,
            members: [{ session: 1, joined: { ...joined, epoch } }],
          },
        ],
      }),
    )
    expect(order.agreed('a#1', 'b#2')).toEqual([['g', { id: '1.z#9.1/1', members: [`z@${evil}.1`] }]])
    // Who joins now comes last.
    order.of('a#1').join(order.of('a#1').open('alice'), 'g')
    order.settle()
    expect(order.of('b#2').members('g')).toEqual([`z@${evil}.1`, 'alice@a#1.1'])
  })

  it.each<[string, Partial<DigestHead>, Partial<StateHead>]>([
    ['a version that it does not have', { version: 0 }, {}],
    ['sessions that it does not have', {}, { sessions: [{ session: 8, name: 'q' }] }],
    ['a view that its companions do not have', {}, { scopes: ['x'] }],
    ['the truth', {}, {}],
  ])(
    'in which it tells others %s is relied on in the next one only if that is so',
    (what, digestChange, stateChange) => {
      const order = new Order('a#1', 'b#2', 'c#3')
      order.form(['a#1', evil])
      order.say(digest(order))
      order.say({ kind: 'open', session: 1, name: 'z' })
      order.say({ kind: 'join', session: 1, group: 'g' })
      order.of('a#1').join(order.of('a#1').open('alice'), 'g')
      order.settle()
      order.say({ kind: 'join', session: 1, group: 'h' })
      const lastShown = order.configuration.id
      order.form(['a#1', 'b#2', 'c#3', evil])
      order.say(digest(order, { lastShown, along: ['a#1', evil], version: 3, ...digestChange }))
      const members = (ts: number): { session: number; joined: Place }[] => [
        { session: 1, joined: { epoch: lastShown.epoch, ts, rank: 1, index: 0 } },
      ]
      const groups = [
        { group: 'g', scope: 0, index: 2, whole: true, members: members(4) },
        { group: 'h', scope: 0, index: 3, whole: true, members: members(7) },
      ]
      const sessions = [{ session: 1, name: 'z' }]
      const truth = { sessions, groups, scopes: [lastShown.key] }
      if (digestChange.version !== 0) order.say(state(order, { ...truth, ...stateChange }))
      expect(order.of('c#3').gateOpen).toBe(true)
      const lies = [`${evil} it told others what is not so`]
      expect(order.ignored[0]).toEqual(what === 'the truth' ? [] : lies)
      // It is gone: those who believed it, and those who knew better, agree again, and nothing of it is left.
      order.form(['a#1', 'b#2', 'c#3'])
      expect(order.agreed('a#1', 'b#2', 'c#3')).toMatchObject([['g', { members: ['alice@a#1.1'] }]])
      expect(order.of('b#2').sessionsOf(evil)).toEqual([])
    },
  )
})
