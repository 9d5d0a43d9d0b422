#!/usr/bin/env node
/**
 * Throughput and latency of real daemons and clients, all processes of their own, over unix sockets; one build, one setting.
 *
 *   node bench/throughput.mjs [--members 3] [--bytes 64] [--seconds 5] [--senders all|1] [--json]
 *
 * Every client is an application of the public API: one `trySend` a message, every received message looked at (sender,
 * length, per-sender gap). Prints what each receiver got, the slowest sender against the fastest, memory, CPU; then the
 * latency of one message at a time, 1000 a second, with the same daemons.
 */

import { fork } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { Lab } from '../dist/cli/lab/lab.js'

const { values } = parseArgs({
  options: {
    members: { type: 'string', default: '3' },
    bytes: { type: 'string', default: '64' },
    seconds: { type: 'string', default: '5' },
    senders: { type: 'string', default: 'all' },
    json: { type: 'boolean', default: false },
  },
})
const members = Number(values.members)
const senders = values.senders === 'all' ? members : Number(values.senders)
const names = Array.from({ length: members }, (_, i) => `n${i + 1}`)

const lab = await Lab.create({ names, trace: false })
try {
  await lab.startAll()
  const clients = await Promise.all(names.map(start))
  for (const client of clients) client.send({ type: 'wait', members })
  await answers(clients, 'ready')
  const before = names.map(cpuOf)
  const options = { bytes: Number(values.bytes), seconds: Number(values.seconds) }
  clients.forEach((client, i) => client.send({ type: 'flood', ...options, sends: i < senders }))
  const floods = await answers(clients, 'flood')
  const daemons = names.map((name, i) => ({ name, ...cpuSince(name, before[i]), memoryMB: memoryOf(name) }))
  clients[0].send({ type: 'latency', seconds: Math.min(options.seconds, 10) })
  const [latency] = await answers([clients[0]], 'latency')
  for (const client of clients) client.send({ type: 'end' })
  const report = {
    members,
    senders,
    ...options,
    receivers: floods,
    daemons,
    latency,
    fairness: fairness(floods[0]),
  }
  if (values.json) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`)
  else print(report)
} finally {
  await lab.close()
}

function start(name) {
  const client = fork(new URL('./client.mjs', import.meta.url), [lab.url(name), name])
  return new Promise(resolve => client.once('message', () => resolve(client)))
}

function answers(clients, type) {
  return Promise.all(
    clients.map(
      client =>
        new Promise((resolve, reject) => {
          client.on('message', message => message.type === type && resolve(message))
          client.once('exit', code => reject(new Error(`a client ended with ${code}`)))
        }),
    ),
  )
}

function cpuOf(name) {
  const fields = readFileSync(`/proc/${lab.daemon(name).pid}/stat`, 'utf8')
    .split(') ')[1]
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

function cpuSince(name, before) {
  return { cpuSeconds: Number((cpuOf(name) - before).toFixed(2)) }
}

function memoryOf(name) {
  const status = readFileSync(`/proc/${lab.daemon(name).pid}/status`, 'utf8')
  return Math.round(Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024)
}

/** The slowest sender against the fastest, as one receiver saw them. */
function fairness(flood) {
  const counts = Object.values(flood.bySender)
  return counts.length < 2 ? 1 : Math.min(...counts) / Math.max(...counts)
}

function line(text) {
  process.stdout.write(`${text}\n`)
}

function print(report) {
  const { receivers, daemons, latency } = report
  line(
    `${report.members} daemons, ${report.senders} of ${report.members} clients send ${report.bytes} B, agreed, ${report.seconds} s`,
  )
  for (const { name, rate, megabytes, gaps, cpu, memoryMB } of receivers) {
    line(
      `  ${name}: ${rate.toLocaleString('en')} msg/s  ${megabytes} MB/s  gaps ${gaps}  client cpu ${cpu}  ${memoryMB} MB`,
    )
  }
  for (const { name, cpuSeconds, memoryMB } of daemons)
    line(`  daemon ${name}: cpu ${cpuSeconds} s  peak ${memoryMB} MB`)
  line(`  slowest sender / fastest: ${(report.fairness * 100).toFixed(0)} %`)
  line(
    `  latency at 1000/s, own delivery: p50 ${latency.p50} µs  p99 ${latency.p99} µs  (${latency.samples} samples)`,
  )
}
