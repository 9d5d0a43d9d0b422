/** Links between daemons that can be slow and lossy: a relaying process beside each daemon. Over TCP only. */

import type { Faults } from '../lab/weather.ts'
import { moduleCommand, Worker } from './worker.ts'

export class Emulator {
  private readonly names: readonly string[]
  private readonly processes: ReadonlyMap<string, Worker>
  private readonly links: { readonly network: string; readonly from: string; readonly link: string }[] = []
  /** What is wrong on every way as long as nothing else is said. */
  private readonly usual: Partial<Faults>

  /** @param within prefix of a command that shall run where a daemon runs. */
  constructor(
    names: readonly string[],
    within: (name: string) => readonly string[],
    usual: Partial<Faults> = {},
  ) {
    this.names = names
    this.usual = usual
    this.processes = new Map(
      names.map(name => {
        const command = [...within(name), ...moduleCommand('emulator-main')]
        return [name, new Worker(`link emulator at ${name}`, command)]
      }),
    )
  }

  get pids(): number[] {
    return [...this.processes.values()].map(({ pid }) => pid)
  }

  /** Where `from` finds `to`, which listens at `target`. @param network several may lie between the same daemons. */
  async route(from: string, to: string, target: string, network: string): Promise<string> {
    const at = this.at(from)
    const link = `${network}/${to}`
    at.tell('route', link, target)
    const { address } = await at.hear('routed', routed => routed.link === link)
    this.links.push({ network, from, link })
    this.tell(from, link, this.usual)
    return address
  }

  /** From now on this is wrong with every link of a network. */
  set(network: string, faults: Partial<Faults>): void {
    for (const { from, link } of this.links.filter(each => each.network === network)) {
      this.tell(from, link, { ...this.usual, ...faults })
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.processes.values()].map(each => each.quit()))
  }

  private tell(from: string, link: string, faults: Partial<Faults>): void {
    this.at(from).tell('weather', link, JSON.stringify(faults))
  }

  private at(name: string): Worker {
    const found = this.processes.get(name)
    if (found === undefined)
      throw new RangeError(`${name} has no link emulator: there are ${this.names.join(', ')}`)
    return found
  }
}
