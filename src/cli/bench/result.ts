/** What was measured: rows, the turns of their variants, and what each turn has given. */

import type { Buckets } from './histogram.ts'
import type { Samples, Values } from './measures.ts'
import type { Profiles } from './profile-files.ts'
import type { Row, Variant } from './row.ts'

/** One turn of one variant. */
export interface Run {
  readonly values: Values
  /** What was measured several times in this turn; `values` has the medians. */
  readonly samples: Samples
  /** Times of delivery at others, µs, by `histogram.ts`; empty where none were taken. */
  readonly times: Buckets
  /** Cores that others used meanwhile; null if unknown. */
  readonly othersCores: number | null
  /** Why there are no values; null if all went well. */
  readonly failed: string | null
  /** What its processes did; empty without profiles. */
  readonly profiles: Profiles
  /** How often it was run again because others disturbed it; of all these the quietest is what counts. */
  readonly reruns: number
}

export interface VariantResult {
  readonly name: string
  readonly variant: Variant
  readonly runs: readonly Run[]
}

export interface RowResult {
  readonly title: string
  readonly row: Row
  readonly variants: readonly VariantResult[]
}
