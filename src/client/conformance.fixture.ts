/**
 * What every session must do, whatever its channel and wherever the cell runs: one suite for all of them.
 *
 *     describeConformance('unix socket, host loop', async () => ({ connect, stop }))
 */

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { ClientTraceLine } from '../lib/trace.ts'
import type { Events, Group, Session, SessionOptions } from './api.ts'
import type { MessageEvent, SessionEvent, ViewEvent, WarningEvent } from './events.ts'
import { comparePlaces } from './position.ts'

export interface ConformanceTarget {
  /** A new session with the running node. */
  connect(options?: SessionOptions): Promise<Session>
  stop?(): Promise<void>
}

let target: ConformanceTarget
let opened: Session[] = []
let lastName = 0

async function connect(options: SessionOptions = {}): Promise<Session> {
  const session = await target.connect(options)
  opened.push(session)
  return session
}

/** A group name that no other test uses. */
function unique(name = 'group'): string {
  return `${name}-${++lastName}`
}

/** The events of one kind of iterator until `enough`, which sees what there is so far. */
async function take(events: Events, enough: (taken: SessionEvent[]) => boolean): Promise<SessionEvent[]> {
  const taken: SessionEvent[] = []
  for (;;) {
    const { value, done } = await events.next()
    if (done === true) throw new Error(`the iterator ended after ${taken.length} events`)
    taken.push(value)
    if (enough(taken)) return taken
  }
}

async function takeMessages(events: Events, count: number): Promise<MessageEvent[]> {
  let seen = 0
  const all = await take(events, taken => {
    if (taken.at(-1)!.type === 'message') seen++
    return seen === count
  })
  return all.filter(event => event.type === 'message')
}

async function takeView(events: Events, wanted: (view: ViewEvent) => boolean): Promise<ViewEvent> {
  const isWanted = (event: SessionEvent) => event.type === 'view' && wanted(event)
  return (await take(events, taken => isWanted(taken.at(-1)!))).at(-1) as ViewEvent
}

function hasMembers(...sessions: Session[]): (view: ViewEvent) => boolean {
  const wanted = sessions.map(session => session.id).sort()
  return view => JSON.stringify([...view.members].sort()) === JSON.stringify(wanted)
}

async function send(group: Group, data: string): Promise<number> {
  for (;;) {
    const sequence = group.trySend(data)
    if (sequence > 0) return sequence
    await group.writable()
  }
}

const sorted = (list: readonly string[]) => [...list].sort()

function joiningTests(): void {
  test('a join resolves with the view, which is also the first event', async () => {
    const alice = await connect({ name: 'alice' })
    const name = unique()
    const group = await alice.join(name)
    expect(group.name).toBe(name)
    expect(group.view.members).toEqual([alice.id])
    expect(group.view.cause).toBe('join')
    const { value } = await group.events().next()
    expect(value).toBe(group.view)
  })

  test('members of a view are the same and in the same order for all; leaving and closing change it', async () => {
    const alice = await connect({ name: 'alice' })
    const bob = await connect({ name: 'bob' })
    const carol = await connect({ name: 'carol' })
    const name = unique()
    const a = await alice.join(name)
    const b = await bob.join(name)
    const c = await carol.join(name)
    expect(c.view.members).toEqual([alice.id, bob.id, carol.id])
    const atAlice = a.events()
    const atBob = b.events()
    const three = await takeView(atAlice, hasMembers(alice, bob, carol))
    expect(three.view).toBe(c.view.view)
    expect(three.joined).toEqual([carol.id])
    expect((await takeView(atBob, hasMembers(alice, bob, carol))).members).toEqual(three.members)
    await c.leave()
    expect(c.closed).toBe(true)
    const two = await takeView(atAlice, hasMembers(alice, bob))
    expect(two).toMatchObject({ cause: 'leave', left: [carol.id], previous: three.view })
    await bob.close()
    const one = await takeView(atAlice, hasMembers(alice))
    expect(one.cause).toBe('disconnect')
  })

  test('joining again gives the same group; after a leave it is a new one', async () => {
    const alice = await connect()
    const name = unique()
    const [one, two] = await Promise.all([alice.join(name), alice.join(name)])
    expect(two).toBe(one)
    const events = one.events()
    const leaving = one.leave()
    expect(() => one.trySend('late')).toThrow(expect.objectContaining({ code: 'closed' }))
    const again = await alice.join(name)
    await leaving
    expect(again).not.toBe(one)
    expect(again.view.members).toEqual([alice.id])
    const rest: SessionEvent[] = []
    for await (const event of events) rest.push(event)
    expect(rest.map(event => event.type)).toEqual(['view'])
  })

  test('group names: Cyrillic, the longest, and those that are none', async () => {
    const alice = await connect()
    const cyrillic = unique('заказы')
    const longest = 'ж'.repeat(120) + unique().padStart(15, 'x')
    for (const name of [cyrillic, longest]) {
      const group = await alice.join(name)
      const receipt = await group.send('привет')
      expect(receipt.view).toBe(group.view.view)
      const message = (await takeMessages(group.events(), 1))[0]!
      expect(message.group).toBe(name)
      expect(message.text()).toBe('привет')
    }
    expect((await alice.membersOf(cyrillic)) as unknown).toEqual([alice.id])
    await expect(alice.join('')).rejects.toMatchObject({ code: 'bad-group-name' })
    await expect(alice.join('ж'.repeat(128))).rejects.toMatchObject({ code: 'bad-group-name' })
  })

  test('an aborted join rejects and leaves no member behind', async () => {
    const alice = await connect()
    const bob = await connect()
    const name = unique()
    await expect(alice.join(name, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'aborted' })
    const stop = new AbortController()
    const joining = alice.join(name, { signal: stop.signal })
    // Not before the request is under way.
    await Promise.resolve()
    stop.abort()
    const early = await joining.catch(() => null)
    if (early !== null) await early.leave()
    const group = await bob.join(name)
    // Were it still a member, it could not join as a new one.
    const again = await alice.join(name)
    await again.leave()
    const events = group.events()
    await takeView(events, view => view.view === again.view.view)
    const last = await takeView(events, view => view.left.includes(alice.id))
    expect(last.members).toEqual([bob.id])
  })

  test('a thousand joins in a burst', async () => {
    const alice = await connect()
    const names = Array.from({ length: 1000 }, () => unique('burst'))
    const groups = await Promise.all(names.map(name => alice.join(name)))
    expect(groups.map(group => group.name)).toEqual(names)
    expect(groups.every(group => group.members.length === 1)).toBe(true)
    const known = new Set((await alice.groups()).map(summary => summary.group))
    expect(names.every(name => known.has(name))).toBe(true)
  })
}

function orderTests(): void {
  test('all receivers see all messages in one order, and each sender’s in the order sent', async () => {
    const sessions = await Promise.all(['a', 'b', 'c'].map(name => connect({ name })))
    const name = unique()
    const groups: Group[] = []
    for (const session of sessions) groups.push(await session.join(name))
    const count = 400
    const receiving = groups.map(group => takeMessages(group.events(), count * groups.length))
    for (let i = 0; i < count; i++) {
      for (const group of groups) await send(group, `${i}`)
      if (i % 50 === 0)
        await groups[i % 3]!.send('x').then(
          () => {},
          () => {},
        )
    }
    const received = await Promise.all(receiving)
    const ids = received.map(list => list.map(message => `${message.id} ${message.position}`))
    expect(ids[1]).toEqual(ids[0])
    expect(ids[2]).toEqual(ids[0])
    const last = new Map<string, number>()
    for (const message of received[0]!) {
      expect(message.sequence).toBe((last.get(message.sender) ?? 0) + 1)
      last.set(message.sender, message.sequence)
    }
    for (let i = 1; i < received[0]!.length; i++) {
      expect(comparePlaces(received[0]![i - 1]!.place, received[0]![i]!.place)).toBeLessThanOrEqual(0)
    }
    expect(received[0]!.filter(message => message.own).every(m => m.sender === sessions[0]!.id)).toBe(true)
  })

  test('one order spans the groups of a session', async () => {
    const alice = await connect()
    const bob = await connect()
    const names = [unique(), unique()]
    const atAlice: Group[] = []
    for (const name of names) {
      atAlice.push(await alice.join(name))
      await bob.join(name)
    }
    for (let i = 0; i < 50; i++) await send(atAlice[i % 2]!, `${i}`)
    const one = await takeMessages(alice.events(), 50)
    const other = await takeMessages(bob.events(), 50)
    expect(one.map(message => message.text())).toEqual(Array.from({ length: 50 }, (_, i) => `${i}`))
    expect(other.map(message => message.position)).toEqual(one.map(message => message.position))
  })

  test('bytes arrive as they were when sent: empty, binary, text, many sizes', async () => {
    const alice = await connect()
    const group = await alice.join(unique())
    const sizes = [0, 1, 3, 4, 5, 63, 64, 65, 1000, 65_535, 65_536, 131_071, 131_072, 131_073, 400_000, 7]
    const events = group.events()
    for (const size of sizes) {
      const bytes = new Uint8Array(size).map((_, i) => (i * 7 + size) & 255)
      group.trySend(bytes)
      // Copied before the call returned.
      bytes.fill(0)
    }
    group.trySend('')
    group.trySend('ascii')
    group.trySend('Grüße, мир, 🌍'.repeat(40))
    const messages = await takeMessages(events, sizes.length + 3)
    for (const [index, size] of sizes.entries()) {
      const { data } = messages[index]!
      expect(data.length).toBe(size)
      expect(messages[index]!.length).toBe(size)
      for (let i = 0; i < size; i += 1 + (size >> 8)) {
        if (data[i] !== ((i * 7 + size) & 255)) throw new Error(`byte ${i} of ${size} differs`)
      }
    }
    const texts = messages.slice(-3).map(message => message.text())
    expect(texts).toEqual(['', 'ascii', 'Grüße, мир, 🌍'.repeat(40)])
  })

  test('the largest message arrives; a larger one is refused at once', async () => {
    const alice = await connect()
    const bob = await connect()
    const name = unique()
    const group = await alice.join(name)
    const other = await bob.join(name)
    const most = alice.limits.maxMessageBytes
    const bytes = new Uint8Array(most)
    for (let i = 0; i < most; i += 4099) bytes[i] = i & 255
    const sending = group.send(bytes)
    for (const at of [group, other]) {
      const { data } = (await takeMessages(at.events(), 1))[0]!
      expect(data.length).toBe(most)
      for (let i = 0; i < most; i += 4099) {
        if (data[i] !== (i & 255)) throw new Error(`byte ${i} differs`)
      }
    }
    expect((await sending).sequence).toBe(1)
    expect(() => group.trySend(new Uint8Array(most + 1))).toThrow(
      expect.objectContaining({ code: 'too-large' }),
    )
    await expect(group.send('ж'.repeat(most / 2 + 1))).rejects.toMatchObject({ code: 'too-large' })
  })
}

function receiptTests(): void {
  test('pipelined sends resolve in order with growing positions; the watermarks follow', async () => {
    const alice = await connect()
    const group = await alice.join(unique())
    const count = 2000
    const sending = Array.from({ length: count }, (_, i) => group.send(`${i}`))
    expect(alice.progress.accepted).toBeGreaterThan(0)
    const receipts = await Promise.all(sending)
    expect(receipts.map(receipt => receipt.sequence)).toEqual(Array.from({ length: count }, (_, i) => i + 1))
    const messages = await takeMessages(group.events(), count)
    expect(messages.map(message => message.position)).toEqual(receipts.map(receipt => receipt.position))
    expect(alice.progress).toMatchObject({ accepted: count, delivered: count })
    await receipts.at(-1)!.settled
    expect(alice.progress.settled).toBe(count)
  })

  for (const service of ['fifo', 'causal', 'agreed', 'safe'] as const) {
    test(`a ${service} message: the same fate for the sender and every receiver`, async () => {
      const alice = await connect({ name: 'alice' })
      const bob = await connect({ name: 'bob' })
      const name = unique()
      const a = await alice.join(name)
      const b = await bob.join(name)
      const receipt = await a.send('hello', { service })
      const fate = await receipt.settled
      expect(fate.view).toBe(b.view.view)
      expect(sorted(fate.received)).toEqual(sorted([alice.id, bob.id]))
      expect(fate.unknown).toEqual([])
      for (const group of [a, b]) {
        const message = (await takeMessages(group.events(), 1))[0]!
        expect(message.service).toBe(service)
        expect(message.position).toBe(receipt.position)
        expect(message.view).toBe(receipt.view)
        expect(await group.fate(message.position)).toEqual(fate)
      }
    })
  }

  test('a fate at a place where no message was is an error, and so is no place', async () => {
    const alice = await connect()
    const group = await alice.join(unique())
    const receipt = await group.send('x')
    await receipt.settled
    const [epoch] = receipt.position.split('.')
    await expect(group.fate(`${epoch}.1.0.7.0`)).rejects.toMatchObject({
      code: expect.stringMatching(/^fate-(expired|no-view)$/),
    })
    await expect(group.fate('nonsense')).rejects.toMatchObject({ code: 'bad-position' })
  })

  test('without a copy of one’s own the receipt comes all the same', async () => {
    const alice = await connect()
    const bob = await connect()
    const name = unique()
    const a = await alice.join(name)
    const b = await bob.join(name)
    const receipt = await a.send('discarded', { selfDiscard: true })
    await a.send('kept')
    expect(receipt.view).toBe(b.view.view)
    expect((await receipt.settled).received).toContain(bob.id)
    expect((await takeMessages(a.events(), 1))[0]!.text()).toBe('kept')
    const atBob = await takeMessages(b.events(), 2)
    expect(atBob.map(message => message.text())).toEqual(['discarded', 'kept'])
  })

  test('one who is no member may send; to an empty group too', async () => {
    const alice = await connect()
    const bob = await connect()
    const name = unique()
    const group = await bob.join(name)
    const receipt = await alice.sendMany([name], 'from outside')
    expect(receipt.view).toBe(group.view.view)
    expect((await receipt.settled).received).toEqual([bob.id])
    const message = (await takeMessages(group.events(), 1))[0]!
    expect([message.sender, message.own, message.text()]).toEqual([alice.id, false, 'from outside'])
    const nobody = await alice.sendMany([unique()], 'hello?')
    expect(nobody.view).toBeNull()
    expect(await nobody.settled).toMatchObject({ received: [], unknown: [] })
  })

  test('several groups: one place, each receiver once', async () => {
    const [alice, bob, carol] = await Promise.all(['a', 'b', 'c'].map(name => connect({ name })))
    const [one, two] = [unique(), unique()]
    const a1 = await alice!.join(one)
    await bob!.join(one)
    const b2 = await bob!.join(two)
    const c2 = await carol!.join(two)
    const receipt = await alice!.sendMany([one, two], 'both')
    expect(receipt.views).toEqual([
      { group: one, view: (await alice!.join(one)).view.view },
      { group: two, view: c2.view.view },
    ])
    await alice!.sendMany([one, two], 'end')
    const atBob = await takeMessages(bob!.events(), 2)
    expect(atBob.map(message => [message.group, message.text()])).toEqual([
      [one, 'both'],
      [one, 'end'],
    ])
    const atAlice = await takeMessages(a1.events(), 1)
    const atCarol = await takeMessages(c2.events(), 1)
    expect(atAlice[0]!.position).toBe(receipt.position)
    expect(atCarol[0]!.position).toBe(receipt.position)
    expect(b2.closed).toBe(false)
    expect(sorted((await receipt.settled).received)).toEqual(sorted([alice!.id, bob!.id, carol!.id]))
  })

  test('a private message reaches one member only', async () => {
    const alice = await connect({ name: 'alice' })
    const bob = await connect({ name: 'bob' })
    const name = unique()
    const a = await alice.join(name)
    await bob.join(name)
    const receipt = await alice.sendTo(bob.id, 'psst')
    await a.send('loud')
    const [secret, loud] = await takeMessages(bob.events(), 2)
    expect([secret!.group, secret!.view, secret!.sender, secret!.text()]).toEqual([
      null,
      null,
      alice.id,
      'psst',
    ])
    expect(secret!.position).toBe(receipt.position)
    expect(loud!.group).toBe(name)
    expect((await takeMessages(alice.events(), 1))[0]!.text()).toBe('loud')
    expect((await receipt.settled).received).toEqual([bob.id])
    expect((await bob.fate(secret!.position)).received).toEqual([bob.id])
    await expect(alice.sendTo('nobody', 'x')).rejects.toMatchObject({ code: 'bad-member' })
  })
}

function iteratorTests(): void {
  test('nothing is missed before the iterator is asked for, private messages included', async () => {
    const alice = await connect()
    const group = await alice.join(unique())
    await group.send('early')
    await alice.sendTo(alice.id, 'private')
    await group.send('later')
    const events = await take(alice.events(), taken => taken.length === 4)
    expect(events.map(event => (event.type === 'message' ? event.text() : event.type))).toEqual([
      'view',
      'early',
      'private',
      'later',
    ])
  })

  test('a group’s iterator has its own events, the session’s has all', async () => {
    const alice = await connect()
    const one = await alice.join(unique())
    const two = await alice.join(unique())
    const all = alice.events()
    const ofOne = one.events()
    await one.send('1')
    await two.send('2')
    await one.send('3')
    expect((await takeMessages(ofOne, 2)).map(message => message.text())).toEqual(['1', '3'])
    expect((await takeMessages(all, 3)).map(message => message.text())).toEqual(['1', '2', '3'])
  })

  test('one consumer at a time; break keeps the place and the membership', async () => {
    const alice = await connect()
    const group = await alice.join(unique())
    const events = group.events()
    expect(() => group.events()).toThrow(expect.objectContaining({ code: 'already-consumed' }))
    expect(() => group.batches()).toThrow(expect.objectContaining({ code: 'already-consumed' }))
    await Promise.all(['1', '2', '3', '4', '5'].map(text => group.send(text)))
    for await (const event of events) if (event.type === 'message' && event.text() === '2') break
    expect(group.closed).toBe(false)
    for await (const event of group.events()) {
      expect(event.type === 'message' && event.text()).toBe('3')
      break
    }
    for await (const batch of group.batches()) {
      const texts = [...batch].map(event => event.type === 'message' && event.text())
      expect(texts).toEqual(['4', '5'])
      expect(batch.size).toBe(2)
      break
    }
    await group.send('6')
    expect((await takeMessages(group.events(), 1))[0]!.text()).toBe('6')
  })

  test('messages stay valid while they are held', async () => {
    const alice = await connect()
    const group = await alice.join(unique())
    const events = group.events()
    await group.send(JSON.stringify({ n: 1 }))
    const held = (await takeMessages(events, 1))[0]!
    const { data } = held
    for (let i = 0; i < 2000; i++) await send(group, `filler ${i}`)
    await takeMessages(events, 2000)
    expect(new TextDecoder().decode(data)).toBe('{"n":1}')
    expect(held.json()).toEqual({ n: 1 })
    expect(held.id).toBe(`${alice.id}:1`)
  })
}

function boundsTests(): void {
  test('trySend refuses beyond the buffer, writable says when it goes on, and nothing is lost', async () => {
    const alice = await connect({ sendBufferBytes: 100_000 })
    const group = await alice.join(unique())
    const events = group.events()
    const data = new Uint8Array(1000)
    let accepted = 0
    while (group.trySend(data) > 0) accepted++
    expect(accepted).toBeGreaterThan(90)
    expect(accepted).toBeLessThan(110)
    await group.writable()
    expect(group.trySend(data)).toBe(accepted + 1)
    const many = Array.from({ length: 500 }, () => group.send(data))
    await takeMessages(events, accepted + 501)
    expect((await many.at(-1)!).sequence).toBe(accepted + 501)
  })

  test('an unread group warns at half, stops the reading when full, and loses nothing', async () => {
    const warnings: WarningEvent[] = []
    const alice = await connect({ queueBytes: 200_000, onWarning: warning => warnings.push(warning) })
    const bob = await connect()
    const name = unique()
    const unread = await alice.join(name)
    const sender = await bob.join(name)
    const read = await alice.join(unique())
    const events = read.events()
    await takeView(events, hasMembers(alice))
    const count = 1000
    const sending: Promise<unknown>[] = []
    for (let i = 0; i < count; i++) sending.push(sender.send(String(i).padStart(1000, '.')))
    const warning = await take(events, taken => taken.filter(event => event.type === 'warning').length === 2)
    expect(warning.at(-1)).toMatchObject({ type: 'warning', code: 'unread-group', group: name })
    expect(warnings.length).toBeGreaterThanOrEqual(2)
    const messages = await takeMessages(unread.events(), count)
    expect(messages.map(message => Number(message.text().replaceAll('.', '')))).toEqual(
      Array.from({ length: count }, (_, i) => i),
    )
    await Promise.all(sending)
  })
}

function endTests(): void {
  test('close: what was sent is delivered first, iterators end, later calls say closed', async () => {
    const alice = await connect()
    const bob = await connect()
    const name = unique()
    const a = await alice.join(name)
    const b = await bob.join(name)
    const atBob = b.events()
    const ending: SessionEvent[] = []
    const reading = (async () => {
      for await (const event of alice.events()) ending.push(event)
    })()
    const sends = Array.from({ length: 100 }, (_, i) => a.send(`${i}`))
    await alice.close()
    await reading
    await alice.close()
    expect(alice.closed).toBe(true)
    expect((await Promise.allSettled(sends)).filter(one => one.status === 'fulfilled').length).toBe(100)
    const atEnd = await take(atBob, taken => {
      const last = taken.at(-1)!
      return last.type === 'view' && last.left.includes(alice.id)
    })
    const texts = atEnd.flatMap(event => (event.type === 'message' ? [event.text()] : []))
    expect(texts).toEqual(Array.from({ length: 100 }, (_, i) => `${i}`))
    expect(() => a.trySend('late')).toThrow(expect.objectContaining({ code: 'closed' }))
    await expect(a.send('late')).rejects.toMatchObject({ code: 'closed' })
    await expect(alice.join(unique())).rejects.toMatchObject({ code: 'closed' })
    await expect(alice.groups()).rejects.toMatchObject({ code: 'closed' })
    await expect(a.writable()).rejects.toMatchObject({ code: 'closed' })
  })

  test('leaving: nothing of the group after it, others go on', async () => {
    const alice = await connect()
    const bob = await connect()
    const name = unique()
    const a = await alice.join(name)
    const b = await bob.join(name)
    const all = alice.events()
    await a.send('in')
    await a.leave()
    await b.send('after')
    await alice.sendTo(alice.id, 'last')
    const texts = (await takeMessages(all, 2)).map(message => message.text())
    expect(texts).toEqual(['in', 'last'])
  })

  test('queries answer', async () => {
    const alice = await connect()
    const name = unique()
    await alice.join(name)
    expect(await alice.groups()).toContainEqual(expect.objectContaining({ group: name, members: 1 }))
    expect(await alice.membersOf(name)).toEqual([alice.id])
    expect(await alice.membersOf(unique())).toEqual([])
    expect(typeof (await alice.status())).toBe('object')
  })

  test('a trace has a line for everything that happened', async () => {
    const lines: ClientTraceLine[] = []
    const alice = await connect({ name: 'alice', trace: line => lines.push(line) })
    const name = unique()
    const group = await alice.join(name)
    const receipt = await group.send('x', { service: 'safe' })
    const fate = await receipt.settled
    await group.leave()
    const { id } = alice
    await alice.close()
    const events = lines.map(line => line.e)
    expect(events).toEqual(['join', 'view', 'send', 'receive', 'fate', 'leave', 'closed', 'closed'])
    expect(lines.every(line => line.p === id && /^\d+$/.test(line.t))).toBe(true)
    const m = `${id}:1`
    expect(lines[2]).toMatchObject({ m, groups: [name], service: 'safe' })
    expect(lines[3]).toMatchObject({
      m,
      group: name,
      from: id,
      view: receipt.view,
      position: receipt.position,
    })
    expect(lines[4]).toMatchObject({ m, group: name, view: fate.view, received: [id], unknown: [] })
    // First the group's, then the session's.
    expect(lines[6]).toMatchObject({ group: name })
    expect(lines[7]).not.toHaveProperty('group')
    for (let i = 1; i < lines.length; i++) expect(BigInt(lines[i]!.t) >= BigInt(lines[i - 1]!.t)).toBe(true)
  })
}

/** @param start starts a node; once for the whole suite. */
export function describeConformance(name: string, start: () => Promise<ConformanceTarget>): void {
  describe(`session conformance: ${name}`, () => {
    beforeAll(async () => {
      target = await start()
    })
    afterEach(async () => {
      for (const session of opened) await session.close()
      opened = []
    })
    afterAll(async () => {
      await target.stop?.()
    })
    describe('joining', joiningTests)
    describe('order and bytes', orderTests)
    describe('receipts and fates', receiptTests)
    describe('iterators', iteratorTests)
    describe('bounds', boundsTests)
    describe('the end', endTests)
  })
}
