/**
 * The daemon's log: lines on its standard error. They are written while the daemon goes on; a disk that is full or a pipe
 * that nobody reads costs lines, and nothing else.
 */

import { write, writeSync } from 'node:fs'
import { type Logger, pino } from 'pino'
import type { LogLevel } from '../config/config.ts'

/** What may wait to be written before lines are dropped; characters. */
const mostWaiting = 1 << 20
/** How long the last lines may take at the end. */
const lastLinesMs = 1000
/** Pause after which is tried again what could not be written at the moment. */
const againMs = 100

/** Writes lines to a descriptor in their order, one write at a time, whatever becomes of them. */
export class LineWriter {
  private readonly descriptor: number
  private readonly recovered: (lost: number) => void
  private lines: string[] = []
  private length = 0
  /** On its way, or null. */
  private current: Buffer | null = null
  private lost = 0
  private idle: (() => void)[] = []

  /** @param recovered told when lines are written again after so many were lost. */
  constructor(descriptor: number, recovered: (lost: number) => void) {
    this.descriptor = descriptor
    this.recovered = recovered
  }

  write(line: string): void {
    if (this.length + line.length > mostWaiting) {
      this.lost++
      return
    }
    this.lines.push(line)
    this.length += line.length
    if (this.current === null) this.next()
  }

  /** Resolves when nothing waits to be written. */
  written(): Promise<void> {
    if (this.current === null) return Promise.resolve()
    return new Promise(resolve => this.idle.push(resolve))
  }

  /** What waits, at once, unless something is stuck before it: for the end of the process. */
  flush(): void {
    if (this.current !== null || this.lines.length === 0) return
    try {
      writeSync(this.descriptor, this.take())
    } catch {
      // There is no time left for another attempt.
    }
  }

  private take(): Buffer {
    const bytes = Buffer.from(this.lines.join(''))
    this.lines = []
    this.length = 0
    return bytes
  }

  private next(): void {
    if (this.lines.length > 0) {
      const count = this.lines.length
      this.current = this.take()
      this.send(this.current, count)
      return
    }
    this.current = null
    for (const resolve of this.idle.splice(0)) resolve()
  }

  private send(bytes: Buffer, count: number): void {
    write(this.descriptor, bytes, (error, written) => {
      if (error?.code === 'EAGAIN') {
        setTimeout(() => this.send(bytes, count), againMs)
        return
      }
      if (error !== null) this.lost += count
      else if (written < bytes.length) return this.send(bytes.subarray(written), count)
      else this.tellLost()
      this.next()
    })
  }

  private tellLost(): void {
    const { lost } = this
    this.lost = 0
    if (lost > 0) this.recovered(lost)
  }
}

export interface Log {
  readonly lines: Logger
  /** Resolves when the last line is written; the process may then end. If a write does not come back, it ends the process. */
  close(): Promise<void>
}

/** @param descriptor where the lines go; for a daemon that is 2. */
export function openLog(name: string, level: LogLevel, descriptor: number = 2): Log {
  const writer = new LineWriter(descriptor, lost => {
    lines.warn(`${lost} lines of this log were lost: it could not be written`)
  })
  const lines: Logger = pino({ level, base: { name } }, writer)
  process.once('exit', () => writer.flush())
  return {
    lines,
    async close() {
      // A write that is stuck would keep even `process.exit` from ending.
      const timer = setTimeout(() => process.kill(process.pid, 'SIGKILL'), lastLinesMs)
      await writer.written()
      clearTimeout(timer)
    },
  }
}
