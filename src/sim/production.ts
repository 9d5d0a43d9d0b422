/** The real parts: core, groups and codec of this very build. */

import { Cell } from '../core/cell.ts'
import { GroupedSessions } from './grouped.ts'
import type { Parts } from './parts.ts'
import { PlainGroups } from './plain.ts'
import { codecWire } from './wire.ts'

export const production: Parts = {
  held: cell => (cell as Cell).state.ordering.streams,
  cell: (options, now) => new Cell(options, now),
  groups: options => new GroupedSessions(options),
  wire: codecWire,
}

/** Without the group layer: faults of the ordering core alone. */
export const coreOnly: Parts = { ...production, groups: () => new PlainGroups() }
