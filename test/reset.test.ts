import { expect, it, onTestFinished } from 'vitest'
import { Relay } from '../src/cli/lab/relay.ts'
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
const resets = 10

/** Whether both lanes to all peers of a member's daemon are connected. */
async function connected({ session }: Member): Promise<boolean> {
  const { peers } = await cellStatus(session)
  return peers.filter(({ name }) => !session.daemon.startsWith(`${name}#`)).every(({ link }) => link === 'up')
}

/** Sends messages of many lengths as fast as they are taken, until told to stop. @returns how many. */
async function load({ group, session }: Member, stop: () => boolean): Promise<number> {
  let sent = 0
  while (!stop()) {
    const text = `${session.name} ${sent} ${'x'.repeat((sent * 37) % 600)}`
    if (group.trySend(text, { service: sent % 5 === 0 ? 'safe' : 'agreed' }) === 0) await group.writable()
    else if (++sent % 50 === 0) await new Promise(setImmediate)
  }
  await group.send(`${session.name} end`)
  return sent + 1
}

it('every peer connection reset ten times under load: no view change, nothing lost', async () => {
  const relays: Relay[] = []
  onTestFinished(async () => {
    for (const relay of relays) await relay.close()
  })
  const lab = await laboratory({
    names,
    cell: patient,
    route: async (_from, _to, address) => {
      const relay = await Relay.listen(address)
      relays.push(relay)
      return relay.address
    },
  })
  await startTogether(lab)
  const members: Member[] = []
  for (const [index, name] of names.entries()) members.push(await enter(lab, name, `m${index}`, 'g'))
  await together(members)
  const views = members.map(({ observer }) => observer.views.length)
  const before = await Promise.all(members.map(async ({ session }) => (await cellStatus(session)).counters))

  let stop = false
  const loads = members.map(member => later(load(member, () => stop)))

  let broken = 0
  const since = stopwatch()
  for (let round = 0; round < resets; round++) {
    const seen = members.map(({ observer }) => observer.messages.length)
    broken += relays.reduce((sum, relay) => sum + relay.reset(), 0)
    // Back again, and a message of after the reset has passed: then the next one.
    for (const [index, member] of members.entries()) {
      await eventually(() => connected(member))
      await member.observer.until(() => member.observer.messages.length > (seen[index] as number) + 500)
    }
  }
  figure('resets of all peer connections, each until all flows again', since() / resets, 'ms')
  stop = true
  const total = (await Promise.all(loads)).reduce((sum, sent) => sum + sent, 0)
  for (const { observer } of members) await observer.until(() => observer.messages.length >= total)
  figure('messages while connections were reset', total)

  // Three pairs with two lanes each, in one direction at least.
  expect(broken).toBeGreaterThanOrEqual(resets * 6)
  expect(members.map(({ observer }) => observer.messages.length)).toEqual(members.map(() => total))
  expect(new Set(members.map(({ observer }) => observer.digest())).size).toBe(1)
  for (const { session } of members) {
    const own = members.map(({ observer }) => observer.messages.filter(({ sender }) => sender === session.id))
    for (const messages of own) expect(messages.findIndex(({ sequence }, i) => sequence !== i + 1)).toBe(-1)
  }
  expect(members.map(({ observer }) => observer.views.length)).toEqual(views)
  for (const [index, { session }] of members.entries()) {
    const { counters } = await cellStatus(session)
    const was = before[index] as typeof counters
    expect(counters['cell.configurations.installed']).toBe(was['cell.configurations.installed'])
    expect(counters['cell.peers.lost'] - was['cell.peers.lost']).toBeGreaterThanOrEqual(resets * 2)
    expect(counters['cell.suspicions.refused']).toBe(0)
  }
  await expectGoodTraces(lab, members, { drained: true })
})
