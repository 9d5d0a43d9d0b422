/** A network that does everything a real one may do, decided by one random stream. Hosts are small integers. */

import type { Frame, Lane } from '../core/frames.ts'
import type { MemberId } from '../core/types.ts'
import type { Cover } from '../lib/coverage.ts'
import type { Random } from '../lib/prng.ts'
import type { Scheduler } from './scheduler.ts'

/** How a link behaves while nobody cuts it. Probabilities are per frame and destination. */
export interface LinkProfile {
  /** Least delay. */
  readonly baseMs: number
  /** Mean of the exponential part of the delay. */
  readonly jitterMs: number
  readonly loss: number
  readonly duplicate: number
  /** Mean extra delay of a duplicate: when large, an old frame is replayed long after its time. */
  readonly duplicateMs: number
  /** Otherwise frames of one lane of a link arrive in the order they were sent. */
  readonly reorder: number
  /** Bits are flipped, or the end is cut off. */
  readonly corrupt: number
  /** Frames that may be in flight on a link; one more pushes a random one out. */
  readonly capacity: number
}

/** A capacity from which on none is counted. */
const unbounded = 10_000

export const calmLink: LinkProfile = {
  baseMs: 0.2,
  jitterMs: 0.1,
  loss: 0,
  duplicate: 0,
  duplicateMs: 0,
  reorder: 0,
  corrupt: 0,
  capacity: unbounded,
}

/** An encoded frame; the same for all its destinations. */
export interface Encoded {
  readonly bytes: Uint8Array
  /** Set by the first who decoded it: the others may spare themselves the work. Null: nobody did, or nobody may. */
  decoded: Frame | null
}

/** One frame on its way to one host. */
export interface Packet {
  readonly from: number
  readonly to: number
  /** Who sent it: it may be dead when this arrives. */
  readonly sender: MemberId
  /** Only this incarnation takes it; null: whoever lives at the host. */
  readonly addressee: MemberId | null
  readonly lane: Lane
  readonly kind: Frame['kind']
  /** What was sent, or, if `corrupted`, a damaged copy. */
  readonly encoded: Encoded
  readonly corrupted: boolean
  /** Members that the addressee passes it on to, in order. */
  readonly rest: readonly MemberId[]
  lost: boolean
}

/** Loses frames of one kind, or holds them back. */
export interface DropRule {
  readonly kind: Frame['kind'] | '*'
  /** Hosts; null: any. */
  readonly from: number | null
  readonly to: number | null
  /** Frames still to lose. */
  remaining: number
  readonly probability: number
  /** True: not lost, but kept until `releaseHeld`. */
  readonly hold?: boolean
}

export interface NetworkCounters {
  sent: number
  delivered: number
  lost: number
  duplicated: number
  corrupted: number
  cutOff: number
  overflowed: number
  dropped: number
}

interface Link {
  profile: LinkProfile | null
  /** How many faults cut it, and how many clog it, at the moment. */
  cuts: number
  clogs: number
  /** Latest arrival scheduled so far, by lane. */
  controlArrival: number
  dataArrival: number
  readonly inFlight: Packet[]
  readonly stuck: Packet[]
}

export interface NetworkOptions {
  readonly hosts: number
  readonly scheduler: Scheduler
  readonly random: Random
  readonly profile: LinkProfile
  /** A packet has arrived at its host. */
  readonly arrive: (packet: Packet) => void
  readonly cover: Cover
}

export class Network {
  readonly counters: NetworkCounters = {
    sent: 0,
    delivered: 0,
    lost: 0,
    duplicated: 0,
    corrupted: 0,
    cutOff: 0,
    overflowed: 0,
    dropped: 0,
  }
  profile: LinkProfile
  readonly dropRules: DropRule[] = []
  /** Told of every frame as it is sent, and as it arrives. */
  readonly watchers: ((what: 'sends' | 'receives', host: number, kind: Frame['kind']) => void)[] = []
  private readonly links: Link[] = []
  /** Frames held back; each is sent when it is called. */
  private readonly held: (() => void)[] = []
  private readonly hosts: number
  private readonly scheduler: Scheduler
  private readonly random: Random
  private readonly arrive: (packet: Packet) => void
  private readonly cover: Cover

  constructor(options: NetworkOptions) {
    this.hosts = options.hosts
    this.scheduler = options.scheduler
    this.random = options.random
    this.profile = options.profile
    this.arrive = options.arrive
    this.cover = options.cover
    for (let index = 0; index < options.hosts * options.hosts; index++) {
      this.links.push({
        profile: null,
        cuts: 0,
        clogs: 0,
        controlArrival: 0,
        dataArrival: 0,
        inFlight: [],
        stuck: [],
      })
    }
  }

  private link(from: number, to: number): Link {
    const link = this.links[from * this.hosts + to]
    if (link === undefined) throw new RangeError(`no link ${from} → ${to}`)
    return link
  }

  /** Puts an encoded frame on the way to one host. */
  send(
    from: number,
    to: number,
    sender: MemberId,
    addressee: MemberId | null,
    lane: Lane,
    kind: Frame['kind'],
    encoded: Encoded,
    rest: readonly MemberId[] = [],
  ): void {
    const link = this.link(from, to)
    const profile = link.profile ?? this.profile
    const random = this.random
    this.counters.sent++
    for (const watch of this.watchers) watch('sends', from, kind)
    const rule = this.dropRules.length > 0 ? this.ruleFor(from, to, kind) : null
    if (rule !== null) {
      if (rule.hold === true)
        this.held.push(() => this.send(from, to, sender, addressee, lane, kind, encoded, rest))
      return
    }
    // Draw the same numbers whatever happens: a small change of a profile then changes few fates.
    const lost = random.next() < profile.loss
    const duplicated = random.next() < profile.duplicate
    const reordered = random.next() < profile.reorder
    const corrupted = random.next() < profile.corrupt
    const delayMs = profile.baseMs + random.exponential(profile.jitterMs)
    if (link.cuts > 0) {
      this.counters.cutOff++
      return
    }
    if (lost) {
      this.counters.lost++
      return
    }
    const packet: Packet = {
      from,
      to,
      sender,
      addressee,
      lane,
      kind,
      encoded: corrupted ? { bytes: this.damage(encoded.bytes), decoded: null } : encoded,
      corrupted,
      rest,
      lost: false,
    }
    let arrival = this.scheduler.now + delayMs
    if (reordered) arrival += random.exponential(profile.jitterMs * 4 + profile.baseMs)
    else if (lane === 'control') link.controlArrival = arrival = Math.max(arrival, link.controlArrival)
    else link.dataArrival = arrival = Math.max(arrival, link.dataArrival)
    this.travel(link, packet, arrival, profile.capacity)
    if (duplicated) {
      this.counters.duplicated++
      const again: Packet = { ...packet, encoded, corrupted: false }
      const later = random.exponential(profile.duplicateMs)
      if (later > 100) this.cover('replayed frame')
      this.travel(link, again, arrival + later, profile.capacity)
    }
  }

  private travel(link: Link, packet: Packet, arrival: number, capacity: number): void {
    if (capacity < unbounded) link.inFlight.push(packet)
    if (link.inFlight.length > capacity) {
      const victimIndex = this.random.int(link.inFlight.length)
      const victim = link.inFlight[victimIndex] as Packet
      victim.lost = true
      link.inFlight.splice(victimIndex, 1)
      this.counters.overflowed++
    }
    this.scheduler.at(arrival, () => this.landed(link, packet))
  }

  private landed(link: Link, packet: Packet): void {
    if (packet.lost) return
    if (link.inFlight.length > 0) {
      const index = link.inFlight.indexOf(packet)
      if (index >= 0) link.inFlight.splice(index, 1)
    }
    if (link.cuts > 0) {
      this.counters.cutOff++
      return
    }
    if (link.clogs > 0) {
      link.stuck.push(packet)
      return
    }
    this.counters.delivered++
    for (const watch of this.watchers) watch('receives', packet.to, packet.kind)
    this.arrive(packet)
  }

  /** The rule that takes this frame; null: none does. */
  private ruleFor(from: number, to: number, kind: Frame['kind']): DropRule | null {
    for (let index = 0; index < this.dropRules.length; index++) {
      const rule = this.dropRules[index] as DropRule
      if (rule.kind !== '*' && rule.kind !== kind) continue
      if ((rule.from !== null && rule.from !== from) || (rule.to !== null && rule.to !== to)) continue
      if (rule.probability < 1 && !this.random.chance(rule.probability)) continue
      this.counters.dropped++
      rule.remaining--
      if (rule.remaining <= 0) this.dropRules.splice(index, 1)
      return rule
    }
    return null
  }

  /** Ends the rules that `which` chooses. */
  undrop(which: (rule: DropRule) => boolean): void {
    this.dropRules.splice(0, this.dropRules.length, ...this.dropRules.filter(rule => !which(rule)))
  }

  /** Nothing more is held back, and what was is sent now, in its order. */
  releaseHeld(): void {
    this.undrop(rule => rule.hold === true)
    for (const send of this.held.splice(0)) send()
  }

  private damage(bytes: Uint8Array): Uint8Array {
    this.counters.corrupted++
    if (bytes.length > 1 && this.random.chance(0.2)) return bytes.slice(0, this.random.int(bytes.length))
    const copy = bytes.slice()
    // Never the same bit twice: that would be no damage.
    const places = new Set<number>()
    for (let flips = this.random.between(1, 3); flips > 0; flips--)
      places.add(this.random.int(copy.length * 8))
    for (const bit of places) copy[bit >> 3] = (copy[bit >> 3] as number) ^ (1 << (bit & 7))
    return copy
  }

  /** Nothing passes, and what is on the way is lost. Cuts add up: as many mends are needed. */
  cut(from: number, to: number): void {
    this.link(from, to).cuts++
  }

  mend(from: number, to: number): void {
    const link = this.link(from, to)
    if (link.cuts > 0) link.cuts--
  }

  /** Nothing passes, but nothing is lost either: it all arrives when the link is free again. */
  clog(from: number, to: number): void {
    this.link(from, to).clogs++
    this.cover('link clogged')
  }

  /** @param swizzled true: what was stuck comes out in random order. */
  unclog(from: number, to: number, swizzled: boolean): void {
    const link = this.link(from, to)
    if (link.clogs > 0) link.clogs--
    if (link.clogs === 0) this.release(link, swizzled)
  }

  private release(link: Link, swizzled: boolean): void {
    const stuck = link.stuck.splice(0)
    if (swizzled) this.random.shuffle(stuck)
    for (const packet of stuck) {
      const arrival = this.scheduler.now + (swizzled ? this.random.next() : 0)
      this.scheduler.at(arrival, () => this.landed(link, packet))
    }
  }

  setLink(from: number, to: number, profile: LinkProfile | null): void {
    this.link(from, to).profile = profile
  }

  /** Frames pass from one host to the other at this moment. */
  open(from: number, to: number): boolean {
    const link = this.link(from, to)
    return link.cuts === 0 && link.clogs === 0
  }

  /** Ends every cut, clog, special link and rule. */
  healAll(): void {
    this.dropRules.length = 0
    for (const link of this.links) {
      link.cuts = 0
      link.profile = null
      if (link.clogs > 0) {
        link.clogs = 0
        this.release(link, false)
      }
    }
  }
}
