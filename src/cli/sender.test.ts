import { expect, test } from 'vitest'
import type { Receipt, Session } from '../client/api.ts'
import { LineSender } from './sender.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (data: Uint8Array): string => new TextDecoder().decode(data)

/** A session that takes everything, and delivers what `deliver` says. */
function fakeSession() {
  const taken: string[] = []
  const promised: string[] = []
  const session = {
    writable: async () => {},
    trySendMany: (_groups: readonly string[], data: Uint8Array) => taken.push(text(data)),
    sendMany: async (_groups: readonly string[], data: Uint8Array) => {
      promised.push(text(data))
      return { sequence: taken.push(text(data)) } as Receipt
    },
    progress: { accepted: 0, delivered: Number.POSITIVE_INFINITY, settled: 0 },
  }
  return { session, taken, promised }
}

test('a line goes at once, not with the next one', async () => {
  const { session, taken } = fakeSession()
  const sender = new LineSender(session as unknown as Session, ['a'], 'agreed')
  await sender.send([bytes('one')])
  expect(taken).toEqual(['one'])
  await sender.send([bytes('two'), bytes('three')])
  expect(taken).toEqual(['one', 'two', 'three'])
  expect(sender.sent).toBe(3)
})

test('one promise a batch, and the last one speaks for all', async () => {
  const { session, promised } = fakeSession()
  const sender = new LineSender(session as unknown as Session, ['a'], 'agreed')
  expect(await sender.finish()).toBeNull()
  await sender.send(['1', '2', '3'].map(bytes))
  await sender.send(['4', '5'].map(bytes))
  expect(promised).toEqual(['3', '5'])
  expect(await sender.finish()).toEqual({ sequence: 5 })
})

test('what was not delivered is an error that counts', async () => {
  const { session } = fakeSession()
  session.progress = { accepted: 3, delivered: 1, settled: 0 }
  const sender = new LineSender(session as unknown as Session, ['a'], 'agreed')
  await sender.send(['1', '2', '3'].map(bytes))
  await expect(sender.finish()).rejects.toThrow('1 of 3 messages were delivered')
})
