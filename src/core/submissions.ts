/** What waits for its place in the order: urgent segments first, then the clients', in the order they were accepted. */

import { Deque } from '../lib/deque.ts'
import type { Segment } from './types.ts'

/** A segment as framed: itself, or its next fragment. `whole` is the submitted segment, once its last byte is framed. */
export interface Piece {
  readonly piece: Segment
  readonly whole: Segment | null
}

export class Submissions {
  /** Bytes waiting, urgent ones included. */
  bytes = 0
  private readonly urgent = new Deque<Segment>()
  private readonly clients = new Deque<Segment>()
  /** Bytes of the segment in progress that earlier fragments carried, and the queue it came from. */
  private offset = 0
  private current: Deque<Segment> | null = null

  push(segment: Segment, urgent: boolean): void {
    ;(urgent ? this.urgent : this.clients).push(segment)
    this.bytes += segment.bytes
  }

  /** True if something may be framed now. */
  ready(gateOpen: boolean): boolean {
    return this.current !== null || this.urgent.length > 0 || (gateOpen && this.clients.length > 0)
  }

  /** True while a segment has been framed in part. */
  get fragmenting(): boolean {
    return this.current !== null
  }

  get empty(): boolean {
    return this.urgent.length === 0 && this.clients.length === 0
  }

  /** A new configuration: partial assemblies were dropped everywhere, so a fragmented segment starts again. */
  restart(): void {
    this.offset = 0
    this.current = null
  }

  /** Urgent segments belong to the configuration they were made in. */
  dropUrgent(): void {
    for (let segment = this.urgent.shift(); segment !== undefined; segment = this.urgent.shift()) {
      this.bytes -= segment.bytes
    }
  }

  /** Takes the pieces of one frame: at most `maxBytes` of payload (one piece at least) and `maxPieces`. */
  take(maxBytes: number, maxPieces: number, gateOpen: boolean): Piece[] {
    const pieces: Piece[] = []
    let room = maxBytes
    while (pieces.length < maxPieces) {
      // Fragments of one segment are contiguous in the stream: nothing else comes between them.
      const queue = this.current ?? (this.urgent.length > 0 ? this.urgent : gateOpen ? this.clients : null)
      const segment = queue?.peek()
      if (queue === null || segment === undefined) break
      const left = segment.bytes - this.offset
      if (left <= room || (left <= maxBytes && pieces.length === 0)) {
        pieces.push({
          piece: this.offset === 0 ? segment : lastFragment(segment, this.offset),
          whole: segment,
        })
        room -= left
        queue.shift()
        this.bytes -= segment.bytes
        this.restart()
      } else if (segment.bytes > maxBytes && room > 0 && (pieces.length === 0 || this.offset > 0)) {
        pieces.push({ piece: fragment(segment, this.offset, room), whole: null })
        this.offset += room
        this.current = queue
        break
      } else break
    }
    return pieces
  }
}

function fragment(segment: Segment, offset: number, bytes: number): Segment {
  return { safe: segment.safe, more: true, head: null, bytes, body: sliceBody(segment.body, offset, bytes) }
}

function lastFragment(segment: Segment, offset: number): Segment {
  const body = sliceBody(segment.body, offset, Number.POSITIVE_INFINITY)
  return { safe: segment.safe, more: false, head: segment.head, bytes: segment.bytes - offset, body }
}

/** `bytes` bytes of a list of slices from `offset` on; what `bytes` counts beyond the payload (a nominal header) is nothing. */
function sliceBody(body: readonly Uint8Array[], offset: number, bytes: number): Uint8Array[] {
  const out: Uint8Array[] = []
  let skip = offset
  let left = bytes
  for (const slice of body) {
    if (left <= 0) break
    if (skip >= slice.length) {
      skip -= slice.length
      continue
    }
    const part = slice.subarray(skip, Math.min(slice.length, skip + left))
    out.push(part)
    left -= part.length
    skip = 0
  }
  return out
}

/** Joins the fragments of a segment, the last of which carries the head. */
export function joinFragments(fragments: readonly Segment[], last: Segment): Segment {
  if (fragments.length === 0) return last
  const body: Uint8Array[] = []
  let bytes = last.bytes
  for (const part of fragments) {
    body.push(...part.body)
    bytes += part.bytes
  }
  body.push(...last.body)
  return { safe: last.safe, more: false, head: last.head, bytes, body }
}
