import { expect, it } from 'vitest'
import { Findings, rounded, spreadOf } from './findings.ts'
import { partitionsOf } from './partitions.ts'

it('a value above its bound breaks the promise, one at it does not', () => {
  const findings = new Findings()
  findings.measure('view', 500, 'ms', 500)
  findings.measure('view', 120, 'ms', 500)
  findings.measure('told', 1e9, 'frames', null)
  expect(findings.broken).toEqual([])
  findings.measure('view', 501, 'ms', 500)
  expect(findings.broken).toEqual(['view: 501 ms, promised were 500'])
  expect(findings.measures.map(({ what, values }) => [what, values])).toEqual([
    ['view', [500, 120, 501]],
    ['told', [1e9]],
  ])
})

it('times that are not judged are measured, and everything else is judged', () => {
  const findings = new Findings(false)
  findings.measure('view', 501, 'ms', 500)
  findings.measure('memory', 201, 'MB', 200)
  findings.expect(false, 'it was not so')
  findings.expect(true, 'it was so')
  expect(findings.broken).toEqual(['memory: 201 MB, promised were 200', 'it was not so'])
})

it('percentiles are values that were measured', () => {
  const hundred = Array.from({ length: 100 }, (_, i) => 100 - i)
  expect(spreadOf(hundred)).toEqual({ count: 100, p50: 50, p99: 99, max: 100 })
  expect(spreadOf([7])).toEqual({ count: 1, p50: 7, p99: 7, max: 7 })
  expect([rounded(3.123), rounded(31.23), rounded(0)]).toEqual([3.1, 31, 0])
})

it('there are as many partitions as Bell’s numbers say, less the one that is none', () => {
  expect([2, 3, 4, 5].map(count => partitionsOf([...'abcde'].slice(0, count)).length)).toEqual([1, 4, 14, 51])
  const texts = partitionsOf(['a', 'b', 'c']).map(sides => sides.map(side => side.join('')).join('|'))
  expect(texts.toSorted()).toEqual(['ab|c', 'ac|b', 'a|bc', 'a|b|c'].toSorted())
})
