/** Daemons of this build, and clients of its library. */

import { Lab } from '../lab/lab.ts'
import { Network } from '../lab/netns.ts'
import { Scratch } from './scratch.ts'
import { cellLines } from './settings.ts'
import { daemonNames, type Site, type SiteOptions, type Work } from './site.ts'
import { moduleCommand, Worker } from './worker.ts'

export async function openAnasazi({ members, namespaces, settings }: SiteOptions): Promise<Site> {
  const names = daemonNames(members)
  const network = namespaces ? new Network(names) : null
  let lab: Lab | null = null
  try {
    lab = await Lab.create({
      names,
      trace: false,
      cell: cellLines(settings).join('\n'),
      ...(network === null
        ? {}
        : {
            within: (name: string) => network.within(name),
            address: (name: string) => `${network.address(name)}:4803`,
          }),
    })
    await lab.startAll()
    return siteOf(lab, network)
  } catch (error) {
    await lab?.close()
    network?.close()
    throw error
  }
}

function siteOf(lab: Lab, network: Network | null): Site {
  const workers: Worker[] = []
  const scratch = new Scratch(lab.directory)
  return {
    names: lab.names,
    get daemonPids() {
      return lab.names.map(name => lab.daemon(name).pid)
    },
    network,
    start(at: string, work: Work) {
      const name = `${work.kind}-${workers.length + 1}`
      // Unix sockets are files: a client reaches its daemon from wherever it runs.
      const task = JSON.stringify({ ...work, name, address: lab.url(at) })
      const worker = new Worker(`client ${name} at ${at}`, moduleCommand('client-main', task))
      workers.push(worker)
      return worker
    },
    signal: (daemon, signal) => lab.signal(daemon, signal),
    async restart(daemon) {
      await lab.end(daemon, 'SIGKILL')
      await lab.start(daemon)
    },
    async close() {
      await Promise.all(workers.map(worker => worker.quit()))
      await lab.close()
      scratch.close()
      network?.close()
    },
  }
}
