/** One cell of many members on a network that loses nothing, and the meters. Everything follows from the seed. */

import type { CellEvent, CellOptions } from '../../core/api.ts'
import type { Frame, Lane } from '../../core/frames.ts'
import type { MemberId } from '../../core/types.ts'
import { Random } from '../../lib/prng.ts'
import { calmLink, type Encoded, Network } from '../network.ts'
import { Scheduler } from '../scheduler.ts'
import { Member } from './member.ts'
import { Meter, purposeOf, type Traffic } from './traffic.ts'

/** Something did not happen that must: the run says nothing then. */
export class ScaleError extends Error {}

export interface SiteOptions {
  readonly members: number
  readonly seed: number
  /** From one member to another, in ms. */
  readonly hopMs: number
  /** Mean of what comes on top of it at random, in ms. */
  readonly jitterMs: number
  /** How the cells are set up. */
  readonly cell: Partial<CellOptions>
}

/** Members boot within so many ms. */
const bootMs = 10
/** A view that does not come in this time will not, in ms. */
const patienceMs = 30_000

export class Site {
  readonly options: SiteOptions
  readonly scheduler: Scheduler = new Scheduler()
  readonly random: Random
  readonly members: Member[] = []
  readonly meter: Meter = new Meter()
  /** What had passed when the last view was shown. */
  atLastView: Traffic = this.meter.total()
  /** When a change of membership was first noticed since `watch` was called, and what had passed by then. */
  noticed: { readonly at: number; readonly traffic: Traffic } | null = null
  /** Told of segments as they get their place, and as they are delivered. */
  onSegment: ((member: Member, event: Extract<CellEvent, { type: 'originate' | 'deliver' }>) => void) | null =
    null
  /** Frames sent by each member, by host. */
  readonly sentBy: number[]
  private readonly network: Network
  private readonly hosts: Map<MemberId, number> = new Map()

  constructor(options: SiteOptions) {
    this.options = options
    this.random = new Random(options.seed)
    this.sentBy = Array.from({ length: options.members }, () => 0)
    this.network = new Network({
      hosts: options.members,
      scheduler: this.scheduler,
      random: this.random.fork('network'),
      profile: { ...calmLink, baseMs: options.hopMs, jitterMs: options.jitterMs },
      arrive: packet => this.members[packet.to]?.arrive(packet),
      cover: () => {},
    })
  }

  /** Starts everybody at about the same time, and waits until all are in one view. @returns ms that took. */
  boot(): number {
    const { members: count, hopMs, cell } = this.options
    const random = this.random.fork('boot')
    for (let host = 0; host < count; host++) {
      // Of one length, so that ranks are hosts.
      const name = `n${String(host + 1).padStart(2, '0')}`
      const boot = Array.from({ length: 4 }, () => random.u32().toString(16).padStart(8, '0')).join('')
      const seed = random.u32()
      this.scheduler.at(random.next() * bootMs, () => {
        const member = new Member(this, host, `${name}#${boot}`, { ...cell, seed })
        this.members[host] = member
        this.hosts.set(member.id, host)
        member.wake()
        // Connections are made by a handshake.
        this.scheduler.after(2 * hopMs, () => this.connected())
      })
    }
    this.scheduler.runUntil(bootMs)
    return this.untilViews([this.members])
  }

  private connected(): void {
    for (const member of this.members) {
      member?.cell.peerConnected()
      member?.wake()
    }
  }

  run(ms: number): void {
    this.scheduler.runUntil(this.scheduler.now + ms)
  }

  /** From now on, what is noticed counts. */
  watch(): void {
    this.noticed = null
  }

  /**
   * Runs until each of these sets is one configuration, with a view that shows just them.
   * @returns ms from now until the last of those views was shown.
   */
  untilViews(sides: readonly (readonly Member[])[]): number {
    const from = this.scheduler.now
    const there = (): boolean =>
      sides.every(side =>
        side.every(
          member =>
            member.settled &&
            member.view === side.length &&
            member.cell.configuration.members.length === side.length &&
            member.cell.configuration.id.key === side[0]?.cell.configuration.id.key,
        ),
      )
    while (!there()) {
      if (this.scheduler.now - from > patienceMs) {
        const sizes = this.members.map(({ view }) => view).join(' ')
        throw new ScaleError(
          `${this.options.members} members have not come to their views within ${patienceMs / 1000} simulated seconds; ` +
            `they see ${sizes} members. A hop, jitter included, must be much shorter than the timeouts.`,
        )
      }
      this.run(1)
    }
    return Math.max(...sides.flat().map(member => member.viewAt)) - from
  }

  /** The process dies, and its host says so to whoever connects again. */
  kill(victim: Member): void {
    victim.kill()
    this.scheduler.after(3 * this.options.hopMs, () => {
      for (const member of this.members) {
        if (!member.alive) continue
        member.cell.peerLost(victim.id, 'refused', this.scheduler.now)
        member.wake()
      }
    })
  }

  cut(side: readonly Member[], other: readonly Member[]): void {
    this.eachPair(side, other, (from, to) => this.network.cut(from, to))
  }

  mend(side: readonly Member[], other: readonly Member[]): void {
    this.eachPair(side, other, (from, to) => this.network.mend(from, to))
  }

  private eachPair(
    side: readonly Member[],
    other: readonly Member[],
    act: (from: number, to: number) => void,
  ): void {
    for (const one of side) {
      for (const another of other) {
        act(one.host, another.host)
        act(another.host, one.host)
      }
    }
  }

  // ---- called by members ----

  transmit(from: Member, to: readonly MemberId[] | null, lane: Lane, frame: Frame, bytes: Uint8Array): void {
    // Whoever gets the frame shares what the first of them decoded: the others may spare themselves the work.
    const encoded: Encoded = { bytes, decoded: null }
    let copies = 0
    const send = (host: number, addressee: MemberId | null): void => {
      if (host === from.host || this.members[host]?.alive !== true) return
      copies++
      this.network.send(from.host, host, from.id, addressee, lane, frame.kind, encoded)
    }
    if (to === null) for (let host = 0; host < this.options.members; host++) send(host, null)
    else for (const member of to) send(this.hosts.get(member) ?? from.host, member)
    this.sentBy[from.host] = (this.sentBy[from.host] as number) + copies
    this.meter.add(purposeOf(frame.kind), copies, copies * bytes.length)
  }

  witness(member: Member, event: CellEvent): void {
    switch (event.type) {
      case 'originate':
      case 'deliver':
        this.onSegment?.(member, event)
        break
      case 'suspect':
      case 'heard':
      case 'phase':
        this.noticed ??= { at: this.scheduler.now, traffic: this.meter.total() }
        break
      default:
    }
  }

  viewShown(): void {
    this.atLastView = this.meter.total()
  }
}
