/** Nodes inside the test's own process, with every way to run and to reach them. */

import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type MessagePort, Worker } from 'node:worker_threads'
import { onTestFinished } from 'vitest'
import { freePort } from '../src/cli/lab/lab.ts'
import { connect, type Session, type SessionOptions } from '../src/client/index.ts'
import type { CellConfig, Config, Peer } from '../src/config/config.ts'
import { createNode, defaultConfig, type Node, type NodeOptions } from '../src/node/index.ts'
import { drive } from './drive.mjs'

export type LoopMode = 'host loop' | 'dedicated' | 'manual'
export const loopModes: readonly LoopMode[] = ['host loop', 'dedicated', 'manual']

/** A configuration that is in nobody's way: sockets in `directory`, free ports, no peers. */
export function quietConfig(
  directory: string,
  name: string,
  cell: Partial<CellConfig> = {},
  more: Partial<Config> = {},
): Config {
  const config = defaultConfig({ hostName: name, runtime: directory })
  const clients = { unix: join(directory, `${name}.sock`), tcp: { host: '127.0.0.1', port: 0 } }
  const cells = config.cells.map(each => ({ ...each, listen: null, clients, ...cell }))
  return { ...config, cells, ...more }
}

/** Configurations of nodes that know each other, on free ports of this machine. */
export async function clusterConfigs(
  directory: string,
  names: readonly string[],
  cell: Partial<CellConfig> = {},
): Promise<Config[]> {
  const peers: Peer[] = []
  for (const name of names) peers.push({ name, address: { host: '127.0.0.1', port: await freePort() } })
  return peers.map(({ name, address }) => quietConfig(directory, name, { listen: address, peers, ...cell }))
}

/** The same node in the three modes. @returns how to end the loop of a manual one, too. */
export async function nodeIn(mode: LoopMode, config: Config): Promise<{ node: Node; stop(): void }> {
  if (mode === 'manual') return drive(options => createNode({ config, ...options }))
  return { node: await createNode({ config: inThread(config, mode) }), stop() {} }
}

export function inThread(config: Config, mode: LoopMode): Config {
  const thread = mode === 'dedicated' ? 'dedicated' : 'host'
  return { ...config, cells: config.cells.map(cell => ({ ...cell, thread })) }
}

/** Address of the node's first cell for clients that begins with `unix:` or `tcp:`. */
export function endpoint(node: Node, kind: 'unix' | 'tcp'): string {
  const found = node.describeCells()[0]?.endpoints.find(address => address.startsWith(`${kind}:`))
  if (found === undefined) throw new Error(`the node does not listen on ${kind}`)
  return found
}

/** A node in a thread of its own, and sessions with it. */
export class ThreadedNode {
  private readonly worker: Worker
  private readonly exited: Promise<unknown>

  private constructor(worker: Worker) {
    this.worker = worker
    this.exited = new Promise(resolve => {
      worker.once('exit', resolve)
    })
  }

  /** @param computeMs what a host that drives its node computes in every turn */
  static async start(config: Config, mode: LoopMode, computeMs: number = 0): Promise<ThreadedNode> {
    const loop = mode === 'manual' ? 'manual' : 'host'
    const workerData = { config: inThread(config, mode), loop, computeMs }
    const threaded = new ThreadedNode(
      new Worker(new URL('./node-thread.mjs', import.meta.url), { workerData }),
    )
    await threaded.answer()
    return threaded
  }

  async connect(options?: SessionOptions): Promise<Session> {
    this.worker.postMessage('port', [])
    const { port } = (await this.answer()) as { port: MessagePort }
    const session = await connect(port, options)
    return session
  }

  /** @param how gracefully, or not. */
  async stop(how: 'leave' | 'close' = 'close'): Promise<void> {
    this.worker.postMessage(how, [])
    await this.exited
  }

  private async answer(): Promise<unknown> {
    const [message] = await once(this.worker, 'message')
    return message
  }
}

/** A directory for sockets that goes with the suite or test: call the second. */
export function scratchDirectory(): { readonly directory: string; remove(): void } {
  const directory = mkdtempSync(join(tmpdir(), 'anasazi-'))
  return { directory, remove: () => rmSync(directory, { recursive: true, force: true }) }
}

/** A directory that goes with the test. */
export function testDirectory(): string {
  const { directory, remove } = scratchDirectory()
  onTestFinished(remove)
  return directory
}

/** A node that ends with the test, however it ends. */
export async function testNode(options: NodeOptions): Promise<Node> {
  const node = await createNode(options)
  onTestFinished(() => node.close())
  return node
}
