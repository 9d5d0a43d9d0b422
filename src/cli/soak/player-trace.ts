/** The trace of a process that may be killed at any moment: a line is in the file before its effects leave. */

import { closeSync, openSync, writeSync } from 'node:fs'
import type { Session } from '../../client/index.ts'
import type { ClientTraceLine } from '../../lib/trace.ts'

/** What is needed of a group to begin a trace in the middle of its life. */
export interface OpenView {
  readonly group: string
  readonly id: string
  readonly members: readonly string[]
}

export class PlayerTrace {
  private descriptor: number

  /** @throws the system's error if the file cannot be written. */
  constructor(path: string) {
    this.descriptor = openSync(path, 'a')
  }

  write(line: ClientTraceLine): void {
    const bytes = Buffer.from(`${JSON.stringify(line)}\n`)
    for (let written = 0; written < bytes.length; ) {
      written += writeSync(this.descriptor, bytes, written)
    }
  }

  /** Goes on in another file. */
  rotate(path: string): void {
    closeSync(this.descriptor)
    this.descriptor = openSync(path, 'a')
  }

  close(): void {
    closeSync(this.descriptor)
  }
}

/**
 * Lines with which a session's trace begins in the middle of its life: it is in these views, and nothing is on its way.
 * To whoever reads the trace the members of a view come together from nowhere; so it is the same for all of them.
 */
export function beginning(session: Pick<Session, 'id'>, views: readonly OpenView[]): ClientTraceLine[] {
  const t = String(process.hrtime.bigint())
  const p = session.id
  return views.flatMap(({ group, id, members }): ClientTraceLine[] => [
    { t, p, e: 'join', group },
    { t, p, e: 'view', group, id, members, cause: 'network', origins: [{ view: null, members }] },
  ])
}
