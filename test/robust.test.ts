/** Real daemons where something is missing: descriptors, room for the log, somebody who reads it. */

import { execFileSync } from 'node:child_process'
import { closeSync, constants, openSync, readFileSync, writeSync } from 'node:fs'
import { expect, it } from 'vitest'
import type { Lab } from '../src/cli/lab/lab.ts'
import { connect, type Session } from '../src/client/index.ts'
import { figure } from './figures.ts'
import {
  cellStatus,
  enter,
  eventually,
  expectGoodTraces,
  laboratory,
  type Member,
  patient,
  startTogether,
  together,
} from './laboratory.ts'

/** Time that a process has computed, ms. */
function computedMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10
}

it('out of descriptors: new clients are told so, old ones served, peers reached again, and then all is well', async () => {
  const lab = await laboratory({
    names: ['n1', 'n2'],
    cell: patient,
    within: name => (name === 'n1' ? ['prlimit', '--nofile=100:100'] : []),
  })
  await startTogether(lab)
  const [alice, bob] = [await enter(lab, 'n1', 'alice', 'g'), await enter(lab, 'n2', 'bob', 'g')]
  await together([alice, bob])
  const others: Session[] = []
  let refused: unknown = null
  while (refused === null) {
    expect(others.length).toBeLessThan(100)
    try {
      others.push(await connect(lab.url('n1')))
    } catch (error) {
      refused = error
    }
  }
  figure('sessions of a daemon with 100 descriptors', others.length + 1)
  expect(refused).toMatchObject({
    code: 'too-many-sessions',
    retryable: true,
    message: expect.stringContaining('no descriptor left for another client'),
  })
  expect(others.length).toBeGreaterThan(20)

  // One after the other, and several at a time.
  for (let i = 0; i < 20; i++) {
    await expect(connect(lab.url('n1'))).rejects.toMatchObject({ code: 'too-many-sessions' })
  }
  const pid = lab.daemon('n1').pid
  const [before, since] = [computedMs(pid), performance.now()]
  const crowd = await Promise.allSettled(Array.from({ length: 100 }, () => connect(lab.url('n1'))))
  for (const each of crowd) {
    // Whoever finds no descriptor at all is cut off by the system without a word.
    expect(each).toMatchObject({ status: 'rejected' })
    if (each.status === 'rejected')
      expect(['too-many-sessions', 'connection-lost']).toContain(each.reason.code)
  }

  // The old ones go on, with those elsewhere, too.
  const receipts = await Promise.all([
    alice.group.send('from n1'),
    bob.group.send('from n2', { service: 'safe' }),
  ])
  for (const receipt of receipts) expect((await receipt.settled).received).toHaveLength(2)
  expect((await cellStatus(others[0] as Session)).counters['cell.sessions.refused']).toBeGreaterThan(20)

  // A peer that comes back finds room.
  await lab.end('n2', 'SIGKILL')
  await together([alice], 1)
  await lab.start('n2')
  const carol = await enter(lab, 'n2', 'carol', 'g')
  await together([alice, carol])
  await alice.group.send('again')
  const [computed, passed] = [computedMs(pid) - before, performance.now() - since]
  figure('computed meanwhile', (100 * computed) / passed, '%')
  expect(computed).toBeLessThan(0.8 * passed)

  await Promise.all(others.splice(0, 20).map(session => session.close()))
  await eventually(async () => {
    try {
      others.push(await connect(lab.url('n1')))
      return true
    } catch (error) {
      expect(error).toMatchObject({ retryable: true })
      return false
    }
  })
  await Promise.all(others.map(session => session.close()))
  await expectGoodTraces(lab, [alice, carol])
})

/** A session at a daemon that cannot say when it has started. */
async function enterWhenStarted(lab: Lab, name: string): Promise<Member> {
  await eventually(() =>
    connect(lab.url(name)).then(
      async session => {
        await session.close()
        return true
      },
      () => false,
    ),
  )
  return enter(lab, name, `member-${name}`, 'g')
}

/** Runs a daemon with its standard error redirected so. */
const redirected = (redirection: string): string[] => ['sh', '-c', `exec "$@" ${redirection}`, 'sh']

it('a log that goes to a full disk costs lines, not the daemon', async () => {
  const lab = await laboratory({ names: ['n1', 'n2'], cell: patient })
  const broken = lab.launch('n1', { within: redirected('2>/dev/full') })
  await lab.start('n2')
  const [alice, bob] = [await enterWhenStarted(lab, 'n1'), await enter(lab, 'n2', 'bob', 'g')]
  await together([alice, bob])
  const receipt = await alice.group.send('unheard')
  expect((await receipt.settled).received).toHaveLength(2)
  await expectGoodTraces(lab, [alice, bob])
  expect(await broken.ended).toBe(0)
})

it('a log that nobody reads holds nobody up', async () => {
  const lab = await laboratory({ names: ['n1', 'n2'], cell: patient, trace: false })
  const pipe = lab.file('log')
  execFileSync('mkfifo', [pipe])
  const end = openSync(pipe, constants.O_RDWR | constants.O_NONBLOCK)
  expect(() => {
    for (;;) writeSync(end, Buffer.alloc(4096))
  }).toThrow(/EAGAIN/)
  const stuck = lab.launch('n1', { within: redirected(`2<>${pipe}`) })
  await lab.start('n2')
  const [alice, bob] = [await enterWhenStarted(lab, 'n1'), await enter(lab, 'n2', 'bob', 'g')]
  await together([alice, bob])
  const receipts = await Promise.all(Array.from({ length: 100 }, (_, i) => alice.group.send(`${i}`)))
  for (const receipt of receipts) expect((await receipt.settled).received).toHaveLength(2)
  expect((await cellStatus(alice.session)).counters['cell.loop.stalls']).toBe(0)
  // Nor does it keep the daemon from leaving in order, and from ending.
  stuck.signal('SIGTERM')
  await together([bob], 1)
  expect(bob.observer.views.at(-1)).toMatchObject({ left: [alice.session.id] })
  await stuck.ended
  closeSync(end)
  await bob.session.close()
})
