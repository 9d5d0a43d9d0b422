/** Entry of the worker thread of a dedicated cell: its event loop, listeners, peers and clients are all its own. */

import { parentPort, workerData } from 'node:worker_threads'
import { Counters } from '../admin/counters.ts'
import { createRingChannel } from '../client/channel-ring.ts'
import type { CellDescription } from '../codec/client.ts'
import { invariant } from '../lib/assert.ts'
import { CellHost } from './host.ts'
import { HostLoop, monotonicMs } from './loop.ts'
import type { FromWorker, ToWorker, WorkerStart } from './worker-protocol.ts'

invariant(parentPort !== null, 'this module is the entry of a worker thread')
const port = parentPort
const { identity, config, trace, counters } = workerData as WorkerStart
let cells: readonly CellDescription[] = []
let lastRequest = 0
const waiting = new Map<number, (json: string) => void>()

function say(message: FromWorker): void {
  port.postMessage(message)
}

const host = new CellHost({
  identity,
  config,
  trace,
  counters: new Counters(counters),
  emit: event => say({ type: 'event', event }),
  createLoop: target => new HostLoop(target),
  describeCells: () => cells,
  status: () =>
    new Promise(resolve => {
      const request = ++lastRequest
      waiting.set(request, resolve)
      say({ type: 'nodeStatus', request })
    }),
})

port.on('message', (message: ToWorker) => {
  switch (message.type) {
    case 'announce':
      cells = message.cells
      host.runtime.loop.wake()
      break
    case 'session':
      host.runtime.accept(createRingChannel(message.end))
      break
    case 'status':
      say({ type: 'status', request: message.request, status: host.describe() })
      break
    case 'leave':
      void host.leave(message.timeoutMs).then(() => say({ type: 'done', request: message.request }))
      break
    case 'close':
      void host.close().then(() => {
        say({ type: 'done', request: message.request })
        port.close()
      })
      break
    case 'nodeStatus':
      waiting.get(message.request)?.(message.json)
      waiting.delete(message.request)
      break
    case 'wedge': {
      const until = monotonicMs() + message.ms
      while (monotonicMs() < until);
      break
    }
    default:
      message satisfies never
  }
})

host.start().then(
  () => say({ type: 'started', addresses: host.addresses }),
  (error: Error) => {
    say({ type: 'failed', name: error.name, message: error.message })
    port.close()
  },
)
