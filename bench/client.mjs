/** A client of the benchmark: an application of the public API in a process of its own, told what to do by its parent. */

import { connect } from '../dist/client/index.js'

const [, , url, name] = process.argv
const session = await connect(url, { name })
const group = await session.join('bench')

let messages = 0
let bytes = 0
let gaps = 0
let counting = false
const last = new Map()
const counted = new Map()

async function receive() {
  for await (const batch of group.batches()) {
    for (const event of batch) {
      if (event.type !== 'message') continue
      const { sender, sequence, data } = event
      const before = last.get(sender)
      if (before !== undefined && sequence !== before + 1) gaps++
      last.set(sender, sequence)
      messages++
      bytes += data.length
      if (counting) counted.set(sender, (counted.get(sender) ?? 0) + 1)
    }
  }
}

async function flood({ bytes: size, seconds, sends }) {
  const data = new Uint8Array(size).fill(65)
  const work = { stop: !sends }
  const sending = (async () => {
    while (!work.stop) {
      let run = 0
      while (run < 10_000 && group.trySend(data) !== 0) run++
      if (run < 10_000) await group.writable()
      else await new Promise(resolve => setImmediate(resolve))
    }
  })()
  await pause(1500)
  const from = { messages, bytes, time: performance.now(), cpu: process.cpuUsage() }
  counting = true
  await pause(seconds * 1000)
  counting = false
  const elapsed = (performance.now() - from.time) / 1000
  const cpu = process.cpuUsage(from.cpu)
  work.stop = true
  await sending
  const report = {
    type: 'flood',
    name,
    rate: Math.round((messages - from.messages) / elapsed),
    megabytes: Math.round((bytes - from.bytes) / elapsed / 1e6),
    gaps,
    cpu: Number(((cpu.user + cpu.system) / 1e6 / elapsed).toFixed(2)),
    memoryMB: Math.round(process.memoryUsage.rss() / 2 ** 20),
    bySender: Object.fromEntries([...counted].map(([sender, count]) => [sender.split('@')[0], count])),
  }
  process.send(report)
}

/** One message a millisecond, each timed until its own delivery; the first half warms up. */
async function latency({ seconds }) {
  const data = new Uint8Array(64)
  const times = []
  await pause(500)
  await new Promise(resolve => {
    const timer = setInterval(async () => {
      const start = performance.now()
      await group.send(data)
      times.push((performance.now() - start) * 1000)
    }, 1)
    setTimeout(() => resolve(clearInterval(timer)), seconds * 1000)
  })
  await pause(200)
  const sorted = times.slice(times.length >> 1).sort((a, b) => a - b)
  const at = share => Math.round(sorted[Math.floor(sorted.length * share)])
  process.send({
    type: 'latency',
    samples: sorted.length,
    p50: at(0.5),
    p99: at(0.99),
    max: Math.round(sorted.at(-1)),
  })
}

function pause(ms) {
  return new Promise(resolve => setTimeout(resolve, ms))
}

process.on('message', async message => {
  if (message.type === 'wait') {
    while (group.members.length < message.members) await pause(10)
    process.send({ type: 'ready' })
  } else if (message.type === 'flood') await flood(message)
  else if (message.type === 'latency') await latency(message)
  else process.exit(0)
})
receive().catch(error => {
  process.stderr.write(`${name}: ${error.message}\n`)
  process.exit(1)
})
process.send({ type: 'started' })
