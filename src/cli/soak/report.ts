/** What a soak says of itself: while it runs, and in the end. */

import type { Violation } from '../../sim/check/report.ts'
import { bytesText, columns, counted, durationText, type Paint } from '../style.ts'
import { type FaultKind, faultKinds } from './faults.ts'
import type { PlayerTotals } from './player-protocol.ts'
import { descriptorBound, isJudged, type LeakBound, memoryBound, type Trend } from './trend.ts'

export type Verdict = 'clean' | 'violation' | 'no convergence' | 'crash' | 'leak'

export interface ProcessReport {
  /** `n1`: a daemon; `c1`: a client process; `soak`: the one that runs all this. */
  readonly name: string
  /** How many processes it was, one after the other. The trends are of the one that lived longest. */
  readonly processes: number
  /** What it held after a collection, at the quiet points. */
  readonly memoryMegabytes: Trend | null
  readonly descriptors: Trend | null
  /** At any time, collected or not. */
  readonly mostRssMegabytes: number
  readonly leak: boolean
}

export interface SoakReport {
  readonly verdict: Verdict
  /** What is wrong, in words; '' if nothing. */
  readonly why: string
  readonly interrupted: boolean
  readonly seed: number
  readonly members: number
  readonly network: 'network' | 'relays'
  readonly elapsedMs: number
  /** Different regular configurations that were installed. */
  readonly configurations: number
  readonly totals: PlayerTotals
  readonly faults: Readonly<Record<FaultKind, number>>
  /** From the last fault healed to one configuration of all, at every quiet point. */
  readonly convergenceMs: { readonly median: number; readonly worst: number; readonly bound: number }
  /** From there to every fate settled and everything read. */
  readonly drainMs: { readonly median: number; readonly worst: number }
  readonly verification: {
    readonly windows: number
    /** Of these, windows at whose end the membership changed once more: everything but last views was verified. */
    readonly undrained: number
    readonly lines: number
    readonly daemons: number
    readonly sessions: number
    readonly torn: number
    readonly violations: readonly Violation[]
  }
  readonly processes: readonly ProcessReport[]
  readonly bounds: { readonly memoryMegabytes: LeakBound; readonly descriptors: LeakBound }
  /** Where the traces were kept, and how to verify them again; null if nothing is wrong. */
  readonly kept: { readonly directory: string; readonly command: string } | null
}

/** What the live line shows. */
export interface Progress {
  /** Of `totalMs`. */
  readonly loadMs: number
  readonly totalMs: number
  readonly windows: number
  readonly configurations: number
  readonly totals: PlayerTotals
  readonly faults: number
  readonly worstConvergenceMs: number
  readonly mostRssMegabytes: number
  readonly descriptors: number
}

export function progressText(progress: Progress): string {
  const { totals } = progress
  return [
    `${durationText(progress.loadMs)} of ${durationText(progress.totalMs)}`,
    counted(progress.windows, 'window'),
    counted(progress.configurations, 'configuration'),
    counted(totals.views, 'view'),
    `${totals.sent} sent`,
    `${totals.received} received`,
    counted(progress.faults, 'fault'),
    `converged within ${durationText(progress.worstConvergenceMs)}`,
    `RSS at most ${bytesText(progress.mostRssMegabytes * 1024 * 1024)}`,
    counted(progress.descriptors, 'descriptor'),
  ].join(' | ')
}

const networks = { network: 'a network of namespaces', relays: 'loopback, through relays' } as const

function windowsText({ windows, undrained }: SoakReport['verification']): string {
  const text = counted(windows, 'window')
  return undrained === 0 ? text : `${text} (${undrained} with a change at its end)`
}

export function reportText(report: SoakReport, paint: Paint): string {
  const { totals, convergenceMs, drainMs, verification } = report
  const rows = [
    ['time', `${durationText(report.elapsedMs)}${report.interrupted ? ', interrupted' : ''}`],
    ['daemons', `${report.members}, on ${networks[report.network]}; seed ${report.seed}`],
    ['configurations', String(report.configurations)],
    ['views', `${totals.views} shown to ${counted(totals.opened, 'session')} (${totals.lost} lost)`],
    ['messages', `${totals.sent} sent, ${totals.received} received, ${counted(totals.fates, 'fate')} asked`],
    ['faults', faultsText(report.faults)],
    [
      'convergence',
      `median ${durationText(convergenceMs.median)}, worst ${durationText(convergenceMs.worst)}` +
        ` (bound ${durationText(convergenceMs.bound)})`,
    ],
    ['drain', `median ${durationText(drainMs.median)}, worst ${durationText(drainMs.worst)}`],
    [
      'verified',
      `${windowsText(verification)}, ${counted(verification.lines, 'line')}, ` +
        `${counted(verification.daemons, 'daemon')}, ${counted(verification.sessions, 'session')}, ` +
        counted(verification.violations.length, 'violation'),
    ],
  ]
  return `${columns(rows, paint, ['bold'])}\n${processesText(report, paint)}\n${verdictText(report, paint)}`
}

function faultsText(faults: SoakReport['faults']): string {
  const kinds = Object.keys(faultKinds) as FaultKind[]
  const total = kinds.reduce((sum, kind) => sum + faults[kind], 0)
  return `${total}: ${kinds.map(kind => `${faults[kind]} ${kind}`).join(', ')}`
}

function processesText({ processes }: SoakReport, paint: Paint): string {
  const head = [
    'process',
    'started',
    'held',
    'at the end',
    'slope/h',
    'floor',
    'RSS',
    'fds',
    'at the end',
    'slope/h',
    '',
  ]
  const rows = processes.map(process => {
    const { name, memoryMegabytes: memory, descriptors } = process
    if (memory === null || descriptors === null) return [name, String(process.processes), 'no quiet point']
    return [
      name,
      String(process.processes),
      megabytes(memory.start),
      megabytes(memory.end),
      signed(memory.slopePerHour, ' MB'),
      signed(memory.floorGrowth, ' MB'),
      megabytes(process.mostRssMegabytes),
      String(descriptors.start),
      String(descriptors.end),
      signed(descriptors.slopePerHour, ''),
      judgement(process.leak, memory),
    ]
  })
  const bound =
    `a leak: line and floor rise by more than ${memoryBound.fitted} and ${memoryBound.floor} MB, ` +
    `or by more than ${descriptorBound.fitted} and ${descriptorBound.floor} descriptors\n`
  return columns([head, ...rows], paint) + bound
}

function judgement(leak: boolean, memory: Trend): string {
  if (leak) return 'LEAK'
  return isJudged(memory) ? 'flat' : `not judged: watched for ${durationText(memory.spanMs)}`
}

function verdictText(report: SoakReport, paint: Paint): string {
  if (report.verdict === 'clean') return `${paint('green', 'clean')}\n`
  const lines = [`${paint('red', report.verdict)}: ${report.why}\n`]
  if (report.kept !== null) lines.push(`traces: ${report.kept.directory}\n  $ ${report.kept.command}\n`)
  return lines.join('')
}

function megabytes(value: number): string {
  return `${value.toFixed(1)} MB`
}

function signed(value: number, unit: string): string {
  return `${value >= 0 ? '+' : ''}${value.toFixed(1)}${unit}`
}

export function medianOf(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
}
