/** Process groups, checked over the traces of all client sessions of one cell. `docs/trace.md` lists the properties. */

import type { ClientTraceLine } from '../../lib/trace.ts'
import { checkFates } from './fates.ts'
import {
  checkFifo,
  checkGroupCausality,
  checkGroupOrder,
  checkGroupSafe,
  checkPrefixes,
  checkTogether,
} from './groups-messages.ts'
import { GroupTrace } from './groups-trace.ts'
import { checkViews } from './groups-views.ts'
import { GroupWalk } from './groups-walk.ts'
import { Report, type Violation } from './report.ts'

export interface GroupOptions {
  /** True: faults ended, everything was delivered and read, and whoever is neither closed nor dead still lives. */
  readonly drained: boolean
  /** True: some sessions left no trace at all; what only their lines could tell is not demanded. */
  readonly partial?: boolean
  /** Sessions and daemons (by id) that died without being able to say so. */
  readonly dead?: ReadonlySet<string>
}

/** Takes the events of all sessions of one cell, each session's in its own order, and judges them, fates included. */
export class GroupChecker {
  private readonly trace: GroupTrace = new GroupTrace()

  line(line: ClientTraceLine): void {
    this.trace.line(line)
  }

  /** Number of events so far. */
  get events(): number {
    return this.trace.events
  }

  /** Judges everything. May be called once. */
  finish(options: GroupOptions): Violation[] {
    const report = new Report()
    const history = new GroupWalk(this.trace, options, report)
    checkViews(history, report)
    checkGroupOrder(history, report)
    checkTogether(history, report)
    checkPrefixes(history, report)
    checkGroupSafe(history, report)
    checkFifo(history, report)
    checkGroupCausality(history, report)
    checkFates(history, report)
    return report.violations
  }
}

/** Checks the lines of all sessions of one cell. The lines of one session must be in its order. */
export function checkGroups(lines: Iterable<ClientTraceLine>, options: GroupOptions): Violation[] {
  const checker = new GroupChecker()
  for (const line of lines) checker.line(line)
  return checker.finish(options)
}
