/**
 * A node: one code base as a standalone daemon, inside an application's main loop, or on threads of its own. It runs the
 * cells of its configuration and gives sessions in the process; `step`, for hosts that drive it, does all the work.
 */

import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { dirname } from 'node:path'
import { MessageChannel, type MessagePort } from 'node:worker_threads'
import { EventLog, type RecordedEvent } from '../admin/events.ts'
import type { StatusDocument } from '../admin/status.ts'
import type { Session, SessionOptions } from '../client/api.ts'
import type { Channel } from '../client/channel.ts'
import type { RingEnd } from '../client/channel-ring.ts'
import { defaultListenAddress } from '../client/channel-socket.ts'
import { servePort } from '../client/channel-thread.ts'
import { openSession } from '../client/connect.ts'
import type { CellDescription } from '../codec/client.ts'
import type { CellConfig, Config } from '../config/config.ts'
import { defaultConfig } from '../config/config.ts'
import { orderDigest } from '../config/digest.ts'
import type { MemberId } from '../core/types.ts'
import { Callbacks } from '../lib/callbacks.ts'
import { AnasaziError } from '../lib/errors.ts'
import { cellOf } from '../lib/pattern.ts'
import { HostedCell } from './hosted.ts'
import type { NodeIdentity } from './host.ts'
import { monotonicMs } from './loop.ts'
import { WorkerCell } from './remote.ts'

export interface NodeOptions {
  /** The complete configuration; without one, a single member that listens on loopback only. */
  readonly config?: Config
  /** `host`: on this event loop. `manual`: nothing happens but in `step`, for cells that are not on threads of their own. */
  readonly loop?: 'host' | 'manual'
  /** `manual`: something waits; call `step` soon. May be called from any I/O callback. */
  readonly onWake?: () => void
}

/** What a node runs its cells through, wherever they run. */
export interface NodeCell {
  readonly name: string
  readonly config: CellConfig
  readonly addresses: readonly string[]
  start(): Promise<void>
  /** All cells have started: what clients are told of them. */
  announce(cells: readonly CellDescription[]): void
  /** The client's end of a channel in this thread. */
  connect(): Channel
  /** Serves a client in another thread. */
  accept(end: RingEnd): void
  status(): Promise<StatusDocument['cells'][string]>
  /** Null for a cell that drives itself. */
  readonly manual: { step(now: number): void; readonly nextDeadline: number } | null
  leave(timeoutMs: number): Promise<void>
  close(): Promise<void>
}

const leaveTimeoutMs = 3000

export class Node {
  readonly id: MemberId
  readonly config: Config
  /** What happened, with typed reasons; subscribe to follow. */
  readonly events: EventLog = new EventLog(Date.now)
  private readonly cells: readonly NodeCell[]
  private readonly startedAt = monotonicMs()
  /** Handed to other threads. */
  private readonly ports = new Set<MessagePort>()
  private leaving: Promise<void> | null = null
  private closing: Promise<void> | null = null

  /** Use `createNode`. */
  constructor(options: NodeOptions) {
    this.config = options.config ?? defaultConfig({ hostName: hostname(), runtime: runtimeDirectory() })
    this.id = `${this.config.name}#${randomBytes(16).toString('hex')}`
    const { text, hash } = orderDigest(this.config)
    const identity: NodeIdentity = {
      self: this.id,
      cluster: this.config.cluster,
      order: { digest: hash.toString(16).padStart(16, '0'), rules: text },
    }
    const callbacks = new Callbacks(({ callback, words }) => {
      this.events.emit({ type: 'callback', cell: '', callback, words })
    })
    const shared = {
      identity,
      trace: this.config.trace,
      emit: this.events.emit.bind(this.events),
      status: () => this.status(),
    }
    const onWake = options.loop === 'manual' ? () => callbacks.call('onWake', () => options.onWake?.()) : null
    this.cells = this.config.cells.map(config =>
      config.thread === 'dedicated'
        ? new WorkerCell({ ...shared, config })
        : new HostedCell({ ...shared, config, onWake }),
    )
  }

  async start(): Promise<void> {
    const results = await Promise.allSettled(this.cells.map(cell => cell.start()))
    const failed = results.find(result => result.status === 'rejected')
    if (failed !== undefined) {
      await this.close()
      throw failed.reason
    }
    const descriptions = this.describeCells()
    for (const cell of this.cells) cell.announce(descriptions)
  }

  /** A session in this process, with the same behaviour as over a socket. */
  session(options: SessionOptions = {}): Promise<Session> {
    const first = options.cell ?? null
    return openSession(async description => this.cell(description?.name ?? first).connect(), options)
  }

  /**
   * A way to this node for another thread: post the port there, in the list of what is transferred, and open sessions with
   * `connect(port)`. It ends with the node.
   */
  port(): MessagePort {
    this.cell(null)
    const { port1, port2 } = new MessageChannel()
    servePort(port1, (cell, end) => this.cell(cell).accept(end))
    this.ports.add(port1)
    port1.once('close', () => this.ports.delete(port1))
    return port2
  }

  /** The cell that orders a group: the first one with a pattern that matches, or else the first one. */
  cellOf(group: string): string {
    return cellOf(this.config.cells, group)
  }

  /** `loop: 'manual'`: does everything that has accumulated. @param now monotonic ms: `performance.timeOrigin + performance.now()` */
  step(now: number = monotonicMs()): void {
    for (const cell of this.cells) cell.manual?.step(now)
  }

  /** `loop: 'manual'`: when `step` must next be called though nothing woke the host; ms, as `step` takes them. */
  get nextDeadline(): number {
    let next = Number.POSITIVE_INFINITY
    for (const cell of this.cells)
      next = Math.min(next, cell.manual?.nextDeadline ?? Number.POSITIVE_INFINITY)
    return next
  }

  /** Everything that can be seen from outside, at this moment. */
  async status(recentEvents: number = 50): Promise<StatusDocument> {
    const cells = await Promise.all(this.cells.map(async cell => [cell.name, await cell.status()] as const))
    return {
      daemon: {
        name: this.config.name,
        id: this.id,
        cluster: this.config.cluster,
        version: packageVersion(),
        process: process.pid,
        uptimeMs: Math.round(monotonicMs() - this.startedAt),
      },
      cells: Object.fromEntries(cells),
      events: this.recent(recentEvents),
    }
  }

  /** Where clients connect, all cells. */
  describeCells(): readonly CellDescription[] {
    return this.cells.map(({ name, config, addresses }) => ({
      name,
      patterns: config.groups,
      endpoints: addresses,
    }))
  }

  /** Leaves gracefully: sessions end in the order, what was accepted is ordered, the others re-form at once. */
  leave(): Promise<void> {
    this.leaving ??= this.closing ?? this.leaveOnce()
    return this.leaving
  }

  /** Ends at once; to the others it looks like a crash. */
  close(): Promise<void> {
    this.closing ??= this.closeOnce()
    return this.closing
  }

  private async leaveOnce(): Promise<void> {
    await Promise.all(this.cells.map(cell => cell.leave(leaveTimeoutMs)))
    await this.close()
  }

  private async closeOnce(): Promise<void> {
    for (const port of this.ports) port.close()
    await Promise.all(this.cells.map(cell => cell.close()))
  }

  private cell(name: string | null): NodeCell {
    const cell = name === null ? this.cells[0] : this.cells.find(candidate => candidate.name === name)
    if (cell === undefined || this.closing !== null) {
      throw new AnasaziError('connection-refused', `this node runs no cell '${name ?? ''}'`)
    }
    return cell
  }

  private recent(most: number): RecordedEvent[] {
    return this.events.recent(most)
  }
}

/**
 * Starts a node.
 * @throws TransportError, AddressInUseError or the system's error: what could not be opened, in words.
 */
export async function createNode(options: NodeOptions = {}): Promise<Node> {
  const node = new Node(options)
  await node.start()
  return node
}

/** Where the shared default address of daemon, command line and clients lies. */
function runtimeDirectory(): string {
  return dirname(defaultListenAddress().replace(/^unix:/, ''))
}

let version: string | null = null

function packageVersion(): string {
  version ??= (
    JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
  ).version
  return version
}
