/** A relay of TCP connections: a link that can be slow, stall, spoil bytes, lose frames, and break while both ends live. */

import net from 'node:net'
import { FrameCutter } from './frame-cutter.ts'
import { Weather } from './weather.ts'

/** What one direction of one connection may hold before its source is not read any more. */
const mostHeldBytes = 1 << 22

interface Pair {
  readonly near: net.Socket
  readonly far: net.Socket
}

/** The weather of both directions: from who dials, and back. */
export interface Directions {
  readonly forth: Weather
  readonly back: Weather
}

export class Relay {
  /** Where it listens, `host:port`. */
  readonly address: string
  private readonly server: net.Server
  private readonly pairs: Set<Pair>

  private constructor(server: net.Server, pairs: Set<Pair>) {
    const { address, port } = server.address() as net.AddressInfo
    this.address = `${address}:${port}`
    this.server = server
    this.pairs = pairs
  }

  /** Listens on loopback for whoever wants to reach `target`, `host:port`. @param host an address of loopback. */
  static listen(
    target: string,
    weather: Partial<Directions> = {},
    host: string = '127.0.0.1',
  ): Promise<Relay> {
    const colon = target.lastIndexOf(':')
    const to = { host: target.slice(0, colon), port: Number(target.slice(colon + 1)) }
    const { forth = new Weather(1), back = new Weather(2) } = weather
    const pairs = new Set<Pair>()
    const server = net.createServer({ noDelay: true }, near => {
      const far = net.connect({ ...to, noDelay: true })
      const pair = { near, far }
      pairs.add(pair)
      const ended = (): void => {
        if (near.destroyed && far.destroyed) pairs.delete(pair)
      }
      near.once('close', ended)
      far.once('close', ended)
      Pipe.lay(near, far, forth)
      Pipe.lay(far, near, back)
    })
    return new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen(0, host, () => resolve(new Relay(server, pairs)))
    })
  }

  /** Resets what is connected, towards both ends, with whatever is on its way. @returns how many connections that were. */
  reset(): number {
    const broken = [...this.pairs]
    for (const { near, far } of broken) {
      abort(near)
      abort(far)
    }
    return broken.length
  }

  close(): Promise<void> {
    this.reset()
    return new Promise(resolve => this.server.close(() => resolve()))
  }
}

type Held = { readonly at: number; readonly bytes: Uint8Array }

/** One direction of one connection. */
class Pipe {
  private readonly from: net.Socket
  private readonly to: net.Socket
  private readonly weather: Weather
  private readonly cutter = new FrameCutter()
  private readonly held: Held[] = []
  private heldBytes = 0
  /** How the source ended, which reaches the other end after all that it said. */
  private end: 'none' | 'orderly' | 'reset' = 'none'
  private freeAt = 0
  private lastAt = 0
  private blocked = false
  private timer: NodeJS.Timeout | null = null
  private readonly onWeather = (): void => this.flush()

  private constructor(from: net.Socket, to: net.Socket, weather: Weather) {
    this.from = from
    this.to = to
    this.weather = weather
  }

  static lay(from: net.Socket, to: net.Socket, weather: Weather): void {
    new Pipe(from, to, weather).connect()
  }

  private connect(): void {
    const { from, to, weather } = this
    weather.listeners.add(this.onWeather)
    from.on('data', chunk => this.take(chunk as Uint8Array))
    from.on('error', () => this.over('reset'))
    from.on('close', () => this.over('orderly'))
    to.on('drain', () => {
      this.blocked = false
      this.flush()
    })
    to.on('close', () => this.close())
  }

  private take(chunk: Uint8Array): void {
    const now = performance.now()
    const { bytesPerSecond } = this.weather.faults
    for (const bytes of this.weather.pass(chunk, this.cutter)) {
      this.freeAt = Math.max(now, this.freeAt) + (bytes.length / bytesPerSecond) * 1000
      this.lastAt = Math.max(this.lastAt, this.freeAt + this.weather.delayMs())
      this.held.push({ at: this.lastAt, bytes })
      this.heldBytes += bytes.length
    }
    if (this.heldBytes > mostHeldBytes) this.from.pause()
    this.flush()
  }

  private over(end: 'orderly' | 'reset'): void {
    if (this.end !== 'none') return
    this.end = end
    this.flush()
  }

  private flush(): void {
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
    if (this.weather.faults.stalled || this.to.destroyed) return
    if (this.end === 'reset') {
      abort(this.to)
      return
    }
    const now = performance.now()
    let next = this.held[0]
    while (next !== undefined && next.at <= now && !this.blocked) {
      this.held.shift()
      this.heldBytes -= next.bytes.length
      this.blocked = !this.to.write(next.bytes)
      next = this.held[0]
    }
    if (this.heldBytes < mostHeldBytes / 2 && this.from.isPaused()) this.from.resume()
    if (next === undefined) {
      if (this.end === 'orderly' && !this.to.writableEnded) this.to.destroySoon()
    } else if (!this.blocked) {
      this.timer = setTimeout(() => this.flush(), Math.max(1, next.at - now))
    }
  }

  /** There is nobody to tell anything any more. */
  private close(): void {
    this.weather.listeners.delete(this.onWeather)
    if (this.timer !== null) clearTimeout(this.timer)
    this.held.length = 0
    this.heldBytes = 0
    if (this.from.isPaused()) this.from.resume()
  }
}

/** Of a socket whose end is under way libuv resets nothing, and Node then never closes it: not even the process could end. */
function abort(socket: net.Socket): void {
  if (socket.writableEnded) socket.destroy()
  else socket.resetAndDestroy()
}
