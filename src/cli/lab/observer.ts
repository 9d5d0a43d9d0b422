/** A member that remembers what it saw, for comparing members with each other. */

import { createHash } from 'node:crypto'
import type { Group, Session, ViewEvent } from '../../client/index.ts'
import { AnasaziError } from '../../lib/errors.ts'

export interface Seen {
  readonly position: string
  readonly sender: string
  readonly sequence: number
  readonly group: string
  readonly text: string
}

export class Observer {
  readonly session: Session
  readonly messages: Seen[] = []
  readonly views: ViewEvent[] = []
  /** Groups that gave the transitional signal. */
  readonly transitional: string[] = []
  /** Why the session ended; null while it lasts, 'closed' for its own wish. */
  ended: string | null = null
  private readonly waiting = new Set<() => void>()
  private readonly onView: (view: ViewEvent, observer: Observer) => void

  constructor(session: Session, onView: (view: ViewEvent, observer: Observer) => void = () => {}) {
    this.session = session
    this.onView = onView
    void this.watch()
  }

  async join(...groups: string[]): Promise<Group[]> {
    return Promise.all(groups.map(group => this.session.join(group)))
  }

  /** Resolves once `holds`; looked at after every batch of events. Rejects when the session ends before. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      if (this.ended !== null) throw new Error(`${this.session.name} ended (${this.ended}) while it waited`)
      await new Promise<void>(resolve => this.waiting.add(resolve))
    }
  }

  /** Resolves when the session has ended, for whatever reason. */
  async over(): Promise<void> {
    while (this.ended === null) await new Promise<void>(resolve => this.waiting.add(resolve))
  }

  /** One number for the order of everything it received after the first `from` messages. */
  digest(from: number = 0): string {
    const hash = createHash('sha256')
    for (const { position, sender, sequence, text } of this.messages.slice(from)) {
      hash.update(`${position} ${sender} ${sequence} ${text}\n`)
    }
    return hash.digest('hex').slice(0, 16)
  }

  private async watch(): Promise<void> {
    try {
      for await (const batch of this.session.batches()) {
        for (const event of batch) {
          if (event.type === 'message') {
            const { position, sender, sequence } = event
            this.messages.push({ position, sender, sequence, group: event.group ?? '', text: event.text() })
          } else if (event.type === 'view') {
            this.views.push(event)
            this.onView(event, this)
          } else if (event.type === 'transitional') this.transitional.push(event.group)
        }
        this.wake()
      }
      this.ended = 'closed'
    } catch (error) {
      this.ended = error instanceof AnasaziError ? error.code : String(error)
    }
    this.wake()
  }

  private wake(): void {
    for (const resolve of this.waiting) resolve()
    this.waiting.clear()
  }
}
