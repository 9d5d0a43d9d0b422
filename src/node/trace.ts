/** Records what a cell shows, for the checkers (`docs/trace.md`). Lines reach the file before the step's output leaves. */

import { closeSync, openSync, writeSync } from 'node:fs'
import type { Counters } from '../admin/counters.ts'
import { counterIndex } from '../admin/registry.ts'
import type { CellEvent } from '../core/api.ts'
import type { MemberId, Place, Segment, Service } from '../core/types.ts'
import type { SegmentHead } from '../groups/types.ts'
import type { CellTraceLine } from '../lib/trace.ts'

const linesWritten = counterIndex('cell.trace.lines')
const linesDropped = counterIndex('cell.trace.dropped')

export class CellTrace {
  private readonly fd: number
  private readonly self: MemberId
  private readonly cell: string
  private readonly counters: Counters
  private buffer = ''
  private lines = 0
  /** The file could not take all of a write: what is next must not look like the rest of it. */
  private torn = false
  /** Of the regular configuration whose order is being delivered. */
  private configuration = ''

  /** @throws the system's error if the file cannot be opened for appending. */
  constructor(path: string, self: MemberId, cell: string, counters: Counters) {
    this.fd = openSync(path, 'a')
    this.self = self
    this.cell = cell
    this.counters = counters
  }

  record(event: CellEvent): void {
    if (event.type === 'regular') {
      this.configuration = event.configuration.id.key
      this.conf(this.configuration, 'regular', event.configuration.members)
    } else if (event.type === 'transitional') {
      const of = event.of.id.key
      this.conf(`${of}~${event.members.join(',')}`, 'transitional', event.members, of)
    } else if (event.type === 'originate') {
      this.line({ e: 'send', m: this.name(event.place), service: serviceOf(event.segment) })
    } else if (event.type === 'deliver') {
      this.line({ e: 'deliver', m: this.name(event.place) })
    } else if (event.type === 'phase' && event.phase === 'left') {
      this.line({ e: 'fail' })
    }
  }

  /** A full disk costs the trace, which says so in a counter, and nobody else. */
  flush(): void {
    if (this.lines === 0) return
    const bytes = Buffer.from(this.torn ? `\n${this.buffer}` : this.buffer)
    const { lines } = this
    this.buffer = ''
    this.lines = 0
    let written = 0
    try {
      while (written < bytes.length) written += writeSync(this.fd, bytes, written)
      this.torn = false
      this.counters.add(linesWritten, lines)
    } catch {
      if (written > 0) this.torn = true
      this.counters.add(linesDropped, lines)
    }
  }

  close(): void {
    this.flush()
    closeSync(this.fd)
  }

  private conf(id: string, kind: 'regular' | 'transitional', members: readonly string[], of?: string): void {
    this.line({ e: 'conf', id, kind, ...(of === undefined ? {} : { of }), members })
  }

  private name(place: Place): string {
    return `${this.configuration}/${place.ts}.${place.rank}.${place.index}`
  }

  private line(event: EventOf<CellTraceLine>): void {
    const t = process.hrtime.bigint().toString()
    this.lines++
    this.buffer += `${JSON.stringify({ t, p: this.self, cell: this.cell, ...event })}\n`
  }
}

type EventOf<Line> = Line extends unknown ? Omit<Line, 't' | 'p' | 'cell'> : never

function serviceOf(segment: Segment): Service {
  const head = segment.head as SegmentHead
  return head.kind === 'messages' ? head.service : segment.safe ? 'safe' : 'agreed'
}
