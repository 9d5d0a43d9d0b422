/** All that is fuzzed. */

import type { Target } from './target.ts'
import { clientTarget, daemonTarget } from './client.ts'
import { cellTarget, groupsTarget } from './hostile.ts'
import { handshakeTarget, peerTarget } from './peer.ts'
import { sessionTarget } from './session.ts'
import { configTarget, scenarioTarget, traceTarget } from './text.ts'

export const targets: readonly Target[] = [
  peerTarget,
  handshakeTarget,
  clientTarget,
  daemonTarget,
  configTarget,
  traceTarget,
  scenarioTarget,
  sessionTarget,
  cellTarget,
  groupsTarget,
]
