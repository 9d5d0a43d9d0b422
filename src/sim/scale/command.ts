/** `anasazi sim --scale`. */

import { closeSync, openSync, writeFileSync } from 'node:fs'
import { InvalidArgumentError } from 'commander'
import { formatMarkdown, formatScale } from './print.ts'
import { measureScale } from './run.ts'
import { ScaleError } from './site.ts'

export interface ScaleFlags {
  readonly seed?: number
  readonly members: readonly number[]
  readonly daemons: readonly number[]
  readonly cellSize: readonly number[]
  /** Microseconds. */
  readonly hop: number
  readonly jitter: number
  readonly json?: boolean
  /** File to write the page to. */
  readonly markdown?: string
}

export const scaleDefaults: {
  members: number[]
  daemons: number[]
  cellSize: number[]
  hop: number
  jitter: number
} = {
  members: [3, 5, 8, 12, 16, 24, 32, 48, 64],
  daemons: [100, 1000],
  cellSize: [5, 8, 16, 32],
  hop: 50,
  jitter: 0,
}

/** @returns the exit code: 1 if a cell did not come to its view, 2 if the page cannot be written. */
export function runScale(flags: ScaleFlags): number {
  const { markdown } = flags
  if (markdown !== undefined) {
    try {
      // Known before it takes minutes; what is in the file stays until there is something better.
      closeSync(openSync(markdown, 'a'))
    } catch (error) {
      return refuse(`the page cannot be written: ${(error as Error).message}`, 2)
    }
  }
  try {
    const figures = measureScale({
      seed: flags.seed ?? 1,
      hopMs: flags.hop / 1000,
      jitterMs: flags.jitter / 1000,
      members: flags.members,
      daemons: flags.daemons,
      cellSizes: flags.cellSize,
      progress: progressOf(),
    })
    if (process.stderr.isTTY === true) process.stderr.write('\r\u001b[K')
    process.stdout.write(`${flags.json === true ? JSON.stringify(figures) : formatScale(figures)}\n`)
    if (markdown !== undefined) writeFileSync(markdown, formatMarkdown(figures))
    return 0
  } catch (error) {
    if (error instanceof ScaleError) return refuse(error.message, 1)
    throw error
  }
}

function refuse(what: string, code: number): number {
  process.stderr.write(`error: ${what}\n`)
  return code
}

/** On a terminal a line that changes; elsewhere a line for each thing, but not for each of many cells. */
function progressOf(): (what: string) => void {
  const terminal = process.stderr.isTTY === true
  let told = ''
  return what => {
    const subject = what.slice(0, what.indexOf(':'))
    if (terminal) process.stderr.write(`\r\u001b[K${what} `)
    else if (subject !== told) process.stderr.write(`${subject}\n`)
    told = subject
  }
}

/** A list of whole numbers with commas between them. */
export function sizes(least: number, most: number): (text: string) => number[] {
  return text => {
    const values = text.split(',').map(Number)
    if (text !== '' && values.every(value => Number.isInteger(value) && value >= least && value <= most))
      return [...new Set(values)]
    throw new InvalidArgumentError(`whole numbers from ${least} to ${most} are needed, like ${least},${most}`)
  }
}

export function microseconds(least: number): (text: string) => number {
  return text => {
    const value = Number(text)
    if (text.trim() !== '' && value >= least && value <= 1_000_000) return value
    throw new InvalidArgumentError(`a number of microseconds from ${least} to 1000000 is needed`)
  }
}
