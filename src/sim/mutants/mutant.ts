/** A mutant: the product with one rule taken out, and what must notice it. */

/** One textual replacement in the built code. */
export interface Patch {
  /** Below the build directory: `core/recover.js`. */
  readonly file: string
  /** Occurs exactly once in the file; runs of white space match any white space. */
  readonly find: string
  readonly replace: string
}

export type Chapter = 'ordering' | 'forming' | 'recovery' | 'gathering' | 'groups'

export interface Mutant {
  /** Short and unique: `--only NAME`. */
  readonly name: string
  readonly chapter: Chapter
  /** The rule, as `docs/protocol.md` or `docs/groups.md` gives it. */
  readonly rule: string
  /** What the mutant does instead. */
  readonly mutation: string
  readonly patches: readonly Patch[]
  /** Directed scenarios (names of files in `test/scenarios`, without the ending) that are played before any seed. */
  readonly scenarios?: readonly string[]
  /** Why nobody can notice: what implies the rule. Such a mutant may survive. */
  readonly implied?: string
}

export function patch(file: string, find: string, replace: string): Patch {
  return { file, find, replace }
}

/** How a mutant was found. */
export interface Finding {
  readonly by: 'scenario' | 'seed'
  /** The scenario's name or the seed. */
  readonly where: string
  readonly property: string
  readonly detail: string
}

export interface Verdict {
  readonly mutant: Mutant
  /** Null: it survived. */
  readonly finding: Finding | null
  /** Scenarios and seeds that were run. */
  readonly scenarios: number
  readonly seeds: number
  readonly elapsedMs: number
}
