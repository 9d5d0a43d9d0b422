/** A cell on a worker thread of its own, as the node sees it. */

import { existsSync } from 'node:fs'
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads'
import { Counters } from '../admin/counters.ts'
import type { AdminEvent } from '../admin/events.ts'
import type { CellStatus, StatusDocument } from '../admin/status.ts'
import type { Channel } from '../client/channel.ts'
import { createPortChannel } from '../client/channel-port.ts'
import type { CellDescription } from '../codec/client.ts'
import type { CellConfig } from '../config/config.ts'
import type { NodeIdentity } from './host.ts'
import type { NodeCell } from './node.ts'
import type { FromWorker, ToWorker, WorkerStart } from './worker-protocol.ts'

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
    const worker = new Worker(entry(), { workerData, name: `cell ${config.name}` })
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
    const { port1, port2 } = new MessageChannel()
    this.accept(port2)
    return createPortChannel(port1)
  }

  accept(port: MessagePort): void {
    this.worker?.postMessage({ type: 'session', port } satisfies ToWorker, [port])
  }

  async status(): Promise<CellStatus> {
    const answer = await this.ask(request => ({ type: 'status', request }))
    if (answer.type !== 'status') throw new Error(`the thread of cell ${this.name} has ended`)
    return { ...answer.status, counters: this.counters.snapshot() }
  }

  async leave(timeoutMs: number): Promise<void> {
    await this.ask(request => ({ type: 'leave', request, timeoutMs }))
  }

  async close(): Promise<void> {
    if (this.worker === null || this.ended) return
    await this.ask(request => ({ type: 'close', request }))
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
      this.requests.delete(message.request)
    }
  }

  private async answerNodeStatus(request: number): Promise<void> {
    this.say({ type: 'nodeStatus', request, json: JSON.stringify(await this.options.status()) })
  }

  private ask(make: (request: number) => ToWorker): Promise<FromWorker> {
    const request = ++this.lastRequest
    return new Promise(resolve => {
      if (this.ended) return resolve({ type: 'done', request })
      this.requests.set(request, resolve)
      this.say(make(request))
    })
  }

  private say(message: ToWorker): void {
    this.worker?.postMessage(message)
  }

  private exited(): void {
    this.ended = true
    for (const [request, answer] of this.requests) answer({ type: 'done', request })
    this.requests.clear()
  }
}

/** The built module: a worker thread of plain Node cannot load TypeScript. */
function entry(): URL {
  const beside = new URL('./worker.js', import.meta.url)
  return existsSync(beside) ? beside : new URL('../../dist/node/worker.js', import.meta.url)
}
