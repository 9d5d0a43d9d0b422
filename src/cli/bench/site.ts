/** A system that is measured, running: daemons, and working processes at them. */

import type { Settings } from './settings.ts'
import type { WorkerTask } from './task.ts'
import type { Breakable, Terrain } from './underlay.ts'
import type { Worker } from './worker.ts'

/** What a worker does, but for where: the site knows that. */
export type Work = WithoutPlace<WorkerTask>
type WithoutPlace<Task> = Task extends WorkerTask ? Omit<Task, 'name' | 'address'> : never

export interface Site {
  /** Names of the daemons: n1, n2, … */
  readonly names: readonly string[]
  /** Of those that run now, by name. */
  readonly daemonPids: readonly number[]
  /** Processes of the benchmark between the daemons. */
  readonly helperPids: readonly number[]
  /** Null: what is between the daemons cannot be cut. */
  readonly links: Breakable | null
  /** Starts a worker at a daemon. */
  start(at: string, work: Work): Worker
  signal(daemon: string, signal: NodeJS.Signals): void
  /** Starts a daemon that was killed, and waits until clients can connect. */
  restart(daemon: string): Promise<void>
  close(): Promise<void>
}

export interface SiteOptions {
  /** How many daemons. */
  readonly members: number
  readonly terrain: Terrain
  /** Of the cells of ours. */
  readonly settings: Settings
  /** Directory for the profiles of our processes; null: none are wanted. */
  readonly profile: string | null
}

export function daemonNames(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `n${i + 1}`)
}
