/** A cell on a worker thread of its own, as the node sees it. */

import { existsSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { Counters } from '../admin/counters.ts'
import type { AdminEvent } from '../admin/events.ts'
import type { CellStatus, StatusDocument } from '../admin/status.ts'
import type { Channel } from '../client/channel.ts'
import type { RingEnd } from '../client/channel-ring.ts'
import { createThreadChannel } from '../client/channel-thread.ts'
import type { CellDescription } from '../codec/client.ts'
import type { CellConfig } from '../config/config.ts'
import { chooseTransport } from '../config/transport.ts'
import { nameOfMember } from '../transport/agreement.ts'
import type { NodeIdentity } from './host.ts'
import type { NodeCell } from './node.ts'
import type { FromWorker, ToWorker, WorkerStart } from './worker-protocol.ts'

/** How long a thread may take to answer, and to close what it has open. */
const answerMs = 500
const closeMs = 2000

export interface WorkerCellOptions {
  readonly identity: NodeIdentity
  readonly config: CellConfig
  readonly trace: string | null
  readonly emit: (event: AdminEvent) => void
  readonly status: () => Promise<StatusDocument>
}

export class WorkerCell implements NodeCell {
  readonly name: string
  readonly config: CellConfig
  readonly manual = null
  addresses: readonly string[] = []
  private readonly options: WorkerCellOptions
  private readonly counters = new Counters()
  private readonly requests = new Map<number, (answer: FromWorker) => void>()
  private lastRequest = 0
  private worker: Worker | null = null
  private started = false
  private ended = false

  constructor(options: WorkerCellOptions) {
    this.name = options.config.name
    this.config = options.config
    this.options = options
  }

  start(): Promise<void> {
    const { identity, config, trace } = this.options
    const workerData: WorkerStart = { identity, config, trace, counters: this.counters.buffer }
    const worker = new Worker(entry(), {
      workerData,
      name: `cell ${config.name}`,
      // Room for the short-lived buffers of a busy transport: see the first line of `cli/main.ts`.
      resourceLimits: { maxYoungGenerationSizeMb: 128 },
    })
    this.worker = worker
    return new Promise((resolve, reject) => {
      worker.on('message', (message: FromWorker) => {
        if (message.type === 'started') {
          this.addresses = message.addresses
          this.started = true
          resolve()
        } else if (message.type === 'failed') {
          reject(Object.assign(new Error(message.message), { name: message.name }))
        } else this.receive(message)
      })
      worker.on('error', error => {
        if (!this.started) return reject(error)
        // As loud as on the host's own thread: a cell that broke must not be missing silently.
        process.nextTick(() => {
          throw error
        })
      })
      worker.on('exit', () => this.exited())
    })
  }

  announce(cells: readonly CellDescription[]): void {
    this.say({ type: 'announce', cells })
  }

  connect(): Channel {
    const { here, there } = createThreadChannel()
    this.accept(there)
    return here
  }

  accept(end: RingEnd): void {
    this.worker?.postMessage({ type: 'session', end } satisfies ToWorker, [end.port])
  }

  async status(): Promise<CellStatus> {
    const answer = await this.ask(answerMs, request => ({ type: 'status', request }))
    const counters = this.counters.snapshot()
    if (answer.type === 'status') return { ...answer.status, counters }
    if (this.ended) throw new Error(`the thread of cell ${this.name} has ended`)
    return { ...this.silence(), counters }
  }

  async leave(timeoutMs: number): Promise<void> {
    // It may wait so long twice: for its sessions, and for the others.
    await this.ask(timeoutMs * 2 + answerMs, request => ({ type: 'leave', request, timeoutMs }))
  }

  async close(): Promise<void> {
    if (this.worker === null || this.ended) return
    await this.ask(closeMs, request => ({ type: 'close', request }))
    await this.worker.terminate()
  }

  /** Blocks the thread's event loop, for tests of isolation. */
  wedge(ms: number): void {
    this.say({ type: 'wedge', ms })
  }

  private receive(message: FromWorker): void {
    if (message.type === 'event') this.options.emit(message.event)
    else if (message.type === 'nodeStatus') void this.answerNodeStatus(message.request)
    else if (message.type === 'status' || message.type === 'done') {
      this.requests.get(message.request)?.(message)
    }
  }

  private async answerNodeStatus(request: number): Promise<void> {
    this.say({ type: 'nodeStatus', request, json: JSON.stringify(await this.options.status()) })
  }

  /** What can be said of a thread that does not answer. */
  private silence(): Omit<CellStatus, 'counters'> {
    const { config, identity } = this.options
    return {
      phase: 'unresponsive',
      thread: 'dedicated',
      transport: chooseTransport(config, nameOfMember(identity.self)).transport,
      order: identity.order.digest,
      configuration: { id: '', members: [] },
      endpoints: this.addresses,
      groups: 0,
      peers: [],
      sessions: [],
    }
  }

  /** Answered with `done` also if the thread does not answer in time: one that is stuck must not hold up the others. */
  private ask(timeoutMs: number, make: (request: number) => ToWorker): Promise<FromWorker> {
    const request = ++this.lastRequest
    return new Promise(resolve => {
      if (this.ended) return resolve({ type: 'done', request })
      const answer = (message: FromWorker): void => {
        clearTimeout(timer)
        this.requests.delete(request)
        resolve(message)
      }
      const timer = setTimeout(() => answer({ type: 'done', request }), timeoutMs)
      this.requests.set(request, answer)
      this.say(make(request))
    })
  }

  private say(message: ToWorker): void {
    this.worker?.postMessage(message)
  }

  private exited(): void {
    this.ended = true
    for (const [request, answer] of this.requests) answer({ type: 'done', request })
  }
}

/** The built module: a worker thread of plain Node cannot load TypeScript. */
function entry(): URL {
  const beside = new URL('./worker.js', import.meta.url)
  return existsSync(beside) ? beside : new URL('../../dist/node/worker.js', import.meta.url)
}
