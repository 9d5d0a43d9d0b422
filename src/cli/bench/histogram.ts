/** Times by their magnitude, one per cent fine: small, and the sum of several is again one. */

const growth = 1.01
const logGrowth = Math.log(growth)

/** Counts by bucket: `[bucket, count]`, buckets ascending. */
export type Buckets = readonly (readonly [bucket: number, count: number])[]

export class Histogram {
  count = 0
  private readonly counts = new Map<number, number>()

  /** @param value above 0; what is smaller counts as 1. */
  add(value: number): void {
    const bucket = value <= 1 ? 0 : Math.round(Math.log(value) / logGrowth)
    this.counts.set(bucket, (this.counts.get(bucket) ?? 0) + 1)
    this.count++
  }

  merge(buckets: Buckets): void {
    for (const [bucket, count] of buckets) {
      this.counts.set(bucket, (this.counts.get(bucket) ?? 0) + count)
      this.count += count
    }
  }

  buckets(): Buckets {
    return [...this.counts].sort(([a], [b]) => a - b)
  }

  /** The value that this share of all are not above; NaN if there are none. */
  at(share: number): number {
    let left = Math.ceil(this.count * share)
    for (const [bucket, count] of this.buckets()) {
      left -= count
      if (left <= 0) return valueOf(bucket)
    }
    return Number.NaN
  }
}

/** The value in the middle of a bucket. */
export function valueOf(bucket: number): number {
  return growth ** bucket
}

export function merged(all: readonly Buckets[]): Histogram {
  const sum = new Histogram()
  for (const each of all) sum.merge(each)
  return sum
}
