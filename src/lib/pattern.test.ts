import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { cellOf, coversPattern, matchesPattern } from './pattern.ts'

const pattern = fc.array(fc.constantFrom('a', 'b', '*', '?'), { maxLength: 6 }).map(parts => parts.join(''))
const name = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 7 }).map(parts => parts.join(''))

function asRegExp(text: string): RegExp {
  return new RegExp(`^${text.replaceAll('*', '[^]*').replaceAll('?', '[^]')}$`, 'u')
}

describe('matchesPattern', () => {
  it('agrees with a regular expression', () => {
    fc.assert(fc.property(pattern, name, (p, n) => matchesPattern(p, n) === asRegExp(p).test(n)))
  })

  it('takes a character outside the basic plane as one', () => {
    expect(matchesPattern('?', '🏺')).toBe(true)
    expect(matchesPattern('??', '🏺')).toBe(false)
    expect(matchesPattern('гру*', 'группа')).toBe(true)
  })

  it('stays fast on patterns that make backtracking matchers explode', () => {
    expect(matchesPattern('*a'.repeat(60), `${'a'.repeat(250)}b`)).toBe(false)
  })
})

describe('coversPattern', () => {
  it('says yes only if every name of the special one is a name of the general one', () => {
    fc.assert(
      fc.property(pattern, pattern, name, (general, special, n) => {
        if (coversPattern(general, special) && matchesPattern(special, n)) {
          expect(matchesPattern(general, n)).toBe(true)
        }
      }),
    )
  })

  it('finds the usual cases', () => {
    expect(coversPattern('*', 'wan.*')).toBe(true)
    expect(coversPattern('wan.*', '*')).toBe(false)
    expect(coversPattern('?*', '*?')).toBe(true)
    expect(coversPattern('a?', 'ab')).toBe(true)
    expect(coversPattern('a?', 'a*')).toBe(false)
    expect(coversPattern('orders', 'orders')).toBe(true)
  })
})

describe('cellOf', () => {
  const rules = [
    { name: 'wan', groups: ['wan.*', 'global'] },
    { name: 'main', groups: ['*'] },
  ]
  it('takes the first rule that matches', () => {
    expect(cellOf(rules, 'wan.orders')).toBe('wan')
    expect(cellOf(rules, 'global')).toBe('wan')
    expect(cellOf(rules, 'globals')).toBe('main')
  })
  it('is the first, the default one, when nothing matches', () => {
    const two = [
      { name: 'x', groups: ['y'] },
      { name: 'z', groups: ['z'] },
    ]
    expect(cellOf(two, 'z')).toBe('z')
    expect(cellOf(two, 'a')).toBe('x')
    expect(cellOf([], 'a')).toBe('')
  })
})
