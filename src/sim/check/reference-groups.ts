/** The reference model's process groups: a daemon's directory of groups, its sessions and the fates it learns. */

import type { Conf, Entry, Process, World } from './reference.ts'
import { ReferenceSession } from './reference-session.ts'

/** When a member joined; members of a view stand in this order. */
interface Member {
  readonly session: ReferenceSession
  readonly joined: readonly [number, number, string]
}

interface Group {
  view: string
  members: Member[]
}

interface State {
  readonly from: Process
  readonly lastShown: string | null
  readonly along: string
  readonly groups: readonly {
    readonly group: string
    readonly view: string
    readonly members: readonly Member[]
    /** Number of all members, local or not. */
    readonly size: number
  }[]
}

export interface ClientMessage {
  readonly id: string
  readonly from: ReferenceSession
  readonly groups: readonly string[]
  readonly to: ReferenceSession | null
  readonly service: 'fifo' | 'causal' | 'agreed' | 'safe'
  readonly selfDiscard: boolean
}

export type Payload =
  | { readonly kind: 'state'; readonly state: State }
  | { readonly kind: 'join' | 'leave'; readonly session: ReferenceSession; readonly group: string }
  | { readonly kind: 'disconnect'; readonly session: ReferenceSession; readonly acknowledged: number }
  | { readonly kind: 'message'; readonly message: ClientMessage }

/** What is known of one message in one of its groups. */
interface Fate {
  readonly message: ClientMessage
  readonly group: string
  readonly view: string
  readonly position: string
  /** Of whom nothing is decided yet. */
  readonly open: Set<ReferenceSession>
  readonly received: ReferenceSession[]
  readonly unknown: ReferenceSession[]
}

function before(a: Member, b: Member): number {
  for (let i = 0; i < 2; i++) {
    const difference = (a.joined[i] as number) - (b.joined[i] as number)
    if (difference !== 0) return difference
  }
  return a.joined[2] < b.joined[2] ? -1 : 1
}

export class GroupDaemon {
  readonly world: World
  readonly process: Process
  readonly sessions: ReferenceSession[] = []
  private readonly groups: Map<string, Group> = new Map()
  private readonly queue: { payload: Payload; safe: boolean }[] = []
  /** Null: the exchange of the current configuration is complete. */
  private states: Map<Process, State> | null = new Map()
  private lastShown: string | null = null
  private along: ReadonlySet<Process> = new Set()
  /** Views are numbered within a configuration; a transitional one is not shared with all who shared the regular one. */
  private prefix = ''
  private changes = 0
  /** Who came along into the transitional configuration; null in a regular one. */
  private together: readonly Process[] | null = null
  private fates: Map<string, Fate> = new Map()
  /** By session: how much of its stream it is known to have acknowledged. */
  private readonly known: Map<ReferenceSession, number> = new Map()
  private nextSession = 1

  constructor(world: World, process: Process) {
    this.world = world
    this.process = process
    this.along = new Set([process])
  }

  regular(conf: Conf, together: readonly Process[] | null): void {
    if (together) {
      const lost = (session: ReferenceSession): boolean => !together.includes(session.daemon.process)
      for (const fate of this.fates.values())
        for (const x of fate.open) if (lost(x)) this.resolve(fate, x, this.known.get(x) ?? 0)
      this.along = new Set([...this.along].filter(process => together.includes(process)))
    }
    this.states = new Map()
    this.prefix = conf.id
    this.changes = 0
    this.together = null
    this.world.originate(this.process, { kind: 'state', state: this.state() }, false)
  }

  private state(): State {
    const groups: State['groups'][number][] = []
    for (const [group, { view, members }] of this.groups) {
      const local = members.filter(member => member.session.daemon === this)
      if (local.length > 0) groups.push({ group, view, members: local, size: members.length })
    }
    const along = [...this.along].map(process => process.id).sort()
    return { from: this.process, lastShown: this.lastShown, along: along.join(), groups }
  }

  transitional(id: string, together: readonly Process[]): void {
    this.together = together
    this.prefix = id
    for (const group of this.groups.keys()) this.signalIfCut(group)
  }

  /** The members of a group are told of a transitional configuration that not all of them came to. */
  private signalIfCut(name: string): void {
    const { members } = this.groups.get(name)!
    if (this.together && members.some(({ session }) => !this.together!.includes(session.daemon.process)))
      this.signal(name)
  }

  private signal(group: string): void {
    const { view, members } = this.groups.get(group)!
    for (const { session } of members) {
      if (session.daemon === this) session.push({ e: 'transitional', group, id: view })
    }
  }

  deliver(entry: Entry): void {
    const { payload } = entry
    if (payload.kind === 'state') this.stateArrived(payload.state)
    else if (payload.kind === 'join') this.joined(payload.session, payload.group, entry)
    else if (payload.kind === 'leave') this.left(payload.session, payload.group)
    else if (payload.kind === 'disconnect') this.disconnected(payload.session, payload.acknowledged)
    else if (payload.kind === 'message')
      this.message(payload.message, `${this.process.conf.epoch}.${entry.index}.0.0.0`)
  }

  private stateArrived(state: State): void {
    const conf = this.process.conf
    if (!this.states) return
    this.states.set(state.from, state)
    if (this.states.size < conf.members.length) return
    const states = [...this.states.values()]
    this.states = null
    this.lastShown = conf.id
    this.along = new Set(conf.members)
    const old = new Map(this.groups)
    this.groups.clear()
    const names = new Set(states.flatMap(one => one.groups.map(({ group }) => group)))
    for (const name of [...names].sort()) this.merge(name, states, conf, old.get(name)?.view)
  }

  private merge(name: string, states: readonly State[], conf: Conf, old: string | undefined): void {
    const origins = new Map<string, { view: string; members: string[]; size: number }>()
    const members: Member[] = []
    for (const state of states) {
      const part = state.groups.find(({ group }) => group === name)
      if (!part) continue
      const key = `${state.lastShown} ${state.along} ${part.view}`
      const origin = origins.get(key) ?? { view: part.view, members: [], size: part.size }
      origins.set(key, origin)
      for (const member of part.members) origin.members.push(member.session.id)
      members.push(...part.members)
    }
    members.sort(before)
    const [first] = origins.values()
    if (origins.size === 1 && first!.size === members.length) {
      // All of them came along, and nobody else came: their view goes on.
      this.groups.set(name, { view: first!.view, members })
      return
    }
    if (old !== undefined) {
      // A merge cuts nobody off, but no network view comes without its signal.
      this.groups.set(name, { view: old, members: members.filter(({ session }) => session.daemon === this) })
      this.signal(name)
    }
    this.groups.set(name, { view: `${conf.id}/0`, members })
    const shown = [...origins.values()].map(({ view, members }) => ({ view, members }))
    this.show(name, 'network', shown)
    this.signalIfCut(name)
  }

  private show(
    name: string,
    cause: 'join' | 'leave' | 'disconnect' | 'network',
    origins: readonly { view: string; members: readonly string[] }[],
  ): void {
    const group = this.groups.get(name)!
    const members = group.members.map(member => member.session.id)
    for (const { session } of group.members) {
      if (session.daemon === this)
        session.push({ e: 'view', group: name, id: group.view, members, cause, origins })
    }
  }

  private nextView(): string {
    return `${this.prefix}/${++this.changes}`
  }

  private joined(session: ReferenceSession, name: string, entry: Entry): void {
    const group = this.groups.get(name) ?? { view: '', members: [] }
    if (group.members.some(member => member.session === session)) return
    group.view = this.nextView()
    group.members.push({ session, joined: [this.process.conf.epoch, entry.index, this.process.conf.id] })
    this.groups.set(name, group)
    this.show(name, 'join', [])
    // Whoever comes to a view of a transitional configuration must know that safe means less there.
    this.signalIfCut(name)
  }

  private left(session: ReferenceSession, name: string): void {
    if (!this.remove(session, name)) return
    if (session.daemon === this) session.push({ e: 'closed', group: name })
    this.shrink(name, 'leave')
  }

  private remove(session: ReferenceSession, name: string): boolean {
    const group = this.groups.get(name)
    const at = group?.members.findIndex(member => member.session === session) ?? -1
    if (!group || at < 0) return false
    group.members.splice(at, 1)
    return true
  }

  private shrink(name: string, cause: 'leave' | 'disconnect'): void {
    const group = this.groups.get(name)!
    group.view = this.nextView()
    if (group.members.length === 0) this.groups.delete(name)
    else this.show(name, cause, [])
  }

  private disconnected(session: ReferenceSession, acknowledged: number): void {
    for (const name of Array.from(this.groups.keys()))
      if (this.remove(session, name)) this.shrink(name, 'disconnect')
    for (const fate of this.fates.values())
      if (fate.open.has(session)) this.resolve(fate, session, acknowledged)
  }

  private message(message: ClientMessage, position: string): void {
    if (message.to) {
      if (message.to.daemon === this) message.to.receive(message, null, null, position)
      return
    }
    for (const name of message.groups) this.expect(message, name, position)
    for (const session of this.sessions) {
      if (message.selfDiscard && message.from === session) continue
      const name = message.groups.find(group =>
        this.groups.get(group)?.members.some(m => m.session === session),
      )
      if (name !== undefined) session.receive(message, name, this.groups.get(name)!.view, position)
    }
  }

  private expect(message: ClientMessage, name: string, position: string): void {
    const group = this.groups.get(name)
    if (!group) return
    const open = new Set(group.members.map(member => member.session))
    const received: ReferenceSession[] = []
    // Who wished no copy of its own knows the message anyway.
    if (message.selfDiscard && open.delete(message.from)) received.push(message.from)
    this.fates.set(`${message.id} ${name}`, {
      message,
      group: name,
      view: group.view,
      position,
      open,
      received,
      unknown: [],
    })
  }

  private resolve(fate: Fate, session: ReferenceSession, acknowledged: number): void {
    const ordinal = session.ordinals.get(fate.message.id) ?? Number.POSITIVE_INFINITY
    fate.open.delete(session)
    ;(ordinal <= acknowledged ? fate.received : fate.unknown).push(session)
  }

  /** Learns what another daemon's sessions have acknowledged, if the two are in one configuration and neither is frozen. */
  hear(other: GroupDaemon): void {
    if (!this.process.alive || !other.process.alive) return
    if (this.process.conf !== other.process.conf || this.process.cut || other.process.cut) return
    for (const session of other.sessions)
      this.known.set(session, Math.max(this.known.get(session) ?? 0, session.acknowledged))
    for (const fate of this.fates.values()) {
      for (const session of fate.open) {
        const ordinal = session.ordinals.get(fate.message.id)
        if (ordinal !== undefined && ordinal <= (this.known.get(session) ?? 0))
          this.resolve(fate, session, ordinal)
      }
    }
  }

  /** Those who move on together move on with the same knowledge. */
  static shareKnowledge(daemons: readonly GroupDaemon[]): void {
    const all = new Map<ReferenceSession, number>()
    for (const daemon of daemons) {
      for (const [session, known] of daemon.known) all.set(session, Math.max(known, all.get(session) ?? 0))
    }
    for (const daemon of daemons) for (const [session, known] of all) daemon.known.set(session, known)
  }

  /** Answers some questions about fates that are settled. */
  answerFates(all = false): void {
    const { random } = this.world
    for (const fate of this.fates.values()) {
      if (fate.open.size > 0) continue
      for (const session of this.sessions) {
        if (!session.open || !(all ? random.chance(0.3) : random.chance(0.02))) continue
        if (session.ordinals.has(fate.message.id) || fate.message.from === session) session.tell(fate)
      }
    }
  }

  submit(payload: Payload, safe: boolean): void {
    this.queue.push({ payload, safe })
    this.flush()
  }

  /** Client messages wait until the exchange is complete and while the configuration is frozen. */
  flush(): void {
    if (!this.process.alive || this.process.cut || this.states) return
    for (const { payload, safe } of this.queue.splice(0)) this.world.originate(this.process, payload, safe)
  }

  /** Some session does something. */
  act(): void {
    const { random } = this.world
    this.flush()
    const open = this.sessions.filter(session => session.open)
    if (open.length === 0 || (open.length < 4 && random.chance(0.03))) {
      this.sessions.push(new ReferenceSession(this, `c${random.int(5)}`, this.nextSession++))
    } else random.pick(open).act()
  }

  clientsRead(all = false): void {
    for (const session of this.sessions) session.read(all)
  }

  /** The daemon dies: its sessions notice after what they had still read. */
  lost(): void {
    for (const session of this.sessions) {
      session.read(false)
      session.end('daemon lost')
    }
  }
}
