import fc from 'fast-check'
import { expect, test } from 'vitest'
import { checkBody, makeBody } from './payload.ts'

test('a body checks out however it is sliced, and no other does', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(40), { minLength: 1, maxLength: 5 }),
      fc.nat(1000),
      fc.array(fc.nat(200)),
      (sizes, sequence, cuts) => {
        const body = makeBody('a@n1#0.1', sequence, sizes)
        const points = [0, ...cuts.map(cut => cut % (body.length + 1)).sort((x, y) => x - y), body.length]
        const slices = points.slice(1).map((end, index) => body.subarray(points[index], end))
        expect(checkBody('a@n1#0.1', sequence, sizes.length, slices)).toBeNull()
        expect(
          checkBody('a@n1#0.1', sequence, sizes.length, [body.subarray(0, body.length - 1)]),
        ).not.toBeNull()
        expect(checkBody('a@n1#0.1', sequence, sizes.length + 1, [body])).not.toBeNull()
        const damaged = body.slice()
        damaged[body.length - 1] = (damaged[body.length - 1] as number) ^ 1
        expect(checkBody('a@n1#0.1', sequence, sizes.length, [damaged])).not.toBeNull()
      },
    ),
  )
})

test('messages of another session or sequence differ', () => {
  const body = makeBody('a@n1#0.1', 5, [16])
  expect(checkBody('a@n1#0.1', 6, 1, [body])).toMatch(/differs/)
  expect(checkBody('a@n2#0.1', 5, 1, [body])).toMatch(/differs/)
})
