import { readFileSync } from 'node:fs'
import net from 'node:net'
import { expect, it } from 'vitest'
import type { Lab } from '../src/cli/lab/lab.ts'
import { encodeClientFrame } from '../src/codec/client-encode.ts'
import { figure } from './figures.ts'
import {
  cellStatus,
  enter,
  eventually,
  expectGoodTraces,
  laboratory,
  later,
  type Member,
  startTogether,
  together,
} from './laboratory.ts'

const MiB = 1024 * 1024
const bounds = { warnBytes: 256 * 1024, bytes: 8 * MiB, seconds: 1 }
/** What a flood may have under way: once credit is given again all of it comes at once, and must not look like a lag. */
const sending = { sendBufferBytes: 512 * 1024 }
const cell = [
  `    limits: { clientQueueBytes: ${bounds.warnBytes}, messageBytes: 65536, windowBytes: ${MiB} }`,
  '    timeouts: { suspectAfterMs: 10000, stalledAfterMs: 40000 }',
  `    slowClient: { bytes: ${bounds.bytes}, seconds: ${bounds.seconds} }`,
].join('\n')

/** Memory of a process, bytes. */
function residentBytes(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024
}

/** What the log says of evictions. */
function evictions(lab: Lab, name: string): { readonly bytes: number; readonly ms: number }[] {
  const found = lab.log(name).matchAll(/evicted: (\d+) bytes not acknowledged, slow for (\d+) ms/g)
  return [...found].map(([, bytes, ms]) => ({ bytes: Number(bytes), ms: Number(ms) }))
}

/** The first words of a client that joins. */
function hello(name: string): Uint8Array {
  const frame = {
    kind: 'hello',
    lowest: 1,
    highest: 1,
    features: 0,
    cluster: '',
    auth: 'none',
    cell: '',
  } as const
  return encodeClientFrame({ ...frame, name, trace: false })
}

/** Sends as much as is taken, until told to stop. @returns the number of messages. */
async function flood({ group }: Member, stop: () => boolean): Promise<number> {
  const data = 'x'.repeat(1000)
  let sent = 0
  while (!stop()) {
    if (group.trySend(`${sent} ${data}`) === 0) await group.writable()
    else if (++sent % 100 === 0) await new Promise(setImmediate)
  }
  await group.send('end')
  return sent + 1
}

it('a client that is stopped is warned, evicted within the bounds, and told why; the others go on', async () => {
  const lab = await laboratory({ names: ['n1', 'n2'], cell })
  await startTogether(lab)
  const alice = await enter(lab, 'n1', 'alice', 'g')
  const bob = await enter(lab, 'n2', 'bob', 'g', sending)
  const file = lab.file('joined.ndjson')
  const slow = lab.command('n1', ['join', '--json', '--no-send', '--name', 'slow', 'g'], { outputFile: file })
  await together([alice, bob], 3)

  let stop = false
  const flooding = later(flood(bob, () => stop))
  await alice.observer.until(() => alice.observer.messages.length > 1000)
  slow.signal('SIGSTOP')
  await together([alice, bob], 2)
  expect(alice.observer.views.at(-1)).toMatchObject({ cause: 'disconnect' })
  slow.signal('SIGCONT')
  expect(await slow.ended, slow.errors).toBe(3)
  expect(slow.errors).toContain('The daemon ended this session because it read too slowly')
  expect(slow.errors).toMatch(/bytes were not read/)
  const lines = readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as Record<string, unknown>)
  expect(lines.find(({ type }) => type === 'warning')).toMatchObject({ code: 'slow' })

  const [eviction] = evictions(lab, 'n1')
  figure('stopped client evicted after', eviction?.ms ?? Number.NaN, 'ms')
  figure('stopped client evicted with', (eviction?.bytes ?? Number.NaN) / 1024, 'KiB')
  // The window of one member more at most: nobody gives credit for more.
  expect(eviction?.bytes).toBeLessThan(bounds.bytes + 2 * MiB)
  expect(lab.log('n1')).toContain('"slowClient"')
  const { counters } = await cellStatus(alice.session)
  expect(counters['cell.sessions.warned']).toBeGreaterThanOrEqual(1)
  expect(counters['cell.sessions.evicted']).toBe(1)

  const seen = alice.observer.messages.length
  await alice.observer.until(() => alice.observer.messages.length > seen + 1000)
  stop = true
  const sent = await flooding
  for (const { observer } of [alice, bob]) await observer.until(() => observer.messages.length === sent)
  expect(alice.observer.digest()).toBe(bob.observer.digest())
  // What the evicted one saw is a beginning of what the others saw.
  const saw = lines.filter(({ type }) => type === 'message')
  expect(saw.length).toBeGreaterThan(0)
  expect(saw.findIndex(({ position }, i) => position !== alice.observer.messages[i]?.position)).toBe(-1)
  await expectGoodTraces(lab, [alice, bob])
})

it('a session whose events nobody takes learns of its eviction when it looks', async () => {
  const lab = await laboratory({ names: ['n1'], cell })
  await startTogether(lab)
  const alice = await enter(lab, 'n1', 'alice', 'g', sending)
  const idle = await lab.session('n1', 'idle', { queueBytes: 65_536 })
  const batches = idle.batches()
  await idle.join('g')
  await together([alice], 2)
  let stop = false
  const flooding = later(flood(alice, () => stop))
  await together([alice], 1)
  stop = true
  await flooding
  const codes: string[] = []
  const looking = async (): Promise<void> => {
    for await (const batch of batches)
      for (const event of batch) if (event.type === 'warning') codes.push(event.code)
  }
  await expect(looking()).rejects.toMatchObject({ code: 'evicted', retryable: true })
  expect(codes).toContain('slow')
  expect(idle.closed).toBe(true)
  await expectGoodTraces(lab, [alice])
})

it('clients that never read cost a bounded amount of memory, and the daemon can still leave', async () => {
  const lab = await laboratory({ names: ['n1', 'n2'], cell, trace: false })
  await startTogether(lab)
  const alice = await enter(lab, 'n1', 'alice', 'g')
  const bob = await enter(lab, 'n2', 'bob', 'g', sending)
  await together([alice, bob])
  let stop = false
  const flooding = later(flood(bob, () => stop))
  await alice.observer.until(() => alice.observer.messages.length > 2000)
  const pid = lab.daemon('n1').pid
  const before = residentBytes(pid)
  const deaf: net.Socket[] = []
  let most = 0
  let mostResident = 0
  for (let round = 1; round <= 3; round++) {
    for (let i = 0; i < 10; i++) {
      const socket = net.connect({ path: lab.socket('n1') })
      socket.on('error', () => {})
      socket.pause()
      socket.write(hello(`deaf-${round}-${i}`))
      socket.write(encodeClientFrame({ kind: 'join', request: 1, group: 'g' }))
      deaf.push(socket)
    }
    await eventually(async () => {
      const { counters } = await cellStatus(alice.session)
      most = Math.max(most, counters['cell.clients.queueBytes'])
      mostResident = Math.max(mostResident, residentBytes(pid))
      return counters['cell.sessions.evicted'] === round * 10
    })
  }
  figure('30 clients that never read: most bytes queued', most / 1024, 'KiB')
  figure('memory of their daemon, more than before', (mostResident - before) / MiB, 'MiB')
  expect(most).toBeLessThan(12 * (bounds.bytes + 2 * MiB))
  expect(mostResident - before).toBeLessThan(300 * MiB)
  for (const { ms } of evictions(lab, 'n1')) expect(ms).toBeLessThan(bounds.seconds * 1000 * 3)

  await together([alice, bob])
  const seen = alice.observer.messages.length
  await alice.observer.until(() => alice.observer.messages.length > seen + 1000)
  stop = true
  const sent = await flooding
  for (const { observer } of [alice, bob]) await observer.until(() => observer.messages.length === sent)
  expect(alice.observer.digest()).toBe(bob.observer.digest())
  // Their sockets are still full, and nobody reads them.
  lab.signal('n1', 'SIGTERM')
  expect(await lab.daemon('n1').ended).toBe(0)
  for (const socket of deaf) socket.destroy()
  await together([bob], 1)
  await bob.session.close()
})
