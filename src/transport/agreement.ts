/** What two ends must agree on, and in which words they tell that they do not. */

import { WIRE_VERSION } from '../codec/envelope.ts'
import type { Hello, Verdict } from '../codec/handshake.ts'
import type { Lane } from '../core/frames.ts'
import type { MemberId } from '../core/types.ts'
import type { TransportIdentity } from './transport.ts'

export interface HelloParts {
  readonly lane: Lane
  readonly verdict?: Verdict
  /** Whom we mean to reach. */
  readonly expected?: string
  readonly reason?: string
  /** Where we accept peers. */
  readonly port: number
}

export function makeHello(identity: TransportIdentity, parts: HelloParts): Hello {
  return {
    lowestVersion: identity.versions?.lowest ?? WIRE_VERSION,
    highestVersion: identity.versions?.highest ?? WIRE_VERSION,
    features: identity.features ?? 0,
    authentication: 'none',
    lane: parts.lane,
    verdict: parts.verdict ?? 'none',
    port: parts.port,
    member: identity.self,
    expected: parts.expected ?? '',
    cluster: identity.cluster,
    cell: identity.cell,
    digest: identity.order.digest,
    rules: identity.order.rules,
    reason: parts.reason ?? '',
  }
}

/** Why the two ends do not belong together, as the end with `mine` says it; null if they do. The same on both sides but for "here" and "there". */
export function disagreement(mine: Hello, theirs: Hello): string | null {
  if (mine.highestVersion < theirs.lowestVersion || theirs.highestVersion < mine.lowestVersion) {
    return `wire versions ${versions(mine)} are spoken here and ${versions(theirs)} there`
  }
  if (mine.authentication !== theirs.authentication) {
    return `authentication is "${mine.authentication}" here and "${theirs.authentication}" there`
  }
  if (mine.cluster !== theirs.cluster) {
    return `cluster id is "${mine.cluster}" here and "${theirs.cluster}" there`
  }
  if (mine.cell !== theirs.cell) return `cell is "${mine.cell}" here and "${theirs.cell}" there`
  if (mine.digest !== theirs.digest) return ruleDifference(mine, theirs)
  return null
}

function versions(hello: Hello): string {
  const { lowestVersion: lowest, highestVersion: highest } = hello
  return lowest === highest ? `${lowest}` : `${lowest}–${highest}`
}

const SHOWN_LINES = 3
const SHOWN_CHARS = 120

function ruleDifference(mine: Hello, theirs: Hello): string {
  const here = mine.rules.split('\n').filter(line => line !== '')
  const there = theirs.rules.split('\n').filter(line => line !== '')
  const onlyHere = here.filter(line => !there.includes(line))
  const onlyThere = there.filter(line => !here.includes(line))
  if (onlyHere.length === 0 && onlyThere.length === 0) {
    return here.join('\n') === there.join('\n')
      ? `cells have digest ${mine.digest} here and ${theirs.digest} there`
      : `cells have the same rules in another order: ${shown(here)} here, ${shown(there)} there`
  }
  return `cells differ: only here ${shown(onlyHere)}; only there ${shown(onlyThere)}`
}

function shown(lines: readonly string[]): string {
  if (lines.length === 0) return 'nothing'
  const quoted = lines.slice(0, SHOWN_LINES).map(line => `"${line.slice(0, SHOWN_CHARS)}"`)
  if (lines.length > SHOWN_LINES) quoted.push(`and ${lines.length - SHOWN_LINES} more`)
  return quoted.join(', ')
}

/** The name in a member id, which is in front of the last `#`. */
export function nameOfMember(member: MemberId): string {
  return member.slice(0, member.lastIndexOf('#'))
}

/** Why `other` may not come in while `connected`, of the same name, is there. */
export function sameNameConflict(connected: MemberId, other: MemberId): string {
  return `"${nameOfMember(connected)}" is connected as ${connected}: ${other} is another process of the same name`
}

/** Why a name that is not in the list may not come in. */
export function notListed(name: string, own: string): string {
  return `"${name}" is not in the list of peers of "${own}"`
}
