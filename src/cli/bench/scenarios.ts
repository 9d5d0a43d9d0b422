/** How each kind of row is measured that any system can do. */

import { latency, loaded, paused, throughput } from './load-scenarios.ts'
import { crowd, idle, joiner } from './rest-scenarios.ts'
import type { Kind } from './row.ts'
import type { Scenario } from './scenario.ts'
import { views } from './view-scenarios.ts'

export const scenarios: Readonly<Record<Exclude<Kind, 'cells'>, Scenario>> = {
  throughput,
  groups: throughput,
  latency,
  loaded,
  paused,
  idle,
  views,
  crowd,
  joiner,
}
