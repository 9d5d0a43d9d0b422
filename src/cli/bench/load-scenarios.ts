/** Messages, as fast as they go or at a fixed load, and how long they take. */

import { setTimeout as pause } from 'node:timers/promises'
import { Crew } from './crew.ts'
import { merged } from './histogram.ts'
import { nowMicros } from './payload.ts'
import type { Row, Variant } from './row.ts'
import {
  flood,
  lastView,
  leadMicros,
  mean,
  quiet,
  type Scenario,
  type Timing,
  spread,
  timesOf,
  usageOf,
} from './scenario.ts'
import type { Site } from './site.ts'
import { Meter } from './usage.ts'

const probeRate = 1000
const probeBytes = 64
/** A measurement that ends when it is told to; s. */
const longest = 100
const lingerMs = 300
/** It is only to know what half of it is. */
const mostMaximumSeconds = 2

export const throughput: Scenario = async (site, row, variant, timing) => {
  const { talkers } = row
  const crew = await Crew.enter(site, {
    variant,
    size: () => row.size,
    groups: groupsOf(row, variant),
    talkers,
  })
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
    span: watched.span,
    othersCores: spent.othersCores,
  }
}

export const latency: Scenario = async (site, row, variant, timing) => {
  const { talkers, rate } = row
  const crew = await Crew.enter(site, { variant, size: () => row.size, groups: 1, talkers })
  const part = spread(talkers, rate)
  crew.begin(index => (index < talkers ? part(index) : quiet), timing.warmSeconds, timing.seconds)
  return timesOf(site, crew)
}

/** What all but the first member can send at most, together; messages a second. */
export async function maximumOf(site: Site, row: Row, variant: Variant, timing: Timing): Promise<number> {
  const { talkers, size } = row
  const crew = await Crew.enter(site, { variant, size: () => size, groups: 1, talkers: talkers - 1 })
  crew.begin(
    index => (index > 0 && index < talkers ? flood : quiet),
    timing.warmSeconds,
    Math.min(timing.seconds, mostMaximumSeconds),
  )
  const { measured } = await crew.watch()
  await crew.finish()
  return mean(measured.map(({ messages, seconds }) => messages / seconds))
}

/** The first member sends small probes, all others load. */
export const loaded: Scenario = async (site, row, variant, timing) => {
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
export const paused: Scenario = async (site, row, variant, timing) => {
  const { rate } = row
  const members = site.names.length
  const crew = await Crew.enter(site, { variant, size: () => row.size, groups: 1, talkers: 1 })
  const others = crew.workers.slice(0, -1)
  const part = spread(1, rate)(0)
  crew.begin(index => (index === 0 ? part : quiet), timing.warmSeconds, longest)
  await Promise.all(others.map(worker => worker.hear('began')))
  const meter = new Meter([...site.daemonPids, ...others.map(({ pid }) => pid)], site.helperPids)
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

/** Peers have one group for a client: they are measured with that. */
function groupsOf(row: Row, variant: Variant): number {
  return variant.system === 'anasazi' ? row.many : 1
}
