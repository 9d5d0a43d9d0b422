import { describe, expect, test } from 'vitest'
import type { Session, SessionOptions } from './api.ts'
import { FakeDaemon } from './fake-daemon.fixture.ts'
import { ClientSession } from './session.ts'

function open(options: SessionOptions = {}): Promise<ClientSession> {
  const daemon = new FakeDaemon()
  return ClientSession.open(async () => daemon.open(), options)
}

/** What a program without a compiler may do. */
const anything = (value: unknown): never => value as never

describe('what an application hands in', () => {
  test('data is a string or bytes; anything else is refused at once, and costs no sequence', async () => {
    const session = await open()
    const group = await session.join('g')
    const wrong = [undefined, null, 7, true, {}, [1, 2], new ArrayBuffer(4), new DataView(new ArrayBuffer(4))]
    for (const data of [...wrong, new Float64Array(2), new Uint16Array(2)]) {
      const refusal = { code: 'bad-argument', message: expect.stringContaining('a string or a Uint8Array') }
      expect(() => group.trySend(anything(data))).toThrow(expect.objectContaining(refusal))
      await expect(group.send(anything(data))).rejects.toMatchObject(refusal)
      await expect(session.sendMany(['g'], anything(data))).rejects.toMatchObject(refusal)
    }
    expect(group.trySend(Buffer.from('bytes'))).toBe(1)
    expect(group.trySend(new Uint8ClampedArray(2) as unknown as Uint8Array)).toBe(2)
    expect((await group.send('text')).sequence).toBe(3)
    await session.close()
  })

  test('a service is one of the four', async () => {
    const session = await open()
    const group = await session.join('g')
    const refusal = { code: 'bad-argument', message: expect.stringContaining('not total') }
    const options = { service: anything('total') }
    expect(() => group.trySend('x', options)).toThrow(expect.objectContaining(refusal))
    await expect(group.send('x', options)).rejects.toMatchObject(refusal)
    await expect(open(options)).rejects.toMatchObject(refusal)
    expect(group.trySend('x')).toBe(1)
    await session.close()
  })

  test('names of groups are strings', async () => {
    const session = await open()
    const refused = async (call: (session: Session) => Promise<unknown>, code: string): Promise<void> => {
      await expect(call(session)).rejects.toMatchObject({ code })
    }
    await refused(each => each.join(anything(7)), 'bad-group-name')
    await refused(each => each.join(anything(undefined)), 'bad-group-name')
    await refused(each => each.sendMany(anything('g'), 'x'), 'bad-argument')
    await refused(each => each.sendMany(anything([7]), 'x'), 'bad-group-name')
    await refused(each => each.sendTo(anything(7), 'x'), 'bad-member')
    await refused(each => each.membersOf(anything(null)), 'bad-group-name')
    await session.close()
  })

  test.each([
    [{ name: anything(7) }, 'name is a string, not number'],
    [{ cell: anything({}) }, 'cell is a string, not another object'],
    [{ onWarning: anything('log') }, 'onWarning is a function, not string'],
    [{ trace: anything(null) }, 'trace is a function, not null'],
    [{ sendBufferBytes: Number.NaN }, 'sendBufferBytes is a number from 1 to'],
    [{ sendBufferBytes: 0 }, 'sendBufferBytes is a number from 1 to'],
    [{ queueBytes: -1 }, 'queueBytes is a number from 1 to'],
    [{ handshakeTimeoutMs: 2 ** 31 }, 'handshakeTimeoutMs is a number from 1 to 2147483647, not 2147483648'],
    [{ handshakeTimeoutMs: anything('1s') }, 'handshakeTimeoutMs is a number from 1 to 2147483647, not 1s'],
  ])('options: %o', async (options, words) => {
    await expect(open(options)).rejects.toMatchObject({
      code: 'bad-argument',
      message: expect.stringContaining(words),
    })
  })
})
