import { describe, expect, it } from 'vitest'
import { limitNames } from '../config/limits.ts'
import { Counters } from './counters.ts'
import { describeEvent, EventLog, severityOf } from './events.ts'
import type { AdminEvent, RecordedEvent } from './events.ts'
import { countedLimits, counterIndex, numericTable, registry } from './registry.ts'
import { statusDocument, statusJson } from './status.ts'
import type { StatusProviders } from './status.ts'

describe('registry', () => {
  it('names every row once, in dotted words, and explains it', () => {
    const names = registry.map(row => row.name)
    expect(new Set(names).size).toBe(names.length)
    for (const row of registry) {
      expect(row.name).toMatch(/^(daemon|cell|peer|session)(\.[a-z][A-Za-z]*)+$/)
      expect(row.help.length, row.name).toBeGreaterThan(10)
    }
  })

  it('counts the hits of every limit that is not the size of something', () => {
    for (const limit of countedLimits) {
      expect(registry.find(row => row.name === `cell.limits.${limit}`)?.kind).toBe('counter')
    }
    const sizes = limitNames.filter(limit => !(countedLimits as readonly string[]).includes(limit))
    expect(sizes.sort()).toEqual([
      'aggregateFrom',
      'fatePrivate',
      'fateViews',
      'fateViewsTotal',
      'maxFrameBytes',
      'maxFrameSegments',
      'rememberedDaemons',
      'statePartBytes',
    ])
  })

  it('knows no other counters', () => {
    expect(() => counterIndex('cell.nothing' as never)).toThrow('no counter is named cell.nothing')
  })
})

describe('Counters', () => {
  it('can be read by others over the same memory', () => {
    const writer = new Counters()
    const reader = new Counters(writer.buffer)
    const delivered = counterIndex('cell.delivered.messages')
    writer.add(delivered, 3)
    writer.add(delivered, 4)
    writer.count('cell.suspicions.silent')
    writer.set(counterIndex('cell.queue.bytes'), 17)
    expect(reader.get('cell.delivered.messages')).toBe(7)
    const snapshot = reader.snapshot()
    expect(Object.keys(snapshot)).toEqual(numericTable.map(row => row.name))
    expect(snapshot['cell.suspicions.silent']).toBe(1)
    expect(snapshot['cell.queue.bytes']).toBe(17)
  })

  it('refuses memory of another size', () => {
    expect(() => new Counters(new SharedArrayBuffer(8))).toThrow('another version')
  })
})

const phase = (why: string): AdminEvent => ({ type: 'phase', cell: 'main', phase: 'gather', why })
const hit = (who: string): AdminEvent => ({
  type: 'limit',
  cell: 'main',
  limit: 'sessions',
  who,
  value: 5,
  bound: 5,
})

describe('EventLog', () => {
  it('keeps the last ones', () => {
    const log = new EventLog(() => 1000, 3)
    for (const why of ['a', 'b', 'c', 'd', 'e']) log.emit(phase(why))
    expect(log.recent().map(({ event }) => (event.type === 'phase' ? event.why : ''))).toEqual([
      'c',
      'd',
      'e',
    ])
    expect(log.recent(2).map(({ sequence }) => sequence)).toEqual([4, 5])
    expect(log.recent(10, 4).map(({ sequence }) => sequence)).toEqual([5])
    expect(log.recent(10, 9)).toEqual([])
  })

  it('tells subscribers; what one of them throws is told to all, once', () => {
    const log = new EventLog(() => 5)
    const seen: RecordedEvent[] = []
    let thrown = 0
    log.subscribe(() => {
      thrown++
      throw new Error('broken')
    })
    const stop = log.subscribe(recorded => seen.push(recorded))
    log.emit(phase('a'))
    log.emit(phase('b'))
    stop()
    log.emit(phase('c'))
    const failed = { type: 'callback', cell: '', callback: 'a subscriber of events', words: 'Error: broken' }
    expect(seen).toEqual([
      { sequence: 1, at: 5, count: 1, event: phase('a') },
      { sequence: 2, at: 5, count: 1, event: failed },
      { sequence: 3, at: 5, count: 1, event: phase('b') },
    ])
    // It is told on: what fails once, such as a full disk, may work the next time.
    expect(thrown).toBe(4)
    expect(log.recent().filter(({ event }) => event.type === 'callback')).toHaveLength(1)
  })

  it('ends with a subscriber that fails in another way each time', () => {
    const log = new EventLog(() => 5)
    let thrown = 0
    log.subscribe(() => {
      throw new Error(`${++thrown}`)
    })
    for (let i = 0; i < 10; i++) log.emit(phase('a'))
    expect(log.sequence).toBe(75)
  })

  it('counts what comes in floods', () => {
    let now = 0
    const log = new EventLog(() => now)
    for (; now < 1500; now += 100) log.emit(hit('alice'))
    log.emit(hit('bob'))
    expect(log.recent().map(({ at, count }) => [at, count])).toEqual([
      [0, 10],
      [1000, 5],
      [1500, 1],
    ])
  })

  it('has bounded memory for what was repeated', () => {
    const log = new EventLog(() => 0, 4)
    for (let i = 0; i < 100; i++) log.emit(hit(`session ${i}`))
    expect(log.sequence).toBe(100)
    expect(log.recent()).toHaveLength(4)
  })
})

describe('describeEvent', () => {
  const events: [AdminEvent, string, string][] = [
    [
      { type: 'callback', cell: '', callback: 'onWake', words: 'Error: no' },
      'warn',
      'onWake of the program failed: Error: no',
    ],
    [phase('lost n2'), 'info', 'phase gather: lost n2'],
    [
      { type: 'suspicion', cell: 'main', member: 'n2#1', reason: 'silent' },
      'warn',
      'n2#1 is suspected: nothing was heard of it',
    ],
    [
      { type: 'suspicion', cell: 'main', member: 'n2#1', reason: 'left' },
      'info',
      'n2#1 is suspected: it left',
    ],
    [{ type: 'heard', cell: 'main', member: 'n2#1' }, 'info', 'n2#1 is heard'],
    [
      { type: 'configuration', cell: 'main', kind: 'regular', id: '3.a.1', members: ['a', 'b'] },
      'info',
      'regular configuration 3.a.1 of 2: a b',
    ],
    [
      { type: 'link', cell: 'main', peer: 'n2', address: 'h:1', state: 'down', why: 'reset' },
      'warn',
      'link to n2 (h:1) is down: reset',
    ],
    [
      { type: 'peerRejected', cell: 'main', address: 'h:1', by: 'us', words: 'cluster lab, not default' },
      'warn',
      'peer refused (h:1): cluster lab, not default',
    ],
    [
      { type: 'clientRefused', cell: 'main', address: 'h:1', code: 'protocol', words: 'no hello' },
      'warn',
      'client refused (h:1): protocol: no hello',
    ],
    [
      { type: 'slowClient', cell: 'main', session: 's', queueBytes: 9 },
      'warn',
      's reads too slowly: 9 bytes not acknowledged',
    ],
    [
      { type: 'eviction', cell: 'main', session: 's', reason: 'seconds', queueBytes: 9, slowForMs: 2000.4 },
      'warn',
      's evicted: 9 bytes not acknowledged, slow for 2000 ms (bound: seconds)',
    ],
    [{ type: 'stall', cell: 'main', ms: 700.2 }, 'warn', 'event loop stood still for 700 ms'],
    [hit('alice'), 'warn', 'limit sessions hit by alice: 5 of 5'],
  ]
  it.each(events)('%o', (event, severity, sentence) => {
    expect(describeEvent(event)).toBe(sentence)
    expect(severityOf(event)).toBe(severity)
  })
})

describe('status', () => {
  const counters = new Counters()
  const events = new EventLog(() => 7)
  const providers: StatusProviders = {
    daemon: { name: 'n1', id: 'n1#00', cluster: 'default', version: '1', process: 3, uptimeMs: 10 },
    cells: [
      {
        name: 'main',
        counters,
        describe: () => ({
          phase: 'operational',
          thread: 'host',
          transport: 'tcp',
          order: 'ff',
          configuration: { id: '1.n1#00.5', members: ['n1#00'] },
          endpoints: ['unix:/run/anasazi/main.sock'],
          groups: 1,
          peers: [
            {
              member: null,
              name: 'n2',
              address: 'h:1',
              link: 'down',
              why: 'refused',
              carrier: 'tcp',
              lastHeardMs: null,
              queueBytes: 0,
            },
          ],
          sessions: [{ id: 'a@n1#00.1', groups: 1, queueBytes: 0, acknowledged: { epoch: 1, ts: 2 } }],
        }),
      },
    ],
    events,
  }

  it('is plain data', () => {
    counters.count('cell.views', 2)
    events.emit(phase('start'))
    const document = statusDocument(providers)
    expect(JSON.parse(statusJson(providers))).toEqual(document)
    expect(document.cells.main?.counters['cell.views']).toBe(2)
    expect(document.events).toHaveLength(1)
  })

  it('shows only what the registry declares, and all of it', () => {
    const { daemon, cells } = statusDocument(providers)
    const shown = new Set(leaves(daemon, 'daemon'))
    for (const { peers, sessions, counters: numbers, ...cell } of Object.values(cells)) {
      for (const name of leaves(cell, 'cell')) shown.add(name)
      for (const peer of peers) for (const name of leaves(peer, 'peer')) shown.add(name)
      for (const session of sessions) for (const name of leaves(session, 'session')) shown.add(name)
      for (const name of Object.keys(numbers)) shown.add(name)
    }
    expect([...shown].toSorted()).toEqual(registry.map(row => row.name).toSorted())
  })
})

function leaves(value: unknown, path: string): string[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [path]
  return Object.entries(value).flatMap(([key, inner]) => leaves(inner, `${path}.${key}`))
}
