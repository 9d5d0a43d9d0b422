import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { SessionEvent } from '../client/events.ts'
import { lineBatches, LineTooLongError, whole } from './lines.ts'
import { humanPrinter, jsonPrinter } from './print.ts'
import { bytesText, columns, durationText, painter, printable, shortId } from './style.ts'
import { wantsColour } from './terminal.ts'

const plain = painter(false)

async function* stream(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  // One buffer for all chunks, as a reader may do: whoever keeps a chunk must copy it.
  const shared = new Uint8Array(256)
  for (const chunk of chunks) {
    shared.set(chunk)
    yield shared.subarray(0, chunk.length)
  }
}

async function lines(chunks: readonly Uint8Array[], maximum = 10_000): Promise<string[]> {
  const all: string[] = []
  for await (const batch of lineBatches(stream(chunks), maximum)) {
    for (const line of batch) all.push(Buffer.from(line).toString('latin1'))
  }
  return all
}

describe('lineBatches', () => {
  it('is the same however the input is cut', async () => {
    const piece = fc.constantFrom('a', 'bc', '\n', '\r\n', '\u00ff')
    const chunk = fc.array(piece, { maxLength: 20 }).map(parts => Buffer.from(parts.join(''), 'latin1'))
    await fc.assert(
      fc.asyncProperty(fc.array(chunk, { maxLength: 8 }), async chunks => {
        const text = Buffer.concat(chunks).toString('latin1')
        const expected = text.split('\n')
        if (expected.at(-1) === '') expected.pop()
        expect(await lines(chunks)).toEqual(expected)
      }),
    )
  })

  it('refuses lines that are too long, with and without an end', async () => {
    await expect(lines([Buffer.from('abc\nabcd\n')], 3)).rejects.toThrow(LineTooLongError)
    await expect(lines([Buffer.from('ab'), Buffer.from('cd')], 3)).rejects.toThrow('more than 3 bytes')
    expect(await lines([Buffer.from('abc\nabc')], 3)).toEqual(['abc', 'abc'])
  })

  it('takes all as one', async () => {
    expect(Buffer.from(await whole(stream([Buffer.from('a\n'), Buffer.from('b')]), 3)).toString()).toBe(
      'a\nb',
    )
    await expect(whole(stream([Buffer.from('a\n'), Buffer.from('b')]), 2)).rejects.toThrow(LineTooLongError)
  })
})

describe('printable', () => {
  it('spells out whatever could move a cursor or reorder a line', () => {
    expect(printable('a\u001b[2Jb\tc\n\u0000\u0085\u202e')).toBe('a\\x1b[2Jb\\tc\\n\\x00\\x85\\u202e')
    expect(printable('привет 🏺')).toBe('привет 🏺')
  })
})

describe('columns', () => {
  it('aligns, whatever is painted', () => {
    const rows = [
      ['a', 'long', 'x'],
      ['bcd', '', 'y'],
    ]
    expect(columns(rows, plain)).toBe('a    long  x\nbcd        y\n')
    // oxlint-disable-next-line no-control-regex -- colours
    expect(columns(rows, painter(true), ['red', 'dim']).replace(/\u001b\[\d+m/g, '')).toBe(
      columns(rows, plain),
    )
  })
})

describe('numbers for people', () => {
  it('are short', () => {
    expect([5, 1536, 3 * 1024 * 1024].map(bytesText)).toEqual(['5 B', '1.5 KiB', '3.0 MiB'])
    expect([5.4, 1500, 61_000, 3_700_000, 90_000_000].map(durationText)).toEqual([
      '5 ms',
      '1.5 s',
      '1 min 1 s',
      '1 h 1 min',
      '1 d 1 h',
    ])
    expect(shortId('alice@n1#0123456789abcdef0123456789abcdef.7')).toBe('alice@n1#0123.7')
  })
})

describe('wantsColour', () => {
  it('follows the terminal, NO_COLOR and FORCE_COLOR', () => {
    expect(wantsColour({ TERM: 'xterm' }, true)).toBe(true)
    expect(wantsColour({ TERM: 'xterm' }, false)).toBe(false)
    expect(wantsColour({ TERM: 'dumb' }, true)).toBe(false)
    expect(wantsColour({ NO_COLOR: '1', FORCE_COLOR: '1' }, true)).toBe(false)
    expect(wantsColour({ NO_COLOR: '' }, true)).toBe(true)
    expect(wantsColour({ FORCE_COLOR: '1' }, false)).toBe(true)
    expect(wantsColour({ FORCE_COLOR: '0' }, true)).toBe(false)
  })
})

export function message(data: string | Uint8Array, fields: object = {}): SessionEvent {
  const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : data
  return {
    type: 'message',
    group: 'orders',
    id: 'bob@n2#0.1:4',
    sender: 'bob@n2#0123456789abcdef0123456789abcdef.1',
    view: 'v1',
    position: '1.2.0.0.0',
    service: 'agreed',
    data: bytes,
    ...fields,
  } as unknown as SessionEvent
}

export function view(fields: object = {}): SessionEvent {
  return {
    type: 'view',
    group: 'orders',
    view: 'v1',
    previous: null,
    cause: 'join',
    members: ['alice@n1#0.1', 'bob@n2#0.1'],
    joined: ['bob@n2#0.1'],
    left: [],
    origins: [],
    ...fields,
  } as unknown as SessionEvent
}

describe('jsonPrinter', () => {
  const print = jsonPrinter()
  it('has the payload as text, or in base64 if it is not UTF-8', () => {
    expect(JSON.parse(print(message('\ufeffпривет\n')))).toEqual({
      type: 'message',
      group: 'orders',
      id: 'bob@n2#0.1:4',
      sender: 'bob@n2#0123456789abcdef0123456789abcdef.1',
      view: 'v1',
      position: '1.2.0.0.0',
      service: 'agreed',
      data: '\ufeffпривет\n',
    })
    const binary = JSON.parse(print(message(Uint8Array.of(0xff, 0, 1)))) as Record<string, unknown>
    expect(binary['dataBase64']).toBe('/wAB')
    expect('data' in binary).toBe(false)
  })

  it('is one line for every kind of event', () => {
    const events: SessionEvent[] = [
      message('a\nb'),
      view(),
      { type: 'transitional', cell: 'main', group: 'orders', view: 'v1' },
      { type: 'warning', code: 'unread-group', message: 'x', group: null },
      { type: 'reconnected', cell: 'main', previous: 'a', session: 'b' },
    ]
    expect(events.map(event => print(event).match(/\n/g)?.length)).toEqual([1, 1, 1, 1, 1])
    expect(events.map(event => (JSON.parse(print(event)) as { type: string }).type)).toEqual(
      events.map(({ type }) => type),
    )
  })
})

describe('humanPrinter', () => {
  it('aligns, and shows nothing raw', () => {
    const print = humanPrinter(plain, ['orders'])
    expect(print(view())).toBe(
      'view          2 members: alice@n1#0.1 bob@n2#0.1  (join; joined: bob@n2#0.1)\n',
    )
    expect(print(message('hello \u001b[31m'))).toBe('message       bob@n2#0123.1  hello \\x1b[31m\n')
    expect(print(message(Uint8Array.of(0xff)))).toBe('message       bob@n2#0123.1  base64:/w==\n')
    expect(print({ type: 'transitional', cell: 'main', group: 'orders', view: 'v1' })).toBe(
      'transitional  a change caused by the network follows\n',
    )
  })

  it('says the group if there are several', () => {
    const print = humanPrinter(plain, ['a', 'orders'])
    expect(print(message('x', { group: 'a' }))).toBe('message       a          bob@n2#0123.1  x\n')
    expect(print(message('x', { group: null }))).toBe('message       (private)  bob@n2#0123.1  x\n')
  })

  it('shortens long lists of members', () => {
    const members = Array.from({ length: 12 }, (_, i) => `m${i}@n#0.${i}`)
    const text = humanPrinter(plain, ['orders'])(view({ members, joined: members }))
    expect(text).toBe(`view          12 members: ${members.slice(0, 8).join(' ')} and 4 more  (join)\n`)
  })
})
