/** A broken internal invariant: a bug of ours, never of an input. Carries its evidence. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError'
  readonly evidence: unknown

  constructor(message: string, evidence?: unknown) {
    super(evidence === undefined ? message : `${message}: ${JSON.stringify(evidence)}`)
    this.evidence = evidence
  }
}

/** Throws an {@link InvariantError} unless `condition` holds. */
export function invariant(condition: boolean, message: string, evidence?: unknown): asserts condition {
  if (!condition) throw new InvariantError(message, evidence)
}
