/** Random lives of a world: clients that come and go, messages, partitions, merges and crashes, at any moment. */

import { invariant } from '../lib/assert.ts'
import { GroupError } from './errors.ts'
import type { Destination } from './types.ts'
import { Client, type Daemon, World } from './world.fixture.ts'
import type { GroupLimits } from './limits.ts'

const NAMES = ['alice', 'bob', 'carol', 'dave', 'erin', 'frank']
const GROUPS = ['orders', 'заказы', 'audit', 'g4', 'g5']

export class RandomLife {
  readonly world: World
  /** True: clients read at once, sometimes, and facts run ahead of deliveries. */
  readonly eager: boolean
  #steps = 0

  constructor(seed: number, daemons: number, limits: Partial<GroupLimits> = {}, eager = false) {
    this.eager = eager
    this.world = new World(seed, limits)
    for (let i = 0; i < daemons; i++) this.world.boot(`n${i}`)
  }

  step(): void {
    const { world } = this
    const { random } = world
    const daemon = random.pick(world.living)
    const dice = random.next()
    this.#steps++
    if (this.eager && random.chance(0.5)) this.gossip(daemon)
    if (dice < 0.05) this.open(daemon)
    else if (dice < 0.14) this.joinOrLeave(daemon)
    else if (dice < 0.28) this.message(daemon)
    else if (dice < 0.3) this.close(daemon)
    else if (dice < 0.48) daemon.send(random.between(1, 4))
    else if (dice < 0.72) this.deliver(daemon)
    else if (dice < 0.78) daemon.tellHorizon()
    else if (dice < 0.86) this.read(daemon)
    else if (dice < 0.9) daemon.publish()
    else if (dice < 0.95) daemon.hear(random.pick(world.living))
    else if (dice < 0.98) this.ask(daemon)
    else this.fault()
    if (this.#steps % 16 === 0) daemon.groups.invariants()
  }

  private open(daemon: Daemon): void {
    try {
      this.client(daemon, this.world.random.pick(NAMES))
    } catch (error) {
      invariant(
        error instanceof GroupError && error.code === 'name-in-use',
        'names are unique',
        String(error),
      )
    }
  }

  client(daemon: Daemon, name: string): Client {
    const number = daemon.groups.open(name)
    const client = new Client(daemon, number, name)
    daemon.clients.set(number, client)
    daemon.acknowledgements.open(number)
    this.world.clients.set(client.id, client)
    daemon.collect()
    return client
  }

  private pick(daemon: Daemon): Client | null {
    const open = [...daemon.clients.values()].filter(client => !client.closing)
    return open.length === 0 ? null : this.world.random.pick(open)
  }

  private joinOrLeave(daemon: Daemon): void {
    const client = this.pick(daemon)
    if (client === null) return
    const group = this.world.random.pick(GROUPS)
    if (client.intended.has(group)) {
      if (this.world.random.chance(0.5)) return
      daemon.groups.leave(client.number, group)
      client.intended.delete(group)
    } else {
      daemon.groups.join(client.number, group)
      client.intended.add(group)
    }
    daemon.collect()
  }

  private message(daemon: Daemon): void {
    const client = this.pick(daemon)
    if (client === null) return
    const { random } = this.world
    const count = random.between(1, 3)
    const fields = {
      destination: this.destination(),
      service: random.pick(['fifo', 'causal', 'agreed', 'safe'] as const),
      selfDiscard: random.chance(0.2),
      trace: false,
      firstSequence: client.sequence + 1,
      count,
    }
    client.sequence += count
    daemon.groups.messages(client.number, fields, [new Uint8Array(4 * count)])
    daemon.collect()
  }

  private destination(): Destination {
    const { random } = this.world
    if (random.chance(0.15)) {
      const target = random.pick(this.world.daemons)
      return { to: 'member', daemon: target.self, session: random.between(1, 4) }
    }
    const groups = random.shuffle([...GROUPS]).slice(0, random.chance(0.7) ? 1 : random.between(2, 4))
    return { to: 'groups', groups }
  }

  private close(daemon: Daemon): void {
    const client = this.pick(daemon)
    if (client === null) return
    client.closing = true
    const acknowledged = daemon.acknowledgements.closing(client.number)
    daemon.groups.disconnect(
      client.number,
      this.world.random.pick(['closed', 'lost', 'evicted']),
      acknowledged,
    )
    daemon.collect()
  }

  private deliver(daemon: Daemon): void {
    for (let count = this.world.random.between(1, 6); count > 0; count--) daemon.deliverNext()
    if (this.world.random.chance(0.5)) daemon.tellHorizon()
  }

  private read(daemon: Daemon): void {
    for (const client of daemon.clients.values()) {
      if (client.closing || client.sent === client.read) continue
      client.read = this.world.random.between(client.read, client.sent)
      daemon.acknowledgements.acknowledge(client.number, client.read, client.sent)
    }
  }

  /** One daemon runs ahead: delivers, its clients read, and others hear of it before they have delivered as much. */
  private gossip(daemon: Daemon): void {
    const { random } = this.world
    if (random.chance(0.3)) daemon.deliverNext()
    daemon.tellHorizon()
    const open = [...daemon.clients.values()].filter(client => !client.closing)
    for (const client of open) {
      if (random.chance(0.2)) continue
      client.read = client.sent
      daemon.acknowledgements.acknowledge(client.number, client.read, client.sent)
    }
    if (random.chance(0.05)) this.close(daemon)
    daemon.publish()
    for (const other of this.world.living) if (random.chance(0.5)) other.hear(daemon)
    this.ask(random.pick(this.world.living))
  }

  private ask(daemon: Daemon): void {
    const { placed } = daemon
    for (let i = 0; i < 5 && placed.length > 0; i++) {
      const recent = placed.length - 1 - this.world.random.int(Math.min(placed.length, 40))
      const { group, place } = placed[recent] as (typeof placed)[number]
      this.world.ask(daemon, group, place)
    }
  }

  /** All living daemons go on in random parts; now and then one dies, or a new one boots. */
  private fault(): void {
    const { world } = this
    const { random } = world
    if (random.chance(0.2) && world.living.length > 2) {
      const victim = random.pick(world.living)
      world.crash(victim)
      if (random.chance(0.7)) world.boot(victim.self.slice(0, victim.self.indexOf('#')))
    }
    const parts: Daemon[][] = Array.from({ length: random.between(1, 3) }, () => [])
    for (const daemon of world.living) random.pick(parts).push(daemon)
    for (const part of parts) if (part.length > 0) world.reconfigure(part)
  }

  /** Everyone together, and everything delivered, read and known. */
  drain(): void {
    const { world } = this
    if (world.living.some(daemon => daemon.log !== world.living[0]?.log)) world.reconfigure(world.living)
    for (let idle = 0; idle < 3; ) {
      let busy = false
      for (const daemon of world.living) {
        daemon.send(100)
        while (daemon.deliverNext()) busy = true
        daemon.tellHorizon()
      }
      for (const daemon of world.living) {
        for (const client of daemon.clients.values()) {
          if (client.closing) continue
          client.read = client.sent
          daemon.acknowledgements.acknowledge(client.number, client.read, client.sent)
        }
        daemon.publish()
        for (const other of world.living) other.hear(daemon)
      }
      idle = busy ? 0 : idle + 1
    }
  }

  /** What must hold at the end. */
  check(): void {
    const { world } = this
    const expected = new Map<string, Set<string>>()
    for (const daemon of world.living) {
      for (const client of daemon.clients.values()) {
        invariant(client.closing === client.closed, 'who left is gone, who did not is here', client.id)
        if (client.closing) continue
        for (const group of client.intended) {
          expected.set(group, (expected.get(group) ?? new Set()).add(client.id))
        }
      }
    }
    for (const daemon of world.living) {
      const { groups } = daemon
      groups.invariants()
      const names = [...expected.keys()].sort()
      invariant(groups.groups().join() === names.join(), 'the groups are those with members', groups.groups())
      for (const name of names) {
        const view = groups.view(name)
        const first = world.living[0]?.groups.view(name)
        invariant(JSON.stringify(view) === JSON.stringify(first), 'one view everywhere', { view, first })
        const set = expected.get(name) as Set<string>
        const same = view?.members.length === set.size && view.members.every(id => set.has(id))
        invariant(same, 'the members are those who are in', { name, view, expected: [...set] })
      }
      for (const { group, place } of daemon.placed) {
        invariant(world.ask(daemon, group, place) !== 'pending', 'in the end every fate is settled', {
          group,
          place,
        })
      }
    }
    world.checkAnswers()
  }
}
