/** A thread that runs seeds. */

import { parentPort } from 'node:worker_threads'
import { runTask, type Task } from './seeds.ts'

const port = parentPort
if (port === null) throw new Error('this module runs in a worker thread only')
port.on('message', (task: Task) => port.postMessage(runTask(task)))
