/** The trace of a process that may be killed at any moment: a line is in the file before its effects leave. */

import { closeSync, openSync, writeSync } from 'node:fs'
import type { ClientTraceLine } from '../../lib/trace.ts'

type ViewLine = Extract<ClientTraceLine, { e: 'view' }>

export class PlayerTrace {
  private descriptor: number
  /** By session and group: the view it is in. */
  private readonly open: Map<string, Map<string, ViewLine>> = new Map()

  /** @throws the system's error if the file cannot be written. */
  constructor(path: string) {
    this.descriptor = openSync(path, 'a')
  }

  write(line: ClientTraceLine): void {
    this.follow(line)
    const bytes = Buffer.from(`${JSON.stringify(line)}\n`)
    for (let written = 0; written < bytes.length; ) written += writeSync(this.descriptor, bytes, written)
  }

  /** Goes on in another file, which begins with where the sessions are. Nothing may be on its way to any of them. */
  rotate(path: string): void {
    closeSync(this.descriptor)
    this.descriptor = openSync(path, 'a')
    const views = [...this.open.values()].flatMap(groups => [...groups.values()])
    // One order of all views of all groups: which one does not matter, but it must be everybody's.
    views.sort((a, b) => (a.group < b.group ? -1 : 1))
    for (const view of views) for (const line of beginning(view)) this.write(line)
  }

  close(): void {
    closeSync(this.descriptor)
  }

  private follow(line: ClientTraceLine): void {
    if (line.e === 'view') {
      const groups = this.open.get(line.p)
      if (groups === undefined) this.open.set(line.p, new Map([[line.group, line]]))
      else groups.set(line.group, line)
    } else if (line.e === 'closed') {
      if (line.group === undefined) this.open.delete(line.p)
      else this.open.get(line.p)?.delete(line.group)
    }
  }
}

/**
 * How a trace begins in the middle of a session's life. To whoever reads it the members of the view come together from
 * nowhere; that is the same for all of them, whichever way each came.
 */
function beginning({ p, group, id, members }: ViewLine): ClientTraceLine[] {
  const t = String(process.hrtime.bigint())
  return [
    { t, p, e: 'join', group },
    { t, p, e: 'view', group, id, members, cause: 'network', origins: [{ view: null, members }] },
  ]
}
