/**
 * A channel over a message port, to a cell on another thread. What is written in one turn travels as one message
 * whose buffer is transferred; it is joined into that buffer first, because slices share their memory with others.
 */

import { MessageChannel, MessagePort } from 'node:worker_threads'
import { encodeDaemonFrame } from '../codec/client-encode.ts'
import { AnasaziError } from '../lib/errors.ts'
import type { Channel } from './channel.ts'
import { ignoreClose, ignoreData, ignoreDrain } from './channel.ts'

/** A batch of bytes, a credit for bytes that were read, or the end. */
type PortMessage = Uint8Array | number | null

class PortChannel implements Channel {
  onData: (chunk: Uint8Array) => void = ignoreData
  onDrain: () => void = ignoreDrain
  onClose: (error: Error | null) => void = ignoreClose
  pending = 0
  closed = false
  private readonly port: MessagePort
  private paused = true
  private inbox: Uint8Array[] = []
  private out: Uint8Array[] = []
  private outBytes = 0
  private credit = 0
  private scheduled = false
  private delivering = false
  private peerClosed = false

  constructor(port: MessagePort) {
    this.port = port
    port.on('message', (message: PortMessage) => this.receive(message))
    port.on('close', () => {
      this.peerClosed = true
      if (this.inbox.length === 0 || this.closed) this.finish()
      else this.deliver()
    })
  }

  write(slices: readonly Uint8Array[]): void {
    if (this.closed || this.peerClosed) return
    for (const slice of slices) {
      this.out.push(slice)
      this.outBytes += slice.length
      this.pending += slice.length
    }
    this.schedule()
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
    if (this.inbox.length > 0 || this.peerClosed) this.atTurnEnd(() => this.deliver())
  }

  close(): void {
    if (this.closed) return
    this.flush()
    this.closed = true
    this.port.postMessage(null, [])
    this.inbox = []
    // The other end closes the port when it has read the end; if it is gone, the port is closed already.
  }

  abort(): void {
    if (this.closed) return
    this.closed = true
    this.out = []
    this.inbox = []
    this.port.close()
  }

  atTurnEnd(task: () => void): void {
    setImmediate(task)
  }

  private schedule(): void {
    if (this.scheduled) return
    this.scheduled = true
    setImmediate(() => {
      this.scheduled = false
      this.flush()
    })
  }

  private flush(): void {
    if (this.closed) return
    if (this.outBytes > 0) {
      const batch = new Uint8Array(this.outBytes)
      let at = 0
      for (const slice of this.out) {
        batch.set(slice, at)
        at += slice.length
      }
      this.out = []
      this.outBytes = 0
      this.port.postMessage(batch, [batch.buffer])
    }
    if (this.credit > 0) {
      this.port.postMessage(this.credit, [])
      this.credit = 0
    }
  }

  private receive(message: PortMessage): void {
    if (typeof message === 'number') {
      this.pending -= message
      if (!this.closed) this.onDrain()
      return
    }
    if (this.closed) {
      if (message === null) this.port.close()
      return
    }
    if (message === null) this.peerClosed = true
    else this.inbox.push(message)
    this.deliver()
  }

  private deliver(): void {
    // `onData` may resume a paused channel; the outer call then goes on by itself.
    if (this.delivering) return
    this.delivering = true
    let head = 0
    while (!this.paused && !this.closed && head < this.inbox.length) {
      const chunk = this.inbox[head++]!
      this.credit += chunk.length
      this.onData(chunk)
    }
    if (head > 0) this.inbox = this.inbox.slice(head)
    this.delivering = false
    if (this.credit > 0) this.schedule()
    if (this.peerClosed && this.inbox.length === 0) this.finish()
  }

  private finished = false

  private finish(): void {
    if (this.finished) return
    this.finished = true
    this.closed = true
    this.port.close()
    this.onClose(null)
  }
}

/** Wraps one end of a `MessageChannel`. A thread that ends closes the channel of the other end. */
export function createPortChannel(port: MessagePort): Channel {
  return new PortChannel(port)
}

/** What a thread posts through the port that it got from a node: a channel to a cell, null is the default one. */
interface ChannelRequest {
  readonly cell: string | null
  readonly port: MessagePort
}

/** The node's side. @param accept serves a client at the port; what it throws is told to that client. */
export function servePort(port: MessagePort, accept: (cell: string | null, port: MessagePort) => void): void {
  port.on('message', (request: Partial<ChannelRequest> | null) => {
    if (!(request?.port instanceof MessagePort)) return
    try {
      accept(request.cell ?? null, request.port)
    } catch (error) {
      const code = error instanceof AnasaziError ? error.code : 'refused'
      const channel = createPortChannel(request.port)
      channel.write([encodeDaemonFrame({ kind: 'refused', code, words: String((error as Error).message) })])
      channel.close()
    }
  })
  // Threads that might still ask are no reason to go on.
  port.unref()
}

/** The other thread's side: a channel to a cell of the node that `port` leads to. */
export function openPortChannel(port: MessagePort, cell: string | null): Channel {
  const { port1, port2 } = new MessageChannel()
  const request: ChannelRequest = { cell, port: port2 }
  port.postMessage(request, [port2])
  return createPortChannel(port1)
}
