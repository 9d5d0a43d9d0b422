/** What crosses the wire, by what it is for. */

import type { Frame } from '../../core/frames.ts'

/**
 * `data` carries messages, `facts` are announcements, `life` is heartbeats, challenges and answers, `membership` the frames
 * of a recovery, `repair` requests for what was lost.
 */
export type Purpose = 'data' | 'facts' | 'life' | 'membership' | 'repair'

export const purposes: readonly Purpose[] = ['data', 'facts', 'life', 'membership', 'repair']

/** Each copy to another member counts. Bytes are those of the frames, without headers of TCP, UDP and IP. */
export interface Amount {
  readonly frames: number
  readonly bytes: number
}

export type Traffic = { readonly [P in Purpose]: Amount }

export function purposeOf(kind: Frame['kind']): Purpose {
  switch (kind) {
    case 'data':
    case 'facts':
      return kind
    case 'nak':
      return 'repair'
    case 'heartbeat':
    case 'challenge':
    case 'answer':
      return 'life'
    default:
      return 'membership'
  }
}

/** A counter that is read as what has passed since it was read before. */
export class Meter {
  private readonly amounts: Map<Purpose, { frames: number; bytes: number }> = new Map(
    purposes.map(purpose => [purpose, { frames: 0, bytes: 0 }]),
  )

  add(purpose: Purpose, frames: number, bytes: number): void {
    const amount = this.amounts.get(purpose) as { frames: number; bytes: number }
    amount.frames += frames
    amount.bytes += bytes
  }

  /** All that has passed so far. */
  total(): Traffic {
    const of = (purpose: Purpose): Amount => ({ ...(this.amounts.get(purpose) as Amount) })
    return {
      data: of('data'),
      facts: of('facts'),
      life: of('life'),
      membership: of('membership'),
      repair: of('repair'),
    }
  }
}

/** What passed between two readings of a meter, divided. */
export function between(before: Traffic, after: Traffic, divisor: number = 1): Traffic {
  const of = (purpose: Purpose): Amount => ({
    frames: (after[purpose].frames - before[purpose].frames) / divisor,
    bytes: (after[purpose].bytes - before[purpose].bytes) / divisor,
  })
  return {
    data: of('data'),
    facts: of('facts'),
    life: of('life'),
    membership: of('membership'),
    repair: of('repair'),
  }
}

export function sumOf(traffic: Traffic): Amount {
  let frames = 0
  let bytes = 0
  for (const purpose of purposes) {
    frames += traffic[purpose].frames
    bytes += traffic[purpose].bytes
  }
  return { frames, bytes }
}
