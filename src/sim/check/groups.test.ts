import { describe, expect, test } from 'vitest'
import { checkGroups, type GroupOptions } from './groups.ts'
import { clientScript } from './script.ts'

function found(
  text: string,
  options: Partial<GroupOptions> = {},
  positions: Record<string, number> = {},
): string[] {
  const violations = checkGroups(clientScript(text, positions), { drained: false, ...options })
  return [...new Set(violations.map(violation => violation.property))]
}

const SOUND = `
  a: join:g g/1[a] +1:g a1 g/2[a b] +2!:g a2 b1 ?a2:g=a,b/ ~g g/3[a b c]<2:ab,8:c c1 leave:g left:g +3:g
  b: join:g g/2[a b] +1:g a2 b1 ~g g/3[a b c]<2:ab,8:c c1 g/4[b c]^leave a3
  c: join:g g/8[c] ~g g/3[a b c]<8:c,2:ab +1:g c1 g/4[b c]^leave closed`

describe('sound traces', () => {
  test('a sound trace has no violation', () => {
    const positions = { a1: 1, a2: 2, b1: 3, c1: 4, a3: 5 }
    expect(found(SOUND, {}, positions)).toEqual([])
    expect(found(SOUND, { drained: true }, positions)).toEqual([])
  })

  test('a killed session saw a prefix and owes nothing', () => {
    const text = `
      a: join:g g/1[a b] +1!:g +2:g a1 a2
      b: join:g g/1[a b] a1`
    expect(found(text)).toEqual([])
    expect(found(text, { drained: true, dead: new Set(['b']) })).toEqual([])
    expect(found(text, { drained: true })).toEqual(['Groups together'])
    expect(found(text.replace(/a1$/, 'a1 closed'), { drained: true })).toEqual([])
  })

  test('a message to two groups comes once, and counts in both', () => {
    const text = `
      a: join:g join:h g/1[a b] h/1[a b] +1:g,h a1:g g/2[a b c] h/2[a b c]
      b: join:g join:h g/1[a b] h/1[a b] a1:h g/2[a b c] h/2[a b c]`
    expect(found(text)).toEqual([])
  })

  test('what a session discards itself is not missed', () => {
    const text = `
      a: join:g g/1[a b] +1-:g +2:g a2 g/2[a b c]
      b: join:g g/1[a b] a1 a2 g/2[a b c]`
    expect(found(text, { drained: true })).toEqual([])
  })

  test('a leave may show on both sides of a partition, with different messages before it', () => {
    const text = `
      a: join:g g/1[a b c] +1:g ~g a1 g/2[a b]^leave
      b: join:g g/1[a b c] ~g a1 g/2[a b]^leave
      c: join:g g/1[a b c] leave:g ~g left:g`
    expect(found(text)).toEqual([])
  })
})

/** The first message of each sender came in epoch 1, the others in epoch 2. */
function acrossEpochs(text: string): string[] {
  const lines = clientScript(text).map(line =>
    line.e === 'receive' && !line.m.endsWith(':1')
      ? { ...line, position: `2${line.position.slice(1)}` }
      : line,
  )
  const violations = checkGroups(lines, { drained: false })
  return [...new Set(violations.map(violation => violation.property))]
}

describe('a view that outlives a configuration', () => {
  test('who only sends to the group may have been elsewhere meanwhile', () => {
    const text = `
      s: +1:g +2:g +3:g
      b: join:g g/1[b] s1 s3`
    expect(acrossEpochs(text)).toEqual([])
    expect(found(text)).toEqual(['Groups fifo'])
  })

  test('a member was here all the time', () => {
    const text = `
      a: join:g g/1[a b] +1:g +2:g +3:g closed
      b: join:g g/1[a b] a1 a3`
    expect(acrossEpochs(text)).toEqual(['Groups fifo'])
  })

  test('a member that left in between may have been elsewhere', () => {
    const text = `
      a: join:g g/1[a b] +1:g leave:g left:g +2:g +3:g
      b: join:g g/1[a b] a1 g/2[b]^leave a3`
    expect(acrossEpochs(text.replace('leave:g left:g', 'a1 leave:g left:g'))).toEqual([])
  })
})

describe('each property is noticed by name', () => {
  const cases: [string, string, string, Partial<GroupOptions>?][] = [
    [
      'Groups view',
      'one id, two member lists',
      `
      a: join:g g/1[a b]
      b: join:g g/1[b a]`,
    ],
    [
      'Groups view',
      'one id, two causes',
      `
      a: join:g g/0[a] g/1[a b]^join
      b: join:g g/1[a b]^network`,
    ],
    ['Groups view', 'a view without oneself', 'a: join:g g/1[b]'],
    ['Groups view', 'a view shown twice', 'a: join:g g/1[a] g/1[a]'],
    ['Groups view', 'a join that adds nobody', 'a: join:g g/1[a] g/2[a]'],
    ['Groups view', 'a join that changes the order', 'a: join:g g/1[a b] g/2[b a c]'],
    ['Groups view', 'a leave that adds somebody', 'a: join:g g/1[a b] g/2[a c]^leave'],
    ['Groups view', 'a leave that removes nobody', 'a: join:g g/1[a b] g/2[a b]^leave'],
    [
      'Groups view',
      'two ways to one view',
      `
      a: join:g g/1[a b] g/2[a b c] g/3[a b c d]
      b: join:g g/1[a b] g/3[a b c d]`,
    ],
    [
      'Groups view',
      'members of one origin in another order',
      `
      a: join:g g/1[a b] ~g g/2[b a]<1:ab`,
    ],
    [
      'Groups origins',
      'an origin that is not where the member comes from',
      `
      a: join:g g/1[a] ~g g/2[a b]<7:a,8:b`,
    ],
    ['Groups origins', 'a member in two origins', 'a: join:g g/1[a b] ~g g/2[a b]<1:ab,8:b'],
    ['Groups origins', 'an origin with a stranger', 'a: join:g g/1[a z] ~g g/2[a]<1:az'],
    ['Groups origins', 'an origin that lacked the member', 'a: join:g g/1[a] ~g g/2[a b]<1:ab'],
    ['Groups signal', 'a network view without a signal', 'a: join:g g/1[a] g/2[a]<1:a'],
    ['Groups leave', 'a view without a join', 'a: g/1[a]'],
    ['Groups leave', 'a view after the leave', 'a: join:g g/1[a] leave:g left:g g/2[a b]'],
    [
      'Groups current',
      'a message after the leave',
      `
      a: join:g g/1[a] leave:g left:g b1:g
      b: +1:g`,
    ],
    ['Groups closed', 'an event after the end', 'a: join:g g/1[a] closed ~g'],
    ['Groups current', 'a signal for another view', 'a: join:g ~g'],
    [
      'Groups current',
      'a message before any view',
      `
      a: join:g b1
      b: +1:g`,
    ],
    ['Groups once', 'a message received twice', 'a: join:g g/1[a] +1:g a1 a1'],
    ['Groups sent', 'a message that nobody sent', 'a: join:g g/1[a] b1:g'],
    ['Groups sent', 'an id used twice', 'a: join:g g/1[a] +1:g +1:g a1'],
    ['Groups sent', 'a message in a group it was not sent to', 'a: join:g join:h g/1[a] h/1[a] +1:g a1:h'],
    [
      'Groups private',
      'a private message to somebody else',
      `
      a: +1:>b
      c: a1`,
    ],
    [
      'Groups private',
      'a private message to a group',
      `
      a: +1:>b
      b: join:g g/1[b] a1:g`,
    ],
    [
      'Groups last view',
      'a run that ends in two views, each with the other’s reader',
      `
      a: join:g g/1[a b]
      b: join:g g/1[a b] g/2[a b c]
      c: join:g g/2[a b c]`,
      { drained: true },
    ],
    ['Groups self-discard', 'an own copy that was not wished', 'a: join:g g/1[a] +1-:g a1'],
    ['Groups self-delivery', 'an own message that never comes', 'a: join:g g/1[a] +1:g', { drained: true }],
    [
      'Groups self-delivery',
      'an own message that does not come before the leave',
      'a: join:g g/1[a] +1:g leave:g left:g',
    ],
    [
      'Groups order',
      'two orders of two messages',
      `
      a: join:g g/1[a b] +1:g a1 b1
      b: join:g g/1[a b] +1:g b1 a1`,
    ],
    [
      'Groups order',
      'two orders in two groups',
      `
      a: join:g join:h g/1[a b] h/1[a b] +1:g a1:g b1:h
      b: join:g join:h g/1[a b] h/1[a b] +1:h b1:h a1:g`,
    ],
    [
      'Groups order',
      'a view before and after a message',
      `
      a: join:g g/1[a b] +1:g a1 g/2[a b c]
      b: join:g g/1[a b] g/2[a b c] a1`,
    ],
    [
      'Groups position',
      'a message at two positions',
      `
      a: join:g g/1[a b] +1:g a1
      b: join:g g/1[a b] a1`,
    ],
    [
      'Groups together',
      'a message between two views that one lacks',
      `
      a: join:g g/1[a b] +1:g a1 g/2[a b c]
      b: join:g g/1[a b] g/2[a b c]`,
    ],
    [
      'Groups together',
      'a message before the own leave that is missing',
      `
      a: join:g g/1[a b] +1:g a1 g/2[a]^leave
      b: join:g g/1[a b] leave:g left:g`,
    ],
    [
      'Groups together',
      'a message to two groups that one received only in name',
      `
      a: join:g join:h g/1[a b] h/1[a b] +1:g,h a1:g h/2[a b c]
      b: join:g join:h g/1[a b] h/1[a b] h/2[a b c]`,
    ],
    [
      'Groups safe',
      'a safe message that a member does not receive',
      `
      a: join:g g/1[a b] +1!:g a1 ~g g/2[a]<1:a
      b: join:g g/1[a b] ~g g/3[b]<1:b`,
    ],
    [
      'Groups safe',
      'a safe message in a view that a member is never shown',
      `
      a: join:g g/1[a b] +1!:g a1
      b: join:g`,
      { drained: true },
    ],
    [
      'Groups prefix',
      'a killed session with a gap',
      `
      a: join:g g/1[a b] +1:g a1 b1
      b: join:g g/1[a b] +1:g b1 closed`,
    ],
    [
      'Groups prefix',
      'a gap that is right after the signal, but not for one that died before it',
      `
      a: join:g g/1[a b c d] ~g b1 +2:g a2
      b: join:g g/1[a b c d] d1 +1:g b1 closed
      c: join:g g/1[a b c d] b1 closed
      d: join:g g/1[a b c d] +1:g closed`,
    ],
    [
      'Groups fifo',
      'two messages of one sender in the wrong order',
      `
      a: +1:g +2:g
      b: join:g g/1[b] a2 a1`,
    ],
    [
      'Groups fifo',
      'a message missing between two',
      `
      a: +1:g +2:g +3:g
      b: join:g g/1[b] a1 a3`,
    ],
    [
      'Groups causal',
      'an effect without its cause',
      `
      a: join:g g/1[a b c] +1:g
      b: join:g g/1[a b c] a1 +1:g
      c: join:g g/1[a b c] b1`,
    ],
    [
      'Groups disconnect',
      'a message after its sender was disconnected',
      `
      a: join:g g/1[a b] +1:g
      b: join:g g/1[a b] g/2[b]^disconnect a1`,
    ],
    [
      'Groups disconnect',
      'a member that comes back after its disconnect',
      `
      b: join:g g/1[a b] g/2[b]^disconnect g/3[b a]`,
    ],
  ]
  test.each(cases)('%s: %s', (property, what, text, options = {}) => {
    if (what === 'a message at two positions') {
      const lines = clientScript(text).map(line =>
        line.e === 'receive' && line.p === 'b' ? { ...line, position: '1.7.0.0.0' } : line,
      )
      const properties = checkGroups(lines, { drained: false }).map(violation => violation.property)
      expect(properties).toContain(property)
    } else expect(found(text, options)).toContain(property)
  })
})

test('positions increase, and have five parts', () => {
  const text = `
    a: +1:g +2:g
    b: join:g g/1[b] a1 a2`
  expect(found(text, {}, { a1: 10, a2: 9 })).toContain('Groups position')
  expect(found(text, {}, { a1: 9, a2: 10 })).toEqual([])
  const lines = clientScript(text).map(line => (line.e === 'receive' ? { ...line, position: 'first' } : line))
  expect(checkGroups(lines, { drained: false })[0]!.property).toBe('Groups position')
})

test('a sender that left no trace is excused if the trace is said to be partial', () => {
  const text = 'a: join:g g/1[a] b1:g'
  expect(found(text)).toEqual(['Groups sent'])
  expect(found(text, { partial: true })).toEqual([])
})

/** The same lines with sendings that do not say to whom. */
function nameless(lines: ReturnType<typeof clientScript>): typeof lines {
  return lines.map(line => {
    if (line.e !== 'send') return line
    const { to: _, ...rest } = line
    return rest
  })
}

test('a private message comes to one session, even if its sending does not say to whom', () => {
  const text = `
    a: +1:>b
    b: a1`
  expect(checkGroups(nameless(clientScript(text)), { drained: false })).toEqual([])
  const two = checkGroups(nameless(clientScript(`${text}\n    c: a1`)), { drained: false })
  expect(two.map(violation => violation.property)).toEqual(['Groups private'])
})
