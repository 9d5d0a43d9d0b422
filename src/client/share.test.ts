import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Session } from './api.ts'
import { createRingChannel, createRingEnds } from './channel-ring.ts'
import { openSession } from './connect.ts'
import type { MessageEvent } from './events.ts'
import { FakeDaemon } from './fake-daemon.fixture.ts'
import { createRingMemory, Ring } from './ring.ts'
import type { WorkerReport, WorkerTask } from './share-worker.fixture.ts'
import { attach, shareCounters } from './share.ts'

let directory: string
let script: string

beforeAll(() => {
  // Workers run JavaScript only.
  directory = mkdtempSync(join(tmpdir(), 'anasazi-share-'))
  const root = fileURLToPath(new URL('../..', import.meta.url))
  const project = join(directory, 'tsconfig.json')
  const compilerOptions = {
    rootDir: join(root, 'src'),
    outDir: directory,
    typeRoots: [join(root, 'node_modules/@types')],
  }
  const files = [fileURLToPath(new URL('share-worker.fixture.ts', import.meta.url))]
  writeFileSync(
    project,
    JSON.stringify({
      extends: join(root, 'tsconfig.build.json'),
      compilerOptions,
      files,
      include: [],
      exclude: [],
    }),
  )
  writeFileSync(join(directory, 'package.json'), '{ "type": "module" }')
  execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', project])
  script = join(directory, 'client/share-worker.fixture.js')
})

afterAll(() => rmSync(directory, { recursive: true }))

function openFake(daemon: FakeDaemon): Promise<Session> {
  return openSession(async () => daemon.open())
}

async function takeTexts(session: Session, count: number): Promise<string[]> {
  const texts: string[] = []
  for await (const event of session.events()) {
    if (event.type === 'message') texts.push(event.text())
    if (texts.length === count) break
  }
  return texts
}

describe('the ring', () => {
  test('bytes come out as they went in, whatever the sizes, over many rounds', () => {
    const step = fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 90 }))
    fc.assert(
      fc.property(fc.array(step, { minLength: 20, maxLength: 200 }), steps => {
        const memory = createRingMemory(64)
        const producer = new Ring(memory)
        const consumer = new Ring(memory)
        let written = 0
        let read = 0
        for (const [write, size] of steps) {
          if (write) {
            const count = producer.put(
              Uint8Array.from({ length: size }, (_, i) => (written + i) & 255),
              0,
            )
            producer.commit(count)
            written += count
          } else {
            for (const byte of consumer.take(size) ?? []) expect(byte).toBe(read++ & 255)
          }
          expect(producer.used).toBe(written - read)
          expect(written - read).toBeLessThanOrEqual(64)
        }
      }),
      { numRuns: 200 },
    )
  })

  test('positions may wrap around 2^32', () => {
    const memory = createRingMemory(64)
    new Int32Array(memory).fill(-10, 0, 2)
    const ring = new Ring(memory)
    for (let round = 0; round < 5; round++) {
      expect(ring.put(Uint8Array.of(1, 2, 3, 4, 5), 0)).toBe(5)
      ring.commit(5)
      expect([...ring.take(100)!]).toEqual([1, 2, 3, 4, 5])
    }
    expect(ring.used).toBe(0)
  })

  test('what is built in reserved memory is not copied', () => {
    const memory = createRingMemory(64)
    const ring = new Ring(memory)
    const reserved = ring.reserve(10, 20)!
    expect(reserved.length).toBe(20)
    reserved.set([7, 8, 9])
    expect(ring.put(reserved.subarray(0, 3), 0)).toBe(3)
    ring.commit(3)
    expect([...ring.take(10)!]).toEqual([7, 8, 9])
    expect(ring.reserve(62, 64)).toBeNull()
  })

  test('a sleeping consumer is woken exactly once; a waiting producer too', () => {
    const memory = createRingMemory(64)
    const producer = new Ring(memory)
    const consumer = new Ring(memory)
    expect(consumer.sleep()).toBe(true)
    producer.put(new Uint8Array(60), 0)
    expect(producer.commit(60)).toBe(true)
    expect(producer.commit(0)).toBe(false)
    expect(consumer.sleep()).toBe(false)
    expect(producer.awaitRoom(60)).toBe(false)
    consumer.take(10)
    expect(consumer.producerWaits).toBe(true)
    expect(consumer.producerWaits).toBe(false)
    // Room appeared before it was asked for.
    expect(producer.awaitRoom(60)).toBe(true)
  })

  test('memory of another shape is refused', () => {
    expect(() => new Ring(new SharedArrayBuffer(100))).toThrow(/power of two/)
  })
})

describe('a ring channel', () => {
  test('carries more than its capacity, and ends with everything read', async () => {
    const [here, there] = createRingEnds(1024)
    const one = createRingChannel(here)
    const other = createRingChannel(there)
    let read = 0
    const ended = new Promise<void>(resolve => {
      other.onClose = () => resolve()
    })
    other.onData = chunk => {
      for (const byte of chunk) {
        if (byte !== (read++ & 127)) throw new Error(`byte ${read} is wrong`)
      }
    }
    one.resume()
    other.resume()
    const total = 100_000
    one.write([Uint8Array.from({ length: total }, (_, i) => i & 127)])
    expect(one.pending).toBe(total)
    one.close()
    await ended
    expect(read).toBe(total)
  })

  test('a paused reader holds the writer back', async () => {
    const [here, there] = createRingEnds(1024)
    const one = createRingChannel(here)
    const other = createRingChannel(there)
    one.resume()
    const seen = { bytes: 0 }
    other.onData = chunk => {
      seen.bytes += chunk.length
    }
    one.write([new Uint8Array(5000)])
    const drained = new Promise<void>(resolve => {
      one.onDrain = resolve
    })
    one.wantDrain!()
    await new Promise(resolve => setImmediate(resolve))
    expect([seen.bytes, one.pending]).toEqual([0, 5000])
    other.resume()
    await drained
    while (seen.bytes < 5000) await new Promise(resolve => setImmediate(resolve))
    expect(one.pending).toBe(0)
    other.abort()
    await new Promise<void>(resolve => {
      one.onClose = () => resolve()
    })
  })
})

describe('a shared session', () => {
  test('threads in mode all see everything, those that divide each message once', async () => {
    const daemon = new FakeDaemon()
    const owner = await openFake(daemon)
    const group = await owner.join('orders')
    const others = await Promise.all(Array.from({ length: 6 }, () => openFake(daemon)))
    await group.send('kept')
    const handles = [
      owner.share(),
      owner.share({ mode: 'divide', by: 'sender' }),
      owner.share({ mode: 'divide' }),
    ]
    const [all, ...dividing] = await Promise.all(handles.map(handle => attach(handle)))
    const sent = ['kept']
    for (let i = 0; i < 10; i++) {
      for (const [index, other] of others.entries()) {
        sent.push(`${index}:${i}`)
        await other.sendMany(['orders'], `${index}:${i}`)
      }
    }
    expect(await takeTexts(all!, sent.length)).toEqual(sent)
    expect(all!.id).toBe(owner.id)
    expect((await all!.join('orders')).members).toEqual([owner.id])
    const parts = dividing.map(session => {
      const messages: MessageEvent[] = []
      const reading = (async () => {
        for await (const event of session.events()) if (event.type === 'message') messages.push(event)
      })()
      return { messages, reading }
    })
    const count = () => parts.reduce((sum, part) => sum + part.messages.length, 0)
    while (count() < sent.length) await new Promise(resolve => setImmediate(resolve))
    expect(parts.every(part => part.messages.length > 0)).toBe(true)
    expect(parts.flatMap(part => part.messages.map(message => message.text())).sort()).toEqual(sent.sort())
    const senders = parts.map(part => new Set(part.messages.map(message => message.sender)))
    expect([...senders[0]!].some(sender => senders[1]!.has(sender))).toBe(false)
    await owner.close()
    // The end of the session ends the iterators of its threads.
    for (const part of parts) await part.reading
    for (const other of others) await other.close()
  })

  test('own iterators of the session belong to the threads', async () => {
    const owner = await openFake(new FakeDaemon())
    const thread = await attach(owner.share())
    expect(() => owner.events()).toThrow(expect.objectContaining({ code: 'already-consumed' }))
    await thread.close()
    await owner.close()
  })

  test('a thread that dies takes nobody with it', async () => {
    const daemon = new FakeDaemon()
    const owner = await openFake(daemon)
    const task: WorkerTask = { handle: owner.share(), worker: 0, group: 'orders', send: 1, receive: 1000 }
    const doomed = new Worker(script, {
      workerData: task,
      transferList: [task.handle.port as unknown as import('node:worker_threads').MessagePort],
    })
    const survivor = await attach(owner.share())
    const events = survivor.events()
    for await (const event of events) if (event.type === 'message') break
    await doomed.terminate()
    const group = await survivor.join('orders')
    const receipt = await group.send('alive')
    expect((await receipt.settled).received).toEqual([owner.id])
    expect(await takeTexts(survivor, 1)).toEqual(['alive'])
    await survivor.close()
    await owner.close()
  })

  test('four workers send and receive at the same time: order, completeness, and hardly a doorbell', async () => {
    const daemon = new FakeDaemon()
    const owner = await openFake(daemon)
    const workers = 4
    const each = 25_000
    const running = Array.from({ length: workers }, (_, worker) => {
      const handle = owner.share()
      const task: WorkerTask = { handle, worker, group: 'orders', send: each, receive: each * workers }
      const { incoming, outgoing } = handle
      const thread = new Worker(script, {
        workerData: task,
        transferList: [handle.port as unknown as import('node:worker_threads').MessagePort],
      })
      const reported = new Promise<WorkerReport>((resolve, reject) => {
        thread.once('message', resolve)
        thread.once('error', reject)
      })
      return { thread, reported, memory: { incoming, outgoing } }
    })
    const reports = await Promise.all(running.map(one => one.reported))
    for (const report of reports) {
      expect(report.received).toBe(each * workers)
      expect(report.disorder).toBe(0)
      expect(report.bySender).toEqual(Object.fromEntries([0, 1, 2, 3].map(worker => [worker, each])))
    }
    for (const { memory } of running) {
      const { incoming, outgoing } = shareCounters(memory)
      expect(incoming.doorbells + outgoing.doorbells).toBeLessThan((each * workers) / 20)
      expect(incoming.commits + outgoing.commits).toBeLessThan((each * workers) / 10)
    }
    for (const { thread } of running) {
      const gone = new Promise(resolve => {
        thread.once('exit', resolve)
      })
      thread.postMessage('close', [])
      await gone
    }
    await owner.close()
  })
})
