/**
 * One session, several threads: a worker gets a handle, attaches, and sends and receives through shared memory. Here
 * three workers divide the orders of a group among themselves, each customer's always to the same worker and in order,
 * and answer to a second group.
 *
 *     node examples/threads.mjs
 */

import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { attach, connect, shareCounters } from 'anasazi/client'

const customers = ['alice', 'bob', 'carol', 'dave', 'erin', 'frank']
const ordersEach = 2000

/** A worker: a session like any other. */
async function serve(handle) {
  const session = await attach(handle)
  const taken = {}
  parentPort.once('message', () => session.close())
  for await (const batch of session.batches()) {
    for (const event of batch) {
      if (event.type !== 'message') continue
      const { customer, number } = event.json()
      if (number !== (taken[customer] ?? 0) + 1)
        throw new Error(`order ${number} of ${customer} is out of its order`)
      taken[customer] = number
      while (session.trySendMany(['done'], `${customer} ${number}`) === 0) await session.writable()
    }
  }
  parentPort.postMessage(taken, [])
}

async function main() {
  const { Cluster, print } = await import('./support/cluster.mjs')
  const cluster = await Cluster.start('n1')
  const shop = await connect(cluster.url('n1'), { name: 'shop' })
  await shop.join('orders')
  const workers = [1, 2, 3].map(() => {
    const handle = shop.share({ mode: 'divide', by: 'sender' })
    const worker = new Worker(new URL(import.meta.url), { workerData: handle, transferList: [handle.port] })
    const finished = new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
    return { worker, handle, finished }
  })

  const observer = await cluster.session('n1', 'observer')
  const done = await observer.join('done')
  const sessions = await Promise.all(customers.map(name => cluster.session('n1', name)))
  await Promise.all(
    sessions.map(async session => {
      for (let number = 1; number <= ordersEach; number++) {
        const order = JSON.stringify({ customer: session.name, number })
        while (session.trySendMany(['orders'], order) === 0) await session.writable()
      }
    }),
  )
  let answers = 0
  for await (const batch of done.batches()) {
    for (const event of batch) if (event.type === 'message') answers++
    if (answers === customers.length * ordersEach) break
  }
  for (const { worker } of workers) worker.postMessage('enough', [])
  for (const [i, { handle, finished }] of workers.entries()) {
    const taken = await finished
    const { commits, doorbells } = shareCounters(handle).incoming
    const orders = Object.values(taken).reduce((sum, count) => sum + count, 0)
    print(`worker ${i + 1}: ${orders} orders of ${Object.keys(taken).sort().join(' and ')}`)
    print(`  in ${commits} pieces; it had to be woken ${doorbells} times`)
  }
  print(`${answers} answers`)
  await shop.close()
  await cluster.stop()
}

await (isMainThread ? main() : serve(workerData))
