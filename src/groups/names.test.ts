import { describe, expect, it } from 'vitest'
import { isGroupName, isSessionName, utf8Length } from './names.ts'

describe('names', () => {
  it('are measured in UTF-8', () => {
    const encoder = new TextEncoder()
    for (const text of ['', 'a', 'é', 'заказы', '日本', '😀', 'a😀б', '\u07ff\u0800\uffff']) {
      expect(utf8Length(text)).toBe(encoder.encode(text).length)
    }
    for (const text of ['\ud800', 'a\udc00', '\ud83d\ud83d', '\udc00\ud800'])
      expect(utf8Length(text)).toBe(-1)
  })

  it('of groups are any well-formed text within the limit', () => {
    expect(isGroupName('', 255)).toBe(false)
    expect(isGroupName('ж'.repeat(127), 255)).toBe(true)
    expect(isGroupName('ж'.repeat(128), 255)).toBe(false)
    expect(isGroupName('a'.repeat(255), 255)).toBe(true)
    expect(isGroupName('a'.repeat(256), 255)).toBe(false)
    expect(isGroupName('a\ud800', 255)).toBe(false)
    expect(isGroupName('with space @ #', 255)).toBe(true)
  })

  it('of sessions have nothing that takes ids apart', () => {
    expect(isSessionName('alice', 64)).toBe(true)
    expect(isSessionName('алиса', 64)).toBe(true)
    for (const name of ['', 'a b', 'a@b', 'a#b', 'a\n', 'a\u007f', 'a'.repeat(65)]) {
      expect(isSessionName(name, 64)).toBe(false)
    }
  })
})
