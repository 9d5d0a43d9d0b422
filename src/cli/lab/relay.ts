/** A relay of TCP connections, whose connections can be broken while both ends live. */

import net from 'node:net'

interface Pair {
  readonly near: net.Socket
  readonly far: net.Socket
}

export class Relay {
  /** Where it listens, `host:port`. */
  readonly address: string
  private readonly server: net.Server
  private readonly pairs: Set<Pair>

  private constructor(server: net.Server, pairs: Set<Pair>) {
    const { port } = server.address() as net.AddressInfo
    this.address = `127.0.0.1:${port}`
    this.server = server
    this.pairs = pairs
  }

  /** Listens on loopback for whoever wants to reach `target`, `host:port`. */
  static listen(target: string): Promise<Relay> {
    const colon = target.lastIndexOf(':')
    const to = { host: target.slice(0, colon), port: Number(target.slice(colon + 1)) }
    const pairs = new Set<Pair>()
    const server = net.createServer({ noDelay: true }, near => {
      const far = net.connect({ ...to, noDelay: true })
      const pair = { near, far }
      pairs.add(pair)
      for (const [socket, other] of [
        [near, far],
        [far, near],
      ] as const) {
        socket.on('error', () => other.resetAndDestroy())
        socket.on('close', () => {
          pairs.delete(pair)
          if (!other.writableEnded) other.destroySoon()
        })
        socket.pipe(other)
      }
    })
    return new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen(0, '127.0.0.1', () => resolve(new Relay(server, pairs)))
    })
  }

  /** Resets what is connected, towards both ends, with whatever is on its way. @returns how many connections that were. */
  reset(): number {
    const broken = [...this.pairs]
    for (const { near, far } of broken) {
      near.resetAndDestroy()
      far.resetAndDestroy()
    }
    return broken.length
  }

  close(): Promise<void> {
    this.reset()
    return new Promise(resolve => this.server.close(() => resolve()))
  }
}
