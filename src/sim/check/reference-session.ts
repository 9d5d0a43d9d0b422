/** A client session of the reference model: it asks, reads late, acknowledges what it read, and dies at any moment. */

import type { ClientTraceLine } from '../../lib/trace.ts'
import type { ClientMessage, GroupDaemon } from './reference-groups.ts'

const GROUPS = ['orders', 'news', 'погода']

type Body<Line> = Line extends unknown ? Omit<Line, 't' | 'p'> : never
type ClientEvent = Body<ClientTraceLine>

export class ReferenceSession {
  readonly daemon: GroupDaemon
  readonly id: string
  open = true
  /** By message: which of the events it is, whether read or not. */
  readonly ordinals: Map<string, number> = new Map()
  acknowledged = 0
  private readonly queue: ClientEvent[] = []
  private pushed = 0
  private readCount = 0
  private sequence = 0
  private readonly wanted: Set<string> = new Set()

  constructor(daemon: GroupDaemon, name: string, number: number) {
    this.daemon = daemon
    this.id = `${name}@${daemon.process.id}.${number}`
  }

  private record(event: ClientEvent): void {
    const line = { t: this.daemon.world.tick(), p: this.id, ...event } as ClientTraceLine
    this.daemon.world.clients.push(line)
  }

  push(event: ClientEvent): void {
    this.queue.push(event)
    this.pushed++
  }

  receive(message: ClientMessage, group: string | null, view: string | null, position: string): void {
    this.push({
      e: 'receive',
      ...(group === null ? {} : { group }),
      m: message.id,
      from: message.from.id,
      ...(view === null ? {} : { view }),
      position,
      service: message.service,
    })
    this.ordinals.set(message.id, this.pushed)
  }

  tell(fate: {
    message: ClientMessage
    group: string
    view: string
    position: string
    received: readonly ReferenceSession[]
    unknown: readonly ReferenceSession[]
  }): void {
    this.push({
      e: 'fate',
      m: fate.message.id,
      group: fate.group,
      view: fate.view,
      position: fate.position,
      received: fate.received.map(session => session.id),
      unknown: fate.unknown.map(session => session.id),
    })
  }

  read(all: boolean): void {
    if (!this.open) return
    const { random } = this.daemon.world
    const count = all ? this.queue.length : random.int(this.queue.length + 1)
    for (const event of this.queue.splice(0, count)) this.record(event)
    this.readCount += count
    if (all || random.chance(0.6)) this.acknowledged = this.readCount
  }

  act(): void {
    const { random } = this.daemon.world
    const group = random.pick(GROUPS)
    const dice = random.next()
    if (dice < 0.12 || this.wanted.size === 0) this.join(group)
    else if (dice < 0.15) this.leave(group)
    else if (dice < 0.16) this.close()
    else if (dice < 0.25) this.sendPrivately()
    else this.send(random.shuffle([...GROUPS]).slice(0, random.chance(0.2) ? 2 : 1))
  }

  private join(group: string): void {
    if (this.wanted.has(group)) return
    this.wanted.add(group)
    this.record({ e: 'join', group })
    this.daemon.submit({ kind: 'join', session: this, group }, false)
  }

  private leave(group: string): void {
    if (!this.wanted.delete(group)) return
    this.record({ e: 'leave', group })
    this.daemon.submit({ kind: 'leave', session: this, group }, false)
  }

  private close(): void {
    this.end('own wish')
    this.daemon.submit({ kind: 'disconnect', session: this, acknowledged: this.acknowledged }, false)
  }

  /** The session ends, with or without a last line in its trace. */
  end(why: string): void {
    if (!this.open) return
    this.open = false
    if (this.daemon.world.random.chance(0.5)) this.record({ e: 'closed', why })
    else this.daemon.world.dead.add(this.id)
  }

  private sendPrivately(): void {
    const { random } = this.daemon.world
    const others = random.pick(this.daemon.process.conf.members).daemon.sessions
    if (others.length > 0) this.send([], random.pick(others))
  }

  private send(groups: readonly string[], to: ReferenceSession | null = null): void {
    const { random } = this.daemon.world
    const service = random.pick(['fifo', 'causal', 'agreed', 'agreed', 'safe', 'safe'] as const)
    const selfDiscard = to === null && random.chance(0.15)
    const id = `${this.id}:${++this.sequence}`
    this.record({
      e: 'send',
      m: id,
      groups,
      ...(to ? { to: to.id } : {}),
      service,
      ...(selfDiscard ? { selfDiscard } : {}),
    })
    const message: ClientMessage = { id, from: this, groups, to, service, selfDiscard }
    this.daemon.submit({ kind: 'message', message }, service === 'safe')
  }
}
