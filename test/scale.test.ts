import { createHash } from 'node:crypto'
import { expect, it } from 'vitest'
import { connect, type Session } from '../src/client/index.ts'
import { figure, stopwatch } from './figures.ts'
import {
  cellStatus,
  enter,
  eventually,
  expectGoodTraces,
  formed,
  laboratory,
  later,
  patient,
  startTogether,
  together,
} from './laboratory.ts'

/** Reads everything a session is told, and keeps only numbers. */
class Reader {
  readonly session: Session
  messages = 0
  views = 0
  bytes = 0
  /** Of the places of all messages, in their order. */
  readonly order = createHash('sha256')
  private readonly over: Promise<never>
  private waiting: { readonly holds: () => boolean; readonly done: () => void }[] = []

  constructor(session: Session) {
    this.session = session
    this.over = later(this.read())
  }

  /** Rejects when the session ends before. */
  until(holds: () => boolean): Promise<void> {
    if (holds()) return Promise.resolve()
    return Promise.race([this.over, new Promise<void>(done => this.waiting.push({ holds, done }))])
  }

  private async read(): Promise<never> {
    for await (const batch of this.session.batches()) {
      for (const event of batch) {
        if (event.type === 'view') this.views++
        else if (event.type === 'message') {
          this.messages++
          this.bytes += event.length
          this.order.update(event.position)
        }
      }
      for (const { holds, done } of this.waiting) if (holds()) done()
      this.waiting = this.waiting.filter(({ holds }) => !holds())
    }
    throw new Error(`${this.session.name} was closed`)
  }
}

it('500 sessions on one daemon, 1000 joins in a burst, a message from each to all', async () => {
  // With the timeouts that everybody has: what so many are told does not keep a daemon from hearing its peers.
  const lab = await laboratory({ names: ['n1', 'n2'], trace: false })
  await startTogether(lab)
  const opening = stopwatch()
  const names = Array.from({ length: 500 }, (_, i) => `s${i}`)
  const sessions = await Promise.all(names.map(name => connect(lab.url('n1'), { name })))
  const readers = sessions.map(session => new Reader(session))
  figure('500 sessions opened at once', opening(), 'ms')

  const joining = stopwatch()
  const joined = await Promise.all(
    readers.flatMap(({ session }) => [session.join('crowd'), session.join('choir')]),
  )
  for (const [index, reader] of readers.entries()) {
    const [crowd, choir] = [joined[2 * index], joined[2 * index + 1]]
    await reader.until(() => crowd?.members.length === 500 && choir?.members.length === 500)
  }
  figure('1000 joins in a burst, until every member has the last view', joining(), 'ms')
  figure(
    'views told',
    readers.reduce((sum, { views }) => sum + views, 0),
  )
  expect(new Set(joined.map(({ view }) => view.view)).size).toBe(2)
  const { members } = joined[0] as { members: readonly string[] }
  expect(new Set(joined.filter(({ name }) => name === 'crowd').map(group => group.members.join())).size).toBe(
    1,
  )
  expect(new Set(members)).toEqual(new Set(readers.map(({ session }) => session.id)))

  const sending = stopwatch()
  const receipts = await Promise.all(
    readers.map(({ session }) => session.sendMany(['crowd', 'choir'], session.name)),
  )
  for (const reader of readers) await reader.until(() => reader.messages === 500)
  figure('500 messages, each to 500 members', sending(), 'ms')
  expect(new Set(receipts.map(({ position }) => position)).size).toBe(500)
  expect(new Set(readers.map(({ order }) => order.copy().digest('hex'))).size).toBe(1)

  // From outside, and the fate of it: received by all.
  const other = await connect(lab.url('n2'), { name: 'outside' })
  const receipt = await other.sendMany(['choir'], 'hello')
  for (const reader of readers) await reader.until(() => reader.messages === 501)
  const { received, unknown } = await receipt.settled
  expect([received.length, unknown.length]).toEqual([500, 0])

  const { counters } = await cellStatus((readers[0] as Reader).session)
  figure('passes of the daemon that took too long', counters['cell.loop.stalledMs'], 'ms together')
  figure('passes that were cut short', counters['cell.loop.cutShort'])

  const leaving = stopwatch()
  await Promise.all(readers.map(({ session }) => session.close()))
  await eventually(async () => (await other.groups()).length === 0)
  figure('500 sessions closed', leaving(), 'ms')
  expect((await cellStatus(other)).counters['cell.rules.broken'] ?? 0).toBe(0)
  await other.close()
}, 240_000)

it('10,000 groups of one session, also at a daemon that comes later', async () => {
  const lab = await laboratory({ names: ['n1', 'n2', 'n3'], trace: false, cell: patient })
  await lab.start('n1')
  await lab.start('n2')
  await formed(lab, 'n1', 2)
  const reader = new Reader(await connect(lab.url('n1'), { name: 'alice' }))
  const { session } = reader
  const names = Array.from({ length: 10_000 }, (_, i) => `группа-${i}`)
  const joining = stopwatch()
  const groups = await Promise.all(names.map(name => session.join(name)))
  figure('10,000 groups joined', joining(), 'ms')
  expect(groups.every(({ members }) => members.length === 1)).toBe(true)

  const other = new Reader(await connect(lab.url('n2'), { name: 'bob' }))
  expect((await other.session.groups()).length).toBe(10_000)
  const mine = await other.session.join('группа-77')
  const merging = stopwatch()
  await lab.start('n3')
  const late = await connect(lab.url('n3'), { name: 'carol' })
  await eventually(async () => (await late.groups()).length === 10_000)
  figure('a daemon comes in that must learn 10,000 groups', merging(), 'ms')
  expect(await late.membersOf('группа-77')).toEqual([session.id, other.session.id])
  expect(await late.membersOf('группа-9999')).toEqual([session.id])
  // Nobody was lost and nobody met in these groups: no view changes for it.
  expect(groups[9999]?.view.previous).toBeNull()

  const sending = stopwatch()
  await Promise.all(names.map(name => late.sendMany([name], name)))
  await reader.until(() => reader.messages === 10_000)
  await other.until(() => other.messages === 1)
  figure('a message to each of 10,000 groups', sending(), 'ms')

  const leaving = stopwatch()
  await session.close()
  await eventually(async () => (await late.groups()).length === 1)
  figure('10,000 groups left by one disconnect', leaving(), 'ms')
  await eventually(() => mine.members.length === 1)
  await other.session.close()
  await late.close()
})

function digest(data: Uint8Array): string {
  return createHash('sha256').update(data).digest('hex')
}

it('a message of 16 MiB, of nothing, and of one byte too many', async () => {
  const lab = await laboratory({ names: ['n1', 'n2', 'n3'], cell: patient })
  await startTogether(lab)
  const sender = await lab.session('n1', 'alice')
  const { maxMessageBytes } = sender.limits
  expect(maxMessageBytes).toBe(16 * 1024 * 1024)
  const large = new Uint8Array(maxMessageBytes)
  for (let i = 0; i < large.length; i += 4) large[i] = (i * 2_654_435_761) >>> 24

  const sessions = [sender, await lab.session('n2', 'bob'), await lab.session('n3', 'carol')]
  const seen = sessions.map(async session => {
    const batches = session.batches()
    const parts: string[] = []
    for await (const batch of batches) {
      for (const event of batch) {
        if (event.type === 'message') parts.push(`${event.length} ${event.position} ${digest(event.data)}`)
      }
      if (parts.length >= 6) return parts
    }
    return parts
  })
  const groups = await Promise.all(sessions.map(session => session.join('g')))
  await eventually(() => groups.every(({ members }) => members.length === 3))
  const [group] = groups
  if (group === undefined) throw new Error('no group')

  expect(() => group.trySend(new Uint8Array(maxMessageBytes + 1))).toThrow(/larger than the daemon accepts/)
  await expect(group.send(new Uint8Array(maxMessageBytes + 1))).rejects.toMatchObject({ code: 'too-large' })
  const since = stopwatch()
  const receipts = await Promise.all([
    group.send('before'),
    group.send(large),
    group.send(''),
    group.send(new Uint8Array(0), { service: 'safe' }),
    group.send(large, { service: 'safe' }),
    groups[1]?.send('from another'),
  ])
  const [one, two, three] = await Promise.all(seen)
  figure('two messages of 16 MiB at three members', since(), 'ms')
  expect(two).toEqual(one)
  expect(three).toEqual(one)
  expect(
    one?.filter(part => part.startsWith(`${maxMessageBytes} `) && part.endsWith(digest(large))).length,
  ).toBe(2)
  expect(one?.filter(part => part.startsWith('0 ')).length).toBe(2)
  for (const receipt of receipts) expect((await receipt?.settled)?.received.length).toBe(3)
  for (const session of sessions) await session.close()
  await expectGoodTraces(lab, [])
})

it('names and texts in Cyrillic, from the command line to the command line', async () => {
  const lab = await laboratory({ names: ['n1', 'n2'], cell: patient })
  await startTogether(lab)
  const alice = await enter(lab, 'n1', 'алиса', 'новости')
  const join = lab.command('n2', [
    'join',
    '--json',
    '--no-send',
    '--count',
    '3',
    '--name',
    'борис',
    'новости',
  ])
  await together([alice], 2)
  const text = 'съешь ещё этих мягких французских булок\n\nда выпей чаю'
  const send = lab.command('n1', ['send', 'новости'], { input: text })
  expect(await send.ended, send.errors).toBe(0)
  expect(await join.ended, join.errors).toBe(0)
  const lines = join.output
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as Record<string, unknown>)
  const messages = lines.filter(({ type }) => type === 'message')
  expect(messages.map(({ group, data }) => [group, data])).toEqual(
    text.split('\n').map(line => ['новости', line]),
  )
  expect(await alice.session.groups()).toEqual([{ group: 'новости', members: 1 }])
  expect((await cellStatus(alice.session)).sessions.map(({ id }) => id)).toContain(alice.session.id)
  expect(alice.session.id.startsWith('алиса@n1#')).toBe(true)
  // 255 bytes of UTF-8 are 127 of these letters, and not 128.
  const longest = await alice.session.join('ж'.repeat(127))
  expect(longest.members).toEqual([alice.session.id])
  await expect(alice.session.join('ж'.repeat(128))).rejects.toMatchObject({ code: 'bad-group-name' })
  await expectGoodTraces(lab, [alice])
})
