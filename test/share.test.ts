/** One session of a real node, used by several threads at the same time. */

import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { expect, it } from 'vitest'
import { shareCounters } from '../src/client/index.ts'
import { figure, stopwatch } from './figures.ts'
import { quietConfig, testDirectory, testNode } from './nodes.ts'

const threads = 4
const each = 250_000

interface Report {
  readonly last: readonly number[]
  readonly received: number
  readonly disorder: number
  readonly order: number
  readonly sequence: number
}

it('four threads send 250,000 messages each, and each receives all in the order in which every thread sent', {
  timeout: 240_000,
}, async () => {
  const node = await testNode({ config: quietConfig(testDirectory(), 'n1') })
  const session = await node.session({ name: 'shared' })
  const since = stopwatch()
  const running = Array.from({ length: threads }, (_, thread) => {
    const handle = session.share()
    const workerData = { handle, thread, threads, group: 'orders', each }
    const worker = new Worker(new URL('./share-thread.mjs', import.meta.url), {
      workerData,
      transferList: [handle.port as import('node:worker_threads').MessagePort],
    })
    return { worker, handle, reported: once(worker, 'message') as Promise<[Report]> }
  })
  const reports = (await Promise.all(running.map(({ reported }) => reported))).map(([report]) => report)
  const seconds = since() / 1000
  figure('four threads of one session: received by each', (threads * each) / seconds / 1000, 'thousand/s')

  for (const { last, received, disorder, sequence } of reports) {
    expect({ received, disorder }).toEqual({ received: threads * each, disorder: 0 })
    expect(last).toEqual(Array.from({ length: threads }, () => each))
    expect(sequence).toBe(each)
  }
  expect(new Set(reports.map(({ order }) => order)).size).toBe(1)
  expect(session.progress).toMatchObject({ accepted: threads * each, delivered: threads * each })
  let doorbells = 0
  let commits = 0
  for (const { handle } of running) {
    const { incoming, outgoing } = shareCounters(handle)
    doorbells += incoming.doorbells + outgoing.doorbells
    commits += incoming.commits + outgoing.commits
  }
  const passed = threads * each * (1 + threads)
  figure('messages for each doorbell', passed / doorbells)
  // The port only wakes who sleeps; what passes is packed, through shared memory.
  expect(doorbells).toBeLessThan(passed / 50)
  expect(commits).toBeLessThan(passed / 10)

  for (const { worker } of running) {
    const gone = once(worker, 'exit')
    worker.postMessage('close', [])
    await gone
  }
  await session.close()
})
