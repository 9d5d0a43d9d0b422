/**
 * Whom we hear. A stranger is challenged before anything it says counts; a lost peer is held down before it is
 * re-admitted, longer each time; our own row of the matrix says the rest to everyone.
 */

import type { Random } from '../lib/prng.ts'
import type { CellTimeouts, LossReason } from './api.ts'
import { nameOf, sameMembers, sortMembers } from './configuration.ts'
import type { HeartbeatFrame, Row } from './frames.ts'
import { digestMatrix, pruneMatrix } from './matrix.ts'
import type { MemberId } from './types.ts'

export interface Peer {
  readonly member: MemberId
  /** Its first heartbeat came; it was started before. */
  readonly metAt: number
  lastHeardAt: number
  /** It answered our challenge since we last lost it. */
  answered: boolean
  nonce: number
  /** The nonce was drawn; whoever answers it is alive later. */
  nonceAt: number
  challengedAt: number
  heldUntil: number
  losses: number
  /** In our row since; Infinity if it is not. */
  heardSince: number
  /** Its newest heartbeat. */
  last: HeartbeatFrame | null
}

/** Peers kept at most: more than any cell has members; strangers beyond it replace strangers. */
const maxPeers = 1024
/** Rows kept at most, and members in one: what a member that invents others can make us think about. */
const maxRows = 256
/** A row is written anew with each peer that comes or goes: nobody does that so often between two heartbeats. */
const longestLeap = 2 ** 20

export interface Loss {
  readonly member: MemberId
  readonly reason: LossReason
}

export class Peers {
  readonly self: MemberId
  /** Everyone's word on whom it hears; ours included. */
  readonly matrix: Map<MemberId, Row> = new Map()
  /** Increases with every change of the matrix. */
  version = 0
  /** Digest of the matrix, told in heartbeats. */
  digest = 0
  private readonly peers = new Map<MemberId, Peer>()
  /** Incarnations known to be over: never heard again. Bounded by dropping the oldest. */
  private readonly gone = new Set<MemberId>()
  private losses: Loss[] = []
  private admissions: MemberId[] = []
  private readonly timeouts: CellTimeouts
  private readonly random: Random

  constructor(self: MemberId, timeouts: CellTimeouts, random: Random) {
    this.self = self
    this.timeouts = timeouts
    this.random = random
    this.matrix.set(self, { member: self, version: 1, hears: [] })
    this.changed()
  }

  get(member: MemberId): Peer | undefined {
    return this.peers.get(member)
  }

  all(): IterableIterator<Peer> {
    return this.peers.values()
  }

  get row(): Row {
    return this.matrix.get(this.self) as Row
  }

  hears(member: MemberId): boolean {
    return member === this.self || this.row.hears.includes(member)
  }

  isGone(member: MemberId): boolean {
    return this.gone.has(member)
  }

  /** Any frame is a sign of life of one we hear. */
  alive(member: MemberId, now: number): void {
    const peer = this.peers.get(member)
    if (peer?.answered) peer.lastHeardAt = now
  }

  /** A heartbeat. Returns the nonce to challenge its sender with, or null. */
  heartbeat(from: MemberId, frame: HeartbeatFrame, now: number): number | null {
    const peer = this.peers.get(from) ?? this.meet(from, now)
    peer.lastHeardAt = now
    if (!peer.answered) {
      if (now - peer.challengedAt < this.timeouts.heartbeatMs / 2) return null
      // One nonce until it is answered: with a new one each time no answer slower than a heartbeat would ever match.
      if (peer.challengedAt < 0) {
        peer.nonce = this.random.int(2 ** 32)
        peer.nonceAt = now
      }
      peer.challengedAt = now
      return peer.nonce
    }
    peer.last = frame
    this.mergeRows(from, frame.rows)
    return null
  }

  answer(from: MemberId, nonce: number, now: number): void {
    const peer = this.peers.get(from)
    if (peer === undefined || peer.answered || peer.nonce !== nonce || peer.challengedAt < 0) return
    peer.answered = true
    peer.lastHeardAt = now
    // A new incarnation under the same name: the old one is over, whatever its connections still look like. The newer is the
    // one that proves to live after the other was met: the last word of the old one may come after the first of the new.
    for (const other of this.peers.values()) {
      if (other === peer || nameOf(other.member) !== nameOf(from)) continue
      if (peer.nonceAt > other.metAt) this.lose(other.member, 'restarted', now)
    }
    this.admit(now)
  }

  /** Puts those who answered and are no longer held down into our row. */
  admit(now: number): void {
    let news = false
    for (const peer of this.peers.values()) {
      if (peer.answered && peer.heardSince === Number.POSITIVE_INFINITY && now >= peer.heldUntil) {
        peer.heardSince = now
        this.admissions.push(peer.member)
        news = true
      }
    }
    if (news) this.writeRow()
  }

  /** No longer in our row. Doubles its hold-down, unless it heard well of for long. */
  lose(member: MemberId, reason: LossReason, now: number): void {
    const over = reason === 'left' || reason === 'restarted'
    if (over) this.bury(member)
    const peer = this.peers.get(member)
    if (peer === undefined) return
    if (over) this.peers.delete(member)
    if (peer.heardSince === Number.POSITIVE_INFINITY) {
      peer.answered = false
      peer.challengedAt = Number.NEGATIVE_INFINITY
      return
    }
    if (now - peer.heardSince > this.timeouts.maxHoldDownMs * 4) peer.losses = 0
    const hold = Math.min(this.timeouts.maxHoldDownMs, this.timeouts.holdDownMs * 2 ** peer.losses)
    peer.losses++
    peer.heldUntil = now + hold * (0.75 + this.random.next() / 2)
    peer.heardSince = Number.POSITIVE_INFINITY
    peer.answered = false
    peer.challengedAt = Number.NEGATIVE_INFINITY
    peer.last = null
    this.losses.push({ member, reason })
    this.writeRow()
  }

  /** Suspects the silent, forgets the long silent, admits those whose hold-down is over. */
  tick(now: number): void {
    for (const peer of this.peers.values()) {
      const silence = now - peer.lastHeardAt
      if (peer.heardSince !== Number.POSITIVE_INFINITY) {
        // Summed as `nextDeadline` does: a difference may round below what the sum rounds up to, and then it is never met.
        if (now >= peer.lastHeardAt + this.timeouts.suspectAfterMs) this.lose(peer.member, 'silent', now)
      } else if (silence > this.timeouts.maxHoldDownMs * 4) {
        this.peers.delete(peer.member)
      }
    }
    this.admit(now)
  }

  /** Our own loop stalled: nobody is silent before we listened again. */
  rearm(now: number): void {
    for (const peer of this.peers.values()) peer.lastHeardAt = now
  }

  takeLosses(): Loss[] {
    const losses = this.losses
    if (losses.length > 0) this.losses = []
    return losses
  }

  takeAdmissions(): MemberId[] {
    const admissions = this.admissions
    if (admissions.length > 0) this.admissions = []
    return admissions
  }

  nextDeadline(): number {
    let next = Number.POSITIVE_INFINITY
    for (const peer of this.peers.values()) {
      if (peer.heardSince !== Number.POSITIVE_INFINITY) {
        next = Math.min(next, peer.lastHeardAt + this.timeouts.suspectAfterMs)
      } else if (peer.answered) next = Math.min(next, peer.heldUntil)
    }
    return next
  }

  private meet(member: MemberId, now: number): Peer {
    const peer: Peer = {
      member,
      metAt: now,
      lastHeardAt: now,
      answered: false,
      nonce: 0,
      nonceAt: Number.NEGATIVE_INFINITY,
      challengedAt: Number.NEGATIVE_INFINITY,
      heldUntil: 0,
      losses: 0,
      heardSince: Number.POSITIVE_INFINITY,
      last: null,
    }
    if (this.peers.size >= maxPeers) this.forgetStranger()
    this.peers.set(member, peer)
    return peer
  }

  private forgetStranger(): void {
    for (const peer of this.peers.values()) if (!peer.answered) return void this.peers.delete(peer.member)
  }

  private bury(member: MemberId): void {
    this.gone.add(member)
    if (this.gone.size > 1024) for (const oldest of this.gone) return void this.gone.delete(oldest)
  }

  private mergeRows(from: MemberId, rows: readonly Row[]): void {
    let news = false
    for (const row of rows) {
      const known = this.matrix.get(row.member)
      if (row.hears.length > maxRows || row.version > (known?.version ?? 2 ** 52) + longestLeap) continue
      if (row.member === this.self) news = this.contradict(row) || news
      else if (row.version > (known?.version ?? 0)) {
        if (known === undefined && row.member !== from && this.matrix.size >= maxRows) continue
        this.matrix.set(row.member, row)
        news = true
      }
    }
    if (news) this.changed()
  }

  /** Nobody but us writes our row: whoever relays one that we did not write is told better. True if our row is new. */
  private contradict(told: Row): boolean {
    const { row } = this
    if (told.version < row.version) return false
    if (told.version === row.version && sameMembers(told.hears, row.hears)) return false
    this.matrix.set(this.self, { ...row, version: told.version + 1 })
    return true
  }

  private writeRow(): void {
    const hears = sortMembers(
      [...this.peers.values()].filter(p => p.heardSince !== Number.POSITIVE_INFINITY).map(p => p.member),
    )
    const { row } = this
    if (sameMembers(row.hears, hears)) return
    this.matrix.set(this.self, { member: this.self, version: row.version + 1, hears })
    this.changed()
  }

  private changed(): void {
    pruneMatrix(this.matrix, this.self)
    const digest = digestMatrix(this.matrix)
    if (digest === this.digest) return
    this.digest = digest
    this.version++
  }
}
