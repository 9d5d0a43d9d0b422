/** What a run leaves behind: trace lines for the checkers, notes for the reader, and a hash that tells two runs apart. */

import { createHash } from 'node:crypto'
import type { Place } from '../core/types.ts'
import type { MessagesHead, SegmentHead } from '../groups/types.ts'
import type { CellTraceLine, ClientTraceLine } from '../lib/trace.ts'

/** Something a reader of the run wants to see; `host` null: it concerns all. */
export interface Note {
  readonly at: number
  readonly host: number | null
  readonly kind: 'fault' | 'view' | 'phase' | 'suspect' | 'deliver' | 'send' | 'client' | 'stage'
  readonly text: string
}

/** A rule that did not hold. */
export interface Violation {
  readonly property: string
  readonly at: number
  readonly detail: string
}

export const CELL_NAME = 'main'

export class Recorder {
  readonly cellLines: CellTraceLine[] = []
  readonly clientLines: ClientTraceLine[] = []
  readonly notes: Note[] = []
  readonly violations: Violation[] = []
  /** Notes cost memory and time: only for runs that someone reads. */
  readonly wantsNotes: boolean
  private rolling = 0x811c9dc5
  private rolling2 = 0x9dc5811c

  constructor(wantsNotes: boolean) {
    this.wantsNotes = wantsNotes
  }

  note(at: number, host: number | null, kind: Note['kind'], text: string): void {
    if (this.wantsNotes) this.notes.push({ at, host, kind, text })
  }

  violate(property: string, at: number, detail: string): void {
    // One is enough to fail a seed; a broken rule tends to break at every step after.
    if (this.violations.length < 50) this.violations.push({ property, at, detail })
  }

  /** Mixes a number into the hash of the run. */
  mix(value: number): void {
    const low = value | 0
    const high = (value / 0x1_0000_0000) | 0
    const fraction = ((value - Math.trunc(value)) * 0x7fff_ffff) | 0
    this.rolling = Math.imul(this.rolling ^ low, 0x01000193) ^ fraction
    this.rolling2 = Math.imul(this.rolling2 ^ fraction ^ high, 0x85ebca6b) ^ (this.rolling >>> 13)
  }

  /** Hash of everything that happened. */
  hash(): string {
    const hash = createHash('sha1')
    hash.update(`${this.rolling >>> 0} ${this.rolling2 >>> 0}`)
    let text = ''
    for (const line of this.cellLines)
      text += `${line.t}${line.p}${line.e}${'m' in line ? line.m : JSON.stringify(line)}`
    hash.update(text)
    hash.update(JSON.stringify(this.clientLines))
    return hash.digest('hex').slice(0, 16)
  }
}

/** Virtual milliseconds as trace time. */
export function traceTime(ms: number): string {
  return String(Math.round(ms * 1e6))
}

/**
 * A name for an ordered segment, the same at its sender and at every receiver, and never used again: what clients send is named
 * by its sequence numbers, so that sending one thing twice shows; the rest by its place.
 */
export function segmentName(sender: string, configuration: string, place: Place, head: SegmentHead): string {
  if (head.kind === 'messages') return `${sender}:${head.session}:${head.firstSequence}+${head.count}`
  return `${sender}:${head.kind}:${configuration}/${place.ts}.${place.rank}.${place.index}`
}

/** Ids and positions of the messages of a segment. */
export function messagesOf(
  sender: string,
  head: MessagesHead,
  place: Place,
): { m: string; position: string }[] {
  return Array.from({ length: head.count }, (_, index) => ({
    m: `${sender}:${head.firstSequence + index}`,
    position: `${place.epoch}.${place.ts}.${place.rank}.${place.index}.${index}`,
  }))
}

/** The service that a trace names. */
export function serviceOf(safe: boolean, head: SegmentHead): 'fifo' | 'causal' | 'agreed' | 'safe' {
  if (safe) return 'safe'
  return head.kind === 'messages' ? head.service : 'agreed'
}
