/**
 * Three programs write a log, and three others read it, each at a daemon of its own: all read the same lines in the
 * same order. A line that is an error goes to two groups as one message, with one place in the order.
 *
 *     node examples/log-fanout.mjs
 */

import { createHash } from 'node:crypto'
import { Cluster, print } from './support/cluster.mjs'

const daemons = ['n1', 'n2', 'n3']
const linesEach = 5000

/** One promise for a run of lines, none for a line: `trySend` never blocks, and says 0 when there is no room. */
async function write(session) {
  for (let i = 1; i <= linesEach; i++) {
    const isError = i % 50 === 0
    const groups = isError ? ['log', 'log.errors'] : ['log']
    const line = `${session.name} ${i} ${isError ? 'ERROR something broke' : 'all is well'}`
    while (session.trySendMany(groups, line) === 0) await session.writable()
  }
}

/** Reads all lines. Who wants errors only joins the other group only. */
async function read(session, group, count) {
  const log = await session.join(group)
  return async () => {
    const digest = createHash('sha256')
    let lines = 0
    for await (const batch of log.batches()) {
      for (const event of batch) {
        if (event.type !== 'message') continue
        digest.update(`${event.text()}\n`)
        lines++
      }
      if (lines === count) return { lines, digest: digest.digest('hex').slice(0, 12) }
    }
  }
}

const cluster = await Cluster.start(...daemons)
const readers = []
for (const at of daemons) {
  const name = `reader-${at}`
  readers.push({ name, read: await read(await cluster.session(at, name), 'log', 3 * linesEach) })
}
const pager = await read(await cluster.session('n2', 'pager'), 'log.errors', (3 * linesEach) / 50)
readers.push({ name: 'pager', read: pager })

const writers = await Promise.all(daemons.map(at => cluster.session(at, `writer-${at}`)))
const [results] = await Promise.all([
  Promise.all(readers.map(reader => reader.read())),
  ...writers.map(session => write(session)),
])
results.forEach(({ lines, digest }, i) => {
  print(`${readers[i].name.padEnd(10)} ${String(lines).padStart(6)} lines  ${digest}`)
})
const same = new Set(results.slice(0, 3).map(({ digest }) => digest)).size === 1
print(same ? 'the same order everywhere' : 'DIFFERENT ORDERS')
await cluster.stop()
