import type { Socket } from 'node:net'
import type { Slices } from '../codec/envelope.ts'
import { CodecError } from '../codec/error.ts'
import type { Lane } from '../core/frames.ts'
import type { MemberId } from '../core/types.ts'
import { FrameSplitter } from './frame-splitter.ts'
import type { Inbox, Readable } from './inbox.ts'
import type { TransportCounters, TransportLimits } from './transport.ts'

/**
 * Carries frames of the data lane past its connections. Those stay what tells who is there, in which order what was
 * agreed, and the way to fall back to.
 */
export interface Carrier {
  /** The connection of the data lane to a peer that offers the same features. What it hands in next comes to `received`. */
  opened(connection: TcpConnection): void
  /** What came over any data connection, opened or not; takes out of `frames` what the cell shall not see. */
  received(connection: TcpConnection, frames: Slices[]): void
  closed(connection: TcpConnection): void
}

export interface ConnectionContext {
  readonly carrier: Carrier | null
  readonly inbox: Inbox
  readonly counters: TransportCounters
  readonly limits: TransportLimits
}

/** One lane to one peer after the handshake: frames out of and into a socket. */
export class TcpConnection implements Readable {
  readonly member: MemberId
  readonly lane: Lane
  /** True: we dialled. */
  readonly outbound: boolean
  readonly address: string
  /** Monotonic ms. */
  readonly since: number = performance.now()
  /** IP address of the other end; '' if it is gone already. */
  readonly remoteHost: string
  readonly #socket: Socket
  readonly #context: ConnectionContext
  readonly #maxQueueBytes: number
  readonly #splitter: FrameSplitter
  readonly #closed: (reason: string) => void
  readonly #received: Slices[] = []
  #queue: Slices[] = []
  #queuedBytes = 0
  #reading = true
  #silentMs = 0
  #unfinishedMs = 0
  #open = true

  /** `closed` is called once, whatever closes the connection, but not by `release`. */
  constructor(
    context: ConnectionContext,
    socket: Socket,
    link: { member: MemberId; lane: Lane; outbound: boolean; address: string },
    closed: (reason: string) => void,
  ) {
    this.member = link.member
    this.lane = link.lane
    this.outbound = link.outbound
    this.address = link.address
    this.remoteHost = socket.remoteAddress ?? ''
    this.#socket = socket
    this.#context = context
    this.#closed = closed
    const { limits } = context
    this.#maxQueueBytes = link.lane === 'data' ? limits.dataQueueBytes : limits.controlQueueBytes
    this.#splitter = new FrameSplitter(limits.maxFrameBytes)
    socket.on('data', chunk => this.receive(chunk))
    socket.on('error', error => this.destroy(error.message))
    socket.on('end', () => this.destroy('closed by the peer'))
    socket.on('close', () => this.destroy('closed'))
  }

  /** Bytes sent and not yet taken by the system. */
  get pending(): number {
    return this.#queuedBytes + this.#socket.writableLength
  }

  /** How many bytes more have room. */
  get room(): number {
    return this.#maxQueueBytes - this.pending
  }

  /**
   * Queues a frame; false, and counted, if there is no room for it. One frame always has room.
   * @param always it has room, whatever waits.
   */
  send(frame: Slices, always = false): boolean {
    const { pending } = this
    if (!always && pending > 0 && pending + frame.bytes > this.#maxQueueBytes) {
      this.#context.counters.droppedFull++
      return false
    }
    this.#queue.push(frame)
    this.#queuedBytes += frame.bytes
    return true
  }

  flush(): void {
    const queue = this.#queue
    if (queue.length === 0 || !this.#open) return
    const { counters } = this.#context
    counters.framesOut += queue.length
    counters.bytesOut += this.#queuedBytes
    this.#queue = []
    this.#queuedBytes = 0
    const socket = this.#socket
    socket.cork()
    for (const frame of queue) {
      for (const slice of frame.slices) socket.write(slice)
    }
    socket.uncork()
  }

  /** Bytes that came in. Public for what was read together with the handshake. */
  receive(chunk: Uint8Array): void {
    if (!this.#open || chunk.length === 0) return
    this.#silentMs = 0
    this.#context.counters.bytesIn += chunk.length
    const frames = this.#received
    try {
      this.#splitter.push(chunk, frames)
    } catch (error) {
      if (!(error instanceof CodecError)) throw error
      this.#context.counters.garbage++
      this.#deliver(frames)
      this.destroy(`the stream is broken: ${error.message}`)
      return
    }
    if (frames.length > 0) this.#unfinishedMs = 0
    this.#deliver(frames)
  }

  #deliver(frames: Slices[]): void {
    if (this.lane === 'data') this.#context.carrier?.received(this, frames)
    if (frames.length === 0) return
    this.#context.inbox.addFrames(this, this.member, this.lane, frames)
    frames.length = 0
  }

  setReading(reading: boolean): void {
    if (this.#reading === reading || !this.#open) return
    this.#reading = reading
    if (reading) this.#socket.resume()
    else this.#socket.pause()
  }

  /** Adds `elapsedMs` to how long nothing came, unless it is we who do not read; returns the sum. */
  silence(elapsedMs: number): number {
    if (this.#reading) this.#silentMs += elapsedMs
    return this.#silentMs
  }

  /** Adds `elapsedMs` to how long a frame has begun and no frame has ended, unless it is we who do not read; returns the sum. */
  unfinished(elapsedMs: number): number {
    if (!this.#splitter.partial) this.#unfinishedMs = 0
    else if (this.#reading) this.#unfinishedMs += elapsedMs
    return this.#unfinishedMs
  }

  /** Closes at once; `reset` lets the peer know by RST. */
  destroy(reason: string, reset = false): void {
    if (!this.#open) return
    this.#open = false
    this.#context.inbox.forget(this)
    this.#queue = []
    this.#queuedBytes = 0
    if (this.lane === 'data') this.#context.carrier?.closed(this)
    if (reset) this.#socket.resetAndDestroy()
    else this.#socket.destroy()
    this.#closed(reason)
  }

  /** Closes without a word to the owner, after what is queued has been handed over; resolves when that is done. */
  release(lingerMs: number): Promise<void> {
    if (!this.#open) return Promise.resolve()
    this.flush()
    this.#open = false
    this.#context.inbox.forget(this)
    if (this.lane === 'data') this.#context.carrier?.closed(this)
    const socket = this.#socket
    return new Promise(resolve => {
      const timer = setTimeout(() => socket.destroy(), lingerMs)
      socket.once('close', () => {
        clearTimeout(timer)
        resolve()
      })
      socket.end()
      // Unread bytes would turn the orderly end into a reset that takes what is on its way with it.
      socket.resume()
    })
  }
}
