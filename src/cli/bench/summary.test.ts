import { describe, expect, it } from 'vitest'
import { painter } from '../style.ts'
import { Histogram, merged } from './histogram.ts'
import { reportHtml } from './html.ts'
import type { Values } from './measures.ts'
import { type Conditions, noiseText, resultsJson, rowText, spreadText } from './report.ts'
import {
  type Choices,
  kinds,
  type Kind,
  rowsOf,
  rowTitle,
  type Variant,
  variantName,
  variantsOf,
} from './row.ts'
import type { RowResult, Run } from './result.ts'
import { quietest } from './run.ts'
import { cellLines, mergedSettings, settingOf } from './settings.ts'
import { problemOf } from './settings-check.ts'
import { comparisonsOf, spreadOf, spreadsOf } from './summary.ts'

const choices: Choices = {
  kinds: Object.keys(kinds) as Kind[],
  sizes: [64, 1024],
  members: [3, 5],
  senders: ['all', 'one'],
  services: ['agreed', 'safe'],
  iterators: ['batches', 'plain'],
  settings: { thread: 'dedicated' },
  versions: [],
  peers: ['corosync'],
  limits: ['raw'],
  rate: 1000,
  background: [22_000, 'half'],
  share: 1,
}

function run(values: Values, times: readonly number[] = [], othersCores: number = 0): Run {
  const histogram = new Histogram()
  for (const each of times) histogram.add(each)
  return {
    values,
    samples: {},
    times: histogram.buckets(),
    othersCores,
    failed: null,
    profiles: {},
    reruns: 0,
  }
}

const conditions: Conditions = {
  version: '0',
  node: 'v20',
  cores: 2,
  processor: '<one & only>',
  memoryGigabytes: 8,
  namespaces: false,
  rateLimit: 0,
  delayMs: 0,
  settings: {},
  pairs: 3,
  seconds: 1,
}

const ours: Variant = {
  system: 'anasazi',
  iterator: 'batches',
  service: 'agreed',
  settings: {},
  version: '',
}

const result: RowResult = {
  title: 'throughput of "a" < b',
  row: { kind: 'throughput', members: 3, talkers: 3, size: 64, rate: 0, many: 1, ofMaximum: 0 },
  variants: [
    {
      name: 'anasazi',
      variant: { ...ours, system: 'anasazi', service: 'agreed' },
      runs: [100, 400, 300].map(messages => run({ messages, megabytes: messages }, [200, 300, 5000])),
    },
    {
      name: 'anasazi safe',
      variant: { ...ours, system: 'anasazi', service: 'safe' },
      runs: [90, 380, 310].map(messages => run({ messages, crossP99: Number.NaN })),
    },
    {
      name: 'corosync',
      variant: { ...ours, system: 'corosync', service: 'agreed' },
      runs: [10, 20, 30].map(messages => run({ messages }, [], 0.5)),
    },
  ],
}

function named(kind: Kind): string[] {
  return variantsOf(rowsOf({ ...choices, kinds: [kind] })[0]!, choices).map(variantName)
}

describe('times', () => {
  it('keep their shares within a hundredth', () => {
    const histogram = new Histogram()
    for (let i = 1; i <= 10_000; i++) histogram.add(i)
    for (const share of [0.5, 0.99, 0.999]) {
      expect(histogram.at(share) / (share * 10_000)).toBeGreaterThan(0.99)
      expect(histogram.at(share) / (share * 10_000)).toBeLessThan(1.01)
    }
    expect(new Histogram().at(0.5)).toBeNaN()
  })

  it('of several are those of all', () => {
    const [one, other] = [new Histogram(), new Histogram()]
    for (let i = 0; i < 90; i++) one.add(100)
    for (let i = 0; i < 10; i++) other.add(10_000)
    const sum = merged([one.buckets(), other.buckets()])
    expect(sum.count).toBe(100)
    expect(sum.at(0.9)).toBe(one.at(0.5))
    expect(sum.at(0.91)).toBe(other.at(0.5))
  })
})

describe('a summary', () => {
  it('has the median, the least and the most', () => {
    expect(spreadOf([3, 1, 2])).toEqual({ median: 2, least: 1, most: 3 })
    expect(spreadOf([4, 1, 2, 3])).toEqual({ median: 2.5, least: 1, most: 4 })
    expect(spreadsOf(result.variants[1]!)).toEqual({ messages: { median: 310, least: 90, most: 380 } })
  })

  it('of repetitions within turns has p99 and most of all of them', () => {
    const first = Array.from({ length: 150 }, (_, i) => i + 1)
    const runs = [first, [1000, 2000]].map(kill => ({ ...run({}), samples: { kill } }))
    const { kill } = spreadsOf({ ...result.variants[0]!, runs })
    expect(kill).toEqual({ median: 76.5, least: 1, most: 2000, p99: 1000 })
    expect(spreadText('kill', kill)).toBe('76.5, p99 1,000.0, max 2,000.0')
  })

  it('compares turn by turn: ours with others, safe with agreed', () => {
    const comparisons = comparisonsOf(result)
    expect(comparisons.map(each => `${each.variant} / ${each.with}`)).toEqual([
      'anasazi / corosync',
      'anasazi safe / corosync',
      'anasazi safe / anasazi',
    ])
    // 100/10, 400/20, 300/30: the median of the ratios, not the ratio of the medians.
    expect(comparisons[0]?.ratios).toEqual({ messages: { median: 10, least: 10, most: 20 } })
  })
})

async function play(mostReruns: number, ...turns: readonly Run[]): Promise<Run & { told: number[] }> {
  const left = [...turns]
  const told: number[] = []
  const once = (): Promise<Run> => Promise.resolve(left.shift() ?? run({}, [], 9))
  return { ...(await quietest(once, mostReruns, cores => void told.push(cores))), told }
}

describe('a turn that others disturb', () => {
  it('is run again until one is quiet, at most so often, and the quietest counts', async () => {
    const turns = [run({ kill: 1 }, [], 0.3), run({ kill: 2 }, [], 0.2), run({ kill: 3 }, [], 0.25)]
    expect(await play(2, ...turns)).toMatchObject({ values: { kill: 2 }, reruns: 2, told: [0.3, 0.2] })
    expect(await play(0, ...turns)).toMatchObject({ values: { kill: 1 }, reruns: 0, told: [] })
    const quiet = [run({ kill: 1 }, [], 0.3), run({ kill: 2 }, [], 0.1), run({ kill: 3 })]
    expect(await play(5, ...quiet)).toMatchObject({ values: { kill: 2 }, reruns: 1 })
  })

  it('hides no failure', async () => {
    const failed = { ...run({}), othersCores: null, failed: 'a gap' }
    expect(await play(2, run({}, [], 0.3), failed)).toMatchObject({ failed: 'a gap', reruns: 1 })
    expect(await play(2, failed, run({}))).toMatchObject({ failed: 'a gap', reruns: 0 })
  })
})

describe('settings', () => {
  it('are merged key by key, and the later one wins', () => {
    const all = [
      'limits.windowBytes=65536',
      'limits.queueBytes=1',
      'thread=dedicated',
      'limits.queueBytes=65536',
    ]
    const settings = mergedSettings(...all.map(settingOf))
    expect(settings).toEqual({ limits: { windowBytes: 65_536, queueBytes: 65_536 }, thread: 'dedicated' })
    expect(cellLines(settings)).toEqual([
      '    limits: {"windowBytes":65536,"queueBytes":65536}',
      '    thread: "dedicated"',
    ])
    expect(problemOf(settings)).toMatch(/^limits.maxFrameBytes: is 262144, more than a window/)
    expect(problemOf(mergedSettings(settings, settingOf('limits.maxFrameBytes=65536')))).toBeNull()
    expect(mergedSettings(settingOf('constructor.name=1'))).toEqual({ constructor: { name: 1 } })
  })

  it.each(['', '=1', 'limits', 'limits.=1', '.a=1', '__proto__.a=1', 'a b=1'])('are refused: %j', text => {
    expect(() => settingOf(text)).toThrow('is not KEY=VALUE')
  })

  it('that no cell can have are said', () => {
    expect(problemOf(settingOf('limits.windowByte=65536'))).toMatch(/^limits.*did you mean windowBytes/)
    expect(problemOf(settingOf('limits.windowBytes=x'))).toMatch(/^limits\.windowBytes: is "x"/)
    expect(problemOf(settingOf('peers.n2=127.0.0.1:1'))).toBe('peers: is what the benchmark itself sets')
  })

  it('make variants that are compared with ours as such', () => {
    const versions = [{ name: 'x', settings: settingOf('thread=host') }]
    const [row] = rowsOf({ ...choices, kinds: ['throughput'] })
    const variants = variantsOf(row!, { ...choices, versions, iterators: ['batches'], limits: [] })
    expect(variants.map(variantName)).toEqual([
      'anasazi',
      'anasazi x',
      'anasazi safe',
      'anasazi safe x',
      'corosync',
    ])
    expect(variants[0]?.settings).toEqual({ thread: 'dedicated' })
    expect(variants[1]?.settings).toEqual({ thread: 'host' })
    const runs = [run({ messages: 1 })]
    const results = variants.map(variant => ({ name: variantName(variant), variant, runs }))
    const names = comparisonsOf({ ...result, variants: results }).map(
      each => `${each.variant} / ${each.with}`,
    )
    expect(names.slice(4)).toEqual([
      'anasazi x / anasazi',
      'anasazi safe / anasazi',
      'anasazi safe x / anasazi x',
      'anasazi safe x / anasazi safe',
    ])
  })
})

describe('rows', () => {
  it('are all combinations of throughput, and the others as they are', () => {
    const rows = rowsOf(choices)
    expect(rows.filter(({ kind }) => kind === 'throughput')).toHaveLength(8)
    expect(new Set(rows.map(({ kind }) => kind))).toEqual(new Set(choices.kinds))
    expect(new Set(rows.map(rowTitle)).size).toBe(rows.length)
  })

  it('have variants that can do them', () => {
    expect(named('throughput')).toEqual([
      'anasazi',
      'anasazi plain',
      'anasazi safe',
      'anasazi safe plain',
      'corosync',
      'raw',
    ])
    expect(named('latency')).toEqual(['anasazi', 'anasazi safe', 'corosync'])
    expect(named('paused')).toEqual(['anasazi', 'corosync'])
    expect(named('joiner')).toEqual(['anasazi'])
  })
})

describe('the report', () => {
  it('is a table with a column for each variant and comparison', () => {
    const text = rowText(result, painter(false))
    expect(text).toContain('throughput of "a" < b\n')
    expect(text).toMatch(/^ +anasazi +anasazi safe +corosync +anasazi \/ corosync/m)
    expect(text).toMatch(/^ {2}messages +\/s +300 \(100–400\) +310 \(90–380\) +20 \(10–30\) +× 10 \(10–20\)/m)
    expect(noiseText([result])).toContain('During 3 of 9 turns')
  })

  it('says what went wrong in a turn, and counts the others', () => {
    const failed = {
      values: {},
      samples: {},
      times: [],
      othersCores: null,
      failed: 'a client was <lost>',
      profiles: {},
      reruns: 0,
    }
    const [first, ...others] = result.variants
    if (first === undefined) throw new Error('nothing to spoil')
    const spoiled = { ...result, variants: [{ ...first, runs: [failed, ...first.runs.slice(1)] }, ...others] }
    const text = rowText(spoiled, painter(false))
    expect(text).toContain('  failed anasazi, round 1: a client was <lost>\n')
    expect(text).toMatch(/messages +\/s +350 \(300–400\) .* × 15 \(10–20\)/)
    expect(reportHtml([spoiled], conditions)).toContain('a client was &#60;lost&#62;')
  })

  it('is JSON with every turn', () => {
    const document = JSON.parse(resultsJson([result], conditions))
    expect(document.conditions.processor).toBe('<one & only>')
    expect(document.rows[0].variants[0].runs).toHaveLength(3)
    expect(document.rows[0].variants[2].summary.messages).toEqual({ median: 20, least: 10, most: 30 })
  })

  it('is a page that needs nothing else, and text in it is no markup', () => {
    const html = reportHtml([result], conditions)
    expect(html).not.toMatch(/<(script|link|img|iframe)\b|url\(|@import|https?:/)
    expect(html).toContain('&#60;one &#38; only&#62;')
    expect(html).toContain('throughput of &#34;a&#34; &#60; b')
    expect(html.match(/<svg/g)).toHaveLength(2)
    expect(html).not.toContain('NaN')
  })
})
