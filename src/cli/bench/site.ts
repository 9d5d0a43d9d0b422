/** A system that is measured, running: daemons, and working processes at them. */

import type { Network } from '../lab/netns.ts'
import type { Settings } from './settings.ts'
import type { WorkerTask } from './task.ts'
import type { Worker } from './worker.ts'

/** What a worker does, but for where: the site knows that. */
export type Work = WithoutPlace<WorkerTask>
type WithoutPlace<Task> = Task extends WorkerTask ? Omit<Task, 'name' | 'address'> : never

export interface Site {
  /** Names of the daemons: n1, n2, … */
  readonly names: readonly string[]
  /** Of those that run now, by name. */
  readonly daemonPids: readonly number[]
  /** The hosts, if daemons have hosts of their own. */
  readonly network: Network | null
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
  /** Each in a network namespace of its own. */
  readonly namespaces: boolean
  /** Of the cells of ours. */
  readonly settings: Settings
}

export function daemonNames(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `n${i + 1}`)
}
