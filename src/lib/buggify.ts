/**
 * Points at which the code may do something else that is just as correct, only rarer: late, early, less, in vain. A
 * simulation lets some of them happen often, so that what follows from them is not left to luck. The idea is
 * FoundationDB's (Zhou et al., "FoundationDB: A Distributed Unbundled Transactional Key Value Store", SIGMOD 2021, 4.1).
 */
export const buggifyPoints = [
  'consumed untold',
  'delivers less',
  'facts untold',
  'gives up an attempt',
  'keeps what is stable',
  'late heartbeat',
  'promises far',
  'refuses a Form',
  'settles at once',
  'small frame',
  'tells all itself',
  'window seems full',
] as const

export type BuggifyPoint = (typeof buggifyPoints)[number]

/** Whether to do the rare thing, this time. Always false but in a simulation. */
export type Buggify = (point: BuggifyPoint) => boolean
