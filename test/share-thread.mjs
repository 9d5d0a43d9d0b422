/** One of the threads of a shared session: sends, receives, and says what it saw. */

import { parentPort, workerData } from 'node:worker_threads'
import { attach } from '../dist/client/index.js'

const { handle, thread, threads, group: name, each } = workerData
const session = await attach(handle)
const group = await session.join(name)

/** By thread that sent it: the number of its last message. */
const last = Array.from({ length: threads }, () => 0)
let received = 0
let disorder = 0
/** Of who sent what is received, in its order. */
let order = 0

async function receive() {
  for await (const batch of group.batches()) {
    for (const event of batch) {
      if (event.type !== 'message') continue
      const { data } = event
      const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
      const from = view.getUint32(0, true)
      const number = view.getUint32(4, true)
      if (number !== last[from] + 1) disorder++
      last[from] = number
      order = (Math.imul(order, 31) + from + 1) | 0
      received++
    }
    if (received === each * threads) return
  }
}

async function send() {
  const data = new Uint8Array(64)
  const view = new DataView(data.buffer)
  view.setUint32(0, thread, true)
  for (let number = 1; number <= each; number++) {
    view.setUint32(4, number, true)
    while (group.trySend(data) === 0) await group.writable()
    // What came in has its turn.
    if (number % 1000 === 0) await new Promise(resolve => setImmediate(resolve))
  }
}

await Promise.all([receive(), send()])
parentPort.postMessage({ last, received, disorder, order, sequence: session.progress.delivered }, [])
parentPort.once('message', async () => {
  await session.close()
  parentPort.close()
})
