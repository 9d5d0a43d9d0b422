import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { describeIf } from '../../../test/requires.ts'
import { missingForNetwork } from '../lab/netns.ts'
import { missingForCorosync } from './corosync-site.ts'
import { reportHtml } from './html.ts'
import { type Conditions, failuresOf, resultsJson } from './report.ts'
import type { Choices, Kind } from './row.ts'
import type { RowResult } from './result.ts'
import { runBench } from './run.ts'
import type { Terrain } from './underlay.ts'

/** What runs here is judged by what it does: how fast it is, a test cannot know. */
async function play(
  kinds: readonly Kind[],
  more: Partial<Choices> = {},
  terrain: Partial<Terrain> = {},
  profile: string | null = null,
): Promise<RowResult[]> {
  const told: string[] = []
  const rows = await runBench({
    choices: {
      kinds,
      sizes: [1024],
      members: [3],
      senders: ['all'],
      services: ['agreed'],
      iterators: ['batches'],
      settings: {},
      versions: [],
      peers: [],
      limits: [],
      rate: 500,
      background: [1000, 'half'],
      share: 0.02,
      ...more,
    },
    pairs: 1,
    repeat: 2,
    mostReruns: 0,
    profile,
    seconds: 0.4,
    warmSeconds: 0.03,
    terrain: { namespaces: false, rateLimit: 0, delayMs: 0, ...terrain },
    progress: () => {},
    onRow: ({ title }) => void told.push(title),
  })
  expect(told).toEqual(rows.map(({ title }) => title))
  expect(rows.flatMap(failuresOf)).toEqual([])
  return rows
}

/** Values of the only turn of each variant. */
function valuesOf(row: RowResult | undefined): Record<string, Record<string, number>> {
  return Object.fromEntries((row?.variants ?? []).map(({ name, runs }) => [name, { ...runs[0]?.values }]))
}

function expectMoved({ messages = 0, megabytes = 0 }: Record<string, number>): void {
  expect(messages).toBeGreaterThan(0)
  expect(megabytes).toBeCloseTo((messages * 1024) / 1e6, 3)
}

const conditions: Conditions = {
  version: '0',
  node: '',
  cores: 1,
  processor: '',
  memoryGigabytes: 1,
  namespaces: false,
  rateLimit: 0,
  delayMs: 0,
  settings: {},
  pairs: 1,
  seconds: 0.4,
}

describe('the benchmark', () => {
  it.runIf(process.platform === 'linux')('floods, with both iterators, and by plain sockets', async () => {
    const rows = await play(['throughput'], { iterators: ['batches', 'plain'], limits: ['raw'] })
    const values = valuesOf(rows[0])
    expect(Object.keys(values)).toEqual(['anasazi', 'anasazi plain', 'raw'])
    for (const each of Object.values(values)) expectMoved(each)
    expect(values['anasazi']?.['daemonMemory']).toBeGreaterThan(0)
    expect(values['anasazi']?.['fairness']).toBeLessThanOrEqual(100)
    const document = JSON.parse(resultsJson(rows, conditions))
    expect(document.rows[0].variants[0].runs[0].values.messages).toBe(values['anasazi']?.['messages'])
  })

  it.runIf(process.platform === 'linux')(
    'keeps profiles of daemons and clients, and names functions',
    async () => {
      const directory = mkdtempSync(join(tmpdir(), 'anasazi-profiles-'))
      onTestFinished(() => rmSync(directory, { recursive: true }))
      const rows = await play(['throughput'], { senders: ['one'] }, {}, directory)
      const [variant] = JSON.parse(resultsJson(rows, conditions)).rows[0].variants
      const places = (role: string): string[] =>
        variant.functions[role].map(({ place }: { place: string }) => place)
      expect(places('daemon').length).toBeGreaterThan(5)
      expect(places('client').length).toBeGreaterThan(5)
      expect(variant.runs[0].profiles).toBeUndefined()
      expect(reportHtml(rows, conditions).match(/class="flame"/g)).toHaveLength(2)
    },
  )

  it.runIf(process.platform === 'linux')('compares settings of its own daemons', async () => {
    const settings = { limits: { windowBytes: 262_144 } }
    const rows = await play(['throughput'], { senders: ['one'], versions: [{ name: 'small', settings }] })
    const values = valuesOf(rows[0])
    expect(Object.keys(values)).toEqual(['anasazi', 'anasazi small'])
    for (const each of Object.values(values)) expectMoved(each)
  })

  it.runIf(process.platform === 'linux')('delays what passes between daemons', async () => {
    const [latency] = await play(['latency'], {}, { delayMs: 30 })
    expect(valuesOf(latency)['anasazi']?.['crossP50']).toBeGreaterThan(29_000)
  })

  it.runIf(process.platform === 'linux')('delays what plain sockets move', async () => {
    const [flood] = await play(['throughput'], { senders: ['one'], limits: ['raw'] }, { delayMs: 5 })
    for (const each of Object.values(valuesOf(flood))) expectMoved(each)
  })

  it.runIf(process.platform === 'linux')('floods from one sender, safe, and without daemons', async () => {
    const rows = await play(['throughput'], { senders: ['one'], services: ['safe'], limits: ['direct'] })
    const values = valuesOf(rows[0])
    expect(Object.keys(values)).toEqual(['anasazi safe', 'direct'])
    for (const each of Object.values(values)) expectMoved(each)
  })

  it.runIf(process.platform === 'linux')('times messages at a fixed load', async () => {
    const rows = await play(['latency', 'loaded'])
    expect(rows).toHaveLength(4)
    expect(valuesOf(rows[3])['anasazi']?.['maximum']).toBeGreaterThan(0)
    for (const row of rows) {
      const { crossP50 = 0, crossP99 = 0, ownP50 = 0, offered = 0 } = valuesOf(row)['anasazi'] ?? {}
      expect(ownP50).toBeGreaterThan(0)
      expect(crossP50).toBeGreaterThan(0)
      expect(crossP99).toBeGreaterThanOrEqual(crossP50)
      expect(offered).toBeGreaterThan(0)
      expect(row.variants[0]?.runs[0]?.times.length).toBeGreaterThan(0)
    }
  })

  it.runIf(process.platform === 'linux')('stops and kills daemons, and waits for views', async () => {
    const [stopped, killed] = await play(['paused', 'views'])
    expect(valuesOf(stopped)['anasazi']?.['viewChange']).toBeGreaterThan(0)
    expect(valuesOf(stopped)['anasazi']?.['crossP50']).toBeGreaterThan(0)
    const [run] = killed?.variants[0]?.runs ?? []
    for (const [name, times] of [
      ['join', 20],
      ['kill', 2],
      ['restart', 2],
    ] as const) {
      expect(run?.samples[name]).toHaveLength(times)
      expect(run?.values[name]).toBeGreaterThan(0)
    }
  })

  it.runIf(process.platform === 'linux')('disturbs one cell, and looks at the other', async () => {
    const [flood, paced] = await play(['cells'])
    expect(valuesOf(flood)['anasazi']?.['messages']).toBeGreaterThan(0)
    expect(valuesOf(flood)['anasazi']?.['besideMessages']).toBeGreaterThan(0)
    expect(valuesOf(paced)['anasazi']?.['crossP50']).toBeGreaterThan(0)
    expect(valuesOf(paced)['anasazi']?.['besideP50']).toBeGreaterThan(0)
  })

  it.runIf(process.platform === 'linux')('lets many in, and looks at those who are idle', async () => {
    const [idle, crowd, joiner] = await play(['idle', 'crowd', 'joiner'])
    for (const name of ['daemonMemory', 'wakeUps', 'busy']) {
      expect(valuesOf(idle)['anasazi']?.[name]).toBeGreaterThan(0)
    }
    for (const row of [crowd, joiner]) expect(valuesOf(row)['anasazi']?.['entered']).toBeGreaterThan(0)
  })
})

describe('what cannot be measured is said', () => {
  it.each([
    [{ rateLimit: 1 }, {}, 'no rate to be limited on loopback'],
    [{ delayMs: 1 }, { peers: ['corosync'] }, 'the link emulator relays TCP only'],
  ] as const)('%j', async (terrain, more, words) => {
    await expect(play(['throughput'], more, terrain)).rejects.toThrow(words)
  })
})

describeIf('hosts of their own', missingForNetwork(['tc']), false, () => {
  it('whose rate is limited pass on no more, as the network itself', async () => {
    const terrain = { namespaces: true, rateLimit: 200 }
    const [flood] = await play(['throughput'], { senders: ['one'], limits: ['direct'] }, terrain)
    // Two receivers share 25 MB/s; what the kernel and its queues hold comes on top for a moment.
    for (const each of Object.values(valuesOf(flood))) expectMoved(each)
    expect(valuesOf(flood)['direct']?.['megabytes']).toBeLessThan(40)
  })
})

describeIf('the peer', missingForCorosync(), false, () => {
  it('floods by the same harness, on hosts of their own', async () => {
    const rows = await play(['throughput'], { peers: ['corosync'] }, { namespaces: true })
    const values = valuesOf(rows[0])
    expect(Object.keys(values)).toEqual(['anasazi', 'corosync'])
    for (const each of Object.values(values)) expectMoved(each)
  })
})
