import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { defaultLimits, defaultTimeouts } from '../../core/state.ts'
import { type ChangeFigures, measureBoot, measureChanges, measureIdle } from './change.ts'
import { runScale, scaleDefaults } from './command.ts'
import { layOut, measureEstate } from './estate.ts'
import type { ScaleFigures } from './figures.ts'
import { type Load, type LoadFigures, measureLoad } from './load.ts'
import { formatMarkdown, formatScale } from './print.ts'
import { measureScale } from './run.ts'
import { Site } from './site.ts'
import { amount, bytes } from './table.ts'

const hopMs = 0.05

function booted(members: number, seed: number = 1): Site {
  const site = new Site({ members, seed, hopMs, jitterMs: 0, cell: {} })
  site.boot()
  return site
}

function load(site: Site, more: Partial<Load>): LoadFigures {
  const usual: Load = { talkers: 1, rate: 1000, service: 'agreed', messageBytes: 1024, windowMs: 100 }
  return measureLoad(site, { ...usual, ...more })
}

describe('a message', () => {
  it('of one talker takes one hop, and none at the talker; safe two', () => {
    const site = booted(3)
    const agreed = load(site, {})
    expect(agreed.messages).toBeGreaterThan(50)
    expect(agreed.others.p50).toBeCloseTo(1)
    expect(agreed.others.p99).toBeCloseTo(1)
    expect(agreed.own.p99).toBeCloseTo(0)
    const safe = load(site, { service: 'safe' })
    expect(safe.others.p50).toBeCloseTo(2)
    expect(safe.others.p99).toBeCloseTo(2)
    expect(safe.own.p50).toBeCloseTo(2)
  })

  it('of several talkers takes two hops, whatever the number of members; safe three', () => {
    for (const [members, talkers] of [
      [5, 2],
      [8, 2],
      [8, 8],
    ] as const) {
      const site = booted(members)
      const agreed = load(site, { talkers })
      expect(agreed.others.p50).toBeCloseTo(2)
      expect(agreed.others.p99).toBeCloseTo(2)
      const safe = load(site, { talkers, service: 'safe' })
      expect(safe.others.p50).toBeCloseTo(3)
      expect(safe.others.p99).toBeCloseTo(3)
    }
  })

  it('is sent once to each other member; what one talker’s others tell is bounded by their laziness', () => {
    for (const members of [3, 8]) {
      const site = booted(members)
      const windowMs = 100
      const { perMessage, messages } = load(site, { windowMs })
      expect(perMessage.data.frames).toBe(members - 1)
      expect(perMessage.data.bytes / perMessage.data.frames).toBeGreaterThan(1024)
      expect(perMessage.repair.frames).toBe(0)
      const announcements = windowMs / defaultTimeouts.acknowledgeMs + 1
      expect(perMessage.facts.frames * messages).toBeLessThanOrEqual(announcements * members * (members - 1))
    }
  })

  it('costs less than a frame when windows are full, and a window of each sender is held', () => {
    const { perMessage, heldBytes, messages, others } = load(booted(3), {
      talkers: 3,
      rate: null,
      windowMs: 10 * hopMs,
    })
    expect(messages).toBeGreaterThan(1000)
    expect(perMessage.data.frames).toBeLessThan(0.1)
    expect(perMessage.facts.frames).toBeLessThan(perMessage.data.frames)
    expect(others.p99).toBeLessThanOrEqual(2.01)
    const window = defaultLimits.windowBytes
    expect(heldBytes).toBeGreaterThan(window)
    expect(heldBytes).toBeLessThan(4 * window)
  })
})

describe('membership', () => {
  it('in peace is ten heartbeats a second to each other, and nothing else', () => {
    const idle = measureIdle(booted(5))
    expect(idle.life.frames).toBe(10 * 5 * 4)
    for (const purpose of ['data', 'facts', 'membership', 'repair'] as const)
      expect(idle[purpose].frames).toBe(0)
  })

  it('changes within milliseconds of the notice', () => {
    const changes = measureChanges(booted(5))
    const of = (wanted: ChangeFigures['change']): ChangeFigures =>
      changes.find(({ change }) => change === wanted) as ChangeFigures
    const { heartbeatMs, suspectAfterMs, settleMs } = defaultTimeouts
    expect(of('kill').noticedMs).toBeCloseTo(3 * hopMs)
    expect(of('kill').viewsMs).toBeLessThan(20 * hopMs)
    expect(of('cut').noticedMs).toBeGreaterThan(suspectAfterMs - heartbeatMs - 1)
    expect(of('cut').noticedMs).toBeLessThanOrEqual(suspectAfterMs + 1)
    expect(of('cut').viewsMs).toBeLessThan(20 * hopMs)
    expect(of('heal').noticedMs).toBeLessThanOrEqual(heartbeatMs + 1)
    expect(of('heal').viewsMs).toBeGreaterThanOrEqual(settleMs)
    expect(of('heal').viewsMs).toBeLessThan(settleMs + 40 * hopMs)
    for (const { traffic } of changes) {
      expect(traffic.membership.frames).toBeGreaterThan(0)
      expect(traffic.data.frames).toBeGreaterThan(0)
    }
  })

  it('that cannot be agreed on is said so', () => {
    const site = new Site({ members: 3, seed: 1, hopMs: 2000, jitterMs: 0, cell: {} })
    expect(() => site.boot()).toThrow(/3 members have not come to their views.*they see 1 1 1 members/)
  })
})

describe('many cells', () => {
  it('hold every daemon, and each has one in common with the next', () => {
    for (const [daemons, cellSize] of [
      [1000, 8],
      [100, 5],
      [9, 8],
      [8, 8],
      [3, 8],
      [2, 2],
    ] as const) {
      const cells = layOut(daemons, cellSize)
      expect(new Set(cells.flat()).size).toBe(daemons)
      expect(cells.flat().length).toBe(daemons + cells.length - 1)
      for (const [index, cell] of cells.entries()) {
        expect(cell.length).toBeGreaterThan(1)
        expect(cell.length).toBeLessThanOrEqual(cellSize)
        if (index > 0) expect(cells[index - 1]?.at(-1)).toBe(cell[0])
      }
    }
  })

  it('cost a daemon what its own cells cost, and a death concerns only those', () => {
    const told: number[] = []
    const site = { seed: 1, hopMs, jitterMs: 0, cell: {} }
    const progress = (done: number): unknown => told.push(done)
    const figures = measureEstate({ ...site, daemons: 13, cellSize: 4, progress })
    expect(figures).toMatchObject({ cells: 4, inTwoCells: 3, connections: 3, kill: { concerned: 6 } })
    expect(told).toEqual([1, 2, 3, 4])
    expect(figures.idle.frames).toBeCloseTo(4 * 10 * 4 * 3)
    expect(figures.idleFramesMost / figures.idleFramesTypical).toBeCloseTo(2, 0)
    expect(figures.kill.viewsMs).toBeLessThan(20 * hopMs)
  })
})

/** All but what does not follow from the seed. */
function reproducible(figures: ScaleFigures): ScaleFigures {
  return { ...figures, elapsedMs: 0, cells: figures.cells.map(cell => ({ ...cell, memoryBytes: 0 })) }
}

/** A page without its tables. */
function prose(page: string): string {
  return page.replaceAll(/^\|.*\n/gm, '')
}

describe('the report', () => {
  const small = { seed: 1, hopMs, jitterMs: 0, members: [3], daemons: [5], cellSizes: [3], progress() {} }
  const measured = measureScale(small)
  let written = ''

  afterEach(() => {
    vi.restoreAllMocks()
    written = ''
  })

  function capture(): void {
    vi.spyOn(process.stdout, 'write').mockImplementation(text => {
      written += String(text)
      return true
    })
    vi.spyOn(process.stderr, 'write').mockImplementation(() => true)
  }

  it('follows from the seed, but for memory and time', () => {
    expect(reproducible(measureScale(small))).toEqual(reproducible(measured))
    expect(measured.cells[0]?.memoryBytes).toBeGreaterThan(50_000)
    expect(formatScale(measured)).toMatch(/^ +3 +direct +1 +1 +0 +2 +2 /m)
    const other = new Site({ members: 3, seed: 2, hopMs, jitterMs: 0, cell: {} })
    expect(measureBoot(other)).not.toEqual(measured.cells[0]?.changes[0])
  })

  it('compares the ways to tell facts, where there are enough members for it', () => {
    const { cells } = measureScale({ ...small, members: [8], daemons: [] })
    expect(cells.map(({ announce }) => announce)).toEqual(['direct', 'aggregated'])
    const [direct, aggregated] = cells.map(({ loads }) => loads[0]?.perMessage.facts.frames) as [
      number,
      number,
    ]
    expect(aggregated).toBeLessThan(direct / 2)
  })

  it('is what docs/performance.md says around its figures', () => {
    const page = readFileSync(new URL('../../../docs/performance.md', import.meta.url), 'utf8')
    expect(prose(page)).toBe(prose(formatMarkdown(measured)))
    expect(page.match(/^\| 1,000 \|/gm)?.length).toBe(scaleDefaults.cellSize.length)
    expect(formatMarkdown({ ...measured, cells: [], estates: [] })).toContain('Not measured.')
  })

  it('is printed as JSON, and written where it can be', () => {
    capture()
    const flags = { members: [2], daemons: [3], cellSize: [3], hop: 50, jitter: 10, json: true }
    const directory = mkdtempSync(join(tmpdir(), 'anasazi-scale-'))
    const file = join(directory, 'page.md')
    try {
      expect(runScale({ ...flags, markdown: file })).toBe(0)
      expect(readFileSync(file, 'utf8')).toContain('a hop takes 50 µs and 10 µs more on average')
      const figures = JSON.parse(written) as ScaleFigures
      expect(figures).toMatchObject({ jitterMs: 0.01, estates: [{ daemons: 3, cells: 1 }] })
      expect(figures.cells[0]?.members).toBe(2)
      expect(runScale({ ...flags, markdown: join(directory, 'none', 'page.md') })).toBe(2)
      expect(runScale({ ...flags, hop: 1_000_000 })).toBe(1)
    } finally {
      rmSync(directory, { recursive: true })
    }
  })

  it('has numbers that can be read', () => {
    expect([0, 0.123, 1.234, 12.34, 1234.5, Number.NaN].map(amount)).toEqual([
      '0',
      '0.12',
      '1.23',
      '12.3',
      '1,235',
      '—',
    ])
    expect([12, 1234, 5e6, 7e9].map(bytes)).toEqual(['12 B', '1.23 kB', '5 MB', '7 GB'])
  })
})
