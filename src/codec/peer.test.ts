import { crc32 as zlibCrc32 } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Frame } from '../core/frames.ts'
import type { Segment } from '../core/types.ts'
import type { MessagesHead } from '../groups/types.ts'
import { crc32 } from '../lib/crc32.ts'
import { KINDS, type Slices } from './envelope.ts'
import { CodecError } from './error.ts'
import { A, anyFrame, B, FIXED_FRAMES, joined, whole } from './frames.fixture.ts'
import { FrameDecoder, FrameEncoder } from './peer.ts'

const encoderOf = (cell = 'main', self = A): FrameEncoder => new FrameEncoder({ cell, self, crc32 })
const decoderOf = (cell = 'main', from: string | null = A): FrameDecoder =>
  new FrameDecoder({ cell, from, crc32: zlibCrc32 })

/** The same frame in bytes, with the checksum made right again after `change`. */
function tampered(frame: Slices, change: (bytes: Uint8Array) => void): Uint8Array {
  const bytes = joined(frame.slices)
  change(bytes)
  new DataView(bytes.buffer).setUint32(4, crc32(bytes.subarray(8)), true)
  return bytes
}

function failure(decode: () => unknown): CodecError {
  try {
    decode()
  } catch (error) {
    if (error instanceof CodecError) return error
    throw error
  }
  throw new Error('decoded what it must refuse')
}

test('a segment that counts less than its payload would pass windows by: it is refused', () => {
  const { data } = FIXED_FRAMES
  if (data?.kind !== 'data') throw new Error('the fixed data frame is one')
  const segments = data.segments.map(segment => ({ ...segment, bytes: 0, body: [new Uint8Array(9)] }))
  const encoded = encoderOf().encode({ ...data, segments })
  const error = failure(() => decoderOf().decode(encoded))
  expect(error.code).toBe('value')
  expect(error.message).toMatch(/counts 0 bytes and has 9/)
})

describe('round trip', () => {
  for (const [name, frame] of Object.entries(FIXED_FRAMES)) {
    test(name, () => {
      const encoded = encoderOf().encode(frame)
      expect(whole(decoderOf().decode(encoded))).toEqual(whole(frame))
      expect(whole(decoderOf().decode(joined(encoded.slices)))).toEqual(whole(frame))
    })
  }

  test('any frames one after another over one link, in slices of any size', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(anyFrame, fc.integer({ min: 1, max: 40 })), { maxLength: 8 }), list => {
        const encoder = encoderOf()
        const decoder = decoderOf()
        for (const [frame, size] of list) {
          const { bytes, slices } = encoder.encode(frame)
          expect(slices.reduce((sum, slice) => sum + slice.length, 0)).toBe(bytes)
          const payload = joined(slices.slice(1))
          const pieces = [slices[0] as Uint8Array]
          for (let at = 0; at < payload.length; at += size) pieces.push(payload.subarray(at, at + size))
          expect(whole(decoder.decode({ bytes, slices: pieces }))).toEqual(whole(frame))
          expect(decoder.envelope?.counter).toBe(encoder.counter)
        }
      }),
      { numRuns: 300 },
    )
  })
})

describe('nothing is copied', () => {
  test('encoding keeps the payload slices, decoding gives subarrays', () => {
    const body = new Uint8Array(1000).fill(7)
    const segment = { safe: false, more: true, head: null, bytes: 1032, body: [body] }
    const frame = { ...(FIXED_FRAMES['data'] as Frame & { kind: 'data' }), segments: [segment, segment] }
    const encoded = encoderOf().encode(frame)
    expect(encoded.slices).toHaveLength(3)
    expect(encoded.slices[1]).toBe(body)
    const bytes = joined(encoded.slices)
    const decoded = decoderOf().decode(bytes) as typeof frame
    expect(decoded.segments[1]?.body[0]?.buffer).toBe(bytes.buffer)
    const again = decoderOf().decode(encoded) as typeof frame
    expect(again.segments[0]?.body[0]).toBe(body)
  })

  test('a repeated configuration and destination are the same objects', () => {
    const encoder = encoderOf()
    const decoder = decoderOf()
    const frames = [1, 2].map(() => decoder.decode(encoder.encode(FIXED_FRAMES['data'] as Frame)))
    const [first, second] = frames as [Frame & { kind: 'data' }, Frame & { kind: 'data' }]
    expect(second.configuration).toBe(first.configuration)
    const [one, two] = [first, second].map(frame => frame.segments[1]?.head as MessagesHead)
    expect(two?.destination).toBe(one?.destination)
    expect(two?.destination).toEqual({ to: 'groups', groups: ['orders', 'заказы'] })
  })

  test('headers of thousands of segments outgrow a slab', () => {
    const segments = Array.from({ length: 3000 }, (_, i) => ({
      safe: false,
      more: false,
      head: { kind: 'open', session: i, name: 'x'.repeat(200) },
      bytes: 33,
      body: [Uint8Array.of(i)],
    }))
    const frame = { ...(FIXED_FRAMES['data'] as Frame & { kind: 'data' }), segments }
    const encoder = encoderOf()
    const before = encoder.encode(FIXED_FRAMES['form'] as Frame)
    expect(whole(decoderOf().decode(encoder.encode(frame)))).toEqual(whole(frame))
    expect(decoderOf().decode(before)).toEqual(FIXED_FRAMES['form'])
  })
})

describe('bytes are not trusted', () => {
  // Found by the fuzzer: two ways to say the same, and segments that no layer has a use for.
  test.each<[string, Partial<Segment>, number]>([
    ['a traced fragment', { more: true, head: null }, 2 | 8],
    ['a traced open', { head: { kind: 'open', session: 1, name: 'x' } }, 4 | 8],
    ['neither head nor more', { head: null }, 0],
    ['a head and more', { head: { kind: 'open', session: 1, name: 'x' } }, 2 | 4],
  ])('a segment with %s', (_, change, flags) => {
    const segment: Segment = { safe: false, more: false, head: null, bytes: 0, body: [], ...change }
    const frame = { ...(FIXED_FRAMES['data'] as Frame & { kind: 'data' }), segments: [segment] }
    // The last bytes are the segment: flags, payload, counted bytes, and the head if it has one.
    const head = segment.head === null ? 0 : 1 + 4 + 2
    const bytes = tampered(encoderOf().encode(frame), all => (all[all.length - head - 9] = flags))
    expect(failure(() => decoderOf().decode(bytes)).code).toBe('value')
  })

  for (const [name, frame] of Object.entries(FIXED_FRAMES)) {
    test(`${name}, cut off at every byte`, () => {
      const bytes = joined(encoderOf().encode(frame).slices)
      for (let end = 0; end < bytes.length; end++) {
        failure(() => decoderOf().decode(bytes.subarray(0, end)))
      }
    })

    test(`${name}, cut off at every byte with lengths and checksum made right`, () => {
      const encoded = encoderOf().encode(frame)
      const head = (encoded.slices[0] as Uint8Array).length
      for (let end = 56; end < encoded.bytes; end++) {
        const short = joined(encoded.slices).slice(0, end)
        const bytes = tampered({ bytes: end, slices: [short] }, copy => {
          const view = new DataView(copy.buffer)
          view.setUint32(8, end, true)
          view.setUint32(12, Math.min(head, end), true)
        })
        failure(() => decoderOf().decode(bytes))
      }
    })

    test(`${name}, every bit flipped: the checksum, or what stands before it, finds it`, () => {
      const bytes = joined(encoderOf().encode(frame).slices)
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7))
        const { code } = failure(() => decoderOf().decode(bytes))
        expect(['crc', 'magic', 'version', 'length', 'truncated', 'trailing', 'value']).toContain(code)
        bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7))
      }
    })
  }

  test('flipped bits beneath a right checksum decode to a frame or to a CodecError', () => {
    fc.assert(
      fc.property(anyFrame, fc.array(fc.nat(), { minLength: 1, maxLength: 6 }), (frame, flips) => {
        const bytes = tampered(encoderOf().encode(frame), copy => {
          for (const flip of flips) {
            const at = 56 + ((flip >> 3) % Math.max(1, copy.length - 56))
            if (at < copy.length) copy[at] = (copy[at] as number) ^ (1 << (flip & 7))
          }
        })
        try {
          // Whatever still decodes is a proper frame: it encodes again.
          encoderOf().encode(decoderOf().decode(bytes))
        } catch (error) {
          expect(error).toBeInstanceOf(CodecError)
        }
      }),
      { numRuns: 2000 },
    )
  })

  test('random bytes behind a right envelope', () => {
    const kinds = Object.values(KINDS)
    fc.assert(
      fc.property(fc.constantFrom(...kinds), fc.uint8Array({ maxLength: 300 }), (kind, noise) => {
        const bytes = tampered(encoderOf().encode({ kind: 'challenge', nonce: 1 }), () => undefined)
        const long = joined([bytes.subarray(0, 56), noise])
        const frame = tampered({ bytes: long.length, slices: [long] }, copy => {
          const view = new DataView(copy.buffer)
          view.setUint32(8, long.length, true)
          view.setUint32(12, long.length, true)
          copy[17] = kind
        })
        try {
          encoderOf().encode(decoderOf().decode(frame))
        } catch (error) {
          expect(error).toBeInstanceOf(CodecError)
        }
      }),
      { numRuns: 2000 },
    )
  })

  test('a count of four thousand million costs nothing', () => {
    const frame = encoderOf().encode({ ...(FIXED_FRAMES['data'] as Frame & { kind: 'data' }), segments: [] })
    const bytes = tampered(frame, copy =>
      new DataView(copy.buffer).setUint32(copy.length - 4, 0xffffffff, true),
    )
    const { code, message } = failure(() => decoderOf().decode(bytes))
    expect(code).toBe('length')
    expect(message).toBe(
      `number of segments is 4294967295: more than the frame can hold (at byte ${bytes.length - 4})`,
    )
  })

  test('Infinity is taken only where it has a meaning', () => {
    expect(() => encoderOf().encode({ kind: 'challenge', nonce: Infinity })).toThrow(RangeError)
    const bytes = tampered(encoderOf().encode({ kind: 'challenge', nonce: 1 }), copy => copy.fill(0xff, 56))
    expect(failure(() => decoderOf().decode(bytes)).code).toBe('value')
  })

  test('unsorted members, a row that hears itself, strangers that come together', () => {
    expect(() =>
      encoderOf().encode({ ...(FIXED_FRAMES['form'] as Frame & { kind: 'form' }), members: [B, A] }),
    ).toThrow('sorted')
    const plan = FIXED_FRAMES['plan'] as Frame & { kind: 'plan' }
    const groups = plan.groups.map(group => ({ ...group, together: [`n9#${'0'.repeat(32)}`] }))
    expect(failure(() => decoderOf().decode(encoderOf().encode({ ...plan, groups }))).message).toContain(
      'a configuration they were not in',
    )
    const heartbeat = FIXED_FRAMES['heartbeat'] as Frame & { kind: 'heartbeat' }
    const rows = [{ member: A, version: 1, hears: [A] }]
    expect(failure(() => decoderOf().decode(encoderOf().encode({ ...heartbeat, rows }))).message).toContain(
      'its own member',
    )
  })
})

describe('the envelope', () => {
  const challenge: Frame = { kind: 'challenge', nonce: 1 }

  test('another cell, another sender, another incarnation', () => {
    const frame = encoderOf().encode(challenge)
    expect(failure(() => decoderOf('wan').decode(frame)).code).toBe('cell')
    expect(failure(() => decoderOf('main', B).decode(frame)).message).toContain('another sender')
    const rebooted = `n1#${'f'.repeat(32)}`
    expect(failure(() => decoderOf('main', rebooted).decode(frame)).message).toContain('another incarnation')
    expect(decoderOf('main', null).decode(frame)).toEqual(challenge)
  })

  test('another version, an unknown kind, the reserved kind, a critical flag, a key', () => {
    const frame = encoderOf().encode(challenge)
    const code = (at: number, value: number): string =>
      failure(() => decoderOf().decode(tampered(frame, bytes => (bytes[at] = value)))).code
    expect(code(16, 2)).toBe('version')
    expect(code(17, 200)).toBe('kind')
    expect(code(17, KINDS.admin)).toBe('kind')
    expect(code(19, 1)).toBe('flags')
    expect(code(24, 1)).toBe('sealed')
    expect(decoderOf().decode(tampered(frame, bytes => (bytes[18] = 1)))).toEqual(challenge)
  })

  test('a frame larger than allowed is refused on both sides', () => {
    const data = FIXED_FRAMES['data'] as Frame
    const small = new FrameEncoder({ cell: 'main', self: A, crc32, maxFrameBytes: 64 })
    expect(() => small.encode(data)).toThrow('allowed are 64')
    const decoder = new FrameDecoder({ cell: 'main', from: A, crc32, maxFrameBytes: 64 })
    expect(failure(() => decoder.decode(encoderOf().encode(data))).code).toBe('length')
  })

  test('what is no member id is refused before anything is written', () => {
    expect(() => encoderOf('main', 'n1')).toThrow('not a member id')
    expect(() => encoderOf('main', `n1#${'G'.repeat(32)}`)).toThrow('not a member id')
  })
})
