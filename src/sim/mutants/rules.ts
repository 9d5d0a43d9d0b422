/** Every rule that can be taken out, in the order in which they are tried and printed. */

import type { Mutant } from './mutant.ts'
import { formingRules } from './rules-forming.ts'
import { gatheringRules } from './rules-gathering.ts'
import { groupRules } from './rules-groups.ts'
import { orderingRules } from './rules-ordering.ts'
import { recoveryRules } from './rules-recovery.ts'

export const rules: readonly Mutant[] = [
  ...orderingRules,
  ...formingRules,
  ...recoveryRules,
  ...gatheringRules,
  ...groupRules,
]
