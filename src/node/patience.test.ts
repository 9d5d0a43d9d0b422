import { describe, expect, it } from 'vitest'
import { MemoryHub } from '../transport/memory.ts'
import { Bench } from './runtime.fixture.ts'

const KiB = 1024

describe('requests without end', () => {
  it('of a client that waits for none are not read any more until they have their place', async () => {
    const hub = new MemoryHub()
    const limits = { clientIntakeBytes: 64 * KiB, messageBytes: 1 }
    const bench = await Bench.start({ hub, limits })
    const other = await Bench.start({ hub, name: 'second' })
    for (let passed = 0; passed < 2000; passed += 5) {
      hub.deliver()
      for (const each of [bench, other]) each.step(5)
    }
    expect(bench.runtime.cell.configuration.members).toHaveLength(2)
    const eager = bench.session('eager')
    const connection = bench.runtime.sessions.bySession.get(1)
    // Nothing is ordered while the other says nothing.
    const ask = (times: number): void => {
      for (let i = 0; i < times; i++) {
        eager.say({ kind: 'join', request: 2 * i + 1, group: 'g'.repeat(200) })
        eager.say({ kind: 'leave', request: 2 * i + 2, group: 'g'.repeat(200) })
      }
    }
    let asked = 0
    for (; !eager.channel.paused; asked += 100) {
      expect(asked).toBeLessThan(10_000)
      ask(100)
      bench.runtime.step(bench.now)
    }
    expect(connection?.intake).toBeGreaterThan(64 * KiB)
    expect(bench.counters.get('cell.limits.clientIntakeBytes')).toBe(1)
    for (let passed = 0; passed < 500; passed += 5) {
      hub.deliver()
      for (const each of [bench, other]) each.step(5)
    }
    expect(eager.channel.paused).toBe(false)
    expect(connection?.intake).toBe(0)
    expect(eager.count('left')).toBe(asked)
  })

  it('give numbers to groups that are used again when nobody is in them', async () => {
    const bench = await Bench.start()
    const alice = bench.session('alice')
    const numbers = new Set<number>()
    for (let i = 0; i < 100; i++) {
      alice.say({ kind: 'join', request: 2 * i + 1, group: `g${i}` })
      bench.step()
      numbers.add(alice.last('joined').groupId)
      alice.say({ kind: 'leave', request: 2 * i + 2, group: `g${i}` })
      bench.step()
    }
    expect(alice.count('left')).toBe(100)
    expect([...numbers]).toEqual([1])
  })
})
