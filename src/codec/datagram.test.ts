import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { crc32 } from '../lib/crc32.ts'
import {
  decodeDatagram,
  encodeFeedback,
  encodePieceHeader,
  encodeProbe,
  type Feedback,
  MAX_GAPS,
  setUrgent,
} from './datagram.ts'
import { CodecError } from './error.ts'
import { joined } from './frames.fixture.ts'
import { isNotice, type Notice, NoticeCodec } from './notice.ts'

const key = { low: 0x04030201, high: 0xff06_0605 }
const KEY_HEX = '01020304050606ff'
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const SELF = `n1#${'1'.repeat(32)}`

const feedback: Feedback = {
  kind: 'feedback',
  key,
  attached: true,
  paused: false,
  expected: 7,
  attachment: 3,
  probe: 9,
  gaps: [
    { offset: 0, pieces: 2 },
    { offset: 5, pieces: 1 },
  ],
}

const notices: readonly Notice[] = [
  {
    what: 'offer',
    stream: key,
    answer: { low: 5, high: 6 },
    host: '10.0.0.1',
    port: 4803,
    receiveBytes: 425_984,
  },
  { what: 'attach', attachment: 65_535, piece: 2 ** 47, frame: 12 },
  { what: 'detach', attachment: 1, frame: 2 ** 40, frames: 17 },
]

describe('datagrams', () => {
  test('have these bytes', () => {
    const header = encodePieceHeader(key, 2 ** 40 + 2)
    expect(hex(header)).toBe(`414e4155${KEY_HEX}0100020000000001`)
    setUrgent(header)
    expect(hex(header)).toBe(`414e4155${KEY_HEX}0101020000000001`)
    expect(hex(encodeProbe(key, 258, 24))).toBe(`414e4155${KEY_HEX}020002010000000000000000`)
    const bytes = encodeFeedback(feedback, crc32)
    expect(hex(bytes.fill(0, 20, 24))).toBe(
      `414e4155${KEY_HEX}0301070000000000000000000300090000000200000000000200050000000100`,
    )
  })

  test('come out as they went in', () => {
    const payload = new Uint8Array([1, 2, 3])
    const piece = joined([encodePieceHeader(key, 2 ** 48 - 1), payload])
    const decoded = { kind: 'piece', key, number: 2 ** 48 - 1, urgent: false, payload }
    expect(decodeDatagram(piece, crc32)).toEqual(decoded)
    setUrgent(piece)
    expect(decodeDatagram(piece, crc32)).toEqual({ ...decoded, urgent: true })
    expect(decodeDatagram(encodeProbe(key, 5, 1472), crc32)).toEqual({ kind: 'probe', key, number: 5 })
    for (const each of [feedback, { ...feedback, attached: false, paused: true, gaps: [] }]) {
      expect(decodeDatagram(Buffer.from(encodeFeedback(each, crc32)), crc32)).toEqual(each)
    }
    const gaps = Array.from({ length: MAX_GAPS + 1 }, () => ({ offset: 0, pieces: 1 }))
    expect(() => encodeFeedback({ ...feedback, gaps }, crc32)).toThrow('65 gaps, at most 64 fit')
  })

  test.each([
    [new Uint8Array(19), 'truncated'],
    [new Uint8Array(40), 'magic'],
    [encodeProbe(key, 1, 40).fill(9, 12, 13), 'kind'],
    [encodeFeedback(feedback, crc32).subarray(0, 31), 'truncated'],
    [encodeFeedback(feedback, crc32).subarray(0, 43), 'length'],
    [encodeFeedback(feedback, crc32).fill(0xff, 30, 32), 'length'],
    [encodeFeedback(feedback, crc32).fill(8, 14, 15), 'crc'],
  ])('that are none are told: %#', (bytes, code) => {
    expect(() => decodeDatagram(bytes, crc32)).toThrow(expect.objectContaining({ code }))
  })
})

describe('notices', () => {
  const codec = new NoticeCodec({ cell: 'main', self: SELF })

  test('come out as they went in', () => {
    for (const notice of notices) {
      const frame = codec.encode(notice)
      expect(isNotice(frame)).toBe(true)
      expect(codec.decode(frame)).toEqual(notice)
    }
  })

  test('have these bytes', () => {
    const bodies = notices.map(notice =>
      hex(codec.encode(notice).slices[0]?.subarray(56) ?? new Uint8Array()),
    )
    expect(bodies).toEqual([
      `00${KEY_HEX}0500000006000000c3120831302e302e302e3100800600`,
      '01ffff00000000008000000c00000000000000',
      '020100000000000001000011000000',
    ])
  })
})

test('whatever bytes come, the outcome is a value or a CodecError', () => {
  const codec = new NoticeCodec({ cell: 'main', self: SELF })
  const seeds = [
    ...notices.map(notice => codec.encode(notice).slices[0] as Uint8Array),
    encodeFeedback(feedback, crc32),
    encodeProbe(key, 1, 60),
  ]
  const change = fc.record({ at: fc.nat(100), value: fc.nat(255) })
  fc.assert(
    fc.property(fc.constantFrom(...seeds), fc.array(change), fc.nat(100), (seed, changes, cut) => {
      const bytes = new Uint8Array(seed).subarray(0, Math.max(20, seed.length - Math.max(0, cut - 60)))
      for (const { at, value } of changes) if (at < bytes.length) bytes[at] = value
      for (const decode of [
        () => decodeDatagram(bytes, crc32),
        () => codec.decode({ bytes: bytes.length, slices: [bytes] }),
      ]) {
        try {
          decode()
        } catch (error) {
          expect(error).toBeInstanceOf(CodecError)
        }
      }
    }),
  )
})
