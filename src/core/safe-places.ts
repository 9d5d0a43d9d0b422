/** Where safe messages stand of which it has not been told that they are held here. */
export class SafePlaces {
  /** Timestamps, ascending from `head` on. */
  private places: number[] = []
  private head = 0

  /** Frames of several streams do not come in the order of their timestamps. */
  add(ts: number): void {
    const { places } = this
    let index = places.length
    while (index > this.head && (places[index - 1] as number) > ts) index--
    if (index > this.head && places[index - 1] === ts) return
    if (index === places.length) places.push(ts)
    else places.splice(index, 0, ts)
  }

  /** The least one above `told`; Infinity if there is none. Those up to `told`, which only grows, are forgotten. */
  firstAbove(told: number): number {
    while (this.head < this.places.length && (this.places[this.head] as number) <= told) this.head++
    if (this.head > 1024 && this.head * 2 > this.places.length) {
      this.places = this.places.slice(this.head)
      this.head = 0
    }
    return this.places[this.head] ?? Number.POSITIVE_INFINITY
  }
}
