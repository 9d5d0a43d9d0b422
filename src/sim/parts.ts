/** What the simulator drives. Behind factories, so that a test can put something small in the place of the real thing. */

import type { CellApi, CellEvent, CellOptions } from '../core/api.ts'
import type { Frame } from '../core/frames.ts'
import type { MemberId, Place } from '../core/types.ts'
import type { GroupLimits } from '../groups/limits.ts'
import type { Fate, GroupEvent, GroupSegment, MessagesHead } from '../groups/types.ts'
import type { Cover } from '../lib/coverage.ts'

/** The group layer, as the simulated daemon sees it. */
export interface GroupsPort {
  /** Something the cell said, in order. */
  handle(event: CellEvent): void
  /** @returns the number of the new session. */
  open(name: string): number
  join(session: number, group: string): void
  leave(session: number, group: string): void
  send(session: number, head: MessagesHead, body: readonly Uint8Array[], bytes: number): void
  disconnect(session: number, reason: 'closed' | 'lost' | 'evicted'): void
  /** A delivery with this place was added to the session's stream, which is `end` bytes long now. */
  mark(session: number, place: Place, end: number): void
  /** All deliveries of this event have been marked. */
  marked(event: GroupEvent): void
  /** The session has read so many of the `sent` bytes of its stream. */
  acknowledge(session: number, bytes: number, sent: number): void
  /** What became of the message at a place in one group (null: private); 'pending' until settled, null if not known here. */
  fate(place: Place, group: string | null): Fate | 'pending' | null
  /** Up to where every local session has acknowledged, for `setConsumed`: in the configuration with this epoch. */
  consumed(): { readonly epoch: number; readonly ts: number }
  /** The exchange of the last configuration handled is complete. */
  readonly gateOpen: boolean
  invariants(): void
  takeSegments(): readonly { readonly segment: GroupSegment; readonly urgent: boolean }[]
  takeEvents(): readonly GroupEvent[]
}

export interface GroupsOptions {
  readonly self: MemberId
  readonly limits: Partial<GroupLimits>
  readonly cover: Cover
}

/** One incarnation's way onto the wire and back. */
export interface Wire {
  encode(frame: Frame): Uint8Array
  /** Throws for bytes that are no frame. */
  decode(bytes: Uint8Array): Frame
}

/** What a cell holds of a stream: frames 1…contiguous, as far as it has not let go of them. */
export interface HeldStream {
  readonly contiguous: number
  frame(seq: number): unknown
}

export interface Parts {
  /** By rank in the cell's configuration; for an oracle. */
  held(cell: CellApi): readonly HeldStream[]
  cell(options: CellOptions, now: number): CellApi
  groups(options: GroupsOptions): GroupsPort
  wire(self: MemberId): Wire
}
