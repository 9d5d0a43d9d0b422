/** Runs a range of seeds, on as many threads as asked for. */

import { Worker } from 'node:worker_threads'
import { production } from './production.ts'
import { run, type RunResult } from './run.ts'
import { settingsOf, swarmSettingsOf } from './settings.ts'
import { type Summary, summarize } from './report.ts'

export interface SeedsOptions {
  readonly from: number
  readonly to: number
  /** Threads; 1 runs in this one. */
  readonly jobs: number
  /** Stop handing out seeds after the first failure. */
  readonly failFast?: boolean
  readonly invariantsEvery?: number
  /** Every so many seeds one is run twice; 0: none. */
  readonly repeatEvery?: number
  readonly progress?: (result: RunResult, done: number, total: number) => void
}

/** A seed, and whether it is the second time. */
export interface Task {
  readonly seed: number
  readonly again: boolean
  readonly invariantsEvery: number
  /** The nastier settings of the swarm. */
  readonly swarm: boolean
}

/** A seed that takes this long spins: its thread is given up. */
const STUCK_MS = 180_000

export function runTask(task: Task): RunResult {
  const settings = task.swarm ? swarmSettingsOf(task.seed) : settingsOf(task.seed)
  return run({ settings, parts: production, invariantsEvery: task.invariantsEvery }).result
}

export async function runSeeds(options: SeedsOptions): Promise<Summary> {
  const before = process.hrtime.bigint()
  const tasks = tasksOf(options)
  const total = tasks.length
  const results: RunResult[] = []
  const repeated = new Map<number, string>()
  let failed = false
  const next = (): Task | null => (failed && options.failFast === true ? null : (tasks.shift() ?? null))
  const done = (task: Task, result: RunResult): void => {
    if (task.again) repeated.set(task.seed, result.hash)
    else results.push(result)
    failed ||= result.violations.length > 0
    options.progress?.(result, results.length + repeated.size, total)
  }
  if (options.jobs <= 1) {
    for (let task = next(); task !== null; task = next()) done(task, runTask(task))
  } else {
    await Promise.all(Array.from({ length: options.jobs }, () => workThrough(next, done)))
  }
  const wallMs = Number(process.hrtime.bigint() - before) / 1e6
  return summarize(results, { from: options.from, to: options.to, wallMs, repeated })
}

function tasksOf({ from, to, invariantsEvery = 1, repeatEvery = 50 }: SeedsOptions): Task[] {
  const tasks: Task[] = []
  for (let seed = from; seed <= to; seed++) tasks.push({ seed, again: false, invariantsEvery, swarm: false })
  if (repeatEvery > 0) {
    // The second run has other work before it in its thread: nothing may leak from run to run.
    for (let seed = to; seed >= from; seed -= repeatEvery)
      tasks.push({ seed, again: true, invariantsEvery, swarm: false })
  }
  return tasks
}

/** One thread until there is no more work; a thread that dies or spins is replaced. */
export async function workThrough(
  next: () => Task | null,
  done: (task: Task, result: RunResult) => void,
): Promise<void> {
  let worker: Worker | null = null
  for (let task = next(); task !== null; task = next()) {
    worker ??= new Worker(new URL('./worker.js', import.meta.url))
    const outcome = await ask(worker, task)
    if (typeof outcome === 'string') {
      await worker.terminate()
      worker = null
      done(task, lost(task.seed, outcome))
    } else done(task, outcome)
  }
  await worker?.terminate()
}

/** @returns the result, or why there is none. */
function ask(worker: Worker, task: Task): Promise<RunResult | string> {
  return new Promise(resolve => {
    const finish = (outcome: RunResult | string): void => {
      clearTimeout(timer)
      worker.off('message', finish)
      worker.off('error', onError)
      worker.off('exit', onExit)
      resolve(outcome)
    }
    const onError = (error: Error): void => finish(error.stack ?? error.message)
    const onExit = (code: number): void => finish(`thread ended with ${code}`)
    const timer = setTimeout(() => finish(`no result after ${STUCK_MS / 1000} s`), STUCK_MS)
    worker.on('message', finish)
    worker.on('error', onError)
    worker.on('exit', onExit)
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    worker.postMessage(task)
  })
}

function lost(seed: number, why: string): RunResult {
  return {
    seed,
    hash: 'none',
    violations: [{ property: 'no exception', at: 0, detail: why }],
    members: 0,
    messages: 0,
    delivered: 0,
    faults: 0,
    insideRecovery: 0,
    configurations: 0,
    frames: 0,
    virtualMs: 0,
    convergedMs: 0,
    elapsedMs: 0,
    buggified: {},
    coverage: {},
    faultCounts: {},
  }
}
