/** A laboratory: real daemons as processes of this machine, with their traces; for the demonstration and for tests. */

import { appendFileSync, existsSync, mkdtempSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, type Session, type SessionOptions } from '../../client/index.ts'
import { addFailure } from './epitaph.ts'
import { Program, type ProgramOptions } from './program.ts'

export interface LabOptions {
  /** Names of the daemons. */
  readonly names: readonly string[]
  /** More of the cell's configuration, as YAML indented by four spaces. */
  readonly cell?: string | ((name: string) => string)
  /** More of the configuration as such, as YAML: `cluster: x`. */
  readonly top?: (name: string) => string
  /** Record traces of daemons and sessions; default true. */
  readonly trace?: boolean
  /** Clients may also connect over TCP, on loopback; default false. */
  readonly tcp?: boolean
  /** Prefix of the command that starts a daemon, such as `['ip', 'netns', 'exec', 'h1']`. */
  readonly within?: (name: string) => readonly string[]
  /** More options of Node for daemons. */
  readonly flags?: readonly string[]
  /** Where a daemon listens for its peers; default: a free port on loopback. */
  readonly address?: (name: string) => string
  /** Where one daemon finds another: something between them, such as a relay; default: where the other listens. */
  readonly route?: (from: string, to: string, address: string) => Promise<string>
}

export interface StartOptions {
  /** Its configuration; default: the one that the lab wrote for it. */
  readonly configuration?: string
  /** Its sockets; default: a directory of its own in the lab. */
  readonly runtime?: string
  /** File for its trace, which then is not one of the lab's. */
  readonly trace?: string
  /** Prefix of its command, instead of the lab's. */
  readonly within?: readonly string[]
}

/** Lines of a session's trace are written so many characters at a time. */
const TRACE_CHUNK = 1 << 16

export class Lab {
  readonly directory: string = mkdtempSync(join(tmpdir(), 'anasazi-'))
  readonly names: readonly string[]
  /** Where each daemon listens for its peers, by name. */
  readonly addresses: Map<string, string> = new Map()
  private readonly options: LabOptions
  private readonly daemons = new Map<string, Program>()
  private readonly programs = new Set<Program>()
  private readonly ports = new Map<string, number>()
  /** The file that each daemon writes its trace to now. */
  private readonly daemonTraces = new Map<string, string>()
  /** Files of daemons and sessions, each with what is not written yet. */
  private readonly traces = new Map<string, string>()
  private incarnation = 0
  private readonly onExit = (): void => {
    for (const each of [...this.daemons.values(), ...this.programs]) each.signal('SIGKILL')
  }

  private constructor(options: LabOptions) {
    this.options = options
    this.names = options.names
    process.once('exit', this.onExit)
  }

  /** Writes the configurations of all daemons; starts none. */
  static async create(options: LabOptions): Promise<Lab> {
    const lab = new Lab(options)
    for (const name of options.names) {
      lab.addresses.set(name, options.address?.(name) ?? `127.0.0.1:${await freePort()}`)
      if (options.tcp === true) lab.ports.set(name, await freePort())
    }
    for (const name of options.names) await lab.configure(name)
    return lab
  }

  /** The configuration file of a daemon. */
  configuration(name: string): string {
    return join(this.directory, `${name}.yaml`)
  }

  /** The daemon's address for clients. */
  url(name: string): string {
    return `unix:${this.socket(name)}`
  }

  /** Path of the daemon's socket for clients. */
  socket(name: string): string {
    return join(this.directory, name, 'main.sock')
  }

  /** Port of the daemon for clients, on loopback; 0 if the lab was made without. */
  port(name: string): number {
    return this.ports.get(name) ?? 0
  }

  /** Files that hold what daemons and sessions recorded so far. */
  get traceFiles(): string[] {
    for (const file of this.traces.keys()) this.flush(file)
    return [...this.traces.keys()].filter(file => existsSync(file))
  }

  /** What a daemon wrote to its log so far; of one that was ended, the whole. */
  log(name: string): string {
    return this.daemons.get(name)?.errors ?? ''
  }

  daemon(name: string): Program {
    const daemon = this.daemons.get(name)
    if (daemon === undefined) throw new Error(`daemon ${name} was not started`)
    return daemon
  }

  /** Starts a daemon, and waits until clients can connect. */
  async start(name: string, options: StartOptions = {}): Promise<void> {
    const daemon = this.launch(name, options)
    await daemon.untilError('"started; ')
  }

  /** Starts a daemon, and waits for nothing. */
  launch(name: string, options: StartOptions = {}): Program {
    const args = this.daemonArguments(name, options)
    const file = options.trace ?? (this.options.trace === false ? null : this.newTrace(name))
    if (file !== null) args.push('--trace', file)
    if (file !== null && options.trace === undefined) this.daemonTraces.set(name, file)
    else this.daemonTraces.delete(name)
    const within = options.within ?? this.options.within?.(name) ?? []
    const daemon = new Program(args, { within, flags: this.options.flags ?? [] })
    this.daemons.set(name, daemon)
    return daemon
  }

  /** What starts a daemon, after the name of the program. */
  daemonArguments(name: string, options: StartOptions = {}): string[] {
    const runtime = options.runtime ?? join(this.directory, name)
    const configuration = options.configuration ?? this.configuration(name)
    return ['daemon', '--config', configuration, '--name', name, '--runtime', runtime]
  }

  /** Starts all of them. */
  async startAll(): Promise<void> {
    await Promise.all(this.names.map(name => this.start(name)))
  }

  signal(name: string, signal: NodeJS.Signals): void {
    this.daemons.get(name)?.signal(signal)
  }

  /** Sends a signal that ends the daemon, and waits for the end. */
  async end(name: string, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const daemon = this.daemons.get(name)
    if (daemon === undefined) return
    daemon.signal(signal)
    const code = await daemon.ended
    const trace = this.daemonTraces.get(name)
    if (trace !== undefined && code >= 128) addFailure(trace)
  }

  /** Lets all daemons leave in order. */
  async endAll(): Promise<void> {
    for (const name of this.names) await this.end(name, 'SIGTERM')
  }

  /** A session at a daemon; what it sees is recorded in a file of its own. */
  async session(at: string, name: string, options: SessionOptions = {}): Promise<Session> {
    if (this.options.trace === false) return connect(this.url(at), { name, ...options })
    const file = this.newTrace(name)
    const trace = (line: object): void => {
      const text = `${this.traces.get(file)}${JSON.stringify(line)}\n`
      this.traces.set(file, text)
      if (text.length > TRACE_CHUNK) this.flush(file)
    }
    return connect(this.url(at), { name, trace, ...options })
  }

  /** The command-line program at a daemon: `['join', '--json', 'orders']`. Its trace is recorded if it takes part. */
  command(at: string, args: readonly string[], options: ProgramOptions = {}): Program {
    const all = [...args, '--connect', this.url(at)]
    const name = `${args[0] ?? ''}-${at}`
    const takesPart = args[0] === 'join' || args[0] === 'send'
    if (takesPart && this.options.trace !== false) all.push('--trace', this.newTrace(name))
    return this.run(all, options)
  }

  /** Any run of the program; ended with the lab. */
  run(args: readonly string[], options: ProgramOptions = {}): Program {
    const started = new Program(args, options)
    this.programs.add(started)
    return started
  }

  /** A file for a trace that is recorded from outside, counted among the lab's. */
  newTrace(of: string): string {
    const file = this.file(`${of}.${++this.incarnation}.ndjson`)
    this.traces.set(file, '')
    return file
  }

  /** A path for a file that goes with the lab. */
  file(name: string): string {
    return join(this.directory, name)
  }

  /** Ends what still runs, and removes all files unless told to keep them. */
  async close(keep: boolean = false): Promise<void> {
    process.removeListener('exit', this.onExit)
    const running = [...this.daemons.values(), ...this.programs]
    this.onExit()
    await Promise.all(running.map(each => each.ended))
    if (!keep) await rm(this.directory, { recursive: true, force: true })
  }

  private async configure(name: string): Promise<void> {
    const { cell, top, route, tcp } = this.options
    const lines = ['cells:', '  main:', '    peers:']
    for (const [peer, address] of this.addresses) {
      const seen = peer === name || route === undefined ? address : await route(name, peer, address)
      lines.push(`      ${peer}: ${seen}`)
    }
    if (tcp === true) lines.push('    clients:', `      tcp: 127.0.0.1:${this.port(name)}`)
    const more = typeof cell === 'function' ? cell(name) : cell
    if (more !== undefined && more !== '') lines.push(more)
    if (top !== undefined) lines.unshift(top(name))
    writeFileSync(this.configuration(name), `${lines.join('\n')}\n`)
  }

  private flush(file: string): void {
    const text = this.traces.get(file)
    if (text === undefined || text === '') return
    appendFileSync(file, text)
    this.traces.set(file, '')
  }
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
