/** A simulated client process with one session: it asks, reads at its own pace, acknowledges, and may be killed at any moment. */

import type { Place, Service } from '../core/types.ts'
import type { Fate, ViewChange } from '../groups/types.ts'
import type { ClientTraceLine } from '../lib/trace.ts'
import type { Random } from '../lib/prng.ts'
import { makeBody } from './payload.ts'
import type { Daemon } from './daemon.ts'
import { traceTime } from './recorder.ts'
import type { World } from './world.ts'

/** Something on the way from the daemon to the client. */
export interface Item {
  /** Bytes of the stream to the client, this item included. */
  readonly end: number
  /** Writes what the client sees; called when it reads the item. */
  readonly read: (client: Client) => void
}

export interface SendRequest {
  readonly groups: readonly string[]
  /** A private message to this session instead. */
  readonly member: { readonly daemon: string; readonly session: number; readonly id: string } | null
  readonly service: Service
  readonly selfDiscard: boolean
  readonly sizes: readonly number[]
}

export class Client {
  readonly id: string
  readonly number: number
  readonly daemon: Daemon
  readonly random: Random
  state: 'open' | 'closing' | 'closed' | 'killed' = 'open'
  /** Groups it asked to be in. */
  readonly wanted: Set<string> = new Set()
  /** Groups it is in, as far as it knows, with the members it sees. */
  readonly views: Map<string, { readonly id: string; readonly members: readonly string[] }> = new Map()
  sequence = 0
  received = 0
  /** Reading stops until then. */
  lagUntil = 0
  /** Messages read, for fate queries: newest last, bounded. */
  readonly seen: {
    readonly place: Place
    readonly group: string | null
    readonly m: string
    readonly position: string
  }[] = []
  private readonly world: World
  private readonly inbound: { readonly arrival: number; readonly item: Item }[] = []
  private lastArrival = 0
  private lastUpload = 0
  private reading = false
  private readTo = 0
  private acknowledgedTo = 0
  private acknowledging = false

  constructor(world: World, daemon: Daemon, number: number, name: string, random: Random) {
    this.world = world
    this.daemon = daemon
    this.number = number
    this.id = `${name}@${daemon.member}.${number}`
    this.random = random
  }

  get alive(): boolean {
    return this.state === 'open' || this.state === 'closing'
  }

  /** Something was told that it has not read yet. */
  get behind(): boolean {
    return this.alive && this.inbound.length > 0
  }

  record(line: TraceBody): void {
    this.world.recorder.clientLines.push({
      t: traceTime(this.world.now),
      p: this.id,
      ...line,
    } as ClientTraceLine)
  }

  /** The daemon wrote something to the client's socket. */
  push(item: Item): void {
    if (!this.alive) return
    this.lastArrival = Math.max(this.lastArrival, this.world.now + this.channelDelay())
    this.inbound.push({ arrival: this.lastArrival, item })
    this.readLater()
  }

  /** Something for the daemon: arrives in order, unless the client dies first. */
  private upload(action: () => void): void {
    this.lastUpload = Math.max(this.lastUpload, this.world.now + this.channelDelay())
    this.world.scheduler.at(this.lastUpload, () => {
      // What a killed client had already written to its socket still arrives, or not.
      if (this.state === 'killed' && this.random.chance(0.5)) this.lastUpload = Number.POSITIVE_INFINITY
      if (this.lastUpload !== Number.POSITIVE_INFINITY) this.daemon.enqueue(action)
    })
  }

  private channelDelay(): number {
    return 0.02 + this.random.exponential(0.05)
  }

  private readLater(): void {
    const next = this.inbound[0]
    if (this.reading || next === undefined) return
    this.reading = true
    const pauseMs = this.random.exponential(this.world.settings.workload.readMs)
    const at = Math.max(this.world.now + pauseMs, next.arrival, this.lagUntil)
    this.world.scheduler.at(at, () => {
      this.reading = false
      if (this.alive) this.readAll()
    })
  }

  private readAll(): void {
    while (this.alive) {
      const next = this.inbound[0]
      if (next === undefined || next.arrival > this.world.now) break
      this.inbound.shift()
      this.readItem(next.item)
    }
    if (this.readTo > this.acknowledgedTo && !this.acknowledging && this.alive) this.acknowledgeLater()
    this.readLater()
  }

  private readItem(item: Item): void {
    item.read(this)
    this.readTo = item.end
  }

  private acknowledgeLater(): void {
    this.acknowledging = true
    const delay = this.random.exponential(this.world.settings.workload.clientAcknowledgeMs)
    this.world.scheduler.after(delay, () => {
      this.acknowledging = false
      const bytes = this.readTo
      if (!this.alive) return
      this.acknowledgedTo = bytes
      this.upload(() => this.daemon.acknowledged(this, bytes))
    })
  }

  join(group: string): void {
    if (this.state !== 'open' || this.wanted.has(group)) return
    this.wanted.add(group)
    this.record({ e: 'join', group })
    this.upload(() => this.daemon.joinRequested(this, group))
  }

  leave(group: string): void {
    if (this.state !== 'open' || !this.wanted.delete(group)) return
    this.record({ e: 'leave', group })
    this.upload(() => this.daemon.leaveRequested(this, group))
  }

  /** Sends several messages in one segment. @returns the session sequence of the first. */
  send(request: SendRequest): number {
    if (this.state !== 'open') return 0
    const first = this.sequence + 1
    this.sequence += request.sizes.length
    for (let index = 0; index < request.sizes.length; index++) {
      this.record({
        e: 'send',
        m: `${this.id}:${first + index}`,
        groups: request.groups,
        service: request.service,
        ...(request.selfDiscard ? { selfDiscard: true } : {}),
      })
    }
    const body = makeBody(this.id, first, request.sizes)
    this.upload(() => this.daemon.sendRequested(this, request, first, body))
    return first
  }

  close(): void {
    if (this.state !== 'open') return
    this.state = 'closing'
    this.upload(() => this.daemon.closeRequested(this))
  }

  /** The process dies: no word more. */
  kill(): void {
    if (!this.alive) return
    this.state = 'killed'
    this.world.bury(this.id)
    this.inbound.length = 0
    this.world.cover('client killed')
    const noticedMs = this.random.exponential(2)
    this.world.scheduler.after(noticedMs, () => this.daemon.enqueue(() => this.daemon.clientLost(this)))
  }

  /** The connection broke, or the daemon died: what had arrived is still read, perhaps not all of it. */
  disconnected(why: string): void {
    if (!this.alive) return
    const arrived = this.inbound.filter(entry => entry.arrival <= this.world.now)
    const readable = this.random.between(0, arrived.length)
    for (let index = 0; index < readable; index++) this.readItem((arrived[index] as { item: Item }).item)
    this.ended(why)
  }

  ended(why: string): void {
    if (!this.alive) return
    this.state = 'closed'
    this.inbound.length = 0
    this.record({ e: 'closed', why })
  }

  sawView(change: ViewChange, members: readonly string[]): void {
    this.views.set(change.group, { id: change.view, members })
    this.record({
      e: 'view',
      group: change.group,
      id: change.view,
      members,
      cause: change.cause,
      origins: change.origins.map(origin => ({ view: origin.view, members: origin.members })),
    })
  }

  sawFate(m: string, group: string | null, position: string, fate: Fate): void {
    this.record({
      e: 'fate',
      m,
      ...(group === null ? {} : { group }),
      view: fate.view,
      position,
      received: fate.received,
      unknown: fate.unknown,
    })
  }
}

/** A client trace line without its time and author. */
type TraceBody = ClientTraceLine extends infer Line
  ? Line extends unknown
    ? Omit<Line, 't' | 'p'>
    : never
  : never
