/** Where clients connect: unix sockets and TCP. */

import { existsSync, mkdirSync, unlinkSync } from 'node:fs'
import net from 'node:net'
import { dirname } from 'node:path'
import type { Channel } from '../client/channel.ts'
import { createSocketChannel } from '../client/channel-socket.ts'

export interface Endpoint {
  /** `unix:/path` or `tcp://host:port`, with the port that was really bound. */
  readonly address: string
  close(): Promise<void>
}

/** Another process serves this address. */
export class AddressInUseError extends Error {
  override readonly name = 'AddressInUseError'
}

/**
 * Listens on a unix socket; the file of a daemon that died is replaced, that of one that lives is not.
 * @throws AddressInUseError if somebody answers there, or the system's error.
 */
export async function listenUnix(path: string, accept: (channel: Channel) => void): Promise<Endpoint> {
  mkdirSync(dirname(path), { recursive: true })
  if (existsSync(path)) {
    if (await answers(path)) {
      throw new AddressInUseError(
        `another daemon already serves ${path}; stop it, or give this one another runtime directory`,
      )
    }
    unlinkSync(path)
  }
  const server = serve(accept)
  await listening(server, { path })
  return { address: `unix:${path}`, close: () => closed(server) }
}

/** @throws AddressInUseError if the port is taken, or the system's error. */
export async function listenTcp(
  host: string,
  port: number,
  accept: (channel: Channel) => void,
): Promise<Endpoint> {
  const server = serve(accept)
  try {
    await listening(server, { host, port })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    throw new AddressInUseError(`${host}:${port} is in use; choose another port for clients over TCP`)
  }
  const bound = server.address() as net.AddressInfo
  const name = bound.family === 'IPv6' ? `[${bound.address}]` : bound.address
  return { address: `tcp://${name}:${bound.port}`, close: () => closed(server) }
}

function serve(accept: (channel: Channel) => void): net.Server {
  // Large reads: a batch of messages is taken up in one turn.
  const server = net.createServer({ noDelay: true, allowHalfOpen: false, highWaterMark: 1 << 20 }, socket => {
    accept(createSocketChannel(socket))
  })
  // Running out of descriptors must not end the daemon: those who are connected are served on.
  server.on('error', () => {})
  return server
}

function listening(server: net.Server, where: net.ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(where, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

function closed(server: net.Server): Promise<void> {
  return new Promise(resolve => server.close(() => resolve()))
}

function answers(path: string): Promise<boolean> {
  return new Promise(resolve => {
    const socket = net.connect({ path })
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
