/** What a scenario found out: measured values, each perhaps with a bound that is part of its promise, and what did not hold. */

export type Unit = 'ms' | 'MB' | 'views' | 'messages' | 'bytes' | 'frames' | 'connections'

export interface Measure {
  readonly what: string
  readonly unit: Unit
  /** No value may be greater; null: only told. */
  readonly bound: number | null
  /** One for each time it was measured. */
  readonly values: number[]
}

export class Findings {
  private readonly judgesTime: boolean
  readonly measures: Measure[] = []
  /** Sentences; none if all held. */
  readonly broken: string[] = []
  /** What one ought to know about how it was done. */
  readonly notes: string[] = []

  /** @param judgesTime false: times are measured and no promise is broken by them. */
  constructor(judgesTime: boolean = true) {
    this.judgesTime = judgesTime
  }

  /** @param bound the greatest value that keeps the promise; null: there is none. */
  measure(what: string, value: number, unit: Unit, bound: number | null): void {
    let measure = this.measures.find(each => each.what === what)
    if (measure === undefined) {
      measure = { what, unit, bound, values: [] }
      this.measures.push(measure)
    }
    measure.values.push(value)
    if (bound !== null && value > bound && (this.judgesTime || unit !== 'ms'))
      this.broken.push(`${what}: ${rounded(value)} ${unit}, promised were ${bound}`)
  }

  /** @param otherwise a sentence for when it does not hold. */
  expect(holds: boolean, otherwise: string): void {
    if (!holds) this.broken.push(otherwise)
  }

  note(text: string): void {
    if (!this.notes.includes(text)) this.notes.push(text)
  }
}

export interface Spread {
  readonly count: number
  readonly p50: number
  readonly p99: number
  readonly max: number
}

/** Percentiles by nearest rank: values that were really measured. */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (share: number): number =>
    sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), max: at(1) }
}

/** Whole numbers from ten on, else one decimal. */
export function rounded(value: number): number {
  return Math.abs(value) < 10 ? Math.round(value * 10) / 10 : Math.round(value)
}
