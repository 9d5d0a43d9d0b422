/** Messages: how many hops they take, and what they cost on the wire. */

import type { CellEvent } from '../../core/api.ts'
import type { Member } from './member.ts'
import type { Site } from './site.ts'
import { between, type Traffic } from './traffic.ts'

export interface Load {
  /** Members that send. */
  readonly talkers: number
  /** Messages a second of each talker, at random moments; null: as fast as windows allow. */
  readonly rate: number | null
  readonly service: 'agreed' | 'safe'
  readonly messageBytes: number
  /** What is measured, in virtual ms. */
  readonly windowMs: number
}

/** In hops: times that a frame takes from one member to another. */
export interface Hops {
  readonly p50: number
  readonly p99: number
}

export interface LoadFigures extends Load {
  /** Sent while it was measured. */
  readonly messages: number
  /** Until all other members have delivered, each delivery counted; and at the sender itself. */
  readonly others: Hops
  readonly own: Hops
  /** For each message, sent by all members together. */
  readonly perMessage: Traffic
  /** The most that any member held for retransmission. */
  readonly heldBytes: number
}

/** Messages of one segment when windows are full: what a client library packs. */
const floodCount = 64
/** Before it is measured, in ms: a client that has not spoken for some ms is known to be silent. */
const warmUpMs = 12
const floodWarmUpHops = 20

export function measureLoad(site: Site, load: Load): LoadFigures {
  const { hopMs } = site.options
  const clock = new Stopwatch(site)
  const talkers = site.members.slice(0, load.talkers)
  const body = new Uint8Array(load.messageBytes)
  const stop = load.rate === null ? flood(talkers, load) : talk(site, talkers, load, body)
  site.run(load.rate === null ? floodWarmUpHops * hopMs : warmUpMs)
  const before = site.meter.total()
  clock.start()
  let heldBytes = 0
  for (
    const end = site.scheduler.now + load.windowMs;
    site.scheduler.now < end - hopMs / 2;
    site.run(hopMs)
  ) {
    for (const { cell } of site.members) heldBytes = Math.max(heldBytes, cell.load.historyBytes)
  }
  clock.stop()
  const after = site.meter.total()
  stop()
  // Until the last one is delivered everywhere, and acknowledged.
  site.run(1000 * hopMs)
  site.onSegment = null
  return {
    ...load,
    messages: clock.messages,
    others: hopsOf(clock.others, hopMs),
    own: hopsOf(clock.own, hopMs),
    perMessage: between(before, after, Math.max(1, clock.messages)),
    heldBytes,
  }
}

/** @returns what ends it. */
function talk(site: Site, talkers: readonly Member[], load: Load, body: Uint8Array): () => void {
  const meanMs = 1000 / (load.rate ?? 1)
  let talking = true
  for (const member of talkers) {
    const random = site.random.fork(`talker ${member.host}`)
    const next = (): void => {
      if (!talking) return
      member.send(load.service, 1, body)
      site.scheduler.after(random.exponential(meanMs), next)
    }
    site.scheduler.after(random.next() * meanMs, next)
  }
  return () => {
    talking = false
  }
}

function flood(talkers: readonly Member[], load: Load): () => void {
  const body = new Uint8Array(floodCount * load.messageBytes)
  for (const member of talkers) {
    member.flood = { count: floodCount, body }
    member.wake()
  }
  return () => {
    for (const member of talkers) member.flood = null
  }
}

/** Times each segment from the moment at which it has its place in the order. */
class Stopwatch {
  messages = 0
  readonly own: number[] = []
  readonly others: number[] = []
  private running = false
  private readonly site: Site
  /** By rank of the sender: when the segments of its frames got their place, by ts. */
  private readonly sentAt: Map<number, number>[]

  constructor(site: Site) {
    this.site = site
    this.sentAt = site.members.map(() => new Map())
    site.onSegment = (member, event) => this.segment(member, event)
  }

  start(): void {
    this.running = true
  }

  stop(): void {
    this.running = false
  }

  private segment(member: Member, event: Extract<CellEvent, { type: 'originate' | 'deliver' }>): void {
    const { place, segment } = event
    const { now } = this.site.scheduler
    const head = segment.head as { readonly kind: string; readonly count?: number }
    if (head.kind !== 'messages') return
    const sent = this.sentAt[place.rank] as Map<number, number>
    if (event.type === 'originate') {
      if (!this.running) return
      this.messages += head.count ?? 1
      sent.set(place.ts, now)
      return
    }
    const at = sent.get(place.ts)
    if (at === undefined) return
    const times = member.host === place.rank ? this.own : this.others
    times.push(now - at)
  }
}

/** Nearest rank. NaN, if nothing was delivered, is none: null in JSON. */
function hopsOf(times: number[], hopMs: number): Hops {
  times.sort((a, b) => a - b)
  const at = (share: number): number =>
    (times[Math.max(0, Math.ceil(times.length * share) - 1)] ?? Number.NaN) / hopMs
  return { p50: at(0.5), p99: at(0.99) }
}
