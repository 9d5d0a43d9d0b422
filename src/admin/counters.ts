/** The numbers of one cell, in memory that every thread of the process can read. */

import { counterIndex, numericTable } from './registry.ts'
import type { CounterName } from './registry.ts'

const BYTES = numericTable.length * Float64Array.BYTES_PER_ELEMENT

/**
 * One instance a cell. Only the thread of the cell writes, with plain additions; other threads read through an
 * instance of their own over the same `buffer`, without messages, and may see a value a moment late.
 *
 * On a hot path: `const delivered = counterIndex('cell.delivered.messages')` once, then `counters.add(delivered, n)`.
 */
export class Counters {
  /** For the other threads. */
  readonly buffer: SharedArrayBuffer
  /** By row of the registry. Floats, because they are exact to 2^53 and cost no allocation, unlike big integers. */
  readonly values: Float64Array

  /** @throws RangeError if `buffer` is not one of this version's counters. */
  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(BYTES)) {
    if (buffer.byteLength !== BYTES) {
      throw new RangeError(
        `counters take ${BYTES} bytes, not ${buffer.byteLength}: another version made them`,
      )
    }
    this.buffer = buffer
    this.values = new Float64Array(buffer)
  }

  /** Adds to the counter with this index. */
  add(index: number, by: number): void {
    this.values[index]! += by
  }

  /** Sets the gauge with this index. */
  set(index: number, value: number): void {
    this.values[index] = value
  }

  /** Adds by name; for what happens rarely. */
  count(name: CounterName, by: number = 1): void {
    this.values[counterIndex(name)]! += by
  }

  get(name: CounterName): number {
    return this.values[counterIndex(name)]!
  }

  /** All values by name. */
  snapshot(): Record<CounterName, number> {
    const entries = numericTable.map((row, index) => [row.name, this.values[index]!])
    return Object.fromEntries(entries) as Record<CounterName, number>
  }
}
