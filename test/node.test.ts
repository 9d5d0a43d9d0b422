/** A node inside a process, as an application uses it. */

import { once } from 'node:events'
import { existsSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { RecordedEvent } from '../src/admin/events.ts'
import { registry } from '../src/admin/registry.ts'
import type { StatusDocument } from '../src/admin/status.ts'
import { freePort } from '../src/cli/lab/lab.ts'
import { Observer } from '../src/cli/lab/observer.ts'
import { defaultListenAddress, openSocketChannel } from '../src/client/channel-socket.ts'
import { AnasaziError, connect, type Session } from '../src/client/index.ts'
import { encodeClientFrame } from '../src/codec/client-encode.ts'
import type { CellConfig, Config } from '../src/config/config.ts'
import { defaultLimits, defaultTimeouts } from '../src/config/limits.ts'
import { createNode, Node } from '../src/node/index.ts'
import { eventually } from './laboratory.ts'
import {
  clusterConfigs,
  endpoint,
  inThread,
  loopModes,
  nodeIn,
  quietConfig,
  testDirectory,
  testNode,
  ThreadedNode,
} from './nodes.ts'

async function failure(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise
  } catch (error) {
    return error as Error
  }
  throw new Error('it did not fail')
}

describe('createNode', () => {
  it('without a configuration is one member that only this machine can reach, where all tools look', () => {
    const { config, id } = new Node({})
    expect(id).toMatch(new RegExp(`^${config.name}#[0-9a-f]{32}$`))
    expect(config).toMatchObject({ cluster: 'default', trace: null })
    expect(config.cells).toEqual([
      {
        name: 'main',
        listen: { host: '127.0.0.1', port: 4803 },
        peers: [],
        groups: ['*'],
        thread: 'host',
        transport: 'tcp',
        multicast: null,
        interface: null,
        mtu: 1500,
        clients: { unix: defaultListenAddress().slice('unix:'.length), tcp: null },
        timeouts: defaultTimeouts(),
        limits: defaultLimits(),
        slowClient: { bytes: 64 << 20, seconds: 2, policy: 'evict' },
      },
    ])
  })

  it.each(['host loop', 'dedicated'] as const)('refuses to be a second one, in words: %s', async mode => {
    const directory = testDirectory()
    const listen = { host: '127.0.0.1', port: await freePort() }
    const tcp = { host: '127.0.0.1', port: await freePort() }
    const path = join(directory, 'n1.sock')
    const config = inThread(quietConfig(directory, 'n1', { listen, clients: { unix: path, tcp } }), mode)
    const node = await testNode({ config })
    const session = await connect(`unix:${path}`)
    const other = (cell: Partial<CellConfig>): Config => ({
      ...config,
      cells: config.cells.map(each => ({
        ...each,
        listen: null,
        clients: { unix: null, tcp: null },
        ...cell,
      })),
    })

    const sameSocket = await failure(createNode({ config: other({ clients: { unix: path, tcp: null } }) }))
    expect(sameSocket.name).toBe('AddressInUseError')
    expect(sameSocket.message).toBe(
      `another daemon already serves ${path}; stop it, or give this one another runtime directory`,
    )
    const another = join(directory, 'another.sock')
    const sameTcp = await failure(createNode({ config: other({ clients: { unix: another, tcp } }) }))
    expect(sameTcp.name).toBe('AddressInUseError')
    expect(sameTcp.message).toBe(`127.0.0.1:${tcp.port} is in use; choose another port for clients over TCP`)
    // What had been opened by then is closed again.
    expect(existsSync(another)).toBe(false)
    const samePort = await failure(createNode({ config: other({ listen }) }))
    expect(samePort.name).toBe('TransportError')
    expect(samePort.message).toBe(
      `cannot accept peers on 127.0.0.1:${listen.port}: another process listens there`,
    )
    // The first one was not disturbed.
    const group = await session.join('g')
    expect((await group.send('still here')).view).not.toBeNull()
    await session.close()
    await node.close()
    // Nothing of it is left: the next one may have it all.
    await (await testNode({ config })).close()
  })

  it('takes the place of a socket that nobody serves, not of a file that is none', async () => {
    const directory = testDirectory()
    const path = join(directory, 'n1.sock')
    writeFileSync(path, 'precious')
    const error = await failure(createNode({ config: quietConfig(directory, 'n1') }))
    expect(error.message).toBe(`${path} is no socket, and is left alone; give another path for clients`)
    expect(existsSync(path)).toBe(true)
  })
})

/** Two cells, of which the first pattern that matches decides. */
function twoCells(directory: string): Config {
  const [cell] = quietConfig(directory, 'n1').cells as [CellConfig]
  const clients = (name: string): CellConfig['clients'] => ({
    unix: join(directory, `${name}.sock`),
    tcp: { host: '127.0.0.1', port: 0 },
  })
  const cells: CellConfig[] = [
    { ...cell, name: 'fast', groups: ['fast.*', 'quick'], thread: 'dedicated', clients: clients('fast') },
    { ...cell, name: 'main', groups: ['*'], clients: clients('main') },
  ]
  return { ...quietConfig(directory, 'n1'), cells }
}

function address(node: Node, cell: string, kind: string): string {
  const description = node.describeCells().find(({ name }) => name === cell)
  return description!.endpoints.find(each => each.startsWith(kind))!
}

describe('several cells', () => {
  const ways: Readonly<Record<string, (node: Node) => Promise<Session>>> = {
    'in-process': node => node.session(),
    'in-process, second cell first': node => node.session({ cell: 'main' }),
    port: node => connect(node.port()),
    'port, second cell first': node => connect(node.port(), { cell: 'main' }),
    'unix socket of the first': node => connect(address(node, 'fast', 'unix:')),
    'unix socket of the second': node => connect(address(node, 'main', 'unix:')),
    'TCP of the first': node => connect(address(node, 'fast', 'tcp:')),
    'TCP of the second': node => connect(address(node, 'main', 'tcp:')),
  }

  it('a session is in groups of both, and meets all others there, however they came', async () => {
    const node = await testNode({ config: twoCells(testDirectory()) })
    expect(['fast.1', 'quick', 'fast', 'orders'].map(group => node.cellOf(group))).toEqual([
      'fast',
      'fast',
      'main',
      'main',
    ])
    const sessions = await Promise.all(Object.values(ways).map(open => open(node)))
    const observers = sessions.map(session => new Observer(session))
    for (const observer of observers) await observer.join('fast.1', 'orders')
    for (const session of sessions) {
      const [fast, main] = [await session.join('fast.1'), await session.join('orders')]
      expect([fast.cell, main.cell]).toEqual(['fast', 'main'])
      const ids = [session.idIn('fast'), session.idIn('main')]
      expect(fast.members).toContain(ids[0])
      expect(main.members).toContain(ids[1])
      await Promise.all([fast.send('f'), main.send('m')])
    }
    const count = sessions.length
    for (const observer of observers) {
      await observer.until(() => observer.messages.length === 2 * count)
      expect(observer.views.filter(view => view.group === 'fast.1').at(-1)?.members).toHaveLength(count)
      expect(observer.views.filter(view => view.group === 'orders').at(-1)?.members).toHaveLength(count)
    }
    // Each cell has one order of its own; between them there is none.
    for (const group of ['fast.1', 'orders']) {
      const orders = observers.map(observer =>
        observer.messages.filter(seen => seen.group === group).map(seen => `${seen.position} ${seen.sender}`),
      )
      expect(new Set(orders.map(order => order.join('\n'))).size).toBe(1)
    }
    const [session] = sessions as [Session]
    await expect(session.sendMany(['fast.1', 'orders'], 'x')).rejects.toMatchObject({ code: 'several-cells' })
    const groups = async (cell: string): Promise<string[]> =>
      (await session.groups(cell)).map(({ group }) => group)
    expect([await groups('fast'), await groups('main')]).toEqual([['fast.1'], ['orders']])
    const status = await node.status()
    expect(
      Object.entries(status.cells).map(([name, cell]) => [name, cell.thread, cell.sessions.length]),
    ).toEqual([
      ['fast', 'dedicated', count],
      ['main', 'host', count],
    ])
    for (const each of sessions) await each.close()
  })

  it('that do not exist are refused in words', async () => {
    const node = await testNode({ config: twoCells(testDirectory()) })
    await expect(node.session({ cell: 'wan' })).rejects.toMatchObject({
      code: 'connection-refused',
      message: expect.stringContaining("this node runs no cell 'wan'"),
    })
    await expect(connect(node.port(), { cell: 'wan' })).rejects.toMatchObject({
      code: 'connection-refused',
      message: expect.stringContaining("this node runs no cell 'wan'"),
    })
    await expect(connect(address(node, 'main', 'unix:'), { cell: 'wan' })).rejects.toMatchObject({
      code: 'refused',
      message: expect.stringContaining('the client wants cell "wan", this address is of "main"'),
    })
  })
})

describe('a thread beside a node', () => {
  it.each(loopModes)('has sessions over a port: %s', async mode => {
    const { node, stop } = await nodeIn(mode, quietConfig(testDirectory(), 'n1'))
    onTestFinished(async () => {
      await node.close()
      stop()
    })
    const session = await node.session({ name: 'host' })
    const answers = await session.join('answers')
    const port = node.port()
    const worker = new Worker(new URL('./session-thread.mjs', import.meta.url), {
      workerData: { port },
      transferList: [port],
    })
    const [id] = (await once(worker, 'message')) as [string]
    expect(await session.membersOf('questions')).toEqual([id])
    for (let i = 0; i < 100; i++) await session.sendMany(['questions'], `${i}`)
    const texts: string[] = []
    for await (const event of answers.events()) {
      if (event.type !== 'message') continue
      expect(event.sender).toBe(id)
      texts.push(event.text())
      if (texts.length === 100) break
    }
    expect(texts).toEqual(Array.from({ length: 100 }, (_, i) => `re: ${i}`))
    const exited = once(worker, 'exit')
    const ended = once(worker, 'message')
    await node.leave()
    expect(await ended).toEqual(['daemon-leaving'])
    await exited
  })

  it('a thread that dies takes only its sessions with it', async () => {
    const node = await testNode({ config: quietConfig(testDirectory(), 'n1') })
    const observer = new Observer(await node.session({ name: 'host' }))
    await observer.join('questions')
    const port = node.port()
    const worker = new Worker(new URL('./session-thread.mjs', import.meta.url), {
      workerData: { port },
      transferList: [port],
    })
    const [id] = (await once(worker, 'message')) as [string]
    await observer.until(() => observer.views.at(-1)?.members.length === 2)
    await worker.terminate()
    await observer.until(() => observer.views.at(-1)?.members.length === 1)
    expect(observer.views.at(-1)).toMatchObject({ cause: 'disconnect', left: [id] })
  })

  it('cannot harm the node by what it posts', async () => {
    const node = await testNode({ config: quietConfig(testDirectory(), 'n1') })
    const port = node.port()
    for (const nonsense of [null, 7, {}, { cell: 'main', port: 7 }]) port.postMessage(nonsense, [])
    const session = await connect(port)
    expect(session.cluster).toBe('default')
    await session.close()
  })

  it('finds a node that closed in the meantime closed', async () => {
    const node = await testNode({ config: quietConfig(testDirectory(), 'n1') })
    const port = node.port()
    await node.close()
    await expect(connect(port)).rejects.toMatchObject({ code: 'connection-lost' })
    expect(() => node.port()).toThrow(expect.objectContaining({ code: 'connection-refused' }))
    await expect(node.session()).rejects.toMatchObject({ code: 'connection-refused' })
  })
})

async function linkAt(node: Node, name: string): Promise<string> {
  const peer = (await node.status()).cells['main']!.peers.find(each => each.name === name)
  return `${peer?.link}: ${peer?.why}`
}

describe('the status', () => {
  it('has everything that the table says, and the same for clients', async () => {
    const [first, second] = (await clusterConfigs(testDirectory(), ['n1', 'n2'])) as [Config, Config]
    const node = await testNode({ config: first })
    await testNode({ config: second })
    const session = await connect(endpoint(node, 'unix'), { name: 'alice' })
    const group = await session.join('g')
    await (await group.send('x')).settled
    await eventually(async () => (await node.status()).cells['main']!.configuration.members.length === 2)
    await eventually(async () => (await node.status()).cells['main']!.peers[0]?.link === 'up')
    const status = await node.status()
    const cell = status.cells['main']!
    for (const { name, kind } of registry) {
      const [room, ...path] = name.split('.') as [string, ...string[]]
      const where = { daemon: status.daemon, cell, peer: cell.peers[0], session: cell.sessions[0] }[room]
      const value = path.reduce<unknown>((at, key) => (at as Record<string, unknown>)?.[key], where)
      if (kind === 'state') expect(value, name).not.toBeUndefined()
      else expect(typeof cell.counters[name as keyof typeof cell.counters], name).toBe('number')
    }
    expect(status.daemon).toMatchObject({ name: 'n1', id: node.id, process: process.pid, cluster: 'default' })
    expect(cell).toMatchObject({ phase: 'operational', thread: 'host', groups: 1 })
    expect(cell.endpoints).toEqual([endpoint(node, 'unix'), endpoint(node, 'tcp')])
    expect(cell.peers).toMatchObject([{ name: 'n2', link: 'up', why: '' }])
    expect(cell.sessions).toMatchObject([{ id: session.id, groups: 1 }])
    expect(cell.counters).toMatchObject({
      'cell.accepted.messages': 1,
      'cell.joins': 1,
      'cell.sessions.opened': 1,
    })
    const asked = (await session.status()) as StatusDocument
    expect(Object.keys(asked)).toEqual(Object.keys(status))
    expect(asked.daemon.id).toBe(node.id)
    expect(asked.cells['main']!.sessions).toMatchObject([{ id: session.id }])
    expect((await node.status(1)).events).toHaveLength(1)
  })

  it('says why a peer is not connected', async () => {
    const configs = await clusterConfigs(testDirectory(), ['n1', 'n2', 'n3'])
    const [first, second] = configs as [Config, Config]
    const node = await testNode({ config: first })
    const stranger = await testNode({ config: { ...second, cluster: 'elsewhere' } })
    await eventually(async () => (await linkAt(node, 'n2')).startsWith('refused'))
    await eventually(async () => (await linkAt(stranger, 'n1')).startsWith('refused'))
    for (const words of [await linkAt(node, 'n2'), await linkAt(stranger, 'n1')]) {
      expect(words).toContain('elsewhere')
      expect(words).toContain('default')
    }
    expect(await linkAt(node, 'n3')).toBe('down: never connected')
    expect((await node.status()).cells['main']!.counters['cell.peers.rejected']).toBeGreaterThan(0)
  })
})

describe('events', () => {
  it('tell what happens, with reasons, until one does not listen any more', async () => {
    const [first, second] = (await clusterConfigs(testDirectory(), ['n1', 'n2'])) as [Config, Config]
    const node = await testNode({ config: first })
    const told: RecordedEvent[] = []
    const stop = node.events.subscribe(recorded => told.push(recorded))
    node.events.subscribe(() => {
      throw new Error('a subscriber must not be able to stop the node')
    })
    await expect(connect(endpoint(node, 'tcp'), { cluster: 'other' })).rejects.toMatchObject({
      code: 'refused',
    })
    const other = await testNode({ config: second })
    const types = (): string[] => told.map(({ event }) => event.type)
    await eventually(() =>
      told.some(({ event }) => event.type === 'configuration' && event.members.length === 2),
    )
    expect(types()).toEqual(
      expect.arrayContaining(['clientRefused', 'link', 'heard', 'phase', 'configuration']),
    )
    expect(told.find(({ event }) => event.type === 'clientRefused')?.event).toMatchObject({
      cell: 'main',
      code: 'cluster',
      words: 'the client wants cluster "other", this daemon is of cluster "default"',
    })
    await other.leave()
    await eventually(() => told.some(({ event }) => event.type === 'suspicion' && event.reason === 'left'))
    expect(node.events.recent().map(({ sequence }) => sequence)).toEqual(
      Array.from({ length: node.events.sequence }, (_, i) => i + 1),
    )
    stop()
    const before = told.length
    await expect(connect(endpoint(node, 'tcp'), { cell: 'other' })).rejects.toMatchObject({ code: 'refused' })
    await eventually(() => node.events.sequence > before)
    expect(told).toHaveLength(before)
  })
})

describe('leave', () => {
  it.each(loopModes)('orders what was accepted, and tells every session: %s', async mode => {
    const { node, stop } = await nodeIn(mode, quietConfig(testDirectory(), 'n1'))
    const url = endpoint(node, 'unix')
    const ends: (string | undefined)[] = []
    const onClose = (error: AnasaziError | null): void => void ends.push(error?.code)
    const sessions = [
      await node.session({ onClose }),
      await connect(node.port(), { onClose }),
      await connect(url, { onClose }),
      await connect(endpoint(node, 'tcp'), { onClose }),
    ]
    const observers = sessions.map(session => new Observer(session))
    for (const observer of observers) await observer.join('g')
    const sends = sessions.map(session => session.sendMany(['g'], 'accepted'))
    await Promise.all(sends)
    await node.leave()
    stop()
    for (const observer of observers) await observer.over()
    expect(observers.map(observer => observer.ended)).toEqual(observers.map(() => 'daemon-leaving'))
    expect(ends).toEqual(observers.map(() => 'daemon-leaving'))
    expect(observers.every(observer => observer.messages.length === 4)).toBe(true)
    for (const session of sessions) {
      expect(session.closed).toBe(true)
      await expect(session.join('h')).rejects.toBeInstanceOf(AnasaziError)
    }
    // Twice is once; and it is gone.
    await node.leave()
    await node.close()
    await expect(connect(url)).rejects.toMatchObject({ code: 'connection-refused' })
  })

  it.each(loopModes)('of a node in a thread reaches sessions in others: %s', async mode => {
    const node = await ThreadedNode.start(quietConfig(testDirectory(), 'n1'), mode)
    const observer = new Observer(await node.connect())
    await observer.join('g')
    await node.stop('leave')
    await observer.over()
    expect(observer.ended).toBe('daemon-leaving')
  })

  it('is no failure to the others', async () => {
    const [first, second] = (await clusterConfigs(testDirectory(), ['n1', 'n2'])) as [Config, Config]
    const [one, two] = [
      await testNode({ config: first }),
      await testNode({ config: inThread(second, 'dedicated') }),
    ]
    await eventually(async () => (await one.status()).cells['main']!.configuration.members.length === 2)
    const [alice, bob] = [new Observer(await one.session()), new Observer(await two.session())]
    await alice.join('g')
    await bob.join('g')
    await alice.until(() => alice.views.at(-1)?.members.length === 2)
    await two.leave()
    await alice.until(() => alice.views.at(-1)?.members.length === 1)
    expect(alice.views.at(-1)).toMatchObject({ cause: 'disconnect', left: [bob.session.id] })
    expect(alice.transitional).toEqual([])
    await eventually(async () => (await one.status()).cells['main']!.configuration.members.length === 1)
    const { counters } = (await one.status()).cells['main']!
    expect(counters).toMatchObject({ 'cell.suspicions.silent': 0, 'cell.suspicions.left': 1 })
  })
})

describe('close', () => {
  it.each(loopModes)('ends everything at once, and can be called again: %s', async mode => {
    const config = quietConfig(testDirectory(), 'n1')
    const { node, stop } = await nodeIn(mode, config)
    const observer = new Observer(await node.session())
    await observer.join('g')
    await node.close()
    await node.close()
    stop()
    await observer.over()
    expect(['daemon-leaving', 'connection-lost']).toContain(observer.ended)
    expect(existsSync(config.cells[0]!.clients.unix!)).toBe(false)
    const again = await nodeIn(mode, config)
    await again.node.close()
    again.stop()
  })

  it('waits for nobody who does not read', async () => {
    const node = await testNode({ config: quietConfig(testDirectory(), 'n1') })
    const deaf = await openSocketChannel(endpoint(node, 'unix'), { timeoutMs: 10_000 })
    deaf.write([
      encodeClientFrame({
        kind: 'hello',
        lowest: 1,
        highest: 1,
        features: 0,
        cluster: '',
        auth: 'none',
        cell: '',
        name: 'deaf',
        trace: false,
      }),
      encodeClientFrame({ kind: 'join', request: 1, group: 'g' }),
    ])
    const session = await node.session()
    await eventually(async () => (await session.membersOf('g')).length === 1)
    await session.sendMany(['g'], new Uint8Array(4 << 20))
    await eventually(async () =>
      (await node.status()).cells['main']!.sessions.some(({ queueBytes }) => queueBytes > 1 << 20),
    )
    await node.close()
    deaf.abort()
  })

  it('of a connection that says nothing is no obstacle either', async () => {
    const node = await testNode({ config: quietConfig(testDirectory(), 'n1') })
    const socket = net.connect({ path: endpoint(node, 'unix').slice('unix:'.length) })
    await once(socket, 'connect')
    socket.resume()
    const closed = once(socket, 'close')
    await node.close()
    await closed
  })
})

describe('limits', () => {
  it('small messages travel together, in packs that a daemon with a small limit takes', async () => {
    const limits = { ...defaultLimits(), messageBytes: 1000 }
    const node = await testNode({ config: quietConfig(testDirectory(), 'n1', { limits }) })
    const session = await connect(endpoint(node, 'unix'))
    const group = await session.join('g')
    expect(session.limits.maxMessageBytes).toBe(1000)
    const sends = Array.from({ length: 2000 }, (_, i) => group.send('x'.repeat(i % 1000)))
    sends.push(group.send(new Uint8Array(1000)))
    const receipts = await Promise.all(sends)
    expect(receipts.at(-1)?.sequence).toBe(2001)
    const { counters } = (await node.status()).cells['main']!
    expect(counters['cell.segments.originated']).toBeLessThan(2001)
    await expect(group.send('x'.repeat(1001))).rejects.toMatchObject({ code: 'too-large' })
    await session.close()
  })

  it('a member that cannot exist costs one call, not the session', async () => {
    const node = await testNode({ config: quietConfig(testDirectory(), 'n1') })
    const session = await connect(endpoint(node, 'unix'))
    for (const member of [
      '',
      'bob',
      'bob@n1.1',
      `bob@n1#${'0'.repeat(31)}.1`,
      `bob@n1#${'0'.repeat(32)}.0`,
    ]) {
      await expect(session.sendTo(member, 'x')).rejects.toMatchObject({ code: 'bad-member' })
    }
    const receipt = await session.sendTo(`bob@n1#${'0'.repeat(32)}.1`, 'x')
    expect((await receipt.settled).received).toEqual([])
    await session.close()
  })
})
