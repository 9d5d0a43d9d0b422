import fc from 'fast-check'
import { expect, test } from 'vitest'
import { crc32 } from '../lib/crc32.ts'
import { CodecError } from './error.ts'
import { A } from './frames.fixture.ts'
import { decodeHello, encodeHello, type Hello, HELLO_PREFIX_BYTES, helloLength } from './handshake.ts'

const hello: Hello = {
  lowestVersion: 1,
  highestVersion: 2,
  features: 0x80000001,
  authentication: 'none',
  lane: 'data',
  verdict: 'refused',
  port: 4800,
  member: A,
  expected: 'n2',
  cluster: 'prod',
  cell: 'main',
  digest: 'abcd',
  rules: 'orders.*: wan\n*: main',
  reason: 'cluster id is "prod" here and "test" there',
}

const GOLDEN =
  '414e414875189f7182000000010002000100008000010200c012026e310123456789abcdef0123456789abcdef026e320470726f64046d61696e046162636415006f72646572732e2a3a2077616e0a2a3a206d61696e2a00636c7573746572206964206973202270726f6422206865726520616e6420227465737422207468657265'

test('golden', () => {
  expect(Buffer.from(encodeHello(hello, crc32)).toString('hex')).toBe(GOLDEN)
  expect(decodeHello(new Uint8Array(Buffer.from(GOLDEN, 'hex')), crc32)).toEqual(hello)
})

test('texts that are too long are cut off, not refused', () => {
  const long = decodeHello(
    encodeHello({ ...hello, rules: 'я'.repeat(40_000), reason: 'x'.repeat(9000) }, crc32),
    crc32,
  )
  expect(long.rules).toMatch(/^я+…$/)
  expect(long.reason).toMatch(/^x+…$/)
})

test('later versions append fields, and use methods that are not known here', () => {
  const bytes = encodeHello(hello, crc32)
  const later = new Uint8Array(bytes.length + 5)
  later.set(bytes)
  later[20] = 7
  const view = new DataView(later.buffer)
  view.setUint32(8, later.length, true)
  view.setUint32(4, crc32(later.subarray(8)), true)
  expect(decodeHello(later, crc32)).toEqual({ ...hello, authentication: 'method 7' })
})

test('a wrong magic is known at its first byte, a length of 4 GiB at once', () => {
  expect(helloLength(new Uint8Array(0))).toBe(0)
  expect(helloLength(Uint8Array.of(0x41, 0x4e))).toBe(0)
  expect(() => helloLength(Uint8Array.of(0x47))).toThrow(CodecError)
  const prefix = encodeHello(hello, crc32).slice(0, HELLO_PREFIX_BYTES)
  expect(helloLength(prefix)).toBe(encodeHello(hello, crc32).length)
  prefix.fill(0xff, 8)
  expect(() => helloLength(prefix)).toThrow('hello of 4294967295 bytes')
})

test('cut off at every byte, flipped at every bit, changed beneath a right checksum: CodecError or a hello', () => {
  const bytes = encodeHello(hello, crc32)
  for (let end = 0; end < bytes.length; end++) {
    expect(() => decodeHello(bytes.slice(0, end), crc32)).toThrow(CodecError)
  }
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = bytes.slice()
    flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7))
    expect(() => decodeHello(flipped, crc32)).toThrow(CodecError)
  }
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 5 }), changes => {
      const changed = bytes.slice()
      for (const [at, value] of changes) changed[12 + (at % (changed.length - 12))] = value
      new DataView(changed.buffer).setUint32(4, crc32(changed.subarray(8)), true)
      try {
        expect(decodeHello(changed, crc32).member).toMatch(/^.+#[0-9a-f]{32}$/s)
      } catch (error) {
        if (!(error instanceof CodecError)) throw error
      }
    }),
    { numRuns: 1000 },
  )
})
