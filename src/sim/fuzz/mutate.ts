/** Makes inputs out of others: bytes, text and plain data. */

import type { Random } from '../../lib/prng.ts'

/** Where arithmetic goes wrong. */
const edges: readonly number[] = [
  0,
  1,
  2,
  3,
  127,
  128,
  255,
  256,
  65_535,
  65_536,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 1,
  2 ** 32,
  2 ** 40,
  2 ** 52,
  2 ** 52 + 1,
  2 ** 53 - 2,
  2 ** 53 - 1,
]

/** A number near an edge, or near `value`. */
export function edgeNumber(random: Random, value: number = 0): number {
  if (random.chance(0.5)) return random.pick(edges)
  if (random.chance(0.5)) return Math.max(0, Math.min(2 ** 53 - 1, value + random.between(-2, 2)))
  return random.int(random.pick([4, 300, 70_000, 2 ** 32]))
}

// ---- bytes ----

/** Largest input made: enough for every bound of a field, small enough for many inputs a second. */
const mostBytes = 1 << 17

/** A changed copy. @param others inputs to take parts of. */
export function mutateBytes(random: Random, input: Uint8Array, others: readonly Uint8Array[]): Uint8Array {
  let bytes: Uint8Array = input.slice()
  for (let steps = random.pick([1, 1, 1, 2, 3, 8]); steps > 0; steps--)
    bytes = mutateOnce(random, bytes, others)
  return bytes
}

function mutateOnce(random: Random, bytes: Uint8Array, others: readonly Uint8Array[]): Uint8Array {
  const at = random.int(bytes.length + 1)
  const length = Math.min(bytes.length - at, random.pick([1, 1, 2, 4, 8, 22, 64, 1000]))
  switch (random.int(9)) {
    case 0:
      if (at < bytes.length) bytes[at] = (bytes[at] as number) ^ (1 << random.int(8))
      return bytes
    case 1:
      if (at < bytes.length) bytes[at] = random.int(256)
      return bytes
    case 2:
    case 3:
      putNumber(random, bytes, at)
      return bytes
    case 4:
      return spliced(bytes, at, length, new Uint8Array(0))
    case 5:
      return spliced(bytes, at, 0, bytes.slice(at, at + length))
    case 6:
      return spliced(bytes, at, 0, randomBytes(random, random.pick([1, 2, 4, 30])))
    case 7:
      return bytes.slice(0, at)
    default: {
      const other = random.pick(others)
      const from = random.int(other.length + 1)
      const part = other.subarray(from, from + random.pick([1, 8, 64, other.length]))
      return spliced(bytes, at, random.chance(0.5) ? length : 0, part)
    }
  }
}

/** A number as protocols write it: little-endian, as an integer or as a float. */
function putNumber(random: Random, bytes: Uint8Array, at: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const width = random.pick([2, 4, 8, 8])
  if (at + width > bytes.length) return
  if (width === 2) view.setUint16(at, edgeNumber(random, view.getUint16(at, true)), true)
  else if (width === 4) view.setUint32(at, edgeNumber(random, view.getUint32(at, true)), true)
  else if (random.chance(0.5)) view.setBigUint64(at, BigInt(edgeNumber(random)), true)
  else view.setFloat64(at, random.pick([edgeNumber(random), -1, 0.5, NaN, Infinity, 1e300]), true)
}

function spliced(bytes: Uint8Array, at: number, remove: number, insert: Uint8Array): Uint8Array {
  const room = Math.max(0, mostBytes - (bytes.length - remove))
  const part = insert.subarray(0, room)
  const out = new Uint8Array(bytes.length - remove + part.length)
  out.set(bytes.subarray(0, at))
  out.set(part, at)
  out.set(bytes.subarray(at + remove), at + part.length)
  return out
}

export function randomBytes(random: Random, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => random.int(256))
}

/** Cuts bytes into pieces as a socket might. */
export function pieces(random: Random, bytes: Uint8Array): Uint8Array[] {
  const out: Uint8Array[] = []
  const most = random.pick([1, 7, 100, bytes.length + 1])
  // A byte at a time is slow for what is long.
  const least = Math.ceil(bytes.length / 2000)
  for (let at = 0; at < bytes.length; ) {
    const length = Math.max(least, random.between(1, most))
    out.push(bytes.subarray(at, at + length))
    at += length
  }
  return out
}

// ---- text ----

const oddities: readonly string[] = [
  '',
  ' ',
  '\t',
  '\n',
  '\r\n',
  '\u0000',
  '\ufeff',
  '\ud800',
  '\u2028',
  '𝕏',
  '__proto__',
  'constructor',
  'toString',
  'null',
  'true',
  '~',
  '-1',
  '0',
  '1e999',
  'NaN',
  '.inf',
  '0x7fffffff',
  '9007199254740993',
  '-',
  '- ',
  '? ',
  ':',
  ': ',
  '#',
  '&a ',
  '*a',
  '!!binary ',
  '!!js/function ',
  '<<: ',
  '|\n',
  '%YAML 1.1\n',
  '---\n',
  '...\n',
  '[',
  ']',
  '{',
  '}',
  '"',
  "'",
  '\\',
  ',',
  '=',
  '@',
  '>',
  '<=',
]

/** A changed copy. @param others texts to take words and lines of. */
export function mutateText(random: Random, input: string, others: readonly string[]): string {
  let text = input
  for (let steps = random.pick([1, 1, 2, 3, 6]); steps > 0; steps--)
    text = mutateTextOnce(random, text, others)
  return text.slice(0, mostBytes)
}

function mutateTextOnce(random: Random, text: string, others: readonly string[]): string {
  switch (random.int(7)) {
    case 0: {
      const at = random.int(text.length + 1)
      return text.slice(0, at) + random.pick(oddities) + text.slice(at + random.pick([0, 0, 1, 5]))
    }
    case 1: {
      const from = random.int(text.length + 1)
      return text.slice(0, from) + text.slice(from + random.pick([1, 4, 30]))
    }
    case 2: {
      const lines = text.split('\n')
      lines.splice(
        random.int(lines.length),
        random.int(3),
        ...(random.chance(0.5) ? [random.pick(lines)] : []),
      )
      return lines.join('\n')
    }
    case 3: {
      const lines = text.split('\n')
      const foreign = random.pick(others).split('\n')
      lines.splice(random.int(lines.length + 1), 0, random.pick(foreign))
      return lines.join('\n')
    }
    case 4: {
      // One word becomes another.
      const words = wordsOf(text)
      const word = random.pick(words)
      const other = random.chance(0.5) ? random.pick(wordsOf(random.pick(others))) : random.pick(oddities)
      return replaceSome(random, text, word, other)
    }
    case 5: {
      const numbers = text.match(/\d+/g)
      if (numbers === null) return text
      const number = random.pick(numbers)
      const other = random.pick([
        String(edgeNumber(random, Number(number))),
        '-1',
        '0.5',
        '1e400',
        `${number}0`,
      ])
      return replaceSome(random, text, number, other)
    }
    default: {
      const from = random.int(text.length + 1)
      const part = text.slice(from, from + random.pick([1, 10, 100, 1000]))
      return text.slice(0, from) + part.repeat(random.pick([2, 3, 20])) + text.slice(from + part.length)
    }
  }
}

function wordsOf(text: string): string[] {
  return text.match(/[\p{L}\p{N}_.-]+/gu) ?? ['x']
}

function replaceSome(random: Random, text: string, what: string, by: string): string {
  const parts = text.split(what)
  if (parts.length < 2 || random.chance(0.2)) return parts.join(by)
  const at = random.between(1, parts.length - 1)
  return `${parts.slice(0, at).join(what)}${by}${parts.slice(at).join(what)}`
}

// ---- plain data ----

/**
 * A copy of plain data with a few leaves or lists changed. Byte arrays stay as they are; the result has the shape of the input,
 * but for what a list holds and what may be null.
 * @param words texts to take the place of others
 */
export function mutateData<T>(random: Random, input: T, words: readonly string[]): T {
  let data: unknown = input
  for (let steps = random.pick([1, 1, 2, 4]); steps > 0; steps--) data = changed(random, data, words)
  return data as T
}

function changed(random: Random, value: unknown, words: readonly string[]): unknown {
  if (typeof value === 'number') return edgeNumber(random, value)
  if (typeof value === 'boolean') return !value
  if (typeof value === 'string') return random.pick(words)
  if (value === null || value instanceof Uint8Array) return value
  if (Array.isArray(value)) return changedList(random, value, words)
  if (typeof value !== 'object') return value
  const keys = Object.keys(value)
  if (keys.length === 0) return value
  const key = random.pick(keys)
  return { ...value, [key]: changed(random, (value as Record<string, unknown>)[key], words) }
}

function changedList(random: Random, list: readonly unknown[], words: readonly string[]): unknown[] {
  const copy = [...list]
  if (copy.length === 0) return copy
  const at = random.int(copy.length)
  switch (random.int(6)) {
    case 0:
      copy.splice(at, 1)
      return copy
    case 1:
      copy.splice(at, 0, copy[at])
      return copy
    case 2:
      copy.push(changed(random, copy[at], words))
      return copy
    case 3:
      return random.shuffle(copy)
    default:
      copy[at] = changed(random, copy[at], words)
      return copy
  }
}
