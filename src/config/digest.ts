/** What daemons must have in common so that they order the same groups in the same cells; compared in handshakes. */

import { createHash } from 'node:crypto'
import type { CellRule } from '../lib/pattern.ts'
import type { TransportName } from './transport.ts'

/** What of a cell must be the same at all its members. */
export interface CommonCell extends CellRule {
  readonly limits: { readonly messageBytes: number }
  readonly transport: TransportName
}

export interface OrderDigest {
  /** Canonical text: one line a rule. Two daemons agree exactly if theirs are equal; for messages that say what differs. */
  readonly text: string
  /** First 64 bits of the SHA-256 of `text`. */
  readonly hash: bigint
}

/**
 * The digest of cells and group → cell rules; their order counts, because the first match decides. And of what a cell
 * delivers to nobody because it is too large, and whether members pass its frames on.
 */
export function orderDigest(config: { readonly cells: readonly CommonCell[] }): OrderDigest {
  const lines = ['anasazi order 1']
  for (const cell of config.cells) {
    for (const pattern of cell.groups) lines.push(`${JSON.stringify(pattern)} -> ${cell.name}`)
    if (cell.groups.length === 0) lines.push(`nothing -> ${cell.name}`)
    lines.push(`${cell.name}: messages of ${cell.limits.messageBytes} bytes at most`)
    // Who does not pass on what it is given would keep it from others. Other transports come to terms by themselves.
    if (cell.transport === 'chain') lines.push(`${cell.name}: transport ${cell.transport}`)
  }
  const text = `${lines.join('\n')}\n`
  return { text, hash: createHash('sha256').update(text).digest().readBigUInt64BE(0) }
}
