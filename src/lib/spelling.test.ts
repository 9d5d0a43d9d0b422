import { describe, expect, it } from 'vitest'
import { editDistance, nearest } from './spelling.ts'

describe('nearest', () => {
  const keys = ['listen', 'peers', 'groups', 'thread', 'clients', 'slowClient', 'heartbeatMs']
  it('suggests what was meant', () => {
    expect(nearest('peer', keys)).toBe('peers')
    expect(nearest('slow-client', keys)).toBe('slowClient')
    expect(nearest('heartbeat_ms', keys)).toBe('heartbeatMs')
    expect(nearest('lsiten', keys)).toBe('listen')
  })
  it('is silent when nothing is near', () => {
    expect(nearest('encryption', keys)).toBeNull()
  })
})

describe('editDistance', () => {
  it('counts a swap of neighbours as one', () => {
    expect(editDistance('abcd', 'abdc')).toBe(1)
    expect(editDistance('', 'abc')).toBe(3)
    expect(editDistance('kitten', 'sitting')).toBe(3)
  })
})
