import { expect, test } from 'vitest'
import { Random } from './prng.ts'

test('the same seed gives the same numbers, for ever', () => {
  const random = new Random(42)
  expect([random.u32(), random.u32(), random.u32()]).toMatchInlineSnapshot(`
    [
      943691410,
      1062663701,
      148213581,
    ]
  `)
  const first = new Random(7)
  const second = new Random(7)
  for (let i = 0; i < 100; i++) expect(first.next()).toBe(second.next())
})

test('seeds that differ in any part give other streams', () => {
  const starts = new Set<number>()
  for (let seed = 0; seed < 2000; seed++) starts.add(new Random(seed).u32())
  starts.add(new Random(2 ** 40).u32())
  starts.add(new Random(2 ** 41).u32())
  expect(starts.size).toBe(2002)
})

test('int is uniform and within its bounds', () => {
  const random = new Random(1)
  const counts = Array.from({ length: 10 }, () => 0)
  for (let i = 0; i < 100_000; i++) counts[random.int(10)]! += 1
  for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(500)
  expect(random.int(0)).toBe(0)
  expect(() => random.pick([])).toThrow(RangeError)
})

test('a fork depends on seed and label, not on what its parent has drawn', () => {
  const parent = new Random(5)
  const before = parent.fork('network').u32()
  parent.u32()
  expect(parent.fork('network').u32()).toBe(before)
  expect(parent.fork('faults').u32()).not.toBe(before)
})

test('shuffle keeps the elements', () => {
  const list = new Random(3).shuffle([1, 2, 3, 4, 5, 6, 7, 8])
  expect([...list].sort()).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
})
