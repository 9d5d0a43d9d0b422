/** How much memory processes take, looked at all the time. */

import { readFileSync } from 'node:fs'

const everyMs = 200
const megabyte = 1024 * 1024

/** Resident memory of a process, bytes; null where the system does not tell, or the process is gone. */
export function residentBytes(pid: number): number | null {
  try {
    const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    return kilobytes === undefined ? null : Number(kilobytes) * 1024
  } catch {
    return null
  }
}

/** The greatest growth of any of some processes since each was first looked at. */
export class MemoryWatch {
  private readonly first = new Map<number, number>()
  private most = 0
  private readonly timer: NodeJS.Timeout

  constructor() {
    this.timer = setInterval(() => this.look(), everyMs).unref()
  }

  /** From now on, and counted from what it takes now. */
  add(pid: number): void {
    const bytes = residentBytes(pid)
    if (bytes !== null) this.first.set(pid, bytes)
  }

  /** MB; null where it cannot be known. */
  get growth(): number | null {
    this.look()
    return this.first.size === 0 ? null : this.most / megabyte
  }

  stop(): void {
    clearInterval(this.timer)
  }

  private look(): void {
    for (const [pid, first] of this.first) {
      const bytes = residentBytes(pid)
      if (bytes !== null) this.most = Math.max(this.most, bytes - first)
    }
  }
}
