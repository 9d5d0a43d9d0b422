import type { Socket } from 'node:net'
import { CodecError } from '../codec/error.ts'
import { decodeHello, type Hello, helloLength } from '../codec/handshake.ts'
import type { Crc32 } from '../lib/crc32.ts'

/** Why no hello came: `garbage` something else did, `timeout` nothing complete in time, `closed` the connection ended before. */
export type HelloFailure = 'garbage' | 'timeout' | 'closed'

export interface HelloListener {
  /** `rest`: what was read behind the hello. The socket has no listeners any more, but for errors. */
  onHello(hello: Hello, rest: Uint8Array): void
  /** Told once, and nothing afterwards. The socket is destroyed. */
  onFailure(failure: HelloFailure, reason: string, code: string | null): void
}

/** Waits for the other end's hello. Returns a function that gives up silently and destroys the socket. */
export function awaitHello(
  socket: Socket,
  options: { readonly timeoutMs: number; readonly crc32: Crc32 },
  listener: HelloListener,
): () => void {
  let gathered: Uint8Array = new Uint8Array(0)
  let over = false
  let lastError: (Error & { code?: string }) | null = null

  const stop = (): boolean => {
    if (over) return false
    over = true
    clearTimeout(timer)
    socket.off('data', onData)
    socket.off('end', onClose)
    socket.off('close', onClose)
    return true
  }
  const fail = (failure: HelloFailure, reason: string, code: string | null = null): void => {
    if (!stop()) return
    socket.destroy()
    listener.onFailure(failure, reason, code)
  }
  const onData = (chunk: Uint8Array): void => {
    gathered = gathered.length === 0 ? chunk : Buffer.concat([gathered, chunk])
    try {
      const length = helloLength(gathered)
      if (length === 0 || gathered.length < length) return
      const hello = decodeHello(gathered.subarray(0, length), options.crc32)
      const rest = gathered.subarray(length)
      if (stop()) listener.onHello(hello, rest)
    } catch (error) {
      if (!(error instanceof CodecError)) throw error
      fail('garbage', error.message)
    }
  }
  const onClose = (): void => {
    // Errors of several addresses at once have a code but no message.
    const reason =
      lastError?.message ||
      lastError?.code ||
      `closed before it said who it is, after ${gathered.length} bytes`
    fail('closed', reason, lastError?.code ?? null)
  }
  const timer = setTimeout(() => {
    const what = gathered.length === 0 ? 'nothing' : `only ${gathered.length} bytes of a hello`
    fail('timeout', `${what} within ${options.timeoutMs} ms`)
  }, options.timeoutMs)

  // Stays on for the life of the socket: an error without a listener would end the process.
  socket.on('error', error => {
    lastError = error
  })
  socket.on('data', onData)
  socket.on('end', onClose)
  socket.on('close', onClose)

  return () => {
    if (stop()) socket.destroy()
  }
}

/** Sends a last word and closes; the other end has `lingerMs` to read it. */
export function endWith(socket: Socket, bytes: Uint8Array, lingerMs: number): void {
  const timer = setTimeout(() => socket.destroy(), lingerMs)
  socket.once('close', () => clearTimeout(timer))
  socket.end(bytes)
  socket.resume()
}
