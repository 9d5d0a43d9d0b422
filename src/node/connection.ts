/** One client's channel, from accept to close: bytes in and out, and how far the client has acknowledged. */

import type { Channel } from '../client/channel.ts'
import type { ClientFrame } from '../codec/client.ts'
import {
  clientStreamLimits,
  createClientFrameDecoder,
  HANDSHAKE_STREAM_LIMITS,
} from '../codec/client-decode.ts'
import { type DaemonControlFrame, encodeDaemonFrame } from '../codec/client-encode.ts'
import type { FrameSplitter } from '../codec/client-splitter.ts'
import type { Place } from '../core/types.ts'
import { comparePlaces } from '../groups/place.ts'

export type Stage = 'handshake' | 'open' | 'closing' | 'closed'

/** What may wait for a step before the channel is not read: a host that does not step must not fill its memory. Bytes. */
const MOST_WAITING_BYTES = 4 << 20

const LENIENCE_BYTES = 1 << 20

export class Connection {
  readonly channel: Channel
  stage: Stage = 'handshake'
  /** Number and id of the session, once welcomed. */
  session = 0
  id = ''
  trace = false
  /** Bytes of the delivery stream: written since the welcome, and acknowledged of them. */
  sent = 0
  acknowledged = 0
  /** When it began to lag; null while it keeps up. Renewed only once it has caught up. */
  laggingSince: number | null = null
  /** `sent` at that time: read as far, it is behind by no more than has passed since. */
  laggingUntil = 0
  warned = false
  /** Joins and leaves under way: group → request. */
  readonly joining: Map<string, number> = new Map()
  readonly leaving: Map<string, number> = new Map()
  /** Sender numbers this client has been told. */
  readonly defined: Set<number> = new Set()
  /** Up to here it waits to be told that fates are settled: own messages, and fates it asked for. */
  awaited: Place | null = null
  /** Groups it is a member of, as told to it. */
  readonly groups: Set<string> = new Set()
  /** Bytes accepted from it that have no place in the order yet. */
  intake = 0
  /** Its disconnect was submitted. */
  ending = false
  /** When the connection was accepted, for the handshake's deadline. */
  readonly since: number
  /** The channel has ended: nothing more comes, and nothing reaches the client. */
  gone = false

  private readonly splitter: FrameSplitter<ClientFrame> = createClientFrameDecoder(HANDSHAKE_STREAM_LIMITS)
  private inbox: Uint8Array[] = []
  private inboxBytes = 0
  private out: Uint8Array[] = []
  private reading = true
  private flowing = true

  /** @param wake called when something waits to be taken in a step. */
  constructor(channel: Channel, since: number, wake: (connection: Connection) => void) {
    this.channel = channel
    this.since = since
    channel.onData = chunk => {
      if (this.stage === 'closed') return
      this.inbox.push(chunk)
      this.inboxBytes += chunk.length
      if (this.inboxBytes > MOST_WAITING_BYTES) this.updateFlow()
      wake(this)
    }
    channel.onDrain = () => {}
    channel.onClose = () => {
      this.gone = true
      wake(this)
    }
    channel.resume()
  }

  /** Bytes sent but not acknowledged: on their way, or in the client. */
  get outstanding(): number {
    return this.sent - this.acknowledged
  }

  awaitSettled(place: Place): void {
    if (this.awaited === null || comparePlaces(place, this.awaited) > 0) this.awaited = place
  }

  get hasInput(): boolean {
    return this.inbox.length > 0
  }

  /** The frames of the next chunk. Throws ClientProtocolError at the first malformed one; `out` holds those before. */
  takeFrames(out: ClientFrame[]): void {
    const chunk = this.inbox.shift()
    if (chunk === undefined) return
    this.inboxBytes -= chunk.length
    if (!this.flowing) this.updateFlow()
    this.splitter.push(chunk, out)
  }

  /** Stops and resumes reading: the client feels it as back-pressure. True if that is a change. */
  setReading(reading: boolean): boolean {
    if (this.reading === reading || this.stage === 'closed') return false
    this.reading = reading
    this.updateFlow()
    return true
  }

  private updateFlow(): void {
    const flowing = this.reading && this.inboxBytes <= MOST_WAITING_BYTES
    if (flowing === this.flowing || this.gone) return
    this.flowing = flowing
    if (flowing) this.channel.resume()
    else this.channel.pause()
  }

  welcomed(session: number, id: string, maxMessageBytes: number): void {
    this.session = session
    this.id = id
    this.stage = 'open'
    // What is a little too long is refused with the limit's name, not as noise.
    Object.assign(this.splitter.limits, clientStreamLimits(maxMessageBytes + LENIENCE_BYTES))
  }

  send(frame: DaemonControlFrame): void {
    this.sendBytes(encodeDaemonFrame(frame))
  }

  sendBytes(bytes: Uint8Array): void {
    this.out.push(bytes)
    if (this.stage !== 'handshake') this.sent += bytes.length
  }

  /** A frame whose head is shared by all its receivers, and its payload as it came. */
  sendShared(head: Uint8Array, body: readonly Uint8Array[], bytes: number): void {
    this.out.push(head)
    for (const slice of body) if (slice.length > 0) this.out.push(slice)
    this.sent += head.length + bytes
  }

  /** Everything of this step leaves in one go. */
  flush(): void {
    if (this.out.length === 0) return
    const { out } = this
    this.out = []
    if (this.stage !== 'closed' && !this.gone) this.channel.write(out)
  }

  /** Last words, then the end: what still comes is not looked at. */
  finish(): void {
    this.flush()
    if (this.stage === 'closed') return
    this.stage = 'closed'
    this.inbox = []
    this.inboxBytes = 0
    // Read on, into nothing: an end that the channel does not read would go unnoticed.
    this.channel.resume()
    this.channel.close()
  }
}
