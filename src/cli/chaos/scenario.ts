/** What a scenario is: a promise, and how it is kept in the simulator and on real processes. */

import type { Cluster, ClusterOptions } from './cluster.ts'

/**
 * Timeouts for scenarios that are not about them: on a lossy network TCP waits for long, and on a busy machine a daemon
 * may be silent for seconds, which is no failure then.
 */
export const patience: string = '    timeouts: { suspectAfterMs: 4000, stalledAfterMs: 12000 }'

/** A scenario on real processes. */
export interface Play {
  /** In a few words, for the table. */
  readonly how: string
  readonly options: () => ClusterOptions
  /** Rounds that belong to it: one for each variety. Default 1. */
  readonly varieties?: number
  /** Why it cannot be played here; null if it can. */
  readonly missing?: () => string | null
  /**
   * One time through, under the load of all members. It leaves the cluster as it found it: all daemons run, a member at
   * each, in one view.
   * @param index 0, 1, 2 … : which variety.
   */
  readonly round: (cluster: Cluster, index: number) => Promise<void>
}

export interface Scenario {
  readonly number: number
  readonly name: string
  /** One or two sentences, with the bounds. */
  readonly promise: string
  /** Scenario texts, by name; or why there are none. */
  readonly simulator: readonly string[] | string
  /** Or why there is none. */
  readonly real: Play | string
  /** A feature that does not exist yet, without which there is nothing to play. */
  readonly unsupported?: string
  /** A feature that does not exist yet, without which a part is left out. */
  readonly lacks?: string
}
