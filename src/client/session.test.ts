import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encodeDaemonFrame, encodeMessagesHead } from '../codec/client-encode.ts'
import type { CellDescription } from '../codec/client.ts'
import type { AnasaziError } from '../lib/errors.ts'
import type { ClientTraceLine } from '../lib/trace.ts'
import type { SessionOptions } from './api.ts'
import { createChannelPair } from './channel-memory.ts'
import type { MessageEvent, SessionEvent } from './events.ts'
import type { FakeSession } from './fake-daemon.fixture.ts'
import { FakeDaemon } from './fake-daemon.fixture.ts'
import { EventCursor } from './batch.ts'
import { RunCursor, MessageRun } from './run.ts'
import { ClientSession } from './session.ts'

function open(daemon: FakeDaemon, options: SessionOptions = {}): Promise<ClientSession> {
  return ClientSession.open(async () => daemon.open(), options)
}

function atDaemon(daemon: FakeDaemon, session: ClientSession): FakeSession {
  return daemon.sessions.get(session.id)!
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(resolve => setImmediate(resolve))
}

/** Everything until the iterator ends; the error that ended it. */
async function drain(
  events: AsyncIterable<SessionEvent>,
): Promise<{ events: SessionEvent[]; error: AnasaziError | null }> {
  const seen: SessionEvent[] = []
  try {
    for await (const event of events) seen.push(event)
    return { events: seen, error: null }
  } catch (error) {
    return { events: seen, error: error as AnasaziError }
  }
}

function cell(name: string, patterns: readonly string[]): CellDescription {
  return { name, patterns, endpoints: [] }
}

function refuseAlice(): { code: string; words: string } {
  return { code: 'name-in-use', words: 'alice is here already' }
}

/** Connects to something that answers a hello with these bytes, or with its end. */
function answered(answer: Uint8Array | null, end: boolean): Promise<ClientSession> {
  const openCell = async () => {
    const [client, server] = createChannelPair()
    server.onData = () => {
      if (answer !== null) server.write([answer])
      if (end) server.close()
    }
    server.resume()
    return client
  }
  return ClientSession.open(openCell, { handshakeTimeoutMs: 20 })
}

describe('a session that loses its daemon', () => {
  test('eviction: queued events first, then the reason; unresolved sends say that their fate is unknown', async () => {
    const daemon = new FakeDaemon()
    let ended: AnasaziError | null = null
    const session = await open(daemon, { onClose: error => (ended = error) })
    const group = await session.join('orders')
    await group.send('delivered')
    daemon.holdSegments = true
    const lost = group.send('lost')
    await until(() => daemon.segments === 2)
    daemon.evict(atDaemon(daemon, session))
    await expect(lost).rejects.toMatchObject({
      code: 'fate-unknown',
      retryable: false,
      acceptedThrough: 2,
      deliveredThrough: 1,
      cause: expect.objectContaining({ code: 'evicted' }),
    })
    const { events, error } = await drain(group.events())
    expect(events.map(event => event.type)).toEqual(['view', 'message'])
    expect(error).toMatchObject({ code: 'evicted', retryable: true })
    expect(error!.message).toContain('too slow')
    expect(ended).toBe(error)
    await expect(session.join('more')).rejects.toMatchObject({ code: 'closed' })
    await session.close()
  })

  test('a cut connection', async () => {
    const daemon = new FakeDaemon()
    const session = await open(daemon)
    const group = await session.join('orders')
    const reading = drain(session.events())
    const fate = group.fate('1.999.0.0.0')
    daemon.cut(atDaemon(daemon, session))
    expect((await reading).error).toMatchObject({ code: 'connection-lost' })
    await expect(fate).rejects.toMatchObject({ code: 'connection-lost' })
    await expect(group.writable()).rejects.toMatchObject({ code: 'closed' })
    expect(group.closed).toBe(true)
  })

  test('an end right behind the welcome: it was no session, and who connects again tries again', async () => {
    let ends = 1
    const words = { code: 'daemon-leaving', words: 'it goes' }
    const daemon = new FakeDaemon({ closing: () => (ends-- > 0 ? words : null) })
    await expect(open(daemon)).rejects.toMatchObject({ code: 'daemon-leaving' })

    const session = await open(daemon, { reconnect: true })
    const group = await session.join('a')
    const { id } = session
    ends = 1
    daemon.cut(atDaemon(daemon, session))
    await until(() => session.id !== id)
    expect(ends).toBe(-1)
    await group.send('x')
    await session.close()
  })

  test('reconnect: a new member that says so, in the same groups', async () => {
    const daemon = new FakeDaemon()
    const lines: ClientTraceLine[] = []
    const session = await open(daemon, { name: 'alice', reconnect: true, trace: line => lines.push(line) })
    const group = await session.join('orders')
    const before = session.id
    const events = group.events()
    daemon.holdSegments = true
    const lost = group.send('lost')
    await until(() => daemon.segments === 1)
    daemon.cut(atDaemon(daemon, session))
    await expect(lost).rejects.toMatchObject({ code: 'fate-unknown' })
    daemon.holdSegments = false
    expect(group.trySend('not now')).toBe(0)
    const waiting = group.send('again')
    await group.writable()
    const receipt = await waiting
    expect(session.id).not.toBe(before)
    const seen: SessionEvent[] = []
    for await (const event of events) {
      seen.push(event)
      if (event.type === 'message') break
    }
    expect(seen.map(event => event.type)).toEqual(['view', 'warning', 'reconnected', 'view', 'message'])
    expect(seen[2]).toMatchObject({ previous: before, session: session.id })
    expect(group.members).toEqual([session.id])
    expect(receipt.view).toBe(group.view.view)
    expect(session.progress).toMatchObject({ accepted: 2, delivered: 2 })
    expect(lines.map(line => `${line.p === before ? 'old' : 'new'} ${line.e}`)).toEqual([
      'old join',
      'old view',
      'old send',
      'old closed',
      'new send',
      'new join',
      'new view',
      'new receive',
    ])
    await session.close()
  })

  test('numbers of requests come to their end, and begin again', async () => {
    const daemon = new FakeDaemon()
    const session = await open(daemon)
    const { main } = session as unknown as { main: { link: { lastRequest: number } } }
    main.link.lastRequest = 2 ** 32 - 3
    const groups = await Promise.all(['a', 'b', 'c', 'd'].map(name => session.join(name)))
    expect(groups.map(({ members }) => members)).toEqual(groups.map(() => [session.id]))
    expect(main.link.lastRequest).toBe(2)
    await session.close()
  })

  test('reconnect: what the new daemon says of its cells holds from then on', async () => {
    const first = new FakeDaemon({ cell: 'main', cells: [cell('main', ['*'])] })
    const cells = [cell('main', ['*.m']), cell('wan', ['wan.*'])]
    const second = new FakeDaemon({ cell: 'main', cells, limits: { maxGroupsPerSession: 7 } })
    let [daemon, asked] = [first, ['']]
    const session = await ClientSession.open(
      async description => {
        asked.push(description?.name ?? '')
        return daemon.open()
      },
      { reconnect: true },
    )
    daemon = second
    first.cut(atDaemon(first, session))
    await until(() => session.limits.maxGroupsPerSession === 7)
    asked = []
    await session.membersOf('wan.orders').catch(() => {})
    expect(asked).toEqual(['wan'])
    // No pattern matches: the first cell has it.
    expect((await session.join('other')).cell).toBe('main')
    await session.close()
  })
})

describe('handshake', () => {
  test('a refusal comes with its words', async () => {
    await expect(open(new FakeDaemon({ refuse: refuseAlice }), { name: 'alice' })).rejects.toMatchObject({
      code: 'name-in-use',
      message: expect.stringContaining('alice is here already'),
    })
  })

  test('an unknown version, garbage, silence and an end are told apart', async () => {
    await expect(open(new FakeDaemon({ version: 9 }))).rejects.toMatchObject({ code: 'protocol' })
    const http = new TextEncoder().encode('HTTP/1.1 400 Bad Request\r\n\r\n')
    await expect(answered(http, false)).rejects.toMatchObject({ code: 'protocol' })
    const early = encodeDaemonFrame({ kind: 'settled', place: { epoch: 1, ts: 1, rank: 0, index: 0 } })
    await expect(answered(early, false)).rejects.toMatchObject({ code: 'protocol' })
    await expect(answered(null, true)).rejects.toMatchObject({ code: 'connection-lost' })
    await expect(answered(null, false)).rejects.toMatchObject({ code: 'handshake-timeout' })
  })

  test('a signal gives up connecting', async () => {
    const stop = new AbortController()
    const opening = ClientSession.open(async () => createChannelPair()[0], { signal: stop.signal })
    await Promise.resolve()
    stop.abort()
    await expect(opening).rejects.toMatchObject({ code: 'aborted' })
  })
})

describe('what a daemon sends', () => {
  test('a malformed payload of a peer: the rest is dropped with a warning that names the sender', async () => {
    const daemon = new FakeDaemon()
    const session = await open(daemon)
    const group = await session.join('orders')
    const there = atDaemon(daemon, session)
    const good = [2, 0, 0, 0, 79, 75]
    daemon.inject(there, 'orders', 'mallory@x#1.1', 2, Uint8Array.of(...good, 9, 0, 0, 0, 1))
    daemon.inject(there, 'orders', 'mallory@x#1.1', 1, Uint8Array.of(...good, 7))
    daemon.inject(there, '', 'mallory@x#1.1', 2, Uint8Array.of(...good, 1, 0))
    await group.send('after')
    const seen: SessionEvent[] = []
    for await (const event of session.events()) {
      seen.push(event)
      if (event.type === 'message' && event.own) break
    }
    expect(seen.map(event => event.type)).toEqual([
      'view',
      'message',
      'warning',
      'message',
      'warning',
      'message',
      'warning',
      'message',
    ])
    for (const event of seen) {
      if (event.type === 'warning') {
        expect(event.code).toBe('malformed-payload')
        expect(event.message).toContain('mallory@x#1.1')
      }
    }
    await session.close()
  })

  test('an inconsistent stream ends the session with what is wrong', async () => {
    const cases: [string, Uint8Array][] = [
      [
        'sender',
        encodeMessagesHead(0, 5, { epoch: 1, ts: 1, rank: 0, index: 0 }, 1, 1, 'safe', false, false, 4),
      ],
      ['group 77', encodeDaemonFrame({ kind: 'transitional', groupId: 77, view: 'v' })],
      ['request 5', encodeDaemonFrame({ kind: 'answer', request: 5, json: '{}' })],
      ["'refused'", encodeDaemonFrame({ kind: 'refused', code: 'x', words: '' })],
      ['unknown frame kind', Uint8Array.of(1, 0, 0, 0, 200)],
    ]
    for (const [words, bytes] of cases) {
      const daemon = new FakeDaemon()
      const session = await open(daemon)
      const reading = drain(session.events())
      daemon.write(atDaemon(daemon, session), [bytes, new Uint8Array(4)])
      const { error } = await reading
      expect(error).toMatchObject({ code: 'protocol' })
      expect(error!.message).toContain(words)
    }
  })

  test('everything read is acknowledged, once a turn', async () => {
    const daemon = new FakeDaemon()
    const session = await open(daemon)
    const group = await session.join('orders')
    const there = atDaemon(daemon, session)
    const before = there.received.get('acknowledge') ?? 0
    const count = 500
    // One write each: as many chunks as a peer's segments would be.
    for (let i = 0; i < count; i++) daemon.inject(there, 'orders', 'bob@x#1.1', 1, new Uint8Array(4))
    let seen = 0
    for await (const event of group.events()) if (event.type === 'message' && ++seen === count) break
    await until(() => there.acknowledged === there.sent)
    expect(there.received.get('acknowledge')! - before).toBeLessThanOrEqual(3)
    await session.close()
  })

  test('a network-caused view: the transitional signal, the delta, the origins', async () => {
    const daemon = new FakeDaemon()
    const [alice, bob, carol] = await Promise.all([open(daemon), open(daemon), open(daemon)])
    const group = await alice!.join('orders')
    await bob!.join('orders')
    await carol!.join('orders')
    daemon.disconnect(atDaemon(daemon, bob!), 'network')
    const seen: SessionEvent[] = []
    for await (const event of group.events()) {
      seen.push(event)
      if (event.type === 'view' && event.cause === 'network') break
    }
    expect(seen.map(event => event.type)).toEqual(['view', 'view', 'view', 'transitional', 'view'])
    const last = seen[4]!
    if (last.type !== 'view') throw new Error('expected a view')
    expect(seen[3]).toMatchObject({ group: 'orders', view: last.previous })
    expect(last.members).toEqual([alice!.id, carol!.id])
    expect(last.left).toEqual([bob!.id])
    expect(last.origins).toEqual([{ view: last.previous, members: [alice!.id, carol!.id] }])
    for (const one of [alice!, carol!]) await one.close()
  })

  test('a fate waits until it is settled; a member that leaves without acknowledging is unknown', async () => {
    const daemon = new FakeDaemon()
    const alice = await open(daemon)
    const bob = await open(daemon)
    const group = await alice.join('orders')
    await bob.join('orders')
    const deaf = atDaemon(daemon, bob)
    // Bob's reads stop before the message.
    deaf.channel.onData = () => {}
    const receipt = await group.send('x')
    let settled = false
    const settling = receipt.settled.then(fate => {
      settled = true
      return fate
    })
    await group.send('y', { selfDiscard: true })
    expect(settled).toBe(false)
    expect(alice.progress).toMatchObject({ accepted: 2, delivered: 2, settled: 0 })
    daemon.disconnect(deaf)
    expect(await settling).toMatchObject({ received: [alice.id], unknown: [bob.id] })
    expect(alice.progress.settled).toBe(2)
    await alice.close()
  })
})

describe('packing', () => {
  test('messages of one turn, destination and service are one segment', async () => {
    const daemon = new FakeDaemon()
    const session = await open(daemon)
    const one = await session.join('one')
    const two = await session.join('two')
    const steps: [() => number, number][] = [
      [() => Array.from({ length: 100 }, () => one.trySend('x')).at(-1)!, 1],
      [() => [one, two, one].map(group => group.trySend('x')).at(-1)!, 3],
      [
        () => (['safe', 'agreed', 'agreed'] as const).map(service => one.trySend('x', { service })).at(-1)!,
        2,
      ],
      [() => [true, false].map(selfDiscard => one.trySend('x', { selfDiscard })).at(-1)!, 2],
      // A pack is full; one message is larger than a pack.
      [() => Array.from({ length: 3 }, () => one.trySend(new Uint8Array(60_000))).at(-1)!, 2],
      [() => [10, 300_000, 10].map(size => one.trySend(new Uint8Array(size))).at(-1)!, 3],
    ]
    for (const [act, segments] of steps) {
      const before = daemon.segments
      const last = act()
      await until(() => session.progress.delivered === last)
      expect(daemon.segments - before).toBe(segments)
    }
    await session.close()
  })

  test('runs are the same however they are cut', () => {
    const lists = fc.array(fc.uint8Array({ maxLength: 9 }), { minLength: 1, maxLength: 12 })
    fc.assert(
      fc.property(
        lists,
        fc.array(fc.nat(60), { maxLength: 6 }),
        fc.integer({ min: -2, max: 2 }),
        (list, cuts, off) => {
          const bytes = list.flatMap(data => [data.length, 0, 0, 0, ...data])
          const body: Uint8Array[] = []
          let at = 0
          for (const cut of [...cuts, bytes.length].sort((a, b) => a - b)) {
            body.push(Uint8Array.from(bytes.slice(at, cut)))
            at = Math.min(cut, bytes.length)
          }
          const count = Math.max(1, list.length + off)
          const place = { epoch: 1, ts: 1, rank: 0, index: 0 }
          const run = new MessageRun(
            { place, firstSequence: 1, count, service: 'agreed', body, bytes: bytes.length },
            'main',
            'g',
            'v',
            's',
            false,
          )
          const cursor = new RunCursor(run)
          const events: SessionEvent[] = []
          for (let event = cursor.next(); event !== null; event = cursor.next()) events.push(event)
          const messages = events.filter(event => event.type === 'message') as MessageEvent[]
          expect(messages.map(message => [...message.data])).toEqual(
            list.slice(0, count).map(data => [...data]),
          )
          expect(events.length - messages.length).toBe(count === list.length ? 0 : 1)

          const looked: unknown[] = []
          const warning = run.forEach((chunk, start, length, sequence) => {
            looked.push([sequence, ...chunk.subarray(start, start + length)])
          })
          expect(looked).toEqual(messages.map(({ sequence, data }) => [sequence, ...data]))
          expect(warning).toEqual(events.find(event => event.type === 'warning') ?? null)

          // Left at any message, the rest is as it would have been.
          for (let taken = 0; taken <= events.length; taken++) {
            const left = new EventCursor([run])
            for (let i = 0; i < taken; i++) left.take()
            const rest = [...new EventCursor(left.rest())]
            expect(rest.map(tell)).toEqual(events.slice(taken).map(tell))
          }
        },
      ),
      { numRuns: 500 },
    )
  })
})

function tell(event: SessionEvent): unknown {
  if (event.type !== 'message') return event
  const { id, position, sequence, data } = event
  return { id, position, sequence, data: [...data] }
}

describe('several cells', () => {
  test('a group leads to its cell; sequences and watermarks span cells; one message stays in one', async () => {
    const cells = [
      { name: 'main', patterns: ['*.local'], endpoints: [] },
      { name: 'wan', patterns: ['wan.*'], endpoints: [] },
    ]
    const main = new FakeDaemon({ cells, cell: 'main' })
    const wan = new FakeDaemon({ cells, cell: 'wan', epoch: 5 })
    const session = await ClientSession.open(
      async cell => (cell?.name === 'wan' ? wan.open() : main.open()),
      { name: 'alice' },
    )
    const near = await session.join('a.local')
    const far = await session.join('wan.x')
    expect([near.cell, far.cell]).toEqual(['main', 'wan'])
    expect((await session.join('unmatched')).cell).toBe('main')
    wan.holdSegments = true
    const sequences = [near, far, near].map(group => group.trySend('x'))
    expect(sequences).toEqual([1, 2, 3])
    await until(() => main.segments === 2 && wan.segments === 1)
    await near.send('y')
    expect(session.progress).toMatchObject({ accepted: 4, delivered: 1 })
    wan.release()
    await far.send('z')
    expect(session.progress).toMatchObject({ accepted: 5, delivered: 5 })
    await expect(session.sendMany(['a.local', 'wan.x'], 'x')).rejects.toMatchObject({ code: 'several-cells' })
    await expect(session.status('moon')).rejects.toMatchObject({ code: 'bad-argument' })
    // The other cell is lost: its groups end, the session goes on.
    const events = far.events()
    wan.cut(wan.sessions.get(session.idIn('wan')!)!)
    expect((await drain(events)).error).toMatchObject({ code: 'connection-lost' })
    await near.send('still here')
    expect(session.closed).toBe(false)
    await session.close()
  })
})
