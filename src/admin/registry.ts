/**
 * The one table of what can be seen of a daemon: every counter, gauge and piece of state, with its meaning.
 * Status, metrics, consoles and agents read it; what is not in it does not exist.
 */

import { limitNames } from '../config/limits.ts'
import type { LimitName } from '../config/limits.ts'
import type { LossReason } from '../core/api.ts'

export type Kind = 'counter' | 'gauge' | 'state'

/** `constant` for the life of the daemon, `monotone`: only grows, `variable`: goes anywhere. */
export type Mutability = 'constant' | 'monotone' | 'variable'

export type Unit =
  | 'frames'
  | 'datagrams'
  | 'bytes'
  | 'segments'
  | 'messages'
  | 'requests'
  | 'configurations'
  | 'attempts'
  | 'suspicions'
  | 'members'
  | 'connections'
  | 'sessions'
  | 'groups'
  | 'views'
  | 'events'
  | 'lines'
  | 'turns'
  | 'ms'
  | 'none'

export interface Row {
  /** Dotted; the first part is what it belongs to: `daemon`, `cell`, `peer` of a cell, `session` of a cell. */
  readonly name: string
  readonly unit: Unit
  readonly kind: Kind
  readonly mutability: Mutability
  readonly help: string
}

/** Counters of a cell that are always there; only its own thread writes them. */
const counters = [
  ['cell.frames.in.control', 'frames', 'Frames from peers on the liveness and membership lane.'],
  ['cell.frames.in.data', 'frames', 'Frames from peers on the data lane.'],
  [
    'cell.frames.out.control',
    'frames',
    'Frames to peers on the liveness and membership lane, one for each peer.',
  ],
  ['cell.frames.out.data', 'frames', 'Frames to peers on the data lane, one for each peer.'],
  ['cell.bytes.in.control', 'bytes', 'Bytes of frames from peers on the liveness and membership lane.'],
  ['cell.bytes.in.data', 'bytes', 'Bytes of frames from peers on the data lane.'],
  ['cell.bytes.out.control', 'bytes', 'Bytes of frames to peers on the liveness and membership lane.'],
  ['cell.bytes.out.data', 'bytes', 'Bytes of frames to peers on the data lane.'],
  ['cell.dropped.crc', 'frames', 'Frames dropped because their checksum was wrong.'],
  ['cell.dropped.malformed', 'frames', 'Frames dropped because they could not be decoded.'],
  [
    'cell.dropped.foreign',
    'frames',
    'Frames dropped because they were for another cell or from an unknown sender.',
  ],
  ['cell.dropped.overflow', 'frames', 'Frames not sent because the queue to a peer was full.'],
  ['cell.heartbeats.in', 'frames', 'Heartbeats from peers.'],
  ['cell.heartbeats.out', 'frames', 'Heartbeats to peers, one for each peer.'],
  ['cell.announcements.in', 'frames', 'Facts from peers in frames of their own.'],
  ['cell.announcements.out', 'frames', 'Facts to peers in frames of their own, one for each peer.'],
  ['cell.naks.in', 'requests', 'Requests of peers to retransmit.'],
  ['cell.naks.out', 'requests', 'Requests to peers to retransmit.'],
  [
    'cell.retransmissions.in',
    'frames',
    'Frames that came late, or from another than their sender: sent again.',
  ],
  ['cell.retransmissions.out', 'frames', 'Frames sent again because a peer asked.'],
  ['cell.relays.given', 'frames', 'Frames of this member given to one peer to pass on to the others.'],
  ['cell.relays.in', 'frames', 'Frames of other members that came by way of a third.'],
  ['cell.relays.out', 'frames', 'Frames of other members passed on; they are not among the frames to peers.'],
  ['cell.relays.outBytes', 'bytes', 'Bytes of these.'],
  [
    'cell.relays.bypassed',
    'frames',
    'Times that a peer was sent a copy of its own, as it was silent or did not take what waited for it.',
  ],
  ['cell.relays.unreached', 'frames', 'Frames that could not be passed on to a member from here.'],
  ['cell.relays.dropped', 'frames', 'Frames passed on to here that made no sense, or were of no peer.'],
  ['cell.datagrams.in', 'datagrams', 'Datagrams from peers.'],
  ['cell.datagrams.out', 'datagrams', 'Datagrams to peers; one to a group counts once.'],
  ['cell.datagrams.resent', 'datagrams', 'Of these, such as were sent again.'],
  ['cell.datagrams.duplicates', 'datagrams', 'Datagrams from peers that had come before.'],
  [
    'cell.datagrams.foreign',
    'datagrams',
    'Datagrams dropped: of strangers or of former incarnations, or none of this protocol.',
  ],
  [
    'cell.datagrams.attached',
    'events',
    'Times that a peer was found to hear datagrams, and got its data so.',
  ],
  [
    'cell.datagrams.detached',
    'events',
    'Times that a peer got its data over the connection again, as it fell behind or silent.',
  ],
  ['cell.segments.originated', 'segments', 'Segments of this daemon that got their place in the order.'],
  ['cell.segments.delivered', 'segments', 'Segments that were delivered in the order.'],
  ['cell.accepted.messages', 'messages', 'Messages accepted from local sessions.'],
  ['cell.accepted.bytes', 'bytes', 'Payload accepted from local sessions.'],
  ['cell.delivered.messages', 'messages', 'Messages delivered to local sessions, each session counted.'],
  ['cell.delivered.bytes', 'bytes', 'Payload delivered to local sessions, each session counted.'],
  ['cell.delivered.safe', 'messages', 'Of these, messages with safe delivery.'],
  ['cell.configurations.installed', 'configurations', 'Regular configurations installed.'],
  ['cell.attempts.started', 'attempts', 'Attempts to form a configuration that this member took part in.'],
  ['cell.attempts.failed', 'attempts', 'Of these, attempts that were given up.'],
  ['cell.peers.connected', 'connections', 'Times that both lanes to a peer were connected.'],
  ['cell.peers.lost', 'connections', 'Times that a peer which was so connected lost a lane.'],
  ['cell.peers.resumed', 'connections', 'Lanes connected again to the same incarnation of a peer.'],
  [
    'cell.peers.rejected',
    'connections',
    'Connections refused, by either side, or closed because what came was no frame, or nothing.',
  ],
  ['cell.sessions.opened', 'sessions', 'Sessions opened.'],
  [
    'cell.sessions.closed',
    'sessions',
    'Sessions that ended in order: as the client asked, or as the daemon left.',
  ],
  ['cell.sessions.lost', 'sessions', 'Sessions whose connection was lost.'],
  ['cell.sessions.evicted', 'sessions', 'Sessions ended because they were too slow.'],
  [
    'cell.sessions.refused',
    'sessions',
    'Clients sent away: in the handshake, or because they broke the protocol.',
  ],
  ['cell.sessions.warned', 'events', 'Warnings to sessions that read too slowly.'],
  ['cell.joins', 'events', 'Joins of local sessions that were ordered.'],
  ['cell.leaves', 'events', 'Leaves of local sessions that were ordered.'],
  ['cell.views', 'views', 'Views shown to local sessions, each view counted once.'],
  [
    'cell.rules.broken',
    'events',
    'What other members ordered against the rules: it counts for nothing, here as at all others.',
  ],
  ['cell.credit.holds', 'events', 'Times that credit was held back because a local session lagged.'],
  ['cell.credit.heldMs', 'ms', 'Time for which credit was held back.'],
  [
    'cell.intake.pauses',
    'events',
    'Times that a session was not read because too much of it waited for its place in the order.',
  ],
  ['cell.loop.turns', 'turns', 'Turns of the loop that drives the cell.'],
  ['cell.loop.stalls', 'events', 'Turns that came too late for the timeouts to mean anything.'],
  ['cell.loop.stalledMs', 'ms', 'Time for which the loop stood still in these.'],
  [
    'cell.loop.cutShort',
    'turns',
    'Turns that left some of their work for clients to the next, so that peers were heard in between.',
  ],
  ['cell.trace.lines', 'lines', 'Lines written to the trace.'],
  ['cell.trace.dropped', 'lines', 'Lines not written because the trace file could not take them.'],
] as const

/** Values of a cell that go up and down; only its own thread writes them. */
const gauges = [
  ['cell.members', 'members', 'Members of the installed configuration.'],
  ['cell.sessions.open', 'sessions', 'Sessions of this daemon.'],
  ['cell.groups.known', 'groups', 'Groups with a member anywhere in the configuration.'],
  ['cell.queue.bytes', 'bytes', 'What waits for the window.'],
  ['cell.window.bytes', 'bytes', 'What this member has in flight without the credit of all.'],
  ['cell.history.bytes', 'bytes', 'What is kept for retransmission.'],
  ['cell.clients.queueBytes', 'bytes', 'What local sessions have not acknowledged, all together.'],
  ['cell.peers.queueBytes', 'bytes', 'What waits to be written to peers, all together.'],
] as const

export const lossReasons: readonly LossReason[] = [
  'silent',
  'refused',
  'left',
  'stalled',
  'restarted',
  'unresponsive',
  'disagrees',
]

const suspicionHelp: { readonly [Reason in LossReason]: string } = {
  silent: 'Members suspected because nothing was heard of them.',
  refused: 'Members whose process was known to be gone.',
  left: 'Members that were known to have left the configuration.',
  stalled: 'Members suspected because they made no progress.',
  restarted: 'Members of which a later incarnation was heard.',
  unresponsive: 'Members that did not answer in a recovery.',
  disagrees: 'Members that wanted another membership for too long.',
}

/**
 * Limits that are sizes: of the parts into which things are cut, of what is remembered, of a crowd. They are reached all the
 * time, so no counter says so.
 */
type Size =
  | 'aggregateFrom'
  | 'maxFrameBytes'
  | 'maxFrameSegments'
  | 'statePartBytes'
  | 'fateViews'
  | 'fateViewsTotal'
  | 'fatePrivate'
  | 'rememberedDaemons'

const sizes: { readonly [Name in Size]: true } = {
  aggregateFrom: true,
  maxFrameBytes: true,
  maxFrameSegments: true,
  statePartBytes: true,
  fateViews: true,
  fateViewsTotal: true,
  fatePrivate: true,
  rememberedDaemons: true,
}

/** A limit that somebody can hit, which is counted. */
export type CountedLimit = Exclude<LimitName, Size>

export const countedLimits: readonly CountedLimit[] = limitNames.filter(
  (name): name is CountedLimit => !(name in sizes),
)

export type CounterName =
  | (typeof counters)[number][0]
  | (typeof gauges)[number][0]
  | `cell.suspicions.${LossReason}`
  | `cell.limits.${CountedLimit}`

/** State that is read from where it lives when somebody asks. */
const states: readonly Row[] = [
  state('daemon.name', 'none', 'constant', 'Name of the member, from the configuration.'),
  state('daemon.id', 'none', 'constant', 'Identity of this incarnation: name#32 hexadecimal digits.'),
  state('daemon.cluster', 'none', 'constant', 'Cluster of the daemon; others are refused.'),
  state('daemon.version', 'none', 'constant', 'Version of the program.'),
  state('daemon.process', 'none', 'constant', 'Number of the process.'),
  state('daemon.uptimeMs', 'ms', 'monotone', 'Time since the daemon was started.'),
  state(
    'cell.phase',
    'none',
    'variable',
    'operational, gather, recover, left, or unresponsive if its thread is.',
  ),
  state('cell.thread', 'none', 'constant', 'Where the cell runs: host or dedicated.'),
  state('cell.transport', 'none', 'constant', 'How data gets to peers: tcp, udp, multicast or chain.'),
  state(
    'cell.order',
    'none',
    'constant',
    'Digest of the cells and rules that all daemons must have in common.',
  ),
  state('cell.configuration.id', 'none', 'variable', 'The installed configuration.'),
  state('cell.configuration.members', 'none', 'variable', 'Its members by rank.'),
  state('cell.groups', 'groups', 'variable', 'Groups with a member anywhere in the configuration.'),
  state('cell.endpoints', 'none', 'constant', 'Addresses for clients.'),
  state('peer.member', 'none', 'variable', 'Identity of the peer; nothing before it was heard.'),
  state('peer.name', 'none', 'constant', 'Name of the peer.'),
  state('peer.address', 'none', 'variable', 'Where the peer listens, as far as known.'),
  state('peer.link', 'none', 'variable', 'up, connecting, down or refused.'),
  state('peer.why', 'none', 'variable', 'In words, why the link is not up.'),
  state('peer.carrier', 'none', 'variable', 'How data gets to this peer now: tcp, udp or multicast.'),
  state('peer.lastHeardMs', 'ms', 'variable', 'Time since anything was heard of the peer; nothing if never.'),
  state('peer.queueBytes', 'bytes', 'variable', 'What waits to be written to the peer.'),
  state('session.id', 'none', 'constant', 'Identity of the session: name@daemon.number.'),
  state('session.groups', 'groups', 'variable', 'Groups that the session is a member of.'),
  state('session.queueBytes', 'bytes', 'variable', 'What the session has not acknowledged.'),
  state(
    'session.acknowledged.epoch',
    'none',
    'monotone',
    'The session has read everything up to here: epoch,',
  ),
  state('session.acknowledged.ts', 'none', 'variable', 'and timestamp in it.'),
]

function state(name: string, unit: Unit, mutability: Mutability, help: string): Row {
  return { name, unit, kind: 'state', mutability, help }
}

function numericRows(): Row[] {
  const rows: Row[] = []
  for (const [name, unit, help] of counters)
    rows.push({ name, unit, kind: 'counter', mutability: 'monotone', help })
  for (const reason of lossReasons) {
    const name = `cell.suspicions.${reason}`
    rows.push({
      name,
      unit: 'suspicions',
      kind: 'counter',
      mutability: 'monotone',
      help: suspicionHelp[reason],
    })
  }
  for (const limit of countedLimits) {
    const help = `Times that the limit ${limit} was hit.`
    rows.push({ name: `cell.limits.${limit}`, unit: 'events', kind: 'counter', mutability: 'monotone', help })
  }
  for (const [name, unit, help] of gauges)
    rows.push({ name, unit, kind: 'gauge', mutability: 'variable', help })
  return rows
}

/** Rows with a number in shared memory; a row's index here is its index there. */
export const numericTable: readonly (Row & { readonly name: string })[] = numericRows()

/** Everything. */
export const registry: readonly Row[] = [...numericTable, ...states]

const indexes: ReadonlyMap<string, number> = new Map(numericTable.map((row, index) => [row.name, index]))

/** Index of a counter or gauge in `Counters.values`. Look it up once, when the module is loaded. */
export function counterIndex(name: CounterName): number {
  const index = indexes.get(name)
  if (index === undefined) throw new RangeError(`no counter is named ${String(name)}`)
  return index
}
