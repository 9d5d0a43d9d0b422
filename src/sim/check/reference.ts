/**
 * A reference model of extended virtual synchrony: it makes *valid* traces with knowledge that no real process has.
 *
 * Every regular configuration has one global log; a process delivers a prefix of it. At a change of configuration an
 * oracle fixes, for those who move on together, how far they deliver and what lies in the transitional configuration.
 * It has nothing in common with the protocol under test except the specification.
 */

import type { CellTraceLine, ClientTraceLine } from '../../lib/trace.ts'
import { Random } from '../../lib/prng.ts'
import { GroupDaemon, type Payload } from './reference-groups.ts'

export interface ReferenceOptions {
  readonly seed: number
  /** Daemons at the start. */
  readonly processes?: number
  /** Random steps; about as many lines of each kind. */
  readonly steps?: number
  /** 0 … 1: how much of the usual number of faults. Default 1. */
  readonly faults?: number
  /** True: heal, deliver and read everything at the end. */
  readonly drained?: boolean
}

export interface ReferenceTrace {
  readonly cell: CellTraceLine[]
  readonly clients: ClientTraceLine[]
  readonly drained: boolean
  /** Sessions that were killed without a word. */
  readonly dead: ReadonlySet<string>
}

/** One message in a configuration's log. */
export interface Entry {
  readonly id: string
  readonly index: number
  readonly sender: Process
  readonly safe: boolean
  /** How much of the log its sender had delivered. */
  readonly known: number
  readonly payload: Payload
}

export interface Conf {
  readonly id: string
  readonly epoch: number
  readonly members: readonly Process[]
  readonly log: Entry[]
  /** What lies below is bound to be delivered by every member that lives: safe. */
  stable: number
  readonly installed: Set<Process>
}

/** What those who leave a configuration together deliver before they install the next one. */
interface Cut {
  readonly next: Conf
  readonly id: string
  readonly together: readonly Process[]
  readonly regularTo: number
  readonly upTo: number
  readonly beyond: readonly Entry[]
}

export interface Process {
  readonly id: string
  readonly daemon: GroupDaemon
  alive: boolean
  conf: Conf
  /** Entries of `conf.log` delivered. */
  prefix: number
  cut: Cut | null
  maxEpoch: number
  /** Obligations from cuts that never came to be: others may have gone by them. */
  owedUpTo: number
  owedBeyond: Set<Entry>
}

export class World {
  readonly random: Random
  readonly cell: CellTraceLine[] = []
  readonly clients: ClientTraceLine[] = []
  readonly dead: Set<string> = new Set()
  readonly processes: Process[] = []
  private time = 0
  private nextMessage = 1
  private nextIncarnation = 1
  private nextNonce = 1

  constructor(seed: number) {
    this.random = new Random(seed)
  }

  tick(): string {
    this.time += 1 + this.random.int(1000)
    return String(this.time)
  }

  get living(): Process[] {
    return this.processes.filter(process => process.alive)
  }

  boot(name: string): Process {
    const id = `${name}#${this.nextIncarnation++}`
    const process = {
      id,
      alive: true,
      prefix: 0,
      cut: null,
      maxEpoch: 1,
      owedUpTo: 0,
      owedBeyond: new Set(),
    } as unknown as {
      -readonly [K in keyof Process]: Process[K]
    }
    process.conf = this.configuration([process])
    process.daemon = new GroupDaemon(this, process)
    this.processes.push(process)
    this.install(process, process.conf)
    return process
  }

  private configuration(members: readonly Process[]): Conf {
    const epoch = 1 + Math.max(...members.map(member => member.maxEpoch))
    for (const member of members) member.maxEpoch = epoch
    const sorted = [...members].sort((a, b) => (a.id < b.id ? -1 : 1))
    const id = `${epoch}.${sorted[0]!.id}.${this.nextNonce++}`
    return { id, epoch, members: sorted, log: [], stable: 0, installed: new Set() }
  }

  private install(process: Process, conf: Conf, together: readonly Process[] | null = null): void {
    process.conf = conf
    process.prefix = 0
    process.cut = null
    process.owedUpTo = 0
    process.owedBeyond = new Set()
    conf.installed.add(process)
    const members = conf.members.map(member => member.id)
    this.cell.push({
      t: this.tick(),
      p: process.id,
      cell: 'main',
      e: 'conf',
      id: conf.id,
      kind: 'regular',
      members,
    })
    process.daemon.regular(conf, together)
  }

  /** Puts something into the log of the sender's configuration. It must not be frozen. */
  originate(sender: Process, payload: Payload, safe: boolean): void {
    const conf = sender.conf
    const id = `${sender.id}:${this.nextMessage++}`
    conf.log.push({ id, index: conf.log.length, sender, safe, known: sender.prefix, payload })
    const service = safe ? 'safe' : 'agreed'
    this.cell.push({ t: this.tick(), p: sender.id, cell: 'main', e: 'send', m: id, service })
  }

  /** Delivers up to `most` entries in the regular configuration. */
  deliver(process: Process, most: number): void {
    for (let i = 0; i < most && !process.cut; i++) {
      const entry = process.conf.log[process.prefix]
      if (!entry || (entry.safe && entry.index >= process.conf.stable)) return
      process.prefix++
      this.delivered(process, entry)
    }
  }

  private delivered(process: Process, entry: Entry): void {
    this.cell.push({ t: this.tick(), p: process.id, cell: 'main', e: 'deliver', m: entry.id })
    process.daemon.deliver(entry)
  }

  /** More of the log is known to be held by everyone. Only while everyone is there: later, the cuts decide. */
  stabilise(conf: Conf, all: boolean): void {
    for (const member of conf.members) {
      if (!conf.installed.has(member) || (member.alive && (member.conf !== conf || member.cut))) return
      if (!member.alive && member.conf !== conf) return
    }
    conf.stable = all ? conf.log.length : this.random.between(conf.stable, conf.log.length)
  }

  /** An oracle's decision that these processes form a configuration; each installs it when it comes to it. */
  plan(members: readonly Process[]): void {
    const next = this.configuration(members)
    const old = new Set(members.map(member => member.conf))
    for (const conf of old) {
      const together = members.filter(member => member.conf === conf)
      this.supersede(together)
      const cut = this.cutOf(conf, together, next)
      GroupDaemon.shareKnowledge(together.map(member => member.daemon))
      for (const member of together) member.cut = cut
    }
  }

  private supersede(together: readonly Process[]): void {
    for (const member of together) {
      if (!member.cut) continue
      member.owedUpTo = Math.max(member.owedUpTo, member.cut.upTo)
      for (const entry of member.cut.beyond) member.owedBeyond.add(entry)
    }
  }

  private cutOf(conf: Conf, together: readonly Process[], next: Conf): Cut {
    const whole = together.length === conf.members.length
    if (whole && !together.some(member => member.cut)) this.stabilise(conf, true)
    const held = Math.max(...together.map(member => member.prefix))
    const least = Math.max(held, conf.stable, ...together.map(member => member.owedUpTo))
    const upTo = whole ? conf.log.length : this.random.between(least, conf.log.length)
    let regularTo = held
    while (regularTo < upTo) {
      const entry = conf.log[regularTo]!
      if ((entry.safe && entry.index >= conf.stable) || (!whole && this.random.chance(0.2))) break
      regularTo++
    }
    const beyond = this.beyond(conf, together, upTo)
    const id = `t.${next.id}.${together.map(member => member.id).join('+')}`
    return { next, id, together, regularTo, upTo, beyond }
  }

  /** After a gap only what depends on nothing that is missing: own messages, obligations, and some of the lost. */
  private beyond(conf: Conf, together: readonly Process[], upTo: number): Entry[] {
    const owed = new Set(together.flatMap(member => [...member.owedBeyond]))
    const given = new Map<Process, boolean>()
    return conf.log.slice(upTo).filter(entry => {
      if (together.includes(entry.sender) || owed.has(entry)) return true
      const going = given.get(entry.sender) ?? this.random.chance(0.5)
      const include = going && entry.known <= upTo && this.random.chance(0.7)
      given.set(entry.sender, include)
      return include
    })
  }

  /** Goes by the cut, unless it dies after `deliveries` more events. */
  proceed(process: Process, events: number): void {
    const cut = process.cut
    if (!cut) return
    const conf = process.conf
    let left = events
    const dies = (): boolean => {
      if (left-- > 0) return false
      this.crash(process)
      return true
    }
    while (process.prefix < cut.regularTo) {
      if (dies()) return
      this.delivered(process, conf.log[process.prefix++]!)
    }
    if (dies()) return
    const members = cut.together.map(member => member.id)
    const base = { t: this.tick(), p: process.id, cell: 'main' }
    this.cell.push({ ...base, e: 'conf', id: cut.id, kind: 'transitional', of: conf.id, members })
    process.daemon.transitional(cut.id, cut.together)
    for (const entry of [...conf.log.slice(cut.regularTo, cut.upTo), ...cut.beyond]) {
      if (dies()) return
      this.delivered(process, entry)
    }
    if (dies()) return
    this.install(process, cut.next, cut.together)
  }

  crash(process: Process): void {
    process.alive = false
    this.cell.push({ t: this.tick(), p: process.id, cell: 'main', e: 'fail' })
    process.daemon.lost()
  }
}

function step(world: World, faults: number): void {
  const { random } = world
  if (world.living.length === 0) world.boot('n1')
  const living = world.living
  const process = random.pick(living)
  const dice = random.next()
  if (dice < 0.3) process.daemon.act()
  else if (dice < 0.62) world.deliver(process, 1 + random.int(8))
  else if (dice < 0.82) process.daemon.clientsRead()
  else if (dice < 0.88) world.stabilise(process.conf, false)
  else if (dice < 0.93) process.daemon.hear(random.pick(living).daemon)
  else if (dice < 0.96) process.daemon.answerFates()
  else if (dice < 0.985) {
    if (process.cut) world.proceed(process, random.chance(0.05) ? random.int(10) : Number.POSITIVE_INFINITY)
  } else if (!random.chance(faults)) world.deliver(process, 20)
  else if (dice < 0.994) change(world, living)
  else if (dice < 0.997 && living.length > 1) world.crash(process)
  else if (world.living.length < 12) world.boot(`n${1 + random.int(9)}`)
}

/** A new configuration of some of the living: most often all who are together, or all, or any. */
function change(world: World, living: Process[]): void {
  const { random } = world
  const dice = random.next()
  if (dice < 0.4) world.plan(living)
  else if (dice < 0.7) {
    const conf = random.pick(living).conf
    const some = conf.members.filter(member => member.alive && random.chance(0.7))
    if (some.length > 0) world.plan(some)
  } else world.plan(random.shuffle([...living]).slice(0, 1 + random.int(living.length)))
}

/** Heals everything: one configuration of all who live, all delivered and read. */
function drain(world: World): void {
  if (world.living.length === 0) world.boot('n1')
  for (let round = 0; round < 2; round++) {
    world.plan(world.living)
    for (const process of world.living) world.proceed(process, Number.POSITIVE_INFINITY)
    settle(world)
  }
}

function settle(world: World): void {
  const conf = world.living[0]!.conf
  for (let before = -1; before < conf.log.length; ) {
    before = conf.log.length
    for (const process of world.living) process.daemon.flush()
    world.stabilise(conf, true)
    for (const process of world.living) world.deliver(process, Number.POSITIVE_INFINITY)
    for (const process of world.living) process.daemon.clientsRead(true)
    for (const process of world.living) for (const other of world.living) process.daemon.hear(other.daemon)
    for (const process of world.living) process.daemon.flush()
  }
  for (const process of world.living) process.daemon.answerFates(true)
  for (const process of world.living) process.daemon.clientsRead(true)
}

/** Makes one valid trace. The same options, the same trace. */
export function generateReference(options: ReferenceOptions): ReferenceTrace {
  const world = new World(options.seed)
  const shape = world.random.fork('shape')
  const count = options.processes ?? shape.between(2, 6)
  for (let i = 1; i <= count; i++) world.boot(`n${i}`)
  world.plan(world.living)
  for (const process of world.living) world.proceed(process, Number.POSITIVE_INFINITY)
  const steps = options.steps ?? shape.between(200, 1200)
  for (let i = 0; i < steps; i++) step(world, options.faults ?? 1)
  const drained = options.drained ?? shape.chance(0.5)
  if (drained) drain(world)
  return { cell: world.cell, clients: world.clients, drained, dead: world.dead }
}
