import { describe, expect, test } from 'vitest'
import { CellChecker, checkCell } from './cell.ts'
import { cellScript } from './script.ts'

function found(text: string, drained = false): string[] {
  return [...new Set(checkCell(cellScript(text), { drained }).map(violation => violation.property))]
}

const SOUND = `
  p: [1.c p q r] +m1 m1 m2 (t 1.c p q) m3 [2.d p q] +m4! m4
  q: [1.c p q r] m1 +m2 m2 (t 1.c p q) m3 [2.d p q] m4
  r: [1.c p q r] m1 m2 +m3 m3 x`

describe('sound traces', () => {
  test('a sound trace has no violation, drained or not', () => {
    expect(found(SOUND)).toEqual([])
    expect(found(SOUND, true)).toEqual([])
  })

  test('a process that was killed without a word owes nothing, unless the run was drained', () => {
    const killed = `
      p: [1.c p q] +m1 m1 (t 1.c p) [2.d p]
      q: [1.c p q] +m2`
    expect(found(killed)).toEqual([])
    expect(found(killed, true)).toContain('EVS 3')
  })

  test('a member that left no trace is excused if the trace is said to be partial', () => {
    const text = 'p: [1.c p q] +m1! m1'
    expect(found(text)).toEqual(['EVS 7.2'])
    expect(checkCell(cellScript(text), { drained: false, partial: true })).toEqual([])
    expect(checkCell(cellScript('p: [1.c p q] m9'), { drained: false, partial: true })).toEqual([])
  })

  test('two sides of a partition may deliver different things after the cut', () => {
    const text = `
      p: [1.c p q] +m1 (t1 1.c p) m1 [2.d p]
      q: [1.c p q] +m2 (t2 1.c q) m2 [2.e q]`
    expect(found(text)).toEqual([])
  })
})

describe('each property is noticed by name', () => {
  const cases: [string, string, string, boolean?][] = [
    ['EVS 1.3', 'a message that nobody sent', 'p: [1.c p] m1'],
    ['EVS 1.3', 'a message of another configuration', 'p: [1.c p] +m1 (t 1.c p) [2.d p] m1'],
    ['EVS 1.4', 'a message sent twice', 'p: [1.c p] +m1 m1 +m1'],
    ['EVS 1.4', 'a message delivered twice', 'p: [1.c p] +m1 m1 m1'],
    ['EVS 1.4', 'a message sent in a transitional configuration', 'p: [1.c p] (t 1.c p) +m1 m1 [2.d p]'],
    [
      'EVS 2.1',
      'a last configuration that a member has left',
      `
      p: [1.c p q]
      q: [1.c p q] (t 1.c q) [2.d q]`,
      true,
    ],
    ['EVS 2.1', 'a last configuration that is transitional', 'p: [1.c p] (t 1.c p)', true],
    ['EVS 2.2', 'an event before the first configuration', 'p: +m1 [1.c p]'],
    ['EVS 2.2', 'an event after the failure', 'p: [1.c p] +m1 x m1'],
    [
      'EVS 2.3/2.4',
      'a configuration before and after a message',
      `
      p: [1.c p q] +m1 m1 (t 1.c p q) [2.d p q]
      q: [1.c p q] (t 1.c p q) m1 [2.d p q]`,
    ],
    ['EVS 3', 'an own message not delivered', 'p: [1.c p] +m1 (t 1.c p) [2.d p]'],
    [
      'EVS 4',
      'one of two who go the same way lacks a message',
      `
      p: [1.c p q] +m1 m1 (t 1.c p q) [2.d p q]
      q: [1.c p q] (t 1.c p q) [2.d p q]`,
    ],
    [
      'EVS 4',
      'one of two who go the same way lacks a message in the transitional configuration',
      `
      p: [1.c p q r] (t 1.c p q) m1 [2.d p q]
      q: [1.c p q r] (t 1.c p q) [2.d p q]
      r: [1.c p q r] +m1`,
    ],
    [
      'EVS 4',
      'one of two who end together lacks a message',
      `
      p: [1.c p q] +m1 m1
      q: [1.c p q]`,
      true,
    ],
    [
      'EVS 5',
      'a later message of a sender without the earlier one',
      `
      p: [1.c p q] +m1 +m2 x
      q: [1.c p q] m2`,
    ],
    [
      'EVS 5',
      'two messages of one sender in the wrong order',
      `
      p: [1.c p q] +m1 +m2 x
      q: [1.c p q] m2 m1`,
    ],
    [
      'EVS 5',
      'an effect without its cause',
      `
      p: [1.c p q r] +m1 x
      q: [1.c p q r] m1 +m2 x
      r: [1.c p q r] m2`,
    ],
    [
      'EVS 6.1',
      'two orders',
      `
      p: [1.c p q] +m1 m1 m2
      q: [1.c p q] +m2 m2 m1`,
    ],
    [
      'EVS 6.1',
      'two orders across a partition',
      `
      p: [1.c p q r s] +m1 (tp 1.c p) m1 m2 [2.d p]
      q: [1.c p q r s] +m2 (tq 1.c q) m2 m1 [2.e q]`,
    ],
    [
      'EVS 6.1',
      'a circle of three',
      `
      p: [1.c p q r] +m1 m1 m2 x
      q: [1.c p q r] +m2 m2 m3 x
      r: [1.c p q r] +m3 m3 m1 x`,
    ],
    ['EVS 6.1', 'a message delivered before it is sent', 'p: [1.c p] m1 +m1'],
    [
      'EVS 6.3',
      'a gap before a message that another delivers after it',
      `
      p: [1.c p q r] +m1 m1 m2 x
      q: [1.c p q r] m2
      r: [1.c p q r] +m2 x`,
    ],
    [
      'EVS 6.3',
      'a gap that is right in a smaller transitional configuration, but not for one that died in the regular one',
      `
      b: [1.c a b q r s] m1 m2 x
      r: [1.c a b q r s] +m1 x
      s: [1.c a b q r s] +m2 (t 1.c a s) m2 [2.d a s]
      a: [1.c a b q r s] (t 1.c a s) m2 [2.d a s]
      q: [1.c a b q r s] m2 x`,
    ],
    [
      'EVS 7.1',
      'a safe message that a member never delivers',
      `
      p: [1.c p q] +m1! m1 (t1 1.c p) [2.d p]
      q: [1.c p q] (t2 1.c q) [2.e q]`,
    ],
    [
      'EVS 7.1',
      'a safe message that a member of the transitional configuration never delivers',
      `
      p: [1.c p q] +m1! (t1 1.c p q) m1 x
      q: [1.c p q] (t2 1.c q) [2.e q]`,
    ],
    [
      'EVS 7.2',
      'a safe message in a configuration that a member never installed',
      `
      p: [1.c p q] +m1! m1
      q: [0.b q]`,
    ],
    [
      'EVS well-formed',
      'an id with two member lists',
      `
      p: [1.c p q]
      q: [1.c q]`,
    ],
    ['EVS well-formed', 'a configuration without oneself', 'p: [1.c q]'],
    ['EVS well-formed', 'a member listed twice', 'p: [1.c p p]'],
    ['EVS well-formed', 'no transitional configuration between', 'p: [1.c p] [2.d p]'],
    ['EVS well-formed', 'two transitional configurations', 'p: [1.c p] (t 1.c p) (u 1.c p) [2.d p]'],
    ['EVS well-formed', 'a transitional configuration first', 'p: (t 1.c p) [2.d p]'],
    ['EVS well-formed', 'a transitional configuration that closes another', 'p: [1.c p] (t 1.b p) [2.d p]'],
    ['EVS well-formed', 'a transitional member from nowhere', 'p: [1.c p] (t 1.c p z) [2.d p z]'],
    ['EVS well-formed', 'a transitional member that does not arrive', 'p: [1.c p z] (t 1.c p z) [2.d p]'],
    ['EVS well-formed', 'an epoch that does not increase', 'p: [2.c p] (t 2.c p) [1.d p]'],
    ['EVS well-formed', 'an id installed twice', 'p: [1.c p] (t 1.c p) [2.d p] (u 2.d p) [1.c p]'],
    [
      'EVS well-formed',
      'a transitional configuration with two successors',
      `
      p: [1.c p q] (t 1.c p q) [2.d p q]
      q: [1.c p q] (t 1.c p q) [2.e p q]`,
    ],
    [
      'EVS well-formed',
      'overlapping transitional configurations',
      `
      p: [1.c p q] (t 1.c p q) [2.d p q]
      q: [1.c p q] (u 1.c q) [2.d p q]`,
    ],
  ]
  test.each(cases)('%s: %s', (property, _what, text, drained = false) => {
    expect(found(text, drained)).toContain(property)
  })
})

test('the evidence names processes and messages', () => {
  const lines = cellScript(`
    p: [1.c p q] +m1 m1 m2
    q: [1.c p q] +m2 m2 m1`)
  const [violation] = checkCell(lines, { drained: false })
  expect(violation).toMatchObject({ property: 'EVS 6.1', processes: expect.arrayContaining(['p', 'q']) })
  expect(violation!.messages.toSorted()).toEqual(['m1', 'm2'])
  expect(violation!.what).toContain('m1 before m2 at p')
})

test('the interleaving of processes does not matter, and events can be fed without lines', () => {
  const checker = new CellChecker()
  const lines = cellScript(SOUND).toSorted((a, b) => (a.p === b.p ? 0 : a.p < b.p ? 1 : -1))
  for (const line of lines) {
    if (line.e === 'conf') checker.configuration(line.p, line.id, line.kind, line.members, line.of)
    else if (line.e === 'send') checker.send(line.p, line.m, line.service === 'safe')
    else if (line.e === 'deliver') checker.deliver(line.p, line.m)
    else checker.fail(line.p)
  }
  expect(checker.finish({ drained: true })).toEqual([])
  expect(checker.events).toBe(lines.length)
  expect([...checker.failed()]).toEqual(['r'])
})

test('one defect does not flood the report', () => {
  const ghosts = Array.from({ length: 1000 }, (_, index) => `g${index}`).join(' ')
  expect(checkCell(cellScript(`p: [1.c p] ${ghosts}`), { drained: false })).toHaveLength(20)
})
