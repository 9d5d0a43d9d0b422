import { describe, expect, it, vi } from 'vitest'
import { encodeDestination, encodeSegmentHead } from '../codec/client-encode.ts'
import type { HandClient } from './client.fixture.ts'
import { Bench, Neighbours } from './runtime.fixture.ts'

/** A message of four bytes, which are its number. */
function message(group: string, sequence: number): Uint8Array {
  const head = encodeSegmentHead(
    encodeDestination({ to: 'groups', groups: [group] }),
    'agreed',
    false,
    false,
    sequence,
    1,
    8,
  )
  const frame = new Uint8Array(head.length + 8)
  frame.set(head)
  const view = new DataView(frame.buffer)
  view.setUint32(head.length, 4, true)
  view.setUint32(head.length + 4, sequence, true)
  return frame
}

const count = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i)

const sequences = (client: HandClient): number[] =>
  client.heard.flatMap(frame =>
    frame.kind === 'messages' ? count(frame.firstSequence, frame.firstSequence + frame.count - 1) : [],
  )

/** Two cells that know each other: many sessions at one, a sender at the other. */
async function scene(members: number): Promise<{
  hub: Neighbours['hub']
  one: Bench
  two: Bench
  clients: HandClient[]
  sender: HandClient
  pass(ms: number): void
}> {
  const cells = new Neighbours()
  const { hub } = cells
  const one = await cells.add()
  const two = await cells.add({ name: 'second' })
  const pass = (ms: number): void => cells.pass(ms)
  pass(2000)
  const clients = Array.from({ length: members }, (_, i) => one.session(`s${i}`))
  for (const client of clients) client.say({ kind: 'join', request: 1, group: 'g' })
  const sender = two.session('sender')
  pass(500)
  for (const client of clients) expect(client.count('joined')).toBe(1)
  return { hub, one, two, clients, sender, pass }
}

describe('a step with more to tell than it has time for', () => {
  it('is cut short; peers are heard before the rest, nothing is lost, and the order is kept', async () => {
    const { hub, one, two, clients, sender } = await scene(100)
    sender.say(...count(1, 200).map(sequence => message('g', sequence)))
    one.lookMs = 1
    for (let steps = 0; one.counters.get('cell.loop.cutShort') === 0; steps++) {
      expect(steps).toBeLessThan(100)
      two.step(Math.max(0, one.now - two.now))
      hub.deliver()
      expect(sequences(clients[0] as HandClient)).toEqual([])
      one.runtime.step(one.now)
    }
    const first = sequences(clients[0] as HandClient).length
    expect(first).toBeGreaterThan(0)
    expect(first).toBeLessThan(30)
    // The rest is due at once, and meanwhile nobody is given credit for what is not dealt with.
    expect(one.runtime.nextDeadline).toBeLessThanOrEqual(one.now)

    two.step(200)
    hub.deliver()
    const heardAt = one.runtime.cell.lastHeardAt(two.self) ?? 0
    one.runtime.step(one.now)
    expect(one.runtime.cell.lastHeardAt(two.self)).toBeGreaterThan(heardAt)
    expect(one.runtime.cell.state.ordering.heldCredit).not.toBeNull()
    expect(sequences(clients[0] as HandClient).length).toBeLessThan(200)

    for (let steps = 0; one.runtime.nextDeadline <= one.now; steps++) {
      expect(steps).toBeLessThan(100)
      one.runtime.step(one.now)
    }
    one.runtime.step(one.now)
    for (const client of clients) expect(sequences(client)).toEqual(count(1, 200))
    expect(one.runtime.cell.state.ordering.heldCredit).toBeNull()
  })

  it('opens no gate of a configuration that the groups have not heard of', async () => {
    const { hub, one, two, clients, sender } = await scene(10)
    const { cell, groups } = one.runtime
    let told = ''
    const handle = groups.handle.bind(groups)
    vi.spyOn(groups, 'handle').mockImplementation(event => {
      if (event.type === 'regular') told = event.configuration.id.key
      handle(event)
    })
    const opened: string[] = []
    const openGate = cell.openGate.bind(cell)
    vi.spyOn(cell, 'openGate').mockImplementation(() => {
      opened.push(cell.configuration.id.key)
      if (told !== '') expect(told).toBe(cell.configuration.id.key)
      openGate()
    })
    sender.say(...count(1, 400).map(sequence => message('g', sequence)))
    two.step()
    hub.deliver()
    // One event a step: the cell is far ahead of the groups when the configuration changes under it.
    one.lookMs = 30
    const three = await Bench.start({ hub, name: 'third', now: one.now })
    let ahead = 0
    const formed = (): boolean =>
      cell.configuration.members.length === 3 && told === cell.configuration.id.key
    for (let steps = 0; !formed(); steps++) {
      expect(steps).toBeLessThan(5000)
      hub.deliver()
      one.runtime.step(one.now)
      for (const other of [two, three]) other.step(Math.max(0, one.now - other.now))
      if (cell.configuration.members.length === 3 && told !== cell.configuration.id.key) {
        ahead++
        expect(cell.state.gateOpen).toBe(false)
      }
    }
    expect(ahead).toBeGreaterThan(5)
    one.lookMs = 0
    for (let steps = 0; !cell.state.gateOpen; steps++) {
      expect(steps).toBeLessThan(1000)
      hub.deliver()
      for (const bench of [one, two, three]) bench.step(5)
    }
    expect(opened.at(-1)).toBe(cell.configuration.id.key)
    for (const client of clients) expect(sequences(client)).toEqual(count(1, 400))
  })
})

describe('a step with more to take in than it has time for', () => {
  it('leaves the rest for the next, in turns, and loses nothing', async () => {
    const bench = await Bench.start()
    const clients = Array.from({ length: 50 }, (_, i) => bench.session(`s${i}`))
    clients[0]?.say({ kind: 'join', request: 1, group: 'g' })
    bench.step()
    for (const client of clients) for (const sequence of count(1, 3)) client.say(message('g', sequence))
    bench.lookMs = 1
    bench.runtime.step(bench.now)
    expect(bench.counters.get('cell.loop.cutShort')).toBe(1)
    expect(bench.runtime.nextDeadline).toBeLessThanOrEqual(bench.now)
    const first = bench.counters.get('cell.accepted.messages')
    expect(first).toBeGreaterThan(0)
    expect(first).toBeLessThan(15)
    // All are heard once before anybody is heard twice.
    while (bench.counters.get('cell.accepted.messages') < 50) bench.runtime.step(bench.now)
    expect(bench.counters.get('cell.accepted.messages')).toBeLessThan(65)
    for (let steps = 0; bench.runtime.nextDeadline <= bench.now; steps++) {
      expect(steps).toBeLessThan(100)
      bench.runtime.step(bench.now)
    }
    expect(bench.counters.get('cell.accepted.messages')).toBe(150)
    expect(clients[0]?.count('messages')).toBe(150)
  })
})
