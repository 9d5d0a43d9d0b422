/** Carries out the commands of scenarios on a simulated world. */

import type { Sometimes } from '../lib/coverage.ts'
import type { Client } from './client.ts'
import type { Daemon } from './daemon.ts'
import { calmLink } from './network.ts'
import { type Command, parseLine, type Step } from './scenario.ts'
import { hostName, hostOf } from './hosts.ts'
import { describeDaemon, type Disturbance, type World } from './world.ts'

/** Nothing takes longer than this, in virtual ms. */
export const PATIENCE_MS = 20_000

/** A field that a command leaves out names everything. */
function named(given: number | null, own: number | null): boolean {
  return given === null || given === own
}

/** For `a | b c`: by host, the index of its side. null if it is no partition of all hosts. */
function sidesOf(label: string, hosts: readonly number[]): number[] | null {
  const sides = label.split('|').map(side => side.match(/n\d+/g)?.map(hostOf) ?? [])
  const found = hosts.map(host => sides.findIndex(side => side.includes(host)))
  const named = sides.reduce((sum, side) => sum + side.length, 0)
  return sides.length > 1 && named === hosts.length && !found.includes(-1) ? found : null
}

/** Something that was said to this world, as a scenario would say it. */
export interface Said {
  readonly at: number
  readonly text: string
}

export class Stage {
  /** All that was said with `say`, for who wants to play it again. */
  readonly script: Said[] = []
  private readonly world: World
  private readonly clients: Map<string, Client> = new Map()
  /** What has begun and not ended, by what it does and to whom. */
  private readonly open: Map<string, Disturbance[]> = new Map()

  constructor(world: World) {
    this.world = world
  }

  /** A command as text, carried out now. @throws ScenarioError. */
  say(text: string): void {
    this.script.push({ at: this.world.now, text })
    for (const command of parseLine(text, this.world.hosts.length)) this.perform(command)
  }

  /** A step of a scenario; what cannot be done is a violation. */
  play({ command, line, text }: Step): void {
    try {
      this.perform(command)
    } catch (error) {
      this.world.recorder.violate(
        'scenario',
        this.world.now,
        `line ${line}: ${text}: ${(error as Error).message}`,
      )
    }
  }

  private perform(command: Command): void {
    const { world } = this
    switch (command.do) {
      case 'wait':
        world.runUntil(world.now + command.ms)
        break
      case 'at':
        world.runUntil(command.ms)
        break
      case 'wait stable':
        this.settle()
        break
      case 'when':
        this.arm(command)
        break
      case 'expect view':
      case 'expect together':
      case 'expect same':
      case 'expect received':
      case 'expect installs':
      case 'expect covered':
        this.expect(command)
        break
      case 'client':
      case 'join':
      case 'leave':
      case 'send':
      case 'close':
      case 'die':
      case 'lag':
      case 'ask':
        this.useClient(command)
        break
      case 'members':
      case 'option':
        break
      default:
        this.disturb(command)
    }
  }

  private disturb(command: Command): void {
    const { world } = this
    switch (command.do) {
      case 'start':
      case 'restart':
        for (const host of command.hosts) {
          if (command.do === 'restart') world.kill(host, 0)
          if (world.daemons[host]?.alive === true) throw new Error(`${hostName(host)} runs`)
          world.disturb([host])
          world.start(host)
        }
        break
      case 'kill':
        for (const host of command.hosts) world.kill(host, command.refused)
        break
      case 'pause':
        for (const host of command.hosts) {
          this.begin(`pause ${host}`, [host], 'hosts')
          world.pause(host)
        }
        break
      case 'resume':
        for (const host of command.hosts) this.resume(host)
        break
      case 'leave host':
        for (const host of command.hosts) world.leave(host)
        break
      case 'slow':
        this.slow(command.host, command.ms)
        break
      case 'heal':
        this.heal()
        break
      case 'calm':
        world.calm()
        break
      default:
        this.disturbNetwork(command)
    }
  }

  private disturbNetwork(command: Command): void {
    const { world } = this
    const { network } = world
    switch (command.do) {
      case 'cut':
      case 'mend':
      case 'clog':
      case 'unclog':
      case 'link':
        this.disturbLinks(command)
        break
      case 'drop':
      case 'hold':
        this.begin('drop', world.hosts, 'links')
        network.dropRules.push({
          kind: command.kind,
          from: command.from,
          to: command.to,
          remaining: command.count,
          probability: command.probability,
          hold: command.do === 'hold',
        })
        break
      case 'undrop':
        network.undrop(
          ({ kind, from, to }) =>
            named(command.from, from) &&
            named(command.to, to) &&
            (command.kind === '*' || command.kind === kind),
        )
        if (network.dropRules.length === 0) this.endAll('drop')
        break
      case 'release':
        network.releaseHeld()
        break
      default:
    }
  }

  private disturbLinks(command: Extract<Command, { label: string }>): void {
    const { world } = this
    const { network } = world
    const { pairs, label } = command
    const sides = sidesOf(label, world.hosts)
    const begin = (what: string): void => {
      if (sides !== null) this.begin(`${what} ${label}`, sides, 'sides')
      else this.begin(`${what} ${label}`, pairs.flat(), 'links')
    }
    world.recorder.note(world.now, null, 'fault', `${command.do} ${label}`)
    switch (command.do) {
      case 'cut':
        begin('cut')
        for (const [from, to] of pairs) network.cut(from, to)
        break
      case 'mend':
        this.end(`cut ${label}`, pairs.flat())
        for (const [from, to] of pairs) network.mend(from, to)
        break
      case 'clog':
        this.begin(`clog ${label}`, pairs.flat(), 'links')
        for (const [from, to] of pairs) network.clog(from, to)
        break
      case 'unclog':
        this.end(`clog ${label}`, pairs.flat())
        for (const [from, to] of pairs) network.unclog(from, to, command.swizzled)
        break
      default: {
        const { profile } = command
        if (profile === null) this.end(`link ${label}`, pairs.flat())
        else this.begin(`link ${label}`, pairs.flat(), 'links')
        const worse = profile === null ? null : { ...calmLink, ...profile }
        for (const [from, to] of pairs) network.setLink(from, to, worse)
      }
    }
  }

  private begin(what: string, hosts: readonly number[], kind: Disturbance['kind']): void {
    const disturbance = this.world.disturb(hosts, kind)
    disturbance.until = Number.POSITIVE_INFINITY
    const begun = this.open.get(what)
    if (begun === undefined) this.open.set(what, [disturbance])
    else begun.push(disturbance)
  }

  /** Ends the oldest of these; of what began otherwise (part of a larger cut) it disturbs as it ends. */
  private end(what: string, links: readonly number[]): void {
    const disturbance = this.open.get(what)?.shift()
    if (disturbance === undefined) this.world.disturb(links, 'links')
    else disturbance.until = this.world.now
  }

  private endAll(what: string): void {
    for (const disturbance of this.open.get(what) ?? []) disturbance.until = this.world.now
    this.open.delete(what)
  }

  private slow(host: number, ms: number): void {
    if (ms > 0) this.begin(`slow ${host}`, [host], 'hosts')
    else this.endAll(`slow ${host}`)
    const daemon = this.world.daemons[host]
    if (daemon !== null && daemon !== undefined) daemon.slowMs = ms
  }

  private heal(): void {
    const { world } = this
    world.network.healAll()
    for (const host of world.hosts) {
      this.resume(host)
      this.slow(host, 0)
    }
    for (const disturbance of world.disturbances) disturbance.until = Math.min(disturbance.until, world.now)
    this.open.clear()
    world.recorder.note(world.now, null, 'fault', 'healed')
  }

  private resume(host: number): void {
    this.endAll(`pause ${host}`)
    const daemon = this.world.daemons[host]
    if (daemon?.state === 'paused') this.world.resume(host)
  }

  /** Does something once, at the moment something else happens. */
  private arm({ host, event, what, action }: Extract<Command, { do: 'when' }>): void {
    const { world } = this
    let armed = true
    const fire = (): void => {
      if (!armed) return
      armed = false
      // After the turn in which it happened: what a process wrote before it died is on its way.
      world.scheduler.at(world.now, () => this.perform(action))
    }
    if (event === 'enters') {
      world.listeners.push((daemon, said) => {
        if (daemon.host === host && said.type === 'phase' && said.phase === what) fire()
      })
    } else {
      world.network.watchers.push((happened, at, kind) => {
        if (happened === event && at === host && kind === what) fire()
      })
    }
  }

  /** @throws Error if there is none. */
  client(name: string): Client {
    const client = this.clients.get(name)
    if (client === undefined) throw new Error(`there is no client '${name}'`)
    return client
  }

  private useClient(command: Command): void {
    switch (command.do) {
      case 'client': {
        const daemon = this.world.daemons[command.host]
        if (daemon?.alive !== true) throw new Error(`${hostName(command.host)} does not run`)
        const random = this.world.random.fork(`client ${command.client}`)
        this.clients.set(command.client, daemon.openClient(command.client, random))
        break
      }
      case 'join':
        this.client(command.client).join(command.group)
        break
      case 'leave':
        this.client(command.client).leave(command.group)
        break
      case 'close':
        this.client(command.client).close()
        break
      case 'die':
        this.client(command.client).kill()
        break
      case 'lag':
        this.client(command.client).lagUntil = this.world.now + command.ms
        break
      case 'ask': {
        const client = this.client(command.client)
        const seen = client.seen.at(-1 - command.back)
        if (seen !== undefined) this.ask(client, seen)
        break
      }
      case 'send': {
        const target = command.to === null ? null : this.client(command.to)
        const member =
          target === null ? null : { daemon: target.daemon.member, session: target.number, id: target.id }
        const { groups, service, selfDiscard, sizes } = command
        for (let index = 0; index < command.count; index++)
          this.client(command.client).send({ groups, member, service, selfDiscard, sizes })
        break
      }
      default:
    }
  }

  /** In the end everyone asks what became of what it has received: all answers must agree. */
  askAll(): void {
    for (const client of this.clients.values()) {
      if (client.state === 'open') for (const seen of client.seen) this.ask(client, seen)
    }
  }

  private ask(client: Client, { place, group, m, position }: Client['seen'][number]): void {
    client.daemon.enqueue(() => client.daemon.fateRequested(client, place, group, m, position))
  }

  /** Until no configuration changed for long and everyone is operational; too long is a violation. */
  settle(): void {
    const { world } = this
    const { suspectAfterMs, maxHoldDownMs } = world.settings.timeouts
    const calmMs = suspectAfterMs * 2 + maxHoldDownMs
    const deadline = world.now + PATIENCE_MS
    let installs = -1
    let since = world.now
    while (!world.aborted) {
      world.runUntil(world.now + 10)
      const count = world.living.reduce((sum, daemon) => sum + daemon.installed, 0)
      if (count !== installs) since = world.now
      installs = count
      const operational = world.living.every(
        daemon => daemon.state === 'paused' || daemon.cell.phase === 'operational',
      )
      if (operational && world.now - since >= calmMs) return
      if (world.now >= deadline) {
        world.recorder.violate('convergence', world.now, world.living.map(describeDaemon).join('; '))
        return
      }
    }
  }

  private expect(command: Command): void {
    const { world } = this
    switch (command.do) {
      case 'expect view': {
        const daemons = command.hosts.map(host => world.daemons[host])
        const wanted = daemons.map(daemon => daemon?.member ?? 'nobody').sort()
        for (const daemon of daemons) {
          if (daemon == null) continue
          const { members } = daemon.cell.configuration
          if (members.join() !== wanted.join()) throw new Error(`but ${describeDaemon(daemon)}`)
        }
        const keys = new Set(daemons.map(daemon => daemon?.cell.configuration.id.key))
        if (keys.size > 1) throw new Error(`but they are in ${keys.size} configurations`)
        break
      }
      case 'expect together': {
        this.settle()
        const apart = componentsOf(world).filter(component => !together(component))
        const states = apart.flat().map(describeDaemon)
        if (apart.length > 0) world.recorder.violate('convergence', world.now, states.join('; '))
        break
      }
      case 'expect same': {
        const sequences = command.hosts.map(host => this.delivered(host))
        for (const [index, sequence] of sequences.entries()) {
          if (sequence === sequences[0]) continue
          throw new Error(
            `but ${hostName(command.hosts[index] as number)} differs from ${hostName(command.hosts[0] as number)}`,
          )
        }
        break
      }
      case 'expect received': {
        const { received } = this.client(command.client)
        if (received !== command.count) throw new Error(`but it has received ${received}`)
        break
      }
      case 'expect installs': {
        const installed = world.daemons[command.host]?.installed ?? 0
        if (installed > command.most) throw new Error(`but it installed ${installed}`)
        break
      }
      case 'expect covered':
        if (!world.coverage.has(command.mark as Sometimes)) {
          throw new Error(`but only these were: ${[...world.coverage.keys()].join(', ')}`)
        }
        break
      default:
    }
  }

  /** Client messages that the process at a host delivered, in order. */
  private delivered(host: number): string {
    const member = this.world.daemons[host]?.member
    const messages: string[] = []
    for (const line of this.world.recorder.cellLines) {
      if (line.e === 'deliver' && line.p === member && line.m.includes('+')) messages.push(line.m)
    }
    return messages.join()
  }
}

/** Who runs, by whom they can reach, in both directions, themselves or through others; those of a bridge left out. */
function componentsOf(world: World): Daemon[][] {
  const { network } = world
  const living = world.living.filter(daemon => daemon.state !== 'paused')
  const reach = (a: Daemon, b: Daemon): boolean =>
    a === b || (network.open(a.host, b.host) && network.open(b.host, a.host))
  const components: Daemon[][] = []
  const seen = new Set<Daemon>()
  for (const daemon of living) {
    if (seen.has(daemon)) continue
    const component = new Set([daemon])
    for (const member of component) for (const other of living) if (reach(member, other)) component.add(other)
    for (const member of component) seen.add(member)
    const all = [...component]
    if (all.every(a => all.every(b => reach(a, b)))) components.push(all)
  }
  return components
}

function together(component: readonly Daemon[]): boolean {
  const members = component
    .map(daemon => daemon.member)
    .sort()
    .join()
  const first = component[0]?.cell.configuration
  return component.every(
    ({ cell }) =>
      cell.configuration.id.key === first?.id.key && cell.configuration.members.join() === members,
  )
}
