import { describe, expect, it } from 'vitest'
import { InvariantError, invariant } from './assert.ts'

describe('an invariant', () => {
  it('says nothing while it holds', () => {
    expect(() => invariant(true, 'one is one')).not.toThrow()
  })

  it('throws with its evidence, in the message and as it is', () => {
    let error: unknown
    try {
      invariant(false, 'members are sorted', ['b', 'a'])
    } catch (caught) {
      error = caught
    }
    expect(error).toBeInstanceOf(InvariantError)
    expect(error).toMatchObject({
      name: 'InvariantError',
      message: 'members are sorted: ["b","a"]',
      evidence: ['b', 'a'],
    })
  })

  it('needs no evidence', () => {
    expect(() => invariant(false, 'one is two')).toThrow(/^one is two$/)
  })
})
