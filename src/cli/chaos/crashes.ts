/** Processes that die, stop and stall. */

import { readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { addClosings } from '../lab/epitaph.ts'
import type { Cluster } from './cluster.ts'
import type { Member } from './member.ts'
import { patience, type Play } from './scenario.ts'

const names = ['n1', 'n2', 'n3'] as const

function nth(index: number): string {
  return names[index % names.length] as string
}

export const kill: Play = {
  how: 'SIGKILL of each daemon in turn',
  options: () => ({ names }),
  async round(cluster, index) {
    const victim = nth(index)
    const lost = cluster.at(victim)
    const survivors = cluster.living.filter(member => member !== lost)
    cluster.lab.signal(victim, 'SIGKILL')
    await Promise.all([
      cluster.view('kill -9 → view at all survivors’ clients', 500, survivors),
      cluster.within('kill -9 → its clients are told', 500, () => !lost.alive),
    ])
    cluster.findings.expect(lost.ended === 'connection-lost', `its client was told ${lost.ended}`)
    await cluster.kill(victim)
    await cluster.timed('started again → one view', 5000, () => comeBack(cluster, victim))
  },
}

export const restartAtOnce: Play = {
  how: 'SIGKILL, and a new process as soon as the old one is gone',
  options: () => ({ names }),
  async round(cluster, index) {
    const victim = nth(index)
    const lost = cluster.at(victim)
    await cluster.timed('kill -9 and restart → one view with the new member', 5000, async () => {
      await cluster.kill(victim)
      await comeBack(cluster, victim)
    })
    const there = cluster.living.some(({ view }) => view?.members.includes(lost.session.id))
    cluster.findings.expect(!there, 'the member of the old process is in a view with the new one')
  },
}

/** A daemon starts again, with a member; resolves when all are in one view. */
export async function comeBack(cluster: Cluster, name: string): Promise<void> {
  await cluster.start(name)
  await cluster.enter(name)
  await cluster.together('one view with the daemon that came back', null)
}

const largeBytes = 4 * 1024 * 1024
const letter = 'y'.charCodeAt(0)

/** A client process that joins the group and sends lines of its standard input. */
function joiner(cluster: Cluster, daemon: string, name: string, trace: string): string[] {
  const where = ['--connect', cluster.lab.url(daemon), '--name', name, '--trace', trace]
  return ['join', '--json', '--send', ...where, cluster.at(daemon).group.name]
}

export const clientMidMessage: Play = {
  how: 'SIGKILL of a client process while it writes a message of 4 MiB, at ten moments',
  options: () => ({ names }),
  varieties: 10,
  async round(cluster, index) {
    const { lab, findings } = cluster
    const members = cluster.living
    const name = `victim-${index}`
    const trace = lab.newTrace(name)
    const client = lab.run(joiner(cluster, 'n2', name, trace), { input: 'open' })
    await cluster.until('the client is in the view', () =>
      members.every(({ view }) => view?.members.length === members.length + 1),
    )
    const whole = members.map(() => 0)
    members.forEach((member, i) => {
      member.onMessage = ({ sender, data }) => {
        if (!sender.startsWith(`${name}@`)) return
        if (data.length === largeBytes && data.every(byte => byte === letter))
          whole[i] = (whole[i] as number) + 1
        else findings.broken.push(`a message of ${data.length} bytes came of one of ${largeBytes}`)
      }
    })
    // The command sends a line when it has the next one.
    client.input.write(`${'y'.repeat(largeBytes)}\n${'y'.repeat(largeBytes)}\n`)
    // A trace is written ahead: the bytes follow this line.
    await cluster.until('the client sends', () => readFileSync(trace, 'utf8').includes('"e":"send"'))
    await pause((index % 10) * 5)
    client.signal('SIGKILL')
    await cluster.together('kill -9 of a client → view without it', 2000)
    await client.ended
    addClosings(trace)
    findings.expect(new Set(whole).size === 1, `delivered ${whole.join(', ')} times at the members`)
    findings.measure('times that the message was delivered', whole[0] ?? 0, 'messages', 1)
    for (const member of members) member.onMessage = null
  },
}

export const shortPause: Play = {
  how: 'SIGSTOP for a second, with suspectAfterMs 4000',
  options: () => ({ names, cell: patience }),
  async round(cluster, index) {
    const paused = nth(index)
    await cluster.unmoved('pause of a second', async () => {
      cluster.lab.signal(paused, 'SIGSTOP')
      await pause(1000)
      cluster.lab.signal(paused, 'SIGCONT')
      await cluster.flowing('messages flow again', cluster.living)
    })
  },
}

export const longPause: Play = {
  how: 'SIGSTOP until the others have excluded it, then SIGCONT',
  options: () => ({ names, cell: '    timeouts: { maxHoldDownMs: 100 }' }),
  async round(cluster, index) {
    const paused = nth(index)
    const sleeper = cluster.at(paused)
    const others = cluster.living.filter(member => member !== sleeper)
    const before = others.map(({ views }) => views)
    cluster.lab.signal(paused, 'SIGSTOP')
    await cluster.view('SIGSTOP → view at the others', 3000, others)
    await cluster.flowing('messages without it', others)
    cluster.lab.signal(paused, 'SIGCONT')
    await cluster.together('SIGCONT → one view', 4000)
    cluster.findings.measure('views at the others', mostViews(others, before), 'views', 2)
    cluster.findings.expect(sleeper.alive, `the client of the sleeper ended: ${sleeper.ended}`)
  },
}

/** Views that any of them has seen since. */
export function mostViews(members: readonly Member[], before: readonly number[]): number {
  return Math.max(...members.map(({ views }, i) => views - (before[i] as number)))
}

export const stalledCoordinator: Play = {
  how: 'SIGSTOP of the coordinator, SIGKILL of another daemon at the same moment',
  options: () => ({ names: [...names, 'n4'], cell: '    timeouts: { maxHoldDownMs: 100 }' }),
  async round(cluster) {
    const survivors = cluster.atAll(['n2', 'n3'])
    cluster.lab.signal('n1', 'SIGSTOP')
    cluster.lab.signal('n4', 'SIGKILL')
    await cluster.view('coordinator stalls, another dies → view', 5000, survivors)
    await cluster.flowing('messages without the coordinator', survivors)
    cluster.lab.signal('n1', 'SIGCONT')
    await cluster.kill('n4')
    await cluster.together('the coordinator wakes → one view', 4000)
    await comeBack(cluster, 'n4')
  },
}
