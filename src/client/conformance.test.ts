import { mkdtempSync, rmSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createRingChannel } from './channel-ring.ts'
import { createSocketChannel } from './channel-socket.ts'
import { createThreadChannel } from './channel-thread.ts'
import type { ConformanceTarget } from './conformance.fixture.ts'
import { describeConformance } from './conformance.fixture.ts'
import { connect, openSession } from './connect.ts'
import { FakeDaemon } from './fake-daemon.fixture.ts'
import { ClientSession } from './session.ts'
import { attach } from './share.ts'

function listen(daemon: FakeDaemon, options: net.ListenOptions): Promise<net.Server> {
  const server = net.createServer(socket => daemon.serve(createSocketChannel(socket)))
  return new Promise(resolve => {
    server.listen(options, () => resolve(server))
  })
}

async function stopServer(server: net.Server): Promise<void> {
  await new Promise(resolve => {
    server.close(resolve)
  })
}

describeConformance('in memory', async (): Promise<ConformanceTarget> => {
  const daemon = new FakeDaemon()
  return { connect: options => ClientSession.open(async () => daemon.open(), options) }
})

describeConformance('rings of shared memory', async (): Promise<ConformanceTarget> => {
  const daemon = new FakeDaemon()
  return {
    connect: options =>
      ClientSession.open(async () => {
        const { here, there } = createThreadChannel()
        daemon.serve(createRingChannel(there))
        return here
      }, options),
  }
})

describeConformance('attached to a session of another thread', async (): Promise<ConformanceTarget> => {
  const daemon = new FakeDaemon()
  return {
    async connect({ name, ...options } = {}) {
      const owner = await openSession(async () => daemon.open(), name === undefined ? {} : { name })
      const session = await attach(owner.share(), options)
      // The member is gone only with the session that is shared.
      const detach = session.close.bind(session)
      return Object.assign(session, {
        async close() {
          await detach()
          await owner.close()
        },
      })
    },
  }
})

describeConformance('unix socket', async (): Promise<ConformanceTarget> => {
  const directory = mkdtempSync(join(tmpdir(), 'anasazi-'))
  const path = join(directory, 'main.sock')
  const server = await listen(new FakeDaemon(), { path })
  return {
    connect: options => connect(`unix:${path}`, options),
    async stop() {
      await stopServer(server)
      rmSync(directory, { recursive: true })
    },
  }
})

describeConformance('TCP', async (): Promise<ConformanceTarget> => {
  const server = await listen(new FakeDaemon(), { host: '127.0.0.1', port: 0 })
  const { port } = server.address() as net.AddressInfo
  return {
    connect: options => connect(`tcp://127.0.0.1:${port}`, options),
    stop: () => stopServer(server),
  }
})
