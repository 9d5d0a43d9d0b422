import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { DataFrame } from '../core/frames.ts'
import { crc32 } from '../lib/crc32.ts'
import { ENVELOPE_BYTES, type Slices } from './envelope.ts'
import { CodecError } from './error.ts'
import { A, B, C, configurationIdOf, FIXED_FRAMES, joined, whole } from './frames.fixture.ts'
import { FrameDecoder, FrameEncoder } from './peer.ts'
import { RelayCodec } from './relay.ts'

const D = `n4#${'4'.repeat(32)}`

function codecOf(self: string, cell = 'main'): RelayCodec {
  return new RelayCodec({ cell, self, crc32 })
}

/** A data frame of A. */
function dataFrame(...body: Uint8Array[]): { frame: DataFrame; slices: Slices } {
  const bytes = body.reduce((sum, slice) => sum + slice.length, 0)
  const frame: DataFrame = {
    kind: 'data',
    configuration: configurationIdOf(3, A, 7),
    rank: 0,
    seq: 5,
    ts: 6,
    facts: { clock: 6, seq: 5, received: 1, credit: 1, consumed: 0 },
    segments: [{ safe: false, more: true, head: null, bytes, body }],
  }
  return { frame, slices: new FrameEncoder({ cell: 'main', self: A, crc32 }).encode(frame) }
}

const body = [new Uint8Array(20_000).fill(1), new Uint8Array(3).fill(2)]

describe('a relayed frame', () => {
  test('passes from hand to hand: its payload is never copied, and its origin’s decoder takes it', () => {
    const { frame, slices } = dataFrame(...body)
    const first = codecOf(A).encode({ origin: A, rest: [C, D], frame: slices })
    expect(first.slices.slice(1)).toEqual(body)
    expect(first.slices[1]?.buffer).toBe(body[0]?.buffer)
    const atB = codecOf(B).decode(first)
    expect([atB.origin, atB.rest]).toEqual([A, [C, D]])
    const atC = codecOf(C).decode(codecOf(B).encode({ ...atB, rest: [D] }))
    expect([atC.origin, atC.rest]).toEqual([A, [D]])
    expect(atC.frame.slices[1]?.buffer).toBe(body[0]?.buffer)
    for (const { frame: within } of [atB, atC]) {
      expect(joined(within.slices)).toEqual(joined(slices.slices))
      expect(whole(new FrameDecoder({ cell: 'main', from: A, crc32 }).decode(within))).toEqual(whole(frame))
    }
  })

  test('that lies in one piece, as one chunk may hold it', () => {
    const { slices } = dataFrame(...body)
    const relay = codecOf(A).encode({ origin: A, rest: [C], frame: slices })
    const piece: Slices = { bytes: relay.bytes, slices: [joined(relay.slices)] }
    const { frame } = codecOf(B).decode(piece)
    expect(joined(frame.slices)).toEqual(joined(slices.slices))
    const again = codecOf(B).encode({ origin: A, rest: [], frame })
    expect(joined(codecOf(C).decode(again).frame.slices)).toEqual(joined(slices.slices))
    expect(again.slices).toHaveLength(2)
    expect(again.slices[1]?.buffer).toBe(piece.slices[0]?.buffer)
  })

  test('golden bytes of its head', () => {
    const { slices } = dataFrame(new Uint8Array(4))
    const relay = codecOf(B).encode({ origin: A, rest: [D], frame: slices })
    const head = relay.slices[0] as Uint8Array
    const length = new DataView(head.buffer, head.byteOffset).getUint16(ENVELOPE_BYTES, true)
    expect(Buffer.from(head.subarray(8, length)).toString('hex')).toBe(
      [
        // Length, head length, version and kind, flags, cell, key, sender, boot, counter.
        '04010000 00010000 01 04 0000 64cd28bf 00000000 56057072 fedcba9876543210fedcba9876543210',
        '0000000000000000',
        // Length of the head; origin; one member to be reached.
        '6200 02 6e31 0123456789abcdef0123456789abcdef 0100 02 6e34 44444444444444444444444444444444',
      ]
        .join('')
        .replaceAll(' ', ''),
    )
    expect(new DataView(head.buffer, head.byteOffset).getUint32(4, true)).toBe(
      crc32(head.subarray(8, length)),
    )
  })
})

function codeOf(relay: Slices, cell = 'main'): string {
  try {
    codecOf(B, cell).decode(relay)
  } catch (error) {
    if (error instanceof CodecError) return error.code
    throw error
  }
  return 'none'
}

describe('what is no relayed frame', () => {
  const relay = codecOf(A).encode({ origin: A, rest: [C], frame: dataFrame(...body).slices })

  test('is refused for its reason', () => {
    expect(codeOf(relay)).toBe('none')
    expect(codeOf(relay, 'wan')).toBe('cell')
    expect(codeOf(dataFrame(...body).slices)).toBe('kind')
    expect(codeOf({ bytes: 0, slices: [] })).toBe('truncated')
    const facts = new FrameEncoder({ cell: 'main', self: A, crc32 }).encode(FIXED_FRAMES.facts as DataFrame)
    expect(codeOf(codecOf(A).encode({ origin: A, rest: [], frame: facts }))).toBe('kind')
    const { slices } = dataFrame()
    expect(codeOf(codecOf(A).encode({ origin: A, rest: [C, D, C], frame: slices }))).toBe('value')
    expect(codeOf(codecOf(A).encode({ origin: A, rest: [C, A], frame: slices }))).toBe('value')
    const cut: Slices = { bytes: 70, slices: [new Uint8Array(70)] }
    expect(codeOf(codecOf(A).encode({ origin: A, rest: [], frame: cut }))).toBe('kind')
  })

  test('is refused whatever bit of the head was flipped, and never but by a CodecError', () => {
    const bytes = joined(relay.slices)
    const head = new DataView(bytes.buffer, bytes.byteOffset).getUint16(ENVELOPE_BYTES, true)
    for (let bit = 0; bit < head * 8; bit++) {
      const spoiled = bytes.slice()
      spoiled[bit >> 3] = (spoiled[bit >> 3] as number) ^ (1 << (bit & 7))
      expect(codeOf({ bytes: spoiled.length, slices: [spoiled] }), `bit ${bit}`).not.toBe('none')
    }
  })

  test('is refused however it was cut or made up', () => {
    fc.assert(
      fc.property(
        fc.nat({ max: 400 }),
        fc.array(fc.tuple(fc.nat({ max: 300 }), fc.nat({ max: 255 })), { maxLength: 6 }),
        fc.boolean(),
        (length, changes, sealed) => {
          const bytes = joined(relay.slices).slice(0, length)
          for (const [at, value] of changes) if (at < length) bytes[at] = value
          const view = new DataView(bytes.buffer)
          // Lengths and checksum in order, so that it is the fields that are looked at.
          if (sealed && length > 60) {
            view.setUint32(8, length, true)
            view.setUint32(12, length, true)
            const own = Math.min(length, view.getUint16(ENVELOPE_BYTES, true))
            view.setUint32(4, crc32(bytes.subarray(8, own)), true)
          }
          codeOf({ bytes: length, slices: [bytes] })
        },
      ),
    )
  })
})
