/**
 * What every daemon demands of what another one says in the order.
 *
 * A daemon checks the requests of its clients before it orders them, but whoever delivers them cannot rely on it: what
 * comes from elsewhere is input. What is against the rules counts for nothing, at everybody who delivers it alike; so a
 * rule may rest on nothing but the delivered sequence, and its bounds are those of the protocol, not of a configuration.
 */

import type { Configuration, MemberId } from '../core/types.ts'
import { isGroupName, isSessionName } from './names.ts'
import type { DigestHead, MessagesHead, OpenHead } from './types.ts'
import type { Home, Session } from './view.ts'

/** Sessions of one daemon: what `limits.sessions` may be at most. */
export const mostSessions = 65_535
/** Memberships of all sessions of one daemon together. */
export const mostMemberships = 1_048_576
/** The longest name of a session or group, bytes of UTF-8. */
export const mostNameBytes = 255

/** Why something counts for nothing; null: it counts. */
export type Objection = string | null

/** @param bytes of the payload, all fragments joined. */
export function objectionToMessages(
  head: MessagesHead,
  safe: boolean,
  bytes: number,
  messageBytes: number,
): Objection {
  const { count, firstSequence } = head
  if (count < 1 || bytes < 4 * count) return 'it counts more messages than it has payload for'
  if (bytes - 4 > messageBytes) return 'it is larger than a message may be'
  if (firstSequence < 1 || !Number.isSafeInteger(firstSequence + count))
    return 'its messages have impossible numbers'
  if ((head.service === 'safe') !== safe) return 'it says that it is safe and is not, or the other way round'
  return null
}

export function objectionToOpen(home: Home, { session, name }: OpenHead): Objection {
  if (session < 1) return 'it opens a session with an impossible number'
  if (!isSessionName(name, mostNameBytes)) return 'it opens a session with an impossible name'
  if (home.sessions.has(session)) return 'it opens a session twice'
  if (home.sessions.size >= mostSessions) return 'it opens more sessions than a daemon may have'
  return null
}

export function objectionToJoin(session: Session, group: string): Objection {
  if (!isGroupName(group, mostNameBytes)) return 'it joins a group with an impossible name'
  if (session.groups.has(group)) return 'it joins a group that its session is in'
  if (session.home.memberships >= mostMemberships) return 'it joins more groups than a daemon may be in'
  return null
}

/** A digest that breaks a rule counts as one of a daemon that has just been started: it is counted on, and says nothing. */
export function objectionToDigest(
  daemon: MemberId,
  digest: DigestHead,
  { id, members }: Configuration,
): Objection {
  const { along, lastShown, remembered } = digest
  if (!along.includes(daemon)) return 'it came along without itself'
  if (along.length > members.length || remembered.length > members.length) {
    return 'it knows more companions than there are members'
  }
  if (lastShown !== null && lastShown.epoch >= id.epoch) return 'it has shown a configuration of the future'
  return null
}

/** What such a digest counts as. */
export function emptyDigest(daemon: MemberId, { configuration, version }: DigestHead): DigestHead {
  return { kind: 'digest', configuration, lastShown: null, along: [daemon], version, remembered: [] }
}

/** True if no view can have this scope before the exchange of the configuration with this key. */
export function isLaterScope(scope: string, key: string): boolean {
  return scope === key || scope.startsWith(`${key}~`)
}
