/** A client of the benchmark: an application of the public interface, in a process of its own. */

import { connect, type Group, type MessageRun, type Session, type SessionEvent } from '../../client/index.ts'
import { Histogram } from './histogram.ts'
import { Ledger, type Origin } from './ledger.ts'
import { nowMicros, role, sentAt } from './payload.ts'
import { Talker } from './talker.ts'
import type { Answer, MemberTask } from './task.ts'

interface Window {
  readonly from: number
  readonly messages: number
  readonly bytes: number
  readonly accepted: number
  readonly origins: Map<string, number>
}

interface Times {
  readonly own: Histogram
  readonly cross: Histogram
  readonly marked: Histogram
}

function noTimes(): Times {
  return { own: new Histogram(), cross: new Histogram(), marked: new Histogram() }
}

export class BenchMember {
  private readonly task: MemberTask
  private readonly session: Session
  private readonly ledger: Ledger
  private readonly say: (answer: Answer) => void
  private readonly talker: Talker
  private readonly whole = new Set<string>()
  private timed = noTimes()
  private sampling = false
  private window: Window | null = null
  /** Times are apart for what is sent between these; µs. */
  private markedFrom = Number.POSITIVE_INFINITY
  private markedTo = Number.POSITIVE_INFINITY
  private talks = false
  private ready = false
  private finishing = false

  private constructor(task: MemberTask, session: Session, groups: Group[], say: (answer: Answer) => void) {
    this.task = task
    this.session = session
    this.say = say
    this.ledger = new Ledger(session.id)
    this.talker = new Talker(groups, task.size)
  }

  /** Connects and joins; it says when all the others are there, too. */
  static async enter(task: MemberTask, say: (answer: Answer) => void): Promise<BenchMember> {
    const session = await connect(task.address, { name: task.name, service: task.service })
    const names = Array.from({ length: task.groups }, (_, i) => `${task.prefix ?? ''}bench-${i}`)
    const groups = await Promise.all(names.map(name => session.join(name)))
    const member = new BenchMember(task, session, groups, say)
    void member.receive().catch((error: unknown) => say({ type: 'failed', why: String(error) }))
    return member
  }

  work(rate: number, isProbe: boolean, firstAt: number, warmSeconds: number, seconds: number): void {
    this.talk(rate, isProbe, firstAt)
    this.measureAfter(warmSeconds, seconds)
  }

  talk(rate: number, isProbe: boolean, firstAt: number): void {
    this.talks = rate >= 0
    if (this.talks) this.talker.start(rate, isProbe, firstAt)
  }

  measureAfter(warmSeconds: number, seconds: number): void {
    setTimeout(() => this.measure(seconds), warmSeconds * 1000)
  }

  mark(from: number): void {
    this.markedFrom = from
    this.say({ type: 'marked' })
  }

  async stop(): Promise<void> {
    if (this.talks) await this.talker.stop()
    this.finishing = true
    this.finish()
  }

  close(): Promise<void> {
    return this.session.close()
  }

  private async receive(): Promise<void> {
    if (this.task.iterator === 'plain') {
      for await (const event of this.session.events()) this.look(event)
      return
    }
    for await (const batch of this.session.batches()) {
      for (const part of batch.parts) {
        if (part.type === 'run') this.lookAtRun(part)
        else this.look(part)
      }
    }
  }

  private lookAtRun(run: MessageRun): void {
    const origin = this.ledger.turn(run.sender, run.group)
    const warning = run.forEach((chunk, start, length) => this.take(origin, chunk, start, length))
    if (warning !== null) this.say({ type: 'failed', why: warning.message })
  }

  private look(event: SessionEvent): void {
    if (event.type === 'message') {
      const { data } = event
      this.take(this.ledger.turn(event.sender, event.group), data, 0, data.length)
    } else if (event.type === 'view') {
      this.ledger.view(event.group, event.view)
      const at = nowMicros()
      if (at > this.markedFrom) this.markedTo = Math.min(this.markedTo, at)
      if (this.ready) this.say({ type: 'view', members: event.members.length, at })
      else if (event.members.length === this.task.members) this.complete(event.group)
    }
  }

  private take(origin: Origin, chunk: Uint8Array, start: number, length: number): void {
    this.ledger.take(chunk, start, length)
    const kind = chunk[start]
    if (kind === role.load) return
    if (kind === role.farewell) {
      this.ledger.farewells++
      this.finish()
    } else if (this.sampling) this.time(sentAt(chunk, start), origin.own)
  }

  private complete(group: string): void {
    this.whole.add(group)
    this.ready = this.whole.size === this.task.groups
    if (this.ready) this.say({ type: 'ready' })
  }

  private time(sent: number, own: boolean): void {
    const { timed } = this
    const took = nowMicros() - sent
    if (sent >= this.markedFrom) {
      if (sent < this.markedTo && !own) timed.marked.add(took)
    } else if (own) timed.own.add(took)
    else timed.cross.add(took)
  }

  private measure(seconds: number): void {
    const { ledger } = this
    this.say({ type: 'began' })
    const origins = new Map([...ledger.origins].map(([sender, { messages }]) => [sender, messages]))
    const { messages, bytes } = ledger
    const window = { from: nowMicros(), messages, bytes, accepted: this.talker.accepted, origins }
    this.timed = noTimes()
    this.sampling = true
    this.window = window
    setTimeout(() => this.end(), seconds * 1000).unref()
  }

  /** What is measured is told. */
  end(): void {
    const { ledger, timed, window } = this
    if (window === null) return
    this.window = null
    this.sampling = false
    this.say({
      type: 'measured',
      seconds: (nowMicros() - window.from) / 1e6,
      messages: ledger.messages - window.messages,
      bytes: ledger.bytes - window.bytes,
      sent: this.talker.accepted - window.accepted,
      bySender: [...ledger.origins].map(
        ([sender, { messages }]) => messages - (window.origins.get(sender) ?? 0),
      ),
      own: timed.own.buckets(),
      cross: timed.cross.buckets(),
      marked: timed.marked.buckets(),
    })
  }

  /** Looks whether everybody has said a last word. */
  private finish(): void {
    const { ledger, task } = this
    if (!this.finishing || ledger.farewells < task.talkers) return
    this.finishing = false
    const { gaps, messages } = ledger
    const views = ledger.views().map(({ group, view, ...rest }) => ({ view: `${group} ${view}`, ...rest }))
    this.say({ type: 'finished', accepted: this.talker.accepted, received: messages, gaps, views })
  }
}
