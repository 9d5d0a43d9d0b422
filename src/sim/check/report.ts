/** What a checker found, and the small tools that all checkers share. */

/** One broken property, with its evidence. */
export interface Violation {
  /** The property by name, e.g. `EVS 6.1`; `docs/trace.md` lists them. */
  readonly property: string
  /** One sentence with the evidence. */
  readonly what: string
  /** Daemons or sessions that took part. */
  readonly processes: readonly string[]
  /** Ids of messages that took part. */
  readonly messages: readonly string[]
}

/** One defect often breaks a property thousands of times; the first few tell as much. */
const MAX_PER_PROPERTY = 20

/** Collects violations, at most 20 of each property. */
export class Report {
  readonly violations: Violation[] = []
  /** All violations found, reported or not, by property. */
  readonly counts: Map<string, number> = new Map()

  /** All violations found, reported or not. */
  total = 0

  add(property: string, what: string, processes: readonly string[], messages: readonly string[] = []): void {
    this.total++
    const count = (this.counts.get(property) ?? 0) + 1
    this.counts.set(property, count)
    if (count <= MAX_PER_PROPERTY) this.violations.push({ property, what, processes, messages })
  }
}

/** Strings to consecutive integers from 0, so that checkers work on arrays. */
export class Names {
  private readonly indexes: Map<string, number> = new Map()
  readonly names: string[] = []

  /** The index of a name, given out at its first use. */
  index(name: string): number {
    let index = this.indexes.get(name)
    if (index === undefined) {
      index = this.names.length
      this.indexes.set(name, index)
      this.names.push(name)
    }
    return index
  }

  /** The index of a name that was seen before, otherwise −1. */
  find(name: string): number {
    return this.indexes.get(name) ?? -1
  }

  name(index: number): string {
    return this.names[index] ?? `(unknown ${index})`
  }

  get size(): number {
    return this.names.length
  }
}

/** A list for a sentence: at most five items, then how many more. */
export function some(items: readonly string[]): string {
  if (items.length <= 5) return items.join(', ')
  return `${items.slice(0, 5).join(', ')} and ${items.length - 5} more`
}
