import { expect, it } from 'vitest'
import { AnasaziError } from '../src/client/index.ts'
import { figure, stopwatch } from './figures.ts'
import {
  cellStatus,
  enter,
  eventually,
  expectGoodTraces,
  laboratory,
  later,
  type Member,
  patient,
  startTogether,
  together,
} from './laboratory.ts'

const names = ['n1', 'n2', 'n3'] as const

/** Sends until told to stop or the session is lost. @returns how each send ended: 'delivered' or the code of its error. */
function chatter({ group, session }: Member, stop: () => boolean): Promise<string[]> {
  const ends: Promise<string>[] = []
  const run = async (): Promise<string[]> => {
    for (let i = 0; !stop() && !session.closed; i++) {
      const sent = group.send(`${session.name} ${i}`, { service: i % 3 === 0 ? 'safe' : 'agreed' })
      const end = sent.then(
        () => 'delivered',
        (error: unknown) => (error instanceof AnasaziError ? error.code : String(error)),
      )
      ends.push(end)
      if (i % 8 === 0) await end
    }
    return Promise.all(ends)
  }
  return later(run())
}

it('kill -9: the survivors agree, the clients are told, and the name comes back at once', async () => {
  const lab = await laboratory({ names })
  await startTogether(lab)
  const [alice, bob, carol] = [
    await enter(lab, 'n1', 'alice', 'g'),
    await enter(lab, 'n2', 'bob', 'g'),
    await enter(lab, 'n3', 'carol', 'g'),
  ] as const
  await together([alice, bob, carol])

  let stop = false
  const talks = [alice, bob, carol].map(member => chatter(member, () => stop))
  await alice.observer.until(() => alice.observer.messages.length > 500)
  const since = stopwatch()
  lab.signal('n3', 'SIGKILL')
  await together([alice, bob])
  figure('kill -9 → view at both survivors', since(), 'ms')
  await carol.observer.over()
  expect(carol.observer.ended).toBe('connection-lost')
  expect(alice.observer.views.at(-1)).toMatchObject({ cause: 'network', left: [carol.session.id] })

  await lab.daemon('n3').ended
  await lab.start('n3')
  const back = stopwatch()
  const dave = await enter(lab, 'n3', 'carol', 'g')
  await together([alice, bob, dave])
  figure('started again → view of all with its new member', back(), 'ms')
  expect(dave.session.id).not.toBe(carol.session.id)

  stop = true
  const [first, second, third] = await Promise.all(talks)
  expect(new Set([...(first as string[]), ...(second as string[])])).toEqual(new Set(['delivered']))
  // In flight when the daemon died: nobody knows. Never "failed".
  const ends = new Set(third)
  ends.delete('delivered')
  for (const end of ends) expect(['fate-unknown', 'connection-lost', 'closed']).toContain(end)
  await bob.observer.until(() => bob.observer.messages.length >= alice.observer.messages.length)
  await alice.observer.until(() => alice.observer.messages.length >= bob.observer.messages.length)
  expect(bob.observer.digest()).toBe(alice.observer.digest())
  await expectGoodTraces(lab, [alice, bob, dave])
})

it('a send that its daemon takes into the grave is rejected with "fate unknown"', async () => {
  const lab = await laboratory({ names: ['n1', 'n2'] })
  await startTogether(lab)
  const alice = await enter(lab, 'n1', 'alice', 'g')
  const bob = await enter(lab, 'n2', 'bob', 'g')
  await together([alice, bob])
  await bob.group.send('before')
  lab.signal('n2', 'SIGSTOP')
  const send = bob.group.send('into the void')
  const closing = expect(send).rejects.toMatchObject({
    code: 'fate-unknown',
    acceptedThrough: 2,
    deliveredThrough: 1,
  })
  lab.signal('n2', 'SIGKILL')
  await closing
  await bob.observer.over()
  expect(bob.observer.ended).toBe('connection-lost')
  expect(() => bob.group.trySend('more')).toThrow()
  await together([alice], 1)
  expect(alice.observer.messages.map(seen => seen.text)).toEqual(['before'])
  await expectGoodTraces(lab, [alice])
})

it('SIGTERM: the sessions of the daemon leave in the order, and the others re-form at once', async () => {
  const lab = await laboratory({ names })
  await startTogether(lab)
  const members = [
    await enter(lab, 'n1', 'alice', 'g'),
    await enter(lab, 'n2', 'bob', 'g'),
    await enter(lab, 'n3', 'carol', 'g'),
  ]
  const [alice, bob, carol] = members as [Member, Member, Member]
  await together(members)
  const last = Array.from({ length: 100 }, (_, i) => carol.group.send(`last words ${i}`))
  const outcome = Promise.allSettled(last)
  await last[0]
  const since = stopwatch()
  lab.signal('n3', 'SIGTERM')
  await together([alice, bob])
  figure('SIGTERM → view at both others', since(), 'ms')
  expect(await lab.daemon('n3').ended).toBe(0)
  await carol.observer.over()
  expect(carol.observer.ended).toBe('daemon-leaving')
  expect(alice.observer.views.at(-1)).toMatchObject({ cause: 'disconnect', left: [carol.session.id] })
  // No suspicion, no transitional signal: an orderly leave is not a failure.
  expect(alice.observer.transitional).toEqual([])
  expect(lab.log('n1')).not.toContain('nothing was heard')
  const delivered = (await outcome).filter(({ status }) => status === 'fulfilled').length
  expect(alice.observer.messages.length).toBeGreaterThanOrEqual(delivered)
  await eventually(async () => (await cellStatus(alice.session)).configuration.members.length === 2)
  await alice.group.send('we go on')
  for (const { observer } of [alice, bob])
    await observer.until(() => observer.messages.at(-1)?.text === 'we go on')
  expect(bob.observer.digest()).toBe(alice.observer.digest())
  await expectGoodTraces(lab, [alice, bob])
})

it('a second daemon on the same socket is refused in words', async () => {
  const lab = await laboratory({ names: ['n1'], cell: patient })
  await startTogether(lab)
  const alice = await enter(lab, 'n1', 'alice', 'g')
  const second = lab.run(lab.daemonArguments('n1'))
  expect(await second.ended).toBe(1)
  expect(second.errors).toContain(`another daemon already serves ${lab.socket('n1')}`)
  expect(second.errors).not.toContain('    at ')
  // The first one still has its socket.
  await alice.group.send('still here')
  const bob = await enter(lab, 'n1', 'bob', 'g')
  await together([alice, bob])
  // What a killed one leaves behind is in nobody's way.
  await lab.end('n1', 'SIGKILL')
  await lab.start('n1')
  await enter(lab, 'n1', 'alice', 'g')
})

it('a pause shorter than the timeout changes no view', async () => {
  const lab = await laboratory({
    names,
    cell: '    timeouts: { suspectAfterMs: 8000, stalledAfterMs: 16000 }',
  })
  await startTogether(lab)
  const members = await Promise.all(names.map((name, i) => enter(lab, name, `m${i}`, 'g')))
  const [alice, , carol] = members as [Member, Member, Member]
  await together(members)
  const before = members.map(({ observer }) => observer.views.length)
  const { installed } = await counters(alice)

  lab.signal('n3', 'SIGSTOP')
  const sends = Array.from({ length: 50 }, (_, i) =>
    alice.group.send(`during the pause ${i}`, { service: 'safe' }),
  )
  // Long enough that ten heartbeats are missing.
  await eventually(async () =>
    (await cellStatus(alice.session)).peers.some(
      ({ name, lastHeardMs }) => name === 'n3' && (lastHeardMs ?? 0) > 1000,
    ),
  )
  lab.signal('n3', 'SIGCONT')
  await Promise.all(sends)
  await carol.group.send('awake')
  for (const { observer } of members) await observer.until(() => observer.messages.length === 51)
  expect(members.map(({ observer }) => observer.views.length)).toEqual(before)
  expect((await counters(alice)).installed).toBe(installed)
  expect(new Set(members.map(({ observer }) => observer.digest())).size).toBe(1)
  await expectGoodTraces(lab, members, { drained: true })
})

async function counters({ session }: Member): Promise<{ installed: number }> {
  const { counters } = await cellStatus(session)
  return { installed: counters['cell.configurations.installed'] }
}

it('a longer pause excludes the daemon; when it wakes, it delivers what it missed no more, and comes back', async () => {
  const lab = await laboratory({ names })
  await startTogether(lab)
  const members = await Promise.all(names.map((name, i) => enter(lab, name, `m${i}`, 'g')))
  const [alice, bob, carol] = members as [Member, Member, Member]
  await together(members)
  await carol.group.send('all together')
  const viewsBefore = alice.observer.views.length

  const since = stopwatch()
  lab.signal('n3', 'SIGSTOP')
  await together([alice, bob])
  figure('SIGSTOP → view at both others', since(), 'ms')
  for (let i = 0; i < 20; i++) await alice.group.send(`without you ${i}`)
  const awake = stopwatch()
  lab.signal('n3', 'SIGCONT')
  await together(members)
  figure('SIGCONT → view of all', awake(), 'ms')
  await carol.group.send('here again')
  for (const { observer } of members)
    await observer.until(() => observer.messages.at(-1)?.text === 'here again')

  expect(carol.observer.ended).toBeNull()
  expect(carol.observer.transitional).toContain('g')
  expect(carol.observer.messages.map(seen => seen.text)).toEqual(['all together', 'here again'])
  expect(alice.observer.views.length - viewsBefore).toBe(2)
  const merge = alice.observer.views.at(-1)
  expect(merge?.cause).toBe('network')
  expect(merge?.origins.map(origin => origin.members.length).toSorted()).toEqual([1, 2])
  expect(carol.observer.views.at(-1)?.view).toBe(merge?.view)
  await expectGoodTraces(lab, members, { drained: true })
})
