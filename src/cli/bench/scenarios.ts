/** How each kind of row is measured, on any system. */

import { setTimeout as pause } from 'node:timers/promises'
import { Crew, type Part, type Watched } from './crew.ts'
import { type Histogram, merged } from './histogram.ts'
import type { MeasureName } from './measures.ts'
import { nowMicros } from './payload.ts'
import type { Row, Variant } from './row.ts'
import type { Site } from './site.ts'
import { memory, Meter } from './usage.ts'
import type { Worker } from './worker.ts'

export interface Timing {
  /** Before anything is measured. */
  readonly warmSeconds: number
  readonly seconds: number
}

/** What a run of a row has given. */
export interface Outcome {
  readonly values: { [Name in MeasureName]?: number }
  /** Times of delivery at others, µs, where they were taken. */
  readonly times: Histogram | null
  /** Cores that strangers used meanwhile; null if unknown. */
  readonly othersCores: number | null
}

export type Scenario = (site: Site, row: Row, variant: Variant, timing: Timing) => Promise<Outcome>

const quiet: Part = { rate: -1, isProbe: false, firstAt: 0 }
/** Talkers begin so long after they were told to, at moments spread over an interval. */
const leadMicros = 50_000
const probeRate = 1000
const probeBytes = 64
/** A measurement that ends when it is told to; s. */
const longest = 100
const lingerMs = 300

const throughput: Scenario = async (site, row, variant, timing) => {
  const { talkers } = row
  const crew = await Crew.enter(site, {
    variant,
    size: () => row.size,
    groups: groupsOf(row, variant),
    talkers,
  })
  const flood: Part = { rate: 0, isProbe: false, firstAt: 0 }
  crew.begin(index => (index < talkers ? flood : quiet), timing.warmSeconds, timing.seconds)
  const watched = await crew.watch()
  const usage = usageOf(site, crew, watched)
  await crew.finish()
  const { measured, spent } = watched
  const counts = measured[0]?.bySender ?? []
  return {
    values: {
      messages: mean(measured.map(({ messages, seconds }) => messages / seconds)),
      megabytes: mean(measured.map(({ bytes, seconds }) => bytes / seconds / 1e6)),
      ...(talkers > 1 && { fairness: (Math.min(...counts) / Math.max(...counts)) * 100 }),
      ...usage,
    },
    times: null,
    othersCores: spent.othersCores,
  }
}

const latency: Scenario = async (site, row, variant, timing) => {
  const { talkers, rate } = row
  const crew = await Crew.enter(site, { variant, size: () => row.size, groups: 1, talkers })
  const part = spread(talkers, rate)
  crew.begin(index => (index < talkers ? part(index) : quiet), timing.warmSeconds, timing.seconds)
  return timesOf(site, crew)
}

/** The first member sends small probes, all others load. */
const loaded: Scenario = async (site, row, variant, timing) => {
  const { talkers, rate } = row
  const size = (index: number): number => (index === 0 ? probeBytes : row.size)
  const crew = await Crew.enter(site, { variant, size, groups: 1, talkers })
  const part = spread(talkers, rate)
  crew.begin(
    index => (index === 0 ? { ...part(0), rate: probeRate } : { ...part(index), isProbe: false }),
    timing.warmSeconds,
    timing.seconds,
  )
  return timesOf(site, crew)
}

/** The last daemon is stopped, whose member only listens; the others see a view without it in the end. */
const paused: Scenario = async (site, row, variant, timing) => {
  const { rate } = row
  const members = site.names.length
  const crew = await Crew.enter(site, { variant, size: () => row.size, groups: 1, talkers: 1 })
  const others = crew.workers.slice(0, -1)
  const part = spread(1, rate)(0)
  crew.begin(index => (index === 0 ? part : quiet), timing.warmSeconds, longest)
  await Promise.all(others.map(worker => worker.hear('began')))
  const meter = new Meter([...site.daemonPids, ...others.map(({ pid }) => pid)])
  await pause(timing.seconds * 1000)
  const from = nowMicros() + leadMicros
  for (const worker of others) worker.tell('mark', from)
  await Promise.all(others.map(worker => worker.hear('marked')))
  await pause(Math.max(0, (from - nowMicros()) / 1000))
  site.signal(site.names.at(-1) as string, 'SIGSTOP')
  const viewAt = await lastView(others, members - 1, from)
  const { othersCores } = meter.read()
  // What was held back until then arrives now.
  await pause(lingerMs)
  for (const worker of others) worker.tell('end')
  const measured = await Promise.all(others.map(worker => worker.hear('measured')))
  await crew.finish(others)
  const before = merged(measured.map(({ cross }) => cross))
  const during = merged(measured.map(({ marked }) => marked))
  return {
    values: {
      crossP50: before.at(0.5),
      crossP99: before.at(0.99),
      stoppedP50: during.at(0.5),
      stoppedP99: during.at(0.99),
      stoppedChange: during.at(0.99) / before.at(0.99),
      viewChange: (viewAt - from) / 1000,
    },
    times: during,
    othersCores,
  }
}

const idle: Scenario = async (site, _row, variant, timing) => {
  const crew = await Crew.enter(site, { variant, size: () => 64, groups: 1, talkers: 0 })
  await pause(timing.warmSeconds * 1000)
  const meter = new Meter(site.daemonPids)
  await pause(timing.seconds * 1000)
  const spent = meter.read()
  const busiest = Math.max(...spent.cpu) / spent.seconds
  await crew.finish()
  return {
    values: { busy: busiest * 100, daemonMemory: Math.max(...site.daemonPids.map(pid => memory(pid).now)) },
    times: null,
    othersCores: spent.othersCores,
  }
}

/** The network is cut in two and healed, where daemons have hosts of their own; then the last daemon is killed. */
const views: Scenario = async (site, row, variant, timing) => {
  const { names, network } = site
  const crew = await Crew.enter(site, { variant, size: () => row.size, groups: 1, talkers: 0 })
  const { workers } = crew
  const meter = new Meter([...site.daemonPids, ...workers.map(({ pid }) => pid)])
  const values: Outcome['values'] = {}
  await pause(timing.warmSeconds * 1000)
  if (network !== null && names.length > 2) {
    const half = Math.ceil(names.length / 2)
    const cutAt = nowMicros()
    network.split(names.slice(0, half), names.slice(half))
    const sides = [workers.slice(0, half), workers.slice(half)]
    const seen = await Promise.all(sides.map(side => lastView(side, side.length, cutAt)))
    values.cut = (Math.max(...seen) - cutAt) / 1000
    await pause(timing.seconds * 1000)
    const healedAt = nowMicros()
    network.heal()
    values.heal = ((await lastView(workers, names.length, healedAt)) - healedAt) / 1000
    await pause(timing.seconds * 1000)
  }
  const survivors = workers.slice(0, -1)
  const killedAt = nowMicros()
  site.signal(names.at(-1) as string, 'SIGKILL')
  values.kill = ((await lastView(survivors, survivors.length, killedAt)) - killedAt) / 1000
  const { othersCores } = meter.read()
  await crew.finish(survivors)
  return { values, times: null, othersCores }
}

const crowd: Scenario = async (site, row, variant) => {
  const sessions = row.many / 2
  const workers = [0, 1].map(index =>
    site.start(site.names[index] as string, { kind: 'crowd', sessions, members: row.many }),
  )
  await Promise.all(workers.map(worker => worker.hear('ready')))
  const meter = new Meter([...site.daemonPids, ...workers.map(({ pid }) => pid)])
  const from = nowMicros()
  for (const worker of workers) worker.tell('go')
  const entered = await Promise.all(workers.map(worker => worker.hear('entered')))
  return {
    values: {
      entered: (Math.max(...entered.map(({ at }) => at)) - from) / 1000,
      daemonMemory: Math.max(...site.daemonPids.map(pid => memory(pid).peak)),
      // Those of a peer are processes of their own, behind this one.
      ...(variant.system === 'anasazi' && {
        clientMemory: Math.max(...workers.map(({ pid }) => memory(pid).peak)),
      }),
    },
    times: null,
    othersCores: meter.read().othersCores,
  }
}

const joiner: Scenario = async (site, row) => {
  const worker = site.start(site.names[0] as string, { kind: 'joiner', groups: row.many })
  await worker.hear('ready')
  const meter = new Meter([...site.daemonPids, worker.pid])
  const from = nowMicros()
  worker.tell('go')
  const { at } = await worker.hear('entered')
  return {
    values: {
      entered: (at - from) / 1000,
      daemonMemory: Math.max(...site.daemonPids.map(pid => memory(pid).peak)),
      clientMemory: memory(worker.pid).peak,
    },
    times: null,
    othersCores: meter.read().othersCores,
  }
}

export const scenarios: Readonly<Record<Row['kind'], Scenario>> = {
  throughput,
  groups: throughput,
  latency,
  loaded,
  paused,
  idle,
  views,
  crowd,
  joiner,
}

/** Peers have one group for a client: they are measured with that. */
function groupsOf(row: Row, variant: Variant): number {
  return variant.system === 'anasazi' ? row.many : 1
}

/** Talkers of the same rate, their moments spread evenly. */
function spread(talkers: number, rate: number): (index: number) => Part {
  const from = nowMicros() + leadMicros
  return index => ({ rate, isProbe: true, firstAt: from + (index * 1e6) / rate / talkers })
}

async function timesOf(site: Site, crew: Crew): Promise<Outcome> {
  const watched = await crew.watch()
  const usage = usageOf(site, crew, watched)
  await crew.finish()
  const { measured, spent } = watched
  const own = merged(measured.map(each => each.own))
  const cross = merged(measured.map(each => each.cross))
  return {
    values: {
      offered: measured.reduce((sum, { sent, seconds }) => sum + sent / seconds, 0),
      ownP50: own.at(0.5),
      ownP99: own.at(0.99),
      ownP999: own.at(0.999),
      crossP50: cross.at(0.5),
      crossP99: cross.at(0.99),
      crossP999: cross.at(0.999),
      ...usage,
    },
    times: cross,
    othersCores: spent.othersCores,
  }
}

/** CPU for each message that was delivered at each place, and memory at its most. */
function usageOf(site: Site, crew: Crew, { measured, spent }: Watched): Outcome['values'] {
  const daemons = site.daemonPids.length
  const perMillion = (cpu: readonly number[]): number =>
    (mean(cpu) / mean(measured.map(({ messages }) => messages))) * 1e6
  return {
    daemonCpu: perMillion(spent.cpu.slice(0, daemons)),
    clientCpu: perMillion(spent.cpu.slice(daemons)),
    daemonMemory: Math.max(...site.daemonPids.map(pid => memory(pid).peak)),
    clientMemory: Math.max(...crew.workers.map(({ pid }) => memory(pid).peak)),
  }
}

/** When the last of them had a view of so many members, of those after a time; µs. */
async function lastView(workers: readonly Worker[], members: number, after: number): Promise<number> {
  const seen = await Promise.all(
    workers.map(worker => worker.hear('view', view => view.members === members && view.at > after)),
  )
  return Math.max(...seen.map(({ at }) => at))
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, each) => sum + each, 0) / values.length
}
