import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { countedLimits, numericTable } from '../admin/registry.ts'
import { encodeDestination, encodeSegmentHead } from '../codec/client-encode.ts'
import type { HandClient } from './client.fixture.ts'
import { Bench, Neighbours } from './runtime.fixture.ts'

const KiB = 1024

/** Sends so many bytes to a group, as messages of 60 KiB. */
function flood(client: HandClient, group: string, bytes: number, from: number = 1): void {
  for (let sequence = from; bytes > 0; bytes -= 60 * KiB, sequence++) {
    const destination = encodeDestination({ to: 'groups', groups: [group] })
    const head = encodeSegmentHead(destination, 'agreed', false, false, sequence, 1, 60 * KiB)
    const payload = new Uint8Array(60 * KiB)
    new DataView(payload.buffer).setUint32(0, 60 * KiB - 4, true)
    client.say(head, payload)
  }
}

describe('counters', () => {
  const folder = new URL('.', import.meta.url)
  const source = readdirSync(folder)
    .filter(name => name.endsWith('.ts') && !/\.(test|fixture)\.ts$/.test(name))
    .map(name => readFileSync(new URL(name, folder), 'utf8'))
    .join('\n')

  // One that nobody feeds would be 0 for ever, and so a lie.
  it.each(numericTable.map(row => row.name))('%s is fed', name => {
    const last = name.split('.').at(-1) as string
    if (name.startsWith('cell.suspicions.')) expect(source).toContain('`cell.suspicions.${event.reason}`')
    else if (name.startsWith('cell.limits.')) {
      expect(countedLimits).toContain(last)
      expect(source.includes(`'${name}'`) || source.includes(`'${last}'`)).toBe(true)
    } else if (/^cell\.sessions\.(closed|lost|evicted)$/.test(name)) {
      expect(source).toContain('`cell.sessions.${counter}`')
      expect(source).toContain(`'${last}'`)
    } else expect(source).toContain(`'${name}'`)
  })

  it('of two cells fit together', async () => {
    const neighbours = new Neighbours()
    const one = await neighbours.add()
    const two = await neighbours.add({ name: 'second' })
    neighbours.pass(2000)
    for (const bench of [one, two]) {
      expect(bench.runtime.cell.configuration.members).toHaveLength(2)
      expect(bench.counters.get('cell.members')).toBe(2)
      expect(bench.counters.get('cell.peers.connected')).toBe(1)
      expect(bench.counters.get('cell.attempts.started')).toBeGreaterThanOrEqual(1)
      expect(bench.counters.get('cell.dropped.malformed')).toBe(0)
    }
    const alice = one.session('alice')
    const bob = two.session('bob')
    for (const client of [alice, bob]) client.say({ kind: 'join', request: 1, group: 'g' })
    neighbours.pass(100)
    flood(alice, 'g', 120 * KiB)
    neighbours.pass(400)
    expect(bob.count('messages')).toBe(2)
    expect(two.counters.get('cell.delivered.bytes')).toBe(120 * KiB)
    expect(two.counters.get('cell.groups.known')).toBe(1)
    expect(one.counters.get('cell.sessions.open')).toBe(1)
    const sent = one.counters.get('cell.bytes.out.data')
    expect(sent).toBeGreaterThan(120 * KiB)
    expect(two.counters.get('cell.bytes.in.data')).toBe(sent)
    expect(two.counters.get('cell.retransmissions.in')).toBe(0)
    expect(one.counters.get('cell.retransmissions.out')).toBe(0)
  })
})

describe('a step', () => {
  it('that comes much too late is a stall, which is told', async () => {
    const bench = await Bench.start()
    bench.step(5000)
    expect(bench.told('stall')).toEqual([])
    bench.now += 5000
    bench.step()
    expect(bench.told('stall')).toHaveLength(1)
    expect(bench.counters.get('cell.loop.stalls')).toBe(1)
    expect(bench.counters.get('cell.loop.stalledMs')).toBeGreaterThan(4000)
  })

  it('counts when the window closes, when too much waits, and when nobody more is taken', async () => {
    const limits = { windowBytes: 64 * KiB, queueBytes: 256 * KiB, maxMembers: 2 }
    const neighbours = new Neighbours()
    const one = await neighbours.add({ limits })
    await neighbours.add({ name: 'second', limits })
    neighbours.pass(2000)
    expect(one.counters.get('cell.limits.maxMembers')).toBe(1)
    const alice = one.session('alice')
    expect(one.counters.get('cell.limits.windowBytes')).toBe(0)
    flood(alice, 'g', 600 * KiB)
    one.step()
    expect(one.counters.get('cell.limits.windowBytes')).toBe(1)
    expect(one.counters.get('cell.limits.queueBytes')).toBe(1)
    neighbours.pass(200)
    // Once, not in every step for which it lasts.
    expect(one.counters.get('cell.limits.queueBytes')).toBe(1)
    expect(one.counters.get('cell.queue.bytes')).toBe(0)
  })

  it('holds credit in a new configuration, too, while a client lags', async () => {
    const limits = { clientQueueBytes: 64 * KiB }
    const cell = { slowClient: { bytes: 1024 * KiB, seconds: 60, policy: 'evict' } as const }
    const neighbours = new Neighbours()
    const one = await neighbours.add({ limits, cell })
    const slow = one.session('slow')
    slow.say({ kind: 'join', request: 1, group: 'g' })
    flood(one.session('fast'), 'g', 120 * KiB)
    neighbours.pass(100)
    const held = (): number | null => one.runtime.cell.state.ordering.heldCredit
    expect(held()).not.toBeNull()
    await neighbours.add({ name: 'second' })
    neighbours.pass(2000)
    expect(one.runtime.cell.configuration.members).toHaveLength(2)
    expect(held()).not.toBeNull()
    slow.say({ kind: 'acknowledge', bytes: slow.bytes })
    neighbours.pass(100)
    expect(held()).toBeNull()
    expect(one.counters.get('cell.credit.holds')).toBe(1)
  })
})
