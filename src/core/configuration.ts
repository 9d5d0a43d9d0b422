/** Identities of configurations and digests of member lists. */

import { fnv1a } from '../lib/hash.ts'
import type { Configuration, ConfigurationId, MemberId } from './types.ts'

export function configurationId(epoch: number, coordinator: MemberId, nonce: number): ConfigurationId {
  return { epoch, coordinator, nonce, key: `${epoch}.${coordinator}.${nonce}` }
}

/** The whole id is compared, always: a part of it has led others to accept stale frames. */
export function sameConfiguration(a: ConfigurationId, b: ConfigurationId): boolean {
  return a === b || a.key === b.key
}

export function sameMembers(a: readonly MemberId[], b: readonly MemberId[]): boolean {
  return a.length === b.length && a.every((member, i) => member === b[i])
}

/** Sorted by code unit, so that every member ranks everyone alike. */
export function sortMembers(members: Iterable<MemberId>): MemberId[] {
  return [...members].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))
}

/** True if every member comes before the next: no order but this one, and nobody twice. */
export function isSorted(members: readonly MemberId[]): boolean {
  return members.every((member, i) => i === 0 || (members[i - 1] as string) < member)
}

export function digestMembers(members: readonly MemberId[]): number {
  return members.reduce((hash, member) => fnv1a(`${member},`, hash), fnv1a(''))
}

/** The part of a member id that a person gave: `n1` of `n1#5f3a…`. */
export function nameOf(member: MemberId): string {
  const hash = member.indexOf('#')
  return hash < 0 ? member : member.slice(0, hash)
}

/** A fresh incarnation's first configuration: alone. */
export function aloneConfiguration(self: MemberId, epoch: number, nonce: number): Configuration {
  return { id: configurationId(epoch, self, nonce), members: [self] }
}
