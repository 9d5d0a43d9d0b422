/** All traces of one run of one cell, and the one call that runs every checker over them. */

import type { CellTraceLine, ClientTraceLine } from '../../lib/trace.ts'
import { CellChecker } from './cell.ts'
import { GroupChecker } from './groups.ts'
import type { Violation } from './report.ts'

export interface TraceBundle {
  /** Lines of all daemons; each daemon's in its order. */
  readonly cell: readonly CellTraceLine[]
  /** Lines of all sessions; each session's in its order. */
  readonly clients: readonly ClientTraceLine[]
  /** True: faults ended, everything was delivered and read, and whoever has not ended lives. */
  readonly drained: boolean
  /** Sessions (or daemons) that died without a word; daemons with a `fail` line need not be named. */
  readonly dead?: ReadonlySet<string>
}

/** Checks daemons, sessions and fates. */
export function checkBundle(bundle: TraceBundle): Violation[] {
  const cell = new CellChecker()
  for (const line of bundle.cell) cell.line(line)
  return [...cell.finish({ drained: bundle.drained }), ...checkClients(bundle)]
}

/** Checks sessions and fates only. */
export function checkClients(bundle: TraceBundle): Violation[] {
  const groups = new GroupChecker()
  for (const line of bundle.clients) groups.line(line)
  return groups.finish({ drained: bundle.drained, dead: deadOf(bundle) })
}

/** Sessions and daemons that are known to have died. */
export function deadOf(bundle: TraceBundle): ReadonlySet<string> {
  const dead = new Set(bundle.dead)
  for (const line of bundle.cell) if (line.e === 'fail') dead.add(line.p)
  return dead
}
