/** What is fuzzed, and how one input fails. */

import type { Random } from '../../lib/prng.ts'

/** Something that takes inputs of others. Everything follows from the random numbers that `run` is given. */
export interface Target {
  readonly name: string
  /** What it takes, in a few words. */
  readonly about: string
  /** Inputs for a short run, as the tests make it. */
  readonly few: number
  /** Records the corpus: valid inputs, made by the code itself, the same each time. */
  prepare(): Prepared
}

export interface Prepared {
  /** Valid inputs that the others are made of. */
  readonly corpus: number
  /**
   * Makes one input and tries it.
   * @param show called with what a person wants to see of it, before it is tried
   * @returns what came of it, as a name out of a small set
   * @throws FuzzFailure, or whatever the code under test should not have thrown.
   */
  run(random: Random, show: (what: string) => void): string
}

/** An input was not treated as it ought to be. */
export class FuzzFailure extends Error {
  override readonly name = 'FuzzFailure'
}

/** Throws a {@link FuzzFailure} unless `condition` holds. */
export function demand(condition: boolean, what: string): asserts condition {
  if (!condition) throw new FuzzFailure(what)
}
