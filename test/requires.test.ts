import { expect, it } from 'vitest'
import { describeNetns, missingForNetns } from './requires.ts'

describeNetns('the helper', () => {
  it('runs where namespaces work', () => {
    expect(missingForNetns()).toBeNull()
  })

  it('says which tool is missing', () => {
    expect(missingForNetns(['no-such-program'])).toContain('no-such-program cannot be run')
  })
})
