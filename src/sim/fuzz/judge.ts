/** What every decoder is held to, whatever it decodes. */

import { isDeepStrictEqual } from 'node:util'
import { demand, FuzzFailure } from './target.ts'

/** A sentence, not a page: of an input a message shows a part at most. */
const mostWords = 4000

/** The error must be the decoder's own, and say something. */
export function judgeError(error: unknown, own: (error: Error) => boolean): void {
  if (!(error instanceof Error) || !own(error)) throw error
  demand(error.message.length > 5, `the error says nothing: '${error.message}'`)
  demand(error.message.length <= mostWords, `the error goes on for ${error.message.length} characters`)
}

/** Objects, lists, texts and numbers that a value consists of: what it cost to build. */
export function sizeOf(value: unknown): number {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return 1
  let size = 1
  for (const inner of Array.isArray(value) ? value : Object.values(value)) size += sizeOf(inner)
  return size
}

/** Nothing is built because a count says so: what comes out is bounded by what went in. */
export function judgeSize(value: unknown, bytes: number): void {
  const size = sizeOf(value)
  demand(size <= 64 + 8 * bytes, `${bytes} bytes became ${size} values`)
}

export function judgeEqual(actual: unknown, expected: unknown, what: string): void {
  if (isDeepStrictEqual(actual, expected)) return
  throw new FuzzFailure(`${what}: ${shorten(actual)} instead of ${shorten(expected)}`)
}

export function shorten(value: unknown): string {
  const text = JSON.stringify(value, (_, inner: unknown) =>
    inner instanceof Uint8Array
      ? `${inner.length} bytes`
      : typeof inner === 'bigint' || inner === Number.POSITIVE_INFINITY
        ? String(inner)
        : inner,
  )
  return text === undefined ? String(value) : text.length > 2000 ? `${text.slice(0, 2000)}…` : text
}

export function hex(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 2000)).toString('hex')
  return bytes.length > 2000 ? `${text}… (${bytes.length} bytes)` : text
}

/** One piece of bytes. */
export function joined(slices: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(slices.reduce((sum, slice) => sum + slice.length, 0))
  let at = 0
  for (const slice of slices) {
    bytes.set(slice, at)
    at += slice.length
  }
  return bytes
}
