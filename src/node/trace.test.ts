import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Counters } from '../admin/counters.ts'
import { encodeDestination, encodeSegmentHead } from '../codec/client-encode.ts'
import type { CellEvent } from '../core/api.ts'
import type { Configuration, Place, Segment } from '../core/types.ts'
import type { CellTraceLine } from '../lib/trace.ts'
import { Bench } from './runtime.fixture.ts'
import { CellTrace } from './trace.ts'

let directory: string
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'anasazi-trace-'))
})
afterAll(() => rmSync(directory, { recursive: true }))

const self = `a#${'0'.repeat(32)}`
const configuration = { id: { key: '7' }, members: [self, 'b'] } as unknown as Configuration
const place: Place = { epoch: 7, ts: 100, rank: 0, index: 2 }
const segment = { safe: true, head: { kind: 'join' } } as unknown as Segment
const message = { safe: false, head: { kind: 'messages', service: 'causal' } } as unknown as Segment

describe('the trace of a cell', () => {
  it('has a line for everything that the checkers want to know, and appends', () => {
    const path = join(directory, 'good')
    const counters = new Counters()
    const events: CellEvent[] = [
      { type: 'regular', configuration, together: null },
      { type: 'originate', place, segment },
      { type: 'originate', place: { ...place, index: 3 }, segment: message },
      { type: 'heard', member: 'b' },
      { type: 'deliver', sender: self, place, segment },
      { type: 'transitional', of: configuration, members: [self], consumed: [] },
      { type: 'phase', phase: 'gather', why: '' },
      { type: 'phase', phase: 'left', why: '' },
    ]
    for (let round = 0; round < 2; round++) {
      const trace = new CellTrace(path, self, 'main', counters)
      for (const event of events) trace.record(event)
      expect(readFileSync(path, 'utf8').split('\n')).toHaveLength(1 + 6 * round)
      trace.flush()
      trace.flush()
      trace.close()
    }
    const lines = readFileSync(path, 'utf8').trimEnd().split('\n')
    const parsed = lines.map(line => JSON.parse(line) as CellTraceLine)
    expect(parsed).toHaveLength(12)
    expect(parsed.every(line => line.p === self && line.cell === 'main' && /^\d+$/.test(line.t))).toBe(true)
    expect(parsed.slice(0, 6)).toMatchObject([
      { e: 'conf', id: '7', kind: 'regular', members: [self, 'b'] },
      { e: 'send', m: '7/100.0.2', service: 'safe' },
      { e: 'send', m: '7/100.0.3', service: 'causal' },
      { e: 'deliver', m: '7/100.0.2' },
      { e: 'conf', id: `7~${self}`, kind: 'transitional', of: '7', members: [self] },
      { e: 'fail' },
    ])
    expect(counters.get('cell.trace.lines')).toBe(12)
    expect(counters.get('cell.trace.dropped')).toBe(0)
  })

  it('has what the cell said before anything of it leaves, though the layers above had no time for it yet', async () => {
    const path = join(directory, 'busy')
    const bench = await Bench.start({ trace: path })
    const client = bench.session('alice')
    const said = (): string[] => readFileSync(path, 'utf8').match(/"e":"(send|deliver)"/g) ?? []
    const before = said().length
    const destination = encodeDestination({ to: 'groups', groups: ['g'] })
    const head = encodeSegmentHead(destination, 'agreed', false, false, 1, 1, 8)
    client.say(Buffer.concat([head, new Uint8Array([4, 0, 0, 0, 1, 2, 3, 4])]))
    // With every look at the clock so much passes that a step has time for one event only.
    bench.lookMs = 1000
    bench.runtime.step(bench.now)
    expect(said().slice(before)).toEqual(['"e":"send"', '"e":"deliver"'])
  })

  it('cannot be written anywhere', () => {
    expect(() => new CellTrace(join(directory, 'no', 'such'), self, 'main', new Counters())).toThrow('ENOENT')
  })

  it.runIf(existsSync('/dev/full'))('a full disk costs lines, which are counted, and nobody else', () => {
    const counters = new Counters()
    const trace = new CellTrace('/dev/full', self, 'main', counters)
    for (let i = 0; i < 3; i++) trace.record({ type: 'deliver', sender: self, place, segment })
    trace.flush()
    trace.record({ type: 'phase', phase: 'left', why: '' })
    trace.close()
    expect(counters.get('cell.trace.lines')).toBe(0)
    expect(counters.get('cell.trace.dropped')).toBe(4)
  })
})
