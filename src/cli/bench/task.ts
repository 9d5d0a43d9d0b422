/**
 * What the harness and its working processes tell each other. Commands are lines of words on standard input, answers are
 * lines of JSON on standard output, so that a worker may be written in any language.
 *
 *     work RATE PROBE FIRST WARM SECONDS   send so many messages a second (0: as many as go, -1: none), each timed if PROBE
 *                                is 1, the first one at FIRST (µs); after WARM seconds measure for SECONDS
 *     talk RATE PROBE FIRST      the same, and measure nothing yet
 *     measure WARM SECONDS       measure once more, or for the first time
 *     mark TIME                  times are counted apart from what is sent at TIME (µs) on, until a view follows
 *     end                        what is measured ends now
 *     enter                      join the group that others are in; `asked` first
 *     leave                      leave it again; `asked` first
 *     stop                       say a last word, and end when those of all talkers have come
 *     quit                       end
 */

import type { Buckets } from './histogram.ts'

export type Iteration = 'batches' | 'plain'
export type ServiceName = 'agreed' | 'safe'

/** A member of one or many groups. */
export interface MemberTask {
  readonly kind: 'member'
  readonly name: string
  readonly address: string
  /** With which the names of its groups begin; default: none. */
  readonly prefix?: string
  /** Groups that it joins; each message goes to one of them at random. */
  readonly groups: number
  /** It is ready when its view has so many members. */
  readonly members: number
  /** How many of them send. */
  readonly talkers: number
  /** Bytes of a message. */
  readonly size: number
  readonly iterator: Iteration
  readonly service: ServiceName
}

/** Many sessions, each a member of the same group. */
export interface CrowdTask {
  readonly kind: 'crowd'
  readonly name: string
  readonly address: string
  readonly sessions: number
  /** All is done when each of them has a view with so many members. */
  readonly members: number
}

/** One session in many groups. */
export interface JoinerTask {
  readonly kind: 'joiner'
  readonly name: string
  readonly address: string
  readonly groups: number
}

/** One session that enters and leaves the group of the members. */
export interface VisitorTask {
  readonly kind: 'visitor'
  readonly name: string
  readonly address: string
}

export type WorkerTask = MemberTask | CrowdTask | JoinerTask | VisitorTask

export interface Measured {
  readonly type: 'measured'
  /** That it measured. */
  readonly seconds: number
  readonly messages: number
  readonly bytes: number
  /** Messages that it sent meanwhile. */
  readonly sent: number
  /** Messages by sender, in any order. */
  readonly bySender: readonly number[]
  /** Times from sending to delivery, µs: to the sender itself, and to others. */
  readonly own: Buckets
  readonly cross: Buckets
  /** The same of what was sent from the mark until the next view; empty without a mark. */
  readonly marked: Buckets
}

export interface Finished {
  readonly type: 'finished'
  readonly accepted: number
  readonly received: number
  readonly gaps: number
  readonly views: readonly { readonly view: string; readonly messages: number; readonly hash: number }[]
}

/** A view with so many members came at this time, µs. */
export interface SawView {
  readonly type: 'view'
  readonly members: number
  readonly at: number
}

/** What `crowd` and `joiner` did came to its end. */
export interface Entered {
  readonly type: 'entered'
  readonly at: number
}

/** A visitor begins to do what it was told, at this time, µs. */
export interface Asked {
  readonly type: 'asked'
  readonly at: number
}

export type Answer =
  | { readonly type: 'ready' }
  /** The measurement begins. */
  | { readonly type: 'began' }
  | { readonly type: 'marked' }
  | { readonly type: 'failed'; readonly why: string }
  | Measured
  | Finished
  | SawView
  | Entered
  /** Of what moves bytes without a protocol: others may connect to it. */
  | { readonly type: 'listening' }
  /** Of the link emulator: who wants to go there connects here. */
  | { readonly type: 'routed'; readonly link: string; readonly address: string }
  | Asked
  /** A visitor is out of the group. */
  | { readonly type: 'left' }
