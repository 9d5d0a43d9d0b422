import { describe, expect, it } from 'vitest'
import type { Place } from '../core/types.ts'
import { GroupError } from './errors.ts'
import type { GroupLimits } from './limits.ts'
import { RandomLife } from './random.fixture.ts'
import type { Destination, GroupEvent, MessagesEvent } from './types.ts'
import type { Client, Daemon, World } from './world.fixture.ts'

type Kind<Type extends GroupEvent['type']> = Extract<GroupEvent, { type: Type }>

/** A few daemons, told step by step what to do. */
class Story {
  readonly life: RandomLife
  readonly world: World
  readonly daemons: readonly Daemon[]

  constructor(daemons: number, limits: Partial<GroupLimits> = {}) {
    this.life = new RandomLife(1, daemons, limits)
    this.world = this.life.world
    this.daemons = this.world.daemons
    for (const daemon of this.daemons) this.flush(daemon)
    if (daemons > 1) this.together(...this.daemons)
  }

  daemon(index: number): Daemon {
    return this.daemons[index] as Daemon
  }

  client(daemon: Daemon, name: string, ...groups: string[]): Client {
    const client = this.life.client(daemon, name)
    for (const group of groups) this.join(client, group)
    return client
  }

  join(client: Client, group: string): void {
    client.daemon.groups.join(client.number, group)
    client.daemon.collect()
  }

  send(client: Client, destination: Destination | string, selfDiscard = false): void {
    const fields = {
      destination: typeof destination === 'string' ? toGroups(destination) : destination,
      service: 'agreed' as const,
      selfDiscard,
      trace: false,
      firstSequence: ++client.sequence,
      count: 1,
    }
    client.daemon.groups.messages(client.number, fields, [new Uint8Array(4)])
    client.daemon.collect()
  }

  close(client: Client): void {
    client.closing = true
    const acknowledged = client.daemon.acknowledgements.closing(client.number)
    client.daemon.groups.disconnect(client.number, 'closed', acknowledged)
    client.daemon.collect()
  }

  /** A new configuration of these, whose exchange completes. */
  together(...daemons: Daemon[]): void {
    this.world.reconfigure(daemons)
    this.flush(...daemons)
  }

  /** Everything that these have to send is ordered and delivered. */
  flush(...daemons: Daemon[]): void {
    for (let busy = true; busy; ) {
      busy = false
      for (const daemon of daemons) {
        daemon.send(1000)
        while (daemon.deliverNext()) busy = true
        daemon.tellHorizon()
        daemon.groups.invariants()
      }
    }
  }

  events<Type extends GroupEvent['type']>(daemon: Daemon, type: Type): Kind<Type>[] {
    return daemon.events.filter(event => event.type === type) as Kind<Type>[]
  }

  clear(): void {
    for (const daemon of this.daemons) daemon.events.length = 0
  }
}

function toGroups(...groups: string[]): Destination {
  return { to: 'groups', groups }
}

function codeOf(action: () => unknown): string {
  try {
    action()
  } catch (error) {
    if (error instanceof GroupError) return error.code
    throw error
  }
  return 'none'
}

const receivers = (daemon: Daemon): unknown => {
  const event = daemon.events.findLast(({ type }) => type === 'messages') as MessagesEvent | undefined
  return event?.receivers.map(({ group, sessions }) => [group, ...sessions])
}

const placeOf = (daemon: Daemon): Place =>
  (daemon.events.findLast(({ type }) => type === 'messages') as MessagesEvent).place

const states = (daemon: Daemon): { full: boolean }[] =>
  daemon.log.entries
    .map(entry => entry.segment.head as { kind: string; full: boolean })
    .filter(head => head.kind === 'groupState')

describe('requests', () => {
  it('are checked against what was accepted before', () => {
    const story = new Story(1, { sessions: 3, groupsPerSession: 2, groupNameBytes: 10 })
    const a = story.daemon(0)
    const { groups } = a
    const alice = story.client(a, 'alice', 'g')
    expect(alice.number).toBe(1)
    expect(codeOf(() => groups.open('alice'))).toBe('name-in-use')
    expect(codeOf(() => groups.open('a b'))).toBe('bad-name')
    expect(codeOf(() => groups.join(1, 'g'))).toBe('already-member')
    expect(codeOf(() => groups.join(1, ''))).toBe('bad-group')
    expect(codeOf(() => groups.join(1, 'ж'.repeat(6)))).toBe('bad-group')
    story.join(alice, 'ж'.repeat(5))
    expect(codeOf(() => groups.join(1, 'third'))).toBe('too-many-groups')
    expect(codeOf(() => groups.leave(1, 'third'))).toBe('not-member')
    groups.leave(1, 'g')
    expect(codeOf(() => groups.leave(1, 'g'))).toBe('not-member')
    groups.join(1, 'g')
    story.client(a, 'bob')
    story.client(a, 'carol')
    expect(codeOf(() => groups.open('dave'))).toBe('too-many-sessions')
    groups.disconnect(1, 'closed', { epoch: 0, ts: 0 })
    expect(codeOf(() => groups.join(1, 'x'))).toBe('no-session')
    expect(codeOf(() => groups.disconnect(1, 'closed', { epoch: 0, ts: 0 }))).toBe('no-session')
    // The name is free at once, the place in the limit only when the session is gone everywhere.
    expect(codeOf(() => groups.open('alice'))).toBe('too-many-sessions')
    a.collect()
    story.flush(a)
    expect(groups.open('alice')).toBe(4)
  })

  it('to send are checked', () => {
    const story = new Story(1, { destinationGroups: 2, messageBytes: 100 })
    const a = story.daemon(0)
    const alice = story.client(a, 'alice')
    const send = (destination: Destination, bytes: number, count: number, firstSequence: number): string =>
      codeOf(() => {
        const fields = { destination, service: 'agreed' as const, selfDiscard: false, trace: false }
        a.groups.messages(alice.number, { ...fields, firstSequence, count }, [new Uint8Array(bytes)])
      })
    expect(send(toGroups(), 4, 1, 1)).toBe('bad-destination')
    expect(send(toGroups('a', 'a'), 4, 1, 1)).toBe('bad-destination')
    expect(send(toGroups('a', 'b', 'c'), 4, 1, 1)).toBe('bad-destination')
    expect(send(toGroups('a', ''), 4, 1, 1)).toBe('bad-group')
    expect(send({ to: 'member', daemon: 'x', session: 0 }, 4, 1, 1)).toBe('bad-destination')
    expect(send(toGroups('a'), 3, 1, 1)).toBe('bad-message')
    expect(send(toGroups('a'), 4, 0, 1)).toBe('bad-message')
    expect(send(toGroups('a'), 4, 1, 0)).toBe('bad-message')
    expect(send(toGroups('a'), 4, 1, Number.MAX_SAFE_INTEGER)).toBe('bad-message')
    expect(send(toGroups('a'), 105, 1, 1)).toBe('message-too-large')
    expect(send(toGroups('a'), 104, 1, 1)).toBe('none')
    expect(send(toGroups('a'), 104, 1, 1)).toBe('bad-message')
    expect(send(toGroups('a', 'b'), 8, 2, 7)).toBe('none')
    expect(a.groups.takeSubmissions().length).toBe(2)
  })
})

describe('views', () => {
  it('follow joins, leaves and disconnects in the one order', () => {
    const story = new Story(2)
    const a = story.daemon(0)
    const b = story.daemon(1)
    const alice = story.client(a, 'alice', 'g', 'h')
    story.flush(a, b)
    const bob = story.client(b, 'bob', 'g')
    story.flush(a, b)
    const key = a.log.configuration.id.key
    expect(a.groups.view('g')).toEqual({ id: `${key}/3`, members: [alice.id, bob.id] })
    expect(b.groups.view('g')).toEqual(a.groups.view('g'))
    expect(b.groups.groups()).toEqual(['g', 'h'])
    expect(b.groups.sessionsOf(a.self)).toEqual([alice.id])
    story.clear()
    story.close(alice)
    story.flush(a, b)
    expect(a.groups.groups()).toEqual(['g'])
    expect(story.events(a, 'closed').map(event => event.session)).toEqual([alice.number])
    const [view] = story.events(b, 'view')
    expect(view?.change).toMatchObject({
      cause: 'disconnect',
      left: [alice.id],
      joined: [],
      previous: `${key}/3`,
    })
    expect(view?.change.members()).toEqual([bob.id])
    b.groups.leave(bob.number, 'g')
    b.collect()
    story.flush(a, b)
    expect(story.events(b, 'left')).toEqual([{ type: 'left', session: bob.number, group: 'g' }])
    expect(story.events(b, 'view').length).toBe(1)
    expect(a.groups.groupCount).toBe(0)
  })

  it('work out their members later, whatever happened since', () => {
    const story = new Story(1)
    const a = story.daemon(0)
    const [one, two, three] = ['one', 'two', 'three'].map(name => story.client(a, name, 'g')) as Client[]
    story.flush(a)
    a.groups.leave((two as Client).number, 'g')
    a.groups.join((two as Client).number, 'g')
    a.collect()
    story.close(one as Client)
    story.flush(a)
    const lists = story
      .events(a, 'view')
      .map(event => event.change.members().map(id => id.slice(0, id.indexOf('@'))))
    expect(lists).toEqual([
      ['one'],
      ['one', 'two'],
      ['one', 'two', 'three'],
      ['one', 'three'],
      ['one', 'three', 'two'],
      ['three', 'two'],
    ])
    expect(a.groups.members('g')).toEqual([three?.id, two?.id])
  })

  it('of a merge name all the sets that come together; a view that nobody enters or leaves goes on', () => {
    const story = new Story(3)
    const [a, b, c] = story.daemons as [Daemon, Daemon, Daemon]
    const alice = story.client(a, 'alice', 'all')
    const bob = story.client(b, 'bob', 'all', 'pair')
    const ben = story.client(b, 'ben', 'pair')
    const carol = story.client(c, 'carol', 'all')
    story.flush(a, b, c)
    const pair = a.groups.view('pair')
    story.clear()
    story.together(a)
    story.together(b, c)
    const ab = a.groups.view('all')
    const bc = b.groups.view('all')
    expect(ab).toEqual({ id: `${a.log.configuration.id.key}/0`, members: [alice.id] })
    expect(bc?.members).toEqual([bob.id, carol.id])
    expect(story.events(a, 'transitional').map(event => event.group)).toEqual(['all'])
    expect(story.events(b, 'transitional').map(event => event.group)).toEqual(['all'])
    // Nobody of `pair` is at a, which forgets the group; at b and c its view goes on.
    expect(a.groups.view('pair')).toBe(null)
    expect(c.groups.view('pair')).toEqual(pair)
    const late = story.client(a, 'late', 'all')
    story.flush(a)
    const old = a.groups.view('all')
    story.clear()
    story.together(a, b, c)
    for (const daemon of story.daemons) {
      expect(daemon.groups.view('pair')).toEqual(pair)
      const [{ change }] = story.events(daemon, 'view') as [Kind<'view'>]
      expect(story.events(daemon, 'view').length).toBe(1)
      expect(change.cause).toBe('network')
      expect(change.members()).toEqual([alice.id, bob.id, carol.id, late.id])
      expect(change.origins).toEqual([
        { view: old?.id, members: [alice.id, late.id] },
        { view: bc?.id, members: [bob.id, carol.id] },
      ])
      // Nobody is cut off, but the view that ends is announced.
      expect(story.events(daemon, 'transitional').map(event => event.view)).toEqual([change.previous])
    }
    const atA = story.events(a, 'view')[0]?.change
    expect(atA).toMatchObject({ previous: old?.id, joined: [bob.id, carol.id], left: [], appended: false })
    const atB = story.events(b, 'view')[0]?.change
    expect(atB).toMatchObject({ previous: bc?.id, joined: [alice.id, late.id], left: [] })
    expect(ben.daemon).toBe(b)
  })

  it('are shown in the transitional configuration if the exchange completes there, and signalled at once', () => {
    const story = new Story(3)
    const [a, b, c] = story.daemons as [Daemon, Daemon, Daemon]
    story.client(a, 'alice', 'g')
    story.client(c, 'carol', 'g')
    story.flush(a, b, c)
    story.together(a, b)
    story.together(c)
    story.world.reconfigure([a, b, c])
    for (const daemon of [a, b, c]) daemon.send(10)
    while (c.deliverNext()) c.tellHorizon()
    c.send(10)
    for (const daemon of [a, b]) while (daemon.deliverNext()) daemon.tellHorizon()
    a.send(10)
    b.send(10)
    // All of the exchange is in the order, but nobody has delivered its end.
    const { entries, configuration } = c.log
    const parts = entries.filter(({ segment }) => (segment.head as { kind: string }).kind === 'groupState')
    expect(parts.map(({ sender }) => sender).sort()).toEqual([a.self, c.self].sort())
    story.clear()
    a.feed({ type: 'transitional', of: configuration, members: [a.self, b.self], consumed: [0, 0, 0] })
    expect(a.events).toEqual([])
    while (a.deliverNext()) continue
    const key = configuration.id.key
    expect(a.events.map(event => event.type)).toEqual(['shown', 'transitional', 'view', 'transitional'])
    expect(story.events(a, 'transitional')[1]?.view).toBe(`${key}/0`)
    expect(a.groups.gateOpen).toBe(false)
  })
})

describe('the exchange', () => {
  it('tells nothing if all have the same', () => {
    const story = new Story(2)
    const [a, b] = story.daemons as [Daemon, Daemon]
    story.client(a, 'alice', 'g')
    story.flush(a, b)
    story.clear()
    story.together(a, b)
    expect(states(a)).toEqual([])
    expect(story.events(a, 'view')).toEqual([])
    expect(story.events(a, 'shown').length).toBe(1)
  })

  it('tells the views only, if members are remembered; in full what changed since', () => {
    const story = new Story(2)
    const [a, b] = story.daemons as [Daemon, Daemon]
    story.client(a, 'alice', 'g')
    const bob = story.client(b, 'bob', 'g')
    story.flush(a, b)
    story.together(a)
    story.together(b)
    story.together(a, b)
    expect(states(a).map(({ full }) => full)).toEqual([false, false])
    expect(a.groups.members('g').length).toBe(2)
    story.together(a)
    story.together(b)
    story.join(bob, 'h')
    story.flush(b)
    story.together(a, b)
    expect(
      states(a)
        .map(({ full }) => full)
        .sort(),
    ).toEqual([false, true])
    expect(a.groups.members('h')).toEqual([bob.id])
    story.together(a)
    story.together(b)
    const c = story.world.boot('c')
    story.flush(c)
    story.together(a, b, c)
    // The third knows nothing, and has nothing to tell.
    expect(states(a).map(({ full }) => full)).toEqual([true, true])
    expect(c.groups.view('g')).toEqual(a.groups.view('g'))
  })

  it('tells a large state in bounded parts', () => {
    const limit = 2000
    const story = new Story(2, { statePartBytes: limit })
    const [a, b] = story.daemons as [Daemon, Daemon]
    story.together(a)
    story.together(b)
    for (let i = 0; i < 40; i++) story.client(a, `client${i}`, 'everyone', `group${i % 7}`)
    story.flush(a)
    story.together(a, b)
    const sizes = a.log.entries.filter(entry => entry.sender === a.self).map(entry => entry.segment.bytes)
    expect(sizes.length).toBeGreaterThan(2)
    expect(Math.max(...sizes)).toBeLessThanOrEqual(limit)
    expect(b.groups.groups()).toEqual(a.groups.groups())
    for (const group of a.groups.groups()) expect(b.groups.view(group)).toEqual(a.groups.view(group))
  })

  it('cut short leaves nothing behind', () => {
    const story = new Story(2)
    const [a, b] = story.daemons as [Daemon, Daemon]
    story.together(a)
    story.together(b)
    const alice = story.client(a, 'alice', 'g')
    const bob = story.client(b, 'bob', 'g')
    story.flush(a)
    story.flush(b)
    story.world.reconfigure([a, b])
    a.send(10)
    b.send(10)
    a.deliverNext()
    story.together(a)
    story.together(b)
    expect(a.groups.members('g')).toEqual([alice.id])
    expect(b.groups.members('g')).toEqual([bob.id])
    expect([...story.world.marks]).toContain('exchange cut short')
  })
})

describe('messages', () => {
  it('reach each local member once, in the first group it is in', () => {
    const story = new Story(2)
    const [a, b] = story.daemons as [Daemon, Daemon]
    const alice = story.client(a, 'alice', 'g')
    const anna = story.client(a, 'anna', 'g', 'h')
    const adam = story.client(a, 'adam', 'h')
    const bob = story.client(b, 'bob')
    story.flush(a, b)
    story.clear()
    story.send(bob, toGroups('h', 'nobody', 'g'))
    story.flush(a, b)
    expect(receivers(a)).toEqual([
      ['h', anna.number, adam.number],
      ['g', alice.number],
    ])
    const [own] = story.events(b, 'messages')
    expect(own).toMatchObject({ own: bob.number, receivers: [], sender: bob.id })
    expect(own?.views).toEqual([
      { group: 'h', view: a.groups.view('h')?.id },
      { group: 'g', view: a.groups.view('g')?.id },
    ])
    expect(story.events(a, 'messages')[0]?.own).toBe(0)
  })

  it('come back to the sender unless it does not want them', () => {
    const story = new Story(1)
    const a = story.daemon(0)
    const alice = story.client(a, 'alice', 'g')
    const anna = story.client(a, 'anna', 'g')
    story.send(alice, 'g')
    story.flush(a)
    expect(receivers(a)).toEqual([['g', alice.number, anna.number]])
    story.send(alice, 'g', true)
    story.flush(a)
    expect(receivers(a)).toEqual([['g', anna.number]])
    a.groups.leave(anna.number, 'g')
    a.collect()
    story.send(alice, 'g', true)
    story.flush(a)
    expect(receivers(a)).toEqual([])
    expect((a.events.findLast(({ type }) => type === 'messages') as MessagesEvent).own).toBe(alice.number)
  })

  it('to one member reach only that', () => {
    const story = new Story(2)
    const [a, b] = story.daemons as [Daemon, Daemon]
    const alice = story.client(a, 'alice')
    const bob = story.client(b, 'bob')
    story.flush(a, b)
    story.clear()
    story.send(alice, { to: 'member', daemon: b.self, session: bob.number })
    story.flush(a, b)
    expect(receivers(b)).toEqual([[null, bob.number]])
    expect(receivers(a)).toEqual([])
    const { place } = story.events(a, 'messages')[0] as MessagesEvent
    expect(a.groups.fateOf('', place)).toBe('pending')
    story.life.drain()
    for (const daemon of [a, b]) {
      expect(daemon.groups.fateOf('', place)).toEqual({ view: '', received: [bob.id], unknown: [] })
    }
    story.send(alice, { to: 'member', daemon: b.self, session: 77 })
    story.flush(a, b)
    const last = story.events(a, 'messages').at(-1) as MessagesEvent
    expect(a.groups.fateOf('', last.place)).toEqual({ view: '', received: [], unknown: [] })
    expect(story.events(b, 'messages').length).toBe(1)
    expect(codeOf(() => b.groups.fateOf('', last.place))).toBe('fate-expired')
  })
})

describe('fates', () => {
  it('are settled by acknowledgement, disconnect or loss', () => {
    const story = new Story(3)
    const [a, b, c] = story.daemons as [Daemon, Daemon, Daemon]
    const alice = story.client(a, 'alice', 'g')
    const bob = story.client(b, 'bob', 'g')
    const ben = story.client(b, 'ben', 'g')
    const carol = story.client(c, 'carol', 'g')
    story.flush(a, b, c)
    story.send(alice, 'g')
    story.flush(a, b, c)
    const place = placeOf(a)
    const view = a.groups.view('g')?.id
    story.close(ben)
    story.flush(a, b, c)
    for (const client of [alice, bob]) {
      client.read = client.sent
      client.daemon.acknowledgements.acknowledge(client.number, client.read, client.sent)
      client.daemon.publish()
    }
    a.hear(b)
    b.hear(a)
    expect(a.groups.fateOf('g', place)).toBe('pending')
    expect(story.events(a, 'settled').some(event => event.place.ts >= place.ts)).toBe(false)
    story.world.crash(c)
    story.together(a, b)
    const fate = { view, received: [alice.id, bob.id], unknown: [ben.id, carol.id] }
    expect(a.groups.fateOf('g', place)).toEqual(fate)
    expect(b.groups.fateOf('g', place)).toEqual(fate)
    expect(story.events(a, 'settled').at(-1)?.place.epoch).toBeGreaterThanOrEqual(place.epoch)
    const settledAt = story.events(a, 'settled').findIndex(event => event.place.ts >= place.ts)
    expect(settledAt).toBeGreaterThanOrEqual(0)
  })

  it('have errors with reasons', () => {
    const story = new Story(1, { fateViews: 2 })
    const a = story.daemon(0)
    const alice = story.client(a, 'alice', 'g')
    story.send(alice, 'g')
    story.flush(a)
    const place = placeOf(a)
    expect(codeOf(() => a.groups.fateOf('g', { ...place, ts: place.ts + 100 }))).toBe('fate-not-yet')
    expect(codeOf(() => a.groups.fateOf('other', place))).toBe('fate-expired')
    expect(codeOf(() => a.groups.fateOf('g', { ...place, ts: 0 }))).toBe('fate-expired')
    // Not settled: kept although it is more than two views ago.
    const more = ['b', 'c', 'd', 'e'].map(name => story.client(a, name, 'g'))
    story.flush(a)
    expect(a.groups.fateOf('g', place)).toBe('pending')
    story.life.drain()
    expect(a.groups.fateOf('g', place)).toMatchObject({ received: [alice.id], unknown: [] })
    for (const client of more) story.close(client)
    story.flush(a)
    expect(codeOf(() => a.groups.fateOf('g', place))).toBe('fate-expired')
    a.groups.leave(alice.number, 'g')
    a.collect()
    story.flush(a)
    story.send(alice, 'g')
    story.flush(a)
    expect(codeOf(() => a.groups.fateOf('g', placeOf(a)))).toBe('fate-no-view')
  })

  it('remember no more past views than the limit, settled or not', () => {
    const story = new Story(1, { fateViewsTotal: 5 })
    const a = story.daemon(0)
    const alice = story.client(a, 'alice', 'first')
    story.send(alice, 'first')
    story.flush(a)
    const place = placeOf(a)
    const bob = story.client(a, 'bob', 'first')
    story.flush(a)
    expect(a.groups.fateOf('first', place)).toBe('pending')
    for (let i = 0; i < 3000; i++) {
      a.groups.join(bob.number, 'churn')
      a.groups.leave(bob.number, 'churn')
    }
    a.collect()
    story.flush(a)
    expect(codeOf(() => a.groups.fateOf('first', place))).toBe('fate-expired')
    expect(a.groups.groups()).toEqual(['first'])
  })
})
