/**
 * A daemon with one client, as lean as it can be: a cell, its groups and the codec, on an event loop that takes no time. The
 * client reads and acknowledges at once. Nothing is recorded and nothing judged: that is done by the other runs of the simulator.
 */

import type { CellApi, CellEvent, CellOptions } from '../../core/api.ts'
import type { Service } from '../../core/types.ts'
import type { GroupEvent, MessagesHead } from '../../groups/types.ts'
import type { Packet } from '../network.ts'
import type { GroupsPort, Wire } from '../parts.ts'
import { production } from '../production.ts'
import type { Timer } from '../scheduler.ts'
import type { Site } from './site.ts'

/** The group that every member's client is in. */
export const GROUP = 'scale'

/** As in a node: what still follows after so many rounds comes with the next turn. */
const maxRounds = 8

export class Member {
  readonly host: number
  readonly id: string
  readonly cell: CellApi
  alive = true
  /** Members of the last view that the client was told of, and when that was. */
  view = 0
  viewAt = 0
  /** Keeps the cell's queue full with segments of so many messages; null: it does not. */
  flood: { readonly count: number; readonly body: Uint8Array } | null = null
  private readonly site: Site
  private readonly groups: GroupsPort
  private readonly wire: Wire
  private readonly session: number
  private sequence = 0
  private unread = 0
  private inbox: Packet[] = []
  private turnTimer: Timer | null = null
  private deadline: Timer | null = null

  constructor(site: Site, host: number, id: string, options: Omit<CellOptions, 'self'>) {
    this.site = site
    this.host = host
    this.id = id
    this.cell = production.cell({ ...options, self: id }, site.scheduler.now)
    this.groups = production.groups({ self: id, limits: {}, cover: () => {} })
    this.wire = production.wire(id)
    this.session = this.groups.open('client')
    this.groups.join(this.session, GROUP)
  }

  /** The group's exchange is over: clients may send, and have their views. */
  get settled(): boolean {
    return this.cell.phase === 'operational' && this.groups.gateOpen
  }

  arrive(packet: Packet): void {
    if (!this.alive || (packet.addressee !== null && packet.addressee !== this.id)) return
    this.inbox.push(packet)
    this.wake()
  }

  /** All that arrives at one moment is one turn. */
  wake(): void {
    if (this.turnTimer !== null || !this.alive) return
    this.turnTimer = this.site.scheduler.after(0, () => {
      this.turnTimer = null
      this.turn(this.site.scheduler.now)
    })
  }

  /** SIGKILL. */
  kill(): void {
    this.alive = false
    this.inbox = []
    for (const timer of [this.turnTimer, this.deadline]) if (timer !== null) timer.action = null
  }

  send(service: Service, count: number, body: Uint8Array): void {
    const head: MessagesHead = {
      kind: 'messages',
      session: this.session,
      destination: { to: 'groups', groups: [GROUP] },
      service,
      selfDiscard: false,
      trace: false,
      firstSequence: this.sequence + 1,
      count,
    }
    this.sequence += count
    this.groups.send(this.session, head, [body], body.length)
    this.wake()
  }

  private turn(now: number): void {
    const { cell } = this
    const packets = this.inbox
    this.inbox = []
    for (const { encoded, sender } of packets) {
      encoded.decoded ??= this.wire.decode(encoded.bytes)
      cell.receive(sender, encoded.decoded, now)
    }
    this.submit()
    let busy = true
    for (let round = 0; round < maxRounds && busy; round++) {
      cell.evaluate(now)
      busy = this.tellGroups(cell.takeEvents())
    }
    if (busy) this.wake()
    this.flush()
    if (this.deadline !== null) this.deadline.action = null
    const at = cell.nextDeadline
    this.deadline = at === Number.POSITIVE_INFINITY ? null : this.site.scheduler.at(at, () => this.wake())
  }

  /** @returns true if there is something new for the cell. */
  private tellGroups(events: readonly CellEvent[]): boolean {
    const { cell, groups } = this
    const wasOpen = groups.gateOpen
    for (const event of events) {
      this.site.witness(this, event)
      groups.handle(event)
    }
    let acknowledged = false
    for (const event of groups.takeEvents()) {
      if (event.type === 'view') this.sawView(event)
      if (event.type === 'messages') acknowledged = this.read(event) || acknowledged
      groups.marked(event)
    }
    if (acknowledged) groups.acknowledge(this.session, this.unread, this.unread)
    if (groups.gateOpen) cell.openGate()
    const { epoch, ts } = groups.consumed()
    if (epoch === cell.configuration.id.epoch) cell.setConsumed(ts)
    return this.submit() || acknowledged || (groups.gateOpen && !wasOpen)
  }

  private submit(): boolean {
    const { flood, groups, cell } = this
    let submitted = false
    for (;;) {
      const segments = groups.takeSegments()
      for (const { segment, urgent } of segments) cell.submit(segment, urgent)
      submitted ||= segments.length > 0
      if (flood === null || !this.settled || cell.room <= 0) return submitted
      this.send('agreed', flood.count, flood.body)
    }
  }

  private sawView({ change }: Extract<GroupEvent, { type: 'view' }>): void {
    this.view = change.members().length
    this.viewAt = this.site.scheduler.now
    this.site.viewShown()
  }

  private read({ place, receivers, body }: Extract<GroupEvent, { type: 'messages' }>): boolean {
    if (!receivers.some(({ sessions }) => sessions.includes(this.session))) return false
    for (const slice of body) this.unread += slice.length
    this.groups.mark(this.session, place, this.unread)
    return true
  }

  private flush(): void {
    for (const { to, lane, frame } of this.cell.takeOutbox()) {
      this.site.transmit(this, to, lane, frame, this.wire.encode(frame))
    }
  }
}
