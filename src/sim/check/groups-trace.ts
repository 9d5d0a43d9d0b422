/** The events of all client sessions of one cell, and the history they tell: who was in which view when, and saw what. */

import type { ClientTraceLine } from '../../lib/trace.ts'
import type { GroupOptions } from './groups.ts'
import { Names } from './report.ts'

/** A group view, as the first session that saw it told it. */
export interface ViewRecord {
  readonly index: number
  readonly group: number
  readonly id: string
  readonly names: readonly string[]
  /** Sessions, in the order of the view. */
  readonly members: readonly number[]
  readonly memberSet: ReadonlySet<number>
  readonly cause: 'join' | 'leave' | 'disconnect' | 'network'
  readonly origins: readonly { readonly view: string | null; readonly members: readonly string[] }[]
  /** By session: its origin. */
  readonly originOf: ReadonlyMap<number, number>
  /** Those who saw it: one stay each. */
  readonly stays: Map<number, Stay>
  /** The view before, for the first session that had one; null if nobody had. */
  previous: ViewRecord | null
  /** Members that `previous` lacks, and the other way round. */
  joined: readonly number[]
  left: readonly number[]
}

/** One session's time in one view. */
export interface Stay {
  readonly session: number
  readonly view: ViewRecord
  /** Messages for the group that it received meanwhile, under whichever group of theirs they came. */
  readonly messages: number[]
  /** Number of `messages` received before a transitional signal; they are all of them if there was none. */
  beforeSignal: number
  signalled: boolean
  /** Ordinals of its receptions: `from` ≤ n < `to`. */
  readonly from: number
  to: number
  /** How it ended. `end`: with the trace. */
  ending: 'view' | 'left' | 'closed' | 'end'
  /** The view after, if `ending` is `view`. */
  next: Stay | null
  /** Stays joined by other than network views have the same run. */
  readonly run: number
}

/** What a session knew when it sent: a stay, and how many of its messages it had received. */
export interface Knowledge {
  readonly stay: Stay
  readonly count: number
}

export interface MessageRecord {
  readonly name: string
  readonly index: number
  readonly sender: number
  /** Session sequence, or NaN. */
  readonly sequence: number
  /** Destination groups; null if no `send` line tells. */
  groups: readonly number[] | null
  /** By destination group: which of the sender's messages to that group this is. */
  ordinals: readonly number[]
  to: string | null
  service: string
  selfDiscard: boolean
  sends: number
  knowledge: Knowledge[]
  position: string | null
  /** Of the configuration that its position names; −1 if nobody received it. */
  epoch: number
  /** Who received it first, if it is private; −1: nobody did. */
  addressee: number
}

export interface SessionRecord {
  readonly index: number
  readonly name: string
  /** The daemon's id, from the session's. */
  readonly daemon: string
  readonly lines: ClientTraceLine[]
  /** Messages, as it received them. */
  readonly receptions: MessageRecord[]
  /** By message: its ordinal among the receptions. */
  readonly received: Map<number, number>
  closed: boolean
  /** Messages it sent, in order. */
  readonly sent: MessageRecord[]
  /** All stays, in order of their beginning. */
  readonly stays: Stay[]
}

/** A fate answer with what its reader knew at that point. */
export interface FateRecord {
  readonly session: number
  readonly line: Extract<ClientTraceLine, { e: 'fate' }>
  readonly message: MessageRecord
  readonly group: number
  /** Where its reader was in that group; null: in no view. */
  readonly stay: Stay | null
  /** True: it had had the transitional signal there. */
  readonly signalled: boolean
}

/** What a session did that has a place in the one order, packed as `index * 4 + kind`. */
export const RECEIVED = 0
export const SENT = 1
export const SHOWN = 2

export interface GroupHistory {
  readonly options: GroupOptions
  readonly sessions: readonly SessionRecord[]
  readonly groups: Names
  readonly messages: readonly MessageRecord[]
  readonly views: readonly ViewRecord[]
  readonly fates: readonly FateRecord[]
  /** By session. */
  readonly steps: readonly (readonly number[])[]
  /** By sender × groups + group: its messages to that group, in order. */
  readonly sentTo: ReadonlyMap<number, readonly MessageRecord[]>
  view(group: number, id: string): ViewRecord | undefined
  session(name: string): SessionRecord | undefined
  /** True: neither the session nor its daemon is known to have ended. */
  alive(session: SessionRecord): boolean
}

/** The daemon in a session id `name@daemon.number`. */
export function daemonOf(session: string): string {
  const dot = session.lastIndexOf('.')
  return session.slice(session.indexOf('@') + 1, dot < 0 ? undefined : dot)
}

/** Collects lines; everything is judged at the end, because a message may be received before its sender's line is read. */
export class GroupTrace {
  readonly sessionNames: Names = new Names()
  readonly sessions: SessionRecord[] = []
  readonly messageNames: Names = new Names()
  readonly messages: MessageRecord[] = []
  readonly groups: Names = new Names()
  readonly sentTo: Map<number, MessageRecord[]> = new Map()
  events = 0

  session(name: string): SessionRecord {
    const index = this.sessionNames.index(name)
    let session = this.sessions[index]
    if (!session) {
      session = {
        index,
        name,
        daemon: daemonOf(name),
        lines: [],
        receptions: [],
        received: new Map(),
        closed: false,
        sent: [],
        stays: [],
      }
      this.sessions.push(session)
    }
    return session
  }

  message(name: string): MessageRecord {
    const index = this.messageNames.index(name)
    let message = this.messages[index]
    if (!message) {
      const colon = name.lastIndexOf(':')
      const sequence = colon < 0 ? Number.NaN : Number(name.slice(colon + 1))
      const sender = colon < 0 ? -1 : this.session(name.slice(0, colon)).index
      message = {
        name,
        index,
        sender,
        sequence,
        groups: null,
        ordinals: [],
        to: null,
        service: '',
        selfDiscard: false,
        sends: 0,
        knowledge: [],
        position: null,
        epoch: -1,
        addressee: -1,
      }
      this.messages.push(message)
    }
    return message
  }

  line(line: ClientTraceLine): void {
    this.events++
    const session = this.session(line.p)
    session.lines.push(line)
    if (line.e === 'send') this.send(session, line)
  }

  private send(session: SessionRecord, line: Extract<ClientTraceLine, { e: 'send' }>): void {
    const message = this.message(line.m)
    message.sends++
    if (message.sends > 1) return
    message.groups = [...new Set(line.groups)].map(group => this.groups.index(group))
    message.service = line.service
    message.selfDiscard = line.selfDiscard === true
    message.to = line.to ?? null
    session.sent.push(message)
    message.ordinals = message.groups.map(group => {
      const key = group * 0x10_0000 + session.index
      const list = this.sentTo.get(key)
      if (list) return list.push(message) - 1
      this.sentTo.set(key, [message])
      return 0
    })
  }
}

/** Key of a (sender, group) pair in `sentTo`. */
export function sentKey(sender: number, group: number): number {
  return group * 0x10_0000 + sender
}

/** True if the message never comes to this session because it asked not to have its own copy. */
export function discards(message: MessageRecord, session: number): boolean {
  return message.selfDiscard && message.sender === session
}

/** The five whole numbers of `epoch.ts.rank.segment.index`; null if it is anything else. */
export function parsePosition(position: string): number[] | null {
  const numbers: number[] = []
  let value = -1
  for (let i = 0; i < position.length; i++) {
    const digit = position.charCodeAt(i) - 48
    if (digit >= 0 && digit <= 9) value = Math.max(value, 0) * 10 + digit
    else if (digit === -2 && value >= 0) {
      numbers.push(value)
      value = -1
    } else return null
  }
  numbers.push(value)
  return value >= 0 && numbers.length === 5 && numbers.every(Number.isSafeInteger) ? numbers : null
}

/** Negative, zero or positive as the one place is before, at, or after the other. */
export function comparePositions(a: readonly number[], b: readonly number[]): number {
  for (let i = 0; i < a.length; i++) {
    const difference = a[i]! - b[i]!
    if (difference !== 0) return difference
  }
  return 0
}
