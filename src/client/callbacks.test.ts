import { describe, expect, test, vi } from 'vitest'
import type { CallbackFailure } from '../lib/callbacks.ts'
import type { SessionOptions } from './api.ts'
import { FakeDaemon } from './fake-daemon.fixture.ts'
import { ClientSession } from './session.ts'

function open(daemon: FakeDaemon, options: SessionOptions): Promise<ClientSession> {
  return ClientSession.open(async () => daemon.open(), options)
}

function thrower(words: string): () => never {
  return () => {
    throw new Error(words)
  }
}

describe('callbacks of an application that throw', () => {
  test('stop nothing, and are reported once for each distinct error', async () => {
    const daemon = new FakeDaemon()
    const failures: CallbackFailure[] = []
    const session = await open(daemon, {
      queueBytes: 10_000,
      trace: thrower('the trace is full'),
      onWarning: thrower('no warnings, please'),
      onClose: async () => thrower('not even the end')(),
      onCallbackError: failure => {
        failures.push(failure)
        thrower('nor this')()
      },
    })
    const group = await session.join('g')
    // Nobody reads it: warnings come. And each message has two lines in the trace.
    const payload = 'x'.repeat(100)
    const sends = Array.from({ length: 100 }, () => group.send(payload))
    const read = (async () => {
      let messages = 0
      for await (const event of group.events()) {
        if (event.type === 'message') messages++
        if (messages === 100) return
      }
    })()
    const receipts = await Promise.all(sends)
    await read
    expect(receipts.map(({ sequence }) => sequence)).toEqual(Array.from({ length: 100 }, (_, i) => i + 1))
    session.warn('test', 'a warning', null)
    session.warn('test', 'another', null)
    await session.close()
    await vi.waitFor(() => expect(failures).toHaveLength(3))
    expect(new Set(failures.map(({ callback, words }) => `${callback}: ${words}`))).toEqual(
      new Set([
        'trace: Error: the trace is full',
        'onWarning: Error: no warnings, please',
        'onClose: Error: not even the end',
      ]),
    )
  })

  test('are printed if nobody asked to be told', async () => {
    const print = vi.spyOn(console, 'error').mockImplementation(() => {})
    const session = await open(new FakeDaemon(), { clock: thrower('no time'), trace: () => {} })
    await session.join('g')
    await session.close()
    expect(print.mock.calls).toEqual([["anasazi: the session's trace failed:", new Error('no time')]])
    print.mockRestore()
  })

  test('an application that throws while it iterates harms its own loop only', async () => {
    const daemon = new FakeDaemon()
    const session = await open(daemon, {})
    const [one, two] = [await session.join('one'), await session.join('two')]
    const seen: string[] = []
    const steady = (async () => {
      for await (const event of two.events()) {
        if (event.type === 'message') seen.push(event.text())
        if (seen.length === 3) return
      }
    })()
    const reading = (async () => {
      for await (const event of one.events()) if (event.type === 'message') throw new Error('in the loop')
    })()
    const broken = expect(reading).rejects.toThrow('in the loop')
    for (const text of ['a', 'b', 'c']) await session.sendMany(['one'], text)
    await broken
    for (const text of ['a', 'b', 'c']) await two.send(text)
    await steady
    expect(seen).toEqual(['a', 'b', 'c'])
    // What was behind the message at which it broke is still there.
    const rest: string[] = []
    for await (const event of one.events()) {
      if (event.type === 'message') rest.push(event.text())
      if (rest.length === 2) break
    }
    expect(rest).toEqual(['b', 'c'])
    await session.close()
  })
})
