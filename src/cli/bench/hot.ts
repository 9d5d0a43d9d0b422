/** What the profiles of a variant say, all its turns together. */

import { type Paint, columns } from '../style.ts'
import { addCalls, emptyCall, type HotFunction, hottest } from './profile.ts'
import { type ProfiledRole, profiledRoles, type Profiles } from './profile-files.ts'
import type { RowResult, VariantResult } from './result.ts'

/** So many functions are named. */
const mostNamed = 15

export function profilesOf({ runs }: VariantResult): Profiles {
  const sum: { [Role in ProfiledRole]?: ReturnType<typeof emptyCall> } = {}
  for (const { profiles } of runs) {
    for (const role of profiledRoles) {
      const calls = profiles[role]
      if (calls === undefined) continue
      sum[role] ??= emptyCall()
      addCalls(sum[role], calls)
    }
  }
  return sum
}

/** The functions with the most time of their own, by role; empty without profiles. */
export function hotFunctions(variant: VariantResult): { readonly [Role in ProfiledRole]?: HotFunction[] } {
  const entries = Object.entries(profilesOf(variant))
  return Object.fromEntries(entries.map(([role, calls]) => [role, hottest(calls, mostNamed)]))
}

/** Empty without profiles. */
export function hotText({ variants }: RowResult, paint: Paint): string {
  const parts = variants.flatMap(variant =>
    Object.entries(hotFunctions(variant)).map(([role, functions]) => {
      const rows = functions.map(({ name, place, share }) => [`  ${shareText(share)}`, name, place])
      return `  ${paint('bold', `${variant.name}, time of a ${role} by function`)}\n${columns(rows, paint, [null, null, 'dim'])}`
    }),
  )
  return parts.map(part => `\n${part}`).join('')
}

export function shareText(share: number): string {
  return `${(share * 100).toFixed(1).padStart(4)} %`
}
