import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Slices } from '../codec/envelope.ts'
import { CodecError } from '../codec/error.ts'
import { A, anyFrame, FIXED_FRAMES, joined } from '../codec/frames.fixture.ts'
import { FrameEncoder } from '../codec/peer.ts'
import { crc32 } from '../lib/crc32.ts'
import { FrameSplitter } from './frame-splitter.ts'

const encoder = new FrameEncoder({ cell: 'main', self: A, crc32 })
const LIMIT = 1 << 20

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

test('any frames in chunks of any size come out as they went in, heads in one piece', () => {
  const cuts = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 30 })
  fc.assert(
    fc.property(fc.array(anyFrame, { minLength: 1, maxLength: 6 }), cuts, (frames, sizes) => {
      const encoded = frames.map(frame => encoder.encode(frame))
      const stream = joined(encoded.flatMap(frame => frame.slices))
      const splitter = new FrameSplitter(LIMIT)
      const out: Slices[] = []
      for (let at = 0, i = 0; at < stream.length; i++) {
        const size = sizes[i % sizes.length] as number
        splitter.push(stream.subarray(at, at + size), out)
        at += size
      }
      expect(splitter.partial).toBe(false)
      expect(out.map(frame => hex(joined(frame.slices)))).toEqual(
        encoded.map(frame => hex(joined(frame.slices))),
      )
      out.forEach((frame, i) => {
        expect(frame.bytes).toBe(encoded[i]?.bytes)
        const headLength = encoded[i]?.slices[0]?.length as number
        expect((frame.slices[0] as Uint8Array).length).toBeGreaterThanOrEqual(headLength)
      })
    }),
    { numRuns: 300 },
  )
})

test('payloads are not copied', () => {
  const segment = { safe: false, more: true, head: null, bytes: 1, body: [new Uint8Array(5000)] }
  const frame = { ...FIXED_FRAMES['data'], segments: [segment] } as Parameters<FrameEncoder['encode']>[0]
  const stream = joined(encoder.encode(frame).slices)
  const out: Slices[] = []
  const splitter = new FrameSplitter(LIMIT)
  splitter.push(stream, out)
  splitter.push(stream.subarray(0, 1000), out)
  splitter.push(stream.subarray(1000), out)
  expect(out[0]?.slices.map(slice => slice.buffer === stream.buffer)).toEqual([true])
  expect(out[1]?.slices.map(slice => slice.buffer === stream.buffer)).toEqual([false, true, true])
})

function push(splitter: FrameSplitter, bytes: Uint8Array): CodecError {
  try {
    splitter.push(bytes, [])
  } catch (error) {
    if (error instanceof CodecError) return error
    throw error
  }
  throw new Error('took what it must refuse')
}

test('garbage is known at its first byte, impossible lengths with the prefix', () => {
  expect(push(new FrameSplitter(LIMIT), Uint8Array.of(0x00)).code).toBe('magic')
  expect(push(new FrameSplitter(LIMIT), new Uint8Array(100)).code).toBe('magic')
  const bytes = joined(encoder.encode({ kind: 'challenge', nonce: 1 }).slices)
  const changed = (at: number, value: number): Uint8Array => {
    const copy = bytes.slice()
    new DataView(copy.buffer).setUint32(at, value, true)
    return copy
  }
  expect(push(new FrameSplitter(LIMIT), changed(8, 0xffffffff)).message).toContain(
    'frame of 4294967295 bytes',
  )
  expect(push(new FrameSplitter(LIMIT), changed(12, 0xffffffff)).code).toBe('length')
  expect(push(new FrameSplitter(LIMIT), changed(12, 55)).code).toBe('length')
  const byteByByte = new FrameSplitter(LIMIT)
  const long = changed(8, LIMIT + 1)
  for (let i = 0; i < 15; i++) byteByByte.push(long.subarray(i, i + 1), [])
  expect(push(byteByByte, long.subarray(15, 16)).code).toBe('length')
})
