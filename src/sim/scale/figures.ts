/** All that `anasazi sim --scale` measures. */

import type { ChangeFigures, IdleFigures } from './change.ts'
import type { EstateFigures } from './estate.ts'
import type { LoadFigures } from './load.ts'

/** One cell. */
export interface CellFigures {
  readonly members: number
  /** How facts are told. */
  readonly announce: string
  readonly idle: IdleFigures
  readonly loads: readonly LoadFigures[]
  readonly changes: readonly ChangeFigures[]
  /** Of each member, idle. The only figure that does not follow from the seed. */
  readonly memoryBytes: number
}

export interface ScaleFigures {
  readonly seed: number
  readonly hopMs: number
  readonly jitterMs: number
  readonly cells: readonly CellFigures[]
  readonly estates: readonly EstateFigures[]
  /** For information. */
  readonly elapsedMs: number
}
