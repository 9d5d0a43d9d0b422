import { expect, it } from 'vitest'
import { Reader } from './reader.ts'
import { Writer } from './writer.ts'

/** Each value that a header is made of, in every position that the end of a slab may fall in. */
const values: readonly (readonly [string, (writer: Writer) => void, (reader: Reader) => unknown, unknown])[] =
  [
    ['u8', writer => writer.u8(0xa5, ''), reader => reader.u8(''), 0xa5],
    ['u16', writer => writer.u16(0xa55a, ''), reader => reader.u16(''), 0xa55a],
    ['u32', writer => writer.u32(0xa55a_a55a, ''), reader => reader.u32(''), 0xa55a_a55a],
    ['u64', writer => writer.u64(2 ** 52 + 77, ''), reader => reader.u64(''), 2 ** 52 + 77],
    ['infinity', writer => writer.u64OrInfinity(Infinity, ''), reader => reader.u64OrInfinity(''), Infinity],
    ['flag', writer => writer.flag(true), reader => reader.flag(''), true],
    ['choice', writer => writer.choice(['a', 'b'], 'b', ''), reader => reader.choice(['a', 'b'], ''), 'b'],
    ['text8', writer => writer.text8('köln', ''), reader => reader.text8(0, ''), 'köln'],
    ['text16', writer => writer.text16('köln', 99, ''), reader => reader.text16(99, ''), 'köln'],
    ['raw', writer => writer.raw(new Uint8Array([1, 2, 3])), reader => readRaw(reader), [1, 2, 3]],
  ]

it.each(values)('a header that goes on in the next slab holds every %s, and harms no other', (...row) => {
  const [, write, read, value] = row
  const size = sizeOf(write)
  // Longer than the room that is left at the end of any slab, so that it begins in one and ends in the next.
  const count = Math.ceil(1500 / size)
  const writer = new Writer()
  const headers: Uint8Array[] = []
  for (let bytes = 0; bytes < 4 * 64 * 1024; bytes += count * size + 1) {
    writer.begin(1)
    for (let i = 0; i < count; i++) write(writer)
    headers.push(writer.finish())
  }
  const slabs = new Set(headers.map(header => header.buffer))
  expect(slabs.size).toBeGreaterThan(2)
  const reader = new Reader()
  for (const header of headers) {
    reader.reset(header, 1)
    const all = Array.from({ length: count }, () => read(reader))
    expect(all).toEqual(Array.from({ length: count }, () => value))
  }
})

function readRaw(reader: Reader): number[] {
  return [reader.u8(''), reader.u8(''), reader.u8('')]
}

function sizeOf(write: (writer: Writer) => void): number {
  const writer = new Writer()
  writer.begin()
  write(writer)
  return writer.finish().length
}
