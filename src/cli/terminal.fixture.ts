/** A terminal and a daemon's session in memory, for the tests of commands. */

import type { MessageData, Receipt, SendOptions, Session, SessionOptions } from '../client/api.ts'
import type { SessionEvent } from '../client/events.ts'
import { run } from './program.ts'
import type { Connect } from './session.ts'
import type { Terminal } from './terminal.ts'

export interface FakeTerminal extends Terminal {
  readonly output: () => string
  readonly errors: () => string
  readonly interrupt: () => void
}

export interface FakeTerminalOptions {
  /** Chunks of standard input; absent: it stays open and says nothing. */
  readonly input?: readonly string[]
  readonly stdinIsTerminal?: boolean
  readonly colour?: boolean
  /** Standard output takes no more until the next turn. */
  readonly slow?: boolean
}

export function fakeTerminal(options: FakeTerminalOptions = {}): FakeTerminal {
  let output = ''
  let errors = ''
  const controller = new AbortController()
  return {
    stdin: chunks(options.input, controller.signal),
    stdinIsTerminal: options.stdinIsTerminal ?? false,
    stdoutIsTerminal: false,
    colour: options.colour ?? false,
    environment: {},
    out(text) {
      output += text
      return options.slow === true ? new Promise(resolve => setImmediate(resolve)) : undefined
    },
    err(text) {
      errors += text
    },
    interruption: () => controller.signal,
    output: () => output,
    errors: () => errors,
    interrupt: () => controller.abort('SIGINT'),
  }
}

async function* chunks(
  input: readonly string[] | undefined,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  if (input === undefined) {
    await new Promise(resolve => signal.addEventListener('abort', resolve))
    return
  }
  for (const text of input) yield new TextEncoder().encode(text)
}

/** Runs a command line against `connect`. */
export async function runCommand(
  args: readonly string[],
  connect: Connect,
  options: FakeTerminalOptions = {},
): Promise<{ readonly code: number; readonly output: string; readonly errors: string }> {
  const terminal = fakeTerminal(options)
  const code = await run(args, { terminal, connect })
  return { code, output: terminal.output(), errors: terminal.errors() }
}

export interface FakeSessionOptions {
  /** What `batches()` gives, then ends. */
  readonly batches?: readonly (readonly SessionEvent[])[]
  /** `trySendMany` accepts nothing for so many calls after every message. */
  readonly refusals?: number
  /** Every send fails with this. */
  readonly failure?: Error
  readonly answers?: Partial<Pick<Session, 'groups' | 'membersOf' | 'status'>>
  readonly maxMessageBytes?: number
}

export interface FakeSession extends Session {
  readonly sent: string[]
  readonly joined: string[]
  readonly opened: SessionOptions[]
  /** Ends `batches()` that would wait. */
  readonly connect: Connect
}

/** A session that delivers what it is given at once. */
export function fakeSession(options: FakeSessionOptions = {}): FakeSession {
  const sent: string[] = []
  const joined: string[] = []
  const opened: SessionOptions[] = []
  const decoder = new TextDecoder()
  let refusals = 0
  let closed = false
  const accept = (groups: readonly string[], data: MessageData): number => {
    sent.push(`${groups.join('+')}:${typeof data === 'string' ? data : decoder.decode(data)}`)
    return sent.length
  }
  const fake = {
    sent,
    joined,
    opened,
    name: 'me',
    id: 'me@n1#0123456789abcdef0123456789abcdef.1',
    limits: { maxMessageBytes: options.maxMessageBytes ?? 1000 },
    get closed() {
      return closed
    },
    get progress() {
      return { accepted: sent.length, delivered: sent.length, settled: sent.length }
    },
    async join(group: string) {
      joined.push(group)
    },
    async *batches() {
      for (const batch of options.batches ?? []) yield batch
      if (options.batches === undefined) await new Promise(() => {})
    },
    trySendMany(groups: readonly string[], data: MessageData) {
      if (refusals++ < (options.refusals ?? 0)) return 0
      refusals = 0
      return accept(groups, data)
    },
    async sendMany(groups: readonly string[], data: MessageData, _how?: SendOptions): Promise<Receipt> {
      if (options.failure !== undefined) throw options.failure
      const sequence = accept(groups, data)
      const settled = Promise.resolve({
        view: 'v1',
        received: ['a@n1#0.1'],
        unknown: sequence === 2 ? ['b@n2#0.1'] : [],
      })
      return { position: `1.${sequence}.0.0.0`, sequence, view: 'v1', views: [], settled }
    },
    async writable() {},
    async close() {
      closed = true
    },
    ...options.answers,
  }
  const session = fake as unknown as FakeSession
  const connect: Connect = async (_address, given) => {
    opened.push(given)
    return session
  }
  return Object.assign(session, { connect })
}
