/** Says in a trace what a killed process could not say itself: that it is over. */

import { closeSync, existsSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs'

/** No line is longer, but for views of thousands of members. */
const tailBytes = 1 << 20

interface Line {
  readonly p: string
  readonly cell?: string
  readonly e: string
}

/**
 * Appends to the trace of one daemon that it failed, in the name of whoever wrote the last whole line; half a line, which
 * it died over, is removed. Without it a trace that ends demands nothing of its writer, and nobody could tell it from one
 * that lives.
 */
export function addFailure(file: string): void {
  withLines(file, tailBytes, (lines, write) => {
    const last = lines.at(-1)
    if (last !== undefined && last.e !== 'fail') write({ ...origin(last), e: 'fail' })
  })
}

/** The same for a process with sessions: all that are open in its trace are closed. */
export function addClosings(file: string): void {
  withLines(file, Number.POSITIVE_INFINITY, (lines, write) => {
    const open = new Map<string, Line>()
    for (const line of lines) {
      if (line.e === 'closed' && !('group' in line)) open.delete(line.p)
      else open.set(line.p, line)
    }
    for (const line of open.values()) write({ ...origin(line), e: 'closed' })
  })
}

function origin({ p, cell }: Line): Omit<Line, 'e'> {
  return cell === undefined ? { p } : { p, cell }
}

function withLines(
  file: string,
  mostBytes: number,
  use: (lines: readonly Line[], write: (line: Line) => void) => void,
): void {
  if (!existsSync(file)) return
  const fd = openSync(file, 'r+')
  try {
    const { size } = fstatSync(fd)
    const from = Math.max(0, size - mostBytes)
    const bytes = Buffer.alloc(size - from)
    readSync(fd, bytes, 0, bytes.length, from)
    let end = bytes.lastIndexOf(0x0a) + 1
    ftruncateSync(fd, from + end)
    const texts = bytes.toString('utf8', 0, end).split('\n').slice(0, -1)
    // The first one may have its beginning in front of what was read.
    const lines = texts.slice(from === 0 ? 0 : 1).map(text => JSON.parse(text) as Line)
    use(lines, line => {
      const t = process.hrtime.bigint().toString()
      end += writeSync(fd, `${JSON.stringify({ t, ...line })}\n`, from + end)
    })
  } finally {
    closeSync(fd)
  }
}
