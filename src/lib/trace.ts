/**
 * Trace lines: one JSON object a line, recorded by daemons (cell level) and clients (group level), read by the checkers.
 * Times are monotonic nanoseconds as decimal strings; ids are opaque strings. `docs/trace.md` describes the format.
 */

interface CellBase {
  readonly t: string
  /** The daemon: `name#incarnation`. */
  readonly p: string
  readonly cell: string
}

export type CellTraceLine =
  | (CellBase & {
      readonly e: 'conf'
      readonly id: string
      readonly kind: 'regular' | 'transitional'
      /** For a transitional configuration: the regular one that it closes. */
      readonly of?: string
      readonly members: readonly string[]
    })
  /** Origination: `m` got its place in the order, in the current regular configuration of `p`. */
  | (CellBase & {
      readonly e: 'send'
      readonly m: string
      readonly service: 'fifo' | 'causal' | 'agreed' | 'safe'
    })
  | (CellBase & { readonly e: 'deliver'; readonly m: string })
  | (CellBase & { readonly e: 'fail' })

interface ClientBase {
  readonly t: string
  /** The session: `name@daemon.number`. */
  readonly p: string
  /** The cell of the event; absent: the only one, or any (ids are unique within a cell). */
  readonly cell?: string
}

export type ClientTraceLine =
  | (ClientBase & {
      readonly e: 'view'
      readonly group: string
      readonly id: string
      readonly members: readonly string[]
      readonly cause: 'join' | 'leave' | 'disconnect' | 'network'
      /** For `network`: every set that came together, with the view it comes from (`view` null: first view). */
      readonly origins: readonly { readonly view: string | null; readonly members: readonly string[] }[]
    })
  | (ClientBase & { readonly e: 'transitional'; readonly group: string; readonly id: string })
  | (ClientBase & {
      readonly e: 'receive'
      /** Absent for a private message. */
      readonly group?: string
      readonly m: string
      readonly from: string
      readonly view?: string
      readonly position: string
      readonly service: 'fifo' | 'causal' | 'agreed' | 'safe'
    })
  /** The client library accepted the message; `m` is `session:sequence`. */
  | (ClientBase & {
      readonly e: 'send'
      readonly m: string
      /** Destination groups; empty for a private message. */
      readonly groups: readonly string[]
      /** A private message: the session it is for. */
      readonly to?: string
      readonly service: 'fifo' | 'causal' | 'agreed' | 'safe'
      readonly selfDiscard?: boolean
    })
  /** Recorded when the application asks. */
  | (ClientBase & { readonly e: 'join' | 'leave'; readonly group: string })
  /**
   * With `group`: the membership ended (the leave took effect); nothing of that group follows unless it joins again.
   * Without: the session ended, by its own wish, or because its daemon or connection was lost; nothing follows.
   */
  | (ClientBase & { readonly e: 'closed'; readonly group?: string; readonly why?: string })
  | (ClientBase & {
      readonly e: 'fate'
      readonly m: string
      readonly group?: string
      readonly view: string
      readonly position: string
      readonly received: readonly string[]
      readonly unknown: readonly string[]
    })

export type TraceLine = CellTraceLine | ClientTraceLine
