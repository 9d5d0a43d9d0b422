import net from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import type { Channel } from './channel.ts'
import { createSocketChannel } from './channel-socket.ts'

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
