/** Member lists as a chain of deltas: a list is built only when somebody asks for it. */

import type { SessionId } from '../groups/types.ts'

/** A chain no longer than this keeps the cost of the first look bounded. */
const LONGEST_CHAIN = 64

export class MemberList {
  private previous: MemberList | null
  private joined: readonly SessionId[]
  private left: readonly SessionId[]
  private list: readonly SessionId[] | null
  private readonly depth: number

  private constructor(previous: MemberList | null, joined: readonly SessionId[], left: readonly SessionId[]) {
    this.previous = previous
    this.joined = joined
    this.left = left
    this.list = previous === null ? joined : null
    this.depth = previous === null || previous.list !== null ? 1 : previous.depth + 1
    if (this.depth >= LONGEST_CHAIN) this.members()
  }

  static full(members: readonly SessionId[]): MemberList {
    return new MemberList(null, members, [])
  }

  /** The members of this list without `left`, followed by `joined`. */
  changed(joined: readonly SessionId[], left: readonly SessionId[]): MemberList {
    return new MemberList(this, joined, left)
  }

  /** In the view's order. */
  members(): readonly SessionId[] {
    if (this.list !== null) return this.list
    const chain: MemberList[] = [this]
    let from = this.previous!
    while (from.list === null) {
      chain.push(from)
      from = from.previous!
    }
    let current: readonly SessionId[] = from.list
    for (let i = chain.length - 1; i >= 0; i--) {
      const { joined, left } = chain[i]!
      const gone = new Set(left)
      const stay = gone.size === 0 ? current : current.filter(member => !gone.has(member))
      current = stay.concat(joined)
    }
    this.list = current
    this.previous = null
    this.joined = []
    this.left = []
    return current
  }
}
