/** A host that drives its node itself: nothing happens but in `step`, and a slow host is slow, no more. */

import net from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Observer } from '../src/cli/lab/observer.ts'
import { connect, type Session } from '../src/client/index.ts'
import type { Config } from '../src/config/config.ts'
import { defaultTimeouts } from '../src/config/limits.ts'
import { createNode, type Node } from '../src/node/index.ts'
import { figure, stopwatch } from './figures.ts'
import { cellStatus, eventually } from './laboratory.ts'
import { clusterConfigs, endpoint, quietConfig, testDirectory, testNode, ThreadedNode } from './nodes.ts'
import { drive } from './drive.mjs'

/** Turns of the event loop in which everything that goes by itself would have gone. */
const MANY_TURNS = 200

interface Still {
  readonly node: Node
  wakes(): number
}

/** A manual node that nobody steps. */
async function still(config: Config): Promise<Still> {
  let wakes = 0
  const node = await testNode({ config, loop: 'manual', onWake: () => wakes++ })
  return { node, wakes: () => wakes }
}

function watch(promise: Promise<unknown>): { settled: boolean } {
  const state = { settled: false }
  const done = (): void => {
    state.settled = true
  }
  promise.then(done, done)
  return state
}

/** Steps until the promise is settled. */
async function stepping<T>(node: Node, promise: Promise<T>): Promise<T> {
  const state = watch(promise)
  while (!state.settled) {
    node.step()
    await nextTurn()
  }
  return promise
}

/** Waits until something wakes the node, then gives it every chance to do more than it may. */
async function expectNothing(
  { node, wakes }: Still,
  before: number,
  promise: Promise<unknown>,
): Promise<void> {
  const state = watch(promise)
  while (wakes() === before) await nextTurn()
  const { sessions, groups, counters } = (await node.status()).cells['main']!
  for (let i = 0; i < MANY_TURNS; i++) await nextTurn()
  expect(state.settled).toBe(false)
  const after = (await node.status()).cells['main']!
  expect(after.counters).toEqual(counters)
  expect({ sessions: after.sessions, groups: after.groups }).toEqual({ sessions, groups })
}

describe('outside of step nothing happens', () => {
  const ways = {
    'in-process': (node: Node) => node.session({ name: 'alice' }),
    port: (node: Node) => connect(node.port(), { name: 'alice' }),
    'unix socket': (node: Node) => connect(endpoint(node, 'unix'), { name: 'alice' }),
    TCP: (node: Node) => connect(endpoint(node, 'tcp'), { name: 'alice' }),
  } as const

  it.each(Object.entries(ways))('%s', async (_, open) => {
    const host = await still(quietConfig(testDirectory(), 'n1'))
    const { node, wakes } = host
    let before = wakes()
    const opening = open(node)
    await expectNothing(host, before, opening)
    expect((await node.status()).cells['main']!.counters['cell.loop.turns']).toBe(0)
    const session = await stepping(node, opening)

    before = wakes()
    const joining = session.join('g')
    await expectNothing(host, before, joining)
    const group = await stepping(node, joining)

    before = wakes()
    const sending = group.send('hello', { service: 'safe' })
    await expectNothing(host, before, sending)
    const receipt = await stepping(node, sending)
    const fate = await stepping(node, receipt.settled)
    expect(fate.received).toEqual([session.id])

    before = wakes()
    const closing = session.close()
    await expectNothing(host, before, closing)
    await stepping(node, closing)
  })

  it('what does not fit waits in the channel, not in the memory of the host', async () => {
    const { node } = await still(quietConfig(testDirectory(), 'n1'))
    const socket = net.connect({ path: endpoint(node, 'unix').slice('unix:'.length) })
    onTestFinished(() => void socket.destroy())
    const chunk = Buffer.alloc(1 << 20)
    let taken = 0
    let stuck = false
    while (!stuck) {
      const written = new Promise<boolean>(resolve => socket.write(chunk, () => resolve(true)))
      let turns = 0
      const waited = (async (): Promise<boolean> => {
        while (turns++ < MANY_TURNS) await nextTurn()
        return false
      })()
      if (await Promise.race([written, waited])) taken++
      else stuck = true
      expect(taken).toBeLessThan(32)
    }
    expect(taken).toBeGreaterThan(0)
  })
})

describe('nextDeadline', () => {
  it('says when to step though nothing comes; time is what step is told', async () => {
    const { node } = await still(quietConfig(testDirectory(), 'n1'))
    const now = performance.timeOrigin + performance.now()
    node.step(now)
    expect(node.nextDeadline).toBeGreaterThan(now)
    expect(node.nextDeadline).toBeLessThanOrEqual(now + 1000)
    const socket = net.connect({ path: endpoint(node, 'unix').slice('unix:'.length) })
    onTestFinished(() => void socket.destroy())
    let said = ''
    socket.on('data', chunk => {
      said += chunk.toString('latin1')
    })
    const ended = new Promise(resolve => {
      socket.once('close', resolve)
    })
    await new Promise(resolve => {
      socket.once('connect', resolve)
    })
    // Accepted at some moment after now; a client that says nothing is let go after five seconds of the host's time.
    for (let i = 0; i < MANY_TURNS; i++) await nextTurn()
    node.step(now + 60_000)
    await ended
    expect(said).toContain('handshake-timeout')
    expect((await node.status()).cells['main']!.counters['cell.sessions.refused']).toBe(1)
  })

  it('is all that a host needs to leave and to close', async () => {
    const { node, stop } = await drive(options =>
      createNode({ config: quietConfig(testDirectory(), 'n1'), ...options }),
    )
    const session = await node.session()
    const group = await session.join('g')
    await group.send('x')
    await node.leave()
    expect(session.closed).toBe(true)
    stop()
  })
})

/** What must not change in a cell while there is traffic. */
async function calm(session: Session): Promise<Record<string, number | string>> {
  const { configuration, counters } = await cellStatus(session)
  const { 'cell.configurations.installed': installed, 'cell.attempts.started': attempts } = counters
  return { configuration: configuration.id, members: configuration.members.length, installed, attempts }
}

async function turnsOf(session: Session): Promise<number> {
  return (await cellStatus(session)).counters['cell.loop.turns']
}

it('a host that computes 5 ms in every step loses nothing, and nobody loses it', async () => {
  const timeouts = { ...defaultTimeouts(), suspectAfterMs: 4000, stalledAfterMs: 16_000 }
  const configs = await clusterConfigs(testDirectory(), ['n1', 'n2', 'n3'], { timeouts })
  const [first, second, third] = configs as [Config, Config, Config]
  const [n1, n2] = [await testNode({ config: first }), await testNode({ config: second })]
  const slow = await ThreadedNode.start(third, 'manual', 5)
  onTestFinished(() => slow.stop())

  const sessions = [await n1.session(), await n2.session(), await slow.connect()] as const
  const observers = sessions.map(session => new Observer(session))
  for (const observer of observers) {
    await eventually(async () => (await calm(observer.session))['members'] === 3)
    await observer.join('g')
  }
  for (const observer of observers) await observer.until(() => observer.views.at(-1)?.members.length === 3)
  const before = await Promise.all(sessions.map(calm))
  const views = observers.map(observer => observer.views.length)
  const turnsBefore = await turnsOf(sessions[2])
  const since = stopwatch()

  const count = 4000
  await Promise.all(
    sessions.map(async session => {
      for (let i = 0; i < count; i++) {
        const service = i % 10 === 0 ? 'safe' : 'agreed'
        while (session.trySendMany(['g'], `${session.daemon} ${i}`, { service }) === 0)
          await session.writable()
        if (i % 100 === 0) await nextTurn()
      }
    }),
  )
  for (const observer of observers) await observer.until(() => observer.messages.length === 3 * count)
  const turns = (await turnsOf(sessions[2])) - turnsBefore
  figure('5 ms in every step: time for 12,000 messages', since(), 'ms')
  figure('5 ms in every step: messages in a step', (3 * count) / turns)
  // It did compute all the time, or this would show nothing.
  expect(turns).toBeGreaterThan(20)
  expect(since()).toBeGreaterThanOrEqual(turns * 5)
  expect(new Set(observers.map(observer => observer.digest())).size).toBe(1)
  expect(observers.map(observer => observer.views.length)).toEqual(views)
  expect(observers.flatMap(observer => observer.transitional)).toEqual([])
  expect(await Promise.all(sessions.map(calm))).toEqual(before)
  for (const session of sessions) await session.close()
})
