/** Links that lose, spoil and slow down what passes. */

import { setTimeout as pause } from 'node:timers/promises'
import { hasNetem, missingForNetwork, Network } from '../lab/netns.ts'
import type { Cluster } from './cluster.ts'
import { patience, type Play } from './scenario.ts'

const names = ['n1', 'n2', 'n3'] as const

export const loss: Play = {
  how: 'random loss on every way, of packets by nftables, or of frames in relays',
  options: () => ({ names, links: 'any', cell: patience }),
  async round(cluster) {
    for (const percent of [1, 5, 10]) {
      await cluster.unmoved(`loss of ${percent} %`, async () => {
        cluster.wires.lose(percent)
        await pause(2000)
        await cluster.flowing(`messages with a loss of ${percent} %`, cluster.living)
        cluster.wires.heal()
      })
    }
    cluster.wires.lose(30)
    await pause(3000)
    cluster.wires.heal()
    await cluster.together('loss of 30 % ends → one view', 8000)
    await cluster.flowing('messages after a loss of 30 %', cluster.living)
  },
}

export const reorderAndDuplicate: Play = {
  how: 'half of all frames doubled, half exchanged with the one before, in relays; by netem where there is one',
  options: () => ({ names, links: packets() ? 'network' : 'relays', cell: patience }),
  async round(cluster) {
    const { findings, wires } = cluster
    await cluster.unmoved('reordered and doubled', async () => {
      if (wires instanceof Network) wires.shuffle(50, 50)
      else cluster.relays.all({ swapFrames: 0.5, doubleFrames: 0.5 })
      await pause(3000)
      await cluster.flowing('messages', cluster.living)
    })
    if (wires instanceof Network) return wires.heal()
    const { doubled, swapped } = cluster.relays.damage
    findings.measure('frames doubled', doubled, 'frames', null)
    findings.measure('frames exchanged', swapped, 'frames', null)
    findings.expect(doubled > 100 && swapped > 100, 'the relays did next to nothing')
    wires.heal()
  },
}

function packets(): boolean {
  return missingForNetwork(['nft', 'tc']) === null && hasNetem()
}

export const bitFlips: Play = {
  how: 'a bit flipped in one byte of 20,000, one of 200,000 swallowed, on every way through relays; then one bit in the length of a heartbeat, and a cut that the daemon behind it must hear of',
  options: () => ({ names, links: 'relays', cell: patience }),
  async round(cluster) {
    const { findings, relays } = cluster
    const counters = ['cell.dropped.crc', 'cell.dropped.malformed', 'cell.peers.rejected'] as const
    const counted = async (): Promise<number> => {
      let sum = 0
      for (const counter of counters) sum += await cluster.counted(counter)
      return sum
    }
    const before = await counted()
    relays.all({ flipEveryBytes: 20_000, swallowEveryBytes: 200_000 })
    await pause(4000)
    relays.heal()
    await cluster.together('no more bit flips → one view', 8000)
    await cluster.flowing('messages', cluster.living)
    await flipLength(cluster)
    const { flipped, swallowed } = relays.damage
    const noticed = (await counted()) - before
    findings.measure('bits flipped and bytes swallowed', flipped + swallowed, 'bytes', null)
    findings.measure('frames and connections dropped for it', noticed, 'frames', null)
    findings.expect(flipped > 10, 'the relays did next to nothing')
    findings.expect(noticed > 0, 'no daemon has counted anything')
  },
}

/** What follows a length with a flipped bit seems to belong to that frame: the lane is deaf, though bytes come. */
async function flipLength(cluster: Cluster): Promise<void> {
  const { relays } = cluster
  const before = relays.damage.flipped
  relays.stretchNext('heartbeat', 'n1', 'n2')
  await cluster.until('a bit in a length is flipped', () => relays.damage.flipped > before)
  relays.split(['n1', 'n2'], ['n3'])
  const sides = [cluster.atAll(['n1', 'n2']), cluster.atAll(['n3'])]
  await cluster.view('a bit of a length flipped, then a cut → views', 20_000, ...sides)
  relays.heal()
  await cluster.together('and healed → one view', 8000)
}

/** From whom to whom a frame of each kind goes when n3 comes back: n1 is the coordinator. */
const membershipFrames = [
  ['form', 'n1', 'n3'],
  ['state', 'n3', 'n1'],
  ['plan', 'n1', 'n3'],
  ['recovered', 'n3', 'n1'],
  ['install', 'n1', 'n3'],
  ['challenge', 'n1', 'n3'],
  ['answer', 'n3', 'n1'],
  ['heartbeat', 'n3', 'n1'],
] as const

export const lostMembershipFrame: Play = {
  how: 'a relay swallows exactly one frame of a kind while a daemon comes back: all eight kinds in turn',
  options: () => ({ names, links: 'relays', cell: '    timeouts: { maxHoldDownMs: 100 }' }),
  varieties: membershipFrames.length,
  async round(cluster, index) {
    const [kind, from, to] = membershipFrames[index % membershipFrames.length] ?? membershipFrames[0]
    const { relays, findings } = cluster
    relays.split(['n1', 'n2'], ['n3'])
    await cluster.view('cut → views', null, cluster.atAll(['n1', 'n2']), cluster.atAll(['n3']))
    const before = relays.damage.lost
    relays.heal()
    relays.dropNext(kind, from, to)
    await cluster.together('heal, one frame lost → one view', 4000)
    await cluster.until(`one frame of kind ${kind} is lost`, () => relays.damage.lost > before)
    findings.expect(relays.damage.lost === before + 1, 'more than one frame was lost')
  },
}

const stopMs = 40
const runMs = 10
const slowForMs = 3000
const slowBytesPerSecond = 200_000

export const slowDaemon: Play = {
  how: `one daemon that runs ${runMs} ms of ${stopMs + runMs} (SIGSTOP, SIGCONT), then with a link of ${slowBytesPerSecond / 1000} kB/s (tbf, or a relay)`,
  options: () => ({
    names,
    links: 'any',
    cell: patience,
    load: { burst: 10, everyMs: 10, meanBytes: 300 },
  }),
  async round(cluster) {
    const { lab, wires } = cluster
    await cluster.unmoved('a daemon with a fifth of the time', async () => {
      const until = performance.now() + slowForMs
      while (performance.now() < until) {
        lab.signal('n3', 'SIGSTOP')
        await pause(stopMs)
        lab.signal('n3', 'SIGCONT')
        await pause(runMs)
      }
      await cluster.flowing('messages', cluster.living)
    })
    await cluster.unmoved('a slow link', async () => {
      wires.limit('n3', slowBytesPerSecond)
      await pause(slowForMs)
      wires.heal()
      await cluster.flowing('messages', cluster.living)
    })
  },
}
