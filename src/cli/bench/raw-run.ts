/** The limit: bytes through the same processes and sockets without any protocol, or straight from each to each. */

import { freePort } from '../lab/lab.ts'
import { Network } from '../lab/netns.ts'
import type { Row } from './row.ts'
import { mean, type Outcome, type Timing } from './scenario.ts'
import { Scratch } from './scratch.ts'
import { daemonNames } from './site.ts'
import { Meter } from './usage.ts'
import { moduleCommand, Worker } from './worker.ts'

export async function runRaw(
  shape: 'raw' | 'direct',
  row: Row,
  namespaces: boolean,
  timing: Timing,
): Promise<Outcome> {
  const names = daemonNames(row.members)
  const network = namespaces ? new Network(names) : null
  const scratch = new Scratch()
  const workers: Worker[] = []
  const start = (name: string, ...args: readonly string[]): Worker => {
    const command = [...(network?.within(name) ?? []), ...moduleCommand('raw-main', ...args)]
    const worker = new Worker(`${args[0]} at ${name}`, command)
    workers.push(worker)
    return worker
  }
  try {
    const addresses = new Map<string, string>()
    for (const name of names) {
      addresses.set(
        name,
        network === null ? `127.0.0.1:${await freePort()}` : `${network.address(name)}:4803`,
      )
    }
    const others = (name: string): string[] =>
      names.filter(each => each !== name).map(each => addresses.get(each) ?? '')
    const own = (name: string): string => addresses.get(name) ?? ''
    const socket = (name: string): string => scratch.file(`${name}.sock`)
    const size = String(row.size)
    let ends: Worker[]
    if (shape === 'direct') ends = names.map(name => start(name, 'direct', own(name), size, ...others(name)))
    else {
      const relays = names.map(name => start(name, 'relay', socket(name), own(name), ...others(name)))
      await Promise.all(relays.map(relay => relay.hear('ready')))
      ends = names.map(name => start(name, 'client', socket(name), size))
    }
    await Promise.all(ends.map(end => end.hear('ready')))
    return await measure(ends, workers, row.talkers, timing)
  } finally {
    await Promise.all(workers.map(worker => worker.kill()))
    network?.close()
    scratch.close()
  }
}

async function measure(
  ends: readonly Worker[],
  all: readonly Worker[],
  talkers: number,
  { warmSeconds, seconds }: Timing,
): Promise<Outcome> {
  ends.forEach((end, index) => end.tell('work', index < talkers ? 0 : -1, 0, 0, warmSeconds, seconds))
  await Promise.all(ends.map(end => end.hear('began')))
  const meter = new Meter(all.map(({ pid }) => pid))
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
