/** Channels over unix sockets and TCP, and the address that all tools share by default. */

import { accessSync, constants, statSync } from 'node:fs'
import net from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { dirname } from 'node:path'
import { SYSTEM_SOCKET_PATH, userSocketPath } from '../lib/defaults.ts'
import { AnasaziError } from '../lib/errors.ts'
import { parseAddress } from './address.ts'
import type { Channel } from './channel.ts'
import { ignoreClose, ignoreData, ignoreDrain } from './channel.ts'

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

/**
 * @param address `unix:/path` or `tcp://host:port`.
 * @throws AnasaziError `bad-address`, `connection-refused` (nobody listens, no such host, no permission), `aborted`.
 */
export function openSocketChannel(address: string, signal?: AbortSignal): Promise<Channel> {
  const parsed = parseAddress(address)
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(new AnasaziError('aborted', '', { cause: signal.reason }))
    const socket =
      parsed.kind === 'unix'
        ? net.connect({ path: parsed.path })
        : net.connect({ host: parsed.host, port: parsed.port, noDelay: true, keepAlive: true })
    const onAbort = () => {
      socket.destroy()
      reject(new AnasaziError('aborted', '', { cause: signal?.reason }))
    }
    const onError = (error: Error) => {
      signal?.removeEventListener('abort', onAbort)
      reject(new AnasaziError('connection-refused', `${address}: ${error.message}.`, { cause: error }))
    }
    signal?.addEventListener('abort', onAbort, { once: true })
    socket.once('error', onError)
    socket.once('connect', () => {
      signal?.removeEventListener('abort', onAbort)
      socket.off('error', onError)
      resolve(createSocketChannel(socket))
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

/** Where a client looks that was not told otherwise: this user's daemon if there is one, else the system's. */
export function defaultConnectAddress(): string {
  const own = userPath()
  const listening = defaultListenAddress()
  if (isSocket(own) && listening === `unix:${own}`) return listening
  return isSocket(SYSTEM_SOCKET_PATH) ? `unix:${SYSTEM_SOCKET_PATH}` : listening
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
