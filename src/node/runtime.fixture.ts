/** A cell at work in virtual time, with clients by hand: nothing happens but in `step`. */

import { Counters } from '../admin/counters.ts'
import type { AdminEvent } from '../admin/events.ts'
import type { CellDescription } from '../codec/client.ts'
import type { CellConfig } from '../config/config.ts'
import { defaultConfig } from '../config/config.ts'
import type { NodeLimits } from '../config/limits.ts'
import type { MemberId } from '../core/types.ts'
import { MemoryHub } from '../transport/memory.ts'
import { HandClient, hello } from './client.fixture.ts'
import { ManualLoop } from './loop.ts'
import { CellRuntime } from './runtime.ts'

export interface BenchOptions {
  readonly name?: string
  /** Of the many with this name. */
  readonly incarnation?: number
  readonly limits?: Partial<NodeLimits>
  readonly cell?: Partial<CellConfig>
  readonly cells?: readonly CellDescription[]
  readonly trace?: string
  readonly hub?: MemoryHub
  readonly now?: number
  readonly status?: () => Promise<string>
}

/** Steps in a row that may ask for another one at once. */
const MOST_STEPS = 100

export class Bench {
  /** Monotonic ms. */
  now: number
  /** What passes with each look at the clock, ms: how busy the machine is. */
  lookMs = 0
  wakes = 0
  cells: readonly CellDescription[]
  readonly self: MemberId
  readonly counters: Counters = new Counters()
  readonly events: AdminEvent[] = []
  readonly runtime: CellRuntime

  constructor(options: BenchOptions = {}) {
    const { name = 'n1', limits, cell, cells, trace, hub = new MemoryHub(), status, now = 10_000 } = options
    this.now = now
    this.self = `${name}#${(options.incarnation ?? name.length % 10).toString(16).padStart(32, '0')}`
    const basic = defaultConfig({ hostName: name, runtime: '/nowhere' }).cells[0] as CellConfig
    const config = { ...basic, ...cell, limits: { ...basic.limits, ...cell?.limits, ...limits } }
    this.cells = cells ?? [{ name: 'main', patterns: ['*'], endpoints: [] }]
    this.runtime = new CellRuntime({
      self: this.self,
      cluster: 'lab',
      config,
      seed: 1,
      counters: this.counters,
      emit: event => void this.events.push(event),
      trace: trace ?? null,
      createTransport: wake =>
        hub.create({
          self: this.self,
          cluster: 'lab',
          cell: 'main',
          order: { digest: '0', rules: '' },
          peers: null,
          wake,
        }),
      createLoop: () => new ManualLoop(() => void this.wakes++),
      describeCells: () => this.cells,
      status: status ?? (async () => '{}'),
      now: () => (this.now += this.lookMs),
    })
  }

  static async start(options: BenchOptions = {}): Promise<Bench> {
    const bench = new Bench(options)
    await bench.runtime.start()
    bench.step()
    return bench
  }

  /** Time passes in steps at every deadline, then everything that follows is done. */
  step(ms: number = 0): void {
    const end = this.now + ms
    for (let count = 0; this.runtime.nextDeadline < end; count++) {
      if (count > MOST_STEPS + ms) throw new Error('the runtime does not come to rest')
      this.now = Math.max(this.now, this.runtime.nextDeadline)
      this.runtime.step(this.now)
    }
    this.now = end
    for (let count = 0; ; count++) {
      this.runtime.step(this.now)
      if (this.runtime.nextDeadline > this.now) return
      if (count > MOST_STEPS) throw new Error('the runtime does not come to rest')
    }
  }

  /** A connection that has said nothing. */
  client(): HandClient {
    const client = new HandClient()
    this.runtime.accept(client.channel)
    return client
  }

  /** A client with a session. */
  session(name: string = ''): HandClient {
    const client = this.client()
    client.say({ ...hello, name })
    this.step()
    return client
  }

  /** Events of this type so far. */
  told<Type extends AdminEvent['type']>(type: Type): Extract<AdminEvent, { type: Type }>[] {
    return this.events.filter(event => event.type === type) as Extract<AdminEvent, { type: Type }>[]
  }
}

/** Cells that are connected with each other, and get their turns one after the other. */
export class Neighbours {
  readonly hub: MemoryHub = new MemoryHub()
  readonly benches: Bench[] = []

  async add(options: Omit<BenchOptions, 'hub' | 'now'> = {}): Promise<Bench> {
    const bench = await Bench.start({ ...options, hub: this.hub, now: this.benches[0]?.now ?? 10_000 })
    this.benches.push(bench)
    return bench
  }

  pass(ms: number): void {
    for (let passed = 0; passed < ms; passed += 5) {
      for (const bench of this.benches) {
        this.hub.deliver()
        bench.step(5)
      }
    }
  }

  /** Until all are in one configuration, and a little longer. */
  settle(): void {
    const one = (): boolean => {
      const keys = new Set(this.benches.map(({ runtime }) => runtime.cell.configuration.id.key))
      const [first] = this.benches
      return keys.size === 1 && first?.runtime.cell.configuration.members.length === this.benches.length
    }
    for (let passed = 0; !one(); passed += 100) {
      if (passed >= 20_000) throw new Error('the cells do not come together')
      this.pass(100)
    }
    this.pass(300)
  }
}
