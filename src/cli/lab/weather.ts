/** What a relay does to the bytes that pass it in one direction, and how many it did it to. */

import { Random } from '../../lib/prng.ts'
import { cutFrames, FrameCutter, kindOf, stretched } from './frame-cutter.ts'

/** What goes wrong. All of it is optional, and nothing is the default. */
export interface Faults {
  /** Nothing passes, nothing is lost, not even an end: what a cable does that is out of its socket. */
  readonly stalled: boolean
  readonly delayMs: number
  /** Mean of a random part of the delay; bytes of one connection stay in their order. */
  readonly jitterMs: number
  readonly bytesPerSecond: number
  /** A bit is flipped in one byte of so many, on average. */
  readonly flipEveryBytes: number
  /** A byte is swallowed of so many, on average: what comes after it is no frame any more. */
  readonly swallowEveryBytes: number
  /** Chances for whole frames, which then lose, double or change places. */
  readonly loseFrames: number
  readonly doubleFrames: number
  readonly swapFrames: number
}

export const calm: Faults = {
  stalled: false,
  delayMs: 0,
  jitterMs: 0,
  bytesPerSecond: Number.POSITIVE_INFINITY,
  flipEveryBytes: Number.POSITIVE_INFINITY,
  swallowEveryBytes: Number.POSITIVE_INFINITY,
  loseFrames: 0,
  doubleFrames: 0,
  swapFrames: 0,
}

/** How often it happened. */
export interface Damage {
  flipped: number
  swallowed: number
  lost: number
  doubled: number
  swapped: number
}

/** What happens to the next frame of a kind: it is lost, or one bit of its length flips. */
export interface FrameRule {
  readonly kind: number
  readonly what: 'lose' | 'stretch'
}

/** One direction of a link. It may be shared by the relays that carry it, and changed at any time. */
export class Weather {
  readonly damage: Damage = { flipped: 0, swallowed: 0, lost: 0, doubled: 0, swapped: 0 }
  /** Each for one frame, and removed when it came. */
  readonly rules: FrameRule[] = []
  /** Told when the faults change. */
  readonly listeners: Set<() => void> = new Set()
  private readonly random: Random
  private now: Faults = calm
  private untilFlip = Number.POSITIVE_INFINITY
  private untilSwallow = Number.POSITIVE_INFINITY

  constructor(seed: number) {
    this.random = new Random(seed)
  }

  get faults(): Faults {
    return this.now
  }

  /** Whether the bytes must be taken apart into frames. */
  get framed(): boolean {
    const { loseFrames, doubleFrames, swapFrames } = this.now
    return this.rules.length > 0 || loseFrames + doubleFrames + swapFrames > 0
  }

  /** What is not named becomes calm. */
  set(faults: Partial<Faults>): void {
    this.now = { ...calm, ...faults }
    this.untilFlip = this.next(this.now.flipEveryBytes)
    this.untilSwallow = this.next(this.now.swallowEveryBytes)
    for (const listener of this.listeners) listener()
  }

  /** Loses the next frame of this kind (`docs/wire.md`, Kinds). */
  drop(kind: number): void {
    this.rules.push({ kind, what: 'lose' })
  }

  /** Flips one bit in the length of the next frame of this kind: it then seems to be longer by a mebibyte. */
  stretch(kind: number): void {
    this.rules.push({ kind, what: 'stretch' })
  }

  /** Ms that bytes take, without the time that the link is busy with others. */
  delayMs(): number {
    const { delayMs, jitterMs } = this.now
    return delayMs + (jitterMs === 0 ? 0 : this.random.exponential(jitterMs))
  }

  /** What arrives instead of a chunk; with a cutter, frame by frame. */
  pass(chunk: Uint8Array, cutter: FrameCutter): Uint8Array[] {
    const pieces = cutFrames(chunk, cutter, this.framed)
    const passed = this.framed ? this.shuffle(pieces) : pieces
    return passed.map(piece => this.spoil(piece)).filter(piece => piece.length > 0)
  }

  private shuffle(frames: readonly Uint8Array[]): Uint8Array[] {
    const { loseFrames, doubleFrames, swapFrames } = this.now
    const out: Uint8Array[] = []
    for (const frame of frames) {
      const kind = kindOf(frame)
      const what = kind === null ? null : this.ruled(kind)
      if (what === 'lose' || (kind !== null && this.random.chance(loseFrames))) {
        this.damage.lost++
        continue
      }
      if (what === 'stretch') this.damage.flipped++
      out.push(what === 'stretch' ? stretched(frame) : frame)
      if (kind === null) continue
      if (this.random.chance(doubleFrames)) {
        this.damage.doubled++
        out.push(frame)
      }
      const other = out.at(-2)
      if (other !== undefined && kindOf(other) !== null && this.random.chance(swapFrames)) {
        this.damage.swapped++
        out.splice(-2, 2, frame, other)
      }
    }
    return out
  }

  private ruled(kind: number): FrameRule['what'] | null {
    const index = this.rules.findIndex(rule => rule.kind === kind)
    if (index < 0) return null
    return this.rules.splice(index, 1)[0]?.what ?? null
  }

  private spoil(piece: Uint8Array): Uint8Array {
    this.untilFlip -= piece.length
    this.untilSwallow -= piece.length
    if (this.untilFlip > 0 && this.untilSwallow > 0) return piece
    let bytes = piece.slice()
    while (this.untilFlip <= 0 && bytes.length > 0) {
      const at = this.random.int(bytes.length)
      bytes[at] = (bytes[at] as number) ^ (1 << this.random.int(8))
      this.damage.flipped++
      this.untilFlip += this.next(this.now.flipEveryBytes)
    }
    while (this.untilSwallow <= 0 && bytes.length > 0) {
      const at = this.random.int(bytes.length)
      bytes.copyWithin(at, at + 1)
      bytes = bytes.subarray(0, bytes.length - 1)
      this.damage.swallowed++
      this.untilSwallow += this.next(this.now.swallowEveryBytes)
    }
    return bytes
  }

  private next(mean: number): number {
    return mean === Number.POSITIVE_INFINITY ? mean : Math.max(1, this.random.exponential(mean))
  }
}
