import { expect, it } from 'vitest'
import type { CounterName } from '../src/admin/registry.ts'
import {
  cellStatus,
  enter,
  eventually,
  expectGoodTraces,
  laboratory,
  later,
  type Member,
  startTogether,
  together,
} from './laboratory.ts'

const names = ['n1', 'n2', 'n3', 'n4', 'n5'] as const

/** Patient enough for a busy machine: what is not lost is not asked for however late it comes. */
const cell = `
    transport: chain
    timeouts: { heartbeatMs: 1000, suspectAfterMs: 10000, stalledAfterMs: 40000 }
    slowClient: { seconds: 30 }`

async function counters(members: readonly Member[], name: CounterName): Promise<number[]> {
  return Promise.all(members.map(async ({ session }) => (await cellStatus(session)).counters[name] as number))
}

/** Sends large messages until told to stop. @returns how many. */
async function load({ group, session }: Member, stop: (sent: number) => boolean): Promise<number> {
  let sent = 0
  for (; !stop(sent); sent++) {
    const text = `${session.name} ${sent} ${'x'.repeat(20_000 + sent)}`
    const receipt = group.send(text, { service: sent % 5 === 0 ? 'safe' : 'agreed' })
    if (sent % 4 === 0) await receipt
    else later(receipt)
  }
  return sent
}

it('a chain of five: one copy on the sender’s link; a member that dies in the middle costs nobody a message', async () => {
  const lab = await laboratory({ names, cell })
  await startTogether(lab)
  const members: Member[] = []
  for (const name of names) members.push(await enter(lab, name, `at-${name}`, 'g'))
  await together(members)
  const [first, , third] = members as [Member, Member, Member]
  const views = members.map(({ observer }) => observer.views.length)

  const calm = await load(first, sent => sent === 40)
  for (const { observer } of members) await observer.until(() => observer.messages.length >= calm)
  // Frames for all but the sender of which one copy left, and the others were passed on by those who got them.
  const given = (await counters(members, 'cell.relays.given'))[0] as number
  expect(given).toBeGreaterThan(0)
  expect(await counters(members, 'cell.relays.out')).toEqual([0, given, given, given, 0])
  expect(await counters(members, 'cell.relays.in')).toEqual([0, given, given, given, given])
  const quiet: CounterName[] = [
    'cell.naks.out',
    'cell.retransmissions.in',
    'cell.relays.bypassed',
    'cell.relays.unreached',
    'cell.relays.dropped',
  ]
  for (const name of quiet) expect(await counters(members, name), name).toEqual([0, 0, 0, 0, 0])
  const bytes = (await counters(members, 'cell.bytes.out.data'))[0] as number
  expect(bytes).toBeLessThan(calm * 20_100 * 2)

  let stop = false
  const loading = later(load(first, () => stop))
  await first.observer.until(() => first.observer.messages.length >= calm + 40)
  lab.signal('n3', 'SIGKILL')
  const survivors = members.filter(member => member !== third)
  await together(survivors)
  const after = first.observer.messages.length
  await first.observer.until(() => first.observer.messages.length >= after + 20)
  stop = true
  const total = calm + (await loading)
  for (const { observer } of survivors) await observer.until(() => observer.messages.length >= total)
  expect(new Set(survivors.map(({ observer }) => observer.digest())).size).toBe(1)
  expect(survivors.map(({ observer }) => observer.messages.length)).toEqual(survivors.map(() => total))
  expect(survivors.map(({ observer }) => observer.views.length)).toEqual(
    survivors.map(member => (views[members.indexOf(member)] as number) + 1),
  )
  await lab.daemon('n3').ended
  await expectGoodTraces(lab, survivors)
})

function chainAtFirst(name: string): string {
  return name === 'n1' ? cell : cell.replace('chain', 'tcp')
}

it('a daemon with another transport is refused in words', async () => {
  const lab = await laboratory({ names: ['n1', 'n2'], cell: chainAtFirst })
  await lab.startAll()
  const session = await lab.session('n1', 'alice')
  const why = async (): Promise<string> => (await cellStatus(session)).peers[0]?.why ?? ''
  await eventually(async () => (await why()).includes('only here "main: transport chain"'))
  await session.close()
})
