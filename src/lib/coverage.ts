/**
 * "Sometimes" marks: things that must happen in some run of a whole range of seeds. A mark that no seed ever reached means
 * that the simulator does not test what it claims to, so the summary of a range fails.
 *
 * Each part reports its own marks through a hook `cover(mark)`; a mark is reported at the moment the thing happens.
 */

/** Reported by the ordering core. */
export const sometimesInCore = [
  // Recovery, participant's side: given up (another Form, a suspicion, a deadline) at each of its steps.
  'interrupted after Form',
  'interrupted after Plan',
  'interrupted after Recovered',
  // Recovery, coordinator's side.
  'coordinator interrupted before Plan',
  'coordinator interrupted before Install',
  // Obligations: a Plan whose K is infinite for a stream whose owner is not in T.
  'obligation wider than T',
  // A member recovered for one attempt gets the Install (or Plan) of an older one late, and ignores it.
  'stale Install ignored',
  'stale Plan ignored',
  // The Install was lost; the first frame of the new configuration stood in for it.
  'Install by first frame',
  'Form refused for its epoch',
  'Form refused as deaf',
  // On Install, beyond min K: a frame that may depend on something nobody here holds.
  'dropped for unknown predecessor',
  'delivered beyond min K',
  'safe cut',
  'all stay in regular',
  'partial assembly dropped',
  'sender starts fragments again',
  'three-way merge',
  // The matrix of who hears whom was not transitive.
  'bridge',
  'hold-down',
  'facts aggregated',
  'restart seen before suspicion',
  'proof that a member left',
  'stale membership frame ignored',
  'challenge answered',
  'stall distrusts itself',
  'suspected silent',
  'suspected refused',
  'suspected stalled',
  'graceful leave',
  'window closed',
  'credit held',
  'promise ahead',
  'retransmission asked',
  'retransmission by third party',
] as const

/** Reported by the group layer. */
export const sometimesInGroups = [
  'exchange cut short',
  'exchange with equal digests',
  'exchange sent in parts',
  'view skipped configurations',
  'fate unknown',
  'fate settled by Install',
] as const

/** Observed by the simulator itself. */
export const sometimesInSimulator = [
  'crash inside recovery',
  'pause inside recovery',
  'partition inside recovery',
  'heal inside recovery',
  'restart at once',
  'corrupt frame dropped',
  'replayed frame',
  'link clogged',
  'inbox overflow',
  'deliveries cut short',
  // A clock or a prefix that was learned in a failed attempt, and by that only, decided a later Plan.
  'failed attempt decides',
  'timestamp near its limit',
  'safe in transitional',
  'safe on both sides of a cut',
  'converged on a bridge',
  'client killed',
  'client evicted',
  'private message',
  'self-discard',
  'multi-group message',
  'fragmented message',
] as const

/** Reported too, but so rare, or in the swarm only, that a range of seeds is not asked for them. */
export const seldom = [
  'yield to lower coordinator',
  'segment against the rules',
  'passed on',
  'bypassed',
] as const

export type Sometimes =
  | (typeof seldom)[number]
  | (typeof sometimesInCore)[number]
  | (typeof sometimesInGroups)[number]
  | (typeof sometimesInSimulator)[number]

export const sometimes: readonly Sometimes[] = [
  ...sometimesInCore,
  ...sometimesInGroups,
  ...sometimesInSimulator,
]

/** What hooks look like. */
export type Cover = (mark: Sometimes) => void
