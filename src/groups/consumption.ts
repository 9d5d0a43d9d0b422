/**
 * The `consumed` facts of one configuration: what each daemon's sessions have acknowledged.
 *
 * A daemon that says X no longer counts sessions whose disconnect has a place ≤ X. Who has not delivered that disconnect yet
 * would take X for an acknowledgement by that session too. So X is usable here only once everything with ts ≤ X has been
 * delivered here. Facts may stay ahead of our own delivery all the time; so the first one that is not usable yet is kept until
 * it is, and only then the newest takes its place.
 */
export class Consumption {
  readonly usable: number[]
  readonly #waiting: number[]
  readonly #newest: number[]
  #horizon = 0

  constructor(members: number) {
    this.usable = Array.from({ length: members }, () => 0)
    this.#waiting = [...this.usable]
    this.#newest = [...this.usable]
  }

  /** The newest fact heard of each member, by rank. True if something became usable. */
  heard(byRank: readonly number[]): boolean {
    let moved = false
    for (let rank = 0; rank < this.#newest.length; rank++) {
      const value = byRank[rank] ?? 0
      if (value <= (this.#newest[rank] as number)) continue
      this.#newest[rank] = value
      if (this.#use(rank)) moved = true
    }
    return moved
  }

  /** Everything with ts ≤ `ts` has been delivered here. True if something became usable. */
  delivered(ts: number): boolean {
    if (ts <= this.#horizon) return false
    this.#horizon = ts
    let moved = false
    for (let rank = 0; rank < this.#newest.length; rank++) if (this.#use(rank)) moved = true
    return moved
  }

  #use(rank: number): boolean {
    const newest = this.#newest[rank] as number
    let waiting = this.#waiting[rank] as number
    const before = this.usable[rank] as number
    if (newest <= this.#horizon) waiting = newest
    else if (waiting <= before) waiting = newest
    this.#waiting[rank] = waiting
    if (waiting <= before || waiting > this.#horizon) return false
    this.usable[rank] = waiting
    this.#waiting[rank] = newest
    return true
  }
}
