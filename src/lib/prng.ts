/**
 * A small, fast, seeded pseudo-random generator (sfc32, by Chris Doty-Humphrey; passes PractRand). Not for secrets.
 * The same seed gives the same numbers on every platform: only 32-bit integer arithmetic is used.
 */

/** A mixer of 32-bit words (the finalizer of MurmurHash3): every input bit changes half of the output bits. */
function mix(word: number): number {
  let h = word >>> 0
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

/** One stream of pseudo-random numbers. Streams made by `fork` are independent of how much the parent is used later. */
export class Random {
  private a: number
  private b: number
  private c: number
  private counter = 1
  private readonly origin: number

  /** @param seed any number; the low and the high 32 bits of its integer part both count. */
  constructor(seed: number) {
    const whole = Math.floor(Number.isFinite(seed) ? Math.abs(seed) : 0)
    const low = whole >>> 0
    const high = Math.floor(whole / 0x1_0000_0000) >>> 0
    this.origin = mix(low ^ mix(high ^ 0x9e3779b9))
    this.a = mix(this.origin ^ 0x243f6a88)
    this.b = mix(this.origin ^ 0x85a308d3)
    this.c = mix(this.origin ^ 0x13198a2e)
    for (let i = 0; i < 12; i++) this.u32()
  }

  /** Uniform in 0 … 2^32 − 1. */
  u32(): number {
    const t = (((this.a + this.b) | 0) + this.counter) | 0
    this.counter = (this.counter + 1) | 0
    this.a = this.b ^ (this.b >>> 9)
    this.b = (this.c + (this.c << 3)) | 0
    this.c = (this.c << 21) | (this.c >>> 11)
    this.c = (this.c + t) | 0
    return t >>> 0
  }

  /** Uniform in [0, 1), with 32 random bits. */
  next(): number {
    return this.u32() / 0x1_0000_0000
  }

  /** Uniform integer in 0 … n − 1; 0 if n ≤ 1. */
  int(n: number): number {
    return n <= 1 ? 0 : Math.floor(this.next() * n)
  }

  /** Uniform integer in `low` … `high`, both included. */
  between(low: number, high: number): number {
    return low + this.int(high - low + 1)
  }

  /** True with probability `p`. */
  chance(p: number): boolean {
    return this.next() < p
  }

  /** One element of a list. @throws RangeError if it is empty. */
  pick<T>(list: readonly T[]): T {
    if (list.length === 0) throw new RangeError('pick: the list is empty')
    return list[this.int(list.length)] as T
  }

  /** Shuffles a list in place and returns it. */
  shuffle<T>(list: T[]): T[] {
    for (let i = list.length - 1; i > 0; i--) {
      const j = this.int(i + 1)
      const kept = list[i] as T
      list[i] = list[j] as T
      list[j] = kept
    }
    return list
  }

  /** Exponentially distributed with the given mean. */
  exponential(mean: number): number {
    return -Math.log(1 - this.next()) * mean
  }

  /** An independent stream: depends on this stream's seed and the label only, not on what was drawn from it. */
  fork(label: string | number): Random {
    const text = String(label)
    let h = this.origin
    for (let i = 0; i < text.length; i++) h = mix(h ^ text.charCodeAt(i) ^ Math.imul(i + 1, 0x9e3779b1))
    return new Random(mix(h ^ 0xa4093822) + mix(h ^ 0x299f31d0) * 0x1_0000_0000)
  }
}
