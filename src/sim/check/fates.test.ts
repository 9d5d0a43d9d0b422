import { describe, expect, test } from 'vitest'
import { checkGroups, type GroupOptions } from './groups.ts'
import { clientScript } from './script.ts'

function found(text: string, options: Partial<GroupOptions> = {}): string[] {
  const violations = checkGroups(clientScript(text), { drained: false, ...options })
  return [...new Set(violations.map(violation => violation.property))]
}

/** The views in the answers are that of the message, the first. */
function foundOfView1(text: string): string[] {
  const lines = clientScript(text).map(line => (line.e === 'fate' ? { ...line, view: '1' } : line))
  const violations = checkGroups(lines, { drained: false })
  return [...new Set(violations.map(violation => violation.property))]
}

/** Two members; b's connection breaks, whether before or after it read a1 is the question. */
function answers(a: string, b: string, readByB = 'a1'): string {
  return `
    a: join:g g/1[a b] +1:g a1 ${a}
    b: join:g g/1[a b] ${readByB} ${b}`
}

describe('true answers', () => {
  test('both received, both say so', () => {
    expect(found(answers('?a1:g=a,b/', '?a1:g=a,b/'), { drained: true })).toEqual([])
  })

  test('unknown of one that received it and was lost before anyone knew', () => {
    expect(found(answers('?a1:g=a/b', 'closed'), { drained: true })).toEqual([])
  })

  test('the two sides of a partition may know different things', () => {
    const text = answers('~g ?a1:g=a/b g/2[a]<1:a', '~g ?a1:g=b/a g/3[b]<1:b')
    expect(found(text, { drained: true })).toEqual([])
  })

  test('those who came along and parted later may know different things of what was open when they parted', () => {
    const text = `
      a: join:g g/1[a b] +1:g a1 ~g g/2[a b]<1:ab ~g ?a1:g=a/b g/3[a]<2:a
      b: join:g g/1[a b] a1 ~g g/2[a b]<1:ab ~g ?a1:g=b/a g/4[b]<2:b`
    expect(foundOfView1(text)).toEqual([])
  })

  test('one that is cut off before its own leave is delivered to it did not come along; for others the group goes on', () => {
    const text = `
      a: join:g g/1[a b c] +1:g a1 g/2[a c]^leave ?a1:g=a,c/b
      c: join:g g/1[a b c] a1 g/2[a c]^leave
      b: join:g g/1[a b c] a1 leave:g ?a1:g=a,b,c/ ~g g/3[b]<1:b`
    expect(foundOfView1(text)).toEqual([])
    // Those who stay are still held to one answer, and so is one that saw its leave.
    const others = text.replace('g/2[a c]^leave\n', 'g/2[a c]^leave ?a1:g=c/a,b\n')
    expect(foundOfView1(others)).toContain('Fates agree')
    expect(foundOfView1(text.replace('~g g/3[b]<1:b', 'left:g'))).toEqual(['Fates agree'])
  })
})

describe('false answers are noticed by name', () => {
  const cases: [string, string, string, Partial<GroupOptions>?][] = [
    ['Fates true', 'received by one that did not', answers('?a1:g=a,b/', 'closed', '')],
    ['Fates agree', 'different answers in one configuration', answers('?a1:g=a,b/', '?a1:g=b/a')],
    [
      'Fates agree',
      'different answers of those who came along',
      answers('~g ?a1:g=a,b/ g/2[a b]<1:ab', '~g ?a1:g=b/a g/2[a b]<1:ab'),
    ],
    ['Fates unknown', 'unknown of oneself', answers('?a1:g=b/a', '')],
    [
      'Fates unknown',
      'unknown of one that never parted and lives',
      answers('?a1:g=a/b', ''),
      { drained: true },
    ],
    ['Fates members', 'a member forgotten', answers('?a1:g=a/', '')],
    ['Fates members', 'a stranger', answers('?a1:g=a,b,z/', '')],
    ['Fates members', 'a member both received and unknown', answers('?a1:g=a,b/b', '')],
    ['Fates members', 'another view', answers('g/2[a b c] ?a1:g=a,b/c', 'g/2[a b c]')],
  ]
  test.each(cases)('%s: %s', (property, _what, text, options = {}) => {
    expect(found(text, options)).toContain(property)
  })

  test('Fates members: another position, and another addressee', () => {
    const moved = clientScript(answers('?a1:g=a,b/', '')).map(line =>
      line.e === 'fate' ? { ...line, position: '9.9.9.9.9' } : line,
    )
    expect(checkGroups(moved, { drained: false })[0]!.property).toBe('Fates members')
    const text = `
      a: +1:>b ?a1:x=c/
      b: a1`
    const misled = clientScript(text).map(line => {
      if (line.e !== 'fate') return line
      const { group: _, ...rest } = line
      return { ...rest, view: '' }
    })
    const properties = checkGroups(misled, { drained: false }).map(violation => violation.property)
    expect(properties).toContain('Fates members')
  })
})
