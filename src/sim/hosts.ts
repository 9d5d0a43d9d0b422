/** Hosts are numbered; their daemons are named after them. */

import type { MemberId } from '../core/types.ts'

export function hostName(host: number): string {
  return `n${host + 1}`
}

/** Host of a member; −1 if it is none of ours. */
export function hostOf(member: MemberId): number {
  const hash = member.indexOf('#')
  return Number(member.slice(1, hash < 0 ? undefined : hash)) - 1
}
