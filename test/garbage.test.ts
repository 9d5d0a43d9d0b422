import net from 'node:net'
import { crc32 } from 'node:zlib'
import { expect, it } from 'vitest'
import type { Lab } from '../src/cli/lab/lab.ts'
import { encodeClientFrame } from '../src/codec/client-encode.ts'
import { encodeHello, type Hello } from '../src/codec/handshake.ts'
import { orderDigest } from '../src/config/digest.ts'
import type { Lane } from '../src/core/frames.ts'
import { Random } from '../src/lib/prng.ts'
import { figure } from './figures.ts'
import {
  cellStatus,
  enter,
  eventually,
  expectGoodTraces,
  formed,
  laboratory,
  later,
  type Member,
  patient,
  startTogether,
  together,
} from './laboratory.ts'

const random = new Random(5)

function randomBytes(length: number): Uint8Array {
  return Uint8Array.from({ length }, () => random.int(256))
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1))
}

interface Stranger {
  readonly socket: net.Socket
  /** Resolves with everything it was told, when the daemon closed the connection. */
  readonly over: Promise<Buffer>
}

/** Connects, and says this and nothing more. */
function stranger(to: net.NetConnectOpts, ...bytes: readonly Uint8Array[]): Stranger {
  const socket = net.connect(to)
  const told: Buffer[] = []
  socket.on('error', () => {})
  socket.on('data', chunk => told.push(chunk as Buffer))
  for (const each of bytes) socket.write(each)
  return { socket, over: new Promise(resolve => socket.on('close', () => resolve(Buffer.concat(told)))) }
}

/** The three listeners of a daemon. */
function listeners(
  lab: Lab,
  name: string,
): { readonly [What in 'peers' | 'unix' | 'tcp']: net.NetConnectOpts } {
  return {
    peers: { host: '127.0.0.1', port: portOf(lab.addresses.get(name) as string) },
    unix: { path: lab.socket(name) },
    tcp: { host: '127.0.0.1', port: lab.port(name) },
  }
}

const clientHello = encodeClientFrame({
  kind: 'hello',
  lowest: 1,
  highest: 1,
  features: 0,
  cluster: '',
  auth: 'none',
  cell: '',
  name: '',
  trace: false,
})

/** The first word of a daemon that is in the list of peers, and does not run. */
function peerHello(lane: Lane, member: string): Uint8Array {
  const { text, hash } = orderDigest({
    cells: [{ name: 'main', groups: ['*'], limits: { messageBytes: 16 * 1024 * 1024 }, transport: 'tcp' }],
  })
  const hello: Hello = {
    lowestVersion: 1,
    highestVersion: 1,
    features: 0,
    authentication: 'none',
    lane,
    verdict: 'none',
    port: 0,
    member,
    expected: 'n1',
    cluster: 'default',
    cell: 'main',
    digest: hash.toString(16).padStart(16, '0'),
    rules: text,
    reason: '',
  }
  return encodeHello(hello, crc32)
}

/** Sends until told to stop, one message after the other. */
async function talk({ group, session }: Member, stop: () => boolean): Promise<number> {
  let count = 0
  for (; !stop(); count++) await group.send(`${session.name} ${count}`)
  return count
}

/** Runs something while two daemons talk; nobody who talks may notice. */
async function undisturbed(lab: Lab, run: (alice: Member) => Promise<void>): Promise<void> {
  await lab.start('n1')
  await lab.start('n2')
  await formed(lab, 'n1', 2)
  const members = [await enter(lab, 'n1', 'alice', 'g'), await enter(lab, 'n2', 'bob', 'g')] as const
  await together(members)
  let stop = false
  const talks = members.map(member => later(talk(member, () => stop)))
  const views = members.map(({ observer }) => observer.views.length)
  await run(members[0])
  // And it goes on after.
  const seen = members[1].observer.messages.length
  await members[1].observer.until(() => members[1].observer.messages.length > seen + 20)
  stop = true
  const sent = (await Promise.all(talks)).reduce((sum, count) => sum + count, 0)
  for (const { observer } of members) await observer.until(() => observer.messages.length === sent)
  expect(members.map(({ observer }) => observer.views.length)).toEqual(views)
  expect(members[0].observer.digest()).toBe(members[1].observer.digest())
  for (const { session } of members) {
    const own = members[1].observer.messages.filter(({ sender }) => sender === session.id)
    expect(own.findIndex(({ sequence }, i) => sequence !== i + 1)).toBe(-1)
  }
  await expectGoodTraces(lab, members, { drained: true })
}

it('garbage on every listener disturbs no one', async () => {
  const lab = await laboratory({ names: ['n1', 'n2'], tcp: true, cell: patient })
  await undisturbed(lab, async alice => {
    const to = listeners(lab, 'n1')
    const before = (await cellStatus(alice.session)).counters
    const peer = peerHello('data', `n2#${'0'.repeat(32)}`)
    const http = new TextEncoder().encode('GET / HTTP/1.1\r\nHost: n1\r\n\r\n')
    const long = new Uint8Array([255, 255, 255, 255, 1, 2, 3])
    const longHello = new Uint8Array([...peer.subarray(0, 8), 255, 255, 255, 255])
    const strangers: Stranger[] = []
    for (const where of Object.values(to)) {
      for (let i = 0; i < 10; i++) strangers.push(stranger(where, randomBytes(1 + random.int(100_000))))
      strangers.push(stranger(where, http), stranger(where, long), stranger(where, longHello))
    }
    strangers.push(stranger(to.peers, clientHello), stranger(to.unix, peer), stranger(to.tcp, peer))
    // Half a first word, and what follows a good one.
    for (const where of [to.unix, to.tcp]) {
      strangers.push(stranger(where, clientHello, long), stranger(where, clientHello, randomBytes(5000)))
      strangers.push(stranger(where, clientHello, clientHello))
      const half = stranger(where, clientHello.subarray(0, 9))
      half.socket.end()
      strangers.push(half)
    }
    const half = stranger(to.peers, peer.subarray(0, 40))
    half.socket.end()
    strangers.push(half)
    await Promise.all(strangers.map(({ over }) => over))

    const { counters } = await cellStatus(alice.session)
    expect(counters['cell.sessions.refused'] - before['cell.sessions.refused']).toBeGreaterThanOrEqual(30)
    expect(counters['cell.peers.rejected'] - before['cell.peers.rejected']).toBeGreaterThanOrEqual(2)
    expect(lab.log('n1')).toContain('not a peer of this protocol: wrong magic')
    expect(lab.log('n1')).toContain('hello of 4294967295 bytes')
    figure('garbage: strangers', strangers.length)
  })
})

it('connections that say nothing are let go, however many', async () => {
  const lab = await laboratory({
    names: ['n1', 'n2'],
    tcp: true,
    cell: `${patient}\n    limits: { handshakes: 64 }`,
  })
  await undisturbed(lab, async alice => {
    const silent: Stranger[] = []
    for (const where of Object.values(listeners(lab, 'n1'))) {
      for (let i = 0; i < 40; i++) silent.push(stranger(where))
      // Half a hello, and then nothing more, is no more.
      silent.push(stranger(where, new Uint8Array([0x41, 0x4e])))
    }
    await Promise.all(silent.map(({ over }) => over))
    const { counters } = await cellStatus(alice.session)
    // 82 clients, of which 64 may wait at a time.
    expect(counters['cell.sessions.refused']).toBe(82)
    expect(lab.log('n1')).toContain('too-many-handshakes')
    expect(lab.log('n1')).toContain('handshake-timeout')
    expect(lab.log('n1')).toContain('nothing within 3000 ms')
    const carol = await enter(lab, 'n1', 'carol', 'h')
    await carol.session.close()
  })
})

/** The beginning of a frame: magic, a checksum that is none, its length and that of its head. */
function envelope(length: number, head: number): Uint8Array {
  const bytes = new Uint8Array(16)
  bytes.set([0x41, 0x4e, 0x41, 0x5a])
  const view = new DataView(bytes.buffer)
  view.setUint32(8, length, true)
  view.setUint32(12, head, true)
  return bytes
}

it('garbage from a peer that was let in costs it the connection, and nobody a view', async () => {
  const lab = await laboratory({ names: ['n1', 'n2', 'n4'], cell: patient })
  await undisturbed(lab, async alice => {
    const { peers } = listeners(lab, 'n1')
    const before = (await cellStatus(alice.session)).counters
    /** Lets n4 in, on both lanes. */
    const enterAsN4 = async (): Promise<readonly [Stranger, Stranger]> => {
      const member = `n4#${Buffer.from(randomBytes(16)).toString('hex')}`
      const lanes = (['control', 'data'] as const).map(lane => stranger(peers, peerHello(lane, member)))
      await Promise.all(lanes.map(({ socket }) => new Promise(resolve => socket.once('data', resolve))))
      await eventually(() => lab.log('n1').includes(`link to ${member}`))
      return lanes as [Stranger, Stranger]
    }
    const broken = [
      randomBytes(100_000),
      new Uint8Array(100_000),
      envelope(0xffff_ffff, 56),
      envelope(200, 0xffff_ffff),
      envelope(200, 3),
    ]
    for (const bytes of broken) {
      for (const lane of [0, 1] as const) {
        const lanes = await enterAsN4()
        lanes[lane].socket.write(bytes)
        await lanes[lane].over
        lanes[1 - lane]?.socket.destroy()
      }
    }
    // Half a frame, and then the end; and whole frames that are none.
    const [control, data] = await enterAsN4()
    data.socket.end(new Uint8Array([...envelope(5000, 56), ...randomBytes(100)]))
    await data.over
    for (let i = 0; i < 10; i++)
      control.socket.write(new Uint8Array([...envelope(100, 56), ...randomBytes(84)]))
    await eventually(async () => {
      const { counters } = await cellStatus(alice.session)
      return counters['cell.dropped.crc'] + counters['cell.dropped.malformed'] === 10
    })
    control.socket.destroy()
    const { counters, configuration } = await cellStatus(alice.session)
    expect(configuration.members.length).toBe(2)
    expect(counters['cell.configurations.installed']).toBe(before['cell.configurations.installed'])
    expect(lab.log('n1')).toMatch(/n4#.* is down: data lane: the stream is broken: frame of 4294967295 bytes/)
    expect(lab.log('n1')).toMatch(
      /n4#.* is down: control lane: the stream is broken: not a frame: wrong magic/,
    )
  })
})

/** Starts two daemons that do not belong together, and waits until both have said so. @returns the words of each. */
async function strangersToEachOther(lab: Lab): Promise<[string, string]> {
  await lab.startAll()
  const words = (name: string): string =>
    lab
      .log(name)
      .split('\n')
      .filter(line => line.includes('"peerRejected"'))
      .join('\n')
  await lab.daemon('n1').until(() => words('n1') !== '')
  await lab.daemon('n2').until(() => words('n2') !== '')
  for (const name of lab.names) await formed(lab, name, 1)
  return [words('n1'), words('n2')]
}

it('a daemon of another cluster is refused in words, on both sides', async () => {
  const lab = await laboratory({
    names: ['n1', 'n2'],
    top: name => `cluster: ${name === 'n1' ? 'blue' : 'green'}`,
  })
  const [one, two] = await strangersToEachOther(lab)
  expect(one).toContain('cluster id is \\"blue\\" here and \\"green\\" there')
  expect(two).toContain('cluster id is \\"green\\" here and \\"blue\\" there')
  // A client that wants another one is told the same.
  await expect(lab.session('n1', 'alice', { cluster: 'green' })).rejects.toMatchObject({
    message: expect.stringMatching(/wants cluster "green", this daemon is of cluster "blue"/),
  })
})

it('a daemon with other rules of cells is refused in words, on both sides', async () => {
  const lab = await laboratory({
    names: ['n1', 'n2'],
    cell: name => `    groups: ${name === 'n1' ? "['*']" : "['orders.*', '*']"}`,
  })
  const [one, two] = await strangersToEachOther(lab)
  expect(one).toMatch(/cells differ: only here nothing; only there .*orders\.\*.* -> main/)
  expect(two).toMatch(/cells differ: only here .*orders\.\*.* -> main.*; only there nothing/)
})

it('a daemon that is not in the list, and one of a name that is taken, stay out', async () => {
  const lab = await laboratory({ names: ['n1', 'n2'], cell: patient })
  await startTogether(lab)
  const alice = await enter(lab, 'n1', 'alice', 'g')
  const to = listeners(lab, 'n1').peers
  const unknown = await stranger(to, peerHello('control', `n9#${'9'.repeat(32)}`)).over
  expect(unknown.toString()).toContain('"n9" is not in the list of peers of "n1"')
  const twin = await stranger(to, peerHello('control', `n2#${'2'.repeat(32)}`)).over
  expect(twin.toString()).toContain('is another process of the same name')
  await eventually(() => lab.log('n1').includes('is another process of the same name'))
  expect((await cellStatus(alice.session)).configuration.members.length).toBe(2)
})
