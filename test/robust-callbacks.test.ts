/** What the program around a node gives it may throw: nobody but that program notices. */

import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, it } from 'vitest'
import type { RecordedEvent } from '../src/admin/events.ts'
import { connect } from '../src/client/index.ts'
import { endpoint, quietConfig, testDirectory, testNode } from './nodes.ts'

/** Steps until the promise is settled. */
async function stepping<T>(node: { step(): void }, promise: Promise<T>): Promise<T> {
  const state = { settled: false }
  const done = (): void => {
    state.settled = true
  }
  promise.then(done, done)
  while (!state.settled) {
    node.step()
    await nextTurn()
  }
  return promise
}

it('onWake and subscribers that throw every time: sessions are served, and each error is told once', async () => {
  let wakes = 0
  const node = await testNode({
    config: quietConfig(testDirectory(), 'n1'),
    loop: 'manual',
    onWake: () => {
      wakes++
      throw new Error('this host cannot be woken')
    },
  })
  const told: RecordedEvent[] = []
  node.events.subscribe(() => {
    throw new TypeError('this log is full')
  })
  node.events.subscribe(async () => {
    throw new TypeError('this log is somewhere else')
  })
  node.events.subscribe(recorded => told.push(recorded))
  const sessions = [
    await stepping(node, node.session({ name: 'inside' })),
    await stepping(node, connect(endpoint(node, 'unix'), { name: 'unix' })),
    await stepping(node, connect(endpoint(node, 'tcp'), { name: 'tcp' })),
  ]
  const groups = await Promise.all(sessions.map(session => stepping(node, session.join('g'))))
  for (const group of groups) {
    const receipts = await stepping(node, Promise.all(Array.from({ length: 10 }, () => group.send('x'))))
    for (const receipt of receipts) {
      expect((await stepping(node, receipt.settled)).received).toHaveLength(3)
    }
  }
  await expect(stepping(node, connect(endpoint(node, 'tcp'), { cluster: 'other' }))).rejects.toMatchObject({
    code: 'refused',
  })
  expect(wakes).toBeGreaterThan(10)
  const failures = node.events.recent().flatMap(({ event }) => (event.type === 'callback' ? [event] : []))
  expect(failures.map(({ callback, words }) => `${callback}: ${words}`).toSorted()).toEqual([
    'a subscriber of events: TypeError: this log is full',
    'a subscriber of events: TypeError: this log is somewhere else',
    'onWake: Error: this host cannot be woken',
  ])
  expect(told.map(({ sequence }) => sequence)).toEqual(
    told.map(({ sequence }) => sequence).toSorted((a, b) => a - b),
  )
  expect(told.some(({ event }) => event.type === 'clientRefused')).toBe(true)
  await stepping(node, Promise.all(sessions.map(session => session.close())))
  // Whoever asks to leave once more waits for the same end.
  let left = 0
  const leaving = [node.leave(), node.leave(), node.close()].map(promise => promise.then(() => left++))
  await stepping(node, Promise.all(leaving))
  expect(left).toBe(3)
  await expect(node.session()).rejects.toMatchObject({ code: 'connection-refused' })
})
