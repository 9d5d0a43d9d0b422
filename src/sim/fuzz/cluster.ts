/**
 * A few daemons in virtual time, all but one of which behave: cells, groups and sessions over encoded frames, on a network that
 * delays everything by a millisecond. Smaller and quicker than the simulator, as one input is one life of it.
 */

import type { CellEvent, CellOptions, Outgoing } from '../../core/api.ts'
import { Cell } from '../../core/cell.ts'
import type { Frame } from '../../core/frames.ts'
import type { MemberId, Place } from '../../core/types.ts'
import type { GroupEvent, GroupSegment, MessagesEvent, MessagesHead } from '../../groups/types.ts'
import type { CellTraceLine, ClientTraceLine } from '../../lib/trace.ts'
import { GroupedSessions } from '../grouped.ts'
import { CELL_NAME, traceTime } from '../recorder.ts'
import { simulatedTimeouts } from '../settings.ts'
import { codecWire } from '../wire.ts'
import { demand } from './target.ts'

const delayMs = 1

/** Turns at one instant without any input, after which a daemon is said to spin. */
const maxIdleTurns = 200

interface Packet {
  readonly at: number
  readonly from: MemberId
  readonly to: MemberId
  readonly bytes: Uint8Array
}

type LineBody<Line> = Line extends unknown ? Omit<Line, 't' | 'p' | 'cell'> : never

/** What the one that lies does otherwise. */
export interface Liar {
  /** What it orders instead of these. */
  segments(segments: readonly GroupSegment[]): readonly GroupSegment[]
  /** What it sends instead of this. */
  frames(outgoing: Outgoing): readonly Outgoing[]
}

/** A client that reads at once whatever it is told. */
export class ClusterSession {
  readonly id: string
  readonly number: number
  /** Groups it asked to be in. */
  readonly wanted: Set<string> = new Set()
  /** The view it sees of each group it is in. */
  readonly views: Map<string, string> = new Map()
  /** Messages it received, in their order. */
  readonly received: string[] = []
  sequence = 0
  closing = false
  sent = 0

  constructor(name: string, member: MemberId, number: number) {
    this.id = `${name}@${member}.${number}`
    this.number = number
  }
}

export class ClusterDaemon {
  readonly member: MemberId
  readonly cell: Cell
  readonly groups: GroupedSessions
  readonly sessions: Map<number, ClusterSession> = new Map()
  readonly cellLines: CellTraceLine[] = []
  readonly clientLines: ClientTraceLine[] = []
  /** Frames that it could not read. */
  unreadable = 0
  /** What it did not heed of others, by reason; and whom it suspected, and why. */
  readonly ignored: Set<string> = new Set()
  readonly suspicions: Set<string> = new Set()
  private readonly cluster: Cluster
  private readonly wire: ReturnType<typeof codecWire>
  private readonly liar: Liar | null
  private configuration = ''
  /** Something came in since its last turn. */
  private awake = true

  constructor(
    cluster: Cluster,
    member: MemberId,
    seed: number,
    options: Partial<CellOptions>,
    liar: Liar | null,
  ) {
    this.cluster = cluster
    this.member = member
    this.liar = liar
    this.wire = codecWire(member)
    this.cell = new Cell({ self: member, seed, timeouts: simulatedTimeouts, ...options }, cluster.now)
    this.groups = new GroupedSessions({ self: member, limits: { statePartBytes: 400 }, cover: () => {} })
  }

  receive(from: MemberId, bytes: Uint8Array): void {
    let frame: Frame
    try {
      frame = this.wire.decode(bytes)
    } catch (error) {
      if ((error as Error).name !== 'CodecError') throw error
      this.unreadable++
      return
    }
    this.awake = true
    this.cell.receive(from, frame, this.cluster.now)
  }

  /** True if there is something to do at this instant. */
  get due(): boolean {
    return this.awake || this.cell.nextDeadline <= this.cluster.now
  }

  /** Does all there is to do at this instant. */
  turn(): void {
    this.awake = false
    for (let turns = 0; ; turns++) {
      this.cell.evaluate(this.cluster.now)
      if (this.liar === null) this.cell.invariants()
      for (const event of this.cell.takeEvents()) this.tell(event)
      for (const event of this.groups.takeEvents()) this.hear(event)
      this.submit()
      if (this.groups.gateOpen) this.cell.openGate()
      const { epoch, ts } = this.groups.consumed()
      if (epoch === this.cell.configuration.id.epoch) this.cell.setConsumed(ts)
      this.flush()
      if (this.cell.nextDeadline > this.cluster.now) return
      demand(turns < maxIdleTurns, `${this.member} spins at ${this.cluster.now} ms in ${this.cell.phase}`)
    }
  }

  private tell(event: CellEvent): void {
    this.recordCell(event)
    if (event.type === 'suspect') this.suspicions.add(`${event.member} ${event.reason}`)
    if (this.liar === null) return this.groups.handle(event)
    try {
      this.groups.handle(event)
    } catch {
      // It does not believe itself, and goes on.
    }
  }

  private submit(): void {
    const segments = this.groups.takeSegments()
    if (this.liar === null) {
      for (const { segment, urgent } of segments) this.cell.submit(segment, urgent)
      return
    }
    // Whatever it makes up must not wait behind a gate.
    const said = this.liar.segments(segments.map(({ segment }) => segment))
    for (const segment of said) this.cell.submit(segment, true)
  }

  private flush(): void {
    for (const outgoing of this.cell.takeOutbox()) {
      if (this.liar === null) this.cluster.send(this.member, outgoing.to, this.wire.encode(outgoing.frame))
      else for (const { to, frame } of this.liar.frames(outgoing)) this.sendLie(to, frame)
    }
  }

  /** Of what it makes up, what has bytes. */
  sendLie(to: readonly MemberId[] | null, frame: Frame): void {
    let bytes: Uint8Array
    try {
      bytes = this.wire.encode(frame)
    } catch {
      return
    }
    this.cluster.send(this.member, to, bytes)
  }

  /** Orders something of its own making. */
  submitLie(segment: GroupSegment): void {
    this.awake = true
    this.cell.submit(segment, true)
  }

  // ---- sessions ----

  open(name: string): ClusterSession {
    this.awake = true
    const session = new ClusterSession(name, this.member, this.groups.open(name))
    this.sessions.set(session.number, session)
    return session
  }

  join(session: ClusterSession, group: string): void {
    this.awake = true
    session.wanted.add(group)
    this.line(session, { e: 'join', group })
    this.groups.join(session.number, group)
  }

  leave(session: ClusterSession, group: string): void {
    this.awake = true
    session.wanted.delete(group)
    this.line(session, { e: 'leave', group })
    this.groups.leave(session.number, group)
  }

  send(session: ClusterSession, groups: readonly string[], safe: boolean): string {
    this.awake = true
    const sequence = ++session.sequence
    const m = `${session.id}:${sequence}`
    const service = safe ? 'safe' : 'agreed'
    this.line(session, { e: 'send', m, groups, service })
    const head: MessagesHead = {
      kind: 'messages',
      session: session.number,
      destination: { to: 'groups', groups },
      service,
      selfDiscard: false,
      trace: false,
      firstSequence: sequence,
      count: 1,
    }
    this.groups.send(session.number, head, [new Uint8Array(4)])
    return m
  }

  close(session: ClusterSession): void {
    this.awake = true
    session.closing = true
    this.groups.disconnect(session.number, 'closed')
  }

  private hear(event: GroupEvent): void {
    switch (event.type) {
      case 'view': {
        const { group, view: id, cause, origins } = event.change
        const members = event.change.members()
        for (const session of this.named(event.sessions)) {
          session.views.set(group, `${id} ${members.join()}`)
          this.line(session, { e: 'view', group, id, members, cause, origins })
        }
        break
      }
      case 'transitional':
        for (const session of this.named(event.sessions))
          this.line(session, { e: 'transitional', group: event.group, id: event.view })
        break
      case 'left':
        for (const session of this.named([event.session])) {
          session.views.delete(event.group)
          this.line(session, { e: 'closed', group: event.group })
        }
        break
      case 'closed':
        for (const session of this.named([event.session])) this.line(session, { e: 'closed', why: 'closed' })
        this.sessions.delete(event.session)
        break
      case 'messages':
        this.messages(event)
        break
      case 'ignored':
        this.ignored.add(event.why)
        break
      default:
    }
    this.groups.marked(event)
  }

  private messages({ head, place, sender, receivers }: MessagesEvent): void {
    demand(head.count <= 1_000_000, `a segment of ${head.count} messages is delivered`)
    const { epoch, ts, rank, index } = place
    for (const { group, view, sessions } of receivers) {
      for (const session of this.named(sessions)) {
        const m = `${sender}:${head.firstSequence}`
        session.received.push(m)
        this.line(session, {
          e: 'receive',
          ...(group === null ? {} : { group }),
          m,
          from: sender,
          ...(view === null ? {} : { view }),
          position: `${epoch}.${ts}.${rank}.${index}.0`,
          service: head.service,
        })
        this.read(session, place)
      }
    }
  }

  private read(session: ClusterSession, place: Place): void {
    session.sent += 10
    this.groups.mark(session.number, place, session.sent)
    this.groups.acknowledge(session.number, session.sent, session.sent)
  }

  private named(numbers: readonly number[]): ClusterSession[] {
    return numbers.map(number => this.sessions.get(number)).filter(session => session !== undefined)
  }

  // ---- traces ----

  private line(session: ClusterSession, body: LineBody<ClientTraceLine>): void {
    this.clientLines.push({ t: traceTime(this.cluster.now), p: session.id, ...body } as ClientTraceLine)
  }

  private recordCell(event: CellEvent): void {
    const base = { t: traceTime(this.cluster.now), p: this.member, cell: CELL_NAME }
    if (event.type === 'regular') {
      const { id, members } = event.configuration
      this.configuration = id.key
      this.cellLines.push({ ...base, e: 'conf', id: id.key, kind: 'regular', members })
    } else if (event.type === 'transitional') {
      const of = event.of.id.key
      const { members } = event
      this.cellLines.push({
        ...base,
        e: 'conf',
        id: `${of}~${members.join()}`,
        kind: 'transitional',
        of,
        members,
      })
    } else if (event.type === 'originate' || event.type === 'deliver') {
      const { ts, rank, index } = event.place
      const m = `${this.configuration}/${ts}.${rank}.${index}`
      if (event.type === 'deliver') this.cellLines.push({ ...base, e: 'deliver', m })
      else this.cellLines.push({ ...base, e: 'send', m, service: event.segment.safe ? 'safe' : 'agreed' })
    }
  }
}

export class Cluster {
  now = 0
  readonly daemons: Map<MemberId, ClusterDaemon> = new Map()
  /** Pairs that do not reach each other. */
  cut: (a: MemberId, b: MemberId) => boolean = () => false
  /** Frames that arrived. */
  frames = 0
  private queue: Packet[] = []

  add(name: string, seed: number, options: Partial<CellOptions>, liar: Liar | null): ClusterDaemon {
    const member = `${name}#${seed.toString(16).padStart(32, '0')}`
    const daemon = new ClusterDaemon(this, member, seed, options, liar)
    this.daemons.set(member, daemon)
    return daemon
  }

  /** It is gone without a word. */
  kill(daemon: ClusterDaemon): void {
    this.daemons.delete(daemon.member)
  }

  send(from: MemberId, to: readonly MemberId[] | null, bytes: Uint8Array): void {
    for (const target of to ?? this.daemons.keys()) {
      if (target === from || !this.daemons.has(target) || this.cut(from, target)) continue
      this.queue.push({ at: this.now + delayMs, from, to: target, bytes })
    }
    demand(this.queue.length < 100_000, `${this.queue.length} frames are under way at once`)
  }

  run(ms: number): void {
    this.until(() => false, ms)
  }

  /** Runs until the condition holds; false if it does not within `ms`. */
  until(condition: () => boolean, ms: number): boolean {
    const end = this.now + ms
    for (;;) {
      for (const daemon of this.daemons.values()) if (daemon.due) daemon.turn()
      if (condition()) return true
      const next = this.nextAt()
      if (next > end) break
      this.now = Math.max(this.now, next)
      this.arrive()
    }
    this.now = end
    return false
  }

  private arrive(): void {
    const due: Packet[] = []
    const later: Packet[] = []
    for (const packet of this.queue) (packet.at <= this.now ? due : later).push(packet)
    this.queue = later
    for (const { from, to, bytes } of due) {
      this.frames++
      this.daemons.get(to)?.receive(from, bytes)
    }
  }

  private nextAt(): number {
    let next = Number.POSITIVE_INFINITY
    for (const { at } of this.queue) next = Math.min(next, at)
    for (const { cell } of this.daemons.values()) next = Math.min(next, cell.nextDeadline)
    return next
  }
}
