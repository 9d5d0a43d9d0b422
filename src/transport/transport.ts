/**
 * The contract of every transport: it moves opaque frames between the members of one cell.
 *
 * - **Lanes.** Each peer is reached over two lanes, `control` and `data`, that never wait for each other: liveness and
 *   membership pass while data is clogged. Over TCP each is a connection of its own.
 * - **Best effort, in order.** Frames of one lane of one connection arrive whole, once and in the order sent, or not at
 *   all. When a connection breaks, what was queued or on its way may be lost; the transport connects again by itself and
 *   the core asks for what it lacks. A broken connection says nothing about the process behind it. What is sent to a list
 *   may take another way, and be overtaken.
 * - **`refused`** is the exception: the peer's kernel closed a connection and then refuses a new one, or another
 *   incarnation answers in its place. The process is dead, which is told within milliseconds.
 * - **One way in.** Socket callbacks only put things into a queue and call `wake()`. Frames and events come out of
 *   `drain()`, in the order in which they arrived, and nowhere else. `wake()` is not repeated before the next `drain()`.
 * - **One way out.** `send()` only queues; `flush()` hands everything queued to the system, one write a connection.
 * - **No copies.** A frame is a list of slices, the first of which holds its whole head (see `codec/envelope.ts`). Sent
 *   slices must not be changed afterwards. Received slices are subarrays of the chunks they were read in.
 * - **Bounds.** What is queued for one lane of a peer is bounded in bytes; beyond it frames are dropped and counted. What is
 *   received and not yet drained is bounded too; beyond it the transport stops reading, and the senders feel it.
 * - **Silence.** A peer from which nothing comes for some seconds is disconnected and dialled again: after a cut, TCP alone
 *   would take minutes to try. The transport sends nothing by itself; the core's heartbeats keep connections alive.
 * - **Trust.** The transport knows who is at the other end of a connection (as far as authentication goes) and where
 *   frames begin and end. It does not look into frames: checksum and contents are the receiver's to check, with a
 *   `FrameDecoder` for each member.
 */

import type { Slices } from '../codec/envelope.ts'
import type { Lane } from '../core/frames.ts'
import type { MemberId } from '../core/types.ts'

export type { Lane, Slices }

export interface Transport {
  readonly self: MemberId
  /** Totals since the start; they only grow. */
  readonly counters: Readonly<TransportCounters>
  /** Likewise; absent unless it has frames passed on. */
  readonly relays?: Readonly<RelayCounters>
  /** Likewise; absent unless it sends datagrams. */
  readonly datagrams?: Readonly<DatagramCounters>
  /** Begins to accept and to make connections. @throws TransportError if it cannot listen. */
  start(): Promise<void>
  /** Hands over what is queued as far as it goes without waiting long, then closes everything. Idempotent. */
  close(): Promise<void>
  /**
   * Queues a frame for a peer, or for each of a list; null: for every connected peer. Dropped and counted if there is no
   * connection, or no room. What is for a list a transport may also hand to some of them to pass it on.
   * @returns for how many peers it was queued.
   */
  send(to: MemberId | readonly MemberId[] | null, lane: Lane, frame: Slices): number
  /** Hands everything queued to the system. */
  flush(): void
  /** Tells everything that accumulated since the last call, in order. If the handler throws, the rest stays for the next call. */
  drain(handler: TransportHandler): void
  /** Bytes sent to a peer that the system has not taken yet, both lanes. 0 for who is not connected. */
  pending(to: MemberId): number
  peers(): readonly PeerInfo[]
}

export interface TransportHandler {
  /**
   * A frame as it was sent, in slices of its own; `slices[0]` holds its whole head.
   * @param by who passed it on, if that was not its sender `from`: it is no sign that `from` lives.
   */
  onFrame(from: MemberId, lane: Lane, frame: Slices, by?: MemberId): void
  onPeer(event: PeerEvent): void
}

export type PeerEvent =
  /** Both lanes are connected. */
  | { readonly type: 'up'; readonly member: MemberId; readonly address: string }
  /** Was up, and a lane broke. Connecting again has begun. */
  | { readonly type: 'down'; readonly member: MemberId; readonly address: string; readonly reason: string }
  /** This incarnation is known to be dead. Told once. */
  | { readonly type: 'refused'; readonly member: MemberId; readonly address: string; readonly reason: string }
  /**
   * The two ends do not belong together, in words, or what came was no peer at all. `member` null: it did not say who
   * it is. The same words about the same member, or else host, are told once a minute, and counted always.
   */
  | {
      readonly type: 'rejected'
      readonly member: MemberId | null
      readonly address: string
      /** Who objects. */
      readonly by: 'us' | 'them'
      readonly reason: string
    }

export interface PeerInfo {
  /** Name of the daemon, from the list or as it said itself. */
  readonly name: string
  /** Null while it was never connected. */
  readonly member: MemberId | null
  readonly address: string
  readonly control: boolean
  readonly data: boolean
  /** Bytes queued. */
  readonly pendingControl: number
  readonly pendingData: number
  /** How the data lane reaches it, if not over its connection. */
  readonly carrier?: 'udp' | 'multicast'
}

/** What two ends must agree on before frames pass, and who we are. */
export interface TransportIdentity {
  readonly self: MemberId
  readonly cluster: string
  readonly cell: string
  /** The configuration that decides about order: equal digests or no connection; `rules` says in lines what differs. */
  readonly order: { readonly digest: string; readonly rules: string }
  /** Frame versions spoken; default the one of this build. */
  readonly versions?: { readonly lowest: number; readonly highest: number }
  /** Feature bits offered, see {@link FEATURES}; default none. A feature is used if both ends offer it. */
  readonly features?: number
}

export const FEATURES = {
  /** Frames of the data lane may come in datagrams beside the connection. */
  datagrams: 1,
} as const

export interface TransportCounters {
  framesIn: number
  framesOut: number
  bytesIn: number
  bytesOut: number
  /** Frames not sent: no connection. */
  droppedUnconnected: number
  /** Frames not sent: the queue was full. */
  droppedFull: number
  /** Connections completed, both directions and lanes. */
  connections: number
  /** Of these, those that replaced a broken one to the same incarnation. */
  reconnects: number
  /** Attempts to connect that failed. */
  failedDials: number
  /** Handshakes refused, by either side. */
  rejected: number
  /** Connections closed because what came was not the protocol: wrong magic, impossible length. */
  garbage: number
  /** Connections closed because nothing, or not enough, came in time. */
  timeouts: number
  /** Times that reading was stopped because too much was received and not drained. */
  readPauses: number
}

/** Of frames that are passed on by others than their sender. */
export interface RelayCounters {
  /** Our own frames given to a peer that passes them on. */
  given: number
  /** Frames of others that came by a third member. */
  in: number
  /** Frames of others that we sent on. */
  out: number
  /** Bytes of these. */
  outBytes: number
  /** Times that a member was served by the one before it, and not asked to pass on. */
  bypassed: number
  /** Frames for a member that could not be reached from here, when nobody was left to try. */
  unreached: number
  /** Frames dropped: the head made no sense, or the origin is no peer. */
  dropped: number
}

/** Of datagrams beside the connections. */
export interface DatagramCounters {
  in: number
  out: number
  /** Of these, pieces sent again. */
  resent: number
  /** Pieces that came twice. */
  duplicates: number
  /** Datagrams dropped: of strangers or former incarnations, or none of ours. */
  foreign: number
  /** Times that a peer was found to hear our datagrams, and the data lane left its connection. */
  attached: number
  /** Times that it went back to the connection, as the peer did not keep up or fell silent. */
  detached: number
}

export function newTransportCounters(): TransportCounters {
  return {
    framesIn: 0,
    framesOut: 0,
    bytesIn: 0,
    bytesOut: 0,
    droppedUnconnected: 0,
    droppedFull: 0,
    connections: 0,
    reconnects: 0,
    failedDials: 0,
    rejected: 0,
    garbage: 0,
    timeouts: 0,
    readPauses: 0,
  }
}

export interface TransportLimits {
  /** Bytes of one frame. */
  readonly maxFrameBytes: number
  /** Bytes queued for one peer on the data lane. */
  readonly dataQueueBytes: number
  /** Bytes queued for one peer on the control lane. */
  readonly controlQueueBytes: number
  /** Bytes received on all data lanes and not drained, above which they are not read. */
  readonly dataInboxBytes: number
  /** The same of the control lanes. */
  readonly controlInboxBytes: number
  /** Connections at a time that were accepted and have not said who they are. */
  readonly maxHandshakes: number
  /** Peers that are not in the list, if such are accepted. */
  readonly maxOpenPeers: number
}

const MiB = 1024 * 1024

export const DEFAULT_TRANSPORT_LIMITS: TransportLimits = {
  maxFrameBytes: 32 * MiB,
  dataQueueBytes: 64 * MiB,
  controlQueueBytes: 16 * MiB,
  dataInboxBytes: 64 * MiB,
  controlInboxBytes: 16 * MiB,
  maxHandshakes: 256,
  maxOpenPeers: 256,
}

/** `listen`: the address cannot be listened on. `closed`: the transport was closed. */
export class TransportError extends Error {
  override readonly name = 'TransportError'
  readonly code: 'listen' | 'closed'

  constructor(code: 'listen' | 'closed', message: string, cause?: unknown) {
    super(message, { cause })
    this.code = code
  }
}
