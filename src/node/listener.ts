/** Where clients connect: unix sockets and TCP. */

import { existsSync, mkdirSync, statSync, unlinkSync } from 'node:fs'
import net from 'node:net'
import { dirname } from 'node:path'
import type { Channel } from '../client/channel.ts'
import { belongsToAnother, createSocketChannel } from '../client/channel-socket.ts'

export interface Endpoint {
  /** `unix:/path` or `tcp://host:port`, with the port that was really bound. */
  readonly address: string
  close(): Promise<void>
}

/** How long clients may take to read their last words once nobody is served any more. */
const lastWordsMs = 500

/** Another process serves this address. */
export class AddressInUseError extends Error {
  override readonly name = 'AddressInUseError'
}

/**
 * Listens on a unix socket; the file of a daemon that died is replaced, that of one that lives is not.
 * @throws AddressInUseError if somebody answers there, or the system's error.
 */
export async function listenUnix(path: string, accept: (channel: Channel) => void): Promise<Endpoint> {
  const directory = dirname(path)
  mkdirSync(directory, { recursive: true })
  if (belongsToAnother(directory)) {
    throw new AddressInUseError(`${directory} belongs to another user; give another runtime directory`)
  }
  const taken = `another daemon already serves ${path}; stop it, or give this one another runtime directory`
  if (existsSync(path)) {
    if (!statSync(path).isSocket()) {
      throw new AddressInUseError(`${path} is no socket, and is left alone; give another path for clients`)
    }
    if (await isServed(path)) throw new AddressInUseError(taken)
    unlinkSync(path)
  }
  const server = new Server(accept)
  await server.listen({ path }, taken)
  return { address: `unix:${path}`, close: () => server.close() }
}

/** @throws AddressInUseError if the port is taken, or the system's error. */
export async function listenTcp(
  host: string,
  port: number,
  accept: (channel: Channel) => void,
): Promise<Endpoint> {
  const server = new Server(accept)
  await server.listen({ host, port }, `${host}:${port} is in use; choose another port for clients over TCP`)
  const bound = server.address
  const name = bound.family === 'IPv6' ? `[${bound.address}]` : bound.address
  return { address: `tcp://${name}:${bound.port}`, close: () => server.close() }
}

class Server {
  private readonly server: net.Server
  private readonly sockets = new Set<net.Socket>()

  constructor(accept: (channel: Channel) => void) {
    // Large reads: a batch of messages is taken up in one turn. Keep-alive finds clients whose machine is gone.
    const options = { noDelay: true, keepAlive: true, keepAliveInitialDelay: 10_000, highWaterMark: 1 << 20 }
    this.server = net.createServer(options, socket => {
      this.sockets.add(socket)
      socket.once('close', () => this.sockets.delete(socket))
      accept(createSocketChannel(socket))
    })
  }

  get address(): net.AddressInfo {
    return this.server.address() as net.AddressInfo
  }

  /** @throws AddressInUseError in these words, or the system's error. */
  listen(where: net.ListenOptions, taken: string): Promise<void> {
    const { server } = this
    return new Promise((resolve, reject) => {
      // As many as the system allows: whoever finds no place in the line of a unix socket is sent away at once.
      const backlog = 4096
      const failed = (error: NodeJS.ErrnoException): void => {
        reject(error.code === 'EADDRINUSE' ? new AddressInUseError(taken) : error)
      }
      server.once('error', failed)
      server.listen({ ...where, backlog }, () => {
        server.off('error', failed)
        // Running out of descriptors must not end the daemon: those who are connected are served on.
        server.on('error', () => {})
        resolve()
      })
    })
  }

  /** Resolves when all connections are gone: those whose clients do not read go without them. */
  close(): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(() => {
        for (const socket of this.sockets) socket.destroy()
      }, lastWordsMs)
      this.server.close(() => {
        clearTimeout(timer)
        resolve()
      })
    })
  }
}

/** False only if it is certain: a daemon too busy to accept is one, too. */
function isServed(path: string): Promise<boolean> {
  return new Promise(resolve => {
    const socket = net.connect({ path })
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', (error: NodeJS.ErrnoException) => {
      resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT')
    })
  })
}
