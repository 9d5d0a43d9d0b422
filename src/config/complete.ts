/** From what a file says to a complete configuration: defaults, and the checks that no single value can fail alone. */

import { DEFAULT_CELL } from '../lib/defaults.ts'
import { coversPattern } from '../lib/pattern.ts'
import { collide, formatAddress, isWildcard, parseAddress, sameAddress } from './address.ts'
import type { Address } from './address.ts'
import {
  DEFAULT_CLUSTER,
  DEFAULT_PEER_PORT,
  defaultSlowClient,
  memberName,
  slowClientDefaults,
  socketPath,
} from './config.ts'
import type { CellConfig, Config, ConfigContext, Peer, SlowClientPolicy } from './config.ts'
import { defaultLimits, defaultTimeouts } from './limits.ts'
import type { CellFile, ConfigFile } from './schema.ts'
import { DEFAULT_MTU_BYTES, DEFAULT_TRANSPORT } from './transport.ts'

/** A problem at a path; the caller knows where that is in the text. */
export interface SemanticProblem {
  readonly path: readonly PropertyKey[]
  readonly message: string
}

/** Fills in every default. The file's values have been checked one by one. */
export function completeConfig(file: ConfigFile, context: ConfigContext): Config {
  const name = context.name ?? file.name ?? memberName(context.hostName)
  const runtime = file.runtime ?? context.runtime
  const cells = Object.entries(file.cells ?? { [DEFAULT_CELL]: {} })
  const fileTrace = isOff(file.trace) ? undefined : file.trace
  return {
    name,
    cluster: file.cluster ?? DEFAULT_CLUSTER,
    runtime,
    cells: cells.map(([cell, content]) =>
      completeCell(cell, content, { name, runtime, alone: cells.length === 1 }),
    ),
    log: { level: file.log?.level ?? 'info' },
    trace: context.trace ?? fileTrace ?? null,
  }
}

interface Surroundings {
  readonly name: string
  readonly runtime: string
  /** No other cell: its groups default to all, its port to the well-known one. */
  readonly alone: boolean
}

function completeCell(name: string, cell: CellFile, around: Surroundings): CellConfig {
  const peers: Peer[] = []
  for (const [peer, text] of Object.entries(cell.peers ?? {})) {
    const address = parseAddress(text)
    if (address !== null) peers.push({ name: peer, address })
  }
  const unix = cell.clients?.unix
  return {
    name,
    listen: listenAddress(cell, peers, around),
    peers,
    groups: cell.groups ?? (around.alone ? ['*'] : []),
    thread: cell.thread ?? 'host',
    transport: cell.transport ?? DEFAULT_TRANSPORT,
    multicast: address(cell.multicast),
    interface: cell.interface ?? null,
    mtu: cell.mtu ?? DEFAULT_MTU_BYTES,
    clients: {
      unix: isOff(unix) ? null : (unix ?? socketPath(around.runtime, name)),
      tcp: address(cell.clients?.tcp),
    },
    timeouts: { ...defaultTimeouts(), ...cell.timeouts },
    limits: { ...defaultLimits(), ...cell.limits },
    slowClient: slowClient(cell.slowClient ?? {}),
  }
}

function slowClient(file: NonNullable<CellFile['slowClient']>): SlowClientPolicy {
  const { policy, bytes, seconds } = slowClientDefaults[file.policy ?? defaultSlowClient.policy]
  return { policy, bytes: file.bytes ?? bytes, seconds: file.seconds ?? seconds }
}

/** What the file says, else our own entry among the peers, else loopback if nobody is expected to call. */
function listenAddress(cell: CellFile, peers: readonly Peer[], around: Surroundings): Address | null {
  if (cell.listen !== undefined) return address(cell.listen)
  const own = peers.find(peer => peer.name === around.name)
  if (own !== undefined) return own.address
  return peers.length === 0 && around.alone ? { host: '127.0.0.1', port: DEFAULT_PEER_PORT } : null
}

function address(value: string | false | undefined): Address | null {
  return value === undefined || isOff(value) ? null : parseAddress(value)
}

function isOff(value: string | false | undefined): value is 'off' | false {
  return value === false || value === 'off'
}

/** Whatever no value alone shows. `config` is what `completeConfig` made of `file`. */
export function checkConfig(config: Config, file: ConfigFile): SemanticProblem[] {
  const problems: SemanticProblem[] = []
  if (config.cells.length === 0) {
    problems.push({
      path: ['cells'],
      message: 'names no cell; give at least one, or leave it out for one cell `main`',
    })
  }
  for (const cell of config.cells) {
    checkPeers(config, cell, problems)
    checkTimes(cell, problems)
    checkBytes(cell, problems)
    checkTransport(config, cell, problems)
  }
  checkGroups(config, file, problems)
  checkListeners(config, problems)
  return problems
}

function checkPeers(config: Config, cell: CellConfig, problems: SemanticProblem[]): void {
  const path = ['cells', cell.name]
  const { listen, peers } = cell
  const own = peers.find(peer => peer.name === config.name)
  if (listen === null) {
    if (peers.length > 0 && own === undefined) {
      const message = `does not name this member, ${config.name}; add ${config.name}: HOST:PORT, or say where it listens`
      problems.push({ path: [...path, 'peers'], message })
    } else if (peers.length > (own === undefined ? 0 : 1)) {
      problems.push({
        path: [...path, 'listen'],
        message: 'is off, but there are peers; give HOST:PORT for them',
      })
    }
    return
  }
  if (own !== undefined && own.address.port !== listen.port) {
    const message = `has port ${own.address.port}, but this member, ${config.name}, listens on port ${listen.port}; must be the same`
    problems.push({ path: [...path, 'peers', own.name], message })
  }
  const seen: Peer[] = []
  for (const peer of peers) {
    const same = seen.find(other => sameAddress(other.address, peer.address))
    if (same !== undefined) {
      const message = `has the address of ${same.name}, ${formatAddress(peer.address)}; must be an address of its own`
      problems.push({ path: [...path, 'peers', peer.name], message })
    } else if (peer !== own && !isWildcard(listen.host) && sameAddress(peer.address, listen)) {
      const message = `has the address where this member, ${config.name}, listens; must be ${config.name}, or another address`
      problems.push({ path: [...path, 'peers', peer.name], message })
    }
    if (isWildcard(peer.address.host)) {
      const message = `is ${formatAddress(peer.address)}, which nobody can connect to; must be an address of that member`
      problems.push({ path: [...path, 'peers', peer.name], message })
    }
    seen.push(peer)
  }
  if (peers.length > cell.limits.maxMembers) {
    const message = `has ${peers.length} members; limits.maxMembers is ${cell.limits.maxMembers}, must be no less`
    problems.push({ path: [...path, 'peers'], message })
  }
}

function checkTimes(cell: CellConfig, problems: SemanticProblem[]): void {
  const { timeouts } = cell
  const path = ['cells', cell.name, 'timeouts']
  if (timeouts.suspectAfterMs < timeouts.heartbeatMs * 3) {
    const message = `is ${timeouts.suspectAfterMs}, less than three heartbeats; must be ${timeouts.heartbeatMs * 3} or more, or heartbeatMs smaller`
    problems.push({ path: [...path, 'suspectAfterMs'], message })
  }
  if (timeouts.maxHoldDownMs < timeouts.holdDownMs) {
    const message = `is ${timeouts.maxHoldDownMs}, less than holdDownMs; must be ${timeouts.holdDownMs} or more`
    problems.push({ path: [...path, 'maxHoldDownMs'], message })
  }
  const leastMs = Math.ceil(timeouts.suspectAfterMs / 2)
  if (timeouts.stalledAfterMs < leastMs) {
    const message = `is ${timeouts.stalledAfterMs}, sooner than this member would notice that it stood still itself; must be ${leastMs} or more, half of suspectAfterMs`
    problems.push({ path: [...path, 'stalledAfterMs'], message })
  }
}

function checkBytes(cell: CellConfig, problems: SemanticProblem[]): void {
  const { limits, slowClient } = cell
  const path = ['cells', cell.name]
  if (limits.maxFrameBytes > limits.windowBytes) {
    const message = `is ${limits.maxFrameBytes}, more than a window; must be at most limits.windowBytes, ${limits.windowBytes}`
    problems.push({ path: [...path, 'limits', 'maxFrameBytes'], message })
  }
  if (limits.statePartBytes >= limits.maxFrameBytes) {
    const message = `is ${limits.statePartBytes}, which does not fit a frame; must be less than limits.maxFrameBytes, ${limits.maxFrameBytes}`
    problems.push({ path: [...path, 'limits', 'statePartBytes'], message })
  }
  if (slowClient.bytes < limits.clientQueueBytes) {
    const message = `is ${slowClient.bytes}, less than limits.clientQueueBytes, where the warning comes; must be ${limits.clientQueueBytes} or more`
    problems.push({ path: [...path, 'slowClient', 'bytes'], message })
  }
  const uncredited = limits.clientQueueBytes + limits.windowBytes * Math.max(1, cell.peers.length)
  if (slowClient.policy === 'throttle' && slowClient.bytes < uncredited) {
    const message = `is ${slowClient.bytes}, less than the members can send to a client that is waited for; must be ${uncredited} or more, limits.clientQueueBytes and limits.windowBytes of each member`
    problems.push({ path: [...path, 'slowClient', 'bytes'], message })
  }
  if (slowClient.bytes < limits.messageBytes) {
    const message = `is ${slowClient.bytes}, less than one message may have; must be limits.messageBytes, ${limits.messageBytes}, or more`
    problems.push({ path: [...path, 'slowClient', 'bytes'], message })
  }
}

function checkTransport(config: Config, cell: CellConfig, problems: SemanticProblem[]): void {
  const { transport, multicast } = cell
  const path = ['cells', cell.name]
  if (multicast === null) {
    if (transport !== 'multicast') return
    const message = 'is multicast, but no group is given; add multicast: GROUP:PORT, such as 239.192.0.1:4803'
    problems.push({ path: [...path, 'transport'], message })
    return
  }
  const other = config.cells
    .slice(0, config.cells.indexOf(cell))
    .find(each => each.multicast !== null && sameAddress(each.multicast, multicast))
  if (other === undefined) return
  const message = `is ${formatAddress(multicast)}, which cell ${other.name} has, too; must be a group or port of its own`
  problems.push({ path: [...path, 'multicast'], message })
}

function checkGroups(config: Config, file: ConfigFile, problems: SemanticProblem[]): void {
  const earlier: { readonly cell: string; readonly pattern: string }[] = []
  for (const cell of config.cells) {
    const path = ['cells', cell.name, 'groups']
    if (cell.groups.length === 0) {
      const missing = file.cells?.[cell.name]?.groups === undefined
      problems.push({
        path,
        message: `${missing ? 'is missing' : 'is empty'}; must say which groups the cell carries, such as ['${cell.name}.*']`,
      })
    }
    cell.groups.forEach((pattern, index) => {
      const above = earlier.find(other => coversPattern(other.pattern, pattern))
      if (above !== undefined) {
        const message = `'${pattern}' never matches: '${above.pattern}' of cell ${above.cell} comes first and takes all of it; must come before it, or go`
        problems.push({ path: [...path, index], message })
      }
      earlier.push({ cell: cell.name, pattern })
    })
  }
}

function checkListeners(config: Config, problems: SemanticProblem[]): void {
  const sockets: { readonly path: readonly string[]; readonly address: Address | string }[] = []
  for (const cell of config.cells) {
    const path = ['cells', cell.name]
    if (cell.listen !== null) sockets.push({ path: [...path, 'listen'], address: cell.listen })
    if (cell.clients.tcp !== null)
      sockets.push({ path: [...path, 'clients', 'tcp'], address: cell.clients.tcp })
    if (cell.clients.unix !== null)
      sockets.push({ path: [...path, 'clients', 'unix'], address: cell.clients.unix })
  }
  sockets.forEach((socket, index) => {
    const taken = sockets.slice(0, index).find(other => overlap(other.address, socket.address))
    if (taken !== undefined) {
      const shown = typeof socket.address === 'string' ? socket.address : formatAddress(socket.address)
      problems.push({
        path: socket.path,
        message: `${shown} is taken by ${taken.path.join('.')}; must be one of its own`,
      })
    }
  })
}

function overlap(a: Address | string, b: Address | string): boolean {
  if (typeof a === 'string' || typeof b === 'string') return a === b
  return collide(a, b)
}
