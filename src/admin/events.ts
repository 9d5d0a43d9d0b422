/** What happened to a daemon that an operator may want to know, each with a typed reason. */

import type { LimitName } from '../config/limits.ts'
import type { LossReason, PhaseName } from '../core/api.ts'
import { type CallbackFailure, Callbacks } from '../lib/callbacks.ts'

interface InCell {
  /** '' for the daemon as a whole. */
  readonly cell: string
}

export type AdminEvent =
  | (InCell & { readonly type: 'phase'; readonly phase: PhaseName; readonly why: string })
  | (InCell & {
      readonly type: 'configuration'
      readonly kind: 'regular' | 'transitional'
      readonly id: string
      readonly members: readonly string[]
    })
  | (InCell & { readonly type: 'suspicion'; readonly member: string; readonly reason: LossReason })
  | (InCell & { readonly type: 'heard'; readonly member: string })
  /** A link to a peer came up or went down. */
  | (InCell & {
      readonly type: 'link'
      readonly peer: string
      readonly address: string
      readonly state: 'up' | 'down'
      readonly why: string
    })
  /** A peer was not let in, or did not let us in; `words` say what differs. */
  | (InCell & {
      readonly type: 'peerRejected'
      readonly address: string
      readonly by: 'us' | 'them'
      readonly words: string
    })
  | (InCell & {
      readonly type: 'clientRefused'
      readonly address: string
      readonly code: string
      readonly words: string
    })
  /** A session reads too slowly; it is warned, and credit may be held. */
  | (InCell & { readonly type: 'slowClient'; readonly session: string; readonly queueBytes: number })
  | (InCell & {
      readonly type: 'eviction'
      readonly session: string
      readonly reason: 'bytes' | 'seconds'
      readonly queueBytes: number
      readonly slowForMs: number
    })
  /** What `auto` chose. */
  | (InCell & { readonly type: 'transport'; readonly transport: string; readonly why: string })
  /** The loop of a cell stood still for so long that its own timers could not be believed. */
  | (InCell & { readonly type: 'stall'; readonly ms: number })
  | (InCell & {
      readonly type: 'limit'
      readonly limit: LimitName
      /** The session, peer or group that hit it; '' if nobody in particular. */
      readonly who: string
      readonly value: number
      readonly bound: number
    })
  /** A member ordered something against the rules: it counts for nothing, here as at all others. */
  | (InCell & { readonly type: 'brokenRule'; readonly member: string; readonly words: string })
  /** Something that the program around the node gave it threw; told once for each distinct error. */
  | (InCell & { readonly type: 'callback'; readonly callback: string; readonly words: string })

export interface RecordedEvent {
  /** 1, 2, 3 … in this daemon. */
  readonly sequence: number
  /** Wall clock, ms since 1970, of the first occurrence. */
  readonly at: number
  /** How often the same happened within a second of the first. */
  readonly count: number
  readonly event: AdminEvent
}

export type Severity = 'info' | 'warn'

/** How much an operator should care. */
export function severityOf(event: AdminEvent): Severity {
  switch (event.type) {
    case 'phase':
    case 'configuration':
    case 'heard':
    case 'transport':
      return 'info'
    case 'link':
      return event.state === 'up' ? 'info' : 'warn'
    case 'suspicion':
      return event.reason === 'left' ? 'info' : 'warn'
    case 'peerRejected':
    case 'clientRefused':
    case 'slowClient':
    case 'eviction':
    case 'stall':
    case 'limit':
    case 'brokenRule':
    case 'callback':
      return 'warn'
  }
}

const REASONS: { readonly [Reason in LossReason]: string } = {
  silent: 'nothing was heard of it',
  refused: 'its process is gone',
  left: 'it left',
  stalled: 'it made no progress',
  restarted: 'it was started again',
  unresponsive: 'it did not answer in the recovery',
  disagrees: 'it wants another membership',
}

/** The event as a sentence for logs and consoles, without the cell. */
export function describeEvent(event: AdminEvent): string {
  switch (event.type) {
    case 'phase':
      return `phase ${event.phase}: ${event.why}`
    case 'configuration':
      return `${event.kind} configuration ${event.id} of ${event.members.length}: ${event.members.join(' ')}`
    case 'suspicion':
      return `${event.member} is suspected: ${REASONS[event.reason]}`
    case 'heard':
      return `${event.member} is heard`
    case 'link':
      return `link to ${event.peer} (${event.address}) is ${event.state}${event.why === '' ? '' : `: ${event.why}`}`
    case 'peerRejected':
      return `${event.by === 'us' ? 'peer refused' : 'refused by peer'} (${event.address}): ${event.words}`
    case 'transport':
      return `transport ${event.transport}: ${event.why}`
    case 'clientRefused':
      return `client refused (${event.address}): ${event.code}: ${event.words}`
    case 'slowClient':
      return `${event.session} reads too slowly: ${event.queueBytes} bytes not acknowledged`
    case 'eviction':
      return (
        `${event.session} evicted: ${event.queueBytes} bytes not acknowledged, slow for ${Math.round(event.slowForMs)} ms` +
        ` (bound: ${event.reason})`
      )
    case 'stall':
      return `event loop stood still for ${Math.round(event.ms)} ms`
    case 'limit':
      return `limit ${event.limit} hit${event.who === '' ? '' : ` by ${event.who}`}: ${event.value} of ${event.bound}`
    case 'brokenRule':
      return `${event.member} breaks a rule, and is not heeded: ${event.words}`
    case 'callback':
      return `${event.callback} of the program failed: ${event.words}`
  }
}

/** The same thing again, if this is equal: particulars that vary from time to time are left out. */
function identityOf(event: AdminEvent): string {
  switch (event.type) {
    case 'slowClient':
      return `slowClient ${event.cell} ${event.session}`
    case 'stall':
      return `stall ${event.cell}`
    case 'limit':
      return `limit ${event.cell} ${event.limit} ${event.who}`
    case 'brokenRule':
      return `brokenRule ${event.cell} ${event.member} ${event.words}`
    case 'clientRefused':
      return `clientRefused ${event.cell} ${event.code}`
    case 'peerRejected':
      return `peerRejected ${event.cell} ${event.by} ${event.address} ${event.words}`
    default:
      return ''
  }
}

interface Entry {
  readonly sequence: number
  readonly at: number
  count: number
  readonly event: AdminEvent
}

const REPEAT_WITHIN_MS = 1000

/**
 * The last events of a daemon, in a ring; cells on other threads send theirs to the one that owns it.
 * What can come in floods (a limit hit by every message, a port scan) is recorded and told once a second, with a count.
 */
export class EventLog {
  private readonly capacity: number
  private readonly clock: () => number
  private readonly ring: (Entry | undefined)[]
  private readonly repeatable = new Map<string, Entry>()
  private readonly subscribers = new Set<(recorded: RecordedEvent) => void>()
  private readonly callbacks = new Callbacks(failure => void this.failures.push(failure))
  private readonly failures: CallbackFailure[] = []
  private last = 0

  /** @param clock wall clock in ms since 1970. */
  constructor(clock: () => number, capacity: number = 1024) {
    if (!Number.isInteger(capacity) || capacity < 1)
      throw new RangeError('an event log holds 1 event or more')
    this.clock = clock
    this.capacity = capacity
    this.ring = Array.from<Entry | undefined>({ length: capacity })
  }

  /** Events so far, also those that the ring no longer holds. */
  get sequence(): number {
    return this.last
  }

  emit(event: AdminEvent): void {
    const at = this.clock()
    const identity = identityOf(event)
    const repeated = identity === '' ? undefined : this.repeatable.get(identity)
    if (repeated !== undefined && Math.abs(at - repeated.at) < REPEAT_WITHIN_MS) {
      repeated.count++
      return
    }
    const entry: Entry = { sequence: ++this.last, at, count: 1, event }
    this.ring[entry.sequence % this.capacity] = entry
    if (identity !== '') this.remember(identity, entry)
    // Whoever only watches must not be able to stop what it watches.
    for (const subscriber of this.subscribers) {
      this.callbacks.call('a subscriber of events', () => subscriber({ ...entry }))
    }
    // After the event itself: all see them in their order. No more than are told apart.
    for (let failure = this.failures.shift(); failure !== undefined; failure = this.failures.shift()) {
      this.emit({ type: 'callback', cell: '', callback: failure.callback, words: failure.words })
    }
  }

  /** @returns ends the subscription. What a subscriber throws is an event itself, once for each distinct error. */
  subscribe(subscriber: (recorded: RecordedEvent) => void): () => void {
    this.subscribers.add(subscriber)
    return () => {
      this.subscribers.delete(subscriber)
    }
  }

  /** The last `most` events after `sequence` that are still held, oldest first. */
  recent(most: number = this.capacity, sequence: number = 0): RecordedEvent[] {
    const first = Math.max(1, sequence + 1, this.last - Math.min(most, this.capacity) + 1)
    const events: RecordedEvent[] = []
    for (let i = first; i <= this.last; i++) {
      const entry = this.ring[i % this.capacity]
      if (entry !== undefined) events.push({ ...entry })
    }
    return events
  }

  private remember(identity: string, entry: Entry): void {
    if (this.repeatable.size >= this.capacity) this.repeatable.clear()
    this.repeatable.set(identity, entry)
  }
}
