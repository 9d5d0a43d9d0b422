import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { expect, it, onTestFinished } from 'vitest'
import type { Channel } from './channel.ts'
import { createSocketChannel, openSocketChannel } from './channel-socket.ts'

/** A channel, and the bare socket at its other end, which does not read yet. */
async function connected(): Promise<{ channel: Channel; socket: net.Socket; errors: Error[] }> {
  const server = net.createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as net.AddressInfo
  const accepted = new Promise<net.Socket>(resolve => server.once('connection', resolve))
  const socket = net.connect({ port, host: '127.0.0.1' }).pause()
  const errors: Error[] = []
  socket.on('error', error => errors.push(error))
  const channel = createSocketChannel(await accepted)
  onTestFinished(() => {
    channel.abort()
    socket.destroy()
    server.close()
  })
  return { channel, socket, errors }
}

it('last words are read, also by one who writes after them', async () => {
  const { channel, socket, errors } = await connected()
  const seen: unknown[] = []
  channel.onData = chunk => seen.push(chunk)
  channel.resume()
  const words = Buffer.alloc(100_000, 'w')
  channel.write([words])
  channel.close()
  // The words are there, and the end of them; but nobody has looked.
  await new Promise(resolve => setImmediate(resolve))
  for (let i = 0; i < 20; i++) {
    await new Promise<void>(resolve => socket.write('more', () => resolve()))
  }
  const heard: Buffer[] = []
  socket.on('data', chunk => heard.push(chunk as Buffer))
  socket.resume()
  await new Promise<void>(resolve => {
    channel.onClose = error => {
      expect(error).toBeNull()
      resolve()
    }
  })
  expect(errors).toEqual([])
  expect(Buffer.concat(heard).length).toBe(words.length)
  expect(seen).toEqual([])
  expect(channel.closed).toBe(true)
})

/** A listener on a thread that stands still until it is told to go on: those who come wait in the system's line. */
async function standingStill(where: net.ListenOptions): Promise<{
  /** Takes all places in the line. */
  fill(): Promise<void>
  readonly address: string
  goOn(): void
}> {
  const flag = new Int32Array(new SharedArrayBuffer(4))
  const code = `
    const { parentPort, workerData } = require('node:worker_threads')
    const server = require('node:net').createServer(socket => socket.on('error', () => {}))
    server.listen({ ...workerData.where, backlog: 1 }, () => {
      parentPort.postMessage(server.address())
      setImmediate(() => Atomics.wait(workerData.flag, 0, 0))
    })`
  const worker = new Worker(code, { eval: true, workerData: { where, flag } })
  const [bound] = (await once(worker, 'message')) as [string | net.AddressInfo]
  const goOn = (): void => {
    Atomics.store(flag, 0, 1)
    Atomics.notify(flag, 0)
  }
  const sockets: net.Socket[] = []
  onTestFinished(async () => {
    goOn()
    for (const socket of sockets) socket.destroy()
    await worker.terminate()
  })
  const target = typeof bound === 'string' ? { path: bound } : { host: bound.address, port: bound.port }
  const address = typeof bound === 'string' ? `unix:${bound}` : `tcp://${bound.address}:${bound.port}`
  // The system lets in one more than it was told.
  const fill = async (): Promise<void> => {
    for (let count = 0; count < 2; count++) {
      const socket = net.connect(target).on('error', () => {})
      sockets.push(socket)
      await once(socket, 'connect')
    }
  }
  return { fill, address, goOn }
}

it('does not wait for ever for a host that does not answer', async () => {
  const listener = await standingStill({ host: '127.0.0.1', port: 0 })
  await listener.fill()
  await expect(openSocketChannel(listener.address, { timeoutMs: 50 })).rejects.toMatchObject({
    code: 'connection-refused',
    retryable: true,
    message: expect.stringContaining('no answer within 50 ms'),
  })
  const stop = new AbortController()
  const opening = openSocketChannel(listener.address, { timeoutMs: 60_000, signal: stop.signal })
  stop.abort()
  await expect(opening).rejects.toMatchObject({ code: 'aborted' })
})

it('waits in line where the line of a unix socket is full, and not for ever', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'anasazi-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  const listener = await standingStill({ path: join(directory, 'socket') })
  await listener.fill()
  await expect(openSocketChannel(listener.address, { timeoutMs: 50 })).rejects.toMatchObject({
    code: 'connection-refused',
    message: expect.stringContaining('EAGAIN'),
  })
  const opening = openSocketChannel(listener.address, { timeoutMs: 60_000 })
  listener.goOn()
  const channel = await opening
  expect(channel.closed).toBe(false)
  channel.abort()
})
