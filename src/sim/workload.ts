/**
 * What the applications do: join and leave, send in every way there is, die, lag, and ask what became of messages. It is
 * said as a scenario would say it.
 */

import type { Random } from '../lib/prng.ts'
import type { Client } from './client.ts'
import type { Daemon } from './daemon.ts'
import type { Stage } from './stage.ts'
import { hostName } from './hosts.ts'
import type { World } from './world.ts'

const clientNames = ['alice', 'bob', 'carol', 'dave', 'eve', 'frank']

interface Named {
  readonly name: string
  readonly client: Client
}

export class Workload {
  /** Client messages sent. */
  messages = 0
  private readonly clients: Named[] = []
  readonly groups: readonly string[]
  private readonly world: World
  private readonly stage: Stage
  private readonly random: Random
  private readonly equipped: Set<Daemon> = new Set()
  private stopped = false

  constructor(world: World, stage: Stage) {
    this.world = world
    this.stage = stage
    this.random = world.random.fork('workload')
    this.groups = Array.from({ length: world.settings.workload.groups }, (_, index) => `group-${index + 1}`)
  }

  /** Spreads the sends over an interval; bursts and quiet times alternate. */
  schedule(from: number, until: number): void {
    const { random, world } = this
    const { messages, kills, lagging } = world.settings.workload
    const span = until - from
    for (let planned = 0; planned < messages; ) {
      const burst = random.chance(0.5) ? random.between(1, 3) : random.between(5, 30)
      const at = from + random.next() * span
      const spacing = random.pick([0, 0.3, 2])
      for (let index = 0; index < burst; index++) {
        world.scheduler.at(at + index * spacing, () => this.sendOne())
      }
      planned += burst
    }
    const some = (count: number, action: () => void): void => {
      for (let index = 0; index < count; index++) world.scheduler.at(from + random.next() * span, action)
    }
    some(kills, () => this.killOne())
    some(lagging, () => this.lagOne())
    some(world.hosts.length * 3, () => this.changeMembership())
    some(10, () => this.askFate())
    for (let at = from; at < until; at += 50) world.scheduler.at(at, () => this.equipAll())
  }

  /** No more requests; clients go on reading. */
  stop(): void {
    this.stopped = true
  }

  /** Gives every daemon without clients some. */
  equipAll(): void {
    if (this.stopped) return
    for (const daemon of this.world.living) {
      if (daemon.state !== 'running' || this.equipped.has(daemon)) continue
      this.equipped.add(daemon)
      for (let index = 0; index < this.world.settings.workload.sessionsPerDaemon; index++)
        this.connect(daemon)
    }
  }

  connect(daemon: Daemon): void {
    const name = `${this.random.pick(clientNames)}${this.clients.length}`
    this.stage.say(`client ${name} ${hostName(daemon.host)}`)
    this.clients.push({ name, client: this.stage.client(name) })
    for (const group of this.groups) if (this.random.chance(0.6)) this.stage.say(`join ${name} ${group}`)
  }

  private openClients(): Named[] {
    return this.clients.filter(({ client }) => client.state === 'open')
  }

  private someClient(): Named | null {
    const open = this.openClients()
    return open.length === 0 ? null : this.random.pick(open)
  }

  sendOne(): void {
    if (this.stopped) return
    const { random } = this
    const { workload } = this.world.settings
    const named = this.someClient()
    if (named === null) return
    const count = random.chance(0.2) ? random.between(2, 6) : 1
    const sizes = Array.from({ length: count }, () => this.size())
    const selfDiscard = random.chance(workload.selfDiscardChance)
    const service = random.chance(workload.safeChance)
      ? 'safe'
      : random.pick(['agreed', 'agreed', 'causal', 'fifo'] as const)
    this.messages += count
    const how = `sizes=${sizes.join()} service=${service}`
    if (random.chance(workload.privateChance)) {
      this.world.cover('private message')
      this.stage.say(`send ${named.name} @${random.pick(this.clients).name} ${how}`)
      return
    }
    if (selfDiscard) this.world.cover('self-discard')
    const first = random.pick(this.groups)
    const groups = [first]
    if (random.chance(workload.multiGroupChance)) {
      const second = random.pick(this.groups)
      if (second !== first) {
        groups.push(second)
        this.world.cover('multi-group message')
      }
    }
    this.stage.say(`send ${named.name} ${groups.join()} ${how}${selfDiscard ? ' discard=self' : ''}`)
  }

  private size(): number {
    const { random } = this
    const { meanBytes, largeChance } = this.world.settings.workload
    if (random.chance(0.03)) return 0
    if (!random.chance(largeChance)) return Math.floor(random.exponential(meanBytes))
    return Math.floor(random.exponential(meanBytes * 20))
  }

  private killOne(): void {
    const named = this.stopped ? null : this.someClient()
    if (named === null) return
    const { daemon } = named.client
    this.stage.say(`${this.random.chance(0.3) ? 'close' : 'die'} ${named.name}`)
    if (this.random.chance(0.7) && daemon.state === 'running') this.connect(daemon)
  }

  private lagOne(): void {
    const named = this.stopped ? null : this.someClient()
    if (named !== null) this.stage.say(`lag ${named.name} ${this.random.exponential(400)}ms`)
  }

  private changeMembership(): void {
    const named = this.stopped ? null : this.someClient()
    if (named === null) return
    const group = this.random.pick(this.groups)
    this.stage.say(`${named.client.wanted.has(group) ? 'leave' : 'join'} ${named.name} ${group}`)
  }

  private askFate(): void {
    const named = this.stopped ? null : this.someClient()
    const seen = named?.client.seen.length ?? 0
    if (named !== null && seen > 0) this.stage.say(`ask ${named.name} ${this.random.int(seen)}`)
  }
}
