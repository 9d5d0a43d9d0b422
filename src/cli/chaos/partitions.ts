/** Daemons that do not reach each other. */

import { setTimeout as pause } from 'node:timers/promises'
import { mostViews } from './crashes.ts'
import type { Cluster } from './cluster.ts'
import type { Play } from './scenario.ts'

const three = ['n1', 'n2', 'n3'] as const
const four = ['n1', 'n2', 'n3', 'n4'] as const
/** Rounds follow each other closely: the wait before a lost peer is admitted again stays what it is after one loss. */
const firstHoldDown = '    timeouts: { maxHoldDownMs: 100 }'

/** Every way to cut these into two or more sides; order does not matter. */
export function partitionsOf(names: readonly string[]): string[][][] {
  let all: string[][][] = [[]]
  for (const name of names) {
    all = all.flatMap(sides => [
      [...sides, [name]],
      ...sides.map((_, at) => sides.map((side, i) => (i === at ? [...side, name] : side))),
    ])
  }
  return all.filter(sides => sides.length > 1)
}

const everyPartition = partitionsOf(four)

export const partitions: Play = {
  how: `all ${everyPartition.length} partitions of four daemons`,
  options: () => ({ names: four, links: 'any', cell: firstHoldDown }),
  varieties: everyPartition.length,
  async round(cluster, index) {
    const sides = everyPartition[index % everyPartition.length] as string[][]
    cluster.wires.split(...sides)
    const members = sides.map(side => cluster.atAll(side))
    await cluster.view('cut → every side has its own view', 3000, ...members)
    await cluster.flowing('messages on every side', cluster.living, 10)
    cluster.wires.heal()
    await cluster.together('heal → one view', 3000)
  },
}

export const deafOrMute: Play = {
  how: 'what one daemon sends, or what it should receive, is dropped',
  options: () => ({ names: three, links: 'any', cell: firstHoldDown }),
  varieties: 2,
  async round(cluster, index) {
    const mute = index % 2 === 0
    for (const other of ['n1', 'n2']) {
      if (mute) cluster.wires.drop('n3', other)
      else cluster.wires.drop(other, 'n3')
    }
    const sides = [cluster.atAll(['n1', 'n2']), cluster.atAll(['n3'])]
    await cluster.view(`${mute ? 'mute' : 'deaf'} → views`, 4000, ...sides)
    await cluster.flowing('messages on both sides', cluster.living, 10)
    cluster.wires.heal()
    await cluster.together(`${mute ? 'mute' : 'deaf'}, healed → one view`, 4000)
  },
}

/** Nothing changes for so long: three times what it takes to notice a loss. */
const calmMs = 3000

/** Waits until everyone's view is that of all its members, and stays so. @returns ms until the last change. */
async function settled(cluster: Cluster): Promise<number> {
  const began = performance.now()
  let last = began
  let views = -1
  await cluster.until('views that stay', () => {
    const now = performance.now()
    const sum = cluster.living.reduce((total, member) => total + member.views, 0)
    const agreed = cluster.living.every(({ view }) =>
      cluster.living.every(
        other => view?.members.includes(other.session.id) !== true || other.view?.view === view.view,
      ),
    )
    if (sum !== views || !agreed) last = now
    views = sum
    return now - last >= calmMs
  })
  return last - began
}

export const bridge: Play = {
  how: 'two of three daemons cut from each other',
  options: () => ({ names: three, links: 'any' }),
  async round(cluster) {
    const { findings, living } = cluster
    const before = living.map(({ views }) => views)
    cluster.wires.cut('n1', 'n2')
    await cluster.until('the cut is noticed', () => mostViews(living, before) > 0)
    findings.measure('bridge noticed → last change of a view', await settled(cluster), 'ms', 5000)
    findings.measure('views of a member until then', mostViews(living, before), 'views', 6)
    await cluster.flowing('messages in both parts', living, 10)
    cluster.wires.heal()
    await cluster.together('bridge healed → one view', 8000)
  },
}

const flaps = 8
const downMs = 1500
const upMs = 500

export const flappingLink: Play = {
  how: `a link that is down for ${downMs} ms and up for ${upMs}, ${flaps} times`,
  options: () => ({ names: three, links: 'any' }),
  async round(cluster) {
    const { findings, living } = cluster
    const before = living.map(({ views }) => views)
    for (let i = 0; i < flaps; i++) {
      cluster.wires.split(['n1', 'n2'], ['n3'])
      await pause(downMs)
      cluster.wires.heal()
      await pause(upMs)
    }
    // Twice a flap if nobody waited before trying again.
    findings.measure(`views of a member in ${flaps} flaps`, mostViews(living, before), 'views', flaps + 2)
    await cluster.together('last flap → one view', 8000)
  },
}

export const mergeDuringRecovery: Play = {
  how: 'cut, heal, cut otherwise and heal, each while the recovery from the one before runs',
  options: () => ({ names: four, links: 'any', cell: firstHoldDown }),
  varieties: 3,
  async round(cluster) {
    for (const sides of [
      [
        ['n1', 'n2'],
        ['n3', 'n4'],
      ],
      [
        ['n1', 'n3'],
        ['n2', 'n4'],
      ],
      [['n1', 'n4', 'n2'], ['n3']],
    ]) {
      await duringRecovery(cluster, () => cluster.wires.split(...sides))
      await duringRecovery(cluster, () => cluster.wires.heal())
    }
    await cluster.together('healed during a recovery → one view', 6000)
  },
}

/** Longer than it takes to notice a cut. What was healed before anyone noticed has no recovery. */
const unnoticedMs = 2500

/** Does it, and waits until some daemon begins a recovery because of it, or of what was done before. */
async function duringRecovery(cluster: Cluster, act: () => void): Promise<void> {
  const count = (): number =>
    four.reduce((sum, name) => sum + cluster.lab.log(name).split('phase recover').length, 0)
  const before = count()
  act()
  const began = performance.now()
  await cluster.until('a recovery', () => count() > before || performance.now() - began > unnoticedMs)
}
