/** Daemons of this build, and clients of its library. */

import { dirname, join } from 'node:path'
import { Lab } from '../lab/lab.ts'
import { profileFlags } from './profile-files.ts'
import { Scratch } from './scratch.ts'
import { cellLines } from './settings.ts'
import { daemonNames, type Site, type SiteOptions, type Work } from './site.ts'
import { Underlay } from './underlay.ts'
import { moduleCommand, Worker } from './worker.ts'

export async function openAnasazi(options: SiteOptions): Promise<Site> {
  const underlay = new Underlay(daemonNames(options.members), options.terrain)
  return openOn(underlay, async () => {
    const addresses = new Map<string, string>()
    for (const name of underlay.names) addresses.set(name, await underlay.address(name))
    const lab = await Lab.create({
      names: underlay.names,
      trace: false,
      flags: daemonFlags(options.profile),
      cell: cellLines(options.settings).join('\n'),
      within: name => underlay.within(name),
      address: name => addresses.get(name) ?? '',
      route: (from, to, address) => underlay.route(from, to, address),
    })
    return { lab, cell: 'main', profile: options.profile }
  })
}

/** Options of Node for daemons. */
export function daemonFlags(profile: string | null): readonly string[] {
  return profile === null ? [] : profileFlags(profile, 'daemon')
}

/** Daemons that are configured and not started. */
export interface Prepared {
  readonly lab: Lab
  /** The cell whose socket clients connect to. */
  readonly cell: string
  /** Directory for profiles; null: none are wanted. */
  readonly profile: string | null
}

/** Starts all daemons; if that fails nothing is left behind. */
export async function openOn(underlay: Underlay, prepare: () => Promise<Prepared>): Promise<Site> {
  let lab: Lab | null = null
  try {
    const prepared = await prepare()
    lab = prepared.lab
    await Promise.all(underlay.names.map(name => prepared.lab.start(name)))
    return siteOf(underlay, prepared)
  } catch (error) {
    await lab?.close()
    await underlay.close()
    throw error
  }
}

/** A profile is written at the end of a process, and only if it is not killed. */
const profileMs = 20_000

async function endInOrder(lab: Lab): Promise<void> {
  for (const name of lab.names) lab.signal(name, 'SIGCONT')
  const timer = setTimeout(() => {
    for (const name of lab.names) lab.signal(name, 'SIGKILL')
  }, profileMs)
  await Promise.all(lab.names.map(name => lab.end(name, 'SIGTERM')))
  clearTimeout(timer)
}

function siteOf(underlay: Underlay, { lab, cell, profile }: Prepared): Site {
  const workers: Worker[] = []
  const flags = profile === null ? [] : profileFlags(profile, 'client')
  const scratch = new Scratch(lab.directory)
  return {
    names: lab.names,
    links: underlay.links,
    helperPids: underlay.pids,
    get daemonPids() {
      return lab.names.map(name => lab.daemon(name).pid)
    },
    start(at: string, work: Work) {
      const name = `${work.kind}-${workers.length + 1}`
      // Unix sockets are files: a client reaches its daemon from wherever it runs.
      const address = `unix:${join(dirname(lab.socket(at)), `${cell}.sock`)}`
      const task = JSON.stringify({ ...work, name, address })
      const worker = new Worker(`client ${name} at ${at}`, moduleCommand('client-main', [task], flags))
      workers.push(worker)
      return worker
    },
    signal: (daemon, signal) => lab.signal(daemon, signal),
    async restart(daemon) {
      await lab.end(daemon, 'SIGKILL')
      await lab.start(daemon)
    },
    async close() {
      await Promise.all(workers.map(worker => worker.quit(profile === null ? undefined : profileMs)))
      if (profile !== null) await endInOrder(lab)
      await lab.close()
      scratch.close()
      await underlay.close()
    },
  }
}
