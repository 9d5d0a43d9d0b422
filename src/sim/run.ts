/** One run: warm-up, faults, healing, convergence, and all the judges. */

import type { Sometimes } from '../lib/coverage.ts'
import { checkCell } from './check/cell.ts'
import { checkGroups } from './check/groups.ts'
import { Faults, namesOf } from './faults.ts'
import type { Parts } from './parts.ts'
import type { Violation } from './recorder.ts'
import type { Settings } from './settings.ts'
import { type Said, Stage } from './stage.ts'
import { hostName } from './hosts.ts'
import { describeDaemon, World } from './world.ts'
import { Workload } from './workload.ts'

export interface RunOptions {
  readonly settings: Settings
  readonly parts: Parts
  /** Keep notes for a reader. */
  readonly notes?: boolean
  readonly invariantsEvery?: number
  /** False: without the judges of the group level (`PlainGroups` shows no views). */
  readonly groups?: boolean
  /** Called before anything happens: to listen. */
  readonly prepare?: (world: World) => void
}

/** What one seed gave; plain data, it crosses processes. */
export interface RunResult {
  readonly seed: number
  readonly hash: string
  readonly violations: readonly Violation[]
  readonly members: number
  readonly messages: number
  readonly delivered: number
  readonly faults: number
  readonly insideRecovery: number
  readonly configurations: number
  readonly frames: number
  readonly virtualMs: number
  readonly convergedMs: number
  readonly elapsedMs: number
  readonly buggified: Readonly<Record<string, number>>
  readonly coverage: Readonly<Partial<Record<Sometimes, number>>>
  readonly faultCounts: Readonly<Record<string, number>>
}

export interface Run {
  readonly result: RunResult
  readonly world: World
  /** All that happened to the world, as a scenario would say it. */
  readonly script: readonly Said[]
}

/** Runs one seed to its end. Nothing in the result but `elapsedMs` depends on anything but the settings. */
export function run(options: RunOptions): Run {
  const before = process.hrtime.bigint()
  const { settings } = options
  const world = new World({
    settings,
    parts: options.parts,
    notes: options.notes ?? false,
    invariantsEvery: options.invariantsEvery ?? 1,
  })
  const stage = new Stage(world)
  const workload = new Workload(world, stage)
  const faults = new Faults(world, stage)
  options.prepare?.(world)
  boot(world, stage)
  const { warmUpMs, safetyMs } = settings.phases
  workload.schedule(warmUpMs / 2, warmUpMs + safetyMs)
  faults.schedule(warmUpMs, warmUpMs + safetyMs)
  world.runUntil(warmUpMs + safetyMs)
  const healedAt = world.now
  const ending = heal(world, stage, faults)
  const convergedMs = converge(world, workload, ending) - healedAt
  drain(world, workload, stage)
  judge(world, options.groups ?? true)
  const result: RunResult = {
    seed: settings.seed,
    hash: world.recorder.hash(),
    violations: world.recorder.violations,
    members: settings.members,
    messages: workload.messages,
    delivered: world.recorder.cellLines.reduce((sum, line) => (line.e === 'deliver' ? sum + 1 : sum), 0),
    faults: faults.total,
    insideRecovery: faults.insideRecovery,
    configurations: world.recorder.cellLines.reduce(
      (sum, line) => (line.e === 'conf' && line.kind === 'regular' ? sum + 1 : sum),
      0,
    ),
    frames: world.network.counters.delivered,
    virtualMs: Math.round(world.now),
    convergedMs: Math.round(convergedMs),
    elapsedMs: Number(process.hrtime.bigint() - before) / 1e6,
    buggified: Object.fromEntries([...world.buggified].sort()),
    coverage: Object.fromEntries([...world.coverage].sort()),
    faultCounts: Object.fromEntries([...faults.counts].sort()),
  }
  return { result, world, script: stage.script }
}

/** All at once, or one after the other, or with a late one. */
function boot(world: World, stage: Stage): void {
  const random = world.random.fork('boot')
  const { warmUpMs, safetyMs } = world.settings.phases
  const together = random.chance(0.6)
  for (const host of world.hosts) {
    let at = together ? 0 : random.next() * warmUpMs
    if (host > 1 && random.chance(0.1)) at = warmUpMs + random.next() * safetyMs * 0.5
    world.scheduler.at(at, () => {
      if (world.daemons[host] === null) stage.say(`start ${hostName(host)}`)
    })
  }
}

// ---- liveness: once faults stop, everyone must come to the same end ----

/** What is left standing: sets of hosts that hear each other, or pairs that do not. */
interface Ending {
  /** Each must become one configuration; null: the cut is no partition, and only stability is asked for. */
  readonly components: readonly (readonly number[])[] | null
}

/** Ends the faults; some other ones become permanent. */
function heal(world: World, stage: Stage, faults: Faults): Ending {
  const random = world.random.fork('heal')
  faults.stop()
  stage.say('calm')
  for (const host of world.hosts) {
    const daemon = world.daemons[host]
    if (daemon?.alive !== true && (daemon == null || random.chance(0.5))) stage.say(`start ${hostName(host)}`)
    else if (random.chance(0.05) && world.living.length > 1)
      stage.say(`kill ${hostName(host)} ${random.chance(0.5) ? '' : 'silently'}`)
  }
  const hosts = world.living.map(daemon => daemon.host)
  const draw = random.next()
  if (draw < 0.6 || hosts.length < 2) {
    world.recorder.note(world.now, null, 'stage', 'all faults end')
    return { components: [hosts] }
  }
  if (draw < 0.88 || hosts.length < 3)
    return { components: splitForGood(world, stage, hosts, random.chance(0.25) ? 3 : 2) }
  const [a, b] = random.shuffle([...hosts]) as [number, number]
  stage.say(`cut ${hostName(a)} - ${hostName(b)}`)
  world.recorder.note(world.now, null, 'stage', `faults end; ${hostName(a)} and ${hostName(b)} stay cut`)
  return { components: null }
}

/** The dead are on one side too, or it would be no partition. */
function splitForGood(world: World, stage: Stage, hosts: readonly number[], count: number): number[][] {
  const random = world.random.fork('components')
  const side = world.hosts.map(() => random.int(count))
  const sides = Array.from({ length: count }, (_, index) => world.hosts.filter(host => side[host] === index))
  const found = sides.filter(members => members.length > 0)
  const text = found.map(namesOf).join(' | ')
  if (found.length > 1) stage.say(`cut ${text}`)
  world.recorder.note(world.now, null, 'stage', `faults end; for good: ${text}`)
  return found
    .map(members => members.filter(host => hosts.includes(host)))
    .filter(members => members.length > 0)
}

/**
 * Waits for the end, but not less than until the faults have no more consequences: who was cut off until a moment ago is in the
 * configuration of the others still, and may yet be suspected for its silence.
 * @returns when the last configuration was installed; if there is no end, the time at which that is plain.
 */
function converge(world: World, workload: Workload, ending: Ending): number {
  const deadline = world.now + world.settings.phases.livenessMs
  const aftermathEnd = world.now + world.calmMs
  const random = world.random.fork('last messages')
  for (let index = 0; index < 20; index++) {
    world.scheduler.after(random.next() * 400, () => workload.sendOne())
  }
  workload.equipAll()
  let installs = installsOf(world)
  let steadySince = world.now
  while (!world.aborted) {
    world.runUntil(world.now + 20)
    workload.equipAll()
    const now = installsOf(world)
    if (now !== installs) steadySince = world.now
    installs = now
    if (world.now < aftermathEnd) continue
    if (
      ending.components === null ? settledOnBridge(world, steadySince) : sameViews(world, ending.components)
    )
      break
    if (world.now < deadline) continue
    const states = world.living.map(describeDaemon).join('; ')
    world.recorder.violate(
      'convergence',
      world.now,
      `${world.settings.phases.livenessMs} ms after the last fault: ${states}`,
    )
    return world.now
  }
  if (ending.components === null && !world.aborted) world.cover('converged on a bridge')
  world.recorder.note(world.now, null, 'stage', 'converged')
  return steadySince
}

function installsOf(world: World): number {
  return world.living.reduce((sum, daemon) => sum + daemon.installed, 0)
}

function sameViews(world: World, components: readonly (readonly number[])[]): boolean {
  // Who is about to leave would change the view once more.
  if (world.living.some(daemon => daemon.leaving)) return false
  return components.every(component => {
    const daemons = component.map(host => world.daemons[host]).filter(daemon => daemon?.alive === true)
    const expected = daemons
      .map(daemon => daemon?.member)
      .sort()
      .join()
    const keys = new Set(daemons.map(daemon => daemon?.cell.configuration.id.key))
    return (
      keys.size <= 1 &&
      daemons.every(
        daemon =>
          daemon?.cell.phase === 'operational' && daemon.cell.configuration.members.join() === expected,
      )
    )
  })
}

/** No change of configuration for long, and nobody is in one with somebody it cannot hear. */
function settledOnBridge(world: World, steadySince: number): boolean {
  const { maxHoldDownMs, suspectAfterMs } = world.settings.timeouts
  if (world.now - steadySince < maxHoldDownMs * 2 + suspectAfterMs * 3) return false
  return world.living.every(daemon => {
    const { members } = daemon.cell.configuration
    const hosts = world.living.filter(other => members.includes(other.member)).map(other => other.host)
    return (
      daemon.cell.phase === 'operational' &&
      hosts.length === members.length &&
      hosts.every(from => hosts.every(to => from === to || world.network.open(from, to)))
    )
  })
}

/** Everything sent is delivered, becomes safe, is read, and its fate is known. */
function drain(world: World, workload: Workload, stage: Stage): void {
  workload.stop()
  if (world.aborted) return
  const deadline = world.now + 10_000
  const installs = installsOf(world)
  waitForQuiet(world, deadline)
  stage.askAll()
  waitForQuiet(world, deadline)
  for (const daemon of world.living) {
    if (daemon.unfinished === 0 && !world.aborted) continue
    world.recorder.violate(
      'everything settles',
      world.now,
      `${daemon.member} waits with ${daemon.unfinished} requests or fates`,
    )
  }
  // Some time of peace, in which nothing may split.
  if (world.settings.seed % 4 === 0) world.runUntil(world.now + world.calmMs + 300)
  // A configuration whose timestamps near their limit forms again, with the same members.
  const mayReform = world.settings.maxTimestamp !== null
  if (installsOf(world) !== installs && !world.aborted && !mayReform) {
    const states = world.living.map(describeDaemon).join('; ')
    world.recorder.violate('what converged stays', world.now, states)
  }
}

export function waitForQuiet(world: World, deadline: number): void {
  let lines = -1
  let quietSince = world.now
  while (!world.aborted && world.now < deadline) {
    world.runUntil(world.now + 20)
    const count = world.recorder.cellLines.length + world.recorder.clientLines.length
    // A client that lags writes nothing for a while, and yet is not done.
    const unfinished =
      world.living.some(daemon => daemon.unfinished > 0) || world.clients.some(client => client.behind)
    if (count !== lines || unfinished) quietSince = world.now
    lines = count
    if (world.now - quietSince >= 300) return
  }
}

export function judge(world: World, groups: boolean): void {
  const { recorder } = world
  if (world.aborted) return
  world.oracles.judgeRest()
  const drained = !recorder.violations.some(
    violation => violation.property === 'convergence' || violation.property === 'what converged stays',
  )
  for (const { property, what } of checkCell(recorder.cellLines, { drained })) {
    recorder.violate(property, world.now, what)
  }
  if (!groups) return
  for (const { property, what } of checkGroups(recorder.clientLines, { drained, dead: world.dead() })) {
    recorder.violate(property, world.now, what)
  }
}
