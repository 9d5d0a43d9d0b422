/**
 * What goes wrong, when, and for how long: one stream of random numbers decides. It is said as a scenario would say it.
 */

import type { CellEvent } from '../core/api.ts'
import type { Frame } from '../core/frames.ts'
import type { Random } from '../lib/prng.ts'
import type { Daemon } from './daemon.ts'
import type { Timer } from './scheduler.ts'
import type { Stage } from './stage.ts'
import { hostName } from './hosts.ts'
import type { World } from './world.ts'

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

/** Kinds of faults, and how often each is drawn. */
export const faultWeights: readonly (readonly [FaultKind, number])[] = [
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
  readonly end: readonly string[]
  readonly timer: Timer
}

export class Faults {
  /** Faults that happened, by kind. */
  readonly counts: Map<string, number> = new Map()
  insideRecovery = 0
  private readonly world: World
  private readonly stage: Stage
  private readonly random: Random
  private readonly inRecovery: Random
  private readonly weights: readonly (readonly [FaultKind, number])[]
  private readonly active: Set<Active> = new Set()
  private recoveryLeft: number
  private stopped = false

  constructor(world: World, stage: Stage) {
    this.world = world
    this.stage = stage
    this.random = world.random.fork('faults')
    this.inRecovery = world.random.fork('faults in recovery')
    const { without, recoveryCount } = world.settings.faults
    this.weights = faultWeights.filter(([kind]) => !without.includes(kind))
    this.recoveryLeft = recoveryCount
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
    for (const { timer } of this.active) timer.action = null
    this.active.clear()
    this.stage.say('heal')
  }

  private pickKind(): FaultKind {
    let rest = this.random.int(this.weights.reduce((sum, [, weight]) => sum + weight, 0))
    for (const [kind, weight] of this.weights) {
      rest -= weight
      if (rest < 0) return kind
    }
    return 'partition'
  }

  private count(kind: string): void {
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1)
  }

  /** Something that lasts. */
  private last(durationMs: number, begin: readonly string[], end: readonly string[]): void {
    for (const text of begin) this.stage.say(text)
    const active: Active = {
      end,
      timer: this.world.scheduler.after(durationMs, () => {
        this.active.delete(active)
        for (const text of end) this.stage.say(text)
      }),
    }
    this.active.add(active)
  }

  /** Cuts that last. */
  private cut(durationMs: number, links: readonly string[]): void {
    this.last(
      durationMs,
      links.map(link => `cut ${link}`),
      links.map(link => `mend ${link}`),
    )
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
    const host = random.pick(world.hosts)
    const name = hostName(host)
    switch (kind) {
      case 'partition':
        this.partition(random, this.duration())
        break
      case 'one-way cut':
        this.cut(this.duration(), oneWay(this.sides(random)))
        break
      case 'bridge':
        this.bridge()
        break
      case 'deaf or mute': {
        const others = namesOf(world.hosts.filter(other => other !== host))
        const link = random.chance(0.5) ? `${others} > ${name}` : `${name} > ${others}`
        this.cut(this.duration(), others === '' ? [] : [link])
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
      case 'slow loop': {
        const slowMs = random.pick([2, 10, 40])
        this.last(this.duration() * 2, [`slow ${name} ${slowMs}ms`], [`slow ${name} 0ms`])
        break
      }
      case 'bad link':
        this.badLink()
        break
      case 'lost frames':
        this.loseFrames(random)
        break
      case 'leave':
        this.stage.say(`leave ${name}`)
        this.startLater(host, 50 + random.exponential(500))
    }
  }

  /** Hosts by side; some side may be empty. */
  private sides(random: Random): number[][] {
    const { hosts } = this.world
    const count = hosts.length > 3 && random.chance(0.25) ? 3 : 2
    const side = hosts.map(() => random.int(count))
    return Array.from({ length: count }, (_, index) => hosts.filter((_host, at) => side[at] === index))
  }

  private partition(random: Random, durationMs: number): void {
    const sides = this.sides(random).filter(side => side.length > 0)
    this.cut(durationMs, sides.length < 2 ? [] : [sides.map(namesOf).join(' | ')])
  }

  /** One or two pairs cannot hear each other; everybody else hears both. */
  private bridge(): void {
    const hosts = this.random.shuffle([...this.world.hosts])
    const links: string[] = []
    for (
      let index = 0;
      index + 1 < hosts.length && links.length < (this.random.chance(0.3) ? 2 : 1);
      index += 2
    )
      links.push(`${hostName(hosts[index] as number)} - ${hostName(hosts[index + 1] as number)}`)
    this.cut(this.duration() * 2, links)
  }

  /** Each link with a chance, by the host it leaves. */
  private someLinks(random: Random, chance: number): string[] {
    const { hosts } = this.world
    return hosts.flatMap(from => {
      const to = hosts.filter(other => other !== from && random.chance(chance))
      return to.length === 0 ? [] : [`${hostName(from)} > ${namesOf(to)}`]
    })
  }

  private clog(random: Random, durationMs: number): void {
    const links = this.someLinks(random, 0.25)
    const how = random.chance(0.5) ? ' swizzled' : ''
    this.last(
      durationMs,
      links.map(link => `clog ${link}`),
      links.map(link => `unclog ${link}${how}`),
    )
  }

  private flap(): void {
    const sides = this.sides(this.random).filter(side => side.length > 0)
    const links = sides.length < 2 ? [] : [sides.map(namesOf).join(' | ')]
    const { suspectAfterMs } = this.world.settings.timeouts
    for (let index = 0; index < 4; index++) {
      this.world.scheduler.after(index * suspectAfterMs * 2, () => {
        if (!this.stopped) this.cut(suspectAfterMs * 1.2, links)
      })
    }
  }

  private kill(random: Random, host: number): void {
    this.stage.say(`kill ${hostName(host)} ${random.chance(0.7) ? 'refused=0.85' : 'silently'}`)
    if (random.chance(0.3)) {
      this.world.cover('restart at once')
      this.startLater(host, random.exponential(5))
    } else if (random.chance(0.8)) this.startLater(host, random.exponential(900))
  }

  private startLater(host: number, delayMs: number): void {
    this.world.scheduler.after(delayMs, () => {
      if (!this.stopped && this.world.daemons[host]?.alive !== true) this.stage.say(`start ${hostName(host)}`)
    })
  }

  private pause(random: Random, host: number, durationMs: number): void {
    const name = hostName(host)
    const { suspectAfterMs } = this.world.settings.timeouts
    const short = random.chance(0.4)
    const lasts = short ? random.next() * suspectAfterMs * 0.7 : durationMs
    this.last(lasts, [`pause ${name}`], [`resume ${name}`])
  }

  private badLink(): void {
    const { random } = this
    const profile = [
      `baseMs=${random.pick([0.2, 5, 50])}`,
      `jitterMs=${random.pick([0.2, 5, 30])}`,
      `loss=${random.pick([0, 0.1, 0.5])}`,
      `duplicate=${random.pick([0, 0.3])}`,
      'duplicateMs=300',
      `reorder=${random.pick([0, 0.5])}`,
      `corrupt=${random.pick([0, 0.05])}`,
    ].join(' ')
    const links = this.someLinks(random, 0.3)
    this.last(
      this.duration() * 2,
      links.map(link => `link ${link} ${profile}`),
      links.map(link => `link ${link}`),
    )
  }

  private loseFrames(random: Random): void {
    const { hosts } = this.world
    const fields = [`kind=${random.pick(membershipKinds)}`]
    if (random.chance(0.2)) fields.push(`from=${hostName(random.pick(hosts))}`)
    if (random.chance(0.6)) fields.push(`to=${hostName(random.pick(hosts))}`)
    const which = fields.join(' ')
    const how = `count=${random.between(1, 6)} probability=${random.pick([1, 1, 0.5])}`
    this.last(2000, [`drop ${which} ${how}`], [`undrop ${which}`])
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
          for (const text of active.end) this.stage.say(text)
        }
        this.active.clear()
    }
  }
}

/** From each side to those after it. */
function oneWay(sides: readonly (readonly number[])[]): string[] {
  return sides.flatMap((side, index) => {
    const after = sides.slice(index + 1).flat()
    return side.length === 0 || after.length === 0 ? [] : [`${namesOf(side)} > ${namesOf(after)}`]
  })
}

export function namesOf(hosts: readonly number[]): string {
  return hosts.map(hostName).join(' ')
}
