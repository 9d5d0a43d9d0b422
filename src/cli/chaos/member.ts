/** A client in a scenario: it is a member of the one group, sends all the time, and remembers of what it sees only what is asked. */

import { setTimeout as pause } from 'node:timers/promises'
import type { Group, Session, ViewEvent } from '../../client/index.ts'
import { AnasaziError } from '../../lib/errors.ts'

/** How much a member sends. */
export interface Load {
  /** Messages in one go. */
  readonly burst: number
  readonly everyMs: number
  readonly meanBytes: number
}

/** Enough that every change finds messages at every stage, and little enough that traces stay small. */
export const defaultLoad: Load = { burst: 3, everyMs: 10, meanBytes: 120 }

/** Of so many messages one is asked for its fate. */
const fateEvery = 40
const services = ['agreed', 'safe', 'agreed', 'fifo', 'causal'] as const
/** What a member says last: who has that has all of it. */
const farewell = 'that is all of '

/** A message as somebody wants to look at it. */
export interface Heard {
  readonly group: string
  readonly sender: string
  readonly data: Uint8Array
}

export class Member {
  readonly session: Session
  readonly group: Group
  /** Views of the group so far, and the last of them. */
  views = 0
  view: ViewEvent | null = null
  /** The last view of each other group that it joined. */
  readonly others: Map<string, ViewEvent> = new Map()
  received = 0
  sent = 0
  readonly warnings: string[] = []
  /** Why the session ended; null while it lasts, 'closed' for its own wish. */
  ended: string | null = null
  /** Sessions whose last word it has heard. */
  readonly farewells: Set<string> = new Set()
  /** Called with every message. */
  onMessage: ((heard: Heard) => void) | null = null
  private readonly load: Load
  private stopping = false
  private talking: Promise<void> = Promise.resolve()

  private constructor(session: Session, group: Group, load: Load) {
    this.session = session
    this.group = group
    this.load = load
  }

  /** Joins the group and begins to send. */
  static async enter(session: Session, groupName: string, load: Load): Promise<Member> {
    const batches = session.batches()
    const group = await session.join(groupName)
    const member = new Member(session, group, load)
    void member.watch(batches)
    member.talking = member.talk()
    return member
  }

  /** Name of its daemon. */
  get daemon(): string {
    const { daemon } = this.session
    return daemon.slice(0, daemon.indexOf('#'))
  }

  get alive(): boolean {
    return this.ended === null
  }

  /** Whether its view consists of exactly these. */
  sees(members: readonly Member[]): boolean {
    const ids = this.view?.members ?? []
    return ids.length === members.length && members.every(({ session }) => ids.includes(session.id))
  }

  /** Ends the sending; resolves when the last word was delivered, or the session is lost. */
  async hush(): Promise<void> {
    this.stopping = true
    await this.talking
    if (!this.alive) return
    await this.group.send(`${farewell}${this.session.id}`, { service: 'safe' }).catch(ignoreLoss)
  }

  private async talk(): Promise<void> {
    const { burst, everyMs, meanBytes } = this.load
    try {
      while (!this.stopping && this.alive) {
        for (let i = 0; i < burst; i++) {
          const text = `${this.session.name} ${++this.sent} ${'x'.repeat((this.sent * 37) % (2 * meanBytes))}`
          const service = services[this.sent % services.length] ?? 'agreed'
          if (this.sent % fateEvery === 0) this.askFate(text, service)
          else if (this.group.trySend(text, { service }) === 0) await this.group.writable()
        }
        await pause(everyMs)
      }
    } catch (error) {
      ignoreLoss(error)
    }
  }

  private askFate(text: string, service: (typeof services)[number]): void {
    this.group
      .send(text, { service })
      .then(receipt => receipt.settled)
      .catch(ignoreLoss)
  }

  private async watch(batches: ReturnType<Session['batches']>): Promise<void> {
    const { name } = this.group
    try {
      for await (const batch of batches) {
        for (const event of batch) {
          if (event.type === 'message') {
            this.received++
            const { sender } = event
            this.onMessage?.({ group: event.group ?? '', sender, data: event.data })
            if (event.length < 200 && event.text().startsWith(farewell)) this.farewells.add(sender)
          } else if (event.type === 'view') {
            if (event.group === name) {
              this.views++
              this.view = event
            } else this.others.set(event.group, event)
          } else if (event.type === 'warning') this.warnings.push(event.code)
        }
      }
      this.ended = 'closed'
    } catch (error) {
      this.ended = error instanceof AnasaziError ? error.code : String(error)
    }
  }
}

/** A member whose daemon is gone cannot send; anything else is a defect. */
function ignoreLoss(error: unknown): void {
  if (!(error instanceof AnasaziError)) throw error
}
