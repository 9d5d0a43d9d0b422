/** How long changes of the membership take: clients that join, and networks and daemons that fail. */

import { setTimeout as pause } from 'node:timers/promises'
import { Crew } from './crew.ts'
import type { MeasureName, Samples, Values } from './measures.ts'
import { nowMicros } from './payload.ts'
import { lastView, type Scenario } from './scenario.ts'
import type { Site } from './site.ts'
import { spreadOf } from './summary.ts'
import { Meter } from './usage.ts'

/** Joins take next to no time: there can be so many for each of the others. */
const joinsEach = 10
/** Between what is measured; what daemons still do behind a change shall not slow down the next one. */
const mostSettleMs = 1000

/** Each several times: a client joins, the network is cut in two and healed, the last daemon is killed and comes back. */
export const views: Scenario = async (site, row, variant, { warmSeconds, seconds, repeat }) => {
  const crew = await Crew.enter(site, { variant, size: () => row.size, groups: 1, talkers: 0 })
  const meter = new Meter([...site.daemonPids, ...crew.workers.map(({ pid }) => pid)], site.helperPids)
  const settleMs = Math.min(seconds * 1000, mostSettleMs)
  const notes = new Notes()
  await pause(warmSeconds * 1000)
  await join(site, crew, repeat * joinsEach, notes)
  for (let i = 0; i < repeat; i++) await cutAndHeal(site, crew, settleMs, notes)
  for (let i = 0; i < repeat; i++) await killAndRestart(site, crew, settleMs, notes)
  const { othersCores } = meter.read()
  await crew.finish()
  return { values: notes.medians, samples: notes.samples, times: null, othersCores }
}

/** Times of one turn, ms. */
class Notes {
  readonly samples: { [Name in MeasureName]?: number[] } = {}

  add(name: MeasureName, fromMicros: number, toMicros: number): void {
    const times = this.samples[name] ?? []
    times.push((toMicros - fromMicros) / 1000)
    this.samples[name] = times
  }

  get medians(): Values {
    const entries = Object.entries(this.samples as Samples)
    return Object.fromEntries(entries.map(([name, times]) => [name, spreadOf(times).median]))
  }
}

/** A client that is connected already joins the group that all others are in, and leaves it. */
async function join(site: Site, crew: Crew, times: number, notes: Notes): Promise<void> {
  const members = site.names.length
  const visitor = site.start(site.names[1] as string, { kind: 'visitor' })
  await visitor.hear('ready')
  for (let i = 0; i < times; i++) {
    visitor.tell('enter')
    const entering = await visitor.hear('asked')
    notes.add('join', entering.at, await lastView([...crew.workers, visitor], members + 1, entering.at))
    visitor.tell('leave')
    const leaving = await visitor.hear('asked')
    await lastView(crew.workers, members, leaving.at)
    await visitor.hear('left')
  }
}

async function cutAndHeal(site: Site, { workers }: Crew, settleMs: number, notes: Notes): Promise<void> {
  const { names, links } = site
  if (links === null || names.length < 3) return
  const half = Math.ceil(names.length / 2)
  const sides = [workers.slice(0, half), workers.slice(half)]
  const cutAt = nowMicros()
  links.split(names.slice(0, half), names.slice(half))
  const seen = await Promise.all(sides.map(side => lastView(side, side.length, cutAt)))
  notes.add('cut', cutAt, Math.max(...seen))
  await pause(settleMs)
  const healedAt = nowMicros()
  links.heal()
  notes.add('heal', healedAt, await lastView(workers, names.length, healedAt))
  await pause(settleMs)
}

/** The daemon comes back with a new client of its own. */
async function killAndRestart(site: Site, crew: Crew, settleMs: number, notes: Notes): Promise<void> {
  const { names } = site
  const last = names.at(-1) as string
  const survivors = crew.workers.slice(0, -1)
  const killedAt = nowMicros()
  site.signal(last, 'SIGKILL')
  notes.add('kill', killedAt, await lastView(survivors, survivors.length, killedAt))
  await pause(settleMs)
  const startedAt = nowMicros()
  await site.restart(last)
  await crew.replaceLast()
  notes.add('restart', startedAt, await lastView(survivors, names.length, startedAt))
  await pause(settleMs)
}
