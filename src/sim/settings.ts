/** Everything that shapes one run, drawn from its seed and printed with it. */

import type { CellLimits, CellTimeouts } from '../core/api.ts'
import type { GroupLimits } from '../groups/limits.ts'
import { type FaultKind, faultWeights } from './faults.ts'
import { Random } from '../lib/prng.ts'
import { calmLink, type LinkProfile } from './network.ts'

export interface LoopSettings {
  /** Time from waking up to the turn of the event loop. */
  readonly turnMs: number
  /** How often a turn comes late, and by how much on average. */
  readonly slowChance: number
  readonly slowMs: number
  /** Frames that wait for a paused process before the network drops more. */
  readonly inboxFrames: number
  /** Events of the cell that a turn takes to the groups; the rest wait for the next. null: all. */
  readonly eventsPerTurn: number | null
}

export interface WorkloadSettings {
  readonly sessionsPerDaemon: number
  readonly groups: number
  /** Client messages to send in all. */
  readonly messages: number
  readonly meanBytes: number
  /** Chance that a message is many times larger. */
  readonly largeChance: number
  readonly safeChance: number
  readonly privateChance: number
  readonly multiGroupChance: number
  readonly selfDiscardChance: number
  /** Mean time for which a client does not read after a batch. */
  readonly readMs: number
  readonly clientAcknowledgeMs: number
  /** Client deaths and graceful closes per run. */
  readonly kills: number
  /** Clients that stop reading for a while. */
  readonly lagging: number
}

export interface FaultSettings {
  /** Kinds that do not happen in this run. */
  readonly without: readonly FaultKind[]
  /** Independent faults during the safety phase. */
  readonly count: number
  /** Chance that a process entering recovery sets off a fault inside it; and how many such chances are taken. */
  readonly recoveryChance: number
  readonly recoveryCount: number
}

export interface PhaseSettings {
  readonly warmUpMs: number
  readonly safetyMs: number
  /** Within this the healed components must converge. */
  readonly livenessMs: number
}

export interface Settings {
  readonly seed: number
  readonly members: number
  readonly network: LinkProfile
  readonly timeouts: CellTimeouts
  readonly limits: Partial<CellLimits>
  readonly groupLimits: Partial<GroupLimits>
  readonly maxTimestamp: number | null
  /** Data frames of so many bytes go from member to member; null: each directly. */
  readonly chainBytes: number | null
  /** How often a point of the core where something rare may happen makes it happen; 0: never. Until the faults end. */
  readonly buggify: number
  readonly loop: LoopSettings
  readonly workload: WorkloadSettings
  readonly faults: FaultSettings
  readonly phases: PhaseSettings
}

/** Shorter than a daemon's, so that a run holds more history; the ratios are the same. */
export const simulatedTimeouts: CellTimeouts = {
  heartbeatMs: 50,
  suspectAfterMs: 240,
  stalledAfterMs: 480,
  settleMs: 20,
  gatherMs: 200,
  recoverMs: 200,
  holdDownMs: 100,
  maxHoldDownMs: 800,
  acknowledgeMs: 4,
  silentAfterMs: 3,
}

/** Median 5, so that cliques, bridges and three-way merges have room. */
const memberWeights = [2, 4, 12, 14, 24, 16, 14, 8, 6]

function membersOf(random: Random): number {
  let rest = random.int(memberWeights.reduce((sum, weight) => sum + weight, 0))
  for (let index = 0; index < memberWeights.length; index++) {
    rest -= memberWeights[index] as number
    if (rest < 0) return index + 1
  }
  return memberWeights.length
}

function networkOf(random: Random): LinkProfile {
  const baseMs = random.pick([0.05, 0.1, 0.2, 0.5, 2])
  const profile: LinkProfile = { ...calmLink, baseMs, jitterMs: baseMs * random.pick([0.1, 0.5, 2]) }
  // Three of four networks misbehave, each in a few ways.
  if (random.chance(0.25)) return profile
  return {
    ...profile,
    loss: random.chance(0.6) ? random.pick([0.001, 0.01, 0.05, 0.1, 0.3]) : 0,
    duplicate: random.chance(0.4) ? random.pick([0.01, 0.1, 0.5]) : 0,
    duplicateMs: random.pick([1, 20, 600]),
    reorder: random.chance(0.4) ? random.pick([0.01, 0.2, 0.5]) : 0,
    corrupt: random.chance(0.3) ? random.pick([0.001, 0.01, 0.05]) : 0,
    capacity: random.chance(0.15) ? random.pick([20, 100]) : calmLink.capacity,
  }
}

function limitsOf(random: Random): Partial<CellLimits> {
  const limits: { -readonly [K in keyof CellLimits]?: CellLimits[K] } = {}
  if (random.chance(0.4)) limits.maxFrameBytes = random.pick([200, 600, 1500])
  if (random.chance(0.3)) limits.maxFrameSegments = random.pick([1, 3, 10])
  if (random.chance(0.3)) limits.windowBytes = random.pick([2000, 8000, 32_000])
  if (random.chance(0.3)) limits.queueBytes = random.pick([4000, 16_000])
  if (random.chance(0.3)) limits.aggregateFrom = random.pick([2, 4])
  return limits
}

/** All options of a full-size run. */
export function settingsOf(seed: number): Settings {
  const root = new Random(seed).fork('settings')
  const random = root.fork('rest')
  const members = membersOf(root.fork('members'))
  const network = networkOf(root.fork('network'))
  const faults = random.between(6, 16)
  const turns = root.fork('turns')
  const slowLink = network.baseMs >= 2
  return {
    seed,
    members,
    network,
    timeouts: slowLink ? { ...simulatedTimeouts, acknowledgeMs: 8, silentAfterMs: 6 } : simulatedTimeouts,
    limits: limitsOf(root.fork('limits')),
    // An exchange in several parts can be cut short between them.
    groupLimits: random.chance(0.3) ? { statePartBytes: 300 } : {},
    buggify: 0,
    chainBytes: null,
    maxTimestamp: random.chance(0.1) ? random.between(3000, 20_000) : null,
    loop: {
      turnMs: random.pick([0.01, 0.05, 0.2]),
      slowChance: random.chance(0.3) ? 0.02 : 0,
      slowMs: random.pick([2, 10]),
      inboxFrames: random.chance(0.5) ? random.pick([50, 500]) : 100_000,
      eventsPerTurn: turns.chance(0.2) ? turns.pick([1, 3, 10]) : null,
    },
    workload: {
      sessionsPerDaemon: random.pick([1, 2, 2, 3]),
      groups: random.between(2, 5),
      messages: random.between(450, 900),
      meanBytes: random.pick([20, 60, 200]),
      largeChance: random.pick([0, 0.02, 0.1]),
      safeChance: random.pick([0.1, 0.3, 0.6]),
      privateChance: 0.08,
      multiGroupChance: 0.1,
      selfDiscardChance: 0.1,
      readMs: random.pick([0.1, 1, 10]),
      clientAcknowledgeMs: random.pick([0.2, 2, 20]),
      kills: random.between(0, 4),
      lagging: random.between(0, 2),
    },
    faults: {
      without: [],
      count: faults,
      recoveryChance: random.pick([0.15, 0.3, 0.5]),
      recoveryCount: random.between(1, 4),
    },
    phases: { warmUpMs: 500, safetyMs: 500 + faults * random.pick([150, 250, 400]), livenessMs: 30_000 },
  }
}

/**
 * Nastier: any number of members, more faults, more of them inside recovery, rare things made common; and each run leaves
 * out some kinds of faults, so that those which remain are not hidden behind the others (Groce et al., "Swarm testing",
 * ISSTA 2012).
 */
export function swarmSettingsOf(seed: number): Settings {
  const settings = settingsOf(seed)
  const random = new Random(seed).fork('swarm')
  const leaveOut = random.pick([0, 0.3, 0.6])
  const kinds = faultWeights.map(([kind]) => kind)
  const without = kinds.filter(() => random.chance(leaveOut))
  const count = random.between(4, 30)
  const chain = new Random(seed).fork('chain')
  return {
    ...settings,
    chainBytes: chain.chance(0.25) ? chain.pick([0, 150, 400]) : null,
    members: random.between(1, 9),
    buggify: random.chance(0.7) ? random.pick([0.01, 0.05, 0.2]) : 0,
    workload: { ...settings.workload, messages: random.between(50, 500), kills: random.between(0, 8) },
    faults: {
      without: without.length === kinds.length ? [] : without,
      count,
      recoveryChance: random.pick([0.2, 0.5, 0.9]),
      recoveryCount: random.between(1, 12),
    },
    phases: { ...settings.phases, safetyMs: 500 + count * random.pick([30, 100, 250]) },
  }
}
