/** The peer: Debian's corosync, each daemon in a network namespace, and clients of its library in C. */

import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { missingForNetwork } from '../lab/netns.ts'
import { BenchError } from './bench-error.ts'
import { Scratch } from './scratch.ts'
import { daemonNames, type Site, type SiteOptions, type Work } from './site.ts'
import { Underlay } from './underlay.ts'
import { Worker } from './worker.ts'

export type CorosyncTransport = 'knet' | 'udpu'

const install = 'apt install corosync libcpg-dev gcc'
/** Own messages in flight at a client: with many more the daemon answers "try again" so often that it slows down. */
const windowMessages = 300
const windowBytes = 4 << 20

/** Why corosync cannot be measured here; null if it can. */
export function missingForCorosync(): string | null {
  if (spawnSync('corosync', ['-v']).error !== undefined) return `corosync is not installed: ${install}`
  if (spawnSync('gcc', ['--version']).error !== undefined) return `gcc is not installed: ${install}`
  if (!existsSync('/usr/include/corosync/cpg.h')) return `libcpg-dev is not installed: ${install}`
  if (!existsSync(source())) return `its client ${source()} is not there: use a checkout of the repository`
  return missingForNetwork()
}

/** The client in C, compiled once for a run of the benchmark. */
export class CorosyncClient {
  private readonly scratch = new Scratch()
  readonly program: string = this.scratch.file('cpgbench')

  /** @throws BenchError with what the compiler says. */
  constructor() {
    const args = ['-O2', '-Wall', '-o', this.program, source(), '-lcpg', '-lm']
    const { status, stderr } = spawnSync('gcc', args, { encoding: 'utf8' })
    if (status !== 0) throw new BenchError(`the client of corosync does not compile: ${stderr}`, install)
  }

  close(): void {
    this.scratch.close()
  }
}

export async function openCorosync(
  client: CorosyncClient,
  transport: CorosyncTransport,
  { members, terrain }: SiteOptions,
): Promise<Site> {
  const names = daemonNames(members)
  const underlay = new Underlay(names, { ...terrain, namespaces: true })
  const scratch = new Scratch()
  const daemons = new Map<string, ChildProcess>()
  const workers: Worker[] = []
  const started: number[] = []
  const end = (): void => {
    for (const each of daemons.values()) each.kill('SIGKILL')
    removeMemory(started)
  }
  const close = async (): Promise<void> => {
    await Promise.all(workers.map(worker => worker.quit()))
    const gone = [...daemons.values()].map(each => ended(each))
    end()
    await Promise.all(gone)
    removeMemory(started)
    process.removeListener('exit', end)
    await underlay.close()
    scratch.close()
  }
  const configuration = scratch.file('corosync.conf')
  const begin = (name: string): Promise<void> => {
    const daemon = launch(underlay, name, configuration)
    daemons.set(name, daemon)
    if (daemon.pid !== undefined) started.push(daemon.pid)
    return untilAnswers(underlay, name, daemon, client)
  }
  process.once('exit', end)
  try {
    writeFileSync(configuration, configurationText(underlay, transport))
    await Promise.all(names.map(begin))
  } catch (error) {
    await close()
    throw error
  }
  return {
    names,
    links: underlay.links,
    helperPids: [],
    get daemonPids() {
      return names.map(name => daemons.get(name)?.pid ?? 0)
    },
    start(at: string, work: Work) {
      const args = clientArguments(work).map(String)
      const command = [...underlay.within(at), client.program, ...args]
      const worker = new Worker(`corosync client ${workers.length + 1} at ${at}`, command)
      workers.push(worker)
      return worker
    },
    signal: (daemon, signal) => void daemons.get(daemon)?.kill(signal),
    async restart(name) {
      const daemon = daemons.get(name)
      if (daemon !== undefined) await ended(daemon)
      await begin(name)
    },
    close,
  }
}

function clientArguments(work: Work): (string | number)[] {
  if (work.kind === 'crowd') return ['crowd', work.sessions, work.members]
  if (work.kind === 'visitor') return ['visitor']
  if (work.kind === 'joiner') throw new BenchError('a client of corosync is in one group')
  const window = Math.max(4, Math.min(windowMessages, Math.floor(windowBytes / work.size)))
  return ['member', work.members, work.talkers, work.size, window]
}

/**
 * Its defaults, but for real-time scheduling: with that it starves its own clients on a machine of few cores. There is no
 * provider of a quorum, so that every part of a network goes on.
 */
function configurationText(underlay: Underlay, transport: CorosyncTransport): string {
  const nodes = underlay.names.map(
    (name, i) => `  node { ring0_addr: ${underlay.host(name)}\n name: ${name}\n nodeid: ${i + 1}\n }`,
  )
  // The braces of this file must end their lines.
  const lines = [
    'totem {',
    'version: 2',
    'cluster_name: bench',
    `transport: ${transport}`,
    ...(transport === 'knet' ? ['crypto_cipher: none', 'crypto_hash: none'] : []),
    '}',
    'system {',
    'sched_rr: no',
    '}',
    'logging {',
    'to_syslog: no',
    'to_stderr: yes',
    'to_logfile: no',
    '}',
    'nodelist {',
    ...nodes.map(node => node.replace('{ ', '{\n')),
    '}',
  ]
  return `${lines.join('\n')}\n`
}

function launch(underlay: Underlay, name: string, configuration: string): ChildProcess {
  // The namespace of mounts is its own already: what is mounted here is seen by nobody else.
  const script = `mount -t tmpfs none /run && mount -t tmpfs none /var/lib/corosync && exec corosync -f -c "$0"`
  const [command, ...args] = [...underlay.within(name), 'sh', '-c', script, configuration]
  const daemon = spawn(command as string, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let words = ''
  daemon.stderr.setEncoding('utf8').on('data', (text: string) => {
    words = (words + text).slice(-4000)
  })
  daemon.once('exit', () => lastWords.set(daemon, words))
  return daemon
}

/** Where its daemons and clients talk through shared memory; whoever is killed leaves that behind. */
const memoryDirectory = '/dev/shm'

/** Removes the shared memory of daemons that are gone: megabytes for each client that they ever had. */
function removeMemory(pids: readonly number[]): void {
  const prefixes = pids.flatMap(pid => [`qb-${pid}-`, `qb-corosync-${pid}-`])
  for (const name of readdirSync(memoryDirectory)) {
    if (!prefixes.some(prefix => name.startsWith(prefix))) continue
    rmSync(join(memoryDirectory, name), { recursive: true, force: true })
  }
}

const lastWords = new WeakMap<ChildProcess, string>()

function ended(daemon: ChildProcess): Promise<void> {
  if (daemon.exitCode !== null || daemon.signalCode !== null) return Promise.resolve()
  return new Promise(resolve => daemon.once('exit', () => resolve()))
}

/** Until clients can connect. @throws BenchError if it ends before. */
async function untilAnswers(
  underlay: Underlay,
  name: string,
  daemon: ChildProcess,
  client: CorosyncClient,
): Promise<void> {
  for (;;) {
    const [command, ...args] = [...underlay.within(name), client.program, 'probe']
    const answers = await new Promise<boolean>(resolve => {
      const probe = spawn(command as string, args, { stdio: 'ignore' })
      probe.once('exit', code => resolve(code === 0))
      probe.once('error', () => resolve(false))
    })
    if (answers) return
    if (daemon.exitCode !== null || daemon.signalCode !== null) {
      throw new BenchError(`corosync ended at its start: ${(lastWords.get(daemon) ?? '').trim()}`)
    }
    await pause(50)
  }
}

/** In a checkout, and in the package: the same way from here. */
function source(): string {
  return fileURLToPath(new URL('../../../bench/corosync/cpgbench.c', import.meta.url))
}

/** What runs, for the report. */
export function corosyncVersion(): string {
  const { stdout } = spawnSync('corosync', ['-v'], { encoding: 'utf8' })
  return /version '([^']+)'/.exec(stdout)?.[1] ?? 'of unknown version'
}
