/** Daemons that have nothing to do, and clients whose work is only to come in. */

import { setTimeout as pause } from 'node:timers/promises'
import { Crew } from './crew.ts'
import { nowMicros } from './payload.ts'
import type { Scenario } from './scenario.ts'
import { activity, type Activity, memory, Meter } from './usage.ts'

export const idle: Scenario = async (site, _row, variant, timing) => {
  const crew = await Crew.enter(site, { variant, size: () => 64, groups: 1, talkers: 0 })
  await pause(timing.warmSeconds * 1000)
  const meter = new Meter(site.daemonPids, site.helperPids)
  const before = site.daemonPids.map(activity)
  await pause(timing.seconds * 1000)
  const after = site.daemonPids.map(activity)
  const spent = meter.read()
  const most = (name: keyof Activity): number =>
    Math.max(...after.map((each, i) => each[name] - (before[i]?.[name] ?? 0))) / spent.seconds
  await crew.finish()
  return {
    values: {
      busy: most('cpuSeconds') * 100,
      wakeUps: most('wakeUps'),
      daemonMemory: Math.max(...site.daemonPids.map(pid => memory(pid).now)),
    },
    times: null,
    othersCores: spent.othersCores,
  }
}

export const crowd: Scenario = async (site, row, variant) => {
  const sessions = row.many / 2
  const workers = [0, 1].map(index =>
    site.start(site.names[index] as string, { kind: 'crowd', sessions, members: row.many }),
  )
  await Promise.all(workers.map(worker => worker.hear('ready')))
  const meter = new Meter([...site.daemonPids, ...workers.map(({ pid }) => pid)], site.helperPids)
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

export const joiner: Scenario = async (site, row) => {
  const worker = site.start(site.names[0] as string, { kind: 'joiner', groups: row.many })
  await worker.hear('ready')
  const meter = new Meter([...site.daemonPids, worker.pid], site.helperPids)
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
