/** Plays a directed scenario on the simulator. */

import type { CellLimits, CellTimeouts } from '../core/api.ts'
import type { Sometimes } from '../lib/coverage.ts'
import type { Client } from './client.ts'
import type { Parts } from './parts.ts'
import { calmLink } from './network.ts'
import type { Violation } from './recorder.ts'
import { describeDaemon, judge, waitForQuiet } from './run.ts'
import { type Command, parseScenario, type Step } from './scenario.ts'
import { type Settings, simulatedTimeouts } from './settings.ts'
import { hostName, World } from './world.ts'

export interface Played {
  readonly world: World
  /** Expectations that did not hold, and what the judges found. */
  readonly violations: readonly Violation[]
}

/** Nothing in here takes longer than this, in virtual ms. */
const PATIENCE_MS = 20_000

const linkOptions = Object.keys(calmLink)
const timeoutOptions = Object.keys(simulatedTimeouts)
const limitOptions: readonly (keyof CellLimits)[] = [
  'maxFrameBytes',
  'maxFrameSegments',
  'windowBytes',
  'queueBytes',
  'maxMembers',
]

/** A quiet world: nothing goes wrong but what the scenario says. */
export function quietSettings(members: number, seed: number): Settings {
  return {
    seed,
    members,
    network: calmLink,
    timeouts: simulatedTimeouts,
    limits: {},
    groupLimits: {},
    maxTimestamp: null,
    loop: { turnMs: 0.02, slowChance: 0, slowMs: 0, inboxFrames: 100_000, eventsPerTurn: null },
    workload: {
      sessionsPerDaemon: 0,
      groups: 0,
      messages: 0,
      meanBytes: 20,
      largeChance: 0,
      safeChance: 0,
      privateChance: 0,
      multiGroupChance: 0,
      selfDiscardChance: 0,
      readMs: 0.1,
      acknowledgeMs: 0.5,
      kills: 0,
      lagging: 0,
    },
    faults: { count: 0, recoveryChance: 0, recoveryCount: 0 },
    phases: { warmUpMs: 0, safetyMs: 0, livenessMs: PATIENCE_MS },
  }
}

/** @throws ScenarioError if the text cannot be understood. */
export function playScenario(source: string, parts: Parts, seed = 1): Played {
  const steps = parseScenario(source)
  const settings = settingsFor(steps, seed)
  const world = new World({ settings, parts, notes: true, invariantsEvery: 1 })
  const stage = new Stage(world)
  for (const step of steps) {
    if (world.aborted) break
    stage.play(step)
  }
  if (!world.aborted) {
    stage.settle()
    waitForQuiet(world, world.now + PATIENCE_MS)
    stage.askAll()
    waitForQuiet(world, world.now + PATIENCE_MS)
    judge(world, true)
  }
  return { world, violations: world.recorder.violations }
}

function settingsFor(steps: readonly Step[], seed: number): Settings {
  const first = steps[0]?.command
  const settings = quietSettings(first?.do === 'members' ? first.count : 1, seed)
  const network: Record<string, number> = { ...settings.network }
  const timeouts: Record<string, number> = { ...settings.timeouts }
  const limits: Record<string, number> = {}
  let { maxTimestamp } = settings
  for (const { command, line, text } of steps) {
    if (command.do !== 'option') continue
    if (linkOptions.includes(command.name)) network[command.name] = command.value
    else if (timeoutOptions.includes(command.name)) timeouts[command.name] = command.value
    else if ((limitOptions as readonly string[]).includes(command.name)) limits[command.name] = command.value
    else if (command.name === 'maxTimestamp') maxTimestamp = command.value
    else throw new Error(`line ${line}: no option '${command.name}': ${text}`)
  }
  return {
    ...settings,
    network: network as unknown as Settings['network'],
    timeouts: timeouts as unknown as CellTimeouts,
    limits,
    maxTimestamp,
  }
}

/** A field that a command leaves out names everything. */
function named(given: number | null, own: number | null): boolean {
  return given === null || given === own
}

class Stage {
  private readonly world: World
  private readonly clients: Map<string, Client> = new Map()

  constructor(world: World) {
    this.world = world
  }

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
    const { network } = world
    switch (command.do) {
      case 'start':
      case 'restart':
        for (const host of command.hosts) {
          if (command.do === 'restart') world.kill(host, 0)
          world.disturb([host])
          world.start(host)
        }
        break
      case 'kill':
        for (const host of command.hosts) world.kill(host, command.refused ? 1 : 0)
        break
      case 'pause':
        for (const host of command.hosts) {
          world.pause(host)
          world.disturb([host]).until = Number.POSITIVE_INFINITY
        }
        break
      case 'resume':
        for (const host of command.hosts) this.resume(host)
        break
      case 'leave host':
        for (const host of command.hosts) world.leave(host)
        break
      case 'slow': {
        const daemon = world.daemons[command.host]
        world.disturb([command.host]).until = Number.POSITIVE_INFINITY
        if (daemon !== null && daemon !== undefined) daemon.slowMs = command.ms
        break
      }
      case 'cut':
      case 'mend':
      case 'clog':
      case 'unclog':
        world.disturb(command.pairs.flat(), 'links').until =
          command.do === 'unclog' || command.do === 'mend' ? world.now : Number.POSITIVE_INFINITY
        world.recorder.note(world.now, null, 'fault', `${command.do} ${command.label}`)
        for (const [from, to] of command.pairs) {
          if (command.do === 'cut') network.cut(from, to)
          else if (command.do === 'mend') network.mend(from, to)
          else if (command.do === 'clog') network.clog(from, to)
          else network.unclog(from, to, false)
        }
        break
      case 'drop':
      case 'hold':
        world.disturb(world.hosts, 'links').until = Number.POSITIVE_INFINITY
        network.dropRules.push({
          kind: command.kind,
          from: command.from,
          to: command.to,
          remaining: command.count,
          probability: 1,
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
        break
      case 'release':
        network.releaseHeld()
        break
      case 'heal':
        this.heal()
        break
      default:
    }
  }

  private heal(): void {
    const { world } = this
    world.network.healAll()
    for (const host of world.hosts) this.resume(host)
    for (const disturbance of world.disturbances) disturbance.until = Math.min(disturbance.until, world.now)
    world.recorder.note(world.now, null, 'fault', 'healed')
  }

  private resume(host: number): void {
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

  private client(name: string): Client {
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
      case 'send': {
        const target = command.to === null ? null : this.client(command.to)
        const member =
          target === null ? null : { daemon: target.daemon.member, session: target.number, id: target.id }
        for (let index = 0; index < command.count; index++) {
          this.client(command.client).send({
            groups: command.groups,
            member,
            service: command.service,
            selfDiscard: false,
            sizes: [command.size],
          })
        }
        break
      }
      default:
    }
  }

  /** In the end everyone asks what became of what it has received: all answers must agree. */
  askAll(): void {
    for (const client of this.clients.values()) {
      if (client.state !== 'open') continue
      const { daemon } = client
      for (const { place, group, m, position } of client.seen)
        daemon.enqueue(() => daemon.fateRequested(client, place, group, m, position))
    }
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
