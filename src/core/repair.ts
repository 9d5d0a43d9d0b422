/** Gaps in streams: asked for by NAK, answered from what is held. A transport may lose anything; this is the cure. */

import type { CellLimits, CellTimeouts } from './api.ts'
import type { DataFrame, NakFrame } from './frames.ts'
import type { Ordering } from './ordering.ts'
import { bytesOf, maxFramesMissing, type Stream } from './stream.ts'
import type { MemberId } from './types.ts'

/** Runs of frames of a stream that one member asks for at a time. With one at a time a stream with many holes took as many rounds. */
const maxRuns = 16

interface Gap {
  contiguous: number
  /** No progress since. */
  since: number
  nextNakAt: number
  naks: number
}

/**
 * What may still come without being asked for. `in order`: frames that neither a frame nor a fact of their lane has
 * overtaken; `anything`: where frames take several ways, of which one may be much longer.
 */
export type UnderWay = 'nothing' | 'in order' | 'anything'

/** A NAK that leaves now. */
export interface Request {
  readonly to: MemberId
  readonly frame: NakFrame
}

/** Frames that somebody asked for, from `seq` to `last`. */
interface Debt {
  readonly to: MemberId
  readonly rank: number
  seq: number
  readonly last: number
}

export class Repair {
  private gaps: (Gap | null)[] = []
  /** Retransmissions owed, oldest first. */
  private owed: Debt[] = []

  private readonly limits: CellLimits
  private readonly timeouts: CellTimeouts

  constructor(limits: CellLimits, timeouts: CellTimeouts) {
    this.limits = limits
    this.timeouts = timeouts
  }

  /**
   * NAKs that are due. `supplierOf` says whom to ask for a stream (its owner, or whom a Plan names), null for nobody;
   * `upTo` how far the stream is wanted (its highest known frame, or the Plan's U).
   */
  requests(
    ordering: Ordering,
    now: number,
    supplierOf: (rank: number) => MemberId | null,
    upTo: (rank: number, stream: Stream) => number,
    underWay: UnderWay,
  ): Request[] {
    const out: Request[] = []
    for (let rank = 0; rank < ordering.streams.length; rank++) {
      if (rank === ordering.rank) continue
      const stream = ordering.streams[rank] as Stream
      const wanted = upTo(rank, stream)
      if (wanted > stream.highest) stream.highest = wanted
      if (wanted <= stream.contiguous) {
        this.gaps[rank] = null
        continue
      }
      const gap = this.follow(rank, stream, now, this.firstNakMs(stream, underWay))
      const to = supplierOf(rank)
      if (now < gap.nextNakAt || to === null) continue
      gap.naks++
      const pauseMs = this.firstNakMs(stream, underWay) * 2 ** gap.naks
      gap.nextNakAt = now + Math.min(this.timeouts.heartbeatMs * 2, pauseMs)
      const configuration = ordering.configuration.id
      for (const run of stream.gaps(wanted, maxRuns)) {
        out.push({ to, frame: { kind: 'nak', configuration, rank, from: run.from, to: run.to } })
      }
    }
    return out
  }

  /** Somebody asked. Only what the stream can have is owed, and no more than a few requests of one member at a time. */
  owe(to: MemberId, frame: NakFrame): void {
    const { rank, from } = frame
    const last = Math.min(frame.to, from + maxFramesMissing - 1)
    const before = this.owed.filter(debt => debt.to === to && debt.rank === rank)
    // Asked for again it is owed once; and who asks for more and more has given up the oldest.
    const over = before.filter(debt => debt.seq <= last && debt.last >= from)
    if (over.length === 0 && before.length >= maxRuns) over.push(before[0] as Debt)
    if (over.length > 0) this.owed = this.owed.filter(debt => !over.includes(debt))
    this.owed.push({ to, rank, seq: from, last })
  }

  /** Frames to send again now, within a budget of a quarter of a window a turn. */
  retransmissions(ordering: Ordering): { readonly to: MemberId; readonly frame: DataFrame }[] {
    const out: { to: MemberId; frame: DataFrame }[] = []
    let budget = this.limits.windowBytes / 4
    while (budget > 0) {
      const debt = this.owed[0]
      if (debt === undefined) break
      const stream = ordering.streams[debt.rank] as Stream
      const frame = debt.seq <= debt.last ? stream.frame(debt.seq) : undefined
      debt.seq++
      if (debt.seq > debt.last) this.owed.shift()
      if (frame === undefined) continue
      budget -= bytesOf(frame)
      out.push({ to: debt.to, frame })
    }
    return out
  }

  get owing(): boolean {
    return this.owed.length > 0
  }

  /** How long the worst gap of this stream has stood still; 0 if it has none. */
  stalledFor(rank: number, now: number): number {
    const gap = this.gaps[rank]
    return gap ? now - gap.since : 0
  }

  /** Our own loop stalled: nobody has stood still before we listened again. */
  rearm(now: number): void {
    for (const gap of this.gaps) if (gap) gap.since = now
  }

  nextDeadline(): number {
    let next = Number.POSITIVE_INFINITY
    for (const gap of this.gaps) if (gap && gap.nextNakAt < next) next = gap.nextNakAt
    return next
  }

  private follow(rank: number, stream: Stream, now: number, firstNakMs: number): Gap {
    let gap = this.gaps[rank]
    if (!gap) {
      gap = { contiguous: stream.contiguous, since: now, nextNakAt: now + firstNakMs, naks: 0 }
      this.gaps[rank] = gap
    } else if (gap.contiguous !== stream.contiguous) {
      // What is missing may be on its way: only a gap that stands still is a loss.
      gap.contiguous = stream.contiguous
      gap.since = now
      gap.naks = 0
      gap.nextNakAt = now + firstNakMs
    } else if (gap.naks === 0) {
      // What may have been on its way when the gap was found is not any more.
      gap.nextNakAt = Math.min(gap.nextNakAt, now + firstNakMs)
    }
    return gap
  }

  /** Control frames overtake the data lane by all that a slow link has queued: two heartbeats are a guess at that. */
  private firstNakMs(stream: Stream, underWay: UnderWay): number {
    const { acknowledgeMs, heartbeatMs } = this.timeouts
    const { overtaken, due, contiguous } = stream
    const late = underWay === 'nothing' || (underWay === 'in order' && (overtaken || due > contiguous))
    if (!late) return Math.max(heartbeatMs * 2, acknowledgeMs * 4)
    return overtaken ? acknowledgeMs : acknowledgeMs * 4
  }
}
