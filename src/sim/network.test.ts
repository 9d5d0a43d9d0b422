import { describe, expect, test } from 'vitest'
import { Random } from '../lib/prng.ts'
import { calmLink, type LinkProfile, Network, type Packet } from './network.ts'
import { Scheduler } from './scheduler.ts'

interface Bench {
  readonly scheduler: Scheduler
  readonly network: Network
  readonly arrived: { at: number; packet: Packet }[]
  send(from: number, to: number, value: number, lane?: 'control' | 'data'): void
}

function bench(profile: Partial<LinkProfile> = {}, seed = 1): Bench {
  const scheduler = new Scheduler()
  const arrived: Bench['arrived'] = []
  const network = new Network({
    hosts: 3,
    scheduler,
    random: new Random(seed),
    profile: { ...calmLink, ...profile },
    arrive: packet => arrived.push({ at: scheduler.now, packet }),
    cover: () => {},
  })
  return {
    scheduler,
    network,
    arrived,
    send: (from, to, value, lane = 'data') =>
      network.send(from, to, `n${from}`, null, lane, 'facts', {
        bytes: Uint8Array.of(value, 0, 0, 0),
        decoded: null,
      }),
  }
}

const values = (b: Bench): number[] => b.arrived.map(a => a.packet.encoded.bytes[0] as number)
const upTo = (n: number): number[] => Array.from({ length: n }, (_, index) => index)

describe('network', () => {
  test('a calm link delivers all, in order, no sooner than its base delay', () => {
    const b = bench({ baseMs: 2, jitterMs: 5 })
    for (const value of upTo(100)) b.send(0, 1, value)
    b.scheduler.runUntil(1000)
    expect(values(b)).toEqual(upTo(100))
    expect((b.arrived[0] as { at: number }).at).toBeGreaterThanOrEqual(2)
  })

  test('loss, duplication and reordering happen at about the rate asked for', () => {
    const lossy = bench({ loss: 0.3 })
    for (let i = 0; i < 2000; i++) lossy.send(0, 1, i & 255)
    lossy.scheduler.runUntil(1000)
    expect(lossy.arrived.length).toBeGreaterThan(1300)
    expect(lossy.arrived.length).toBeLessThan(1500)

    const doubling = bench({ duplicate: 0.5, duplicateMs: 1 })
    for (let i = 0; i < 2000; i++) doubling.send(0, 1, i & 255)
    doubling.scheduler.runUntil(1000)
    expect(doubling.arrived.length).toBeGreaterThan(2900)
    expect(doubling.arrived.length).toBeLessThan(3100)

    const shuffling = bench({ reorder: 0.5, jitterMs: 1 })
    for (const value of upTo(200)) shuffling.send(0, 1, value)
    shuffling.scheduler.runUntil(1000)
    expect(values(shuffling)).not.toEqual(upTo(200))
    expect(values(shuffling).sort((x, y) => x - y)).toEqual(upTo(200))
  })

  test('a corrupted frame differs from the one sent, and the sender keeps its own', () => {
    const b = bench({ corrupt: 1 })
    const original = Uint8Array.of(1, 2, 3, 4)
    b.network.send(0, 1, 'n0', null, 'data', 'facts', { bytes: original, decoded: null })
    b.scheduler.runUntil(10)
    const packet = (b.arrived[0] as { packet: Packet }).packet
    expect(packet.corrupted).toBe(true)
    expect([...packet.encoded.bytes]).not.toEqual([...original])
    expect([...original]).toEqual([1, 2, 3, 4])
  })

  test('a cut has a direction, loses what is on the way, and as many mends end it', () => {
    const b = bench({ baseMs: 5, jitterMs: 0 })
    b.send(0, 1, 1)
    b.scheduler.runUntil(1)
    b.network.cut(0, 1)
    b.network.cut(0, 1)
    b.send(1, 0, 2)
    b.send(0, 1, 3)
    b.scheduler.runUntil(100)
    expect(values(b)).toEqual([2])
    b.network.mend(0, 1)
    expect(b.network.open(0, 1)).toBe(false)
    b.network.mend(0, 1)
    b.send(0, 1, 4)
    b.scheduler.runUntil(200)
    expect(values(b)).toEqual([2, 4])
  })

  test('a clogged link keeps everything until it is free; a swizzle mixes it', () => {
    const b = bench({ jitterMs: 0 })
    b.network.clog(0, 1)
    for (const value of upTo(20)) b.send(0, 1, value)
    b.scheduler.runUntil(100)
    expect(values(b)).toEqual([])
    b.network.unclog(0, 1, true)
    b.scheduler.runUntil(200)
    expect(values(b)).not.toEqual(upTo(20))
    expect(values(b).sort((x, y) => x - y)).toEqual(upTo(20))
  })

  test('beyond its capacity a link loses a random victim', () => {
    const b = bench({ capacity: 10, baseMs: 5 })
    for (const value of upTo(30)) b.send(0, 1, value)
    b.scheduler.runUntil(100)
    expect(b.arrived.length).toBe(10)
    expect(b.network.counters.overflowed).toBe(20)
    expect(values(b)).not.toEqual(upTo(10))
  })

  test('a rule loses so many frames of a kind on a link, no more', () => {
    const b = bench()
    b.network.dropRules.push({ kind: 'facts', from: 0, to: null, remaining: 2, probability: 1 })
    b.send(1, 0, 9)
    for (const value of upTo(4)) b.send(0, 1, value)
    b.scheduler.runUntil(100)
    expect(values(b).sort((x, y) => x - y)).toEqual([2, 3, 9])
    expect(b.network.dropRules).toEqual([])
  })

  test('a rule that holds keeps what it takes until it is released, in order', () => {
    const b = bench()
    const rule = { kind: 'facts', from: 0, to: null, probability: 1 } as const
    b.network.dropRules.push({ ...rule, remaining: 2, hold: true })
    for (const value of upTo(3)) b.send(0, 1, value)
    b.scheduler.runUntil(100)
    expect(values(b)).toEqual([2])
    b.network.dropRules.push({ ...rule, remaining: 100, hold: true })
    b.send(0, 1, 3)
    b.network.releaseHeld()
    b.send(0, 1, 4)
    b.scheduler.runUntil(200)
    expect(values(b)).toEqual([2, 0, 1, 3, 4])
    expect(b.network.dropRules).toEqual([])
  })

  test('rules end where they are told to', () => {
    const b = bench()
    b.network.dropRules.push({ kind: 'facts', from: 0, to: null, remaining: 100, probability: 1 })
    b.network.dropRules.push({ kind: 'plan', from: null, to: null, remaining: 100, probability: 1 })
    b.network.undrop(({ kind }) => kind === 'facts')
    b.send(0, 1, 1)
    b.scheduler.runUntil(100)
    expect(values(b)).toEqual([1])
    expect(b.network.dropRules.map(({ kind }) => kind)).toEqual(['plan'])
  })

  test('lanes do not wait for one another', () => {
    const b = bench({ baseMs: 1, jitterMs: 0 })
    b.network.setLink(0, 1, { ...calmLink, baseMs: 50, jitterMs: 0 })
    b.send(0, 1, 1, 'data')
    b.network.setLink(0, 1, null)
    b.send(0, 1, 2, 'control')
    b.send(0, 1, 3, 'data')
    b.scheduler.runUntil(100)
    expect(values(b)).toEqual([2, 1, 3])
  })
})
