/** What an application gets to see: views, transitional signals, messages, warnings. */

import type { ClientPlace, ViewOrigin } from '../codec/client.ts'
import type { Service } from '../core/types.ts'
import type { Cause, SessionId, ViewId } from '../groups/types.ts'
import type { MemberList } from './members.ts'
import type { Position } from './position.ts'
import { positionOf } from './position.ts'
import type { MessageRun } from './run.ts'

/** A view of a group: who is in it, from here on in the order. Same group and same `view` ⇒ same members. */
export class ViewEvent {
  readonly type = 'view'
  readonly cell: string
  readonly group: string
  readonly view: ViewId
  readonly previous: ViewId | null
  readonly cause: Cause
  readonly joined: readonly SessionId[]
  readonly left: readonly SessionId[]
  /** True if the daemon listed all members rather than what changed. */
  readonly full: boolean
  /** For a network-caused view: every set of members that comes together, and the view it comes from. */
  readonly origins: readonly ViewOrigin[]
  private readonly list: MemberList

  constructor(
    cell: string,
    group: string,
    change: {
      readonly full: boolean
      readonly view: ViewId
      readonly previous: ViewId | null
      readonly cause: Cause
      readonly joined: readonly SessionId[]
      readonly left: readonly SessionId[]
      readonly origins: readonly ViewOrigin[]
    },
    list: MemberList,
  ) {
    this.cell = cell
    this.group = group
    this.view = change.view
    this.full = change.full
    this.previous = change.previous
    this.cause = change.cause
    this.joined = change.joined
    this.left = change.left
    this.origins = change.origins
    this.list = list
  }

  /** All members, in join order; built when first asked for. */
  get members(): readonly SessionId[] {
    return this.list.members()
  }
}

/**
 * A network-caused view of the group follows. Until then messages are delivered to those members who are still
 * together; what was delivered before as `safe` reaches every member of `view` that does not fail.
 */
export interface TransitionalEvent {
  readonly type: 'transitional'
  readonly cell: string
  readonly group: string
  /** The view that is ending. */
  readonly view: ViewId
}

/** Something the application should know but that ends nothing. */
export interface WarningEvent {
  readonly type: 'warning'
  readonly code: string
  readonly message: string
  /** The group concerned, if it is one. */
  readonly group: string | null
}

/** The connection was lost and a new one made: this session is a new member of its groups. */
export interface ReconnectedEvent {
  readonly type: 'reconnected'
  readonly cell: string
  /** Id before. */
  readonly previous: SessionId
  /** Id from now on. */
  readonly session: SessionId
}

const decoder = new TextDecoder()

/**
 * One message. Everything but the place of its bytes is computed when asked for.
 *
 * `data` stays valid for as long as it is held. It is a part of the chunk that was read from the daemon (up to 64 KiB
 * over a socket, up to a segment otherwise), and holding it, or the event, keeps that chunk in memory: copy what is
 * to be kept for long.
 */
export class MessageEvent {
  readonly type = 'message'
  /** Bytes of the message. */
  readonly length: number
  private readonly run: MessageRun
  private readonly buffer: Uint8Array
  private readonly start: number
  private readonly index: number

  constructor(run: MessageRun, buffer: Uint8Array, start: number, length: number, index: number) {
    this.run = run
    this.buffer = buffer
    this.start = start
    this.length = length
    this.index = index
  }

  /** The bytes, without a copy. */
  get data(): Uint8Array {
    const { buffer, start } = this
    // Not `subarray`: of a Node buffer it would be another Node buffer, whose `slice` does not copy.
    return new Uint8Array(buffer.buffer, buffer.byteOffset + start, this.length)
  }

  /** The bytes as UTF-8; malformed sequences become U+FFFD. */
  text(): string {
    return decoder.decode(this.buffer.subarray(this.start, this.start + this.length))
  }

  /** @throws SyntaxError if the text is not JSON. */
  json(): unknown {
    return JSON.parse(this.text())
  }

  /** The group it was received in; null for a private message. */
  get group(): string | null {
    return this.run.group
  }

  get cell(): string {
    return this.run.cell
  }

  /** The view it is delivered in; null for a private message. */
  get view(): ViewId | null {
    return this.run.view
  }

  get sender(): SessionId {
    return this.run.sender
  }

  /** Session sequence at its sender. */
  get sequence(): number {
    return this.run.firstSequence + this.index
  }

  /** `<sender>:<sequence>`, unique for ever. */
  get id(): string {
    return `${this.run.sender}:${this.sequence}`
  }

  get service(): Service {
    return this.run.service
  }

  /** True if this session sent it. */
  get own(): boolean {
    return this.run.own
  }

  /** Its place in the order of the cell: the same at every receiver, and what `fate()` takes. */
  get position(): Position {
    return positionOf(this.run.place, this.run.firstIndex + this.index)
  }

  /** The parts of `position`, to compare places without strings. */
  get place(): ClientPlace {
    return this.run.place
  }
}

export type SessionEvent = ViewEvent | TransitionalEvent | MessageEvent | WarningEvent | ReconnectedEvent

/** A group was left: for those who pass a session's items on. Applications do not get to see it. */
export interface LeftMark {
  readonly type: 'left'
  readonly cell: string
  readonly group: string
}

/** What a queue holds: a run stands for its messages. */
export type QueuedItem = Exclude<SessionEvent, MessageEvent> | MessageRun | LeftMark
