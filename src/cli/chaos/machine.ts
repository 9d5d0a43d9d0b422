/** Machines that are not as they should be: clocks, disks, descriptors, configurations. */

import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { AnasaziError, connect, type Session } from '../../client/index.ts'
import { freePort } from '../lab/lab.ts'
import type { Program } from '../lab/program.ts'
import type { Cluster } from './cluster.ts'
import { comeBack } from './crashes.ts'
import { patience, type Play } from './scenario.ts'

const names = ['n1', 'n2', 'n3'] as const
const dayMs = 86_400_000

/** Runs in front of a daemon: SIGUSR2 moves all that it can read of the wall clock a day ahead, then a day back, then right. */
const shiftedClock = `
const steps = [${dayMs}, ${-dayMs}, 0]
let shift = 0
let next = 0
const Real = Date
const now = Real.now.bind(Real)
globalThis.Date = class Date extends Real {
  constructor(...parts) {
    if (parts.length === 0) super(now() + shift)
    else super(...parts)
  }
  static now() {
    return now() + shift
  }
}
process.on('SIGUSR2', () => {
  shift = steps[next++ % 3]
})
`

/** How far the clock by which a daemon writes its log is from ours, by its last line; ms. */
function logShift(cluster: Cluster, name: string): number {
  const last = cluster.lab.log(name).trimEnd().split('\n').at(-1) ?? ''
  const time = /"time":(\d+)/.exec(last)?.[1]
  return time === undefined ? 0 : Number(time) - Date.now()
}

export const wallClock: Play = {
  how: 'the clock of one daemon jumps a day ahead, that of another a day back, and a third is killed',
  options: () => ({
    names,
    cell: patience,
    prefix: () => ['env', `NODE_OPTIONS=--import=data:text/javascript,${encodeURIComponent(shiftedClock)}`],
  }),
  async round(cluster) {
    const { lab, findings } = cluster
    await cluster.unmoved('clocks jump', async () => {
      lab.signal('n1', 'SIGUSR2')
      lab.signal('n2', 'SIGUSR2')
      await cluster.flowing('messages', cluster.living)
      lab.signal('n2', 'SIGUSR2')
      await cluster.flowing('messages', cluster.living, 200)
    })
    const survivors = cluster.atAll(['n1', 'n2'])
    lab.signal('n3', 'SIGKILL')
    await cluster.view('kill -9 with clocks two days apart → view', 2000, survivors)
    findings.expect(logShift(cluster, 'n1') > dayMs / 2, 'the clock of n1 did not jump')
    findings.expect(logShift(cluster, 'n2') < -dayMs / 2, 'the clock of n2 did not jump')
    await cluster.kill('n3')
    await comeBack(cluster, 'n3')
    for (const name of ['n1', 'n1', 'n2']) {
      lab.signal(name, 'SIGUSR2')
      await cluster.flowing('messages', cluster.living, 200)
    }
  },
}

/** A file system of its own, small; null without root. */
function smallDisk(cluster: Cluster): string | null {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return null
  const directory = cluster.lab.file('small-disk')
  mkdirSync(directory, { recursive: true })
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=128k', 'tmpfs', directory])
  return status === 0 ? directory : null
}

function makeReadOnly(directory: string, isMount: boolean): void {
  if (isMount) spawnSync('mount', ['-o', 'remount,ro', directory])
  else chmodSync(directory, 0o500)
}

export const fullDisk: Play = {
  how: 'the trace of a daemon on a tmpfs of 128 kB (without root on /dev/full); a runtime directory that is read-only',
  options: () => ({ names, cell: patience, absent: ['n3'], partial: true }),
  missing: () => (existsSync('/dev/full') ? null : 'there is no /dev/full here'),
  async round(cluster, index) {
    const { lab, findings } = cluster
    const disk = smallDisk(cluster)
    const unmount = (): void => {
      if (disk !== null) spawnSync('umount', ['-l', disk])
    }
    process.once('exit', unmount)
    try {
      await cluster.start('n3', { trace: disk === null ? '/dev/full' : join(disk, 'n3.ndjson') })
      const member = await cluster.enter('n3', `member-n3-${index}`)
      await cluster.together('one view', null)
      await cluster.unmoved('full disk', async () => {
        await cluster.untilAsked('lines of the trace are dropped', async () => {
          const { counters } = await cluster.status('n3')
          return counters['cell.trace.dropped'] > 0
        })
        await cluster.flowing('messages', cluster.living, 100)
      })
      const { counters } = await cluster.status('n3')
      findings.measure('trace lines not written', counters['cell.trace.dropped'], 'messages', null)
      if (disk !== null) await expectTorn(cluster, join(disk, 'n3.ndjson'))
      await expectRefusal(cluster, disk)
      await member.hush()
      await member.session.close()
      await lab.end('n3', 'SIGTERM')
      await cluster.until('its client has ended', () => !member.alive)
      await cluster.together('it leaves → one view', null)
    } finally {
      process.off('exit', unmount)
      unmount()
    }
  },
}

/** A trace that ends within a line is read up to there. */
async function expectTorn(cluster: Cluster, file: string): Promise<void> {
  const text = readFileSync(file, 'utf8')
  const torn = cluster.lab.file('torn.ndjson')
  writeFileSync(torn, text.slice(0, text.indexOf('\n', text.length >> 1) + 20))
  const { verifyTraces } = await import('../../sim/check/verify.ts')
  const { violations, counts } = await verifyTraces([torn], { partial: true })
  const kinds = violations.map(({ property }) => property)
  cluster.findings.expect(
    counts.torn === 1 && violations.length === 0,
    `a torn trace is not read: torn ${counts.torn}, ${kinds.join(', ')}`,
  )
}

/** A daemon that cannot write where its sockets belong says so and ends with 1. */
async function expectRefusal(cluster: Cluster, disk: string | null): Promise<void> {
  const { lab, findings } = cluster
  const directory = disk ?? lab.file('read-only')
  mkdirSync(directory, { recursive: true })
  makeReadOnly(directory, disk !== null)
  const stranger = lab.run(lab.daemonArguments('n3', { runtime: join(directory, 'sockets') }))
  const code = await stranger.ended
  findings.expect(code === 1, `a daemon without a place for its sockets ended with ${code}`)
  findings.expect(!stranger.errors.includes('\n    at '), 'and it showed a stack instead of a sentence')
}

/** How many descriptors it may open when it is to run out of them. */
const roomFor = 20
const mostClients = 60

/** Changes how many descriptors a process may have, more than it has; null: as many as at its start. */
function limitDescriptors(pid: number, more: number | null): void {
  const soft = more === null ? '' : String(readdirSync(`/proc/${pid}/fd`).length + more)
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync(`/proc/${pid}/limits`, 'utf8'))?.[1] ?? ''
  const { error, status, stderr } = spawnSync(
    'prlimit',
    ['--pid', String(pid), `--nofile=${soft === '' ? hard : soft}:${hard}`],
    { encoding: 'utf8' },
  )
  if (error !== undefined || status !== 0) throw new Error(`prlimit: ${error?.message ?? stderr.trim()}`)
}

export const outOfDescriptors: Play = {
  how: `a running daemon may open ${roomFor} descriptors more (prlimit), and ${mostClients} clients want in`,
  options: () => ({ names, cell: patience }),
  missing: () =>
    spawnSync('prlimit', ['--version']).error === undefined && existsSync('/proc/self/fd')
      ? null
      : 'prlimit and /proc are not there; install util-linux on Linux',
  async round(cluster, index) {
    const { lab, findings } = cluster
    const guests: Session[] = []
    const refusals: string[] = []
    const { pid } = lab.daemon('n1')
    limitDescriptors(pid, roomFor)
    await cluster.unmoved('out of descriptors', async () => {
      for (let i = 0; i < mostClients; i++) {
        const began = performance.now()
        try {
          guests.push(await connect(lab.url('n1'), { name: `guest-${index}-${i}` }))
        } catch (error) {
          if (!(error instanceof AnasaziError)) throw error
          refusals.push(`${error.code}: ${error.message}`)
          findings.measure('a client is told that there is no room', performance.now() - began, 'ms', 4000)
          if (refusals.length >= 3) break
        }
      }
      await cluster.flowing('messages of those who are in', cluster.living, 100)
    })
    findings.measure('clients let in', guests.length, 'connections', null)
    findings.expect(refusals.length > 0, `${mostClients} clients were let in`)
    const wordless = refusals.find(words => !/^(refused|too-many-sessions):/.test(words))
    findings.expect(wordless === undefined, `a client that was not let in was told "${wordless}"`)
    await Promise.all(guests.map(guest => guest.close().catch(() => {})))
    limitDescriptors(pid, null)
    await cluster.timed('room again → a new client is let in', 5000, async () => {
      await cluster.untilAsked('a new client is let in', async () => {
        try {
          await (await connect(lab.url('n1'), { name: `late-${index}` })).close()
          return true
        } catch {
          return false
        }
      })
    })
  },
}

/** Waits for words in what a program wrote. */
async function says(cluster: Cluster, who: string, program: Program, words: RegExp): Promise<void> {
  let over = false
  void program.ended.then(() => {
    over = true
  })
  await cluster.until(`${who} says ${words.source}`, () => over || words.test(program.errors))
  cluster.findings.expect(words.test(program.errors), `${who} ended and said: ${program.errors.trim()}`)
}

export const misconfigured: Play = {
  how: 'a daemon of another cluster, and a second one with the name of the first',
  options: () => ({ names: [...names, 'n4'], cell: patience, absent: ['n4'] }),
  async round(cluster) {
    const { lab } = cluster
    await cluster.unmoved('a daemon of another cluster', async () => {
      const configuration = lab.file('n4-elsewhere.yaml')
      writeFileSync(configuration, `cluster: elsewhere\n${readFileSync(lab.configuration('n4'), 'utf8')}`)
      const stranger = lab.run(lab.daemonArguments('n4', { configuration }))
      const before = lab.log('n1').length
      await says(cluster, 'n4', stranger, /cluster id is \\?"elsewhere\\?" here and \\?"default\\?" there/)
      await cluster.until('n1 says why', () => lab.log('n1').slice(before).includes('cluster id is'))
      await cluster.flowing('messages', cluster.living)
      stranger.signal('SIGTERM')
      await stranger.ended
    })
    await cluster.unmoved('a second daemon of the same name', async () => {
      const configuration = lab.file('n3-again.yaml')
      const elsewhere = `n3: 127.0.0.1:${await freePort()}`
      const own = readFileSync(lab.configuration('n3'), 'utf8').replace(/n3: \S+/, elsewhere)
      writeFileSync(configuration, own)
      const runtime = lab.file('n3-again')
      const second = lab.run(lab.daemonArguments('n3', { configuration, runtime }))
      await says(cluster, 'the second n3', second, /another process of the same name/)
      await cluster.until('n1 or n2 says why', () =>
        ['n1', 'n2'].some(name => lab.log(name).includes('another process of the same name')),
      )
      await cluster.flowing('messages', cluster.living)
      second.signal('SIGTERM')
      await second.ended
    })
  },
}
