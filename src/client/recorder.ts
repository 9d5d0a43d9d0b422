/** Records a session's trace: what was read, as it was read, before any queue; and what the application did. */

import type { ClientPlace } from '../codec/client.ts'
import type { Service } from '../core/types.ts'
import type { SessionId } from '../groups/types.ts'
import type { Callbacks } from '../lib/callbacks.ts'
import type { ClientTraceLine } from '../lib/trace.ts'
import type { MessageFate } from './api.ts'
import type { ViewEvent } from './events.ts'
import type { Destination } from './outbox.ts'
import type { Position } from './position.ts'
import { positionOf } from './position.ts'
import type { MessageRun } from './run.ts'
import { RunCursor } from './run.ts'

/** A fate line names the message; its segment is looked up here. Segments. */
const REMEMBERED_SEGMENTS = 65_536

/** Omit, kept apart for each member of a union. */
type WithoutStamp<T> = T extends unknown ? Omit<T, 't' | 'p'> : never

function keyOf(place: ClientPlace): string {
  return `${place.epoch}.${place.ts}.${place.rank}.${place.index}`
}

export class Recorder {
  private readonly sink: (line: ClientTraceLine) => void
  private readonly clock: () => bigint
  private readonly callbacks: Callbacks
  private readonly segments = new Map<string, { readonly sender: SessionId; readonly first: number }>()

  constructor(sink: (line: ClientTraceLine) => void, clock: () => bigint, callbacks: Callbacks) {
    this.sink = sink
    this.clock = clock
    this.callbacks = callbacks
  }

  private write(session: SessionId, line: WithoutStamp<ClientTraceLine>): void {
    // In the middle of the stream, and of a send: neither may be torn by whoever only records them.
    this.callbacks.call('trace', () =>
      this.sink({ t: String(this.clock()), p: session, ...line } as ClientTraceLine),
    )
  }

  view(session: SessionId, event: ViewEvent): void {
    const { group, view: id, members, cause, origins } = event
    this.write(session, { e: 'view', group, id, members, cause, origins })
  }

  transitional(session: SessionId, group: string, id: string): void {
    this.write(session, { e: 'transitional', group, id })
  }

  run(session: SessionId, run: MessageRun): void {
    this.remember(run.place, run.sender, run.firstSequence)
    const cursor = new RunCursor(run)
    const group = run.group === null ? {} : { group: run.group }
    const view = run.view === null ? {} : { view: run.view }
    for (let event = cursor.next(); event !== null; event = cursor.next()) {
      if (event.type !== 'message') continue
      this.write(session, {
        e: 'receive',
        ...group,
        m: event.id,
        from: run.sender,
        ...view,
        position: event.position,
        service: run.service,
      })
    }
  }

  send(
    session: SessionId,
    destination: Destination,
    sequence: number,
    service: Service,
    selfDiscard: boolean,
  ): void {
    const discard = selfDiscard ? { selfDiscard } : {}
    const groups = destination.groups
    this.write(session, { e: 'send', m: `${session}:${sequence}`, groups, service, ...discard })
  }

  joined(session: SessionId, group: string): void {
    this.write(session, { e: 'join', group })
  }

  /** The leave was asked for. */
  leaving(session: SessionId, group: string): void {
    this.write(session, { e: 'leave', group })
  }

  /** The last word on the group. */
  left(session: SessionId, group: string): void {
    this.write(session, { e: 'closed', group })
  }

  closed(session: SessionId, why: string): void {
    this.write(session, { e: 'closed', why })
  }

  /** An own message that did not come back as a copy is known by its place from here on. */
  remember(place: ClientPlace, sender: SessionId, first: number): void {
    this.segments.set(keyOf(place), { sender, first })
    if (this.segments.size <= REMEMBERED_SEGMENTS) return
    for (const oldest of this.segments.keys()) {
      this.segments.delete(oldest)
      break
    }
  }

  /** Left out if the message's segment is not remembered any more. */
  fate(session: SessionId, group: string, place: ClientPlace, index: number, fate: MessageFate): void {
    const segment = this.segments.get(keyOf(place))
    if (segment === undefined) return
    this.write(session, {
      e: 'fate',
      m: `${segment.sender}:${segment.first + index}`,
      ...(group === '' ? {} : { group }),
      view: fate.view,
      position: positionOf(place, index) satisfies Position,
      received: fate.received,
      unknown: fate.unknown,
    })
  }
}
