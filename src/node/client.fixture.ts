/** A client by hand: says frames, as right or wrong as a test wants them, and keeps what the daemon says. */

import { createDaemonFrameDecoder } from '../codec/client-decode.ts'
import { encodeClientFrame } from '../codec/client-encode.ts'
import type { DaemonFrame, HelloFrame, WelcomeFrame } from '../codec/client.ts'
import { type Channel, ignoreClose, ignoreData, ignoreDrain } from '../client/channel.ts'

export const hello: HelloFrame = {
  kind: 'hello',
  lowest: 1,
  highest: 1,
  features: 0,
  cluster: '',
  auth: 'none',
  cell: '',
  name: '',
  trace: false,
}

type ControlFrame = Parameters<typeof encodeClientFrame>[0]

/** The daemon's end of a channel that is moved by hand: nothing arrives but what `say` brings, at once. */
export class HandChannel implements Channel {
  onData: (chunk: Uint8Array) => void = ignoreData
  onDrain: () => void = ignoreDrain
  onClose: (error: Error | null) => void = ignoreClose
  closed = false
  /** What the daemon wrote and the client did not read. */
  pending = 0
  paused = true
  /** Closed at once, with what was pending. */
  aborted = false
  /** The client reads what is written; otherwise it stays pending. */
  reads = true
  private readonly written: (chunk: Uint8Array) => void

  constructor(written: (chunk: Uint8Array) => void) {
    this.written = written
  }

  write(slices: readonly Uint8Array[]): void {
    for (const slice of slices) {
      if (this.reads) this.written(slice)
      else this.pending += slice.length
    }
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
  }

  /** As a socket's: done only when what is pending was read. */
  close(): void {
    if (this.pending === 0) this.end(null)
  }

  abort(): void {
    this.aborted = true
    this.end(null)
  }

  /** The connection is gone, by whatever end. */
  end(error: Error | null): void {
    if (this.closed) return
    this.closed = true
    this.onClose(error)
  }

  atTurnEnd(task: () => void): void {
    task()
  }
}

export class HandClient {
  readonly channel: HandChannel
  readonly heard: DaemonFrame[] = []
  /** Bytes heard after the welcome. */
  bytes = 0
  private readonly decoder = createDaemonFrameDecoder({ maxControlBytes: 1 << 20, maxPayloadBytes: 1 << 30 })

  constructor() {
    this.channel = new HandChannel(chunk => {
      this.bytes += chunk.length
      this.decoder.push(chunk, this.heard)
      if (this.heard.at(-1)?.kind === 'welcome') this.bytes = 0
    })
  }

  say(...frames: readonly (ControlFrame | Uint8Array)[]): void {
    for (const frame of frames) this.channel.onData('kind' in frame ? encodeClientFrame(frame) : frame)
  }

  get welcome(): WelcomeFrame {
    return this.last('welcome')
  }

  /** The last frame of this kind that was heard. */
  last<Kind extends DaemonFrame['kind']>(kind: Kind): Extract<DaemonFrame, { kind: Kind }> {
    const frame = this.heard.findLast(each => each.kind === kind)
    if (frame === undefined)
      throw new Error(`no ${kind} among ${this.heard.map(each => each.kind).join(' ')}`)
    return frame as Extract<DaemonFrame, { kind: Kind }>
  }

  count(kind: DaemonFrame['kind']): number {
    return this.heard.filter(frame => frame.kind === kind).length
  }
}
