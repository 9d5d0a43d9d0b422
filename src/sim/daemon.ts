/** One incarnation of a simulated daemon: a cell, its groups and its client sessions on one event loop. */

import type { CellApi, CellEvent } from '../core/api.ts'
import type { Frame } from '../core/frames.ts'
import { defaultLimits } from '../core/state.ts'
import type { Place } from '../core/types.ts'
import type { GroupEvent, MessagesHead, SegmentHead } from '../groups/types.ts'
import type { Random } from '../lib/prng.ts'
import { Client, type SendRequest } from './client.ts'
import type { Packet } from './network.ts'
import { noteEvent } from './notes.ts'
import type { GroupsPort, Wire } from './parts.ts'
import { checkBody } from './payload.ts'
import { CELL_NAME, messagesOf, segmentName, serviceOf, traceTime } from './recorder.ts'
import type { Timer } from './scheduler.ts'
import { hostOf } from './hosts.ts'
import type { World } from './world.ts'

type Input = Packet | (() => void)

/** A fate that somebody waits for. */
interface Question {
  readonly client: Client
  readonly place: Place
  readonly group: string | null
  readonly messages: readonly { readonly m: string; readonly position: string }[]
}

/** Nominal header of a segment, as windows count it. */
const HEADER_BYTES = 64
/** Bytes a client may leave unread before its daemon slows down, and how long until it is cut off. */
const LAG_BYTES = 20_000
const EVICT_AFTER_MS = 120

export class Daemon {
  readonly host: number
  readonly member: string
  readonly cell: CellApi
  readonly groups: GroupsPort
  readonly clients: Map<number, Client> = new Map()
  state: 'running' | 'paused' | 'dead' | 'left' = 'running'
  /** Asked to leave; it goes once all that it accepted is stable. */
  leaving = false
  /** Extra slowness of the event loop; a fault sets it. */
  slowMs = 0
  /** Configurations installed, for reports. */
  installed = 0
  private readonly world: World
  private readonly wire: Wire
  private readonly random: Random
  private inbox: Input[] = []
  private framesWaiting = 0
  private turnTimer: Timer | null = null
  private deadline: Timer | null = null
  private readonly streams: Map<number, { sent: number; acknowledged: number; laggingSince: number }> =
    new Map()
  private readonly closing: Set<number> = new Set()
  private gateWasOpen = false
  private lagging = 0
  /** What the cell has said and the groups have not heard yet: more than one turn takes. */
  private told: CellEvent[] = []
  /** Requests of clients in their order: nothing overtakes a message that waits for room. */
  private readonly waiting: { readonly client: Client; readonly perform: () => void }[] = []
  private questions: Question[] = []
  private turns = 0
  private turnsAtOneTime = 0
  private lastTurnAt = -1

  constructor(world: World, host: number, member: string, random: Random) {
    this.world = world
    this.host = host
    this.member = member
    this.random = random
    const { settings, parts } = world
    this.wire = parts.wire(member)
    this.cell = parts.cell(
      {
        self: member,
        seed: random.u32(),
        limits: settings.limits,
        timeouts: settings.timeouts,
        relayed: settings.chainBytes !== null,
        ...(settings.maxTimestamp === null ? {} : { maxTimestamp: settings.maxTimestamp }),
        cover: world.cover,
        ...(settings.buggify > 0 ? { buggify: world.buggifier(random.fork('buggify')) } : {}),
      },
      world.now,
    )
    this.groups = parts.groups({ self: member, limits: settings.groupLimits, cover: world.cover })
    world.scheduler.at(world.now, () => this.wake())
  }

  get alive(): boolean {
    return this.state === 'running' || this.state === 'paused'
  }

  // ---- inputs: they only wait until the next turn ----

  arrive(packet: Packet): void {
    if (!this.alive) return
    if (this.framesWaiting >= this.world.inboxFrames) {
      this.world.cover('inbox overflow')
      return
    }
    this.framesWaiting++
    this.inbox.push(packet)
    this.wake()
  }

  enqueue(action: () => void): void {
    if (!this.alive) return
    this.inbox.push(action)
    this.wake()
  }

  wake(): void {
    if (this.turnTimer !== null || this.state !== 'running') return
    const { turnMs, slowChance, slowMs } = this.world.settings.loop
    let delay = turnMs * (0.5 + this.random.next())
    if (slowChance > 0 && this.random.chance(slowChance)) delay += this.random.exponential(slowMs)
    if (this.slowMs > 0) delay += this.random.exponential(this.slowMs)
    this.turnTimer = this.world.scheduler.after(delay, () => {
      this.turnTimer = null
      if (this.state === 'running') this.turn()
    })
  }

  pause(): void {
    if (this.state === 'running') this.state = 'paused'
  }

  resume(): void {
    if (this.state !== 'paused') return
    this.state = 'running'
    this.wake()
  }

  /** SIGKILL: nothing more comes out. */
  kill(why: string): void {
    if (!this.alive) return
    this.state = 'dead'
    this.stop(why)
    this.recordEnd()
  }

  private recordEnd(): void {
    this.world.bury(this.member)
    this.world.recorder.cellLines.push({
      t: traceTime(this.world.now),
      p: this.member,
      cell: CELL_NAME,
      e: 'fail',
    })
  }

  private stop(why: string): void {
    if (this.turnTimer !== null) this.turnTimer.action = null
    if (this.deadline !== null) this.deadline.action = null
    this.inbox = []
    for (const client of this.clients.values()) client.disconnected(why)
  }

  /** Something of its clients' that it has not passed on, or not answered. */
  get unfinished(): number {
    return this.waiting.length + this.questions.length + this.told.length
  }

  // ---- one turn of the event loop ----

  private turn(): void {
    const world = this.world
    const now = world.now
    this.guardAgainstSpinning(now)
    const inputs = this.inbox
    this.inbox = []
    this.framesWaiting = 0
    try {
      for (const input of inputs) {
        if (typeof input === 'function') input()
        else this.receive(input, now)
      }
      this.serveClients(now)
      this.settle(now)
      this.flush(now)
      this.checkInvariants()
    } catch (error) {
      world.recorder.violate(
        'no exception',
        now,
        `${this.member}: ${error instanceof Error ? error.stack : String(error)}`,
      )
      world.abort()
      return
    }
    if (this.cell.phase === 'left') {
      this.tellGroups(Number.POSITIVE_INFINITY)
      this.hearGroups()
      this.state = 'left'
      this.stop('daemon left')
      this.recordEnd()
      return
    }
    if (this.inbox.length > 0) this.wake()
    if (this.deadline !== null) this.deadline.action = null
    const at = this.cell.nextDeadline
    this.deadline = at === Number.POSITIVE_INFINITY ? null : world.scheduler.at(at, () => this.wake())
  }

  private checkInvariants(): void {
    const { every } = this.world.invariants
    this.turns++
    if (this.turns % every === 0) this.cell.invariants()
    this.judgeWindow()
    if (this.turns % (every * 4) === 0) this.world.oracles.judgeRetention(this)
    // The directory is large and changes seldom.
    if (this.turns % (every * 16) === 0) this.groups.invariants()
  }

  /** What is in flight without credit is bounded: a window, and the frame that filled it. */
  private judgeWindow(): void {
    const { world, cell } = this
    const { windowBytes, maxFrameBytes } = { ...defaultLimits, ...world.settings.limits }
    const bytes = cell.load.windowBytes
    if (bytes <= windowBytes + maxFrameBytes) return
    world.recorder.violate(
      'windows are bounded',
      world.now,
      `${this.member} has ${bytes} bytes in flight, with a window of ${windowBytes}`,
    )
  }

  private guardAgainstSpinning(now: number): void {
    this.turnsAtOneTime = now - this.lastTurnAt < 0.001 ? this.turnsAtOneTime + 1 : 0
    this.lastTurnAt = now
    if (this.turnsAtOneTime > 10_000)
      throw new Error(`${this.member} spins: nextDeadline is never in the future`)
  }

  private receive(packet: Packet, now: number): void {
    const { world } = this
    if (packet.addressee !== null && packet.addressee !== this.member) return
    const frame = this.decode(packet)
    if (frame === null) return
    world.recorder.mix(now)
    if (packet.rest.length > 0) world.passOn(this.host, packet.sender, packet.rest, packet.encoded)
    this.cell.receive(packet.sender, frame, now, hostOf(packet.sender) !== packet.from)
    world.oracles.received(this, frame)
  }

  private decode({ encoded, corrupted }: Packet): Frame | null {
    const { world } = this
    if (encoded.decoded !== null) return encoded.decoded
    let frame: Frame
    try {
      frame = this.wire.decode(encoded.bytes)
    } catch (error) {
      if (!corrupted) throw error
      world.corruptFrames++
      world.cover('corrupt frame dropped')
      return null
    }
    if (corrupted) throw new Error('a damaged frame was decoded')
    if (world.sharesDecoded) encoded.decoded = frame
    return frame
  }

  /** Runs the cell and the layers above it until nothing more follows, or the turn has done enough. */
  private settle(now: number): void {
    let left = this.world.settings.loop.eventsPerTurn ?? Number.POSITIVE_INFINITY
    for (let round = 0; round < 8 && left > 0; round++) {
      this.cell.evaluate(now)
      for (const event of this.cell.takeEvents()) {
        this.witness(event)
        this.told.push(event)
      }
      left -= this.tellGroups(left)
      if (!this.hearGroups() && this.told.length === 0) return
    }
    if (this.told.length > 0) this.world.cover('deliveries cut short')
    this.wake()
  }

  /** @returns how many events the groups were told of, `most` at most. */
  private tellGroups(most: number): number {
    const events = this.told.splice(0, most)
    for (const event of events) this.groups.handle(event)
    return events.length
  }

  /**
   * The gate is opened only when the groups know all that the cell has said: before, they would open the gate of a
   * configuration that they have not heard of.
   *
   * @returns true if the groups gave the cell something new to do.
   */
  private hearGroups(): boolean {
    for (const event of this.groups.takeEvents()) {
      this.groupEvent(event)
      this.groups.marked(event)
    }
    let busy = this.submitSegments()
    const gateOpen = this.groups.gateOpen && this.told.length === 0
    if (gateOpen) {
      this.cell.openGate()
      if (!this.gateWasOpen) busy = true
    }
    this.gateWasOpen = gateOpen
    const { epoch, ts } = this.groups.consumed()
    if (epoch === this.cell.configuration.id.epoch) this.cell.setConsumed(ts)
    return busy
  }

  private submitSegments(): boolean {
    const segments = this.groups.takeSegments()
    for (const { segment, urgent } of segments) this.cell.submit(segment, urgent)
    return segments.length > 0
  }

  private flush(now: number): void {
    const { world } = this
    for (const { to, lane, frame } of this.cell.takeOutbox()) {
      world.oracles.sending(frame)
      const bytes = this.wire.encode(frame)
      world.recorder.mix(now + bytes.length)
      world.transmit(this, to, lane, frame, bytes)
    }
  }

  /** Records and judges what the cell says, when it says it. */
  private witness(event: CellEvent): void {
    const { world } = this
    const base = { t: traceTime(world.now), p: this.member, cell: CELL_NAME }
    switch (event.type) {
      case 'regular': {
        const { id, members } = event.configuration
        this.installed++
        world.recorder.cellLines.push({ ...base, e: 'conf', id: id.key, kind: 'regular', members })
        break
      }
      case 'transitional':
        world.recorder.cellLines.push({
          ...base,
          e: 'conf',
          id: `${event.of.id.key}>${event.members.join(',')}`,
          kind: 'transitional',
          of: event.of.id.key,
          members: event.members,
        })
        break
      case 'originate': {
        const head = event.segment.head as SegmentHead
        const m = segmentName(this.member, world.oracles.regularKey(this), event.place, head)
        world.recorder.cellLines.push({ ...base, e: 'send', m, service: serviceOf(event.segment.safe, head) })
        break
      }
      case 'deliver': {
        const head = event.segment.head as SegmentHead
        const m = segmentName(event.sender, world.oracles.regularKey(this), event.place, head)
        world.recorder.cellLines.push({ ...base, e: 'deliver', m })
        if (head.kind !== 'messages' && event.segment.body.length > 0)
          world.recorder.violate('payload intact', world.now, `${m}: what has no payload arrives with some`)
        break
      }
      default:
    }
    world.oracles.event(this, event)
    if (world.recorder.wantsNotes) noteEvent(world, this, event)
    world.observe(this, event)
  }

  // ---- sessions ----

  openClient(name: string, random: Random): Client {
    const number = this.groups.open(name)
    const client = new Client(this.world, this, number, name, random)
    this.clients.set(number, client)
    this.world.clients.push(client)
    this.world.nameClient(this.member, number, name)
    this.streams.set(number, { sent: 0, acknowledged: 0, laggingSince: Number.POSITIVE_INFINITY })
    this.wake()
    return client
  }

  private serves(client: Client): boolean {
    return this.clients.has(client.number) && !this.closing.has(client.number)
  }

  private disconnect(client: Client, reason: 'closed' | 'lost' | 'evicted'): void {
    if (!this.serves(client)) return
    this.acceptAll(client)
    this.closing.add(client.number)
    this.groups.disconnect(client.number, reason)
  }

  joinRequested(client: Client, group: string): void {
    this.waiting.push({ client, perform: () => this.groups.join(client.number, group) })
  }

  leaveRequested(client: Client, group: string): void {
    this.waiting.push({ client, perform: () => this.groups.leave(client.number, group) })
  }

  sendRequested(client: Client, request: SendRequest, first: number, body: Uint8Array): void {
    const head: MessagesHead = {
      kind: 'messages',
      session: client.number,
      destination:
        request.member === null
          ? { to: 'groups', groups: request.groups }
          : { to: 'member', daemon: request.member.daemon, session: request.member.session },
      service: request.service,
      selfDiscard: request.selfDiscard,
      trace: false,
      firstSequence: first,
      count: request.sizes.length,
    }
    if (body.length > (this.world.settings.limits.maxFrameBytes ?? Number.POSITIVE_INFINITY)) {
      this.world.cover('fragmented message')
    }
    const bytes = body.length + HEADER_BYTES
    this.waiting.push({ client, perform: () => this.groups.send(client.number, head, [body], bytes) })
  }

  closeRequested(client: Client): void {
    this.disconnect(client, 'closed')
  }

  clientLost(client: Client): void {
    this.disconnect(client, 'lost')
  }

  acknowledged(client: Client, bytes: number): void {
    const stream = this.streams.get(client.number)
    if (stream === undefined || !this.serves(client)) return
    stream.acknowledged = bytes
    if (stream.sent - bytes < LAG_BYTES / 2) stream.laggingSince = Number.POSITIVE_INFINITY
    this.groups.acknowledge(client.number, bytes, stream.sent)
  }

  fateRequested(client: Client, place: Place, group: string | null, m: string, position: string): void {
    this.questions.push({ client, place, group, messages: [{ m, position }] })
    this.answerQuestions()
  }

  /** What a client wrote before it went is still accepted: its messages precede its disconnect. */
  private acceptAll(client: Client): void {
    for (let index = 0; index < this.waiting.length; ) {
      const entry = this.waiting[index] as (typeof this.waiting)[number]
      if (entry.client !== client) index++
      else {
        this.waiting.splice(index, 1)
        entry.perform()
      }
    }
  }

  private serveClients(now: number): void {
    while (this.waiting.length > 0 && this.cell.room > 0) {
      const entry = this.waiting.shift() as (typeof this.waiting)[number]
      if (!this.serves(entry.client)) continue
      entry.perform()
      // Room changes only as segments reach the cell.
      this.submitSegments()
    }
    this.judgeLag(now)
    this.submitSegments()
  }

  private judgeLag(now: number): void {
    this.lagging = 0
    for (const [number, { laggingSince }] of this.streams) {
      const client = this.clients.get(number)
      if (client === undefined || laggingSince === Number.POSITIVE_INFINITY) continue
      if (now - laggingSince < EVICT_AFTER_MS) {
        this.lagging++
        this.world.scheduler.at(laggingSince + EVICT_AFTER_MS, () => this.wake())
      } else if (client.alive) {
        this.world.cover('client evicted')
        client.disconnected('evicted')
        this.disconnect(client, 'evicted')
      }
    }
    // A new configuration begins without a hold: it is said again as long as it lasts.
    this.cell.holdCredit(this.lagging > 0 || this.told.length > 0)
  }

  private groupEvent(event: GroupEvent): void {
    switch (event.type) {
      case 'view': {
        const members = event.change.members()
        for (const session of event.sessions) {
          this.write(session, null, HEADER_BYTES, client => client.sawView(event.change, members))
        }
        break
      }
      case 'transitional':
        for (const session of event.sessions) {
          this.write(session, null, HEADER_BYTES, client =>
            client.record({ e: 'transitional', group: event.group, id: event.view }),
          )
        }
        break
      case 'left':
        this.write(event.session, null, HEADER_BYTES, client => {
          client.views.delete(event.group)
          client.record({ e: 'closed', group: event.group })
        })
        break
      case 'closed':
        this.write(event.session, null, HEADER_BYTES, client => client.ended('closed'))
        this.clients.delete(event.session)
        this.streams.delete(event.session)
        this.closing.delete(event.session)
        break
      case 'messages':
        this.deliverMessages(event)
        break
      case 'settled':
        this.answerQuestions()
        break
      case 'ignored':
        this.world.recorder.violate('members keep the rules', this.world.now, `${event.daemon}: ${event.why}`)
        break
      default:
    }
  }

  private deliverMessages(event: Extract<GroupEvent, { type: 'messages' }>): void {
    const { head, place, sender } = event
    const wrong = checkBody(sender, head.firstSequence, head.count, event.body)
    if (wrong !== null)
      this.world.recorder.violate(
        'payload intact',
        this.world.now,
        `${sender}:${head.firstSequence}: ${wrong}`,
      )
    const bytes = event.body.reduce((sum, slice) => sum + slice.length, HEADER_BYTES)
    const messages = messagesOf(sender, head, place)
    for (const { group, view, sessions } of event.receivers) {
      for (const session of sessions) {
        this.write(session, place, bytes, client => {
          for (const { m, position } of messages) {
            client.received++
            client.record({
              e: 'receive',
              ...(group === null ? {} : { group }),
              m,
              from: sender,
              ...(view === null ? {} : { view }),
              position,
              service: head.service,
            })
          }
          const last = messages.at(-1)
          if (last === undefined) return
          client.seen.push({ place, group, ...last })
          if (client.seen.length > 20) client.seen.shift()
        })
      }
    }
    const owner = this.clients.get(event.own)
    if (event.own === 0 || owner === undefined) return
    if (event.receivers.some(receiver => receiver.group === null))
      this.questions.push({ client: owner, place, group: null, messages })
    for (const { group } of event.views) this.questions.push({ client: owner, place, group, messages })
  }

  /** A session that ends is told nothing more but its end: what it acknowledged late no longer counts for anybody. */
  private answerQuestions(): void {
    const open: Question[] = []
    for (const question of this.questions) {
      if (!question.client.alive || !this.serves(question.client)) continue
      const fate = this.groups.fate(question.place, question.group)
      if (fate === 'pending') open.push(question)
      else if (fate !== null) {
        this.write(question.client.number, null, HEADER_BYTES, client => {
          for (const { m, position } of question.messages) client.sawFate(m, question.group, position, fate)
        })
      }
    }
    this.questions = open
  }

  /** @param place of a message, whose fate waits for the session to acknowledge it. */
  private write(session: number, place: Place | null, bytes: number, read: (client: Client) => void): void {
    const client = this.clients.get(session)
    const stream = this.streams.get(session)
    if (client === undefined || stream === undefined) return
    stream.sent += bytes
    if (place !== null) this.groups.mark(session, place, stream.sent)
    if (stream.sent - stream.acknowledged > LAG_BYTES) {
      stream.laggingSince = Math.min(stream.laggingSince, this.world.now)
    }
    client.push({ end: stream.sent, read })
  }
}
