/** Sends many messages to the same groups, as fast as the daemon takes them, and knows when all are delivered. */

import type { MessageData, Receipt, SendOptions, Session } from '../client/api.ts'
import type { Service } from '../core/types.ts'
import { CommandError, EXIT } from './exit.ts'

/**
 * All but the last message go without a promise each. Of the last a receipt is asked for: messages of one session
 * to the same groups are delivered in the order they were sent, so it speaks for all.
 */
export class LineSender {
  private readonly session: Session
  private readonly groups: readonly string[]
  private readonly options: SendOptions
  private last: Uint8Array | null = null
  /** Messages given to the session so far. */
  sent = 0

  constructor(session: Session, groups: readonly string[], service: string) {
    this.session = session
    this.groups = groups
    this.options = { service: service as Service }
  }

  /** Resolves when all but the last were accepted. The memory of `messages` must not be written to before the next call. */
  async send(messages: readonly Uint8Array[]): Promise<void> {
    for (const message of messages) {
      if (this.last !== null) {
        while (this.session.trySendMany(this.groups, this.last, this.options) === 0)
          await this.session.writable()
        this.sent++
      }
      this.last = message
    }
    // The chunk it lies in may be used again for the next ones.
    this.last = this.last?.slice() ?? null
  }

  /**
   * Resolves when every message is delivered, with the receipt of the last; null if there was none.
   * @throws AnasaziError if the daemon is lost before; CommandError if some were not delivered.
   */
  async finish(): Promise<Receipt | null> {
    if (this.last === null) return null
    const receipt = await this.one(this.last)
    this.last = null
    this.sent++
    const { accepted, delivered } = this.session.progress
    if (delivered < receipt.sequence) {
      throw new CommandError(EXIT.negative, `${delivered} of ${accepted} messages were delivered`)
    }
    return receipt
  }

  private one(message: MessageData): Promise<Receipt> {
    return this.session.sendMany(this.groups, message, this.options)
  }
}
