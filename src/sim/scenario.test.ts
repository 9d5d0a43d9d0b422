import { describe, expect, test } from 'vitest'
import { parseScenario, ScenarioError } from './scenario.ts'

const commands = (source: string) =>
  parseScenario(`members 3\n${source}`)
    .slice(1)
    .map(step => step.command)

test('a line that stands for several', () => {
  const steps = parseScenario('members 3\nfor 1..3: join c$ g$%2\nfor 2..1: heal\n')
  expect(steps.slice(1).map(({ line, text }) => `${line}: ${text}`)).toEqual([
    '2: join c1 g1',
    '2: join c2 g0',
    '2: join c3 g1',
  ])
})

describe('parsing a scenario', () => {
  test('hosts, lists and times', () => {
    expect(commands('start all')).toEqual([{ do: 'start', hosts: [0, 1, 2] }])
    expect(commands('pause n1, n3')).toEqual([{ do: 'pause', hosts: [0, 2] }])
    expect(commands('wait 1.5s')).toEqual([{ do: 'wait', ms: 1500 }])
    expect(commands('at 2s kill n2 silently')).toEqual([
      { do: 'at', ms: 2000 },
      { do: 'kill', hosts: [1], refused: 0 },
    ])
  })

  test('cuts: sides, one way, one pair', () => {
    expect(commands('cut n1 | n2 n3')).toMatchObject([
      {
        pairs: [
          [0, 1],
          [0, 2],
          [1, 0],
          [2, 0],
        ],
      },
    ])
    expect(commands('cut n1 > n2')).toMatchObject([{ pairs: [[0, 1]] }])
    expect(commands('clog n1 - n2')).toMatchObject([
      {
        do: 'clog',
        pairs: [
          [0, 1],
          [1, 0],
        ],
      },
    ])
  })

  test('fields, triggers and expectations', () => {
    expect(commands('drop kind=install to=n2 count=3')).toEqual([
      { do: 'drop', kind: 'install', from: null, to: 1, count: 3, probability: 1 },
    ])
    expect(commands('send alice a,b count=2 service=safe')).toMatchObject([
      { client: 'alice', groups: ['a', 'b'], to: null, count: 2, service: 'safe' },
    ])
    expect(commands('send alice @bob')).toMatchObject([{ groups: [], to: 'bob' }])
    expect(commands('leave n2')).toEqual([{ do: 'leave host', hosts: [1] }])
    expect(commands('leave alice orders')).toEqual([{ do: 'leave', client: 'alice', group: 'orders' }])
    expect(commands('when n1 sends plan: kill n1')).toEqual([
      {
        do: 'when',
        host: 0,
        event: 'sends',
        what: 'plan',
        action: { do: 'kill', hosts: [0], refused: 1 },
      },
    ])
    expect(commands('expect installs n1 <= 3')).toEqual([{ do: 'expect installs', host: 0, most: 3 }])
    expect(commands('expect covered three-way merge')).toEqual([
      { do: 'expect covered', mark: 'three-way merge' },
    ])
  })

  test('what is held back, and clients that do not read', () => {
    expect(commands('hold kind=plan from=n1')).toEqual([
      { do: 'hold', kind: 'plan', from: 0, to: null, count: 1, probability: 1 },
    ])
    expect(commands('undrop')).toMatchObject([{ do: 'undrop', kind: '*', from: null, to: null }])
    expect(commands('undrop kind=plan to=n2')).toMatchObject([{ do: 'undrop', kind: 'plan', to: 1 }])
    expect(commands('wait 5ms release')).toEqual([{ do: 'wait', ms: 5 }, { do: 'release' }])
    expect(commands('mend n1 > n2')).toMatchObject([{ do: 'mend', pairs: [[0, 1]] }])
    expect(commands('lag alice 100ms')).toEqual([{ do: 'lag', client: 'alice', ms: 100 }])
  })

  test('links of several hosts, worse links, and chances', () => {
    expect(commands('cut n1 n2 > n3')).toMatchObject([
      {
        pairs: [
          [0, 2],
          [1, 2],
        ],
      },
    ])
    expect(commands('link n1 > n2 loss=0.1 baseMs=5')).toMatchObject([
      { do: 'link', pairs: [[0, 1]], label: 'n1 > n2', profile: { loss: 0.1, baseMs: 5 } },
    ])
    expect(commands('link n1 > n2')).toMatchObject([{ label: 'n1 > n2', profile: null }])
    expect(commands('unclog n1 > n2 swizzled')).toMatchObject([{ label: 'n1 > n2', swizzled: true }])
    expect(commands('kill n1 refused=0.5')).toEqual([{ do: 'kill', hosts: [0], refused: 0.5 }])
    expect(commands('send alice a sizes=1,20 discard=self')).toMatchObject([
      { sizes: [1, 20], count: 1, selfDiscard: true },
    ])
    expect(commands('send alice a size=7 count=2')).toMatchObject([{ sizes: [7], count: 2 }])
    expect(commands('ask alice 3')).toEqual([{ do: 'ask', client: 'alice', back: 3 }])
  })

  test('comments and blank lines count as lines, and nothing else', () => {
    expect(parseScenario('# a\n\nmembers 2\n  # b\nheal # c\n').map(step => step.line)).toEqual([3, 5])
  })

  test.each([
    ['start n4', /n4/],
    ['cut n1', /n1 > n2/],
    ['drop kind=plans', /plans/],
    ['drop what=plan', /what=plan/],
    ['send alice orders service=best', /best/],
    ['when n1 enters plan: heal', /operational/],
    ['wait soon', /stable/],
    ['slow n1 5', /time/],
    ['frobnicate', /frobnicate/],
    ['expect peace', /expect view/],
    ['kill', /which members/],
  ])('%s is refused with its line', (line, words) => {
    expect(() => commands(line)).toThrow(ScenarioError)
    expect(() => commands(line)).toThrow(/line 2/)
    expect(() => commands(line)).toThrow(words)
  })

  test('the number of members comes first', () => {
    expect(() => parseScenario('heal')).toThrow(/members/)
  })
})
