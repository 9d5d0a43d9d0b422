/** What daemons stand on: names, places to run, addresses, and the links between them. */

import { freePort } from '../lab/lab.ts'
import { Network } from '../lab/netns.ts'
import { Emulator } from './emulator.ts'

export interface Terrain {
  /** Each daemon in a network namespace of its own. */
  readonly namespaces: boolean
  /** What each daemon sends passes no faster, Mbit/s; 0: as fast as it goes. Only with namespaces. */
  readonly rateLimit: number
  /** What daemons send each other takes so much longer, ms. */
  readonly delayMs: number
}

/** What a network does that can be cut. */
export interface Breakable {
  split(...sides: readonly (readonly string[])[]): void
  heal(): void
}

export class Underlay {
  readonly names: readonly string[]
  /** Null: what is between daemons cannot be cut. */
  readonly links: Breakable | null
  readonly emulator: Emulator | null
  private readonly network: Network | null
  private readonly isEmulated: (network: string) => boolean

  /**
   * @param emulated networks whose links go through the emulator, also if nothing is wrong with them yet.
   * @throws Error if a network cannot be made.
   */
  constructor(names: readonly string[], terrain: Terrain, emulated: readonly string[] = []) {
    const { namespaces, delayMs } = terrain
    this.names = names
    this.isEmulated = network => delayMs > 0 || emulated.includes(network)
    this.network = namespaces ? new Network(names) : null
    this.links = this.network === null ? null : withLimit(this.network, terrain)
    const isNeeded = emulated.length > 0 || delayMs > 0
    this.emulator = isNeeded ? new Emulator(names, name => this.within(name), { delayMs }) : null
  }

  /** Prefix of a command that shall run where the daemon runs. */
  within(name: string): readonly string[] {
    return this.network?.within(name) ?? []
  }

  /** IP address of a daemon's host. */
  host(name: string): string {
    return this.network?.address(name) ?? '127.0.0.1'
  }

  /** An address to listen at. @param port on hosts of their own. */
  async address(name: string, port: number = 4803): Promise<string> {
    return this.network === null ? `127.0.0.1:${await freePort()}` : `${this.host(name)}:${port}`
  }

  /** Where one daemon finds another, which listens at an address. */
  async route(from: string, to: string, address: string, network: string = 'main'): Promise<string> {
    if (this.emulator === null || !this.isEmulated(network)) return address
    return this.emulator.route(from, to, address, network)
  }

  /** Processes between the daemons. */
  get pids(): readonly number[] {
    return this.emulator?.pids ?? []
  }

  async close(): Promise<void> {
    await this.emulator?.close()
    this.network?.close()
  }
}

/** Limits the rate of all hosts, also of a network that was healed. */
function withLimit(network: Network, { rateLimit }: Terrain): Breakable {
  const limit = (): void => {
    if (rateLimit > 0) for (const host of network.hosts) network.limit(host, (rateLimit * 1e6) / 8)
  }
  limit()
  return {
    split: (...sides) => network.split(...sides),
    heal() {
      network.heal()
      limit()
    },
  }
}
