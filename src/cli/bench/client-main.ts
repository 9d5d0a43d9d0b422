/** Entry of a client process of the benchmark: obeys the lines on its standard input, and ends with it. */

import { createInterface } from 'node:readline'
import { connect } from '../../client/index.ts'
import { enterCrowd, joinMany } from './many.ts'
import { BenchMember } from './member.ts'
import type { Answer, WorkerTask } from './task.ts'
import { Visitor } from './visitor.ts'

function say(answer: Answer): void {
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}

type Obey = (words: readonly string[]) => void | Promise<void>

async function begin(task: WorkerTask): Promise<Obey> {
  if (task.kind === 'crowd') {
    say({ type: 'ready' })
    return () => enterCrowd(task, say)
  }
  if (task.kind === 'joiner') {
    const session = await connect(task.address, { name: task.name })
    say({ type: 'ready' })
    return () => joinMany(task, session, say)
  }
  if (task.kind === 'visitor') {
    const visitor = await Visitor.connect(task, say)
    return ([command]) => (command === 'enter' ? visitor.enter() : visitor.leave())
  }
  const member = await BenchMember.enter(task, say)
  return ([command, ...words]) => {
    const [a = 0, b = 0, c = 0, d = 0, e = 0] = words.map(Number)
    if (command === 'work') return member.work(a, b === 1, c, d, e)
    if (command === 'talk') return member.talk(a, b === 1, c)
    if (command === 'measure') return member.measureAfter(a, b)
    if (command === 'mark') return member.mark(a)
    if (command === 'end') return member.end()
    if (command === 'stop') return member.stop()
  }
}

function fail(error: unknown): void {
  say({ type: 'failed', why: error instanceof Error ? (error.stack ?? error.message) : String(error) })
}

process.on('unhandledRejection', fail)
const lines = createInterface({ input: process.stdin })
lines.once('close', () => process.exit(0))
try {
  const obey = await begin(JSON.parse(process.argv[2] ?? '') as WorkerTask)
  lines.on('line', line => {
    if (line === 'quit') process.exit(0)
    Promise.resolve(obey(line.split(' '))).catch(fail)
  })
} catch (error) {
  fail(error)
}
