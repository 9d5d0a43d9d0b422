import { expect, it, onTestFinished } from 'vitest'
import type { Lab } from '../src/cli/lab/lab.ts'
import { Network } from '../src/cli/lab/netns.ts'
import { figure, stopwatch } from './figures.ts'
import {
  cellStatus,
  enter,
  eventually,
  expectGoodTraces,
  expectSameOrder,
  laboratory,
  later,
  type Member,
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
async function cluster(): Promise<Cluster> {
  const network = new Network(names)
  onTestFinished(() => network.close())
  const lab = await laboratory({
    names,
    within: name => network.within(name),
    address: name => `${network.address(name)}:4803`,
  })
  await startTogether(lab)
  const alice = await enter(lab, 'n1', 'alice', 'g')
  const bob = await enter(lab, 'n2', 'bob', 'g')
  const carol = await enter(lab, 'n3', 'carol', 'g')
  await together([alice, bob, carol])
  return { network, lab, members: [alice, bob, carol] }
}

/** Sends in all three services and waits until everybody who is together has it. */
async function talk(members: readonly Member[], what: string): Promise<void> {
  await Promise.all(
    members.map(({ group, session }) =>
      Promise.all(
        (['agreed', 'safe', 'fifo'] as const).map(service =>
          group.send(`${what}: ${session.name} ${service}`, { service }),
        ),
      ),
    ),
  )
  for (const { observer } of members) {
    await observer.until(
      () =>
        observer.messages.filter(({ text }) => text.startsWith(`${what}: `)).length === members.length * 3,
    )
  }
}

/** Sends one message after the other until told to stop. @returns how many; all of them were delivered. */
async function keepTalking({ group, session }: Member, stop: () => boolean): Promise<number> {
  let count = 0
  for (; !stop(); count++) await group.send(`${session.name} goes on ${count}`)
  return count
}

/** How many times its daemon has sent a heartbeat to everyone it reaches. */
async function heartbeatsOf({ session }: Member): Promise<number> {
  const { counters, peers } = await cellStatus(session)
  return counters['cell.heartbeats.out'] / Math.max(1, peers.filter(({ link }) => link === 'up').length)
}

/** Waits until every member's daemon has sent so many heartbeats more. */
async function heartbeats(members: readonly Member[], more: number): Promise<void> {
  const until = await Promise.all(members.map(async member => (await heartbeatsOf(member)) + more))
  for (const [index, member] of members.entries()) {
    await eventually(async () => (await heartbeatsOf(member)) >= (until[index] as number))
  }
}

/** Whom each member sees, by name; null while they do not agree: who is in a view has the same view. */
function components(members: readonly Member[]): string[] | null {
  const found = new Set<string>()
  for (const { group } of members) {
    for (const other of members) {
      const inside = group.members.includes(other.session.id)
      if (inside && other.group.view.view !== group.view.view) return null
    }
    found.add(
      group.members
        .map(id => id.slice(0, id.indexOf('@')))
        .toSorted()
        .join(' '),
    )
  }
  return [...found].toSorted()
}

describeNetns('three daemons on three hosts', () => {
  it('a cut in two: both sides go on, and become one view again', async () => {
    const { network, lab, members } = await cluster()
    const [alice, bob, carol] = members
    await talk(members, 'before')
    let stop = false
    const talking = members.map(member => later(keepTalking(member, () => stop)))

    const cut = stopwatch()
    network.split(['n1'], ['n2', 'n3'])
    await together([bob, carol])
    figure('network cut → view of those who stay', cut(), 'ms')
    await together([alice], 1)
    expect(bob.observer.transitional).toContain('g')
    await Promise.all([talk([alice], 'alone'), talk([bob, carol], 'in two')])

    const healed = stopwatch()
    network.heal()
    await together(members)
    figure('heal → one view', healed(), 'ms')
    const merge = alice.observer.views.at(-1)
    expect(merge?.cause).toBe('network')
    expect(merge?.origins.map(origin => origin.members.length).toSorted()).toEqual([1, 2])
    expect(new Set(members.map(({ observer }) => observer.views.at(-1)?.view)).size).toBe(1)
    stop = true
    for (const count of await Promise.all(talking)) expect(count).toBeGreaterThan(0)
    await talk(members, 'after')

    // Neither heard what the other side said in the meantime; what both heard is in one order.
    expect(alice.observer.messages.some(({ text }) => text.startsWith('in two'))).toBe(false)
    expect(bob.observer.messages.some(({ text }) => text.startsWith('alone'))).toBe(false)
    expectSameOrder(members)
    expect(bob.observer.digest()).toBe(carol.observer.digest())
    await expectGoodTraces(lab, members, { drained: true })
  })

  it('a bridge, two of three cut from each other: settles in one stable view, and heals', async () => {
    const { network, lab, members } = await cluster()
    const [alice, bob, carol] = members
    const lastView = new Map<Member, { views: number; at: number }>()
    const cut = stopwatch()
    const watch = (): void => {
      for (const member of members) {
        const { length } = member.observer.views
        if (lastView.get(member)?.views !== length) lastView.set(member, { views: length, at: cut() })
      }
    }
    network.cut('n1', 'n2')
    await eventually(() => {
      watch()
      return (components(members)?.length ?? 0) > 1
    })
    // Stable: nothing changes for three times as long as it takes to notice a loss.
    let before: number
    do {
      before = members.reduce((sum, { observer }) => sum + observer.views.length, 0)
      await heartbeats(members, 30)
      watch()
    } while (members.reduce((sum, { observer }) => sum + observer.views.length, 0) !== before)
    figure(
      'bridge cut → last change of a view',
      Math.max(...[...lastView.values()].map(({ at }) => at)),
      'ms',
    )
    figure('bridge cut: views until stable', members.map(({ observer }) => observer.views.length).join(' '))

    const parts = components(members) as string[]
    expect([
      ['alice', 'bob carol'],
      ['alice carol', 'bob'],
    ]).toContainEqual(parts)
    const pair = members.filter(({ group }) => group.members.length === 2)
    const [single] = members.filter(({ group }) => group.members.length === 1)
    expect(pair).toContain(carol)
    await Promise.all([talk(pair, 'pair'), talk([single as Member], 'single')])

    const healed = stopwatch()
    network.heal()
    await together(members)
    figure('bridge healed → one view', healed(), 'ms')
    await talk(members, 'after')
    expect(alice.observer.views.at(-1)?.view).toBe(bob.observer.views.at(-1)?.view)
    expectSameOrder(members)
    await expectGoodTraces(lab, members, { drained: true })
  })

  it('a mute host is left out, and taken in again when it is heard', async () => {
    const { network, lab, members } = await cluster()
    const [alice, bob, carol] = members
    await talk(members, 'before')
    const cut = stopwatch()
    network.drop('n3', 'n1')
    network.drop('n3', 'n2')
    await together([alice, bob])
    await together([carol], 1)
    figure('mute host → view of all', cut(), 'ms')
    await Promise.all([talk([alice, bob], 'in two'), talk([carol], 'alone')])
    network.heal()
    await together(members)
    await talk(members, 'after')
    expectSameOrder(members)
    await expectGoodTraces(lab, members, { drained: true })
  })
}, ['nft'])
