import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { Program } from '../src/cli/lab/program.ts'
import type { SoakReport } from '../src/cli/soak/report.ts'
import { figure } from './figures.ts'

/** Linux only: it watches its processes in /proc. */
const onLinux = it.runIf(process.platform === 'linux')
/** For machines that are busy with other things. ms. */
const patience = 180_000

function soak(...args: readonly string[]): Program {
  const program = new Program(['soak', '--json', ...args])
  onTestFinished(async () => {
    program.signal('SIGTERM')
    await program.ended
  })
  return program
}

function reportOf(program: Program): SoakReport {
  return JSON.parse(program.output) as SoakReport
}

/** The process of one of its daemons. */
function daemonOf(program: Program, name: string): number | undefined {
  return readdirSync('/proc')
    .map(Number)
    .filter(Number.isInteger)
    .find(pid => {
      try {
        const parent = /^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8')
        return Number(parent) === program.pid && command.includes(`\0--name\0${name}\0`)
      } catch {
        // It ended while we looked.
        return false
      }
    })
}

onLinux(
  'a soak of twenty seconds in two windows is clean',
  async () => {
    const program = soak(
      '--minutes',
      '0.34',
      '--window',
      '10',
      '--seed',
      '11',
      '--faults',
      '60',
      '--rate',
      '200',
    )
    expect(await program.ended, `${program.errors}${program.output}`).toBe(0)
    const report = reportOf(program)
    expect(report).toMatchObject({ verdict: 'clean', interrupted: false, seed: 11, members: 5, kept: null })
    expect(report.verification).toMatchObject({ windows: 2, violations: [] })
    expect(report.verification.daemons).toBeGreaterThanOrEqual(10)
    expect(report.verification.sessions).toBeGreaterThanOrEqual(2 * 15)
    expect(report.totals.received).toBeGreaterThan(report.totals.sent)
    expect(report.totals.fates).toBeGreaterThan(0)
    expect(Object.values(report.faults).reduce((sum, count) => sum + count)).toBeGreaterThan(3)
    expect(report.processes.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['n1', 'n5', 'c1', 'c5', 'soak']),
    )
    figure('soak: worst convergence', report.convergenceMs.worst, 'ms')
    figure('soak: lines verified', report.verification.lines)
  },
  patience,
)

onLinux(
  'Ctrl-C ends a soak with a report of what was verified',
  async () => {
    const program = soak('--hours', '1', '--window', '2', '--members', '2', '--relays')
    await program.untilError('1 window')
    program.signal('SIGINT')
    expect(await program.ended, program.errors).toBe(130)
    const report = reportOf(program)
    expect(report).toMatchObject({ verdict: 'clean', interrupted: true, network: 'relays' })
    expect(report.verification.windows).toBeGreaterThanOrEqual(1)
  },
  patience,
)

onLinux(
  'a daemon that ends by itself fails a soak, which keeps the traces',
  async () => {
    const program = soak('--hours', '1', '--window', '3', '--members', '2', '--relays', '--faults', '0.001')
    await program.untilError('1 window')
    process.kill(daemonOf(program, 'n1') as number, 'SIGKILL')
    expect(await program.ended, program.errors).toBe(1)
    const { verdict, why, kept, verification } = reportOf(program)
    expect(verdict).toBe('crash')
    expect(why).toContain('n1 ended by itself with 137')
    const [command, ...args] = (kept?.command ?? '').split(' ')
    const directory = kept?.directory as string
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
    expect(command).toBe('anasazi')
    expect(existsSync(`${directory}/n1.log`)).toBe(true)
    // What died in the middle of something is still consistent.
    expect(verification.violations).toEqual([])
    const pattern = args.at(-1) as string
    const files = readdirSync(dirname(pattern)).toSorted()
    const again = new Program([...args.slice(0, -1), ...files.map(file => `${dirname(pattern)}/${file}`)])
    expect(await again.ended, again.output).toBe(0)
  },
  patience,
)
