/** Connecting to a daemon over a socket. */

import type { MessagePort } from 'node:worker_threads'
import type { CellDescription } from '../codec/client.ts'
import { AnasaziError } from '../lib/errors.ts'
import { parseAddress } from './address.ts'
import type { Session, SessionOptions, TransferablePort } from './api.ts'
import { defaultConnectAddress, monotonicNanoseconds, openSocketChannel } from './channel-socket.ts'
import { openThreadChannel } from './channel-thread.ts'
import type { OpenCell } from './session.ts'
import { ClientSession, DEFAULT_HANDSHAKE_TIMEOUT_MS } from './session.ts'
import { shareSession } from './share.ts'

/** Hosts that a daemon listens on and nobody can connect to. */
const ANY_HOST = new Set(['0.0.0.0', '::', '*', ''])

/**
 * Where another cell of the daemon at `address` is reached: by the same kind of address, because a path or a loopback
 * host of the daemon's machine may lead to another daemon on this one.
 */
export function endpointOf(address: string, cell: CellDescription): string {
  const known = parseAddress(address)
  for (const endpoint of cell.endpoints) {
    const other = parseAddress(endpoint)
    if (other.kind !== known.kind) continue
    if (other.kind === 'unix' || known.kind === 'unix') return endpoint
    if (!ANY_HOST.has(other.host)) return endpoint
    const host = known.host.includes(':') ? `[${known.host}]` : known.host
    return `tcp://${host}:${other.port}`
  }
  throw new AnasaziError(
    'connection-refused',
    `Cell '${cell.name}' has no ${known.kind} address for clients.`,
  )
}

/**
 * Open a session.
 *
 * @param to `unix:/path` or `tcp://host:port`; the address that all tools share if it is left out; in a thread beside a
 *   node, what that node's `port()` gave.
 * @throws AnasaziError `bad-address`, `connection-refused`, `refused`, `name-in-use`, `protocol`,
 *   `handshake-timeout`, `connection-lost`, `aborted`.
 */
export async function connect(
  to?: string | TransferablePort,
  options: SessionOptions = {},
): Promise<Session> {
  if (typeof to === 'object') {
    const first = options.cell ?? null
    return openSession(async cell => openThreadChannel(to as MessagePort, cell?.name ?? first), options)
  }
  const address = to ?? defaultConnectAddress()
  let { signal } = options
  const timeoutMs = options.handshakeTimeoutMs ?? DEFAULT_HANDSHAKE_TIMEOUT_MS
  const session = await openSession(
    cell => openSocketChannel(cell === null ? address : endpointOf(address, cell), { signal, timeoutMs }),
    options,
  )
  // It was for this call; a later reconnection is another matter.
  signal = undefined
  return session
}

/** A session over channels of any kind, e.g. those of a node in the same process. Errors as those of `connect`. */
export function openSession(openCell: OpenCell, options: SessionOptions = {}): Promise<Session> {
  return ClientSession.open(openCell, { clock: monotonicNanoseconds, ...options }, shareSession)
}
