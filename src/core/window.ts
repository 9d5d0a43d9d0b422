/** Bytes of our own frames that not everyone has given credit for yet. */
export class Window {
  /** Bytes in flight. */
  bytes = 0
  private timestamps: number[] = []
  private sizes: number[] = []
  private head = 0

  add(ts: number, bytes: number): void {
    this.timestamps.push(ts)
    this.sizes.push(bytes)
    this.bytes += bytes
  }

  /** Everything with ts ≤ `credit` has left the receivers' buffers. True if that opened the window. */
  release(credit: number): boolean {
    const before = this.head
    while (this.head < this.timestamps.length && (this.timestamps[this.head] as number) <= credit) {
      this.bytes -= this.sizes[this.head] as number
      this.head++
    }
    const moved = this.head > before
    if (this.head > 1024 && this.head * 2 > this.timestamps.length) {
      this.timestamps = this.timestamps.slice(this.head)
      this.sizes = this.sizes.slice(this.head)
      this.head = 0
    }
    return moved
  }

  /** Timestamp of the oldest frame in flight; Infinity if none is. */
  get oldest(): number {
    return this.timestamps[this.head] ?? Number.POSITIVE_INFINITY
  }
}
