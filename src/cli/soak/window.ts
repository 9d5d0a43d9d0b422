/**
 * A window: a stretch of the run that is verified as a whole. It ends at a quiet point: one configuration, nothing on its
 * way, every fate settled. So no message crosses its borders, and its traces are those of a complete, drained run.
 *
 * Its directory holds `0-begin.ndjson`, the configuration in which every daemon that lived on came into it; the traces;
 * and `z-end.ndjson`, what those who were killed in it could not say themselves.
 */

import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import type { VerifyResult } from '../../sim/check/verify.ts'
import { Program } from '../lab/program.ts'
import type { Incarnation } from './daemons.ts'

const beginFile = '0-begin.ndjson'
const endFile = 'z-end.ndjson'

export class Window {
  readonly directory: string
  /** Incarnations that ended in it. */
  private readonly gone: Incarnation[] = []
  /** Traces of client processes that were killed in it. */
  private readonly killed: string[] = []

  constructor(directory: string) {
    this.directory = directory
    mkdirSync(directory)
  }

  /** Where a client process writes its trace. */
  traceFile(name: string): string {
    return join(this.directory, `${name}.ndjson`)
  }

  daemonEnded(incarnation: Incarnation): void {
    this.gone.push(incarnation)
    renameSync(incarnation.trace, join(this.directory, basename(incarnation.trace)))
  }

  playerKilled(trace: string): void {
    // It may have been killed before it did anything.
    if (existsSync(trace)) this.killed.push(trace)
  }

  /**
   * Takes over what the living daemons traced, and empties their files: they append, so they go on at the beginning.
   * @returns false if somebody wrote meanwhile: it is not quiet, and nothing was emptied.
   */
  takeTraces(living: readonly Incarnation[]): boolean {
    const sizes = living.map(({ trace }) => {
      copyFileSync(trace, join(this.directory, basename(trace)))
      return statSync(join(this.directory, basename(trace))).size
    })
    if (living.some(({ trace }, index) => statSync(trace).size !== sizes[index])) return false
    for (const { trace } of living) truncateSync(trace)
    return true
  }

  /** What a daemon has traced in this window, once it was taken over. */
  daemonTrace(incarnation: Incarnation): DaemonTrace {
    return readDaemonTrace(join(this.directory, basename(incarnation.trace)))
  }

  /** Writes what was known when it began. */
  begin(living: readonly Incarnation[]): void {
    const lines = living.flatMap(({ beganIn }) => (beganIn === null ? [] : [`${beganIn}\n`]))
    writeFileSync(join(this.directory, beginFile), lines.join(''))
  }

  /**
   * Writes what those who were killed could not.
   * @param living whose traces were taken over.
   * @returns how many different regular configurations were installed.
   */
  complete(living: readonly Incarnation[]): number {
    const t = String(process.hrtime.bigint())
    const lines: object[] = []
    const configurations = new Set<string>()
    for (const incarnation of [...this.gone, ...living]) {
      const trace = this.daemonTrace(incarnation)
      for (const id of trace.configurations) configurations.add(id)
      const known = trace.lastLine ?? incarnation.beganIn
      if (living.includes(incarnation) || known === null || trace.failed) continue
      const { p, cell } = JSON.parse(known) as { readonly p: string; readonly cell: string }
      lines.push({ t, p, cell, e: 'fail' })
    }
    for (const file of this.killed) {
      for (const p of openSessions(readFileSync(file, 'utf8')))
        lines.push({ t, p, e: 'closed', why: 'killed' })
    }
    writeFileSync(join(this.directory, endFile), lines.map(line => `${JSON.stringify(line)}\n`).join(''))
    return configurations.size
  }

  /** All files, in the order in which they must be read. */
  get files(): string[] {
    return readdirSync(this.directory)
      .filter(name => name.endsWith('.ndjson'))
      .toSorted()
      .map(name => join(this.directory, name))
  }

  /**
   * Verifies it as `anasazi verify` does, in a process of its own, which takes its memory with it.
   * @param drained false: it did not come to a quiet point.
   * @throws Error if the process did not come to a result.
   */
  async verify(drained: boolean): Promise<VerifyResult> {
    const args = ['verify', '--json', ...(drained ? ['--drained'] : []), ...this.files]
    const verify = new Program(args, { within: ['setsid'] })
    const code = await verify.ended
    if (code !== 0 && code !== 1) throw new Error(`the traces could not be verified: ${verify.errors}`)
    return JSON.parse(verify.output) as VerifyResult
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true })
  }
}

/** Whether a daemon has traced anything since its traces were taken over. */
export function hasTraced({ trace }: Incarnation): boolean {
  return statSync(trace).size > 0
}

interface DaemonTrace {
  readonly lines: number
  /** The last whole line; null if there is none. */
  readonly lastLine: string | null
  /** The last line that installed a configuration; null if there is none. */
  readonly lastConfiguration: string | null
  /** Ids of regular configurations that it installed. */
  readonly configurations: readonly string[]
  /** Its last line says that it has ended. */
  readonly failed: boolean
}

function readDaemonTrace(file: string): DaemonTrace {
  const lines = readFileSync(file, 'utf8').split('\n')
  // What follows the last line's end is nothing, or a torn line.
  lines.pop()
  const installed = lines.filter(line => line.includes('"e":"conf"'))
  const regular = installed.flatMap(line => {
    const { kind, id } = JSON.parse(line) as { readonly kind: string; readonly id: string }
    return kind === 'regular' ? [id] : []
  })
  const lastLine = lines.at(-1) ?? null
  return {
    lines: lines.length,
    lastLine,
    lastConfiguration: installed.at(-1) ?? null,
    configurations: regular,
    failed: lastLine?.includes('"e":"fail"') ?? false,
  }
}

/** Sessions of a client process that was killed before they ended. */
export function openSessions(trace: string): Set<string> {
  const open = new Set<string>()
  const closed = new Set<string>()
  const lines = trace.split('\n')
  lines.pop()
  for (const text of lines) {
    const line = JSON.parse(text) as { readonly e: string; readonly p: string; readonly group?: string }
    // A fate may still be told of a session that is closed.
    if (line.e === 'closed' && line.group === undefined) closed.add(line.p)
    else open.add(line.p)
  }
  return new Set([...open].filter(p => !closed.has(p)))
}
