import { describe, expect, it } from 'vitest'
import { encodeDestination, encodeSegmentHead } from '../codec/client-encode.ts'
import type { HandClient } from './client.fixture.ts'
import { Bench, Neighbours } from './runtime.fixture.ts'

/** No number between daemons, or between daemon and client, may come near to where doubles cease to be exact. */
const END = 2 ** 52

function message(group: string, sequence: number): Uint8Array {
  const destination = encodeDestination({ to: 'groups', groups: [group] })
  const head = encodeSegmentHead(
    destination,
    sequence % 2 === 0 ? 'safe' : 'agreed',
    false,
    false,
    sequence,
    1,
    4,
  )
  const frame = new Uint8Array(head.length + 4)
  frame.set(head)
  return frame
}

/** Two cells with a member of a group at each. */
async function scene(): Promise<{ cluster: Neighbours; cells: Bench[]; clients: HandClient[] }> {
  const cluster = new Neighbours()
  const cells = [await cluster.add(), await cluster.add({ name: 'second' })]
  cluster.settle()
  const clients = cells.map((bench, i) => bench.session(`client${i}`))
  for (const client of clients) client.say({ kind: 'join', request: 1, group: 'g' })
  cluster.pass(200)
  return { cluster, cells, clients }
}

const received = (client: HandClient): string[] =>
  client.heard.flatMap(frame => (frame.kind === 'messages' ? [`${frame.sender}:${frame.firstSequence}`] : []))

describe('a cell whose numbers come near their end', () => {
  it('forms again when its timestamps do; nothing is lost, no view changes, and fates are told', async () => {
    const { cluster, cells, clients } = await scene()
    const [one] = cells as [Bench, Bench]
    const before = one.runtime.cell.configuration.id.epoch
    const views = clients.map(client => client.count('view'))
    for (const { runtime } of cells) runtime.cell.state.ordering.highestTs = END - 20
    for (let sequence = 1; sequence <= 100; sequence++) {
      for (const client of clients) client.say(message('g', sequence))
      cluster.pass(10)
    }
    cluster.settle()
    for (const client of clients) client.say({ kind: 'acknowledge', bytes: client.bytes })
    cluster.pass(500)
    const { id, members } = one.runtime.cell.configuration
    expect(id.epoch).toBeGreaterThan(before)
    expect(members).toHaveLength(2)
    expect(one.runtime.cell.state.ordering.highestTs).toBeLessThan(END / 2)
    const [first, second] = clients.map(received) as [string[], string[]]
    expect(first).toHaveLength(200)
    expect(second).toHaveLength(200)
    const places = clients.map(client =>
      client.heard.flatMap(frame => (frame.kind === 'messages' ? [JSON.stringify(frame.place)] : [])),
    )
    expect(places[1]).toEqual(places[0])
    expect(clients[0]?.heard.some(frame => frame.kind === 'messages' && frame.place.ts > END - 20)).toBe(true)
    expect(clients.map(client => client.count('view'))).toEqual(views)
    for (const [index, bench] of cells.entries()) {
      expect(bench.told('suspicion')).toEqual([])
      expect(bench.counters.get('cell.dropped.malformed')).toBe(0)
      const client = clients[index] as HandClient
      client.say({ kind: 'fate', request: 9, group: 'g', place: client.last('messages').place })
      cluster.pass(100)
      expect(client.last('fateAnswer')).toMatchObject({ request: 9, settled: true, unknown: [] })
      expect(client.last('fateAnswer').received).toHaveLength(2)
    }
  })

  it('begins where its epochs end, and goes on', async () => {
    const { cluster, cells, clients } = await scene()
    for (const { runtime } of cells) runtime.cell.state.maxEpoch = END - 2
    for (const name of ['third', 'ninth9', 'eleventh']) {
      await cluster.add({ name })
      cluster.settle()
      for (const client of clients) client.say(message('g', client.count('messages') + 1))
      cluster.pass(300)
    }
    const [one] = cells as [Bench, Bench]
    expect(one.runtime.cell.configuration.id.epoch).toBeGreaterThan(END)
    expect(one.runtime.cell.configuration.members).toHaveLength(5)
    for (const client of clients) {
      expect(client.count('messages')).toBe(6)
      expect(client.channel.closed).toBe(false)
    }
    for (const bench of cluster.benches) {
      expect(bench.told('suspicion')).toEqual([])
      expect(bench.counters.get('cell.dropped.malformed')).toBe(0)
    }
  })
})
