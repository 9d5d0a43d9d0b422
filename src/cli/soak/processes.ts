/** Memory and descriptors of running processes over the whole soak. Linux. */

import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Probe, probe, probeFile } from './probe.ts'
import type { Sample } from './trend.ts'

const megabyte = 1 << 20
const lookAgainMs = 10

export interface Usage {
  readonly rssMegabytes: number
  readonly descriptors: number
}

/** As the kernel tells it. @returns null if there is no such process. */
export function usageOf(pid: number): Usage | null {
  try {
    const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    // One that has ended and was not waited for has no memory.
    if (kilobytes === undefined) return null
    return { rssMegabytes: Number(kilobytes) / 1024, descriptors: readdirSync(`/proc/${pid}/fd`).length }
  } catch {
    return null
  }
}

export interface Series {
  readonly label: string
  readonly pid: number
  readonly startedAtMs: number
  /** What it held after a collection, MB. */
  readonly memory: Sample[]
  readonly descriptors: Sample[]
  mostRssMegabytes: number
}

/** One series for each process; of those that had the same label one after the other the longest is kept. */
export class ProcessLog {
  /** Of any process at any time. MB. */
  mostRssMegabytes = 0
  private readonly directory: string
  private readonly current = new Map<string, Series>()
  private readonly longest = new Map<string, Series>()
  private readonly starts = new Map<string, number>()

  /** @param directory in which the processes leave the answers of their probes. */
  constructor(directory: string) {
    this.directory = directory
  }

  started(label: string, pid: number, nowMs: number): void {
    this.retire(label)
    this.starts.set(label, (this.starts.get(label) ?? 0) + 1)
    const series = { label, pid, startedAtMs: nowMs, memory: [], descriptors: [], mostRssMegabytes: 0 }
    this.current.set(label, series)
  }

  /** Looks at everything that runs, from outside. @returns how many descriptors are open, all together. */
  look(): number {
    let open = 0
    for (const series of this.current.values()) {
      const usage = usageOf(series.pid)
      if (usage === null) continue
      open += usage.descriptors
      series.mostRssMegabytes = Math.max(series.mostRssMegabytes, usage.rssMegabytes)
      this.mostRssMegabytes = Math.max(this.mostRssMegabytes, usage.rssMegabytes)
    }
    return open
  }

  /** At a quiet point: lets everything that runs collect its garbage, and notes what is left. */
  async measure(nowMs: number): Promise<void> {
    for (const series of this.current.values()) {
      const usage = usageOf(series.pid)
      if (usage === null) continue
      const held = series.pid === process.pid ? probe() : await this.ask(series.pid)
      if (held === null) continue
      series.memory.push({ atMs: nowMs, value: held.heldBytes / megabyte })
      series.descriptors.push({ atMs: nowMs, value: usage.descriptors })
    }
  }

  /** By label: how many processes it had, and the series of the one that was watched longest. */
  all(): { readonly label: string; readonly processes: number; readonly series: Series }[] {
    for (const label of this.current.keys()) this.retire(label)
    return [...this.longest.values()]
      .map(series => ({ label: series.label, processes: this.starts.get(series.label) ?? 0, series }))
      .sort((a, b) => a.label.localeCompare(b.label, 'en', { numeric: true }))
  }

  /** @returns null if it has ended; whoever started it notices. */
  private async ask(pid: number): Promise<Probe | null> {
    const file = probeFile(this.directory, pid)
    let asked = false
    while (!existsSync(file)) {
      if (usageOf(pid) === null) return null
      if (!asked) process.kill(pid, 'SIGUSR2')
      asked = true
      await sleep(lookAgainMs)
    }
    const answer = JSON.parse(readFileSync(file, 'utf8')) as Probe
    rmSync(file)
    return answer
  }

  private retire(label: string): void {
    const series = this.current.get(label)
    this.current.delete(label)
    if (series === undefined) return
    const known = this.longest.get(label)
    if (known === undefined || known.memory.length <= series.memory.length) this.longest.set(label, series)
  }
}
