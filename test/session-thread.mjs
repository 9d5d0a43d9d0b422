/** A session in a worker thread, over a port of a node: answers every message of a group in another one. */

import { parentPort, workerData } from 'node:worker_threads'
import { connect } from '../dist/client/index.js'

const session = await connect(workerData.port, { name: 'worker' })
const group = await session.join('questions')
parentPort.postMessage(session.id, [])
try {
  for await (const event of group.events()) {
    if (event.type === 'message') await session.sendMany(['answers'], `re: ${event.text()}`)
  }
  parentPort.postMessage('closed', [])
} catch (error) {
  parentPort.postMessage(error.code, [])
}
parentPort.close()
