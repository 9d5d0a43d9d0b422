/**
 * One cell at work: core, groups, sessions, transport, on whatever loop drives it. I/O only enqueues; `step` does
 * everything that has accumulated in one pass, and flushes once.
 */

import { crc32 } from 'node:zlib'
import { type Counters } from '../admin/counters.ts'
import type { AdminEvent } from '../admin/events.ts'
import { counterIndex } from '../admin/registry.ts'
import type { Channel } from '../client/channel.ts'
import type { CellDescription } from '../codec/client.ts'
import { CodecError } from '../codec/error.ts'
import { FrameDecoder, FrameEncoder } from '../codec/peer.ts'
import type { CellConfig } from '../config/config.ts'
import { chooseTransport } from '../config/transport.ts'
import type { CellEvent } from '../core/api.ts'
import { Cell } from '../core/cell.ts'
import type { Frame, Lane } from '../core/frames.ts'
import type { MemberId } from '../core/types.ts'
import { Groups } from '../groups/groups.ts'
import type { SegmentHead } from '../groups/types.ts'
import { Deque } from '../lib/deque.ts'
import type { PeerEvent, Slices, Transport } from '../transport/transport.ts'
import { FrameCounts } from './framecounts.ts'
import type { Loop, Steppable } from './loop.ts'
import { SessionServer } from './sessions.ts'
import { CellTrace } from './trace.ts'

export interface RuntimeOptions {
  readonly self: MemberId
  readonly cluster: string
  readonly config: CellConfig
  /** Seed of the core's randomness. */
  readonly seed: number
  readonly counters: Counters
  readonly emit: (event: AdminEvent) => void
  readonly trace: string | null
  readonly createTransport: (wake: () => void) => Transport
  readonly createLoop: (target: Steppable) => Loop
  readonly describeCells: () => readonly CellDescription[]
  readonly status: () => Promise<string>
  readonly now: () => number
}

const turns = counterIndex('cell.loop.turns')
const segmentsOriginated = counterIndex('cell.segments.originated')
const gauges = {
  members: counterIndex('cell.members'),
  sessions: counterIndex('cell.sessions.open'),
  groups: counterIndex('cell.groups.known'),
  queue: counterIndex('cell.queue.bytes'),
  window: counterIndex('cell.window.bytes'),
  history: counterIndex('cell.history.bytes'),
  clients: counterIndex('cell.clients.queueBytes'),
  peers: counterIndex('cell.peers.queueBytes'),
}
const gaugesEveryMs = 200
/** Rounds of submit → evaluate → deliver in one step; what is left comes with the next, at once. */
const maxRounds = 8
/**
 * What one step spends on what the cell has said (ms); the rest comes with the next, after the peers were heard. A pass
 * of deliveries to hundreds of local sessions takes longer than a peer waits for a sign of life.
 */
const handlingMs = 25
/** The same for what clients have sent: a burst of all of them at once is taken in parts. */
const intakeMs = 10
/** More than a segment has beyond the bytes of its messages. */
const segmentOverhead = 1024
/** Refusals that are kept. */
const maxRefusals = 256

export class CellRuntime implements Steppable {
  readonly cell: Cell
  readonly groups: Groups
  readonly sessions: SessionServer
  readonly transport: Transport
  readonly loop: Loop
  nextDeadline = 0
  private readonly options: RuntimeOptions
  private readonly encoder: FrameEncoder
  private readonly decoders = new Map<MemberId, FrameDecoder>()
  private readonly counts: FrameCounts
  private readonly trace: CellTrace | null
  /** Why a peer is not connected, in words; by its name, or by the address at which something else answered. */
  private readonly refusals = new Map<string, string>()
  private gaugesAt = 0
  private unfinished = false
  /** What the cell has said and the layers above have not dealt with yet. */
  private readonly told: Deque<CellEvent> = new Deque()
  private windowFull = false
  private queueFull = false
  private lastStepAt: number
  private closed = false
  /** Run when a condition about the cell holds, looked at after every step. */
  private waiters: { readonly holds: () => boolean; readonly done: () => void }[] = []

  constructor(options: RuntimeOptions) {
    this.options = options
    const { self, config, counters } = options
    const { name, limits, timeouts } = config
    const now = options.now()
    const maxSegmentBytes = limits.messageBytes + segmentOverhead
    const { transport } = chooseTransport(config, nameOf(self))
    const relayed = transport === 'chain' || transport === 'multicast'
    this.cell = new Cell(
      { self, seed: options.seed, limits: { ...limits, maxSegmentBytes }, timeouts, relayed },
      now,
    )
    this.groups = new Groups({ self, limits })
    this.encoder = new FrameEncoder({ cell: name, self, crc32 })
    this.counts = new FrameCounts(counters, self)
    this.trace = options.trace === null ? null : new CellTrace(options.trace, self, name, counters)
    this.lastStepAt = now
    this.loop = options.createLoop(this)
    const wake = (): void => this.loop.wake()
    this.transport = options.createTransport(wake)
    this.sessions = new SessionServer({
      self,
      cluster: options.cluster,
      cell: name,
      groups: this.groups,
      limits,
      slow: config.slowClient,
      counters,
      emit: options.emit,
      describeCells: options.describeCells,
      status: options.status,
      wake,
    })
  }

  async start(): Promise<void> {
    await this.transport.start()
    this.loop.wake()
  }

  /** @param mayStay false: there is no descriptor for another one; it is told so. */
  accept(channel: Channel, mayStay: boolean = true): void {
    this.sessions.accept(channel, this.options.now(), mayStay)
    this.loop.wake()
  }

  step(now: number): void {
    if (this.closed) return
    this.noticeStall(now)
    this.options.counters.add(turns, 1)
    this.transport.drain({
      onFrame: (from, lane, frame, by) => this.receive(from, lane, frame, by !== undefined, now),
      onPeer: event => this.peer(event, now),
    })
    const intakeUntil = this.options.now() + intakeMs
    const taken = this.sessions.intake(now, () => this.options.now() < intakeUntil)
    // A new configuration begins without a hold: it is said again as long as it lasts.
    const lagging = this.sessions.tick(now)
    this.cell.holdCredit(lagging || this.behind)
    const told = this.pump(now)
    if (!taken) this.unfinished = true
    if (!taken || !told) this.options.counters.count('cell.loop.cutShort')
    this.trace?.flush()
    this.sendOutbox()
    this.transport.flush()
    this.sessions.flush(now)
    this.counts.transport(this.transport.counters, this.transport.datagrams)
    if (this.transport.relays !== undefined) this.counts.relays(this.transport.relays)
    this.lookAtLoad()
    if (now >= this.gaugesAt) this.setGauges(now)
    this.nextDeadline = this.unfinished ? now : Math.min(this.cell.nextDeadline, this.sessions.nextDeadline())
    if (this.waiters.length > 0) this.lookAtWaiters()
  }

  /** Leaves gracefully: sessions disconnect in the order, everything accepted is ordered, the others re-form at once. */
  async leave(timeoutMs: number): Promise<void> {
    this.sessions.leave()
    this.loop.wake()
    await this.until(() => this.sessions.sessionsLeft === 0, timeoutMs)
    this.cell.leave(this.options.now())
    this.loop.wake()
    await this.until(() => this.cell.phase === 'left' && !this.behind, timeoutMs)
  }

  async close(): Promise<void> {
    if (this.closed) return
    this.closed = true
    this.loop.stop()
    this.sessions.close()
    this.trace?.close()
    await this.transport.close()
  }

  private receive(from: MemberId, lane: Lane, slices: Slices, relayed: boolean, now: number): void {
    let decoder = this.decoders.get(from)
    if (decoder === undefined) {
      decoder = new FrameDecoder({ cell: this.options.config.name, from, crc32 })
      this.decoders.set(from, decoder)
    }
    let frame: Frame
    try {
      frame = decoder.decode(slices)
    } catch (error) {
      if (!(error instanceof CodecError)) throw error
      this.counts.dropped(error)
      return
    }
    this.counts.received(frame, lane, slices.bytes, from, this.cell.configuration, relayed)
    this.cell.receive(from, frame, now, relayed)
  }

  private peer(event: PeerEvent, now: number): void {
    const { emit, config } = this.options
    const cell = config.name
    const { address } = event
    if (event.type === 'rejected') {
      if (this.refusals.size >= maxRefusals) this.refusals.clear()
      this.refusals.set(event.member === null ? address : nameOf(event.member), event.reason)
      emit({ type: 'peerRejected', cell, address, by: event.by, words: event.reason })
      return
    }
    const peer = event.member
    if (event.type === 'up') {
      this.refusals.delete(nameOf(peer))
      this.refusals.delete(address)
      this.options.counters.count('cell.peers.connected')
      emit({ type: 'link', cell, peer, address, state: 'up', why: '' })
      this.cell.peerConnected()
      return
    }
    this.decoders.delete(peer)
    emit({ type: 'link', cell, peer, address, state: 'down', why: event.reason })
    if (event.type === 'refused') this.cell.peerLost(peer, 'refused', now)
    else this.options.counters.count('cell.peers.lost')
  }

  /** Why this peer was not let in, or did not let us in; null if that did not happen since it was up. */
  refusalOf(name: string, address: string): string | null {
    return this.refusals.get(name) ?? this.refusals.get(address) ?? null
  }

  /**
   * Submits, evaluates and delivers until nothing follows from it, or it is time to look at the peers again.
   * @returns false if there was no time for all that the cell has said.
   */
  private pump(now: number): boolean {
    const until = this.options.now() + handlingMs
    this.submit()
    this.unfinished = true
    for (let round = 0; round < maxRounds && this.unfinished; round++) {
      this.tellConsumed()
      const closedBefore = !this.groups.gateOpen
      this.cell.evaluate(now)
      if (!this.handleTold(until)) break
      // Only now: before, the groups would open the gate of a configuration that they have not heard of.
      if (this.groups.gateOpen) this.cell.openGate()
      const opened = closedBefore && this.groups.gateOpen
      this.unfinished = this.submit() || opened
    }
    this.tellConsumed()
    return !this.behind
  }

  /** True if the layers above have not heard all that the cell has said. */
  private get behind(): boolean {
    return this.told.length > 0
  }

  /** @returns false if there was no time for all of it. */
  private handleTold(until: number): boolean {
    const { told } = this
    for (const event of this.cell.takeEvents()) {
      // Now, whenever its turn is: what the cell sends of it leaves with this step.
      this.trace?.record(event)
      told.push(event)
    }
    // At least one: slow is not stuck.
    for (let event = told.shift(); event !== undefined; event = told.shift()) {
      this.handle(event)
      if (told.length > 0 && this.options.now() >= until) return false
    }
    return true
  }

  private submit(): boolean {
    const submissions = this.groups.takeSubmissions()
    for (const { segment, urgent } of submissions) this.cell.submit(segment, urgent)
    return submissions.length > 0
  }

  private handle(event: CellEvent): void {
    if (event.type === 'originate') {
      this.options.counters.add(segmentsOriginated, 1)
      this.sessions.originated(event.segment.head as SegmentHead, event.segment.body)
      return
    }
    this.counts.event(event, this.options.config.name, this.options.emit)
    if (
      event.type === 'regular' &&
      event.configuration.members.length >= this.options.config.limits.maxMembers
    ) {
      this.options.counters.count('cell.limits.maxMembers')
    }
    this.groups.handle(event)
    for (const groupEvent of this.groups.takeEvents()) this.sessions.handle(groupEvent)
  }

  private tellConsumed(): void {
    const { epoch, ts } = this.sessions.acknowledgements.consumed()
    if (epoch === this.cell.configuration.id.epoch) this.cell.setConsumed(ts)
  }

  private sendOutbox(): void {
    for (const { to, lane, frame } of this.cell.takeOutbox()) {
      const slices = this.encoder.encode(frame)
      const copies = this.transport.send(to, lane, slices)
      this.counts.sent(frame, lane, slices.bytes, copies, this.cell.configuration)
    }
  }

  private noticeStall(now: number): void {
    const late = now - Math.max(this.lastStepAt, this.nextDeadline)
    this.lastStepAt = now
    if (late < this.options.config.timeouts.suspectAfterMs / 2) return
    const { counters, emit, config } = this.options
    counters.count('cell.loop.stalls')
    counters.count('cell.loop.stalledMs', late)
    emit({ type: 'stall', cell: config.name, ms: Math.round(late) })
    this.sessions.stalled(late)
  }

  /** Counts the times that the window closed on something that waits, and that too much waits. */
  private lookAtLoad(): void {
    const { counters, config } = this.options
    const { room } = this.cell
    const { queueBytes, windowBytes } = config.limits
    const queueFull = room <= 0 && this.cell.phase !== 'left'
    if (queueFull && !this.queueFull) counters.count('cell.limits.queueBytes')
    this.queueFull = queueFull
    const windowFull = room < queueBytes && this.cell.load.windowBytes >= windowBytes
    if (windowFull && !this.windowFull) counters.count('cell.limits.windowBytes')
    this.windowFull = windowFull
  }

  private setGauges(now: number): void {
    const { counters } = this.options
    const { load } = this.cell
    this.gaugesAt = now + gaugesEveryMs
    counters.set(gauges.members, this.cell.configuration.members.length)
    counters.set(gauges.sessions, this.groups.sessionCount)
    counters.set(gauges.groups, this.groups.groupCount)
    counters.set(gauges.queue, load.queueBytes)
    counters.set(gauges.window, load.windowBytes)
    counters.set(gauges.history, load.historyBytes)
    counters.set(gauges.clients, this.sessions.outstandingBytes)
    let queued = 0
    for (const peer of this.transport.peers()) queued += peer.pendingControl + peer.pendingData
    counters.set(gauges.peers, queued)
  }

  private until(holds: () => boolean, timeoutMs: number): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(resolve, timeoutMs)
      const done = (): void => {
        clearTimeout(timer)
        resolve()
      }
      this.waiters.push({ holds, done })
      this.loop.wake()
    })
  }

  private lookAtWaiters(): void {
    const met = this.waiters.filter(waiter => waiter.holds())
    if (met.length === 0) return
    this.waiters = this.waiters.filter(waiter => !met.includes(waiter))
    for (const waiter of met) waiter.done()
  }
}

function nameOf(member: MemberId): string {
  return member.slice(0, member.lastIndexOf('#'))
}
