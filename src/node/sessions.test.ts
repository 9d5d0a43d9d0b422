import { describe, expect, it } from 'vitest'
import { encodeDestination, encodeSegmentHead } from '../codec/client-encode.ts'
import type { SegmentDestination } from '../codec/client.ts'
import { hello, type HandClient } from './client.fixture.ts'
import { Bench } from './runtime.fixture.ts'

const KiB = 1024
const text = new TextEncoder()

/** A segment frame with messages of these lengths, or these words. */
function segment(
  to: string | SegmentDestination,
  firstSequence: number,
  messages: readonly (number | string)[],
): Uint8Array {
  const destination: SegmentDestination = typeof to === 'string' ? { to: 'groups', groups: [to] } : to
  const parts = messages.map(each => (typeof each === 'string' ? text.encode(each) : new Uint8Array(each)))
  const bytes = parts.reduce((sum, part) => sum + 4 + part.length, 0)
  const head = encodeSegmentHead(
    encodeDestination(destination),
    'agreed',
    false,
    false,
    firstSequence,
    parts.length,
    bytes,
  )
  const frame = new Uint8Array(head.length + bytes)
  frame.set(head)
  const view = new DataView(frame.buffer)
  let at = head.length
  for (const part of parts) {
    view.setUint32(at, part.length, true)
    frame.set(part, at + 4)
    at += 4 + part.length
  }
  return frame
}

/** A session that is a member of the group. */
function member(bench: Bench, name: string, group: string = 'g'): HandClient {
  const client = bench.session(name)
  client.say({ kind: 'join', request: 1, group })
  bench.step()
  return client
}

function acknowledgeAll(bench: Bench, ...clients: HandClient[]): void {
  for (const client of clients) client.say({ kind: 'acknowledge', bytes: client.bytes })
  bench.step()
}

describe('the handshake', () => {
  it('welcomes with what the client must know', async () => {
    const cells = [
      { name: 'wan', patterns: ['wan.*'], endpoints: ['unix:/wan'] },
      { name: 'main', patterns: ['*'], endpoints: ['unix:/main'] },
    ]
    const bench = await Bench.start({ cells, limits: { messageBytes: 1000, clientIntakeBytes: 65_536 } })
    const { welcome } = bench.session('alice')
    expect(welcome).toMatchObject({ cluster: 'lab', cell: 'main', daemon: bench.self, number: 1 })
    expect(welcome.session).toBe(`alice@${bench.self}.1`)
    expect(welcome.limits).toMatchObject({ maxMessageBytes: 1000, maxInFlightBytes: 65_536 })
    // As in the configuration, whichever cell one connects to: the first pattern that matches decides, for all.
    expect(welcome.cells).toEqual(cells)
    expect(bench.counters.get('cell.sessions.opened')).toBe(1)
  })

  it('waits until the node knows its cells', async () => {
    const bench = await Bench.start({ cells: [] })
    const client = bench.client()
    client.say(hello)
    bench.step()
    expect(client.heard).toEqual([])
    bench.cells = [{ name: 'main', patterns: ['*'], endpoints: [] }]
    bench.step()
    expect(client.welcome.cells).toEqual(bench.cells)
  })

  it.each([
    [
      { ...hello, cluster: 'other' },
      'cluster',
      'the client wants cluster "other", this daemon is of cluster "lab"',
    ],
    [{ ...hello, cell: 'wan' }, 'cell', 'the client wants cell "wan", this address is of "main"'],
    [
      { ...hello, lowest: 7, highest: 9 },
      'version',
      'speaks versions 7 to 9 of the protocol, this daemon 1 to 1',
    ],
    [{ ...hello, auth: 'password' }, 'auth', 'authentication "password" is not offered, only "none"'],
    [{ ...hello, name: 'a b' }, 'bad-name', "without spaces, control characters, '@' and '#'"],
    [
      { kind: 'join', request: 1, group: 'g' } as const,
      'protocol',
      'the first frame must be a hello, not join',
    ],
    [text.encode('GET / HTTP/1.1\r\nHost: x\r\n\r\n'), 'protocol', ''],
    [Uint8Array.of(0xff, 0xff, 0xff, 0xff, 1), 'protocol', ''],
  ])('refuses %j in words (%s)', async (said, code, words) => {
    const bench = await Bench.start()
    const client = bench.client()
    client.say(said)
    bench.step()
    expect(client.heard).toHaveLength(1)
    expect(client.last('refused').code).toBe(code)
    expect(client.last('refused').words).toContain(words)
    expect(client.channel.closed).toBe(true)
    expect(bench.told('clientRefused')).toMatchObject([{ cell: 'main', code }])
    expect(bench.counters.get('cell.sessions.refused')).toBe(1)
    expect(bench.runtime.sessions.connections.size).toBe(0)
    // Whatever it says then is not looked at.
    client.say(hello, said)
    bench.step()
    expect(bench.counters.get('cell.sessions.refused')).toBe(1)
    expect(client.heard).toHaveLength(1)
  })

  it('lets go of who says nothing for five seconds, at its deadline', async () => {
    const bench = await Bench.start()
    const early = bench.client()
    bench.step(3000)
    const late = bench.client()
    const half = bench.client()
    half.say(Uint8Array.of(0x40, 0, 0))
    bench.step(1999)
    expect(early.channel.closed).toBe(false)
    expect(bench.runtime.nextDeadline).toBeLessThanOrEqual(bench.now + 1)
    bench.step(1)
    expect(early.last('refused')).toMatchObject({
      code: 'handshake-timeout',
      words: 'no hello within 5000 ms',
    })
    expect(late.channel.closed).toBe(false)
    bench.step(3000)
    expect(late.last('refused').code).toBe('handshake-timeout')
    expect(half.last('refused').code).toBe('handshake-timeout')
  })

  it('is refused to those who are too many at a time', async () => {
    const bench = await Bench.start({ limits: { handshakes: 3 } })
    const waiting = [bench.client(), bench.client(), bench.client()]
    const fourth = bench.client()
    expect(fourth.last('refused')).toMatchObject({ code: 'too-many-handshakes' })
    expect(fourth.channel.closed).toBe(true)
    expect(bench.counters.get('cell.limits.handshakes')).toBe(1)
    expect(bench.told('limit')).toMatchObject([{ limit: 'handshakes', value: 4, bound: 3 }])
    for (const client of waiting) client.say(hello)
    bench.step()
    expect(waiting.map(client => client.welcome.number)).toEqual([1, 2, 3])
    // They are through: there is room again.
    expect(bench.session().welcome.number).toBe(4)
    // And so it is when somebody goes before a word.
    const gone = [bench.client(), bench.client(), bench.client()]
    for (const client of gone) client.channel.end(null)
    bench.step()
    expect(bench.session().welcome.number).toBe(5)
  })

  it('refuses a name that is in use, and gives those without a name one that is not', async () => {
    const bench = await Bench.start()
    const first = bench.session('client1')
    const second = bench.client()
    second.say({ ...hello, name: 'client1' })
    bench.step()
    expect(second.last('refused')).toMatchObject({ code: 'name-in-use' })
    expect(bench.session().welcome.session).toBe(`client2@${bench.self}.2`)
    first.say({ kind: 'close' })
    bench.step()
    expect(bench.session('client1').welcome.session).toBe(`client1@${bench.self}.3`)
  })

  it('keeps to the limits of names and sessions', async () => {
    const bench = await Bench.start({ limits: { sessions: 2, sessionNameBytes: 8 } })
    const long = bench.client()
    long.say({ ...hello, name: 'äöüßä' })
    bench.step()
    expect(long.last('refused').code).toBe('bad-name')
    expect(bench.told('limit')).toMatchObject([{ limit: 'sessionNameBytes', value: 10, bound: 8 }])
    bench.session()
    bench.session()
    const third = bench.client()
    third.say(hello)
    bench.step()
    expect(third.last('refused').code).toBe('too-many-sessions')
    expect(bench.counters.get('cell.limits.sessions')).toBe(1)
    expect(bench.counters.get('cell.limits.sessionNameBytes')).toBe(1)
  })
})

function answers(client: HandClient): unknown[] {
  return client.heard.flatMap(frame =>
    frame.kind === 'answer' ? [[frame.request, JSON.parse(frame.json)]] : [],
  )
}

describe('requests', () => {
  it('are carried out in order, errors are answers', async () => {
    const bench = await Bench.start({ limits: { groupsPerSession: 2, groupNameBytes: 6 } })
    const alice = bench.session('alice')
    alice.say(
      { kind: 'join', request: 1, group: 'a' },
      { kind: 'join', request: 2, group: 'a' },
      { kind: 'leave', request: 3, group: 'b' },
      { kind: 'join', request: 4, group: 'b' },
      { kind: 'join', request: 5, group: 'c' },
      { kind: 'join', request: 6, group: 'заказ' },
      { kind: 'leave', request: 8, group: 'a' },
    )
    bench.step()
    const errors = alice.heard.flatMap(frame => (frame.kind === 'error' ? [[frame.request, frame.code]] : []))
    expect(errors).toEqual([
      [2, 'already-member'],
      [3, 'not-member'],
      [5, 'too-many-groups'],
      [6, 'bad-group'],
    ])
    const joined = alice.heard.flatMap(frame =>
      frame.kind === 'joined' ? [[frame.request, frame.group]] : [],
    )
    expect(joined).toEqual([
      [1, 'a'],
      [4, 'b'],
    ])
    expect(alice.last('left').request).toBe(8)
    expect(bench.counters.get('cell.joins')).toBe(2)
    expect(bench.counters.get('cell.leaves')).toBe(1)
    expect(bench.counters.get('cell.limits.groupsPerSession')).toBe(1)
    expect(bench.counters.get('cell.limits.groupNameBytes')).toBe(1)
    expect(alice.channel.closed).toBe(false)
  })

  it('a number of a group is given anew only when nobody is in it', async () => {
    const bench = await Bench.start()
    const alice = member(bench, 'alice')
    const bob = member(bench, 'bob')
    expect(bob.last('joined').groupId).toBe(alice.last('joined').groupId)
    for (const client of [alice, bob]) client.say({ kind: 'leave', request: 2, group: 'g' })
    bench.step()
    alice.say({ kind: 'join', request: 3, group: 'g' })
    bench.step()
    expect(alice.last('joined')).toMatchObject({ request: 3, groupId: bob.last('joined').groupId })
    bob.say({ kind: 'join', request: 3, group: 'h' })
    bench.step()
    expect(bob.last('joined').groupId).not.toBe(alice.last('joined').groupId)
    expect(alice.last('view')).toMatchObject({ full: true, joined: [alice.welcome.session] })
  })

  it('queries are answered, the status when it is there', async () => {
    let tell: ((json: string) => void) | null = null
    const status = new Promise<string>(resolve => {
      tell = resolve
    })
    const bench = await Bench.start({ status: () => status })
    const alice = member(bench, 'alice')
    const bob = bench.session('bob')
    bob.say(
      { kind: 'query', request: 1, what: 'groups', group: '' },
      { kind: 'query', request: 2, what: 'members', group: 'g' },
      { kind: 'query', request: 3, what: 'status', group: '' },
    )
    alice.say({ kind: 'query', request: 9, what: 'status', group: '' })
    bench.step()
    const ready = [
      [1, [{ group: 'g', members: 1 }]],
      [2, [alice.welcome.session]],
    ]
    expect(answers(bob)).toEqual(ready)
    // Who is gone until then gets nothing.
    alice.channel.end(null)
    bench.step()
    const { wakes } = bench
    tell!('{"all":"well"}')
    await status
    await Promise.resolve()
    expect(bench.wakes).toBeGreaterThan(wakes)
    bench.step()
    expect(answers(bob)).toEqual([...ready, [3, { all: 'well' }]])
    expect(answers(alice)).toEqual([])
  })

  it('a status that cannot be had is an error that may pass', async () => {
    const bench = await Bench.start({ status: () => Promise.reject(new Error('the thread has ended')) })
    const alice = bench.session('alice')
    alice.say({ kind: 'query', request: 1, what: 'status', group: '' })
    bench.step()
    await Promise.resolve()
    await Promise.resolve()
    bench.step()
    expect(alice.last('error')).toMatchObject({
      request: 1,
      retryable: true,
      message: 'the thread has ended',
    })
  })

  it('a fate is told when it is settled, and asked for by everybody', async () => {
    const bench = await Bench.start()
    const alice = member(bench, 'alice')
    const bob = member(bench, 'bob')
    alice.say(segment('g', 1, ['hello']))
    bench.step()
    const { place } = bob.last('messages')
    bob.say({ kind: 'fate', request: 5, group: 'g', place })
    bench.step()
    expect(bob.last('fateAnswer')).toMatchObject({ request: 5, settled: false })
    expect(bob.count('settled')).toBe(0)
    acknowledgeAll(bench, alice, bob)
    // Everything with this timestamp is settled.
    const upTo = { ...place, rank: 0xffff, index: 0xffff_ffff }
    expect(bob.last('settled').place).toEqual(upTo)
    expect(alice.last('settled').place).toEqual(upTo)
    bob.say({ kind: 'fate', request: 6, group: 'g', place })
    bob.say({ kind: 'fate', request: 7, group: 'g', place: { ...place, epoch: 9999 } })
    bench.step()
    const received = [alice.welcome.session, bob.welcome.session]
    expect(bob.last('fateAnswer')).toMatchObject({ request: 6, settled: true, received, unknown: [] })
    expect(bob.last('error')).toMatchObject({ request: 7, code: 'fate-not-yet', retryable: true })
  })
})

describe('messages', () => {
  it('reach all members, the sender by its copy or by a report', async () => {
    const bench = await Bench.start()
    const alice = member(bench, 'alice')
    const bob = member(bench, 'bob')
    const carol = bench.session('carol')
    carol.say(segment('g', 1, ['one', 'two', '']))
    alice.say(segment('g', 1, ['three']))
    bench.step()
    for (const client of [alice, bob]) {
      const runs = client.heard.flatMap(frame => (frame.kind === 'messages' ? [frame.count] : []))
      expect(runs.toSorted()).toEqual([1, 3])
    }
    expect(carol.last('own')).toMatchObject({ firstSequence: 1, count: 3 })
    expect(alice.count('own')).toBe(0)
    expect(bench.counters.get('cell.accepted.messages')).toBe(4)
    expect(bench.counters.get('cell.accepted.bytes')).toBe(4 * 4 + 'onetwothree'.length)
    expect(bench.counters.get('cell.delivered.messages')).toBe(8)
    expect(bench.counters.get('cell.segments.originated')).toBeGreaterThanOrEqual(2)
  })

  const nobody = `x@n1#${'0'.repeat(32)}.77`
  it('a private message to nobody is ordered all the same', async () => {
    const bench = await Bench.start()
    const alice = bench.session('alice')
    alice.say(segment({ to: 'member', member: nobody }, 1, ['psst']))
    bench.step()
    expect(alice.last('own')).toMatchObject({ firstSequence: 1, count: 1 })
  })

  it.each<[string, string, Uint8Array]>([
    ['bad-message', 'message 1 follows message 1', segment('g', 1, ['x'])],
    ['bad-destination', 'is not the id of a session', segment({ to: 'member', member: 'bob' }, 1, ['x'])],
    [
      'bad-destination',
      'is not the id of a session',
      // A name that could not be told to a peer.
      segment({ to: 'member', member: `x@${'n'.repeat(65)}#${'0'.repeat(32)}.1` }, 1, ['x']),
    ],
    [
      'bad-destination',
      'there is no session',
      segment({ to: 'member', member: nobody.replace('.77', '.9999999999999999') }, 1, ['x']),
    ],
    ['bad-destination', 'named twice', segment({ to: 'groups', groups: ['a', 'a'] }, 1, ['x'])],
    ['bad-destination', 'to 1 to 2 groups', segment({ to: 'groups', groups: ['a', 'b', 'c'] }, 1, ['x'])],
    ['bad-group', "a group's name is", segment('заказ', 1, ['x'])],
    ['message-too-large', 'the limit is 1000', segment('g', 1, [600, 401])],
    ['protocol', 'at most', segment('g', 1, [2 << 20])],
    ['protocol', '', segment('', 1, ['x'])],
    ['protocol', 'a second hello', new Uint8Array()],
  ])('what cannot be ordered ends the session: %s, %s', async (code, words, frame) => {
    const bench = await Bench.start({
      limits: { destinationGroups: 2, messageBytes: 1000, groupNameBytes: 6 },
    })
    const bob = member(bench, 'bob')
    const alice = member(bench, 'alice')
    alice.say(segment('g', 1, ['before']))
    bench.step()
    alice.say(frame.length === 0 ? hello : code === 'bad-message' ? frame : withSequence(frame, 2))
    alice.say(segment('g', 9, ['after']))
    bench.step()
    expect(alice.last('closing').code).toBe(code)
    expect(alice.last('closing').words).toContain(words)
    expect(alice.channel.closed).toBe(true)
    expect(bob.count('messages')).toBe(1)
    expect(bob.last('view')).toMatchObject({ cause: 'disconnect', left: [alice.welcome.session] })
    expect(bench.counters.get('cell.sessions.lost')).toBe(1)
    expect(bench.runtime.sessions.sessionsLeft).toBe(1)
  })

  it('hits of limits are counted', async () => {
    const bench = await Bench.start({ limits: { destinationGroups: 2, messageBytes: 1000 } })
    bench.session().say(segment({ to: 'groups', groups: ['a', 'b', 'c'] }, 1, ['x']))
    bench.session().say(segment('g', 1, [600, 402]))
    bench.step()
    expect(bench.told('limit')).toMatchObject([
      { limit: 'destinationGroups', value: 3, bound: 2 },
      { limit: 'messageBytes', value: 1002, bound: 1000 },
    ])
    expect(bench.counters.get('cell.limits.destinationGroups')).toBe(1)
    expect(bench.counters.get('cell.limits.messageBytes')).toBe(1)
  })

  it('who sends more than its window is not read until it has a place in the order', async () => {
    const limits = { clientIntakeBytes: 64 * KiB, messageBytes: 64 * KiB, windowBytes: 64 * KiB }
    const bench = await Bench.start({ limits })
    const bob = member(bench, 'bob')
    const alice = bench.session('alice')
    const frames = Array.from({ length: 40 }, (_, i) => segment('g', i + 1, [60 * KiB]))
    alice.say(...frames.slice(0, 10))
    expect(alice.channel.paused).toBe(false)
    alice.say(...frames.slice(10))
    bench.step()
    // All came in one step: it was paused, and read again when what it sent had been ordered.
    expect(bench.counters.get('cell.intake.pauses')).toBe(1)
    expect(bench.counters.get('cell.limits.clientIntakeBytes')).toBe(1)
    expect(bench.told('limit')).toHaveLength(1)
    bench.step(1000)
    expect(alice.channel.paused).toBe(false)
    expect(bob.heard.filter(frame => frame.kind === 'messages')).toHaveLength(40)
  })
})

/** The same segment with another first sequence: an f64 behind prefix, header length and flags. */
function withSequence(frame: Uint8Array, sequence: number): Uint8Array {
  const copy = frame.slice()
  new DataView(copy.buffer).setFloat64(8, sequence, true)
  return copy
}

describe('acknowledgements', () => {
  it.each([
    ['more than was sent', 1],
    ['less than before', -1],
    ['a part of a byte', 0.5],
    ['nonsense', Number.NaN],
  ])('%s: the session is ended', async (_, more) => {
    const bench = await Bench.start()
    const alice = member(bench, 'alice')
    alice.say({ kind: 'acknowledge', bytes: alice.bytes })
    bench.step()
    const bytes = alice.bytes + more
    try {
      alice.say({ kind: 'acknowledge', bytes })
    } catch {
      // It cannot even be written: then by hand.
      const frame = new Uint8Array(13)
      const view = new DataView(frame.buffer)
      view.setUint32(0, 9, true)
      view.setUint8(4, 5)
      view.setFloat64(5, bytes, true)
      alice.say(frame)
    }
    bench.step()
    expect(alice.last('closing').code).toBe('protocol')
    expect(bench.runtime.sessions.sessionsLeft).toBe(0)
  })

  it('count from the welcome on, to the byte', async () => {
    const bench = await Bench.start()
    const alice = member(bench, 'alice')
    const [connection] = bench.runtime.sessions.connections
    expect(connection?.sent).toBe(alice.bytes)
    acknowledgeAll(bench, alice)
    expect(connection?.outstanding).toBe(0)
  })
})

describe('the end', () => {
  it('a close is answered when it is ordered; what came before it is delivered', async () => {
    const bench = await Bench.start()
    const bob = member(bench, 'bob')
    const alice = member(bench, 'alice')
    alice.say(segment('g', 1, ['last']), { kind: 'close' }, segment('g', 2, ['too late']))
    bench.step()
    expect(alice.last('closing')).toMatchObject({ code: 'closed', words: '' })
    expect(alice.channel.closed).toBe(true)
    expect(bob.count('messages')).toBe(1)
    expect(bob.last('view').left).toEqual([alice.welcome.session])
    expect(bench.counters.get('cell.sessions.closed')).toBe(1)
    expect(bench.counters.get('cell.sessions.lost')).toBe(0)
  })

  it('what had come in when the connection broke counts as sent', async () => {
    const bench = await Bench.start()
    const bob = member(bench, 'bob')
    const alice = member(bench, 'alice')
    alice.say(segment('g', 1, ['one']))
    alice.say(segment('g', 2, ['two']))
    alice.channel.end(new Error('reset'))
    bench.step()
    expect(bob.count('messages')).toBe(2)
    expect(bob.last('view')).toMatchObject({ cause: 'disconnect', left: [alice.welcome.session] })
    expect(bench.counters.get('cell.sessions.lost')).toBe(1)
    expect(bench.runtime.sessions.connections.size).toBe(1)
  })

  it('whoever does not read its last words is let go after ten seconds, with what was kept for it', async () => {
    const bench = await Bench.start()
    const alice = member(bench, 'alice')
    alice.channel.reads = false
    alice.say({ kind: 'close' })
    bench.step()
    expect(alice.channel.closed).toBe(false)
    bench.step(9000)
    expect(alice.channel.aborted).toBe(false)
    bench.step(1000)
    expect(alice.channel.aborted).toBe(true)
    // Nothing is left that would ask for a step.
    expect(bench.runtime.nextDeadline).toBeGreaterThan(bench.now)
  })

  it('a leaving daemon ends all sessions in the order, and takes no others', async () => {
    const bench = await Bench.start()
    const alice = member(bench, 'alice')
    const bob = member(bench, 'bob')
    const waiting = bench.client()
    alice.say(segment('g', 1, ['accepted']))
    bench.step()
    const left = bench.runtime.leave(60_000)
    expect(waiting.last('refused').code).toBe('daemon-leaving')
    const late = bench.client()
    late.say(hello)
    bench.step()
    for (const client of [alice, bob]) {
      expect(client.last('closing')).toMatchObject({
        code: 'daemon-leaving',
        words: 'this daemon is leaving',
      })
      expect(client.channel.closed).toBe(true)
      expect(client.count('messages')).toBe(1)
    }
    expect(late.last('refused').code).toBe('daemon-leaving')
    expect(bench.runtime.sessions.sessionsLeft).toBe(0)
    await Promise.resolve()
    bench.step(1000)
    await left
    expect(bench.runtime.cell.phase).toBe('left')
    await bench.runtime.close()
  })

  it('a daemon that closes says so, and does nothing more', async () => {
    const bench = await Bench.start()
    const alice = member(bench, 'alice')
    await bench.runtime.close()
    expect(alice.last('closing').code).toBe('daemon-leaving')
    expect(alice.channel.closed).toBe(true)
    const turns = bench.counters.get('cell.loop.turns')
    bench.runtime.step(bench.now + 1)
    expect(bench.counters.get('cell.loop.turns')).toBe(turns)
  })
})
