import { spawnSync } from 'node:child_process'
import { expect, it, onTestFinished } from 'vitest'
import type { Lab } from '../src/cli/lab/lab.ts'
import { Network } from '../src/cli/lab/netns.ts'
import {
  cellStatus,
  enter,
  eventually,
  expectGoodTraces,
  expectSameOrder,
  laboratory,
  type Member,
  patient,
  startTogether,
  together,
} from './laboratory.ts'
import { describeNetns } from './requires.ts'

const names = ['n1', 'n2', 'n3'] as const

interface Cluster {
  readonly network: Network
  readonly lab: Lab
  readonly members: readonly [Member, Member, Member]
}

/** Three daemons on three hosts, with a member each. */
async function cluster(transport: string): Promise<Cluster> {
  const network = new Network(names)
  onTestFinished(() => network.close())
  const lab = await laboratory({
    names,
    within: name => network.within(name),
    address: name => `${network.address(name)}:4803`,
    cell: `${patient}\n    transport: ${transport}\n    multicast: 239.192.77.1:4804`,
  })
  await startTogether(lab)
  const alice = await enter(lab, 'n1', 'alice', 'g')
  const bob = await enter(lab, 'n2', 'bob', 'g')
  const carol = await enter(lab, 'n3', 'carol', 'g')
  await together([alice, bob, carol])
  return { network, lab, members: [alice, bob, carol] }
}

/** How data gets from the daemon of a member to each of the others. */
async function carriers({ session }: Member): Promise<Record<string, string>> {
  const { peers } = await cellStatus(session)
  return Object.fromEntries(
    peers.filter(peer => peer.member !== session.daemon).map(({ name, carrier }) => [name, carrier]),
  )
}

/** Everyone sends so many messages, small and large; waits until all have all. */
async function talk(members: readonly Member[], count: number): Promise<void> {
  const before = members.map(({ observer }) => observer.messages.length)
  await Promise.all(
    members.map(async ({ group, session }) => {
      for (let i = 0; i < count; i++) {
        await group.send(`${session.name} ${i} ${'x'.repeat(i % 10 === 0 ? 100_000 : i)}`, {
          service: i % 2 === 0 ? 'agreed' : 'safe',
        })
      }
    }),
  )
  for (const [index, { observer }] of members.entries()) {
    await observer.until(
      () => observer.messages.length === (before[index] as number) + count * members.length,
    )
  }
}

describeNetns('three daemons that send datagrams', () => {
  it.each([
    ['udp', 'udp'],
    ['multicast', 'multicast'],
  ])(
    '%s: messages arrive, some of which the network loses, and the traces are good',
    async (transport, carrier) => {
      const { network, lab, members } = await cluster(transport)
      for (const member of members) {
        await eventually(async () => Object.values(await carriers(member)).join() === `${carrier},${carrier}`)
      }
      await talk(members, 30)
      network.lose(3)
      await talk(members, 15)
      network.heal()
      const { counters } = await cellStatus(members[0].session)
      expect(counters['cell.datagrams.in']).toBeGreaterThan(100)
      expect(counters['cell.datagrams.resent']).toBeGreaterThan(0)
      expectSameOrder(members)
      await expectGoodTraces(lab, members, { drained: true })
    },
  )

  it('a host that no datagram reaches is served over its connections, and nobody is suspected', async () => {
    const { network, lab, members } = await cluster('multicast')
    const [alice, bob, carol] = members
    await eventually(async () => (await carriers(alice))['n3'] === 'multicast')
    const [command, ...args] = [
      ...network.within('n3'),
      'nft',
      'add rule inet lab input meta l4proto udp drop',
    ]
    expect(spawnSync(command as string, args).status).toBe(0)
    await talk(members, 20)
    await eventually(async () => (await carriers(alice))['n3'] === 'tcp')
    expect((await carriers(alice))['n2']).toBe('multicast')
    await talk(members, 20)
    network.heal()
    await eventually(async () => (await carriers(bob))['n3'] === 'multicast')
    await talk(members, 5)
    for (const { session, observer } of [alice, bob, carol]) {
      const { counters } = await cellStatus(session)
      expect(counters['cell.suspicions.stalled'] + counters['cell.suspicions.silent']).toBe(0)
      expect(observer.views.length).toBeLessThanOrEqual(3)
    }
    await expectGoodTraces(lab, members, { drained: true })
  })

  it('auto says in the log what it chose', async () => {
    const { lab } = await cluster('auto')
    expect(lab.log('n1')).toContain('transport tcp: copies for 2 other members cost little')
  })
}, ['nft'])
