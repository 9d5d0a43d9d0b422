/** A laboratory: real daemons as processes of this machine, with their traces; for the demonstration and for tests. */

import { type ChildProcess, spawn } from 'node:child_process'
import { createWriteStream, existsSync, mkdtempSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { connect, type Session, type SessionOptions } from '../../client/index.ts'

export interface LabOptions {
  /** Names of the daemons. */
  readonly names: readonly string[]
  /** More of a cell's configuration, as YAML indented by four spaces. */
  readonly cell?: string
  /** Record traces of daemons and sessions; default true. */
  readonly trace?: boolean
  /** Prefix of the command that starts a daemon, such as `['ip', 'netns', 'exec', 'h1']`. */
  readonly within?: (name: string) => readonly string[]
  /** Where a daemon listens for its peers; default: a free port on loopback. */
  readonly address?: (name: string) => string
}

interface Running {
  readonly process: ChildProcess
  readonly ended: Promise<void>
  log: string
}

export class Lab {
  readonly directory: string = mkdtempSync(join(tmpdir(), 'anasazi-'))
  readonly names: readonly string[]
  private readonly options: LabOptions
  private readonly daemons = new Map<string, Running>()
  private readonly traces = new Set<string>()
  private incarnation = 0

  private constructor(options: LabOptions) {
    this.options = options
    this.names = options.names
  }

  /** Writes the configuration that all daemons share; starts none. */
  static async create(options: LabOptions): Promise<Lab> {
    const lab = new Lab(options)
    const peers: string[] = []
    for (const name of options.names) {
      const address = options.address?.(name) ?? `127.0.0.1:${await freePort()}`
      peers.push(`      ${name}: ${address}`)
    }
    const lines = ['cells:', '  main:', '    peers:', ...peers]
    if (options.cell !== undefined) lines.push(options.cell)
    writeFileSync(lab.configuration, `${lines.join('\n')}\n`)
    return lab
  }

  get configuration(): string {
    return join(this.directory, 'anasazi.yaml')
  }

  /** The daemon's address for clients. */
  url(name: string): string {
    return `unix:${join(this.directory, name, 'main.sock')}`
  }

  /** Files that hold what daemons and sessions recorded. */
  get traceFiles(): string[] {
    return [...this.traces].filter(file => existsSync(file))
  }

  /** What a daemon wrote to its log so far. */
  log(name: string): string {
    return this.daemons.get(name)?.log ?? ''
  }

  pid(name: string): number {
    return this.daemons.get(name)?.process.pid ?? 0
  }

  /** Starts a daemon, and waits until clients can connect. */
  async start(name: string): Promise<void> {
    const args = [program(), 'daemon', '--config', this.configuration, '--name', name]
    args.push('--runtime', join(this.directory, name))
    if (this.options.trace !== false) {
      const file = join(this.directory, `${name}.${++this.incarnation}.ndjson`)
      this.traces.add(file)
      args.push('--trace', file)
    }
    const [command, ...before] = [...(this.options.within?.(name) ?? []), process.execPath]
    const child = spawn(command as string, [...before, ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
    const ended = new Promise<void>(resolve => child.once('exit', () => resolve()))
    const running: Running = { process: child, ended, log: '' }
    this.daemons.set(name, running)
    await new Promise<void>((resolve, reject) => {
      child.once('error', reject)
      child.stderr?.on('data', (chunk: Buffer) => {
        running.log += chunk.toString()
        if (running.log.includes('"started; ')) resolve()
      })
      void ended.then(() => reject(new Error(`daemon ${name} ended: ${running.log}`)))
    })
  }

  /** Starts all of them. */
  async startAll(): Promise<void> {
    await Promise.all(this.names.map(name => this.start(name)))
  }

  signal(name: string, signal: NodeJS.Signals): void {
    this.daemons.get(name)?.process.kill(signal)
  }

  /** Sends a signal that ends the daemon, and waits for the end. */
  async end(name: string, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const running = this.daemons.get(name)
    if (running === undefined) return
    this.daemons.delete(name)
    running.process.kill(signal)
    await running.ended
  }

  /** A session at a daemon; what it sees is recorded in a file of its own. */
  async session(at: string, name: string, options: SessionOptions = {}): Promise<Session> {
    if (this.options.trace === false) return connect(this.url(at), { name, ...options })
    const file = join(this.directory, `${name}.${++this.incarnation}.ndjson`)
    this.traces.add(file)
    const out = createWriteStream(file)
    return connect(this.url(at), { name, trace: line => void out.write(`${JSON.stringify(line)}\n`), ...options })
  }

  /** Ends what still runs, and removes all files unless told to keep them. */
  async close(keep: boolean = false): Promise<void> {
    await Promise.all([...this.daemons.keys()].map(name => this.end(name, 'SIGKILL')))
    if (!keep) await rm(this.directory, { recursive: true, force: true })
  }
}

/** The built command-line program: a plain Node cannot run TypeScript. */
export function program(): string {
  const beside = fileURLToPath(new URL('../main.js', import.meta.url))
  return existsSync(beside) ? beside : fileURLToPath(new URL('../../../dist/cli/main.js', import.meta.url))
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = net.createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as net.AddressInfo
      server.close(() => resolve(port))
    })
  })
}
