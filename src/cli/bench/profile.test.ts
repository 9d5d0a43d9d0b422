import { describe, expect, it } from 'vitest'
import { flameSvg } from './flame.ts'
import { hotText, profilesOf } from './hot.ts'
import { painter } from '../style.ts'
import { addProfile, emptyCall, hottest } from './profile.ts'
import type { RowResult, Run } from './result.ts'

function node(id: number, functionName: string, url: string, children: number[] = []): object {
  return { id, callFrame: { functionName, url, lineNumber: 9 }, children }
}

/** From 1000 µs on: 100 in a, 200 in b called by a, 50 idle, 300 in the collector, 400 in a again; then it ends. */
const text = JSON.stringify({
  startTime: 990,
  nodes: [
    node(1, '(root)', '', [2, 4, 5]),
    node(2, 'a<b>', 'file:///somewhere/dist/core/order.js', [3]),
    node(3, '', 'node:net'),
    node(4, '(idle)', ''),
    node(5, '(garbage collector)', ''),
  ],
  samples: [2, 3, 4, 5, 2, 4],
  timeDeltas: [10, 100, 200, 50, 300, 400],
})

describe('a profile', () => {
  it('is a tree of calls with their times, without idle time', () => {
    const root = emptyCall()
    addProfile(root, text, null)
    expect(root).toMatchObject({ total: 1000, self: 0 })
    const [a] = [...root.calls.values()]
    expect(a).toMatchObject({ name: 'a<b>', place: 'core/order.js:10', self: 500, total: 700 })
    expect([...(a?.calls.values() ?? [])]).toMatchObject([
      { name: '(anonymous)', place: 'node:net:10', self: 200 },
    ])
    expect(hottest(root, 2)).toEqual([
      { name: 'a<b>', place: 'core/order.js:10', share: 0.5 },
      { name: '(garbage collector)', place: '', share: 0.3 },
    ])
  })

  it('can be cut to the time of the measurement, and several add up', () => {
    const root = emptyCall()
    addProfile(root, text, { from: 1100, to: 1350 })
    expect(hottest(root, 9).map(({ name, share }) => [name, share])).toEqual([
      ['(garbage collector)', 0.6],
      ['(anonymous)', 0.4],
    ])
    addProfile(root, text, { from: 1100, to: 1350 })
    expect(root.total).toBe(1000)
  })

  it.each(['', 'null', '{}', '{"nodes":[],"samples":1}'])('that is none is refused: %j', broken => {
    expect(() => addProfile(emptyCall(), broken, null)).toThrow('a profile that is none')
  })

  it('names no path of the machine', () => {
    const places = [
      'file:///home/x/node_modules/anasazi/dist/node/loop.js',
      'file:///home/x/node_modules/pino/lib/tools.js',
      'file:///home/x/main.js',
    ].map(url => {
      const root = emptyCall()
      const nodes = [node(1, '(root)', '', [2]), node(2, 'f', url)]
      addProfile(root, JSON.stringify({ startTime: 0, nodes, samples: [2, 2], timeDeltas: [0, 5] }), null)
      return [...root.calls.values()][0]?.place
    })
    expect(places).toEqual(['node/loop.js:10', 'pino/lib/tools.js:10', 'main.js:10'])
  })
})

describe('a flame graph', () => {
  it('has a box for each call, as wide as its time, and text in it is no markup', () => {
    const root = emptyCall()
    addProfile(root, text, null)
    const svg = flameSvg(root, 'of "x"')
    expect(svg.match(/<rect /g)).toHaveLength(3)
    expect(svg).toContain('a&#60;b&#62; core/order.js:10: 70.0 %, itself 50.0 %')
    // 700 of 1000 in a picture of 1200, without the gap.
    expect(svg).toContain('<rect x="0.0" y="0" width="839.5"')
    expect(svg).toContain('class="f-core"')
    expect(svg).toContain('class="f-native"')
    expect(svg).not.toContain('NaN')
  })
})

describe('the functions of a variant', () => {
  it('are those of all its turns', () => {
    const daemon = emptyCall()
    addProfile(daemon, text, null)
    const run: Run = {
      values: {},
      samples: {},
      times: [],
      othersCores: 0,
      failed: null,
      profiles: { daemon },
      reruns: 0,
    }
    const variant = {
      name: 'anasazi',
      variant: { system: 'anasazi', iterator: 'batches', service: 'agreed', settings: {}, version: '' },
      runs: [run, { ...run, profiles: {} }, run],
    } as const
    expect(profilesOf(variant).daemon?.total).toBe(2000)
    expect(daemon.total).toBe(1000)
    const row = { kind: 'idle', members: 3, talkers: 0, size: 64, rate: 0, many: 1, ofMaximum: 0 } as const
    const result: RowResult = { title: 'idle', row, variants: [variant] }
    const lines = hotText(result, painter(false)).split('\n')
    expect(lines[1]).toBe('  anasazi, time of a daemon by function')
    expect(lines[2]).toMatch(/^ {2}50\.0 % {2}a<b> +core\/order\.js:10$/)
  })
})
