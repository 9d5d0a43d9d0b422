/** What a node and the worker thread of one of its cells say to each other. Never a message per client message. */

import type { AdminEvent } from '../admin/events.ts'
import type { CellStatus } from '../admin/status.ts'
import type { RingEnd } from '../client/channel-ring.ts'
import type { CellDescription } from '../codec/client.ts'
import type { CellConfig } from '../config/config.ts'
import type { NodeIdentity } from './host.ts'

export interface WorkerStart {
  readonly identity: NodeIdentity
  readonly config: CellConfig
  readonly trace: string | null
  readonly counters: SharedArrayBuffer
}

export type ToWorker =
  | { readonly type: 'announce'; readonly cells: readonly CellDescription[] }
  /** A session in the node's process, at the other end of these rings. */
  | { readonly type: 'session'; readonly end: RingEnd }
  | { readonly type: 'status'; readonly request: number }
  | { readonly type: 'leave'; readonly request: number; readonly timeoutMs: number }
  | { readonly type: 'close'; readonly request: number }
  /** Answer to `nodeStatus`. */
  | { readonly type: 'nodeStatus'; readonly request: number; readonly json: string }
  /** Blocks the worker's event loop for so long: a wedge, for tests of isolation. */
  | { readonly type: 'wedge'; readonly ms: number }

export type FromWorker =
  | { readonly type: 'started'; readonly addresses: readonly string[] }
  | { readonly type: 'failed'; readonly name: string; readonly message: string }
  | { readonly type: 'event'; readonly event: AdminEvent }
  | { readonly type: 'status'; readonly request: number; readonly status: Omit<CellStatus, 'counters'> }
  | { readonly type: 'done'; readonly request: number }
  /** A client of this cell asks for the status of the whole node. */
  | { readonly type: 'nodeStatus'; readonly request: number }
