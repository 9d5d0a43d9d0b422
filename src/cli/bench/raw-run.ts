/** The limit: bytes through the same processes and sockets without any protocol, or straight from each to each. */

import type { Row } from './row.ts'
import { mean, type Outcome, type Timing } from './scenario.ts'
import { Scratch } from './scratch.ts'
import { daemonNames } from './site.ts'
import { Meter } from './usage.ts'
import { type Terrain, Underlay } from './underlay.ts'
import { moduleCommand, Worker } from './worker.ts'

export async function runRaw(
  shape: 'raw' | 'direct',
  row: Row,
  terrain: Terrain,
  timing: Timing,
): Promise<Outcome> {
  const names = daemonNames(row.members)
  const underlay = new Underlay(names, terrain)
  const scratch = new Scratch()
  const workers: Worker[] = []
  const start = (name: string, ...args: readonly string[]): Worker => {
    const command = [...underlay.within(name), ...moduleCommand('raw-main', args)]
    const worker = new Worker(`${args[0]} at ${name}`, command)
    workers.push(worker)
    return worker
  }
  try {
    const addresses = new Map<string, string>()
    for (const name of names) addresses.set(name, await underlay.address(name))
    const routes = new Map<string, string[]>()
    for (const from of names) {
      const to = names.filter(each => each !== from)
      routes.set(
        from,
        await Promise.all(to.map(each => underlay.route(from, each, addresses.get(each) ?? ''))),
      )
    }
    const others = (name: string): string[] => routes.get(name) ?? []
    const own = (name: string): string => addresses.get(name) ?? ''
    const socket = (name: string): string => scratch.file(`${name}.sock`)
    const size = String(row.size)
    const peers = names.map(name =>
      shape === 'direct'
        ? start(name, 'direct', own(name), size, ...others(name))
        : start(name, 'relay', socket(name), own(name), ...others(name)),
    )
    await Promise.all(peers.map(peer => peer.hear('listening')))
    for (const peer of peers) peer.tell('dial')
    await Promise.all(peers.map(peer => peer.hear('ready')))
    const ends = shape === 'direct' ? peers : names.map(name => start(name, 'client', socket(name), size))
    if (shape === 'raw') await Promise.all(ends.map(end => end.hear('ready')))
    return await measure(ends, workers, underlay.pids, row.talkers, timing)
  } finally {
    await Promise.all(workers.map(worker => worker.kill()))
    await underlay.close()
    scratch.close()
  }
}

async function measure(
  ends: readonly Worker[],
  all: readonly Worker[],
  helperPids: readonly number[],
  talkers: number,
  { warmSeconds, seconds }: Timing,
): Promise<Outcome> {
  ends.forEach((end, index) => end.tell('work', index < talkers ? 0 : -1, 0, 0, warmSeconds, seconds))
  await Promise.all(ends.map(end => end.hear('began')))
  const meter = new Meter(
    all.map(({ pid }) => pid),
    helperPids,
  )
  const measured = await Promise.all(ends.map(end => end.hear('measured')))
  return {
    values: {
      messages: mean(measured.map(each => each.messages / each.seconds)),
      megabytes: mean(measured.map(each => each.bytes / each.seconds / 1e6)),
    },
    times: null,
    othersCores: meter.read().othersCores,
  }
}
