/** The soak: load and faults without end, and every so often a quiet point at which everything so far is verified. */

import { writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { CellStatus } from '../../admin/status.ts'
import { Random } from '../../lib/prng.ts'
import type { VerifyCounts, VerifyResult } from '../../sim/check/verify.ts'
import { Lab } from '../lab/lab.ts'
import { Daemons, type Incarnation, together, whereabouts } from './daemons.ts'
import { drawFault, Faults, type Field } from './faults.ts'
import { Players } from './players.ts'
import { probeEnvironment } from './probe.ts'
import { ProcessLog, type Series } from './processes.ts'
import { medianOf, type ProcessReport, type Progress, type SoakReport, type Verdict } from './report.ts'
import { descriptorBound, isLeak, memoryBound, type Sample, type Trend, trendOf } from './trend.ts'
import { hasTraced, Window } from './window.ts'
import { type Wires, wiresFor } from './wires.ts'

export interface SoakOptions {
  /** Of load and faults; the quiet points come on top of it. */
  readonly durationMs: number
  readonly windowMs: number
  readonly members: number
  readonly seed: number
  /** All clients together, messages a second. */
  readonly rate: number
  readonly faultsPerMinute: number
  /** Longest time from the last fault healed to one configuration of all, and from there to quiet. */
  readonly boundMs: number
  /** No namespaces, though they could be had. */
  readonly relays: boolean
  /** Aborted: come to an end, with a report. */
  readonly signal: AbortSignal
  /** Called about once a second. */
  readonly onProgress: (progress: Progress) => void
}

const sessionsEach = 3
const groups = ['orders', 'prices', 'trades', 'audit', 'chat', 'control']
/** What daemons remember of the past is bounded; with these bounds it is full in minutes, and what grows then is a leak. */
const smallMemories = '    limits: { fatePrivate: 512, fateViews: 16, fateViewsTotal: 256 }'
const lookAgainMs = 25
const lookAtProcessesMs = 1000
const healWithinMs = 15_000
/** Of this much of its life a process is let alone before its trends begin. */
const warmUpMs = 3 * 60_000
const warmUpShare = 0.2

/** Ends the soak: what it has shown. */
class SoakFailure extends Error {
  readonly verdict: Verdict

  constructor(verdict: Verdict, why: string) {
    super(why)
    this.verdict = verdict
  }
}

/** Runs a soak. @throws Error if it cannot begin. */
export async function runSoak(options: SoakOptions): Promise<SoakReport> {
  const names = Array.from({ length: options.members }, (_, index) => `n${index + 1}`)
  const wires = wiresFor(names, options.relays)
  const lab: Lab = await Lab.create({
    names,
    ...wires.placing,
    cell: smallMemories,
    // Assignments in front of a command are for `env`; it keeps the process.
    within: name => [...(wires.placing.within?.(name) ?? []), 'env', ...assignments(lab.directory)],
  })
  const soak = new Soak(options, lab, wires)
  let keep = true
  try {
    const report = await soak.run()
    keep = report.kept !== null
    return report
  } catch (cause) {
    const words = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)
    throw new Error(`the soak itself failed; its files are in ${lab.directory}: ${words}`, { cause })
  } finally {
    await soak.close()
    await lab.close(keep)
    await wires.links.close()
  }
}

/** Ends early, and without a word, if aborted. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(Math.max(0, ms), undefined, { signal }).catch(() => {})
}

function assignments(directory: string): string[] {
  return Object.entries(probeEnvironment(directory)).map(([name, value]) => `${name}=${value}`)
}

class Soak {
  private readonly options: SoakOptions
  private readonly lab: Lab
  private readonly wires: Wires
  private readonly random: Random
  private readonly daemons: Daemons
  private readonly players: Players
  private readonly faults: Faults
  private readonly field: Field
  private readonly processes: ProcessLog
  private readonly startedAt = performance.now()
  private readonly timer: NodeJS.Timeout
  private failure: { readonly error: unknown } | null = null
  /** Those who wait for something, and need not any more when there was a failure. */
  private readonly waiting = new Set<(error: unknown) => void>()
  private readonly onError = (error: unknown): void => this.fail(error)
  private window: Window
  /** Number of the window that goes on. */
  private windows = 0
  private verifying: Promise<void> = Promise.resolve()
  private configurations = 0
  /** Time between quiet points, and since when the next ones are being counted. */
  private disturbedMs = 0
  private disturbedFrom: number | null = null
  private readonly convergences: number[] = []
  private readonly drains: number[] = []
  private readonly verified = { windows: 0, undrained: 0, lines: 0, daemons: 0, sessions: 0, torn: 0 }
  private violations: VerifyResult['violations'] = []
  /** The window that shows what is wrong. */
  private evidence: { readonly window: Window; readonly drained: boolean } | null = null

  constructor(options: SoakOptions, lab: Lab, wires: Wires) {
    this.options = options
    this.lab = lab
    this.wires = wires
    this.random = new Random(options.seed)
    this.window = this.newWindow()
    this.processes = new ProcessLog(lab.directory)
    const onCrash = (what: string): void => this.fail(new SoakFailure('crash', what))
    this.daemons = new Daemons(lab, {
      onStart: ({ name, pid }) => this.processes.started(name, pid, this.elapsed),
      onEnd: incarnation => this.window.daemonEnded(incarnation),
      onCrash,
    })
    this.players = new Players({
      addresses: lab.names.map(name => lab.url(name)),
      seed: this.random.fork('players').u32(),
      sessionsEach,
      groups,
      rate: options.rate,
      traceFile: name => this.window.traceFile(name),
      environment: probeEnvironment(lab.directory),
      onStart: (label, pid) => this.processes.started(label, pid, this.elapsed),
      onKilled: trace => this.window.playerKilled(trace),
      onCrash,
    })
    // Most of all: a daemon that does not come up again.
    const onFailure = (error: unknown): void =>
      onCrash(error instanceof Error ? error.message : String(error))
    this.faults = new Faults(this.daemons, this.players, wires, onFailure)
    const { labels } = this.players
    const immortal = Math.min(2, lab.names.length - 1)
    this.field = {
      daemons: lab.names,
      mortal: lab.names.slice(immortal),
      clients: labels,
      mortalClients: labels.slice(1),
    }
    this.processes.started('soak', process.pid, 0)
    this.timer = setInterval(() => this.look(), lookAtProcessesMs)
  }

  async run(): Promise<SoakReport> {
    let failure: SoakFailure | null = null
    try {
      await this.orFailure(this.soak())
    } catch (error) {
      if (!(error instanceof SoakFailure)) throw error
      failure = error
      // Nobody goes on waiting for what will not come.
      this.fail(failure)
      await this.keepEvidence(failure)
    }
    return this.report(failure)
  }

  async close(): Promise<void> {
    clearInterval(this.timer)
    await this.players.close()
  }

  private async soak(): Promise<void> {
    await this.daemons.startAll()
    await this.within('the daemons come together', this.whole())
    this.players.startAll()
    const { durationMs, windowMs, signal } = this.options
    const windows = Math.max(1, Math.round(durationMs / windowMs))
    for (;;) {
      await this.disturb(durationMs / windows)
      await this.settle()
      if (this.windows > windows || signal.aborted) break
      await this.players.order({ kind: 'resume' })
    }
    await this.verifying
  }

  /* Between quiet points */

  private async disturb(forMs: number): Promise<void> {
    const { random, options } = this
    const from = performance.now()
    this.disturbedFrom = from
    for (;;) {
      const wait = random.exponential(60_000 / options.faultsPerMinute)
      const left = forMs - (performance.now() - from)
      await this.orFailure(pause(Math.min(wait, left), options.signal))
      if (wait >= left || options.signal.aborted) break
      this.faults.begin(drawFault(random, this.field))
    }
    this.disturbedMs += performance.now() - from
    this.disturbedFrom = null
  }

  /* The quiet point */

  private async settle(): Promise<void> {
    await this.within('everything that was broken works again', this.faults.heal())
    const healedAt = performance.now()
    await this.within('the clients pause', this.players.order({ kind: 'pause' }))
    await this.within('one configuration of all', this.whole())
    this.convergences.push(performance.now() - healedAt)
    await this.verifying
    await this.within('every process says what memory it holds', this.processes.measure(this.elapsed))
    this.daemons.trimLogs()
    await this.within('every fate settled, and everything read', this.border())
  }

  /** Everything so far is the one window, everything from here on the next. */
  private async border(): Promise<void> {
    const { window } = this
    const wholeAt = performance.now()
    const written = await this.quiet()
    this.drains.push(performance.now() - wholeAt)
    await this.turn(written)
    let drained = true
    while (this.daemons.living.some(hasTraced)) {
      // On a machine that is too busy somebody may be suspected just now. Of clients some have begun their new traces before
      // and some after it, so again; what lies between has no message and is nobody's end or beginning.
      drained = false
      const between = this.window
      await this.turn(await this.quiet())
      between.remove()
    }
    this.verifying = this.verify(window, drained)
    this.verifying.catch(this.onError)
  }

  /** Resolves when all daemons are in one configuration. @returns what they say of themselves. */
  private async whole(): Promise<readonly CellStatus[]> {
    for (;;) {
      const statuses = await this.orFailure(this.daemons.statuses())
      if (together(statuses)) return statuses
      await sleep(lookAgainMs)
    }
  }

  /** Resolves when nothing is on its way, and the traces are taken over. @returns lines that each daemon wrote. */
  private async quiet(): Promise<readonly number[]> {
    for (;;) {
      await this.players.order({ kind: 'drain' })
      await this.players.order({ kind: 'barrier' })
      const statuses = await this.whole()
      this.accuse(statuses)
      if (this.window.takeTraces(this.daemons.living)) {
        return statuses.map(({ counters }) => counters['cell.trace.lines'])
      }
    }
  }

  /** All daemons are ours: none may find that another one speaks against the rules. */
  private accuse(statuses: readonly CellStatus[]): void {
    statuses.forEach(({ counters }, index) => {
      const broken = counters['cell.rules.broken']
      if (broken === 0) return
      const name = this.lab.names[index]
      throw new SoakFailure('violation', `${name} counts ${broken} requests against the rules of groups`)
    })
  }

  private async turn(written: readonly number[]): Promise<void> {
    const { living } = this.daemons
    const window = this.window
    this.window = this.newWindow()
    await this.players.rotate()
    this.configurations += window.complete(living)
    for (const incarnation of living) {
      this.account(window, incarnation, written[this.lab.names.indexOf(incarnation.name)] ?? 0)
    }
    this.window.begin(living)
  }

  /** A line that is missing in a trace would make it prove less than it seems to; more may have come since it was asked. */
  private account(window: Window, incarnation: Incarnation, written: number): void {
    const trace = window.daemonTrace(incarnation)
    const arrived = incarnation.tracedBefore + trace.lines
    if (arrived < written) {
      this.evidence = { window, drained: true }
      const what = `${incarnation.name} wrote ${written} lines of trace, ${arrived} arrived`
      throw new SoakFailure('violation', what)
    }
    incarnation.tracedBefore = arrived
    incarnation.beganIn = trace.lastConfiguration ?? incarnation.beganIn
  }

  private newWindow(): Window {
    return new Window(this.lab.file(`window-${++this.windows}`))
  }

  /** @param drained false: the membership changed at its end, so that last views are not compared. */
  private async verify(window: Window, drained: boolean): Promise<void> {
    const { counts, violations } = await window.verify(drained)
    this.count(counts)
    if (!drained) this.verified.undrained++
    if (violations.length === 0) return window.remove()
    this.violations = violations
    this.evidence = { window, drained }
    const properties = [...new Set(violations.map(({ property }) => property))].join(', ')
    this.fail(new SoakFailure('violation', `${properties}: ${violations[0]?.what}`))
  }

  private count(counts: VerifyCounts): void {
    this.verified.windows++
    this.verified.lines += counts.lines
    this.verified.daemons += counts.daemons
    this.verified.sessions += counts.sessions
    this.verified.torn += counts.torn
  }

  /* Failure */

  /** The first one counts. */
  private fail(error: unknown): void {
    this.failure ??= { error }
    for (const reject of this.waiting) reject(this.failure.error)
    this.waiting.clear()
  }

  /** Not a race with one promise for all: that would remember everybody who ever waited. */
  private orFailure<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.failure === null) this.waiting.add(reject)
      else reject(this.failure.error)
      const over = (): void => void this.waiting.delete(reject)
      promise.then(resolve, reject).finally(over)
    })
  }

  /** Waits for what must come to pass in time. */
  private async within<T>(what: string, promise: Promise<T>): Promise<T> {
    const late = new AbortController()
    const { boundMs } = this.options
    const tooLate = sleep(boundMs, undefined, { signal: late.signal }).then(async () => {
      const where = whereabouts(this.lab.names, await this.daemons.statuses())
      throw new SoakFailure('no convergence', `not within ${boundMs / 1000} s: ${what} (${where})`)
    })
    tooLate.catch(() => {})
    try {
      return await this.orFailure(Promise.race([promise, tooLate]))
    } finally {
      late.abort()
    }
  }

  /** Stops everything as it is; what was not verified yet is verified as far as that goes. */
  private async keepEvidence(failure: SoakFailure): Promise<void> {
    clearInterval(this.timer)
    for (const name of this.lab.names) writeFileSync(this.lab.file(`${name}.log`), this.daemons.log(name))
    const statuses = JSON.stringify(await this.daemons.statuses(), null, 2)
    writeFileSync(this.lab.file('status.json'), `${statuses}\n`)
    writeFileSync(this.lab.file('failure.txt'), `${failure.verdict}: ${failure.message}\n`)
    // Whoever is being started shall not come up after all have been ended.
    await Promise.race([this.faults.heal(), sleep(healWithinMs, undefined, { ref: false })])
    if (this.evidence !== null) return
    await this.players.close()
    const window = this.window
    for (const { name } of this.daemons.living) await this.daemons.end(name, 'SIGKILL')
    window.complete([])
    this.evidence = { window, drained: false }
    const { violations, counts } = await window.verify(false)
    this.violations = violations
    this.count(counts)
  }

  /* Report */

  private get elapsed(): number {
    return performance.now() - this.startedAt
  }

  private look(): void {
    const descriptors = this.processes.look()
    this.options.onProgress({
      loadMs: this.disturbedMs + (this.disturbedFrom === null ? 0 : performance.now() - this.disturbedFrom),
      totalMs: this.options.durationMs,
      windows: this.verified.windows,
      configurations: this.configurations,
      totals: this.players.totals,
      faults: this.faults.total,
      worstConvergenceMs: Math.max(0, ...this.convergences),
      mostRssMegabytes: this.processes.mostRssMegabytes,
      descriptors,
    })
  }

  private report(failure: SoakFailure | null): SoakReport {
    const processes = this.processes
      .all()
      .map(({ label, processes, series }) => processReport(label, processes, series, this.elapsed))
    const leaking = processes.filter(({ leak }) => leak).map(({ name }) => name)
    const leak = leaking.length > 0 ? new SoakFailure('leak', `in ${leaking.join(', ')}`) : null
    const wrong = failure ?? leak
    return {
      verdict: wrong?.verdict ?? 'clean',
      why: wrong?.message ?? '',
      interrupted: this.options.signal.aborted,
      seed: this.options.seed,
      members: this.options.members,
      network: this.wires.links.kind,
      elapsedMs: this.elapsed,
      configurations: this.configurations,
      totals: this.players.totals,
      faults: this.faults.counts,
      convergenceMs: {
        median: medianOf(this.convergences),
        worst: Math.max(0, ...this.convergences),
        bound: this.options.boundMs,
      },
      drainMs: { median: medianOf(this.drains), worst: Math.max(0, ...this.drains) },
      verification: { ...this.verified, violations: this.violations },
      processes,
      bounds: { memoryMegabytes: memoryBound, descriptors: descriptorBound },
      kept: this.kept(),
    }
  }

  private kept(): SoakReport['kept'] {
    if (this.evidence === null) return null
    const { window, drained } = this.evidence
    const command = `anasazi verify ${drained ? '--drained ' : ''}${window.directory}/*.ndjson`
    return { directory: this.lab.directory, command }
  }
}

function processReport(label: string, processes: number, series: Series, elapsedMs: number): ProcessReport {
  const from = series.startedAtMs + Math.min(warmUpMs, (elapsedMs - series.startedAtMs) * warmUpShare)
  const settled = (samples: readonly Sample[]): Trend | null =>
    trendOf(samples.filter(({ atMs }) => atMs >= from))
  const memory = settled(series.memory)
  const descriptors = settled(series.descriptors)
  const leak =
    (memory !== null && isLeak(memory, memoryBound)) ||
    (descriptors !== null && isLeak(descriptors, descriptorBound))
  return {
    name: label,
    processes,
    memoryMegabytes: memory,
    descriptors,
    mostRssMegabytes: series.mostRssMegabytes,
    leak,
  }
}
