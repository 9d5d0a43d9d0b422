/** How another thread of a node's process asks for a channel to one of its cells: by rings of shared memory. */

import { MessagePort } from 'node:worker_threads'
import { encodeDaemonFrame } from '../codec/client-encode.ts'
import { AnasaziError } from '../lib/errors.ts'
import type { Channel } from './channel.ts'
import type { RingEnd } from './channel-ring.ts'
import { createRingChannel, createRingEnds } from './channel-ring.ts'

/** Of each direction. The daemon keeps what does not fit. Bytes. */
const RING_BYTES = 1 << 20

/** What a thread posts through the port that it got from a node: a channel to a cell, null is the default one. */
interface ChannelRequest {
  readonly cell: string | null
  readonly end: RingEnd
}

/** Both ends of a channel between threads; `there.port` goes into the list of what is transferred. */
export function createThreadChannel(): { readonly here: Channel; readonly there: RingEnd } {
  const [here, there] = createRingEnds(RING_BYTES)
  return { here: createRingChannel(here), there }
}

/** The node's side. @param accept serves a client at the end; what it throws is told to that client. */
export function servePort(port: MessagePort, accept: (cell: string | null, end: RingEnd) => void): void {
  port.on('message', (request: Partial<ChannelRequest> | null) => {
    const end = request?.end
    if (!(end?.port instanceof MessagePort)) return
    try {
      accept(request?.cell ?? null, end)
    } catch (error) {
      const code = error instanceof AnasaziError ? error.code : 'refused'
      const channel = createRingChannel(end)
      channel.write([encodeDaemonFrame({ kind: 'refused', code, words: String((error as Error).message) })])
      channel.close()
    }
  })
  // Threads that might still ask are no reason to go on.
  port.unref()
}

/** The other thread's side: a channel to a cell of the node that `port` leads to. */
export function openThreadChannel(port: MessagePort, cell: string | null): Channel {
  const { here, there } = createThreadChannel()
  const request: ChannelRequest = { cell, end: there }
  port.postMessage(request, [there.port])
  return here
}
