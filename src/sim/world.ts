/** The whole of a simulated system: hosts, the network between them, and time. Everything in it follows from one seed. */

import type { Client } from './client.ts'
import type { CellEvent } from '../core/api.ts'
import type { Frame, Lane } from '../core/frames.ts'
import type { MemberId } from '../core/types.ts'
import { type Buggify, type BuggifyPoint, buggifyPoints } from '../lib/buggify.ts'
import type { Sometimes } from '../lib/coverage.ts'
import { Random } from '../lib/prng.ts'
import { Daemon } from './daemon.ts'
import { hostName, hostOf } from './hosts.ts'
import { calmLink, type Encoded, Network } from './network.ts'
import { Oracles } from './oracles.ts'
import type { Parts } from './parts.ts'
import { Recorder } from './recorder.ts'
import { Scheduler } from './scheduler.ts'
import type { Settings } from './settings.ts'

/**
 * Something that may excuse a member from being heard, from then until then. `hosts`: it concerns what these hosts do themselves
 * (death, pause). `sides`: a clean partition, by host. `links`: anything else on links of these hosts; whoever hears whom then need not
 * be transitive, and nobody among them can be demanded to stay together.
 */
export interface Disturbance {
  readonly kind: 'hosts' | 'sides' | 'links'
  readonly hosts: readonly number[]
  readonly from: number
  until: number
}

export interface WorldOptions {
  readonly settings: Settings
  readonly parts: Parts
  readonly notes: boolean
  /** Check the invariants of a cell after every so many of its turns. */
  readonly invariantsEvery: number
}

/** How long a disturbance may have consequences, in ms: a suspicion, and the attempts that it makes fail. */
function aftermathMs(settings: Settings): number {
  const { suspectAfterMs, stalledAfterMs, gatherMs, recoverMs } = settings.timeouts
  return suspectAfterMs + stalledAfterMs + 2 * gatherMs + 3 * recoverMs
}

export class World {
  readonly settings: Settings
  readonly parts: Parts
  readonly scheduler: Scheduler = new Scheduler()
  readonly random: Random
  readonly recorder: Recorder
  readonly network: Network
  readonly oracles: Oracles
  /** All that were ever opened: one that has closed may still read. */
  readonly clients: Client[] = []
  /** The process at each host, dead or alive; null before the first start. */
  readonly daemons: (Daemon | null)[]
  readonly coverage: Map<Sometimes, number> = new Map()
  readonly cover = (mark: Sometimes): void => {
    this.coverage.set(mark, (this.coverage.get(mark) ?? 0) + 1)
  }
  /** Called for what cells say, after the oracles. */
  readonly listeners: ((daemon: Daemon, event: CellEvent) => void)[] = []
  readonly disturbances: Disturbance[] = []
  readonly calmMs: number
  /** Receivers of one frame share what the first of them decoded; in some runs each decodes for itself. */
  readonly sharesDecoded: boolean
  corruptFrames = 0
  /** Frames that wait for a process before the network drops more. */
  inboxFrames: number
  aborted = false
  /** Times that each rare thing was made to happen. */
  readonly buggified: Map<BuggifyPoint, number> = new Map()
  private peaceful = false
  readonly invariants: { readonly every: number }
  private readonly incarnations: number[]
  private readonly graves: string[] = []
  private readonly names: Map<string, string> = new Map()

  constructor(options: WorldOptions) {
    const { settings } = options
    this.settings = settings
    this.parts = options.parts
    this.inboxFrames = settings.loop.inboxFrames
    this.invariants = { every: options.invariantsEvery }
    this.random = new Random(settings.seed)
    this.recorder = new Recorder(options.notes)
    this.oracles = new Oracles(this, this.recorder)
    this.daemons = Array.from({ length: settings.members }, () => null)
    this.incarnations = this.daemons.map(() => 0)
    this.calmMs = aftermathMs(settings)
    this.sharesDecoded = settings.seed % 8 !== 0
    this.network = new Network({
      hosts: settings.members,
      scheduler: this.scheduler,
      random: this.random.fork('network'),
      profile: settings.network,
      arrive: packet => this.daemons[packet.to]?.arrive(packet),
      cover: this.cover,
    })
  }

  get now(): number {
    return this.scheduler.now
  }

  get hosts(): number[] {
    return this.daemons.map((_, host) => host)
  }

  /** Processes that are not dead; a paused one counts. */
  get living(): Daemon[] {
    return this.daemons.filter((daemon): daemon is Daemon => daemon?.alive === true)
  }

  /** The name of a session, for readers. */
  clientName(member: MemberId, session: number): string {
    return this.names.get(`${member}.${session}`) ?? `${hostName(hostOf(member))}/${session}`
  }

  nameClient(member: MemberId, session: number, name: string): void {
    this.names.set(`${member}.${session}`, name)
  }

  /** Ids of daemons and sessions that ended without a word. */
  dead(): Set<string> {
    return new Set(this.graves)
  }

  bury(id: string): void {
    this.graves.push(id)
  }

  /** For one process: some points never do anything in it, the others now and then. */
  buggifier(random: Random): Buggify {
    const chance = this.settings.buggify
    const chances = new Map<BuggifyPoint, number>()
    for (const point of buggifyPoints) {
      // It is asked at every turn of a recovery, which would never end.
      if (random.chance(0.4)) chances.set(point, point === 'gives up an attempt' ? chance / 50 : chance)
    }
    return point => {
      const happens = !this.peaceful && random.chance(chances.get(point) ?? 0)
      if (happens) this.buggified.set(point, (this.buggified.get(point) ?? 0) + 1)
      return happens
    }
  }

  /** An exception came out of the code under test: nothing after it means anything. */
  abort(): void {
    this.aborted = true
  }

  runUntil(time: number): void {
    while (!this.aborted && this.now < time) {
      // In slices, so that an abort is noticed without a test per timer.
      this.scheduler.runUntil(Math.min(time, this.now + 5))
    }
  }

  // ---- processes ----

  start(host: number): Daemon {
    const incarnation = (this.incarnations[host] as number) + 1
    this.incarnations[host] = incarnation
    const random = this.random.fork(`process ${host} ${incarnation}`)
    let boot = ''
    for (let word = 0; word < 4; word++) boot += random.u32().toString(16).padStart(8, '0')
    const daemon = new Daemon(this, host, `${hostName(host)}#${boot}`, random)
    this.daemons[host] = daemon
    this.oracles.born(daemon)
    this.recorder.note(this.now, host, 'fault', incarnation === 1 ? 'starts' : 'starts again')
    return daemon
  }

  /** @param refused chance for each peer that its kernel notices, as it does when a process dies and its host lives. */
  kill(host: number, refused: number): void {
    const daemon = this.daemons[host]
    if (daemon?.alive !== true) return
    this.disturb([host])
    this.recorder.note(this.now, host, 'fault', 'killed')
    daemon.kill('daemon died')
    const random = this.random.fork(`refused ${daemon.member}`)
    for (const peer of this.living) {
      if (!random.chance(refused)) continue
      this.scheduler.after(0.1 + random.exponential(1), () => {
        // A new process at the same host does not refuse: its greeting tells the rest.
        const stillDown = this.daemons[host] === daemon
        const reachable = this.network.open(peer.host, host) && this.network.open(host, peer.host)
        if (stillDown && reachable) peer.enqueue(() => peer.cell.peerLost(daemon.member, 'refused', this.now))
      })
    }
  }

  pause(host: number): void {
    this.disturb([host])
    this.recorder.note(this.now, host, 'fault', 'paused')
    this.daemons[host]?.pause()
  }

  resume(host: number): void {
    this.disturb([host])
    this.recorder.note(this.now, host, 'fault', 'resumed')
    this.daemons[host]?.resume()
  }

  /** What is left of loss and the like must not cost a member its life by chance: nothing would ever be final. */
  calm(): void {
    const { profile } = this.network
    this.network.profile = {
      ...profile,
      loss: Math.min(profile.loss, 0.01),
      corrupt: Math.min(profile.corrupt, 0.001),
      capacity: calmLink.capacity,
    }
    this.inboxFrames = Number.POSITIVE_INFINITY
    this.peaceful = true
  }

  leave(host: number): void {
    const daemon = this.daemons[host]
    if (daemon?.alive !== true) return
    this.disturb([host])
    this.recorder.note(this.now, host, 'fault', 'leaves')
    daemon.leaving = true
    daemon.enqueue(() => daemon.cell.leave(this.now))
  }

  // ---- what may be excused ----

  /**
   * @param hosts for `sides`: the side of each host.
   * @returns a disturbance that lasts until its end is set; without setting it, it is over at once.
   */
  disturb(hosts: readonly number[], kind: Disturbance['kind'] = 'hosts'): Disturbance {
    const disturbance = { kind, hosts, from: this.now, until: this.now }
    this.disturbances.push(disturbance)
    return disturbance
  }

  /**
   * For as long as a disturbance may have consequences, nothing came between these two: both were up, no link among the hosts around
   * them was in doubt, and in every partition they were on one side.
   * @param at when this is asked of
   */
  together(one: number, other: number, around: readonly number[], at: number = this.now): boolean {
    if (!withinBudget(this.settings)) return false
    const since = at - this.calmMs
    for (let index = this.disturbances.length - 1; index >= 0; index--) {
      const { from, until, hosts, kind } = this.disturbances[index] as Disturbance
      if (until < since || from > at) continue
      if (kind === 'sides' && hosts[one] !== hosts[other]) return false
      if (kind === 'hosts' && (hosts.includes(one) || hosts.includes(other))) return false
      if (kind === 'links' && hosts.some(host => around.includes(host))) return false
    }
    return true
  }

  // ---- frames ----

  transmit(
    daemon: Daemon,
    to: readonly MemberId[] | null,
    lane: Lane,
    frame: Frame,
    bytes: Uint8Array,
  ): void {
    const encoded = { bytes, decoded: null }
    if (to === null) {
      for (const host of this.hosts) {
        if (host !== daemon.host)
          this.network.send(daemon.host, host, daemon.member, null, lane, frame.kind, encoded)
      }
      return
    }
    const { chainBytes } = this.settings
    if (chainBytes !== null && frame.kind === 'data' && to.length > 1 && bytes.length >= chainBytes) {
      const behind = to.filter(member => member > daemon.member)
      const rest = [...behind, ...to.filter(member => member < daemon.member)]
      this.passOn(daemon.host, daemon.member, rest, encoded)
      return
    }
    for (const member of to) {
      const host = hostOf(member)
      if (host >= 0 && host < this.daemons.length && host !== daemon.host) {
        this.network.send(daemon.host, host, daemon.member, member, lane, frame.kind, encoded)
      }
    }
  }

  /**
   * A data frame on its way along a chain leaves a host: for the first that can be reached, as connections show it, and through
   * it for all behind that one. The paused and the dead are not noticed: what they hold is lost to those behind them.
   */
  passOn(from: number, origin: MemberId, rest: readonly MemberId[], encoded: Encoded): void {
    const reached = rest.findIndex(member => this.network.open(from, hostOf(member)))
    if (reached < 0) return
    const next = rest[reached] as MemberId
    if (from !== hostOf(origin)) this.cover('passed on')
    if (reached > 0) this.cover('bypassed')
    const behind = [...rest.slice(reached + 1), ...rest.slice(0, reached)]
    this.network.send(from, hostOf(next), origin, next, 'data', 'data', encoded, behind)
  }

  observe(daemon: Daemon, event: CellEvent): void {
    for (const listener of this.listeners) listener(daemon, event)
  }
}

/** Within these bounds a member that is up must not be lost. */
function withinBudget(settings: Settings): boolean {
  const { network, loop } = settings
  return (
    network.loss <= 0.05 && network.corrupt <= 0.01 && network.capacity >= 1000 && loop.inboxFrames >= 1000
  )
}

export function describeDaemon(daemon: Daemon): string {
  const { configuration, phase } = daemon.cell
  const members = configuration.members.map(member => member.slice(0, member.indexOf('#'))).join(' ')
  return `${hostName(daemon.host)} ${phase} in ${configuration.id.epoch} {${members}}`
}
