/** The configuration of a daemon, complete: every default is filled in. Plain data that a worker can be handed. */

import type { CellTimeouts } from '../core/api.ts'
import { DEFAULT_CELL } from '../lib/defaults.ts'
import type { Address } from './address.ts'
import { defaultLimits, defaultTimeouts } from './limits.ts'
import type { NodeLimits } from './limits.ts'
import { DEFAULT_MTU_BYTES, DEFAULT_TRANSPORT, type TransportName } from './transport.ts'

/** Where peers connect when nothing says otherwise. */
export const DEFAULT_PEER_PORT = 4803
export const DEFAULT_CLUSTER = 'default'

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent'
export const LOG_LEVELS: readonly LogLevel[] = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']

export interface Peer {
  readonly name: string
  readonly address: Address
}

/**
 * What becomes of a client that does not read what it is sent. Above `clientQueueBytes` the daemon holds back its credit for
 * it, and so slows the senders. `evict`: the others wait for a moment only; it goes at the first of the two bounds.
 * `throttle`: the others wait for it, for as long as `seconds` says; then it goes. So that time alone decides, `bytes` must
 * have room for all that members can send without credit.
 */
export interface SlowClientPolicy {
  /** Unacknowledged bytes at which it is evicted at once. */
  readonly bytes: number
  /** How long a client may be behind, holding back the daemon's credit, before it is evicted. */
  readonly seconds: number
  readonly policy: 'evict' | 'throttle'
}

export interface CellConfig {
  readonly name: string
  /** Where peers connect; null: this member has none. */
  readonly listen: Address | null
  /** Known peers, in the order of the file; may contain this member itself. */
  readonly peers: readonly Peer[]
  /** Patterns of the groups of this cell. */
  readonly groups: readonly string[]
  /** The host's event loop, or a worker thread of the cell's own. */
  readonly thread: 'host' | 'dedicated'
  readonly transport: TransportName
  /** Group to which multicast sends; null: none. */
  readonly multicast: Address | null
  /** IP address of the interface for multicast; null: that on which peers are accepted. */
  readonly interface: string | null
  /** Bytes of the largest IP packet that passes everywhere. */
  readonly mtu: number
  readonly clients: { readonly unix: string | null; readonly tcp: Address | null }
  readonly timeouts: CellTimeouts
  readonly limits: NodeLimits
  readonly slowClient: SlowClientPolicy
}

export interface Config {
  /** First part of the member id. */
  readonly name: string
  readonly cluster: string
  /** Directory of the sockets. */
  readonly runtime: string
  /**
   * In the order of the file: the first pattern that matches a group decides. The first cell is the default one, which also
   * has the groups that no pattern matches.
   */
  readonly cells: readonly CellConfig[]
  readonly log: { readonly level: LogLevel }
  /** File for the NDJSON trace of all cells; null: off. */
  readonly trace: string | null
}

/** What depends on the machine and on the command line. */
export interface ConfigContext {
  /** Used where the file does not name the member. */
  readonly hostName: string
  /** Used where the file does not name the runtime directory. */
  readonly runtime: string
  /** These win over the file. */
  readonly name?: string
  readonly trace?: string
}

/** By policy; the first is the default. */
export const slowClientDefaults: { readonly [Policy in SlowClientPolicy['policy']]: SlowClientPolicy } = {
  evict: { bytes: 64 * 1024 * 1024, seconds: 2, policy: 'evict' },
  throttle: { bytes: 256 * 1024 * 1024, seconds: 30, policy: 'throttle' },
}

export const defaultSlowClient: SlowClientPolicy = slowClientDefaults.evict

/** One member that listens on loopback only: what a daemon does without a configuration. */
export function defaultConfig(context: ConfigContext): Config {
  const runtime = context.runtime
  return {
    name: context.name ?? memberName(context.hostName),
    cluster: DEFAULT_CLUSTER,
    runtime,
    cells: [
      {
        name: DEFAULT_CELL,
        listen: { host: '127.0.0.1', port: DEFAULT_PEER_PORT },
        peers: [],
        groups: ['*'],
        thread: 'host',
        transport: DEFAULT_TRANSPORT,
        multicast: null,
        interface: null,
        mtu: DEFAULT_MTU_BYTES,
        clients: { unix: socketPath(runtime, DEFAULT_CELL), tcp: null },
        timeouts: defaultTimeouts(),
        limits: defaultLimits(),
        slowClient: defaultSlowClient,
      },
    ],
    log: { level: 'info' },
    trace: context.trace ?? null,
  }
}

export function socketPath(runtime: string, cell: string): string {
  return `${runtime.replace(/\/+$/, '')}/${cell}.sock`
}

/** A host name as a member name: what is not allowed in one becomes `-`. */
export function memberName(hostName: string): string {
  const name = hostName
    .replace(/[^A-Za-z0-9._-]/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '')
    .slice(0, 64)
  return name === '' ? 'member' : name
}
