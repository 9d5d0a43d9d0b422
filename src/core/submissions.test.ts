import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { joinFragments, type Piece, Submissions } from './submissions.ts'
import type { Segment } from './types.ts'

/** A segment whose payload is cut into slices; `bytes` counts a nominal header on top. */
function segment(head: string, slices: readonly number[] = [10], header = 0, safe = false): Segment {
  const body = slices.map((length, i) =>
    new Uint8Array(length).map((_, at) => (head.length + i * 31 + at) % 251),
  )
  const bytes = slices.reduce((sum, length) => sum + length, header)
  return { safe, more: false, head, bytes, body }
}

function payloadOf(body: readonly Uint8Array[]): number[] {
  return body.flatMap(slice => [...slice])
}

function plain(one: Segment): unknown {
  return { ...one, body: payloadOf(one.body) }
}

function heads(pieces: readonly Piece[]): (string | null)[] {
  return pieces.map(({ piece }) => piece.head as string | null)
}

/** What a receiver makes of the frames. */
function assemble(frames: readonly (readonly Piece[])[]): Segment[] {
  const out: Segment[] = []
  let parts: Segment[] = []
  for (const { piece } of frames.flat()) {
    if (piece.more) parts.push(piece)
    else {
      out.push(joinFragments(parts, piece))
      parts = []
    }
  }
  expect(parts).toEqual([])
  return out
}

describe('submissions', () => {
  it('frames whole segments in order, up to the bytes and the count of a frame', () => {
    const queue = new Submissions()
    for (const head of ['a', 'b', 'c', 'd']) queue.push(segment(head), false)
    expect(queue.bytes).toBe(40)
    expect(heads(queue.take(25, 9, true))).toEqual(['a', 'b'])
    expect(heads(queue.take(25, 1, true))).toEqual(['c'])
    expect(heads(queue.take(25, 9, true))).toEqual(['d'])
    expect(queue.take(25, 9, true)).toEqual([])
    expect([queue.bytes, queue.empty]).toEqual([0, true])
  })

  it('passes a whole segment on as the same object', () => {
    const queue = new Submissions()
    const one = segment('one')
    queue.push(one, false)
    const [piece] = queue.take(10, 1, true)
    expect(piece?.piece).toBe(one)
    expect(piece?.whole).toBe(one)
  })

  it('keeps clients behind the gate, and lets what is urgent go first', () => {
    const queue = new Submissions()
    queue.push(segment('client'), false)
    expect(queue.ready(false)).toBe(false)
    expect(queue.take(100, 9, false)).toEqual([])
    queue.push(segment('urgent'), true)
    expect(queue.ready(false)).toBe(true)
    expect(heads(queue.take(100, 9, false))).toEqual(['urgent'])
    queue.push(segment('urgent 2'), true)
    expect(heads(queue.take(100, 9, true))).toEqual(['urgent 2', 'client'])
  })

  it('fragments what no frame can carry, each piece as full as a frame may be', () => {
    const queue = new Submissions()
    queue.push(segment('large', [20], 5, true), false)
    queue.push(segment('small', [2]), false)
    const frames = [1, 2, 3].map(() => queue.take(10, 9, true))
    expect(frames.map(frame => frame.map(({ piece }) => [piece.more, piece.head, piece.bytes]))).toEqual([
      [[true, null, 10]],
      [[true, null, 10]],
      [
        [false, 'large', 5],
        [false, 'small', 2],
      ],
    ])
    expect(frames.flat().map(({ whole }) => whole?.head)).toEqual([undefined, undefined, 'large', 'small'])
    expect(frames.flat().every(({ piece }) => piece.safe === (piece.head !== 'small'))).toBe(true)
    expect(queue.fragmenting).toBe(false)
  })

  it('puts nothing between the fragments of one segment, not even what is urgent or when the gate closes', () => {
    const queue = new Submissions()
    queue.push(segment('large', [25]), false)
    queue.take(10, 9, true)
    expect(queue.fragmenting).toBe(true)
    queue.push(segment('urgent'), true)
    expect(queue.ready(false)).toBe(true)
    expect(heads(queue.take(10, 9, false))).toEqual([null])
    // The last fragment's frame has room left, which the urgent one does not fit into.
    expect(heads(queue.take(10, 9, false))).toEqual(['large'])
    expect(heads(queue.take(10, 9, false))).toEqual(['urgent'])
  })

  it('starts a fragmented segment again in a new configuration, and drops what was urgent in the old one', () => {
    const queue = new Submissions()
    queue.push(segment('urgent', [25]), true)
    queue.push(segment('large', [25]), false)
    queue.take(10, 9, true)
    queue.restart()
    queue.dropUrgent()
    expect(queue.bytes).toBe(25)
    const frames = [1, 2, 3].map(() => queue.take(10, 9, true))
    const [large] = assemble(frames)
    expect(large?.head).toBe('large')
    expect(payloadOf(large?.body ?? [])).toEqual(payloadOf(segment('large', [25]).body))
  })

  it('gives back every segment whole and once, through any sizes of frames and segments', () => {
    const made = fc.record({
      slices: fc.array(fc.integer({ min: 0, max: 60 }), { maxLength: 4 }),
      header: fc.integer({ min: 1, max: 40 }),
      urgent: fc.boolean(),
      safe: fc.boolean(),
    })
    const limits = fc.record({
      bytes: fc.integer({ min: 1, max: 50 }),
      pieces: fc.integer({ min: 1, max: 5 }),
    })
    fc.assert(
      fc.property(fc.array(made, { maxLength: 20 }), limits, (list, { bytes, pieces }) => {
        const queue = new Submissions()
        const submitted = list.map(({ slices, header, urgent, safe }, i) => {
          const one = segment(`s${i}`, slices, header, safe)
          queue.push(one, urgent)
          return { one, urgent }
        })
        const frames: Piece[][] = []
        while (queue.ready(true)) {
          const frame = queue.take(bytes, pieces, true)
          // Whatever is ready can be framed: otherwise a cell would try for ever.
          expect(frame.length).toBeGreaterThan(0)
          expect(frame.length).toBeLessThanOrEqual(pieces)
          expect(frame.reduce((sum, { piece }) => sum + piece.bytes, 0)).toBeLessThanOrEqual(bytes)
          for (const { piece } of frame) expect(payloadOf(piece.body).length).toBeLessThanOrEqual(piece.bytes)
          frames.push(frame)
        }
        const expected = [...submitted.filter(s => s.urgent), ...submitted.filter(s => !s.urgent)]
        const out = assemble(frames)
        expect(out.map(plain)).toEqual(expected.map(({ one }) => plain(one)))
        expect(queue.bytes).toBe(0)
        expect(queue.empty).toBe(true)
      }),
    )
  })
})
