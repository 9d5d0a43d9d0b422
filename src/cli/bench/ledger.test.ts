import { describe, expect, it } from 'vitest'
import { judge } from './crew.ts'
import { hashOf, Ledger } from './ledger.ts'
import { Payload, role, sentAt } from './payload.ts'
import type { Finished } from './task.ts'

/** The message stands in the middle of what was read. */
function take(ledger: Ledger, sender: string, sequence: number, group: string = 'g'): void {
  const payload = new Payload(64)
  payload.stamp(role.load, sequence, 0)
  const chunk = new Uint8Array(100).fill(255)
  chunk.set(payload.bytes, 7)
  ledger.turn(sender, group)
  ledger.take(chunk, 7, 64)
}

function ledgerOf(...order: readonly (readonly [sender: string, sequence: number])[]): Ledger {
  const ledger = new Ledger('a')
  ledger.view('g', 'v1')
  for (const [sender, sequence] of order) take(ledger, sender, sequence)
  return ledger
}

describe('the first bytes', () => {
  it('hold number and time', () => {
    const payload = new Payload(64)
    payload.stamp(role.probe, 0xfffffffe, 123_456_789.5)
    expect(sentAt(payload.bytes, 0)).toBe(123_456_789.5)
    const ledger = new Ledger('a')
    const origin = ledger.turn('a', 'g')
    ledger.take(payload.bytes, 0, payload.bytes.length)
    expect(origin).toMatchObject({ next: 0xffffffff, own: true })
  })
})

describe('the ledger', () => {
  it('has equal hashes for the same order only', () => {
    const one = ledgerOf(['a', 0], ['b', 0], ['a', 1], ['b', 1]).views()
    expect(ledgerOf(['a', 0], ['b', 0], ['a', 1], ['b', 1]).views()).toEqual(one)
    expect(ledgerOf(['a', 0], ['a', 1], ['b', 0], ['b', 1]).views()).not.toEqual(one)
    expect(ledgerOf(['b', 0], ['a', 0], ['a', 1], ['b', 1]).views()).not.toEqual(one)
    expect(one).toMatchObject([{ group: 'g', view: 'v1', messages: 4 }])
  })

  it('counts what is missing, doubled or late', () => {
    expect(ledgerOf(['a', 0], ['a', 1], ['b', 0]).gaps).toBe(0)
    expect(ledgerOf(['a', 0], ['a', 2]).gaps).toBe(1)
    expect(ledgerOf(['a', 0], ['a', 0]).gaps).toBe(1)
    expect(ledgerOf(['a', 1], ['a', 0]).gaps).toBe(2)
  })

  it('counts the order anew in each view, and by group', () => {
    const ledger = new Ledger('a')
    ledger.view('g', 'v1')
    ledger.view('h', 'w1')
    take(ledger, 'a', 0, 'g')
    take(ledger, 'a', 1, 'h')
    ledger.view('g', 'v2')
    take(ledger, 'a', 2, 'g')
    expect(ledger.views().map(({ group, view, messages }) => [group, view, messages])).toEqual([
      ['g', 'v1', 1],
      ['g', 'v2', 1],
      ['h', 'w1', 1],
    ])
    expect(ledger.gaps).toBe(0)
  })

  it('tells senders apart by a hash of their names', () => {
    expect(hashOf('a@n1')).not.toBe(hashOf('a@n2'))
  })
})

describe('the judgement', () => {
  const good: Finished = {
    type: 'finished',
    accepted: 5,
    received: 10,
    gaps: 0,
    views: [{ view: 'v', messages: 10, hash: 7 }],
  }

  it('accepts that all received the same', () => {
    expect(() => judge([good, good])).not.toThrow()
  })

  it('names what is missing, and what came in another order', () => {
    expect(() => judge([good, { ...good, gaps: 1 }])).toThrow('1 messages were missing')
    expect(() => judge([good, { ...good, received: 9 }])).toThrow(
      '10 messages were sent, and a receiver has 9',
    )
    const other = { ...good, views: [{ view: 'v', messages: 10, hash: 8 }] }
    expect(() => judge([good, other])).toThrow('2 different orders')
  })
})
