/** What goes wrong, when, and for how long: one stream of random numbers decides. */

import type { CellEvent } from '../core/api.ts'
import type { Frame } from '../core/frames.ts'
import type { Random } from '../lib/prng.ts'
import type { Daemon } from './daemon.ts'
import { calmLink } from './network.ts'
import type { Timer } from './scheduler.ts'
import { type Disturbance, hostName, type World } from './world.ts'

export type FaultKind =
  | 'partition'
  | 'one-way cut'
  | 'bridge'
  | 'deaf or mute'
  | 'clog'
  | 'flapping link'
  | 'kill'
  | 'pause'
  | 'slow loop'
  | 'bad link'
  | 'lost frames'
  | 'leave'

const weights: readonly (readonly [FaultKind, number])[] = [
  ['partition', 6],
  ['one-way cut', 3],
  ['bridge', 3],
  ['deaf or mute', 2],
  ['clog', 3],
  ['flapping link', 1],
  ['kill', 5],
  ['pause', 4],
  ['slow loop', 2],
  ['bad link', 2],
  ['lost frames', 6],
  ['leave', 1],
]

const membershipKinds: readonly Frame['kind'][] = [
  'form',
  'state',
  'plan',
  'recovered',
  'install',
  'install',
  'refuse',
]

interface Active {
  readonly end: () => void
  readonly timer: Timer
}

export class Faults {
  /** Faults that happened, by kind. */
  readonly counts: Map<string, number> = new Map()
  insideRecovery = 0
  private readonly world: World
  private readonly random: Random
  private readonly inRecovery: Random
  private readonly active: Set<Active> = new Set()
  private recoveryLeft: number
  private stopped = false

  constructor(world: World) {
    this.world = world
    this.random = world.random.fork('faults')
    this.inRecovery = world.random.fork('faults in recovery')
    this.recoveryLeft = world.settings.faults.recoveryCount
    world.listeners.push((daemon, event) => this.watch(daemon, event))
  }

  get total(): number {
    let sum = 0
    for (const count of this.counts.values()) sum += count
    return sum
  }

  /** Spreads the faults of a run over an interval. */
  schedule(from: number, until: number): void {
    for (let index = 0; index < this.world.settings.faults.count; index++) {
      this.world.scheduler.at(from + this.random.next() * (until - from), () => this.inject(this.pickKind()))
    }
  }

  /** Ends all that is going on; what has not begun does not begin. Dead processes stay dead. */
  stop(): void {
    this.stopped = true
    for (const { end, timer } of this.active) {
      timer.action = null
      end()
    }
    this.active.clear()
    this.world.network.healAll()
    for (const daemon of this.world.living) {
      daemon.slowMs = 0
      if (daemon.state === 'paused') this.world.resume(daemon.host)
    }
  }

  private pickKind(): FaultKind {
    let rest = this.random.int(weights.reduce((sum, [, weight]) => sum + weight, 0))
    for (const [kind, weight] of weights) {
      rest -= weight
      if (rest < 0) return kind
    }
    return 'partition'
  }

  private count(kind: string): void {
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1)
  }

  /** Something that lasts. */
  private last(
    text: string,
    hosts: readonly number[],
    kind: Disturbance['kind'],
    durationMs: number,
    begin: () => void,
    end: () => void,
  ): void {
    const { world } = this
    const disturbance = world.disturb(hosts, kind)
    disturbance.until = Number.POSITIVE_INFINITY
    world.recorder.note(world.now, null, 'fault', `${text} for ${durationMs.toFixed(0)} ms`)
    begin()
    const active: Active = {
      end: () => {
        disturbance.until = world.now
        world.recorder.note(world.now, null, 'fault', `${text}: over`)
        end()
      },
      timer: world.scheduler.after(durationMs, () => {
        this.active.delete(active)
        active.end()
      }),
    }
    this.active.add(active)
  }

  private duration(): number {
    const { suspectAfterMs } = this.world.settings.timeouts
    return this.random.chance(0.3)
      ? this.random.exponential(suspectAfterMs / 2)
      : this.random.exponential(suspectAfterMs * 3)
  }

  inject(kind: FaultKind): void {
    const { world, random } = this
    if (this.stopped || world.aborted) return
    this.count(kind)
    const hosts = world.hosts
    const host = random.pick(hosts)
    switch (kind) {
      case 'partition':
        this.partition(random, this.duration())
        break
      case 'one-way cut':
        this.cutPairs('one-way cut', this.crossing(this.sides(random), false), this.duration())
        break
      case 'bridge':
        this.bridge()
        break
      case 'deaf or mute': {
        const others = hosts.filter(other => other !== host)
        const deaf = random.chance(0.5)
        const pairs = others.map((other): [number, number] => (deaf ? [other, host] : [host, other]))
        this.cutPairs(`${hostName(host)} ${deaf ? 'deaf' : 'mute'}`, pairs, this.duration())
        break
      }
      case 'clog':
        this.clog(random, this.duration())
        break
      case 'flapping link':
        this.flap()
        break
      case 'kill':
        this.kill(random, host)
        break
      case 'pause':
        this.pause(random, host, this.duration())
        break
      case 'slow loop':
        this.slow(host)
        break
      case 'bad link':
        this.badLink()
        break
      case 'lost frames':
        this.loseFrames(random)
        break
      case 'leave':
        this.world.leave(host)
        this.startLater(host, 50 + random.exponential(500))
    }
  }

  private sides(random: Random): number[] {
    const sides = this.world.hosts.length > 3 && random.chance(0.25) ? 3 : 2
    return this.world.hosts.map(() => random.int(sides))
  }

  /** Pairs of hosts on different sides of a cut. */
  private crossing(side: readonly number[], both: boolean): [number, number][] {
    const pairs: [number, number][] = []
    for (const from of this.world.hosts) {
      for (const to of this.world.hosts) {
        const a = side[from] as number
        const b = side[to] as number
        if (both ? a !== b : a < b) pairs.push([from, to])
      }
    }
    return pairs
  }

  private partition(random: Random, durationMs: number): void {
    const sides = this.sides(random)
    const pairs = this.crossing(sides, true)
    this.cutPairs(`cut ${describeSides(sides)}`, pairs, durationMs, sides)
  }

  /** @param sides given if the cut is a clean partition. */
  private cutPairs(
    text: string,
    pairs: readonly [number, number][],
    durationMs: number,
    sides: readonly number[] | null = null,
  ): void {
    const { network } = this.world
    this.last(
      text,
      sides ?? pairs.flat(),
      sides === null ? 'links' : 'sides',
      durationMs,
      () => pairs.forEach(([from, to]) => network.cut(from, to)),
      () => pairs.forEach(([from, to]) => network.mend(from, to)),
    )
  }

  /** One or two pairs cannot hear each other; everybody else hears both. */
  private bridge(): void {
    const hosts = this.random.shuffle([...this.world.hosts])
    const pairs: [number, number][] = []
    for (
      let index = 0;
      index + 1 < hosts.length && pairs.length < (this.random.chance(0.3) ? 4 : 2);
      index += 2
    ) {
      const a = hosts[index] as number
      const b = hosts[index + 1] as number
      pairs.push([a, b], [b, a])
    }
    this.cutPairs(`bridge ${describe(pairs)}`, pairs, this.duration() * 2)
  }

  private clog(random: Random, durationMs: number): void {
    const { network, hosts } = this.world
    const pairs: [number, number][] = []
    for (const from of hosts) {
      for (const to of hosts) if (from !== to && random.chance(0.25)) pairs.push([from, to])
    }
    const swizzled = random.chance(0.5)
    this.last(
      `clogged links ${describe(pairs)}`,
      pairs.flat(),
      'links',
      durationMs,
      () => pairs.forEach(([from, to]) => network.clog(from, to)),
      () => pairs.forEach(([from, to]) => network.unclog(from, to, swizzled)),
    )
  }

  private flap(): void {
    const sides = this.sides(this.random)
    const pairs = this.crossing(sides, true)
    const { suspectAfterMs } = this.world.settings.timeouts
    for (let index = 0; index < 4; index++) {
      this.world.scheduler.after(index * suspectAfterMs * 2, () => {
        if (!this.stopped) this.cutPairs(`flap ${describeSides(sides)}`, pairs, suspectAfterMs * 1.2, sides)
      })
    }
  }

  private kill(random: Random, host: number): void {
    this.world.kill(host, random.chance(0.7) ? 0.85 : 0)
    if (random.chance(0.3)) {
      this.world.cover('restart at once')
      this.startLater(host, random.exponential(5))
    } else if (random.chance(0.8)) this.startLater(host, random.exponential(900))
  }

  private startLater(host: number, delayMs: number): void {
    this.world.scheduler.after(delayMs, () => {
      if (this.stopped || this.world.daemons[host]?.alive === true) return
      this.world.disturb([host])
      this.world.start(host)
    })
  }

  private pause(random: Random, host: number, durationMs: number): void {
    const short = random.chance(0.4)
    const { suspectAfterMs } = this.world.settings.timeouts
    this.last(
      `pause ${hostName(host)}`,
      [host],
      'hosts',
      short ? random.next() * suspectAfterMs * 0.7 : durationMs,
      () => this.world.pause(host),
      () => this.world.resume(host),
    )
  }

  private slow(host: number): void {
    const slowMs = this.random.pick([2, 10, 40])
    this.last(
      `slow loop ${hostName(host)} ${slowMs} ms`,
      [host],
      'hosts',
      this.duration() * 2,
      () => this.setSlow(host, slowMs),
      () => this.setSlow(host, 0),
    )
  }

  private setSlow(host: number, slowMs: number): void {
    const daemon = this.world.daemons[host]
    if (daemon !== null && daemon !== undefined) daemon.slowMs = slowMs
  }

  private badLink(): void {
    const { random } = this
    const { network, hosts } = this.world
    const profile = {
      ...calmLink,
      baseMs: random.pick([0.2, 5, 50]),
      jitterMs: random.pick([0.2, 5, 30]),
      loss: random.pick([0, 0.1, 0.5]),
      duplicate: random.pick([0, 0.3]),
      duplicateMs: 300,
      reorder: random.pick([0, 0.5]),
      corrupt: random.pick([0, 0.05]),
    }
    const pairs: [number, number][] = []
    for (const from of hosts)
      for (const to of hosts) if (from !== to && random.chance(0.3)) pairs.push([from, to])
    this.last(
      `bad links ${describe(pairs)}`,
      pairs.flat(),
      'links',
      this.duration() * 2,
      () => pairs.forEach(([from, to]) => network.setLink(from, to, profile)),
      () => pairs.forEach(([from, to]) => network.setLink(from, to, null)),
    )
  }

  private loseFrames(random: Random): void {
    const { hosts, network } = this.world
    const kind = random.pick(membershipKinds)
    const rule = {
      kind,
      from: random.chance(0.2) ? random.pick(hosts) : null,
      to: random.chance(0.6) ? random.pick(hosts) : null,
      remaining: random.between(1, 6),
      probability: random.pick([1, 1, 0.5]),
    }
    this.last(
      `lose ${rule.remaining} ${kind} frames`,
      hosts,
      'links',
      2000,
      () => network.dropRules.push(rule),
      () => {
        const index = network.dropRules.indexOf(rule)
        if (index >= 0) network.dropRules.splice(index, 1)
      },
    )
  }

  // ---- failures inside recovery ----

  private watch(daemon: Daemon, event: CellEvent): void {
    if (this.stopped || event.type !== 'phase' || event.phase !== 'recover' || this.recoveryLeft <= 0) return
    const random = this.inRecovery
    if (!random.chance(this.world.settings.faults.recoveryChance)) return
    this.recoveryLeft--
    const { network, loop } = this.world.settings
    const stepMs = network.baseMs + network.jitterMs + loop.turnMs
    this.world.scheduler.after(random.next() * 5 * stepMs, () => this.injectInRecovery(daemon, random))
  }

  private injectInRecovery(daemon: Daemon, random: Random): void {
    const { world } = this
    const recovering = world.living.filter(other => other.cell.phase === 'recover')
    if (this.stopped || recovering.length === 0) {
      this.recoveryLeft++
      return
    }
    this.insideRecovery++
    this.count('inside recovery')
    const victim = random.pick(recovering).host
    switch (random.int(8)) {
      case 0:
      case 1:
        world.cover('crash inside recovery')
        this.kill(random, random.chance(0.3) ? daemon.host : victim)
        break
      case 2:
        world.cover('pause inside recovery')
        this.pause(random, victim, random.exponential(world.settings.timeouts.suspectAfterMs * 2))
        break
      case 3:
      case 4:
        world.cover('partition inside recovery')
        this.partition(random, this.duration())
        break
      case 5:
        this.clog(random, random.exponential(world.settings.timeouts.recoverMs * 2))
        break
      case 6:
        this.loseFrames(random)
        break
      default:
        world.cover('heal inside recovery')
        for (const active of this.active) {
          active.timer.action = null
          active.end()
        }
        this.active.clear()
    }
  }
}

function describe(pairs: readonly (readonly [number, number])[]): string {
  if (pairs.length > 8) return `${pairs.length} links`
  return pairs.map(([from, to]) => `${hostName(from)}→${hostName(to)}`).join(' ')
}

function describeSides(sides: readonly number[]): string {
  const names = [...new Set(sides)].map(side =>
    sides.flatMap((own, host) => (own === side ? [hostName(host)] : [])).join(' '),
  )
  return names.join(' | ')
}
