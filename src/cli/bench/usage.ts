/** What processes and the machine use, as the kernel counts it. Linux. */

import { readdirSync, readFileSync } from 'node:fs'

/** The kernel's unit of time in these files, for all that Node runs on. */
const ticksPerSecond = 100

/** CPU seconds of a process so far; 0 if there is none. */
export function cpuSeconds(pid: number): number {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // Its name may hold anything, brackets too.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
  } catch {
    return 0
  }
}

/** Resident memory of a process now, and at its most; MB of 2^20 bytes. */
export function memory(pid: number): { readonly now: number; readonly peak: number } {
  try {
    const text = readFileSync(`/proc/${pid}/status`, 'utf8')
    const of = (name: string): number =>
      Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1] ?? 0) / 1024
    return { now: of('VmRSS'), peak: of('VmHWM') }
  } catch {
    return { now: 0, peak: 0 }
  }
}

/** What a process did so far, with all its threads, finer than its CPU seconds are counted. */
export interface Activity {
  /** Time on a core, s; in ticks where the kernel keeps nothing finer. */
  readonly cpuSeconds: number
  /** How often a thread of it had nothing to do and was woken again. */
  readonly wakeUps: number
}

export function activity(pid: number): Activity {
  let nanoseconds = 0
  let wakeUps = 0
  for (const thread of threadsOf(pid)) {
    nanoseconds += Number(textOf(`${thread}/schedstat`).split(' ')[0])
    wakeUps += Number(/^voluntary_ctxt_switches:\s+(\d+)$/m.exec(textOf(`${thread}/status`))?.[1] ?? 0)
  }
  return { cpuSeconds: nanoseconds > 0 ? nanoseconds / 1e9 : cpuSeconds(pid), wakeUps }
}

function threadsOf(pid: number): string[] {
  const directory = `/proc/${pid}/task`
  try {
    return readdirSync(directory).map(thread => `${directory}/${thread}`)
  } catch {
    return []
  }
}

/** Empty for what is gone. */
function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

/** CPU seconds of all processes of the machine so far, without what the kernel did for interrupts; null if unknown. */
function machineSeconds(): number | null {
  try {
    const [user = 0, nice = 0, system = 0] = (
      /^cpu\s+(.*)$/m.exec(readFileSync('/proc/stat', 'utf8'))?.[1] ?? ''
    )
      .split(' ')
      .map(Number)
    return (user + nice + system) / ticksPerSecond
  } catch {
    return null
  }
}

export interface Spent {
  readonly seconds: number
  /** CPU seconds by process, in the order given. */
  readonly cpu: readonly number[]
  /** Cores that others than those, and than this process, used; null if unknown. */
  readonly othersCores: number | null
}

/** CPU between two moments. */
export class Meter {
  private readonly pids: readonly number[]
  private readonly told: number
  private readonly began = performance.now()
  private readonly cpu: readonly number[]
  private readonly machine = machineSeconds()

  /** @param helpers processes that are no strangers either, and not told of. */
  constructor(pids: readonly number[], helpers: readonly number[] = []) {
    this.pids = [...pids, ...helpers, process.pid]
    this.told = pids.length
    this.cpu = this.pids.map(cpuSeconds)
  }

  read(): Spent {
    const seconds = (performance.now() - this.began) / 1000
    const cpu = this.pids.map((pid, i) => Math.max(0, cpuSeconds(pid) - (this.cpu[i] as number)))
    const machine = machineSeconds()
    const ours = cpu.reduce((sum, each) => sum + each, 0)
    const others =
      machine === null || this.machine === null ? null : (machine - this.machine - ours) / seconds
    return {
      seconds,
      cpu: cpu.slice(0, this.told),
      othersCores: others === null ? null : Math.max(0, others),
    }
  }
}
