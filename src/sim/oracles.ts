/**
 * Judges that look inside, as only a simulator can: what each daemon holds and has been told, compared with what it delivers.
 * They know the wire (frames as they are received) and what cells say, nothing of how a cell works.
 *
 * The knowledge of each daemon is a *lower* bound here, so that a rule broken by these numbers is broken for certain.
 */

import type { CellEvent } from '../core/api.ts'
import type { Frame, PlanFrame } from '../core/frames.ts'
import type { Configuration, Facts, MemberId, Place } from '../core/types.ts'
import { defaultLimits } from '../core/state.ts'
import type { Daemon } from './daemon.ts'
import type { Recorder } from './recorder.ts'
import type { World } from './world.ts'

/** What a daemon holds of one stream. */
interface Stream {
  contiguous: number
  readonly ahead: Set<number>
  /** The best clock pair that counts, and the newest: no more is kept by the rules. */
  countedClock: number
  newestClock: number
  newestSeq: number
  received: number
}

/** One daemon went on without another. */
interface Split {
  readonly daemon: Daemon
  readonly excluded: Daemon
  readonly before: Configuration
  readonly after: Configuration
  readonly at: number
}

/** One daemon's stay in one configuration. */
interface Stay {
  readonly daemon: Daemon
  readonly configuration: Configuration
  /** What it knew when it froze; counted only while it was in this configuration. */
  readonly known: Stream[]
  frozen: boolean
  /** Forms accepted in this configuration. */
  attempts: number
  /** Set when it installed the transitional configuration that closes this one. */
  together: readonly MemberId[] | null
  /** First thing it delivered in the transitional configuration. */
  firstAfter: { readonly ts: number; readonly safe: boolean } | null
  deliveredAfter: number
}

type Tables = Map<Daemon, Map<string, Stream[]>>

interface FrameLog {
  /** By rank: ts → seq. */
  readonly seqOf: Map<number, number>[]
}

export class Oracles {
  private readonly world: World
  private readonly recorder: Recorder
  private readonly current: Map<Daemon, Stay> = new Map()
  private readonly stays: Stay[] = []
  private readonly logs: Map<string, FrameLog> = new Map()
  private readonly daemons: Map<MemberId, Daemon> = new Map()
  /** Safe messages delivered in a transitional configuration: message → set of members lists. */
  private readonly safeAfter: Map<string, string> = new Map()
  /** All that reached a daemon, and what it certainly took note of. */
  private readonly held: Tables = new Map()
  private readonly known: Tables = new Map()

  /** By who was excluded, until its next configuration. */
  private readonly splits: Map<Daemon, Split[]> = new Map()

  constructor(world: World, recorder: Recorder) {
    this.world = world
    this.recorder = recorder
  }

  born(daemon: Daemon): void {
    this.daemons.set(daemon.member, daemon)
  }

  /** Key of the last regular configuration the daemon installed. */
  regularKey(daemon: Daemon): string {
    return this.current.get(daemon)?.configuration.id.key ?? 'none'
  }

  regular(daemon: Daemon): Configuration | null {
    return this.current.get(daemon)?.configuration ?? null
  }

  sending(frame: Frame): void {
    if (frame.kind === 'plan') this.coverPlan(frame)
    if (frame.kind !== 'data') return
    const log = this.logOf(frame.configuration.key)
    let seqs = log.seqOf[frame.rank]
    if (seqs === undefined) log.seqOf[frame.rank] = seqs = new Map()
    seqs.set(frame.ts, frame.seq)
  }

  /** Did something that nobody in T knew when it froze decide? Then it was learned in an attempt that failed. */
  private coverPlan({ groups }: PlanFrame): void {
    for (const { old, oldMembers, together, streams } of groups) {
      const stays = together.flatMap(member => {
        const daemon = this.daemons.get(member)
        const stay = daemon === undefined ? undefined : this.current.get(daemon)
        return stay?.configuration.id.key === old.key ? [stay] : []
      })
      if (stays.every(stay => stay.attempts < 2)) continue
      for (const [rank, { upTo, clock }] of streams.entries()) {
        if (together.includes(oldMembers[rank] as MemberId)) continue
        const held = Math.max(...stays.map(stay => stay.known[rank]?.contiguous ?? 0))
        const heard = Math.max(...stays.map(stay => clockWithin(stay.known[rank], upTo)))
        if (upTo > held || (clock !== Number.POSITIVE_INFINITY && clock > heard))
          this.world.cover('failed attempt decides')
      }
    }
  }

  private logOf(key: string): FrameLog {
    let log = this.logs.get(key)
    if (log === undefined) this.logs.set(key, (log = { seqOf: [] }))
    return log
  }

  /** A frame was just given to the daemon's cell. */
  received(daemon: Daemon, frame: Frame): void {
    if (frame.kind !== 'data' && frame.kind !== 'facts') return
    const key = frame.configuration.key
    const { rank } = frame
    if (rank >= 1000) return
    if (frame.kind === 'data') take(streamAt(this.table(this.held, daemon, key), rank), frame.seq)
    // What comes before the Install or after the freeze may be ignored: it is not counted as known.
    const stay = this.current.get(daemon)
    if (daemon.cell.configuration.id.key !== key) return
    if (stay?.configuration.id.key === key) {
      if (daemon.cell.phase === 'recover') stay.frozen = true
      if (stay.frozen) return
    }
    const known = streamAt(this.table(this.known, daemon, key), rank)
    if (frame.kind === 'data') take(known, frame.seq)
    hear(known, frame.facts)
    const { aggregateFrom = defaultLimits.aggregateFrom } = this.world.settings.limits
    if (frame.kind !== 'facts' || daemon.cell.configuration.members.length < aggregateFrom) return
    for (const other of frame.others) {
      if (other.rank < 1000) hear(streamAt(this.table(this.known, daemon, key), other.rank), other.facts)
    }
  }

  private table(tables: Tables, daemon: Daemon, key: string): Stream[] {
    let own = tables.get(daemon)
    if (own === undefined) tables.set(daemon, (own = new Map()))
    let streams = own.get(key)
    if (streams === undefined) own.set(key, (streams = []))
    return streams
  }

  event(daemon: Daemon, event: CellEvent): void {
    const stay = this.current.get(daemon)
    switch (event.type) {
      case 'regular':
        this.installed(daemon, event.configuration, event.together)
        break
      case 'transitional':
        if (stay !== undefined) stay.together = event.members
        break
      case 'deliver':
        this.delivered(daemon, event.place, event.sender, event.segment.safe)
        break
      case 'phase':
        if (event.phase === 'recover' && stay !== undefined) {
          stay.frozen = true
          stay.attempts++
        }
        if (event.why === 'timestamps near their limit') this.world.cover('timestamp near its limit')
        break
      default:
    }
  }

  private installed(
    daemon: Daemon,
    configuration: Configuration,
    together: readonly MemberId[] | null,
  ): void {
    const before = this.current.get(daemon)
    if (before !== undefined && together !== null)
      this.suspectSplit(daemon, before.configuration, configuration)
    if (before !== undefined) this.judgeSplits(daemon, configuration)
    const stay: Stay = {
      daemon,
      configuration,
      known: this.table(this.known, daemon, configuration.id.key),
      frozen: false,
      attempts: 0,
      together: null,
      firstAfter: null,
      deliveredAfter: 0,
    }
    this.current.set(daemon, stay)
    this.stays.push(stay)
  }

  /**
   * No capricious splits: who was up, unpaused and connected both ways for long enough is not excluded. Judged once it is
   * known what the excluded one did next: it may have gone with others, between whom and us something had come.
   */
  private suspectSplit(daemon: Daemon, before: Configuration, after: Configuration): void {
    const { world } = this
    for (const member of before.members) {
      const excluded = this.daemons.get(member)
      if (after.members.includes(member) || excluded?.alive !== true) continue
      const split = { daemon, excluded, before, after, at: world.now }
      if (!this.calmBetween(split, [])) continue
      const open = this.splits.get(excluded)
      if (open === undefined) this.splits.set(excluded, [split])
      else open.push(split)
      const current = this.current.get(excluded)?.configuration ?? null
      if (current?.id.key !== before.id.key) this.judgeSplits(excluded, current)
    }
  }

  /** Nothing had come between the two, nor between either and those with whom the other went instead. */
  private calmBetween({ daemon, excluded, before, after, at }: Split, instead: readonly MemberId[]): boolean {
    const { world } = this
    const hostOfMember = (member: MemberId): number => this.daemons.get(member)?.host ?? -1
    const gone = [...after.members, ...instead].map(hostOfMember)
    const around = [...before.members.map(hostOfMember), ...gone]
    const calm = (one: number, other: number): boolean =>
      one === other || world.together(one, other, around, at)
    return (
      calm(daemon.host, excluded.host) &&
      gone.every(host => calm(daemon.host, host) && calm(excluded.host, host))
    )
  }

  /** The excluded one has its next configuration, or none came. */
  private judgeSplits(excluded: Daemon, next: Configuration | null): void {
    const splits = this.splits.get(excluded)
    if (splits === undefined) return
    this.splits.delete(excluded)
    for (const split of splits) {
      if (!this.calmBetween(split, next?.members ?? [])) continue
      const { daemon, before, after, at } = split
      this.recorder.violate(
        'no capricious splits',
        at,
        `${daemon.member} went from ${before.id.key} to ${after.id.key} without ${excluded.member}: nothing had come between them for ${this.world.calmMs} ms`,
      )
    }
  }

  private delivered(daemon: Daemon, place: Place, sender: MemberId, safe: boolean): void {
    const stay = this.current.get(daemon)
    if (stay === undefined) return
    if (stay.together !== null) {
      stay.firstAfter ??= { ts: place.ts, safe }
      stay.deliveredAfter++
      if (safe) {
        this.world.cover('safe in transitional')
        this.safeAfterCut(stay, place)
      }
    } else if (safe) this.judgeSafe(stay, place, sender)
  }

  /** A safe message delivered in the regular configuration is held by every member of it, or by one that died with it. */
  private judgeSafe(stay: Stay, place: Place, sender: MemberId): void {
    const { configuration, daemon } = stay
    const key = configuration.id.key
    const seq = this.logs.get(key)?.seqOf[place.rank]?.get(place.ts)
    for (const member of configuration.members) {
      if (member === sender || member === daemon.member) continue
      const holder = this.daemons.get(member)
      const held =
        holder === undefined ? 0 : (this.table(this.held, holder, key)[place.rank]?.contiguous ?? 0)
      if (seq !== undefined && held >= seq) continue
      this.recorder.violate(
        'safe means held by all',
        this.world.now,
        `${daemon.member} delivered ${key}/${place.ts}.${place.rank} (frame ${seq}) as safe; ${member} holds frames up to ${held}`,
      )
    }
  }

  /** Nothing is freed before it is stable: whatever some member of the configuration lacks, the others still hold. */
  judgeRetention(daemon: Daemon): void {
    const { id, members } = daemon.cell.configuration
    if (members.length === 1) return
    const tables = members.map((member, rank) => {
      const holder = this.daemons.get(member)
      return { rank, streams: holder === undefined ? [] : this.table(this.held, holder, id.key) }
    })
    for (const [rank, stream] of this.world.parts.held(daemon.cell).entries()) {
      let least = stream.contiguous
      for (const other of tables) {
        // The owner of a stream holds all of it.
        if (other.rank !== rank) least = Math.min(least, other.streams[rank]?.contiguous ?? 0)
      }
      if (least >= stream.contiguous || stream.frame(least + 1) !== undefined) continue
      this.recorder.violate(
        'nothing is freed before it is stable',
        this.world.now,
        `${daemon.member} let go of frame ${least + 1} of ${members[rank]} in ${id.key}, which a member lacks`,
      )
    }
  }

  private safeAfterCut(stay: Stay, place: Place): void {
    const name = `${stay.configuration.id.key}/${place.ts}.${place.rank}.${place.index}`
    const side = (stay.together as readonly MemberId[]).join()
    const other = this.safeAfter.get(name)
    if (other === undefined) this.safeAfter.set(name, side)
    else if (other !== side) this.world.cover('safe on both sides of a cut')
  }

  /** At the end: nobody is excluded who did nothing, and what could be delivered in the regular configuration was. */
  judgeRest(): void {
    for (const excluded of this.splits.keys()) this.judgeSplits(excluded, null)
    this.judgeRegular()
  }

  /** What could be delivered in the regular configuration was not left for the transitional one. */
  private judgeRegular(): void {
    const groups = new Map<string, Stay[]>()
    for (const stay of this.stays) {
      if (stay.together === null) continue
      const name = `${stay.configuration.id.key}>${stay.together.join()}`
      const group = groups.get(name)
      if (group === undefined) groups.set(name, [stay])
      else group.push(stay)
    }
    for (const stays of groups.values()) this.judgeGroup(stays)
  }

  private judgeGroup(stays: readonly Stay[]): void {
    const first = stays[0] as Stay
    const together = first.together as readonly MemberId[]
    const members = first.configuration.members
    let minClock = Number.POSITIVE_INFINITY
    let minReceived = Number.POSITIVE_INFINITY
    members.forEach((member, rank) => {
      if (together.includes(member)) return
      const upTo = Math.max(0, ...stays.map(stay => stay.known[rank]?.contiguous ?? 0))
      const clock = Math.max(0, ...stays.map(stay => clockWithin(stay.known[rank], upTo)))
      const received = Math.max(0, ...stays.map(stay => stay.known[rank]?.received ?? 0))
      minClock = Math.min(minClock, clock)
      minReceived = Math.min(minReceived, received)
    })
    for (const { daemon, firstAfter, configuration } of stays) {
      if (firstAfter === null) continue
      const least = firstAfter.safe ? Math.min(minClock, minReceived) : minClock
      if (firstAfter.ts > least) continue
      this.recorder.violate(
        'deliver in the regular configuration what can be',
        this.world.now,
        `${daemon.member} left ts ${firstAfter.ts}${firstAfter.safe ? ' (safe)' : ''} for the transitional configuration of ` +
          `${configuration.id.key}; clocks known there reach ${minClock}, received ${minReceived}`,
      )
    }
  }
}

function streamAt(streams: Stream[], rank: number): Stream {
  return (streams[rank] ??= {
    contiguous: 0,
    ahead: new Set(),
    countedClock: 0,
    newestClock: 0,
    newestSeq: 0,
    received: 0,
  })
}

function take(stream: Stream, seq: number): void {
  if (seq <= stream.contiguous) return
  stream.ahead.add(seq)
  while (stream.ahead.delete(stream.contiguous + 1)) stream.contiguous++
  if (stream.newestSeq <= stream.contiguous) stream.countedClock = stream.newestClock
}

function hear(stream: Stream, facts: Facts): void {
  if (facts.received > stream.received) stream.received = facts.received
  if (facts.clock <= stream.newestClock) return
  stream.newestClock = facts.clock
  stream.newestSeq = facts.seq
  if (facts.seq <= stream.contiguous) stream.countedClock = facts.clock
}

/** The highest clock known that counts with frames up to `upTo`. */
function clockWithin(stream: Stream | undefined, upTo: number): number {
  if (stream === undefined) return 0
  return stream.newestSeq <= upTo ? stream.newestClock : stream.countedClock
}
