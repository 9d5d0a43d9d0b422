/** A session: one member of its groups, over one link for each cell that it uses. */

import type {
  CellDescription,
  ClientLimits,
  ClientPlace,
  QuerySubject,
  SegmentDestination,
  WelcomeFrame,
} from '../codec/client.ts'
import type { SessionId } from '../groups/types.ts'
import { MAX_GROUP_NAME_BYTES } from '../lib/defaults.ts'
import { type CallbackFailure, Callbacks } from '../lib/callbacks.ts'
import { AnasaziError } from '../lib/errors.ts'
import { type CellRule, cellOf } from '../lib/pattern.ts'
import type {
  Batches,
  Events,
  Group,
  GroupSummary,
  JoinOptions,
  MessageData,
  MessageFate,
  Progress,
  Receipt,
  SendOptions,
  Session,
  SessionOptions,
  SharedHandle,
  ShareOptions,
} from './api.ts'
import { checkOptions } from './arguments.ts'
import type { SlotOptions, SlotOwner } from './cell-slot.ts'
import { CellSlot } from './cell-slot.ts'
import type { Channel } from './channel.ts'
import type { QueuedItem, WarningEvent } from './events.ts'
import type { Membership } from './membership.ts'
import type { Destination, SequenceCounter } from './outbox.ts'
import { groupsDestination, memberDestination } from './outbox.ts'
import type { Position } from './position.ts'
import type { QueueOwner } from './queue.ts'
import { EventQueue } from './queue.ts'
import { Recorder } from './recorder.ts'

const DEFAULT_SEND_BUFFER_BYTES = 4 << 20
const DEFAULT_QUEUE_BYTES = 16 << 20
/** Milliseconds. */
export const DEFAULT_HANDSHAKE_TIMEOUT_MS = 10_000
/** Warnings that are kept for a session iterator that nobody may ever ask for. */
const MOST_KEPT_WARNINGS = 256
/** Destinations of `sendMany` and `sendTo` that are kept. */
const MOST_DESTINATIONS = 1024

/** name@daemon#incarnation.number; a daemon ends a session that sends to anything else. */
const SESSION_ID = /^[^@#]+@[^@#]{1,64}#[0-9a-f]{32}\.[1-9]\d{0,14}$/

const encoder = new TextEncoder()

/** How a session is shared with other threads; given by the entry points for platforms that have them. */
export type ShareFunction = (session: ClientSession, options: ShareOptions) => SharedHandle

/** Opens a channel to a cell; null: to the one the session was told to connect to. */
export type OpenCell = (cell: CellDescription | null) => Promise<Channel>

export class ClientSession implements Session, SlotOwner, QueueOwner {
  readonly sequences: SequenceCounter = { last: 0 }
  blocked = false
  ending = false
  private readonly options: SessionOptions
  private readonly callbacks: Callbacks
  private readonly slotOptions: SlotOptions
  private readonly openCell: OpenCell
  private readonly shareFunction: ShareFunction | null
  /** Told of settled places of the default cell. */
  settledListener: ((place: ClientPlace) => void) | null = null
  private readonly main: CellSlot
  private readonly slots: CellSlot[] = []
  private readonly queue: EventQueue
  private readonly woken: EventQueue[] = []
  private lastWelcome: WelcomeFrame | null = null
  private mainEnded = false
  private endError: AnasaziError | null = null
  private readonly destinations = new Map<string, Destination>()
  /** Of the cells that the daemon spoke of last. */
  private rules: readonly CellRule[] = []
  private arrival = 0
  private ended = false
  private closing: Promise<void> | null = null
  private onEnded: (() => void) | null = null

  private constructor(openCell: OpenCell, options: SessionOptions, shareFunction: ShareFunction | null) {
    this.options = options
    this.callbacks = new Callbacks(options.onCallbackError ?? print)
    this.openCell = openCell
    this.shareFunction = shareFunction
    const queueBytes = options.queueBytes ?? DEFAULT_QUEUE_BYTES
    const clock = options.clock ?? (() => BigInt(Math.round(performance.now() * 1e6)))
    this.slotOptions = {
      name: options.name ?? '',
      cluster: options.cluster ?? '',
      service: options.service ?? 'agreed',
      sendBufferBytes: options.sendBufferBytes ?? DEFAULT_SEND_BUFFER_BYTES,
      queueBytes,
      reconnect: options.reconnect ?? false,
      handshakeTimeoutMs: options.handshakeTimeoutMs ?? DEFAULT_HANDSHAKE_TIMEOUT_MS,
      recorder: options.trace === undefined ? null : new Recorder(options.trace, clock, this.callbacks),
    }
    this.queue = new EventQueue(null, queueBytes, this)
    this.main = new CellSlot(options.cell ?? '', this, this.slotOptions, () => openCell(null))
    this.slots.push(this.main)
  }

  static async open(
    openCell: OpenCell,
    options: SessionOptions = {},
    shareFunction: ShareFunction | null = null,
  ): Promise<ClientSession> {
    checkOptions(options)
    const session = new ClientSession(openCell, options, shareFunction)
    await session.main.ready(options.signal ?? null)
    session.welcome()
    return session
  }

  get name(): string {
    return this.id.slice(0, this.id.lastIndexOf('@'))
  }

  get id(): SessionId {
    return this.main.id!
  }

  idIn(cell: string): SessionId | null {
    return this.slots.find(slot => slot.name === cell)?.id ?? null
  }

  /** What the daemon said last. */
  welcome(): WelcomeFrame {
    const now = this.main.link?.welcome
    if (now !== undefined && now !== this.lastWelcome) {
      this.lastWelcome = now
      this.rules = now.cells.map(({ name, patterns }) => ({ name, groups: patterns }))
    }
    return this.lastWelcome!
  }

  get daemon(): string {
    return this.welcome().daemon
  }

  get cluster(): string {
    return this.welcome().cluster
  }

  get limits(): ClientLimits {
    return this.welcome().limits
  }

  get closed(): boolean {
    return this.ended || this.ending
  }

  get progress(): Progress {
    let deliveredMost = 0
    let settledMost = 0
    let deliveredBound = Number.POSITIVE_INFINITY
    let settledBound = Number.POSITIVE_INFINITY
    for (const slot of this.slots) {
      deliveredMost = Math.max(deliveredMost, slot.deliveredThrough)
      settledMost = Math.max(settledMost, slot.settledThrough)
      const outbox = slot.link?.outbox
      if (outbox === undefined) continue
      if (outbox.firstInFlight > 0) deliveredBound = Math.min(deliveredBound, outbox.firstInFlight - 1)
      if (outbox.firstUnsettled > 0) settledBound = Math.min(settledBound, outbox.firstUnsettled - 1)
    }
    return {
      accepted: this.sequences.last,
      delivered: Math.min(deliveredMost, deliveredBound),
      settled: Math.min(settledMost, settledBound),
    }
  }

  /* Groups and cells */

  private checkGroupName(group: string): void {
    if (typeof group !== 'string') throw new AnasaziError('bad-group-name', 'It is a string.')
    const most = Math.min(this.limits.maxGroupNameBytes, MAX_GROUP_NAME_BYTES)
    const bytes = encoder.encode(group).length
    if (bytes < 1 || bytes > most) {
      throw new AnasaziError('bad-group-name', `'${group}' has ${bytes} bytes; 1 to ${most} are allowed.`)
    }
  }

  /** The cell that orders a group: by the same rule as in every node. */
  private cellNameOf(group: string): string {
    this.welcome()
    return cellOf(this.rules, group)
  }

  /** The slot of a cell, made if need be; its link may not be open yet. */
  private slotOf(cell: string): CellSlot {
    const known = this.slots.find(slot => slot.name === cell)
    if (known !== undefined) return known
    const { cells } = this.welcome()
    const description = cells.find(one => one.name === cell)
    if (description === undefined) {
      const names = cells.map(one => one.name).join(', ')
      throw new AnasaziError('bad-argument', `The daemon has no cell '${cell}'; it has ${names}.`)
    }
    const slot = new CellSlot(cell, this, this.slotOptions, () => this.openCell(description))
    this.slots.push(slot)
    return slot
  }

  async join(group: string, options: JoinOptions = {}): Promise<Group> {
    this.checkOpen()
    this.checkGroupName(group)
    const { signal } = options
    if (signal?.aborted) throw aborted(signal)
    const slot = this.slotOf(this.cellNameOf(group))
    for (;;) {
      await slot.ready()
      this.checkOpen()
      if (signal?.aborted) throw aborted(signal)
      const leaving = slot.memberships.get(group)
      if (leaving === undefined || leaving.state !== 'leaving') break
      await leaving.leave()
    }
    const membership = slot.join(group)
    if (membership.state === 'joined') return membership
    membership.joiners++
    try {
      await untilAborted(membership.whenJoined, signal)
      return membership
    } catch (error) {
      if (error instanceof AnasaziError && error.code === 'aborted' && membership.joiners === 1) {
        membership.leave().catch(() => {})
      }
      throw error
    } finally {
      membership.joiners--
    }
  }

  /** The session's membership, if it has one. */
  membershipIn(group: string): Membership | null {
    return this.slotOf(this.cellNameOf(group)).memberships.get(group) ?? null
  }

  private checkOpen(): void {
    if (this.closed) throw new AnasaziError('closed')
  }

  /* Events */

  batches(): Batches {
    this.claimQueue()
    return this.queue.batches()
  }

  events(): Events {
    this.claimQueue()
    return this.queue.events()
  }

  /** For those who pass items on themselves: claims the session's queue. */
  claimItems(): EventQueue {
    this.claimQueue()
    this.queue.claim()
    return this.queue
  }

  /** What was kept because nobody had claimed anything moves to the session's iterator, in its order. */
  private claimQueue(): void {
    if (this.queue.claimed) return
    const kept = this.queue.drain()
    for (const slot of this.slots) {
      for (const { queue } of slot.memberships.values()) if (!queue.claimed) kept.push(...queue.drain())
    }
    kept.sort((one, other) => one.arrival - other.arrival)
    this.queue.claimed = true
    for (const { arrival, item } of kept) this.queue.push(arrival, item)
  }

  deliver(membership: Membership | null, item: QueuedItem): void {
    const all = this.queue
    // A group's own iterator ends with a leave; only who takes all of the session must be told.
    if (item.type === 'left' && !all.claimed) return
    const arrival = ++this.arrival
    if (all.claimed || membership === null) {
      all.push(arrival, item)
      this.noteWoken(all)
    }
    if (membership !== null && (membership.queue.claimed || !all.claimed)) {
      membership.queue.push(arrival, item)
      this.noteWoken(membership.queue)
    }
  }

  announce(item: QueuedItem, memberships: Iterable<Membership>): void {
    const arrival = ++this.arrival
    let kept = false
    for (const { queue } of memberships) {
      if (!queue.claimed && this.queue.claimed) continue
      kept = true
      queue.push(arrival, item)
      this.noteWoken(queue)
    }
    if (this.queue.claimed || !kept) {
      this.queue.push(arrival, item)
      this.noteWoken(this.queue)
    }
    this.onChunkEnd()
  }

  private noteWoken(queue: EventQueue): void {
    const { woken } = this
    if (woken[woken.length - 1] !== queue) woken.push(queue)
  }

  onChunkEnd(): void {
    const { woken } = this
    for (const queue of woken) queue.wake()
    woken.length = 0
  }

  warn(code: string, message: string, group: string | null): void {
    const item: WarningEvent = { type: 'warning', code, message, group }
    this.callbacks.call('onWarning', () => this.options.onWarning?.(item))
    if (this.queue.claimed || this.queue.length < MOST_KEPT_WARNINGS) this.deliver(null, item)
    if (this.queue.claimed) return this.onChunkEnd()
    const arrival = ++this.arrival
    for (const slot of this.slots) {
      for (const { queue } of slot.memberships.values()) {
        if (!queue.claimed) continue
        queue.push(arrival, item)
        this.noteWoken(queue)
      }
    }
    this.onChunkEnd()
  }

  /* QueueOwner, for the session's own queue */

  onHalfUnread(): void {
    if (!this.queue.claimed) {
      const words = 'Nobody reads the private messages of this session, and their queue is half full.'
      this.warn('unread-group', words, null)
    }
  }

  onFull(_queue: EventQueue, idle: boolean): void {
    this.blocked = true
    for (const slot of this.slots) slot.updateReading()
    if (!idle) return
    const what = this.queue.claimed ? 'events' : 'private messages'
    const words = `The queue of the session's ${what} is full: it reads nothing more until they are taken.`
    this.warn('unread-session', words, null)
  }

  onRoom(): void {
    this.blocked = false
    for (const slot of this.slots) slot.updateReading()
  }

  /* Sending */

  private destination(key: string, make: () => Destination): Destination {
    const known = this.destinations.get(key)
    if (known !== undefined) return known
    if (this.destinations.size >= MOST_DESTINATIONS) this.destinations.clear()
    const made = make()
    this.destinations.set(key, made)
    return made
  }

  private route(groups: readonly string[]): { slot: CellSlot; destination: Destination } {
    this.checkOpen()
    if (!Array.isArray(groups)) throw new AnasaziError('bad-argument', 'Groups are a list of names.')
    // No group name contains a line's end and a NUL.
    const key = `g\0${groups.join('\n\0')}`
    const destination = this.destination(key, () => this.checkedGroups(groups))
    const first = destination.groups[0]!
    return { slot: this.slotOf(this.cellNameOf(first)), destination }
  }

  private checkedGroups(groups: readonly string[]): Destination {
    const most = this.limits.maxDestinationGroups
    if (groups.length < 1 || groups.length > most) {
      throw new AnasaziError('bad-argument', `A message goes to 1 to ${most} groups, not ${groups.length}.`)
    }
    for (const group of groups) this.checkGroupName(group)
    const cells = new Set(groups.map(group => this.cellNameOf(group)))
    if (cells.size > 1) throw new AnasaziError('several-cells', `Cells: ${[...cells].join(', ')}.`)
    return groupsDestination([...new Set(groups)])
  }

  private routeTo(member: SessionId, cell?: string): { slot: CellSlot; destination: Destination } {
    this.checkOpen()
    if (!SESSION_ID.test(member)) throw new AnasaziError('bad-member', `'${member}'.`)
    const destination = this.destination(`m\0${member}`, () => memberDestination(member))
    return { slot: cell === undefined ? this.main : this.slotOf(cell), destination }
  }

  async sendMany(groups: readonly string[], data: MessageData, options?: SendOptions): Promise<Receipt> {
    const { slot, destination } = this.route(groups)
    return slot.send(destination, data, options)
  }

  trySendMany(groups: readonly string[], data: MessageData, options?: SendOptions): number {
    const { slot, destination } = this.route(groups)
    return slot.trySend(destination, data, options)
  }

  async sendTo(
    member: SessionId,
    data: MessageData,
    options?: SendOptions & { cell?: string },
  ): Promise<Receipt> {
    const { slot, destination } = this.routeTo(member, options?.cell)
    return slot.send(destination, data, options)
  }

  trySendTo(member: SessionId, data: MessageData, options?: SendOptions & { cell?: string }): number {
    const { slot, destination } = this.routeTo(member, options?.cell)
    return slot.trySend(destination, data, options)
  }

  async writable(): Promise<void> {
    this.checkOpen()
    for (const slot of this.slots) await slot.writable()
  }

  /** Where a run that another thread packed goes. */
  routeOf(destination: SegmentDestination): { slot: CellSlot; destination: Destination } {
    return destination.to === 'groups' ? this.route(destination.groups) : this.routeTo(destination.member)
  }

  share(options: ShareOptions = {}): SharedHandle {
    this.checkOpen()
    if (this.shareFunction === null) {
      throw new AnasaziError('bad-argument', 'This platform has no threads to share a session with.')
    }
    return this.shareFunction(this, options)
  }

  /* Questions */

  /** @param group '' for a private message, of the default cell. */
  async fateIn(group: string, position: Position): Promise<MessageFate> {
    const slot = group === '' ? this.main : this.slotOf(this.cellNameOf(group))
    return slot.fate(group, position)
  }

  async fate(position: Position, cell?: string): Promise<MessageFate> {
    return (cell === undefined ? this.main : this.slotOf(cell)).fate('', position)
  }

  private async query(what: QuerySubject, group: string, cell?: string): Promise<unknown> {
    this.checkOpen()
    const slot = cell === undefined ? this.main : this.slotOf(cell)
    const link = await slot.ready()
    const json = await link.query(what, group)
    try {
      return JSON.parse(json)
    } catch (error) {
      throw new AnasaziError('bad-response', `The answer to '${what}' is not JSON.`, { cause: error })
    }
  }

  async groups(cell?: string): Promise<readonly GroupSummary[]> {
    const answer = await this.query('groups', '', cell)
    if (!Array.isArray(answer)) throw new AnasaziError('bad-response', "The answer to 'groups' is no list.")
    return answer as GroupSummary[]
  }

  async membersOf(group: string): Promise<readonly SessionId[]> {
    this.checkGroupName(group)
    const answer = await this.query('members', group, this.cellNameOf(group))
    if (!Array.isArray(answer)) throw new AnasaziError('bad-response', "The answer to 'members' is no list.")
    return answer as SessionId[]
  }

  status(cell?: string): Promise<unknown> {
    return this.query('status', '', cell)
  }

  /* End */

  close(): Promise<void> {
    this.closing ??= this.closeOnce()
    return this.closing
  }

  private async closeOnce(): Promise<void> {
    if (this.ended) return
    this.ending = true
    this.queue.end(null)
    await new Promise<void>(resolve => {
      this.onEnded = resolve
      for (const slot of this.slots.slice()) slot.close()
    })
  }

  onSettled(slot: CellSlot, place: ClientPlace): void {
    if (slot === this.main) this.settledListener?.(place)
  }

  /** A cell is over. The default one takes the session with it; another one its groups only. */
  onSlotEnd(slot: CellSlot, error: AnasaziError | null): void {
    const at = this.slots.indexOf(slot)
    if (at >= 0 && slot !== this.main) this.slots.splice(at, 1)
    if (slot !== this.main && !this.ending) {
      this.warn('connection-lost', `Cell '${slot.name}' is lost: ${error?.message ?? ''}`, null)
      return
    }
    if (slot === this.main) {
      this.welcome()
      this.mainEnded = true
      if (!this.ending) {
        this.ending = true
        for (const other of this.slots.slice()) if (other !== slot) other.close()
      }
      this.endError ??= error
    }
    if (!this.mainEnded || this.slots.length > 1 || this.ended) return
    this.ended = true
    this.queue.end(this.endError)
    this.onEnded?.()
    this.callbacks.call('onClose', () => this.options.onClose?.(this.closing === null ? this.endError : null))
  }
}

/** Where nobody asked to be told. */
function print({ callback, error }: CallbackFailure): void {
  // oxlint-disable-next-line no-console -- an error must not pass unseen, and there is nothing else that every platform has
  console.error(`anasazi: the session's ${callback} failed:`, error)
}

function aborted(signal: AbortSignal): AnasaziError {
  return new AnasaziError('aborted', '', { cause: signal.reason })
}

function untilAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(aborted(signal))
    signal.addEventListener('abort', onAbort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
