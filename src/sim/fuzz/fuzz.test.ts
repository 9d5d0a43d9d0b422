import { describe, expect, it } from 'vitest'
import { Random } from '../../lib/prng.ts'
import { fuzz, fuzzTarget } from './fuzz.ts'
import { judgeError, judgeSize } from './judge.ts'
import { mutateBytes, mutateData, mutateText } from './mutate.ts'
import type { Target } from './target.ts'
import { targets } from './targets.ts'

const seed = 20_261_123
const own = (error: Error): boolean => error instanceof SyntaxError

describe('a short run', () => {
  it.each(targets.map(({ name, few }) => [name, few] as const))(
    'of %s finds nothing',
    (name, runs) => {
      const [report] = fuzz({ names: [name], seed, runs, ms: 0 })
      expect(report?.failures).toEqual([])
      expect(report?.inputs).toBe(runs)
      expect(Object.keys(report?.outcomes ?? {}).length).toBeGreaterThan(1)
    },
    120_000,
  )
})

describe('an input', () => {
  it.each(['peer', 'config', 'groups'])('of %s is the same again', name => {
    const shown = [1, 2].map(() => {
      const lines: string[] = []
      fuzz({ names: [name], seed, runs: null, ms: 0, only: 3, show: what => void lines.push(what) })
      return lines
    })
    expect(shown[0]?.length).toBeGreaterThan(0)
    expect(shown[1]).toEqual(shown[0])
  })

  it('is another one for another seed and another run', () => {
    const shown = new Set<string>()
    for (const from of [1, 2]) {
      for (const only of [0, 1, 2]) {
        fuzz({
          names: ['handshake'],
          seed: from,
          runs: null,
          ms: 0,
          only,
          show: what => void shown.add(what),
        })
      }
    }
    expect(shown.size).toBe(6)
  })
})

describe('a failure', () => {
  const target: Target = {
    name: 'broken',
    about: 'fails now and then',
    few: 1,
    prepare: () => ({
      corpus: 1,
      run: random => {
        if (random.chance(0.1)) throw new TypeError('cannot read properties of undefined')
        return 'fine'
      },
    }),
  }

  it('is reported with the line that tries its input again', () => {
    const report = fuzzTarget(target, { names: [], seed: 5, runs: 200, ms: 0 })
    const [first] = report.failures
    expect(report.failures).toHaveLength(5)
    expect(report.outcomes['FAILURE']).toBe(5)
    expect(first?.error).toMatch(/^TypeError: cannot read properties/)
    expect(first?.replay).toBe(`anasazi fuzz --target broken --seed 5 --run ${first?.run}`)
    const again = fuzzTarget(target, { names: [], seed: 5, runs: null, ms: 0, only: first?.run ?? -1 })
    expect(again).toMatchObject({ inputs: 1, failures: [{ run: first?.run }] })
  })
})

describe('mutations', () => {
  it('change what they are given, in a copy', () => {
    const random = new Random(1)
    const bytes = new Uint8Array(100)
    const data = { a: [1, 2, { b: 'x' }], c: true, d: null }
    const seen = { bytes: new Set<string>(), data: new Set<string>(), text: new Set<string>() }
    for (let i = 0; i < 200; i++) {
      seen.bytes.add(mutateBytes(random, bytes, [bytes]).join())
      seen.data.add(JSON.stringify(mutateData(random, data, ['y'])))
      seen.text.add(mutateText(random, 'members 3\nstart all\n', ['heal']))
    }
    for (const variants of Object.values(seen)) expect(variants.size).toBeGreaterThan(40)
    expect(bytes).toEqual(new Uint8Array(100))
    expect(data).toEqual({ a: [1, 2, { b: 'x' }], c: true, d: null })
  })
})

describe('the judges', () => {
  it('let no other error pass, nor one without words', () => {
    expect(() => judgeError(new SyntaxError('unexpected thing'), own)).not.toThrow()
    expect(() => judgeError(new TypeError('x is undefined'), own)).toThrow('x is undefined')
    expect(() => judgeError(new SyntaxError('no'), own)).toThrow(/says nothing/)
    expect(() => judgeError(new SyntaxError('x'.repeat(5000)), own)).toThrow(/goes on/)
  })

  it('notice what is larger than its input allows', () => {
    expect(() => judgeSize([1, 2, 3], 4)).not.toThrow()
    expect(() =>
      judgeSize(
        Array.from({ length: 1000 }, () => 0),
        4,
      ),
    ).toThrow(/became/)
  })
})
