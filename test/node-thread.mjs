/** A node in a worker thread, with a host loop, a dedicated one, or one that this thread drives; tests reach it by ports. */

import { parentPort, workerData } from 'node:worker_threads'
import { createNode } from '../dist/node/index.js'
import { drive } from './drive.mjs'

const { config, loop, computeMs } = workerData
const create = options => createNode({ config, ...options })

/** What the host does in every turn of its loop. */
function compute() {
  const until = performance.now() + computeMs
  while (performance.now() < until);
}

const driven = loop === 'manual' ? await drive(create, compute) : null
const node = driven?.node ?? (await create({}))

parentPort.on('message', async message => {
  if (message === 'port') {
    const port = node.port()
    parentPort.postMessage({ port }, [port])
  } else {
    await node[message]()
    driven?.stop()
    parentPort.close()
  }
})
parentPort.postMessage({ id: node.id }, [])
