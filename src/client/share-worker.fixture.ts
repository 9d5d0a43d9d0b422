/** A worker of the share tests: sends a number of messages to a group, receives a number, and says what it saw. */

import { parentPort, workerData } from 'node:worker_threads'
import type { SharedHandle } from './api.ts'
import { attach } from './share.ts'

export interface WorkerTask {
  readonly handle: SharedHandle
  readonly worker: number
  readonly group: string
  readonly send: number
  /** Stop after this many; 0: after the one that is `stop`. */
  readonly receive: number
}

export interface WorkerReport {
  readonly worker: number
  readonly received: number
  readonly disorder: number
  readonly bySender: Readonly<Record<string, number>>
}

async function run(task: WorkerTask): Promise<void> {
  const session = await attach(task.handle)
  const group = await session.join(task.group)
  const batches = session.batches()
  const bySender: Record<string, number> = {}
  let received = 0
  let disorder = 0
  const receiving = (async () => {
    for await (const batch of batches) {
      for (const event of batch) {
        if (event.type !== 'message') continue
        received++
        // Which thread sent it, and its number there.
        const view = new DataView(event.data.buffer, event.data.byteOffset)
        const thread = view.getUint32(0, true)
        const number = view.getUint32(4, true)
        const last = bySender[thread] ?? 0
        if (number <= last) disorder++
        bySender[thread] = number
      }
      if (received >= task.receive) return
    }
  })()
  const data = new Uint8Array(64)
  const view = new DataView(data.buffer)
  view.setUint32(0, task.worker, true)
  for (let i = 1; i <= task.send; i++) {
    view.setUint32(4, i, true)
    while (group.trySend(data) === 0) await group.writable()
    // Others have their turn.
    if (i % 1000 === 0) await new Promise(resolve => setImmediate(resolve))
  }
  await receiving
  const report: WorkerReport = { worker: task.worker, received, disorder, bySender }
  parentPort!.postMessage(report, [])
  await new Promise<void>(resolve => {
    parentPort!.once('message', () => resolve())
  })
  await session.close()
}

void run(workerData as WorkerTask)
