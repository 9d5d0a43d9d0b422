/** The demonstration: real daemons and members, a crash in the middle, a merge, and a verdict over everybody's traces. */

import { readFileSync } from 'node:fs'
import { setImmediate as turn } from 'node:timers/promises'
import type { Group, MessageFate, ViewEvent } from '../client/index.ts'
import { AnasaziError } from '../lib/errors.ts'
import { verdictText } from './commands/verify.ts'
import { Lab } from './lab/lab.ts'
import { Observer } from './lab/observer.ts'
import { type Paint, painter, shortId } from './style.ts'
import type { Terminal } from './terminal.ts'

const places = [
  ['alice', 'n1'],
  ['bob', 'n1'],
  ['carol', 'n2'],
  ['dave', 'n2'],
  ['erin', 'n3'],
  ['frank', 'n3'],
] as const
const groups = ['chapters', 'margins'] as const
const linesPerSender = 400

/** @returns whether everything held. */
export async function runDemo(terminal: Terminal): Promise<boolean> {
  const paint = painter(terminal.colour)
  const lab = await Lab.create({ names: ['n1', 'n2', 'n3'] })
  try {
    return await new Demo(lab, terminal, paint).run()
  } finally {
    await lab.close()
  }
}

class Demo {
  private readonly lab: Lab
  private readonly terminal: Terminal
  private readonly paint: Paint
  private readonly members = new Map<string, Observer>()
  private readonly startedAt = performance.now()
  private unknown = 0

  constructor(lab: Lab, terminal: Terminal, paint: Paint) {
    this.lab = lab
    this.terminal = terminal
    this.paint = paint
  }

  async run(): Promise<boolean> {
    const lines = readFileSync(new URL('../../LICENSE', import.meta.url), 'utf8')
      .split('\n')
      .filter(line => line !== '')
    this.title('Three daemons, two members each, two groups')
    await this.lab.startAll()
    for (const [name, daemon] of places) await this.enter(name, daemon)
    await this.everybody(places.length)
    this.say(`everybody is in ${groups.join(' and ')}: ${this.names()}`)

    this.title('Alice, carol and erin send at once; n3 is killed in the middle')
    const senders = ['alice', 'carol', 'erin'].map(name => this.send(name, lines))
    await this.member('bob').until(() => this.member('bob').messages.length > linesPerSender)
    const killedAt = performance.now()
    this.step('red', 'kill -9 n3')
    await this.lab.end('n3', 'SIGKILL')
    for (const name of ['erin', 'frank']) await this.member(name).over()
    await this.everybody(4)
    this.say(`the survivors have a new view ${Math.round(performance.now() - killedAt)} ms after the kill`)
    await Promise.all(senders)
    this.say(
      `erin lost her daemon: ${this.unknown} of her sends rejected with "fate unknown", none with "failed"`,
    )

    this.title('n3 comes back: a new incarnation, new members, one merged view')
    await this.lab.start('n3')
    for (const [name] of places.slice(4)) await this.enter(`${name}2`, 'n3')
    await this.everybody(places.length)
    await this.receipts()

    this.title('What everybody saw')
    const agreed = this.compare()
    for (const observer of this.members.values()) if (observer.ended === null) await observer.session.close()
    for (const name of this.lab.names) await this.lab.end(name, 'SIGTERM')
    const { verifyTraces } = await import('../sim/check/verify.ts')
    const result = await verifyTraces(this.lab.traceFiles)
    this.write(`${verdictText(result, this.paint)}`)
    const good = agreed && result.violations.length === 0
    const seconds = ((performance.now() - this.startedAt) / 1000).toFixed(1)
    this.write(
      `${this.paint(good ? 'green' : 'red', good ? 'all of it held' : 'NOT all of it held')} (${seconds} s)\n`,
    )
    return good
  }

  private async enter(name: string, daemon: string): Promise<void> {
    const session = await this.lab.session(daemon, name)
    const observer = new Observer(session, (view, who) => this.show(view, who))
    this.members.set(name, observer)
    await observer.join(...groups)
  }

  /** Waits until all who live have `count` members in both groups. */
  private async everybody(count: number): Promise<void> {
    for (const observer of this.living()) {
      const at = async (name: string): Promise<Group> => observer.session.join(name)
      for (const name of groups) {
        const group = await at(name)
        await observer.until(() => group.members.length === count)
      }
    }
  }

  /** Sends lines of the file, in turn to one group, to the other, and to both; keeps every receipt's promise. */
  private async send(name: string, lines: readonly string[]): Promise<void> {
    const { session } = this.member(name)
    const [first, second] = await this.member(name).join(...groups)
    const receipts: Promise<unknown>[] = []
    for (let i = 0; i < linesPerSender && !session.closed; i++) {
      const text = `${name} ${i}: ${lines[i % lines.length]}`
      const service = i % 4 === 0 ? 'safe' : 'agreed'
      const sent =
        i % 3 === 0
          ? session.sendMany(groups, text, { service })
          : ((i % 3 === 1 ? first : second) as Group).send(text, { service })
      receipts.push(sent.catch((error: unknown) => this.rejected(error)))
      // In small runs, as an application would; the crash shall find messages at every stage.
      if (i % 5 === 0) await Promise.race([sent.catch(() => {}), turn()])
    }
    await Promise.all(receipts)
  }

  private rejected(error: unknown): void {
    if (!(error instanceof AnasaziError)) throw error
    if (error.code === 'fate-unknown') this.unknown++
    else if (error.code !== 'closed') throw error
  }

  /** A safe message with its fate, as the sender and two receivers tell it. */
  private async receipts(): Promise<void> {
    const { session } = this.member('alice')
    const [group] = await this.member('alice').join(groups[0])
    const receipt = await (group as Group).send('who has this?', { service: 'safe' })
    const fates: [string, MessageFate][] = [['alice', await receipt.settled]]
    for (const name of ['dave', 'frank2']) {
      const [other] = await this.member(name).join(groups[0])
      await this.member(name).until(() =>
        this.member(name).messages.some(m => m.position === receipt.position),
      )
      fates.push([name, await (other as Group).fate(receipt.position)])
    }
    this.say(`alice's receipt: position ${receipt.position} in view ${shortId(receipt.view ?? '')}`)
    for (const [name, fate] of fates) {
      const list = fate.received.map(id => id.slice(0, id.indexOf('@'))).join(' ')
      this.say(`  its fate as ${name} knows it: received by ${list}; unknown: ${fate.unknown.length}`)
    }
    this.say(`alice's progress: ${JSON.stringify(session.progress)}`)
  }

  /** Members of one daemon's fate saw the same; prints it. */
  private compare(): boolean {
    const stayed = ['alice', 'bob', 'carol', 'dave'].map(name => this.member(name))
    const digests = new Set(stayed.map(observer => observer.digest()))
    for (const observer of stayed) {
      this.say(
        `${observer.session.name.padEnd(6)} ${observer.messages.length} messages, order ${observer.digest()}`,
      )
    }
    // Who died saw a prefix of what the survivors saw, but for what only its own side delivered.
    for (const name of ['erin', 'frank']) {
      const observer = this.member(name)
      const { messages } = this.member('alice')
      const common = observer.messages.findIndex((seen, i) => seen.position !== messages[i]?.position)
      const prefix = common < 0 ? 'a prefix of the same' : `the same up to its message ${common}`
      this.say(`${name.padEnd(6)} ${observer.messages.length} messages, ${prefix}`)
    }
    this.say(digests.size === 1 ? 'the same order everywhere' : this.paint('red', 'DIFFERENT ORDERS'))
    return digests.size === 1
  }

  private show(view: ViewEvent, { session }: Observer): void {
    // One member tells for all: they see the same.
    if (session.name !== 'alice' || view.group !== groups[0]) return
    const names = view.members.map(id => id.slice(0, id.indexOf('@'))).join(' ')
    const origins =
      view.origins.length > 1 ? `, from ${view.origins.map(o => o.members.length).join(' + ')}` : ''
    this.step('cyan', `view of ${view.group} (${view.cause}${origins}): ${names}`)
  }

  private member(name: string): Observer {
    return this.members.get(name) as Observer
  }

  private living(): Observer[] {
    return [...this.members.values()].filter(observer => observer.ended === null && !observer.session.closed)
  }

  private names(): string {
    return [...this.members.values()].map(observer => shortId(observer.session.id)).join(' ')
  }

  private title(text: string): void {
    this.write(`\n${this.paint('bold', text)}\n`)
  }

  private say(text: string): void {
    this.write(`  ${text}\n`)
  }

  private step(style: 'cyan' | 'red', text: string): void {
    this.write(`  ${this.paint(style, text)}\n`)
  }

  private write(text: string): void {
    void this.terminal.out(text)
  }
}
