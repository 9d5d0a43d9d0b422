/** What memory and descriptors of a process do over a long time, and when that is a leak. */

export interface Sample {
  readonly atMs: number
  readonly value: number
}

export interface Trend {
  readonly start: number
  readonly end: number
  readonly most: number
  /** Of the straight line through all samples, by least squares; a unit of value an hour. */
  readonly slopePerHour: number
  /** By how much the lowest sample of the last third is above the lowest one of the first third. */
  readonly floorGrowth: number
  readonly samples: number
  readonly spanMs: number
}

/** What may grow without being a leak. */
export interface LeakBound {
  /** Of the line, over the time it was fitted to. */
  readonly fitted: number
  /** Of the floor. */
  readonly floor: number
}

/** Below either nothing is judged: a young heap grows to what it needs. */
export const judgedFrom: { readonly samples: number; readonly spanMs: number } = {
  samples: 9,
  spanMs: 8 * 60_000,
}

/** MB, after a collection. What is in flight, and what is remembered of the past for a while, moves less than this. */
export const memoryBound: LeakBound = { fitted: 8, floor: 6 }
/** Descriptors. Sessions come and go. */
export const descriptorBound: LeakBound = { fitted: 12, floor: 8 }

/** @returns null without samples. */
export function trendOf(samples: readonly Sample[]): Trend | null {
  const first = samples[0]
  const last = samples.at(-1)
  if (first === undefined || last === undefined) return null
  const third = Math.ceil(samples.length / 3)
  const lowest = (part: readonly Sample[]): number => Math.min(...part.map(({ value }) => value))
  return {
    start: first.value,
    end: last.value,
    most: Math.max(...samples.map(({ value }) => value)),
    slopePerHour: slopeOf(samples) * 3_600_000,
    floorGrowth: lowest(samples.slice(-third)) - lowest(samples.slice(0, third)),
    samples: samples.length,
    spanMs: last.atMs - first.atMs,
  }
}

/** A leak shows in both: the line rises, and so does what is left when the rest was collected. */
export function isLeak(trend: Trend, bound: LeakBound): boolean {
  if (!isJudged(trend)) return false
  const fitted = (trend.slopePerHour * trend.spanMs) / 3_600_000
  return fitted > bound.fitted && trend.floorGrowth > bound.floor
}

export function isJudged(trend: Trend): boolean {
  return trend.samples >= judgedFrom.samples && trend.spanMs >= judgedFrom.spanMs
}

function slopeOf(samples: readonly Sample[]): number {
  const count = samples.length
  const meanAt = samples.reduce((sum, { atMs }) => sum + atMs, 0) / count
  const mean = samples.reduce((sum, { value }) => sum + value, 0) / count
  let covariance = 0
  let variance = 0
  for (const { atMs, value } of samples) {
    covariance += (atMs - meanAt) * (value - mean)
    variance += (atMs - meanAt) ** 2
  }
  return variance === 0 ? 0 : covariance / variance
}
