/**
 * A stand-in for the ordering core, for tests of the group layer: daemons that share totally ordered logs, one a
 * configuration, and every freedom that extended virtual synchrony leaves: how far each has delivered when the configuration
 * ends, where the transitional one begins, what of the senders that are lost is still delivered, who has heard which facts.
 */

import type { CellEvent } from '../core/api.ts'
import type { Configuration, ConfigurationId, MemberId, Place, Segment } from '../core/types.ts'
import { invariant } from '../lib/assert.ts'
import type { Sometimes } from '../lib/coverage.ts'
import { Random } from '../lib/prng.ts'
import { Acknowledgements } from './acknowledgements.ts'
import { Groups } from './groups.ts'
import type { GroupLimits } from './limits.ts'
import type { GroupEvent, MessagesEvent, SegmentHead, ViewChange } from './types.ts'

interface Entry {
  readonly sender: MemberId
  readonly place: Place
  readonly segment: Segment
}

/** A configuration with the order of everything that is sent in it. */
class Log {
  readonly configuration: Configuration
  readonly entries: Entry[] = []
  /** Entries that somebody has delivered. */
  delivered = 0

  constructor(configuration: Configuration) {
    this.configuration = configuration
  }

  get lastTs(): number {
    return this.entries.at(-1)?.place.ts ?? 0
  }

  /** Everything with ts ≤ this is among the first `count` entries, now and later. */
  horizon(count: number): number {
    const next = this.entries[count]
    return next === undefined ? this.lastTs : next.place.ts - 1
  }
}

/** What a local session has seen, and the client behind it. */
export class Client {
  readonly daemon: Daemon
  readonly number: number
  readonly name: string
  /** Bytes sent to it, and read by it; one byte a delivery. */
  sent = 0
  read = 0
  /** Places of what was delivered to it, in order; the first `read` are acknowledged. */
  readonly places: Place[] = []
  readonly intended: Set<string> = new Set()
  sequence = 0
  closing = false
  closed = false
  /** Members of each group that it is in, by applying the changes it was told. */
  readonly lists: Map<string, string[]> = new Map()
  readonly views: Map<string, string> = new Map()

  constructor(daemon: Daemon, number: number, name: string) {
    this.daemon = daemon
    this.number = number
    this.name = name
  }

  get id(): string {
    return `${this.name}@${this.daemon.self}.${this.number}`
  }
}

/** A step in a daemon's history: a configuration, and with whom it left it (null: still in it, or crashed in it). */
interface Step {
  readonly key: string
  readonly epoch: number
  together: readonly MemberId[] | null
}

export interface Answer {
  readonly daemon: Daemon
  readonly group: string
  readonly place: Place
  readonly text: string
  readonly received: readonly string[]
  /** Index of the step in which it was given. */
  readonly step: number
}

export class Daemon {
  readonly world: World
  readonly self: MemberId
  readonly groups: Groups
  readonly acknowledgements: Acknowledgements = new Acknowledgements()
  readonly clients: Map<number, Client> = new Map()
  readonly steps: Step[] = []
  log: Log
  /** Entries of the log delivered. */
  count = 0
  urgent: Segment[] = []
  queue: Segment[] = []
  gateOpen = false
  consumed = 0
  /** Facts heard, by rank: all values, and the newest told to the group layer. */
  heard: number[][] = []
  alive = true
  /** Who comes along, while the transitional configuration lasts. */
  closing: ReadonlySet<MemberId> | null = null
  /** Places at which messages to a group with members were delivered here. */
  readonly placed: { readonly group: string; readonly place: Place }[] = []
  /** Group-level messages told, for comparing: `group view → places`. */
  readonly deliveredIn: Map<string, string[]> = new Map()
  readonly events: GroupEvent[] = []

  constructor(world: World, self: MemberId, log: Log) {
    this.world = world
    this.self = self
    this.log = log
    this.groups = new Groups({ self, limits: world.limits, cover: mark => world.marks.add(mark) })
  }

  /** Feeds one event and carries out what follows from it. */
  feed(event: CellEvent): void {
    if (event.type === 'regular' && this.closing !== null) this.checkSignals()
    if (event.type === 'regular') this.closing = null
    if (event.type === 'transitional') this.closing = new Set(event.members)
    this.groups.handle(event)
    if (event.type === 'deliver') this.note(event.place, event.segment.head as SegmentHead)
    if (event.type === 'regular') this.gateOpen = false
    for (const told of this.groups.takeEvents()) this.carryOut(told)
    for (const { segment, urgent } of this.groups.takeSubmissions())
      (urgent ? this.urgent : this.queue).push(segment)
    if (this.groups.gateOpen) this.gateOpen = true
  }

  private note(place: Place, head: SegmentHead): void {
    if (head.kind !== 'messages') return
    const groups = head.destination.to === 'groups' ? head.destination.groups : []
    for (const group of groups) if (this.groups.view(group) !== null) this.placed.push({ group, place })
    const mine = this.events.at(-1)
    const isPrivate = mine?.type === 'messages' && mine.place === place && head.destination.to === 'member'
    if (isPrivate) this.placed.push({ group: '', place })
  }

  /** Takes over what requests left to submit. */
  collect(): void {
    for (const { segment, urgent } of this.groups.takeSubmissions())
      (urgent ? this.urgent : this.queue).push(segment)
  }

  private carryOut(event: GroupEvent): void {
    this.events.push(event)
    switch (event.type) {
      case 'configuration':
        this.acknowledgements.configuration(event.configuration.id.epoch)
        return
      case 'ignored':
        return invariant(false, 'nobody breaks a rule', event)
      case 'horizon':
        this.acknowledgements.horizon(event.epoch, event.ts)
        return
      case 'closed':
        this.acknowledgements.closed(event.session, event.place)
        this.client(event.session).closed = true
        return
      case 'messages':
        return this.messages(event)
      case 'view':
        return this.view(event.change, event.sessions)
      case 'left': {
        const client = this.client(event.session)
        client.lists.delete(event.group)
        client.views.delete(event.group)
        return
      }
      case 'transitional':
        for (const number of event.sessions) {
          const view = this.client(number).views.get(event.group)
          invariant(view === event.view, 'the signal is about the view that is shown', { event, view })
        }
        this.world.signal(this, event.group, event.view)
        return
      default:
        return
    }
  }

  /** Whoever is shown a view that reaches beyond those who come along knows it. */
  private checkSignals(): void {
    for (const client of this.clients.values()) {
      for (const [group, view] of client.views) if (!client.closed) this.checkSignal(group, view)
    }
  }

  private checkSignal(group: string, view: string): void {
    const members = this.world.shown.get(`${group} ${view}`)?.members.split(',') ?? []
    const beyond = members.some(id => !this.closing?.has(id.slice(id.indexOf('@') + 1, id.lastIndexOf('.'))))
    const known = this.world.signalled.has(`${this.self} ${group} ${view}`)
    invariant(known || !beyond, 'what is delivered after a cut is delivered after its signal', {
      group,
      view,
    })
  }

  private client(number: number): Client {
    const client = this.clients.get(number)
    invariant(client !== undefined && !client.closed, 'an event is for a session that is open', number)
    return client
  }

  private messages(event: MessagesEvent): void {
    const reached = new Set<number>()
    for (const { group, view, sessions } of event.receivers) {
      for (const number of sessions) {
        invariant(!reached.has(number), 'each receiver once', event)
        reached.add(number)
        const client = this.client(number)
        invariant(
          group === null || client.views.get(group) === view,
          'delivered in the view that is shown',
          event,
        )
        client.places.push(event.place)
        client.sent++
        this.acknowledgements.mark(number, event.place, client.sent)
      }
      if (group !== null && view !== null && this.closing !== null) this.checkSignal(group, view)
      if (group !== null && view !== null && !event.head.selfDiscard && event.views.length === 1) {
        const key = `${group} ${view}`
        const text = `${event.place.epoch}.${event.place.ts}.${event.place.rank}.${event.place.index}`
        const places = this.deliveredIn.get(key)
        if (places === undefined) this.deliveredIn.set(key, [text])
        else places.push(text)
      }
    }
  }

  private view(change: ViewChange, sessions: readonly number[]): void {
    const members = [...change.members()]
    if (sessions.some(number => this.client(number).views.has(change.group))) this.between(change)
    this.world.viewShown(this, change, members)
    for (const number of sessions) {
      const client = this.client(number)
      const before = client.lists.get(change.group)
      if (before === undefined) {
        invariant(change.joined.includes(client.id), 'the first view is the one it joins in', change)
      } else {
        invariant(client.views.get(change.group) === change.previous, 'views follow each other', change)
        const stayed = before.filter(id => !change.left.includes(id))
        const next = change.appended ? [...stayed, ...change.joined] : members
        invariant(next.join() === members.join(), 'a delta leads to the members', { change, before, members })
        const set = new Set([...stayed, ...change.joined])
        const same = set.size === members.length && members.every(id => set.has(id))
        invariant(same, 'joined and left lead to the members', { change, before, members })
      }
      client.lists.set(change.group, members)
      client.views.set(change.group, change.view)
    }
  }

  /** Who goes from one view to the next together has delivered the same in between (EVS 4). */
  private between(change: ViewChange): void {
    const { group, previous, view } = change
    const origin = change.origins.findIndex(from => from.members.some(id => id.includes(`@${this.self}.`)))
    const key = `${group} ${previous} ${view} ${origin}`
    const places = (this.deliveredIn.get(`${group} ${previous}`) ?? []).join()
    const known = this.world.between.get(key)
    invariant(known === undefined || known === places, 'the same between two views', { key, known, places })
    this.world.between.set(key, places)
    if (change.cause !== 'network') return
    const before = this.world.shown.get(`${group} ${previous}`)?.members.split(',') ?? []
    const lost = before.length > (change.origins[origin]?.members.length ?? 0)
    const signalled = this.world.signalled.has(`${this.self} ${group} ${previous}`)
    invariant(signalled, 'a signal precedes every network view', { key, lost })
  }

  deliverNext(): boolean {
    const entry = this.log.entries[this.count]
    if (entry === undefined) return false
    this.count++
    this.log.delivered = Math.max(this.log.delivered, this.count)
    this.feed({ type: 'deliver', ...entry })
    return true
  }

  tellHorizon(): void {
    const ts = this.log.horizon(this.count)
    if (ts > 0) this.feed({ type: 'delivered', ts })
  }

  publish(): void {
    const { epoch, ts } = this.acknowledgements.consumed()
    if (epoch !== this.log.configuration.id.epoch || ts <= this.consumed) return
    this.consumed = ts
    this.hear(this)
  }

  /** Hears the newest fact of a member. */
  hear(other: Daemon): void {
    if (other.log !== this.log) return
    const rank = this.log.configuration.members.indexOf(other.self)
    this.heard[rank]?.push(other.consumed)
    this.feed({ type: 'consumed', byRank: this.heard.map(values => values.at(-1) ?? 0) })
  }

  /** The highest fact of a member heard here that counts: everything up to it is delivered here. */
  counted(rank: number): number {
    const horizon = this.log.horizon(this.count)
    return Math.max(0, ...(this.heard[rank] ?? []).filter(value => value <= horizon))
  }

  /** Frames what is ready: a batch with one timestamp. */
  send(most: number): void {
    if (this.urgent.length === 0 && (this.queue.length === 0 || !this.gateOpen)) return
    const { configuration, entries } = this.log
    const rank = configuration.members.indexOf(this.self)
    const last = entries.at(-1)
    // A concurrent sender of higher rank may choose the same timestamp, while nobody has delivered the other frame.
    const tie = last !== undefined && last.place.rank < rank && this.log.delivered < entries.length
    const ts = tie && this.world.random.chance(0.4) ? last.place.ts : this.log.lastTs + 1
    for (let index = 0; index < most; index++) {
      const segment = this.urgent.shift() ?? (this.gateOpen ? this.queue.shift() : undefined)
      if (segment === undefined) return
      const place: Place = { epoch: configuration.id.epoch, ts, rank, index }
      entries.push({ sender: this.self, place, segment })
    }
  }
}

export class World {
  readonly random: Random
  readonly limits: Partial<GroupLimits>
  readonly marks: Set<Sometimes> = new Set()
  readonly daemons: Daemon[] = []
  /** Every view ever shown: `group view` → members, and origins as told with it. */
  readonly shown: Map<string, { members: string; origins: string | null }> = new Map()
  /** What was delivered between two views: `group view next origin` → places. */
  readonly between: Map<string, string> = new Map()
  readonly answers: Answer[] = []
  readonly signalled: Set<string> = new Set()
  /** Every client there ever was, by session id. */
  readonly clients: Map<string, Client> = new Map()
  #boots = 0
  #epoch = 0

  constructor(seed: number, limits: Partial<GroupLimits> = {}) {
    this.random = new Random(seed)
    this.limits = limits
  }

  get living(): Daemon[] {
    return this.daemons.filter(daemon => daemon.alive)
  }

  boot(name: string): Daemon {
    const self = `${name}#${(++this.#boots).toString(16).padStart(32, '0')}`
    // A daemon that boots has seen no epoch: two configurations may share one, with other members.
    const daemon = new Daemon(this, self, new Log(this.configuration(1, [self])))
    this.daemons.push(daemon)
    this.install(daemon, daemon.log, null)
    return daemon
  }

  private configuration(epoch: number, members: readonly MemberId[]): Configuration {
    const coordinator = members[0] as MemberId
    const nonce = this.random.u32()
    this.#epoch = Math.max(this.#epoch, epoch)
    const id: ConfigurationId = { epoch, coordinator, nonce, key: `${epoch}.${coordinator}.${nonce}` }
    return { id, members }
  }

  private install(daemon: Daemon, log: Log, together: readonly MemberId[] | null): void {
    daemon.log = log
    daemon.count = 0
    // What a cell that drops nothing would still order: left over from an exchange that was cut short.
    if (this.random.chance(0.5)) daemon.urgent = []
    daemon.consumed = 0
    daemon.heard = log.configuration.members.map(() => [])
    daemon.steps.push({ key: log.configuration.id.key, epoch: log.configuration.id.epoch, together: null })
    daemon.feed({ type: 'regular', configuration: log.configuration, together })
  }

  crash(daemon: Daemon): void {
    daemon.alive = false
  }

  /** These go into a new configuration together; what each old configuration still delivers is left to chance. */
  reconfigure(daemons: readonly Daemon[]): void {
    const members = daemons.map(daemon => daemon.self).sort()
    const epoch = 1 + Math.max(...daemons.map(daemon => daemon.log.configuration.id.epoch))
    const next = new Log(this.configuration(epoch, members))
    for (const log of new Set(daemons.map(daemon => daemon.log))) {
      this.close(
        log,
        daemons.filter(daemon => daemon.log === log),
        next,
      )
    }
  }

  /** The end of a configuration for those who leave it together. */
  private close(log: Log, daemons: readonly Daemon[], next: Log): void {
    const together = daemons.map(daemon => daemon.self).sort()
    const { entries, configuration } = log
    const everyone = together.length === configuration.members.length
    const furthest = Math.max(...daemons.map(daemon => daemon.count))
    // Everything up to min K; in the regular configuration all that was delivered by one of us, and maybe more.
    const held = everyone
      ? entries.length
      : this.wholeTs(entries, this.random.between(furthest, entries.length))
    const regular = everyone ? held : this.random.between(furthest, held)
    const consumed = configuration.members.map((_, rank) => Math.max(...daemons.map(d => d.counted(rank))))
    for (const daemon of daemons) {
      while (daemon.count < regular) daemon.deliverNext()
      daemon.feed({ type: 'transitional', of: configuration, members: together, consumed })
      while (daemon.count < held) daemon.deliverNext()
      for (const entry of entries.slice(held)) {
        if (together.includes(entry.sender)) daemon.feed({ type: 'deliver', ...entry })
      }
      const step = daemon.steps.at(-1) as Step
      step.together = together
      this.install(daemon, next, together)
    }
  }

  /** Cuts a prefix of the log so that no timestamp is split: min K is a timestamp. */
  private wholeTs(entries: readonly Entry[], count: number): number {
    while (count > 0 && count < entries.length && entries[count]?.place.ts === entries[count - 1]?.place.ts)
      count++
    return count
  }

  viewShown(daemon: Daemon, change: ViewChange, members: readonly string[]): void {
    const key = `${change.group} ${change.view}`
    const text = members.join()
    const known = this.shown.get(key)
    const origins = change.cause === 'network' ? JSON.stringify(change.origins) : null
    invariant(known === undefined || known.members === text, 'same view id, same ordered members', {
      key,
      known: known?.members,
      text,
      at: daemon.self,
    })
    invariant(known === undefined || known.origins === origins, 'same view id, same origins', {
      key,
      known: known?.origins,
      origins,
    })
    this.shown.set(key, { members: text, origins })
    if (change.cause !== 'network') return
    const all = change.origins.flatMap(origin => origin.members)
    invariant(
      all.length === members.length && new Set(all).size === all.length,
      'origins divide the members',
      change,
    )
    invariant(
      all.every(id => members.includes(id)),
      'origins are of the members',
      change,
    )
    for (const origin of change.origins) {
      const from = this.shown.get(`${change.group} ${origin.view}`)
      // Nobody was shown it only if all its members were on daemons that died before they could be.
      const before = from?.members.split(',') ?? origin.members
      invariant(
        origin.members.every(id => before.includes(id)),
        'an origin comes from its view',
        { origin, before },
      )
    }
    const own = change.origins.find(origin => origin.members.some(id => id.includes(`@${daemon.self}.`)))
    invariant(own?.view === change.previous, 'we come from our previous view', change)
  }

  signal(daemon: Daemon, group: string, view: string): void {
    const key = `${daemon.self} ${group} ${view}`
    invariant(!this.signalled.has(key), 'one signal a view', key)
    this.signalled.add(key)
  }

  /** Asks for a fate; answers are kept for comparison, errors are not answers. */
  ask(daemon: Daemon, group: string, place: Place): string {
    let text: string
    try {
      const fate = daemon.groups.fateOf(group, place)
      if (fate === 'pending') return 'pending'
      text = JSON.stringify(fate)
      const { received } = fate
      this.answers.push({ daemon, group, place, text, received, step: daemon.steps.length - 1 })
    } catch (error) {
      text = (error as { code?: string }).code ?? String(error)
    }
    return text
  }

  /** @throws InvariantError if two answers of daemons that came along together differ, or one says what is not true. */
  checkAnswers(): void {
    const byPlace = new Map<string, Answer[]>()
    for (const answer of this.answers) {
      this.checkTruth(answer)
      const { epoch, ts, rank, index } = answer.place
      const key = `${answer.group} ${epoch}.${ts}.${rank}.${index}`
      const others = byPlace.get(key)
      if (others === undefined) byPlace.set(key, [answer])
      else others.push(answer)
    }
    for (const answers of byPlace.values()) {
      for (const a of answers) {
        for (const b of answers) {
          if (a.text === b.text || !this.bound(a, b)) continue
          throw new Error(
            `different fates at ${JSON.stringify(a.place)}: ${a.text} at ${a.daemon.self}, ${b.text} at ${b.daemon.self}`,
          )
        }
      }
    }
  }

  /** Received means acknowledged, by a client that had it (or wanted no copy). */
  private checkTruth(answer: Answer): void {
    for (const id of answer.received) {
      const client = this.clients.get(id)
      invariant(client !== undefined, 'a received session existed', id)
      const same = (place: Place) =>
        place.epoch === answer.place.epoch &&
        place.ts === answer.place.ts &&
        place.rank === answer.place.rank &&
        place.index === answer.place.index
      const at = client.places.findIndex(same)
      invariant(at < 0 || at < client.read, 'received is acknowledged', {
        id,
        place: answer.place,
        read: client.read,
      })
    }
  }

  /** True if b's daemon came along with a's from the configuration of the place to where a answered, and beyond its end. */
  private bound(a: Answer, b: Answer): boolean {
    const from = (answer: Answer) => answer.daemon.steps.findIndex(step => step.epoch === answer.place.epoch)
    let i = from(a)
    let j = from(b)
    if (i < 0 || j < 0) return false
    for (; i <= a.step; i++, j++) {
      const mine = a.daemon.steps[i] as Step
      const theirs = b.daemon.steps[j]
      if (theirs === undefined || mine.key !== theirs.key) return false
      if (j >= b.step && i >= a.step && mine.together === null && theirs.together === null) {
        // Both still there: facts only grow, so whoever has said something is not contradicted.
        return a.daemon.alive && b.daemon.alive
      }
      if (mine.together?.join() !== theirs.together?.join()) return false
    }
    return true
  }
}
