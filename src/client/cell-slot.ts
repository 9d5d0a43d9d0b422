/** A session's part in one cell: its link, opened when needed and again after a loss, and its groups there. */

import type { ClientPlace } from '../codec/client.ts'
import type { Service } from '../core/types.ts'
import type { SessionId } from '../groups/types.ts'
import { AnasaziError } from '../lib/errors.ts'
import type { MessageData, MessageFate, Receipt, SendOptions } from './api.ts'
import { checkData, checkService } from './arguments.ts'
import type { Channel } from './channel.ts'
import type { QueuedItem } from './events.ts'
import type { LinkGroup, LinkReceiver } from './link.ts'
import { Link } from './link.ts'
import { Membership } from './membership.ts'
import type { DeliveredAt, Destination, ReceiptWaiter, SequenceCounter } from './outbox.ts'
import type { Position } from './position.ts'
import { placeOf, positionOf } from './position.ts'
import { EventQueue } from './queue.ts'
import type { QueueOwner } from './queue.ts'
import { createReceipt } from './receipt.ts'
import type { Recorder } from './recorder.ts'

/** Pause before the first and the longest before a later attempt to connect again. Milliseconds. */
const FIRST_PAUSE_MS = 20
const LONGEST_PAUSE_MS = 2000
/** How long a close waits for the daemon's answer. Milliseconds. */
const CLOSE_TIMEOUT_MS = 5000

export interface SlotOptions {
  readonly name: string
  readonly cluster: string
  readonly service: Service
  readonly sendBufferBytes: number
  readonly queueBytes: number
  readonly reconnect: boolean
  readonly handshakeTimeoutMs: number
  readonly recorder: Recorder | null
}

/** What a slot reports to its session. */
export interface SlotOwner {
  readonly sequences: SequenceCounter
  /** The session-wide queue is full: no slot may read. */
  readonly blocked: boolean
  readonly ending: boolean
  /** An event, in its order; a null membership is the session itself. */
  deliver(membership: Membership | null, item: QueuedItem): void
  /** An item that concerns a whole cell: once to the session, once to each group. */
  announce(item: QueuedItem, memberships: Iterable<Membership>): void
  warn(code: string, message: string, group: string | null): void
  onSettled(slot: CellSlot, place: ClientPlace): void
  onChunkEnd(): void
  onSlotEnd(slot: CellSlot, error: AnasaziError | null): void
}

const encoder = new TextEncoder()
const DEFAULTS: SendOptions = {}

export class CellSlot implements LinkReceiver, QueueOwner {
  /** The cell's name; until the first welcome what was asked for. */
  name: string
  link: Link | null = null
  readonly memberships: Map<string, Membership> = new Map()
  private readonly owner: SlotOwner
  private readonly options: SlotOptions
  private readonly openChannel: () => Promise<Channel>
  private opening: Promise<Link> | null = null
  private fullQueues = 0
  private ended = false
  private lastId: SessionId | null = null
  private stopWaiting: (() => void) | null = null
  private closeTimer: ReturnType<typeof setTimeout> | null = null
  /** Watermarks of links that are gone. */
  private pastDelivered = 0
  private pastSettled = 0

  constructor(name: string, owner: SlotOwner, options: SlotOptions, openChannel: () => Promise<Channel>) {
    this.name = name
    this.owner = owner
    this.options = options
    this.openChannel = openChannel
  }

  /** Id of the session in this cell; that of the last link while there is none. */
  get id(): SessionId | null {
    return this.link?.welcome.session ?? this.lastId
  }

  get deliveredThrough(): number {
    return Math.max(this.pastDelivered, this.link?.outbox.deliveredThrough ?? 0)
  }

  get settledThrough(): number {
    return Math.max(this.pastSettled, this.link?.outbox.settledThrough ?? 0)
  }

  /** The link, opened if need be. */
  ready(signal: AbortSignal | null = null): Promise<Link> {
    if (this.link !== null) return Promise.resolve(this.link)
    if (this.ended) return Promise.reject(new AnasaziError('closed'))
    this.opening ??= this.open(signal).finally(() => {
      this.opening = null
    })
    return this.opening
  }

  private async open(signal: AbortSignal | null): Promise<Link> {
    const channel = await this.openChannel()
    if (this.ended) {
      channel.abort()
      throw new AnasaziError('closed')
    }
    const { options, owner } = this
    const { recorder } = options
    const link: Link = await Link.open(
      channel,
      this,
      {
        cell: this.name,
        name: options.name,
        cluster: options.cluster,
        trace: recorder !== null,
        handshakeTimeoutMs: options.handshakeTimeoutMs,
        outbox: {
          sequences: owner.sequences,
          limitBytes: options.sendBufferBytes,
          onAccepted:
            recorder === null
              ? null
              : (destination, sequence, service, selfDiscard) =>
                  recorder.send(this.id!, destination, sequence, service, selfDiscard),
        },
      },
      signal,
    )
    if (this.ended) {
      link.abort()
      throw new AnasaziError('closed')
    }
    // What followed the welcome at once may have ended it.
    if (!link.isOpen) throw link.failure ?? new AnasaziError('connection-lost')
    return this.adopt(link)
  }

  private adopt(link: Link): Link {
    const previous = this.lastId
    this.link = link
    this.name = link.welcome.cell
    const session = link.welcome.session
    this.lastId = session
    if (previous !== null) {
      const item: QueuedItem = { type: 'reconnected', cell: this.name, previous, session }
      this.owner.announce(item, this.memberships.values())
    }
    for (const membership of this.memberships.values()) this.requestJoin(membership)
    this.updateReading()
    return link
  }

  /* Groups */

  join(name: string): Membership {
    const known = this.memberships.get(name)
    if (known !== undefined) return known
    const most = this.link!.welcome.limits.maxGroupsPerSession
    if (this.memberships.size >= most) throw new AnasaziError('too-many-groups', `The limit is ${most}.`)
    const membership = new Membership(name, this, new EventQueue(name, this.options.queueBytes, this))
    this.memberships.set(name, membership)
    this.requestJoin(membership)
    return membership
  }

  private requestJoin(membership: Membership): void {
    const { link } = this
    if (link === null) return
    link.join(membership.name).catch((error: Error) => {
      // With the link everything is lost, and `onEnd` decides what becomes of the group.
      if (this.link === link && link.isOpen) this.remove(membership, error)
    })
  }

  async leave(membership: Membership): Promise<void> {
    membership.state = 'leaving'
    if (this.link === null) return this.remove(membership, null)
    this.options.recorder?.leaving(this.id!, membership.name)
    // The request is queued at once, so that the leave comes behind what was sent before the call.
    const left = this.link.leave(membership.name)
    try {
      await left
    } catch (error) {
      // A join that failed in the meantime leaves nothing to leave.
      if (!(error instanceof AnasaziError) || error.code !== 'not-a-member') throw error
    } finally {
      this.remove(membership, null)
    }
  }

  private remove(membership: Membership, error: Error | null): void {
    if (this.memberships.get(membership.name) === membership) this.memberships.delete(membership.name)
    membership.onGone(error)
    this.onRoomOf(membership.queue)
  }

  private onRoomOf(queue: EventQueue): void {
    if (!queue.full) return
    queue.full = false
    this.onRoom(queue)
  }

  /* Sending */

  /** @throws AnasaziError `too-large`, `bad-argument`. */
  private checked(data: MessageData): MessageData {
    checkData(data)
    const most = this.link?.welcome.limits.maxMessageBytes ?? Number.POSITIVE_INFINITY
    if (typeof data !== 'string') {
      if (data.length > most) throw tooLarge(data.length, most)
      return data
    }
    if (data.length * 3 <= most) return data
    const bytes = encoder.encode(data)
    if (bytes.length > most) throw tooLarge(bytes.length, most)
    return bytes
  }

  trySend(destination: Destination, data: MessageData, options: SendOptions = DEFAULTS): number {
    if (this.ended) throw new AnasaziError('closed')
    if (this.link === null || !this.link.isOpen) return 0
    const service = this.serviceOf(options)
    return this.link.outbox.trySend(destination, this.checked(data), service, options.selfDiscard === true)
  }

  private serviceOf({ service }: SendOptions): Service {
    if (service === undefined) return this.options.service
    checkService(service)
    return service
  }

  send(destination: Destination, data: MessageData, options: SendOptions = DEFAULTS): Promise<Receipt> {
    const { link } = this
    if (link === null) return this.sendLater(destination, data, options)
    if (this.ended || !link.isOpen) return Promise.reject(new AnasaziError('closed'))
    return new Promise((resolve, reject) => {
      const service = this.serviceOf(options)
      const checked = this.checked(data)
      link.outbox.send(destination, checked, service, options.selfDiscard === true, {
        sequence: 0,
        resolve: delivered => resolve(this.receiptOf(delivered)),
        reject,
      })
    })
  }

  private async sendLater(
    destination: Destination,
    data: MessageData,
    options: SendOptions,
  ): Promise<Receipt> {
    const copy = typeof data === 'string' ? data : new Uint8Array(this.checked(data) as Uint8Array)
    await this.whenUsable()
    return this.send(destination, copy, options)
  }

  /** A run that another thread packed; false if there is no link to take it. */
  sendPacked(
    destination: Destination,
    payload: readonly Uint8Array[],
    count: number,
    service: Service,
    selfDiscard: boolean,
    waiter: ReceiptWaiter,
  ): boolean {
    if (this.link === null || !this.link.isOpen) return false
    this.link.outbox.sendPacked(destination, payload, count, service, selfDiscard, waiter)
    return true
  }

  get hasRoom(): boolean {
    return this.link !== null && this.link.outbox.hasRoom
  }

  private receiptOf(delivered: DeliveredAt): Receipt {
    const { place, sequence, index } = delivered
    this.options.recorder?.remember(place, this.id!, sequence - index)
    return createReceipt(delivered, group => this.fate(group, positionOf(place, index)))
  }

  writable(): Promise<void> {
    return this.link === null ? this.whenUsable().then(() => this.writable()) : this.link.outbox.writable()
  }

  /** Resolves when there is a link (again). */
  private async whenUsable(): Promise<void> {
    await this.ready()
  }

  /* Questions */

  /** @param group '' for a private message. */
  async fate(group: string, position: Position): Promise<MessageFate> {
    const place = placeOf(position)
    if (this.link === null) throw new AnasaziError('connection-lost')
    const session = this.link.welcome.session
    const fate = await this.link.fate(group, place)
    const index = Number(position.slice(position.lastIndexOf('.') + 1))
    this.options.recorder?.fate(session, group, place, index, fate)
    return fate
  }

  /* LinkReceiver */

  onItem(group: LinkGroup | null, item: QueuedItem): void {
    const { recorder } = this.options
    const membership = group === null ? null : (this.memberships.get(group.name) ?? null)
    if (recorder !== null) {
      if (item.type === 'run') recorder.run(this.id!, item)
      else if (item.type === 'view') {
        if (membership?.linkGroup === null) recorder.joined(this.id!, item.group)
        recorder.view(this.id!, item)
      } else if (item.type === 'transitional') recorder.transitional(this.id!, item.group, item.view)
    }
    if (group !== null && membership === null) return
    if (group !== null && item.type === 'view' && membership!.linkGroup === null) {
      membership!.linkGroup = group
    }
    this.owner.deliver(membership, item)
  }

  onAnnounced(group: LinkGroup): void {
    if (this.memberships.has(group.name)) return
    const { name } = group
    const membership = new Membership(name, this, new EventQueue(name, this.options.queueBytes, this))
    this.memberships.set(name, membership)
  }

  onJoined(group: LinkGroup): void {
    const membership = this.memberships.get(group.name)
    if (membership === undefined) return
    membership.onFirstView(group)
  }

  onLeft(group: LinkGroup): void {
    this.options.recorder?.left(this.id!, group.name)
    this.owner.deliver(null, { type: 'left', cell: this.name, group: group.name })
    const membership = this.memberships.get(group.name)
    if (membership !== undefined) this.remove(membership, null)
  }

  onSettled(place: ClientPlace): void {
    this.owner.onSettled(this, place)
  }

  onWarning(code: string, message: string): void {
    this.owner.warn(code, message, null)
  }

  onChunkEnd(): void {
    this.owner.onChunkEnd()
  }

  onEnd(error: AnasaziError | null): void {
    const { link } = this
    if (link === null) return
    this.options.recorder?.closed(link.welcome.session, error === null ? 'closed' : error.code)
    this.pastDelivered = this.deliveredThrough
    this.pastSettled = this.settledThrough
    this.lastId = link.welcome.session
    this.link = null
    const again = error !== null && error.retryable && this.options.reconnect && !this.owner.ending
    if (!again) return this.end(error)
    for (const membership of this.memberships.values()) membership.onLinkLost()
    this.owner.warn('connection-lost', `${error.message} Connecting again.`, null)
    this.opening = this.reopen().finally(() => {
      this.opening = null
    })
    this.opening.catch(() => {})
  }

  private async reopen(): Promise<Link> {
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
      await this.wait(pause)
      if (this.ended) throw new AnasaziError('closed')
      try {
        return await this.open(null)
      } catch (error) {
        if (!(error instanceof AnasaziError) || !error.retryable) {
          this.end(error instanceof AnasaziError ? error : new AnasaziError('internal', '', { cause: error }))
          throw error
        }
      }
    }
  }

  private wait(ms: number): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(resolve, ms)
      this.stopWaiting = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  /** The session is over in this cell. */
  end(error: AnasaziError | null): void {
    if (this.ended) return
    this.ended = true
    this.stopWaiting?.()
    if (this.closeTimer !== null) clearTimeout(this.closeTimer)
    for (const membership of this.memberships.values()) membership.onGone(error)
    this.memberships.clear()
    this.owner.onSlotEnd(this, error)
  }

  /** Orderly end; `end` follows when the daemon answered. */
  close(): void {
    for (const membership of this.memberships.values()) membership.queue.end(null)
    if (this.link === null) return this.end(null)
    this.closeTimer = setTimeout(() => this.link?.abort(), CLOSE_TIMEOUT_MS)
    this.link.close()
  }

  /* QueueOwner, for the queues of the groups */

  onHalfUnread(queue: EventQueue): void {
    const group = queue.group
    this.owner.warn(
      'unread-group',
      `Nobody reads the events of the group '${group}', and its queue is half full. When it is full this session stops reading.`,
      group,
    )
  }

  onFull(queue: EventQueue, idle: boolean): void {
    this.fullQueues++
    this.updateReading()
    if (!idle) return
    this.owner.warn(
      'unread-group',
      `The queue of the group '${queue.group}' is full: this session reads nothing more until somebody iterates it, and the daemon will end the session if that lasts.`,
      queue.group,
    )
  }

  onRoom(_queue: EventQueue): void {
    this.fullQueues--
    this.updateReading()
  }

  updateReading(): void {
    if (this.fullQueues > 0 || this.owner.blocked) this.link?.pause()
    else this.link?.resume()
  }
}

function tooLarge(bytes: number, most: number): AnasaziError {
  return new AnasaziError('too-large', `It has ${bytes} bytes; the limit is ${most}.`)
}
