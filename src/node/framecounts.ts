/** Counts what passes: frames by lane and kind, drops by reason, events of the core. */

import type { Counters } from '../admin/counters.ts'
import type { AdminEvent } from '../admin/events.ts'
import { counterIndex } from '../admin/registry.ts'
import type { CodecError } from '../codec/error.ts'
import type { CellEvent } from '../core/api.ts'
import type { DataFrame, Frame, Lane } from '../core/frames.ts'
import type { Configuration, MemberId } from '../core/types.ts'
import type { DatagramCounters, RelayCounters, TransportCounters } from '../transport/transport.ts'

const framesIn = {
  control: counterIndex('cell.frames.in.control'),
  data: counterIndex('cell.frames.in.data'),
}
const framesOut = {
  control: counterIndex('cell.frames.out.control'),
  data: counterIndex('cell.frames.out.data'),
}
const bytesIn = { control: counterIndex('cell.bytes.in.control'), data: counterIndex('cell.bytes.in.data') }
const bytesOut = {
  control: counterIndex('cell.bytes.out.control'),
  data: counterIndex('cell.bytes.out.data'),
}
const heartbeats = { in: counterIndex('cell.heartbeats.in'), out: counterIndex('cell.heartbeats.out') }
const announcements = {
  in: counterIndex('cell.announcements.in'),
  out: counterIndex('cell.announcements.out'),
}
const naks = { in: counterIndex('cell.naks.in'), out: counterIndex('cell.naks.out') }
const overflow = counterIndex('cell.dropped.overflow')
const resumed = counterIndex('cell.peers.resumed')
const rejected = counterIndex('cell.peers.rejected')
const datagrams: { readonly [Name in keyof DatagramCounters]: number } = {
  in: counterIndex('cell.datagrams.in'),
  out: counterIndex('cell.datagrams.out'),
  resent: counterIndex('cell.datagrams.resent'),
  duplicates: counterIndex('cell.datagrams.duplicates'),
  foreign: counterIndex('cell.datagrams.foreign'),
  attached: counterIndex('cell.datagrams.attached'),
  detached: counterIndex('cell.datagrams.detached'),
}
const datagramNames = Object.keys(datagrams) as (keyof DatagramCounters)[]
const retransmissions = {
  in: counterIndex('cell.retransmissions.in'),
  out: counterIndex('cell.retransmissions.out'),
}
const relays: { readonly [Name in keyof RelayCounters]: number } = {
  given: counterIndex('cell.relays.given'),
  in: counterIndex('cell.relays.in'),
  out: counterIndex('cell.relays.out'),
  outBytes: counterIndex('cell.relays.outBytes'),
  bypassed: counterIndex('cell.relays.bypassed'),
  unreached: counterIndex('cell.relays.unreached'),
  dropped: counterIndex('cell.relays.dropped'),
}
const relayNames = Object.keys(relays) as (keyof RelayCounters)[]

export class FrameCounts {
  private readonly counters: Counters
  private readonly self: MemberId
  private configuration: Configuration | null = null
  private ownRank = -1
  /** Highest seq sent of our own stream, and received of each other one: at or below it is a retransmission. */
  private highestSent = 0
  private highestReceived: number[] = []
  private forming = false

  constructor(counters: Counters, self: MemberId) {
    this.counters = counters
    this.self = self
  }

  /** @param configuration the installed one. @param relayed it came by a third member */
  received(
    frame: Frame,
    lane: Lane,
    bytes: number,
    from: MemberId,
    configuration: Configuration,
    relayed: boolean = false,
  ): void {
    const { counters } = this
    counters.add(framesIn[lane], 1)
    counters.add(bytesIn[lane], bytes)
    if (frame.kind === 'data') this.dataReceived(frame, from, relayed, configuration)
    else if (frame.kind === 'heartbeat') counters.add(heartbeats.in, 1)
    else if (frame.kind === 'facts') counters.add(announcements.in, 1)
    else if (frame.kind === 'nak') counters.add(naks.in, 1)
  }

  /** @param copies how many peers it was queued for. @param configuration the installed one */
  sent(frame: Frame, lane: Lane, bytes: number, copies: number, configuration: Configuration): void {
    const { counters } = this
    counters.add(framesOut[lane], copies)
    counters.add(bytesOut[lane], bytes * copies)
    if (frame.kind === 'data') this.dataSent(frame, copies, configuration)
    else if (frame.kind === 'heartbeat') counters.add(heartbeats.out, copies)
    else if (frame.kind === 'facts') counters.add(announcements.out, copies)
    else if (frame.kind === 'nak') counters.add(naks.out, copies)
  }

  private dataReceived(
    frame: DataFrame,
    from: MemberId,
    relayed: boolean,
    configuration: Configuration,
  ): void {
    this.follow(configuration)
    const { rank, seq } = frame
    const owner = configuration.members[rank]
    if (owner === undefined || frame.configuration.key !== configuration.id.key) return
    const highest = this.highestReceived[rank] ?? 0
    // What is sent again comes directly; by a third member comes what was overtaken.
    if (owner !== from || (seq <= highest && !relayed)) this.counters.add(retransmissions.in, 1)
    if (seq > highest) this.highestReceived[rank] = seq
  }

  private dataSent(frame: DataFrame, copies: number, configuration: Configuration): void {
    this.follow(configuration)
    if (frame.rank !== this.ownRank || frame.seq <= this.highestSent) {
      this.counters.add(retransmissions.out, copies)
    } else this.highestSent = frame.seq
  }

  private follow(configuration: Configuration): void {
    if (configuration === this.configuration) return
    this.configuration = configuration
    this.ownRank = configuration.members.indexOf(this.self)
    this.highestSent = 0
    this.highestReceived = []
  }

  dropped(error: CodecError): void {
    const { code } = error
    if (code === 'crc') this.counters.count('cell.dropped.crc')
    else if (code === 'cell' || code === 'sender') this.counters.count('cell.dropped.foreign')
    else this.counters.count('cell.dropped.malformed')
  }

  /** What the transport counts itself. @param sent absent: it sends no datagrams. */
  transport(totals: Readonly<TransportCounters>, sent?: Readonly<DatagramCounters>): void {
    if (sent !== undefined) for (const name of datagramNames) this.counters.set(datagrams[name], sent[name])
    this.counters.set(overflow, totals.droppedFull)
    this.counters.set(resumed, totals.reconnects)
    this.counters.set(rejected, totals.rejected + totals.garbage + totals.timeouts)
  }

  /** What is passed on along a chain. */
  relays(totals: Readonly<RelayCounters>): void {
    for (const name of relayNames) this.counters.set(relays[name], totals[name])
  }

  event(event: CellEvent, cell: string, emit: (event: AdminEvent) => void): void {
    const { counters } = this
    switch (event.type) {
      case 'regular': {
        const { id, members } = event.configuration
        this.forming = false
        counters.count('cell.configurations.installed')
        emit({ type: 'configuration', cell, kind: 'regular', id: id.key, members })
        break
      }
      case 'transitional':
        emit({
          type: 'configuration',
          cell,
          kind: 'transitional',
          id: event.of.id.key,
          members: event.members,
        })
        break
      case 'suspect':
        counters.count(`cell.suspicions.${event.reason}`)
        emit({ type: 'suspicion', cell, member: event.member, reason: event.reason })
        break
      case 'heard':
        emit({ type: 'heard', cell, member: event.member })
        break
      case 'phase':
        // An attempt that is followed by anything but its configuration has failed.
        if (event.phase === 'recover') {
          if (this.forming) counters.count('cell.attempts.failed')
          counters.count('cell.attempts.started')
          this.forming = true
        } else if (event.phase === 'gather' && this.forming) {
          counters.count('cell.attempts.failed')
          this.forming = false
        }
        emit({ type: 'phase', cell, phase: event.phase, why: event.why })
        break
      default:
        break
    }
  }
}
