/** What the applications do: join and leave, send in every way there is, die, lag, and ask what became of messages. */

import type { Random } from '../lib/prng.ts'
import type { Client } from './client.ts'
import type { Daemon } from './daemon.ts'
import type { World } from './world.ts'

const clientNames = ['alice', 'bob', 'carol', 'dave', 'eve', 'frank']

export class Workload {
  /** Client messages sent. */
  messages = 0
  readonly clients: Client[] = []
  readonly groups: readonly string[]
  private readonly world: World
  private readonly random: Random
  private readonly equipped: Set<Daemon> = new Set()
  private stopped = false

  constructor(world: World) {
    this.world = world
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

  connect(daemon: Daemon): Client {
    const name = `${this.random.pick(clientNames)}${this.clients.length}`
    const client = daemon.openClient(name, this.random.fork(`${daemon.member} ${this.clients.length}`))
    this.clients.push(client)
    for (const group of this.groups) if (this.random.chance(0.6)) client.join(group)
    return client
  }

  private openClients(): Client[] {
    return this.clients.filter(client => client.state === 'open')
  }

  private someClient(): Client | null {
    const open = this.openClients()
    return open.length === 0 ? null : this.random.pick(open)
  }

  sendOne(): void {
    if (this.stopped) return
    const { random } = this
    const { workload } = this.world.settings
    const client = this.someClient()
    if (client === null) return
    const count = random.chance(0.2) ? random.between(2, 6) : 1
    const sizes = Array.from({ length: count }, () => this.size())
    const selfDiscard = random.chance(workload.selfDiscardChance)
    const service = random.chance(workload.safeChance)
      ? 'safe'
      : random.pick(['agreed', 'agreed', 'causal', 'fifo'] as const)
    this.messages += count
    if (selfDiscard) this.world.cover('self-discard')
    if (random.chance(workload.privateChance)) {
      const peer = random.pick(this.clients)
      this.world.cover('private message')
      const member = { daemon: peer.daemon.member, session: peer.number, id: peer.id }
      client.send({ groups: [], member, service, selfDiscard: false, sizes })
      return
    }
    const first = random.pick(this.groups)
    const groups = [first]
    if (random.chance(workload.multiGroupChance)) {
      const second = random.pick(this.groups)
      if (second !== first) {
        groups.push(second)
        this.world.cover('multi-group message')
      }
    }
    client.send({ groups, member: null, service, selfDiscard, sizes })
  }

  private size(): number {
    const { random } = this
    const { meanBytes, largeChance } = this.world.settings.workload
    if (random.chance(0.03)) return 0
    if (!random.chance(largeChance)) return Math.floor(random.exponential(meanBytes))
    return Math.floor(random.exponential(meanBytes * 20))
  }

  private killOne(): void {
    const client = this.stopped ? null : this.someClient()
    if (client === null) return
    if (this.random.chance(0.3)) client.close()
    else client.kill()
    if (this.random.chance(0.7) && client.daemon.state === 'running') this.connect(client.daemon)
  }

  private lagOne(): void {
    const client = this.stopped ? null : this.someClient()
    if (client !== null) client.lagUntil = this.world.now + this.random.exponential(400)
  }

  private changeMembership(): void {
    const client = this.stopped ? null : this.someClient()
    if (client === null) return
    const group = this.random.pick(this.groups)
    if (client.wanted.has(group)) client.leave(group)
    else client.join(group)
  }

  private askFate(): void {
    const client = this.stopped ? null : this.someClient()
    if (client !== null && client.seen.length > 0) this.ask(client, this.random.pick(client.seen))
  }

  private ask(client: Client, seen: Client['seen'][number]): void {
    const { place, group, m, position } = seen
    client.daemon.enqueue(() => client.daemon.fateRequested(client, place, group, m, position))
  }

  /** At the end everyone asks for what it saw last. */
  askAll(): void {
    for (const client of this.openClients()) for (const seen of client.seen) this.ask(client, seen)
  }
}
