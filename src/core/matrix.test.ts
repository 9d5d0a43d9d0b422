import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Row } from './frames.ts'
import { cliqueOf, digestMatrix, hearEachOther, isClique, pruneMatrix } from './matrix.ts'
import type { MemberId } from './types.ts'

function matrixOf(rows: Record<string, string>): Map<MemberId, Row> {
  return new Map(
    Object.entries(rows).map(([member, hears]) => [member, { member, version: 1, hears: [...hears] }]),
  )
}

describe('the matrix of who hears whom', () => {
  it('has an edge only where both ends say that they hear the other', () => {
    const matrix = matrixOf({ a: 'bc', b: 'a', c: '' })
    expect(hearEachOther(matrix, 'a', 'b')).toBe(true)
    expect(hearEachOther(matrix, 'a', 'c')).toBe(false)
    expect(hearEachOther(matrix, 'c', 'a')).toBe(false)
    expect(hearEachOther(matrix, 'a', 'unknown')).toBe(false)
    expect(isClique(matrix, ['a', 'b'])).toBe(true)
    expect(isClique(matrix, ['a', 'b', 'c'])).toBe(false)
  })

  it('makes one clique of those who all hear each other, and leaves out the deaf and the mute', () => {
    const matrix = matrixOf({ a: 'bc', b: 'ac', c: 'abd', d: '' })
    for (const self of 'abc') expect(cliqueOf(matrix, self, 64)).toEqual(['a', 'b', 'c'])
    expect(cliqueOf(matrix, 'd', 64)).toEqual(['d'])
    expect(cliqueOf(matrix, 'stranger', 64)).toEqual(['stranger'])
  })

  it('settles a bridge in the first of the largest cliques', () => {
    const matrix = matrixOf({ a: 'b', b: 'ac', c: 'b' })
    expect(cliqueOf(matrix, 'a', 64)).toEqual(['a', 'b'])
    expect(cliqueOf(matrix, 'b', 64)).toEqual(['a', 'b'])
    expect(cliqueOf(matrix, 'c', 64)).toEqual(['c'])
  })

  it('prefers the larger side of a bridge, whatever its names', () => {
    const matrix = matrixOf({ a: 'b', b: 'acd', c: 'bd', d: 'bc' })
    for (const self of 'bcd') expect(cliqueOf(matrix, self, 64)).toEqual(['b', 'c', 'd'])
    expect(cliqueOf(matrix, 'a', 64)).toEqual(['a'])
  })

  it('divides what is larger than a configuration may be', () => {
    const all = 'abcde'
    const matrix = matrixOf(Object.fromEntries([...all].map(m => [m, all.replace(m, '')])))
    expect([...all].map(self => cliqueOf(matrix, self, 2).join(''))).toEqual(['ab', 'ab', 'cd', 'cd', 'e'])
  })

  it('gives every member of a clique the same clique, in any graph', () => {
    const graph = fc.integer({ min: 1, max: 9 }).chain(n =>
      fc.record({
        n: fc.constant(n),
        max: fc.integer({ min: 1, max: 9 }),
        hears: fc.array(fc.boolean(), { minLength: n * n, maxLength: n * n }),
      }),
    )
    fc.assert(
      fc.property(graph, ({ n, max, hears }) => {
        const members = Array.from({ length: n }, (_, i) => String.fromCodePoint(97 + i))
        const matrix = matrixOf(
          Object.fromEntries(
            members.map((m, i) => [m, members.filter((_, j) => j !== i && hears[i * n + j]).join('')]),
          ),
        )
        for (const self of members) {
          const clique = cliqueOf(matrix, self, max)
          expect(clique).toContain(self)
          expect(clique.length).toBeLessThanOrEqual(max)
          expect(isClique(matrix, clique)).toBe(true)
          for (const other of clique) expect(cliqueOf(matrix, other, max)).toEqual(clique)
        }
      }),
    )
  })

  it('has a digest that changes with a version and not with the order of rows', () => {
    const rows = [...matrixOf({ a: 'b', b: 'a', c: '' }).values()]
    const digest = digestMatrix(new Map(rows.map(row => [row.member, row])))
    expect(digestMatrix(new Map(rows.toReversed().map(row => [row.member, row])))).toBe(digest)
    const newer = rows.map(row => (row.member === 'b' ? { ...row, version: 2 } : row))
    expect(digestMatrix(new Map(newer.map(row => [row.member, row])))).not.toBe(digest)
  })

  it('forgets the rows of members that no chain leads to', () => {
    const matrix = matrixOf({ a: 'b', b: 'c', c: '', d: 'a', e: 'd' })
    pruneMatrix(matrix, 'a')
    expect([...matrix.keys()]).toEqual(['a', 'b', 'c'])
  })
})
