/** Sends many messages to the same groups, as fast as the daemon takes them, and knows when all are delivered. */

import type { MessageData, Receipt, SendOptions, Session } from '../client/api.ts'
import type { Service } from '../core/types.ts'
import { CommandError, EXIT } from './exit.ts'

/**
 * Only the last message of a batch is sent with a receipt, the others without a promise each: messages of one session to
 * the same groups are delivered in the order they were sent, so it speaks for all.
 */
export class LineSender {
  private readonly session: Session
  private readonly groups: readonly string[]
  private readonly options: SendOptions
  private last: Promise<Receipt> | null = null
  /** Messages given to the session so far. */
  sent = 0

  constructor(session: Session, groups: readonly string[], service: string) {
    this.session = session
    this.groups = groups
    this.options = { service: service as Service }
  }

  /** Resolves when all were accepted. The memory of `messages` is free then. */
  async send(messages: readonly Uint8Array[]): Promise<void> {
    for (const [index, message] of messages.entries()) {
      if (index === messages.length - 1) {
        await this.session.writable()
        this.sendLast(message)
      } else {
        while (this.session.trySendMany(this.groups, message, this.options) === 0)
          await this.session.writable()
      }
      this.sent++
    }
  }

  /**
   * Resolves when every message is delivered, with the receipt of the last; null if there was none.
   * @throws AnasaziError if the daemon is lost before; CommandError if some were not delivered.
   */
  async finish(): Promise<Receipt | null> {
    if (this.last === null) return null
    const receipt = await this.last
    const { accepted, delivered } = this.session.progress
    if (delivered < receipt.sequence) {
      throw new CommandError(EXIT.negative, `${delivered} of ${accepted} messages were delivered`)
    }
    return receipt
  }

  private sendLast(message: MessageData): void {
    this.last = this.session.sendMany(this.groups, message, this.options)
    // It is looked at in the end, if it is still the last one; until then an error is not an unhandled one.
    this.last.catch(() => {})
  }
}
