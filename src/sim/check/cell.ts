/**
 * Extended virtual synchrony, checked over the traces of all daemons of one cell.
 *
 * Source: Moser, Amir, Melliar-Smith, Agarwal, "Extended Virtual Synchrony", ICDCS 1994; the numbers are that paper's.
 * Independent of the code under test: this folder knows the trace format and nothing else.
 */

import type { CellTraceLine } from '../../lib/trace.ts'
import { CellTrace } from './cell-trace.ts'
import {
  checkCausality,
  checkMessagesTogether,
  checkOrder,
  checkPresence,
  checkSent,
} from './cell-messages.ts'
import { checkConfigurations, checkDrained, checkSafe, checkSelfDelivery } from './cell-promises.ts'
import { Report, type Violation } from './report.ts'

export interface CheckOptions {
  /** True: faults ended, everything was delivered, and whoever has no `fail` line still lives. */
  readonly drained: boolean
  /** True: some processes left no trace at all; nothing is demanded of those. */
  readonly partial?: boolean
}

/** Takes the events of one cell, each process's in its own order, and judges them. */
export class CellChecker {
  private readonly trace: CellTrace = new CellTrace()

  configuration(
    process: string,
    id: string,
    kind: 'regular' | 'transitional',
    members: readonly string[],
    of?: string,
  ): void {
    this.trace.configuration(process, id, kind, members, of)
  }

  send(process: string, message: string, safe: boolean): void {
    this.trace.send(process, message, safe)
  }

  deliver(process: string, message: string): void {
    this.trace.deliver(process, message)
  }

  fail(process: string): void {
    this.trace.fail(process)
  }

  line(line: CellTraceLine): void {
    this.trace.line(line)
  }

  /** Number of events so far. */
  get events(): number {
    return this.trace.events
  }

  /** Daemons with a `fail` line. */
  failed(): Set<string> {
    const failed = new Set<string>()
    for (const process of this.trace.processes) if (process.failed) failed.add(process.name)
    return failed
  }

  /** Judges the whole trace; the events stay, more may follow. */
  finish(options: CheckOptions): Violation[] {
    const report = new Report()
    const history = this.trace.history(report, options)
    checkConfigurations(history, report)
    checkSent(history, report)
    checkSelfDelivery(history, report)
    checkMessagesTogether(history, report)
    checkCausality(history, report)
    checkOrder(history, report)
    checkPresence(history, report)
    checkSafe(history, report)
    if (options.drained) checkDrained(history, report)
    return report.violations
  }
}

/** Checks the lines of one cell. The lines of one process must be in its order; processes may interleave in any way. */
export function checkCell(lines: Iterable<CellTraceLine>, options: CheckOptions): Violation[] {
  const checker = new CellChecker()
  for (const line of lines) checker.line(line)
  return checker.finish(options)
}
