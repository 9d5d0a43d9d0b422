/** Channels over unix sockets and TCP, and the address that all tools share by default. */

import { accessSync, constants, statSync } from 'node:fs'
import net from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { dirname } from 'node:path'
import { SYSTEM_SOCKET_PATH, userSocketPath } from '../lib/defaults.ts'
import { AnasaziError } from '../lib/errors.ts'
import { type Address, parseAddress } from './address.ts'
import type { Channel } from './channel.ts'
import { ignoreClose, ignoreData, ignoreDrain } from './channel.ts'

/** Pause before another attempt where there was no room for one more. */
const FULL_PAUSE_MS = 20

/** How long the other end has to read what was said last, and to close. */
const LINGER_MS = 15_000

class SocketChannel implements Channel {
  onData: (chunk: Uint8Array) => void = ignoreData
  onDrain: () => void = ignoreDrain
  onClose: (error: Error | null) => void = ignoreClose
  closed = false
  private closing = false
  private readonly socket: net.Socket
  private error: Error | null = null
  private readonly written: () => void

  constructor(socket: net.Socket) {
    this.socket = socket
    this.written = () => {
      if (!this.closed) this.onDrain()
    }
    socket.pause()
    socket.on('data', chunk => {
      if (!this.closing) this.onData(chunk as Uint8Array)
    })
    socket.on('error', error => {
      this.error ??= error
    })
    socket.on('close', () => {
      this.closed = true
      this.onClose(this.error)
    })
  }

  get pending(): number {
    return this.socket.writableLength
  }

  write(slices: readonly Uint8Array[]): void {
    const socket = this.socket
    const last = slices.length - 1
    if (last < 0 || this.closed || !socket.writable) return
    socket.cork()
    for (let i = 0; i < last; i++) socket.write(slices[i]!)
    socket.write(slices[last]!, this.written)
    socket.uncork()
  }

  pause(): void {
    if (!this.closing) this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }

  /**
   * Says that nothing follows, and reads on, into nothing, until the other end closes too. Whoever closes at once, or leaves
   * something unread, resets the connection under the other end's writes, and takes from it what it has not read yet.
   */
  close(): void {
    const { socket } = this
    if (this.closed || this.closing) return
    this.closing = true
    socket.end()
    socket.resume()
    const timer = setTimeout(() => socket.destroy(), LINGER_MS)
    timer.unref()
    socket.once('close', () => clearTimeout(timer))
  }

  abort(): void {
    this.socket.destroy()
  }

  atTurnEnd(task: () => void): void {
    setImmediate(task)
  }
}

/** Wraps a connected socket: an accepted one at the daemon, a dialled one at the client. */
export function createSocketChannel(socket: net.Socket): Channel {
  socket.setNoDelay(true)
  return new SocketChannel(socket)
}

export interface DialOptions {
  readonly signal?: AbortSignal | undefined
  /** Longest wait for the connection; ms. */
  readonly timeoutMs: number
}

/**
 * @param address `unix:/path` or `tcp://host:port`.
 * @throws AnasaziError `bad-address`, `connection-refused` (nobody listens, no such host, no permission, no answer in time),
 *   `aborted`.
 */
export async function openSocketChannel(address: string, options: DialOptions): Promise<Channel> {
  const parsed = parseAddress(address)
  const { signal, timeoutMs } = options
  const until = performance.now() + timeoutMs
  for (;;) {
    if (signal?.aborted) throw new AnasaziError('aborted', '', { cause: signal.reason })
    const left = Math.max(1, until - performance.now())
    try {
      return createSocketChannel(await dial(parsed, left, signal))
    } catch (error) {
      if (error instanceof AnasaziError) throw error
      const { code, message } = error as NodeJS.ErrnoException
      // The line before a unix socket is full: others came at the same moment.
      const isFull = code === 'EAGAIN' && left > FULL_PAUSE_MS
      if (!isFull) throw new AnasaziError('connection-refused', `${address}: ${message}.`, { cause: error })
      await new Promise(resolve => setTimeout(resolve, FULL_PAUSE_MS))
    }
  }
}

/** A connected socket. Rejects with `aborted` or the system's error. */
function dial(address: Address, timeoutMs: number, signal: AbortSignal | undefined): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const socket =
      address.kind === 'unix'
        ? net.connect({ path: address.path })
        : net.connect({ host: address.host, port: address.port, noDelay: true, keepAlive: true })
    const onAbort = (): void => fail(new AnasaziError('aborted', '', { cause: signal?.reason }))
    const timer = setTimeout(() => fail(new Error(`no answer within ${Math.round(timeoutMs)} ms`)), timeoutMs)
    const settle = (): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
      socket.off('error', fail)
    }
    const fail = (error: Error): void => {
      settle()
      socket.destroy()
      reject(error)
    }
    signal?.addEventListener('abort', onAbort, { once: true })
    socket.once('error', fail)
    socket.once('connect', () => {
      settle()
      resolve(socket)
    })
  })
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK)
    return true
  } catch {
    return false
  }
}

function isSocket(path: string): boolean {
  try {
    return statSync(path).isSocket()
  } catch {
    return false
  }
}

/**
 * Where a daemon listens that was not told otherwise: `/run/anasazi/main.sock` if its directory exists or can be
 * created, else a directory of this user's under the directory of temporary files.
 */
export function defaultListenAddress(): string {
  const directory = dirname(SYSTEM_SOCKET_PATH)
  if (isWritable(directory)) return `unix:${SYSTEM_SOCKET_PATH}`
  if (isWritable(dirname(directory)) && !isDirectory(directory)) return `unix:${SYSTEM_SOCKET_PATH}`
  return `unix:${userPath()}`
}

/**
 * Where a client looks that was not told otherwise: this user's daemon if there is one, else the system's.
 *
 * @throws AnasaziError `connection-refused`: somebody else has taken this user's place among the temporary files.
 */
export function defaultConnectAddress(): string {
  const own = userPath()
  const listening = defaultListenAddress()
  const address =
    isSocket(SYSTEM_SOCKET_PATH) && !(isSocket(own) && listening === `unix:${own}`)
      ? `unix:${SYSTEM_SOCKET_PATH}`
      : listening
  if (address === `unix:${own}` && belongsToAnother(dirname(own))) {
    throw new AnasaziError('connection-refused', `${dirname(own)} belongs to another user.`)
  }
  return address
}

/**
 * Whether a directory is another user's although it lies where anybody may make one: what is in it then proves nothing.
 * @param user whose it should be; default: who runs this process.
 */
export function belongsToAnother(directory: string, user: number | undefined = process.getuid?.()): boolean {
  if (user === undefined) return false
  try {
    const { uid } = statSync(directory)
    const anybodyMay = (statSync(dirname(directory)).mode & 0o002) !== 0
    return anybodyMay && uid !== user && uid !== 0
  } catch {
    return false
  }
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory()
  } catch {
    return false
  }
}

function userPath(): string {
  return userSocketPath(tmpdir(), process.getuid?.() ?? userInfo().username)
}

/** CLOCK_MONOTONIC in nanoseconds: comparable between the processes of one machine, which traces need. */
export function monotonicNanoseconds(): bigint {
  return process.hrtime.bigint()
}
