/** Reads recorded traces, of daemons and of clients, and runs all checkers over them. */

import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { CellChecker } from './cell.ts'
import { GroupChecker } from './groups.ts'
import { parseTraceLine, type ParsedLine } from './parse.ts'
import type { Violation } from './report.ts'

export interface VerifyOptions {
  /** True: the run was drained: faults ended and everything was delivered and read. Default false. */
  readonly drained?: boolean
  /** True: some daemons or clients left no trace; nothing is demanded that only their lines could tell. Default false. */
  readonly partial?: boolean
}

export interface VerifyCounts {
  readonly files: number
  readonly lines: number
  readonly cells: number
  readonly daemons: number
  readonly sessions: number
  /** Files whose last line is torn: their process was killed while it wrote. */
  readonly torn: number
}

export interface VerifyResult {
  readonly violations: Violation[]
  readonly counts: VerifyCounts
}

/** Cell of client lines that name none. */
const ANY_CELL = ''

class Verifier {
  private readonly cells: Map<string, CellChecker> = new Map()
  private readonly clients: Map<string, GroupChecker> = new Map()
  private readonly daemons: Set<string> = new Set()
  private readonly sessions: Set<string> = new Set()
  readonly violations: Violation[] = []
  lines = 0
  torn = 0

  take(line: ParsedLine): void {
    this.lines++
    if (line.level === 'cell') {
      const { cell } = line.line
      let checker = this.cells.get(cell)
      if (!checker) this.cells.set(cell, (checker = new CellChecker()))
      this.daemons.add(line.line.p)
      checker.line(line.line)
      return
    }
    const cell = line.line.cell ?? ANY_CELL
    let checker = this.clients.get(cell)
    if (!checker) this.clients.set(cell, (checker = new GroupChecker()))
    this.sessions.add(line.line.p)
    checker.line(line.line)
  }

  async read(file: string): Promise<void> {
    const input = createReadStream(file, { encoding: 'utf8' })
    const lines = createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })
    let number = 0
    // A line is judged when the next one has come: only the last one may be torn.
    let broken: { number: number; why: string } | null = null
    for await (const text of lines) {
      number++
      if (broken) this.malformed(file, broken.number, broken.why)
      broken = null
      if (text.trim() === '') continue
      const parsed = parseTraceLine(text)
      if (typeof parsed === 'string') broken = { number, why: parsed }
      else this.take(parsed)
    }
    if (!broken) return
    if (await endsTorn(file)) this.torn++
    else this.malformed(file, broken.number, broken.why)
  }

  private malformed(file: string, number: number, why: string): void {
    this.violations.push({
      property: 'trace format',
      what: `${file}:${number}: ${why}`,
      processes: [],
      messages: [],
    })
  }

  finish(files: number, options: VerifyOptions): VerifyResult {
    const drained = options.drained === true
    const partial = options.partial === true
    const failed = new Set<string>()
    for (const checker of this.cells.values()) {
      this.violations.push(...checker.finish({ drained, partial }))
      for (const daemon of checker.failed()) failed.add(daemon)
    }
    for (const checker of this.clients.values()) {
      this.violations.push(...checker.finish({ drained, partial, dead: failed }))
    }
    return {
      violations: this.violations,
      counts: {
        files,
        lines: this.lines,
        cells: new Set([...this.cells.keys(), ...[...this.clients.keys()].filter(cell => cell !== ANY_CELL)])
          .size,
        daemons: this.daemons.size,
        sessions: this.sessions.size,
        torn: this.torn,
      },
    }
  }
}

/** A whole line ends in a line feed; a torn one does not. */
async function endsTorn(file: string): Promise<boolean> {
  const handle = await open(file)
  try {
    const { size } = await handle.stat()
    const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, Math.max(0, size - 1))
    return buffer[0] !== 0x0a
  } finally {
    await handle.close()
  }
}

/**
 * Checks recorded traces together: all daemons and all clients of a run, in any number of files, each process's lines in
 * its order.
 *
 * @throws the system's error (ENOENT, EACCES …) if a file cannot be read.
 */
export async function verifyTraces(
  files: readonly string[],
  options: VerifyOptions = {},
): Promise<VerifyResult> {
  const verifier = new Verifier()
  for (const file of files) await verifier.read(file)
  return verifier.finish(files.length, options)
}
