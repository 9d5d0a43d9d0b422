import { describe, expect, it } from 'vitest'
import { encodeDestination, encodeSegmentHead } from '../codec/client-encode.ts'
import type { SlowClientPolicy } from '../config/config.ts'
import { defaultTimeouts } from '../config/limits.ts'
import type { HandClient } from './client.fixture.ts'
import { Bench, Neighbours } from './runtime.fixture.ts'

const KiB = 1024
const limits = { clientQueueBytes: 64 * KiB }
const policy: SlowClientPolicy = { bytes: 256 * KiB, seconds: 2, policy: 'evict' }

/** Two members of a group, and one who sends to it. */
async function scene(slowClient = policy): Promise<{
  bench: Bench
  quick: HandClient
  slow: HandClient
  /** Sends so many KiB, which `quick` reads at once. */
  send(kib: number): void
}> {
  const bench = await Bench.start({ limits, cell: { slowClient } })
  const [quick, slow, sender] = ['quick', 'slow', 'sender'].map(name => bench.session(name)) as [
    HandClient,
    HandClient,
    HandClient,
  ]
  for (const client of [quick, slow]) client.say({ kind: 'join', request: 1, group: 'g' })
  bench.step()
  let sequence = 1
  const send = (kib: number): void => {
    const bytes = kib * KiB
    const destination = encodeDestination({ to: 'groups', groups: ['g'] })
    const head = encodeSegmentHead(destination, 'agreed', false, false, sequence++, 1, bytes)
    const payload = new Uint8Array(bytes)
    new DataView(payload.buffer).setUint32(0, bytes - 4, true)
    sender.say(head, payload)
    bench.step()
    quick.say({ kind: 'acknowledge', bytes: quick.bytes })
    bench.step()
  }
  return { bench, quick, slow, send }
}

const warnings = (client: HandClient): string[] =>
  client.heard.flatMap(frame => (frame.kind === 'warning' ? [frame.message] : []))

describe('a client that does not read', () => {
  it('is left in peace below the bound', async () => {
    const { bench, slow, send } = await scene()
    send(60)
    bench.step(10_000)
    expect(warnings(slow)).toEqual([])
    expect(bench.counters.get('cell.credit.holds')).toBe(0)
    expect(slow.channel.closed).toBe(false)
  })

  it('is warned after a moment, and evicted when its time is over', async () => {
    const { bench, quick, slow, send } = await scene()
    send(70)
    expect(bench.counters.get('cell.credit.holds')).toBe(1)
    expect(bench.runtime.cell.state.ordering.heldCredit).not.toBeNull()
    bench.step(150)
    expect(warnings(slow)).toEqual([])
    bench.step(100)
    // It is told at once, not with the next message, which may never come.
    expect(warnings(slow)).toEqual([
      expect.stringMatching(
        /^\d+ bytes are waiting to be read; at 262144 bytes, or after 2 s, this session is evicted$/,
      ),
    ])
    expect(bench.told('slowClient')).toMatchObject([{ session: slow.welcome.session }])
    bench.step(1700)
    expect(slow.channel.closed).toBe(false)
    bench.step(100)
    expect(slow.last('closing')).toMatchObject({ code: 'evicted' })
    expect(slow.last('closing').words).toMatch(/bytes were not read for 20\d\d ms; the bound is 2 s$/)
    expect(warnings(slow)).toHaveLength(1)
    expect(bench.told('eviction')).toMatchObject([{ session: slow.welcome.session, reason: 'seconds' }])
    expect(quick.last('view')).toMatchObject({ cause: 'disconnect', left: [slow.welcome.session] })
    expect(bench.counters.get('cell.sessions.evicted')).toBe(1)
    expect(bench.counters.get('cell.sessions.lost')).toBe(0)
    expect(bench.counters.get('cell.credit.heldMs')).toBeGreaterThanOrEqual(2000)
    expect(bench.runtime.cell.state.ordering.heldCredit).toBeNull()
  })

  it('is evicted at the bound in bytes, whatever the time, after a warning', async () => {
    const { bench, slow, send } = await scene()
    for (let i = 0; i < 6; i++) send(40)
    expect(slow.channel.closed).toBe(false)
    send(40)
    expect(slow.heard.slice(-2).map(frame => frame.kind)).toEqual(['warning', 'closing'])
    expect(slow.last('closing').words).toMatch(/bytes were not read; the bound is 262144$/)
    expect(bench.told('eviction')).toMatchObject([{ reason: 'bytes', slowForMs: 0 }])
    expect(bench.counters.get('cell.limits.clientQueueBytes')).toBe(1)
  })

  it('is safe once it has read down to half of the bound; less is not enough', async () => {
    const { bench, slow, send } = await scene()
    send(70)
    bench.step(1000)
    slow.say({ kind: 'acknowledge', bytes: slow.bytes - 40 * KiB })
    bench.step(500)
    expect(bench.runtime.cell.state.ordering.heldCredit).not.toBeNull()
    slow.say({ kind: 'acknowledge', bytes: slow.bytes - 20 * KiB })
    bench.step(5000)
    expect(slow.channel.closed).toBe(false)
    expect(bench.runtime.cell.state.ordering.heldCredit).toBeNull()
    const heldMs = bench.counters.get('cell.credit.heldMs')
    expect(heldMs).toBeGreaterThanOrEqual(1500)
    expect(heldMs).toBeLessThan(1600)
    // A new lag has a new time and a new warning.
    send(70)
    bench.step(1900)
    expect(slow.channel.closed).toBe(false)
    expect(warnings(slow)).toHaveLength(2)
    bench.step(200)
    expect(slow.last('closing').code).toBe('evicted')
  })

  it('is not evicted as long as it reads, each time, what there was a moment ago', async () => {
    const { bench, slow, send } = await scene()
    send(100)
    for (let i = 0; i < 10; i++) {
      bench.step(1500)
      const seen = slow.bytes
      send(100)
      slow.say({ kind: 'acknowledge', bytes: seen })
      bench.step()
      expect(bench.runtime.cell.state.ordering.heldCredit).not.toBeNull()
    }
    expect(slow.channel.closed).toBe(false)
    bench.step(2100)
    expect(slow.last('closing').code).toBe('evicted')
  })

  it('holds nobody up once it is gone', async () => {
    const { bench, quick, slow, send } = await scene()
    send(70)
    expect(bench.runtime.cell.state.ordering.heldCredit).not.toBeNull()
    slow.channel.end(new Error('gone'))
    bench.step()
    expect(bench.runtime.cell.state.ordering.heldCredit).toBeNull()
    expect(quick.last('view').left).toEqual([slow.welcome.session])
    bench.step(5000)
    expect(bench.told('eviction')).toEqual([])
    expect(bench.counters.get('cell.sessions.lost')).toBe(1)
  })

  it('lets go of what it did not read: its connection is not kept for ever', async () => {
    const { bench, slow, send } = await scene()
    slow.channel.reads = false
    send(70)
    bench.step(3000)
    expect(bench.counters.get('cell.sessions.evicted')).toBe(1)
    expect(slow.channel.closed).toBe(false)
    expect(slow.channel.pending).toBeGreaterThan(64 * KiB)
    bench.step(10_000)
    expect(slow.channel.aborted).toBe(true)
  })

  it('a bound below the warning’s moment warns all the same', async () => {
    const { bench, slow, send } = await scene({ ...policy, seconds: 0.1 })
    send(70)
    bench.step(30)
    expect(warnings(slow)).toHaveLength(1)
    expect(slow.channel.closed).toBe(false)
    bench.step(100)
    expect(slow.last('closing').code).toBe('evicted')
  })

  it('is not blamed for a time in which the daemon itself stood still', async () => {
    const { bench, slow, send } = await scene()
    send(70)
    bench.step(100)
    bench.now += 5000
    bench.step()
    expect(bench.told('stall')).toHaveLength(1)
    expect(slow.channel.closed).toBe(false)
    bench.step(1800)
    expect(slow.channel.closed).toBe(false)
    bench.step(200)
    expect(slow.last('closing').code).toBe('evicted')
    expect(bench.told('eviction')[0]?.slowForMs).toBeLessThan(2200)
  })
})

describe('with the policy throttle', () => {
  const patient: SlowClientPolicy = { bytes: 16 * 1024 * KiB, seconds: 20, policy: 'throttle' }

  it('all wait for it as long as its time lasts, and are not suspected; then it is evicted', async () => {
    const cells = new Neighbours()
    const cell = { slowClient: patient }
    const one = await cells.add({ limits, cell })
    const two = await cells.add({ limits, cell, name: 'second' })
    cells.pass(2000)
    const slow = one.session('slow')
    const [quick, sender] = [two.session('quick'), two.session('sender')]
    for (const client of [slow, quick]) client.say({ kind: 'join', request: 1, group: 'g' })
    cells.pass(200)
    const bytes = 60 * KiB
    for (let sequence = 1; sequence <= 100; sequence++) {
      const head = encodeSegmentHead(
        encodeDestination({ to: 'groups', groups: ['g'] }),
        'agreed',
        false,
        false,
        sequence,
        1,
        bytes,
      )
      const payload = new Uint8Array(bytes)
      new DataView(payload.buffer).setUint32(0, bytes - 4, true)
      sender.say(head, payload)
    }
    // Longer than any timeout of the cell but its own.
    const { suspectAfterMs, stalledAfterMs } = defaultTimeouts()
    expect(patient.seconds * 1000).toBeGreaterThan(2 * Math.max(suspectAfterMs, stalledAfterMs))
    cells.pass(patient.seconds * 1000 - 1000)
    expect(slow.channel.closed).toBe(false)
    expect(warnings(slow)).toEqual([
      expect.stringMatching(
        /^\d+ bytes are waiting to be read; all others wait for it, and after 20 s this session is evicted$/,
      ),
    ])
    const delivered = (): number => quick.count('messages')
    const waiting = delivered()
    expect(waiting).toBeLessThan(100)
    quick.say({ kind: 'acknowledge', bytes: quick.bytes })
    cells.pass(500)
    expect(delivered()).toBe(waiting)
    for (const bench of [one, two]) {
      expect(bench.runtime.cell.configuration.members).toHaveLength(2)
      expect(bench.told('suspicion')).toEqual([])
    }
    cells.pass(1500)
    expect(slow.last('closing')).toMatchObject({ code: 'evicted' })
    expect(slow.last('closing').words).toMatch(/the bound is 20 s$/)
    for (let passed = 0; delivered() < 100; passed += 50) {
      expect(passed).toBeLessThan(2000)
      quick.say({ kind: 'acknowledge', bytes: quick.bytes })
      cells.pass(50)
    }
    expect(slow.bytes).toBeLessThan(patient.bytes)
  })
})
