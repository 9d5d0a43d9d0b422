/** A client that enters the group of all others and leaves it, as often as it is told to. */

import { connect, type Group, type Session } from '../../client/index.ts'
import { nowMicros } from './payload.ts'
import type { Answer, VisitorTask } from './task.ts'

export class Visitor {
  private readonly session: Session
  private readonly say: (answer: Answer) => void
  private group: Group | null = null

  private constructor(session: Session, say: (answer: Answer) => void) {
    this.session = session
    this.say = say
  }

  static async connect(task: VisitorTask, say: (answer: Answer) => void): Promise<Visitor> {
    const visitor = new Visitor(await connect(task.address, { name: task.name }), say)
    void visitor.receive().catch((error: unknown) => say({ type: 'failed', why: String(error) }))
    say({ type: 'ready' })
    return visitor
  }

  async enter(): Promise<void> {
    this.say({ type: 'asked', at: nowMicros() })
    this.group = await this.session.join('bench-0')
  }

  async leave(): Promise<void> {
    this.say({ type: 'asked', at: nowMicros() })
    await this.group?.leave()
    this.group = null
    this.say({ type: 'left' })
  }

  private async receive(): Promise<void> {
    for await (const batch of this.session.batches()) {
      const at = nowMicros()
      for (const event of batch) {
        if (event.type === 'view') this.say({ type: 'view', members: event.members.length, at })
      }
    }
  }
}
