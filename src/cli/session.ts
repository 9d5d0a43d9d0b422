/** How commands reach a daemon: the options they share, and the session they get. */

import { randomBytes } from 'node:crypto'
import { appendFileSync, closeSync, openSync } from 'node:fs'
import { Option } from 'commander'
import type { Command } from 'commander'
import type { Session, SessionOptions } from '../client/api.ts'
import type { AnasaziError } from '../lib/errors.ts'
import { CommandError, EXIT } from './exit.ts'
import type { Terminal } from './terminal.ts'

export interface ConnectOptions {
  readonly connect?: string
  readonly name?: string
  readonly cell?: string
  readonly trace?: string
}

/** Opens sessions; tests have their own. `address` undefined: the default one. */
export type Connect = (address: string | undefined, options: SessionOptions) => Promise<Session>

/** Variable with the address of the daemon, for `--connect`. */
export const CONNECT_VARIABLE = 'ANASAZI_CONNECT'

export function addConnectOptions(command: Command, parts: { readonly name: boolean }): Command {
  command.addOption(
    new Option(
      '-c, --connect <address>',
      'the daemon: unix:/path or tcp://host:port (default: the local one)',
    ).env(CONNECT_VARIABLE),
  )
  if (parts.name) {
    command.option('-n, --name <name>', 'name of the session, the first part of its id')
    command.option('--trace <file>', 'append what the session does and sees, for `anasazi verify`')
  }
  return command
}

/** A session and what must be done when it is over. */
export interface OpenedSession {
  readonly session: Session
  /** Resolves when the session is lost, also while nothing is asked of it. */
  readonly lost: Promise<void>
  /** Why the session was lost; null if it was not. */
  readonly loss: AnasaziError | null
  /** Ends the session in order, if it has not ended, and the trace. */
  end(): Promise<void>
}

/**
 * @param command begins the name of the session if none is given; names are unique at a daemon, so it goes on at random.
 * @throws AnasaziError if there is no daemon, CommandError if the trace cannot be written.
 */
export async function openSession(
  terminal: Terminal,
  connect: Connect,
  options: ConnectOptions,
  command: string,
): Promise<OpenedSession> {
  const trace = options.trace === undefined ? null : new TraceFile(options.trace)
  let loss: AnasaziError | null = null
  let lose: (() => void) | null = null
  const lost = new Promise<void>(resolve => {
    lose = resolve
  })
  try {
    const session = await connect(options.connect, {
      name: options.name ?? `${command}-${randomBytes(3).toString('hex')}`,
      signal: terminal.interruption(),
      onClose: error => {
        loss = error
        if (error !== null) lose?.()
      },
      ...(options.cell === undefined ? {} : { cell: options.cell }),
      ...(trace === null ? {} : { trace: line => trace.write(line) }),
    })
    return {
      session,
      lost,
      get loss() {
        return loss
      },
      async end() {
        try {
          if (!session.closed) await session.close()
        } finally {
          trace?.close()
        }
      },
    }
  } catch (error) {
    trace?.close()
    throw error
  }
}

/** The client library, loaded when a command needs it. */
export async function connectToDaemon(
  address: string | undefined,
  options: SessionOptions,
): Promise<Session> {
  const { connect } = await import('../client/index.ts')
  return connect(address, options)
}

const FLUSH_BYTES = 64 * 1024

/** Appends lines to a file, in batches; what has not been written is written when the process exits. */
class TraceFile {
  private readonly descriptor: number
  private pending = ''
  private scheduled = false
  private closed = false
  private readonly onExit = () => this.flush()

  constructor(path: string) {
    try {
      this.descriptor = openSync(path, 'a')
    } catch (cause) {
      throw new CommandError(EXIT.usage, `the trace cannot be written: ${messageOf(cause)}`, '', { cause })
    }
    process.once('exit', this.onExit)
  }

  write(line: object): void {
    this.pending += `${JSON.stringify(line)}\n`
    if (this.pending.length >= FLUSH_BYTES) this.flush()
    else if (!this.scheduled) {
      this.scheduled = true
      setImmediate(() => {
        this.scheduled = false
        this.flush()
      })
    }
  }

  close(): void {
    this.flush()
    if (this.closed) return
    this.closed = true
    process.removeListener('exit', this.onExit)
    closeSync(this.descriptor)
  }

  private flush(): void {
    if (this.pending === '' || this.closed) return
    appendFileSync(this.descriptor, this.pending)
    this.pending = ''
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
