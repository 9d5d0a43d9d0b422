/** The status document: what `anasazi status --json` prints. Pure data, made from what its providers say at the moment. */

import type { TransportChoice } from '../config/transport.ts'
import type { PhaseName } from '../core/api.ts'
import type { RecordedEvent } from './events.ts'
import type { CounterName } from './registry.ts'

export type TransportInUse = TransportChoice['transport']
export type LinkState = 'up' | 'connecting' | 'down' | 'refused'

export interface PeerStatus {
  /** Identity; null before the peer was heard. */
  readonly member: string | null
  readonly name: string
  readonly address: string | null
  readonly link: LinkState
  /** Why the link is not up; '' if it is. */
  readonly why: string
  /** How data gets to it at the moment. With `udp` or `multicast` in the cell, `tcp` is for whom no datagrams reach. */
  readonly carrier: TransportInUse
  /** Null: never. */
  readonly lastHeardMs: number | null
  readonly queueBytes: number
}

export interface SessionStatus {
  readonly id: string
  readonly groups: number
  readonly queueBytes: number
  /** The session has read everything up to this place; null: nothing yet. */
  readonly acknowledged: { readonly epoch: number; readonly ts: number } | null
}

export interface CellStatus {
  /** `unresponsive`: the cell's own thread does not answer; but for the counters nothing more is known of it. */
  readonly phase: PhaseName | 'unresponsive'
  readonly thread: 'host' | 'dedicated'
  readonly transport: TransportInUse
  /** Digest of the cells and rules, in hexadecimal. */
  readonly order: string
  readonly configuration: { readonly id: string; readonly members: readonly string[] }
  readonly endpoints: readonly string[]
  readonly groups: number
  readonly peers: readonly PeerStatus[]
  readonly sessions: readonly SessionStatus[]
  readonly counters: Readonly<Record<CounterName, number>>
}

export interface StatusDocument {
  readonly daemon: {
    readonly name: string
    readonly id: string
    readonly cluster: string
    readonly version: string
    readonly process: number
    readonly uptimeMs: number
  }
  readonly cells: Readonly<Record<string, CellStatus>>
  /** Oldest first. */
  readonly events: readonly RecordedEvent[]
}

/** What a cell says of itself. A cell on a worker thread answers with a copy. */
export interface CellStatusProvider {
  readonly name: string
  /** All but the numbers. */
  describe(): Omit<CellStatus, 'counters'>
  readonly counters: { snapshot(): Record<CounterName, number> }
}

export interface StatusProviders {
  readonly daemon: StatusDocument['daemon']
  readonly cells: readonly CellStatusProvider[]
  readonly events: { recent(most: number): RecordedEvent[] }
}

/** @param recentEvents how many of the last events are included. */
export function statusDocument(providers: StatusProviders, recentEvents: number = 50): StatusDocument {
  const cells = providers.cells.map((cell): [string, CellStatus] => [
    cell.name,
    { ...cell.describe(), counters: cell.counters.snapshot() },
  ])
  return {
    daemon: providers.daemon,
    cells: Object.fromEntries(cells),
    events: providers.events.recent(recentEvents),
  }
}

/** The document as text: what the daemon answers to a `status` query. */
export function statusJson(providers: StatusProviders, recentEvents?: number): string {
  return JSON.stringify(statusDocument(providers, recentEvents))
}
