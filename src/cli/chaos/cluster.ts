/** Daemons with a member at each, under load, for one scenario; and the verdict over everybody's traces at its end. */

import { writeFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import type { CellStatus, StatusDocument } from '../../admin/status.ts'
import { connect } from '../../client/index.ts'
import { Lab, type StartOptions } from '../lab/lab.ts'
import type { Links } from '../lab/links.ts'
import { RelayLinks } from '../lab/links.ts'
import { missingForNetwork, Network } from '../lab/netns.ts'
import { Findings } from './findings.ts'
import { defaultLoad, type Load, Member } from './member.ts'
import { MemoryWatch } from './memory.ts'

export interface ClusterOptions {
  readonly names: readonly string[]
  /** Of these, who is not started at the beginning. */
  readonly absent?: readonly string[]
  /** More of the cell's configuration, as YAML indented by four spaces. */
  readonly cell?: string
  /** What can be done to the links; `none`: nothing, they are plain loopback. */
  readonly links?: 'none' | 'relays' | 'network' | 'any'
  readonly load?: Load
  /** Prefix of the command of each daemon: `['env', 'A=b']`. */
  readonly prefix?: (name: string) => readonly string[]
  /** Daemons may take so much more memory than at their start; MB. */
  readonly memoryBound?: number
  /** More words for the traces: some daemon's trace is not whole, so nothing is demanded that only it could show. */
  readonly partial?: boolean
  /** A wait is given up after this: then the promise is broken, whatever its bound. Default a minute. */
  readonly patienceMs?: number
}

const defaultPatienceMs = 60_000
const lookEveryMs = 2
const askEveryMs = 20
/** Daemons collect garbage when they like; a leak under load would be far above. */
const defaultMemoryBound = 200
const groupName = 'g'

/** Something that was promised did not come at all. */
export class StuckError extends Error {
  override readonly name = 'StuckError'
}

export class Cluster {
  readonly lab: Lab
  readonly findings: Findings
  readonly links: Links | null
  /** Living and lost, in the order they entered. */
  readonly members: Member[] = []
  private readonly options: ClusterOptions
  private readonly memory = new MemoryWatch()

  private constructor(lab: Lab, links: Links | null, options: ClusterOptions, findings: Findings) {
    this.findings = findings
    this.lab = lab
    this.links = links
    this.options = options
  }

  /** Starts the daemons and a member at each; resolves when all are in one view. */
  static async open(options: ClusterOptions, findings: Findings): Promise<Cluster> {
    const { names, cell } = options
    const links = makeLinks(options)
    let lab: Lab | null = null
    try {
      lab = await Lab.create({
        names,
        ...(cell === undefined ? {} : { cell }),
        within: name => [...(links?.within(name) ?? []), ...(options.prefix?.(name) ?? [])],
        ...(links instanceof Network ? { address: name => `${links.address(name)}:4803` } : {}),
        ...(links instanceof RelayLinks ? { route: (from, to, at) => links.route(from, to, at) } : {}),
      })
      const cluster = new Cluster(lab, links, options, findings)
      const present = names.filter(name => options.absent?.includes(name) !== true)
      await Promise.all(present.map(name => cluster.start(name)))
      for (const name of present) await cluster.formed(name, present.length)
      for (const name of present) await cluster.enter(name)
      await cluster.together('first view of all', null)
      return cluster
    } catch (error) {
      await lab?.close()
      await links?.close()
      throw error
    }
  }

  get relays(): RelayLinks {
    if (this.links instanceof RelayLinks) return this.links
    throw new Error('the scenario was given no relays')
  }

  get wires(): Links {
    if (this.links !== null) return this.links
    throw new Error('the scenario was given no links')
  }

  get living(): Member[] {
    return this.members.filter(member => member.alive)
  }

  /** The living member at a daemon. */
  at(daemon: string): Member {
    const member = this.living.find(each => each.daemon === daemon)
    if (member === undefined) throw new Error(`nobody lives at ${daemon}`)
    return member
  }

  /** The living members at some daemons. */
  atAll(daemons: readonly string[]): Member[] {
    return this.living.filter(({ daemon }) => daemons.includes(daemon))
  }

  async start(name: string, options: StartOptions = {}): Promise<void> {
    await this.lab.start(name, options)
    this.memory.add(this.lab.daemon(name).pid)
  }

  /** A new member at a daemon. */
  async enter(daemon: string, name: string = `member-${daemon}`): Promise<Member> {
    const session = await this.lab.session(daemon, name)
    const member = await Member.enter(session, groupName, this.options.load ?? defaultLoad)
    this.members.push(member)
    return member
  }

  /** SIGKILL, and the end of its members with it. */
  async kill(name: string): Promise<void> {
    await this.lab.end(name, 'SIGKILL')
  }

  /** Waits until it holds, at every look. @returns ms that it took. */
  async until(what: string, holds: () => boolean): Promise<number> {
    const began = performance.now()
    while (!holds()) {
      this.losePatience(what, began)
      await pause(lookEveryMs)
    }
    return performance.now() - began
  }

  /** The same for what must be asked for. */
  async untilAsked(what: string, holds: () => Promise<boolean>): Promise<number> {
    const began = performance.now()
    while (!(await holds())) {
      this.losePatience(what, began)
      await pause(askEveryMs)
    }
    return performance.now() - began
  }

  /** Waits until it holds, measures that, and judges it. */
  async within(what: string, boundMs: number | null, holds: () => boolean): Promise<void> {
    this.findings.measure(what, await this.until(what, holds), 'ms', boundMs)
  }

  /** Does something, measures it, and judges that. */
  async timed(what: string, boundMs: number | null, action: () => Promise<void>): Promise<void> {
    const began = performance.now()
    await action()
    this.findings.measure(what, performance.now() - began, 'ms', boundMs)
  }

  /** Does something during which nobody who lives may see another view. */
  async unmoved(what: string, action: () => Promise<void>): Promise<void> {
    const members = this.living
    const before = members.map(({ views }) => views)
    await action()
    const most = Math.max(...members.map(({ views }, i) => views - (before[i] as number)))
    this.findings.measure(`${what}: views changed`, most, 'views', 0)
  }

  /** Waits until these members have a view of exactly themselves. */
  async view(what: string, boundMs: number | null, ...sides: readonly (readonly Member[])[]): Promise<void> {
    const holds = (): boolean => sides.every(side => side.every(member => member.sees(side)))
    if (boundMs === null) await this.until(what, holds)
    else await this.within(what, boundMs, holds)
  }

  /** Waits until all who live have one view. */
  together(what: string, boundMs: number | null): Promise<void> {
    return this.view(what, boundMs, this.living)
  }

  /** Messages go on arriving at these members: `count` more at each. */
  async flowing(what: string, members: readonly Member[], count: number = 30): Promise<void> {
    const from = members.map(({ received }) => received)
    await this.until(what, () => members.every(({ received }, i) => received >= (from[i] as number) + count))
  }

  /** Lets the load run for a while. */
  async linger(ms: number): Promise<void> {
    await pause(ms)
  }

  /** Waits until the configuration of a daemon has so many members. */
  async formed(name: string, count: number): Promise<void> {
    const session = await connect(this.lab.url(name))
    try {
      await this.untilAsked(`${name} in a configuration of ${count}`, async () => {
        const { phase, configuration } = await statusOf(session)
        return phase === 'operational' && configuration.members.length === count
      })
    } finally {
      await session.close()
    }
  }

  /** What a daemon says of its cell. */
  status(daemon: string): Promise<CellStatus> {
    return statusOf(this.at(daemon).session)
  }

  /** Sum of one counter over daemons with a member. */
  async counted(counter: keyof CellStatus['counters'] & string): Promise<number> {
    let sum = 0
    for (const { session } of this.living) sum += (await statusOf(session)).counters[counter] ?? 0
    return sum
  }

  /** Everybody says a last word and hears that of all others; then all leave, and the traces are judged. */
  async finish(): Promise<{ readonly lines: number; readonly daemons: number; readonly sessions: number }> {
    const { findings } = this
    this.links?.heal()
    await this.together('one view at the end', null)
    const members = this.living
    await Promise.all(members.map(member => member.hush()))
    await this.until('last words at all', () =>
      members.every(({ farewells }) => members.every(({ session }) => farewells.has(session.id))),
    )
    // All of them are ours: none may find that another one speaks against the rules.
    const broken = await this.counted('cell.rules.broken')
    findings.expect(
      broken === 0,
      `a daemon spoke against the rules of groups, as others count: ${broken} times`,
    )
    const growth = this.memory.growth
    this.memory.stop()
    const bound = this.options.memoryBound ?? defaultMemoryBound
    if (growth === null) findings.note('memory was not measured: there is no /proc here')
    else findings.measure('memory growth of a daemon', growth, 'MB', bound)
    for (const { session } of members) await session.close()
    await this.lab.endAll()
    const { verifyTraces } = await import('../../sim/check/verify.ts')
    const { violations, counts } = await verifyTraces(this.lab.traceFiles, {
      drained: true,
      partial: this.options.partial === true,
    })
    for (const { property, what } of violations.slice(0, 5)) findings.broken.push(`${property}: ${what}`)
    if (violations.length > 5) findings.broken.push(`and ${violations.length - 5} violations more`)
    return counts
  }

  /** @param keep true: the directory stays, with the logs. */
  async close(keep: boolean): Promise<string> {
    this.memory.stop()
    if (keep) {
      for (const name of this.lab.names) writeFileSync(this.lab.file(`${name}.log`), this.lab.log(name))
      // What is not written yet of traces is written by asking for them.
      void this.lab.traceFiles
    }
    await this.lab.close(keep)
    await this.links?.close()
    return this.lab.directory
  }

  private losePatience(what: string, began: number): void {
    const { patienceMs = defaultPatienceMs } = this.options
    if (performance.now() - began < patienceMs) return
    throw new StuckError(`${what}: not within ${patienceMs / 1000} s; ${this.describe()}`)
  }

  /** For people who must find out what went wrong. */
  describe(): string {
    return this.members
      .map(({ session, view, ended }) => {
        const names = view?.members.map(id => id.slice(0, id.indexOf('@'))).join(' ') ?? 'no view'
        return `${session.name} ${ended === null ? `sees ${names}` : `ended: ${ended}`}`
      })
      .join('; ')
  }
}

function makeLinks({ links = 'none', names }: ClusterOptions): Links | null {
  if (links === 'none') return null
  const network = links === 'network' || (links === 'any' && missingForNetwork(['nft']) === null)
  return network ? new Network(names) : new RelayLinks(names)
}

async function statusOf(session: Member['session']): Promise<CellStatus> {
  const document = (await session.status()) as StatusDocument
  const cell = document.cells['main']
  if (cell === undefined) throw new Error('the daemon has no cell main')
  return cell
}
