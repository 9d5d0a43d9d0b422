/** A cell on the host's own thread, driven by its event loop or, if manual, by the host itself. */

import { Counters } from '../admin/counters.ts'
import type { AdminEvent } from '../admin/events.ts'
import type { CellStatus, StatusDocument } from '../admin/status.ts'
import type { Channel } from '../client/channel.ts'
import { createChannelPair } from '../client/channel-memory.ts'
import type { RingEnd } from '../client/channel-ring.ts'
import { createRingChannel } from '../client/channel-ring.ts'
import type { CellDescription } from '../codec/client.ts'
import type { CellConfig } from '../config/config.ts'
import { CellHost, type NodeIdentity } from './host.ts'
import { HostLoop, ManualLoop } from './loop.ts'
import type { NodeCell } from './node.ts'

export interface HostedCellOptions {
  readonly identity: NodeIdentity
  readonly config: CellConfig
  readonly trace: string | null
  readonly emit: (event: AdminEvent) => void
  readonly status: () => Promise<StatusDocument>
  /** Not null: manual, and told when something waits. */
  readonly onWake: (() => void) | null
}

export class HostedCell implements NodeCell {
  readonly name: string
  readonly config: CellConfig
  private readonly host: CellHost
  private readonly counters = new Counters()
  private readonly isManual: boolean
  private cells: readonly CellDescription[] = []

  constructor(options: HostedCellOptions) {
    const { identity, config, trace, emit, onWake } = options
    this.name = config.name
    this.config = config
    this.isManual = onWake !== null
    this.host = new CellHost({
      identity,
      config,
      trace,
      emit,
      counters: this.counters,
      createLoop: target => (onWake === null ? new HostLoop(target) : new ManualLoop(onWake)),
      describeCells: () => this.cells,
      status: async () => JSON.stringify(await options.status()),
    })
  }

  get addresses(): readonly string[] {
    return this.host.addresses
  }

  get manual(): NodeCell['manual'] {
    return this.isManual ? this.host.runtime : null
  }

  start(): Promise<void> {
    return this.host.start()
  }

  announce(cells: readonly CellDescription[]): void {
    this.cells = cells
    this.host.runtime.loop.wake()
  }

  connect(): Channel {
    const [client, server] = createChannelPair()
    this.host.runtime.accept(server)
    return client
  }

  accept(end: RingEnd): void {
    this.host.runtime.accept(createRingChannel(end))
  }

  async status(): Promise<CellStatus> {
    return { ...this.host.describe(), counters: this.counters.snapshot() }
  }

  leave(timeoutMs: number): Promise<void> {
    return this.host.leave(timeoutMs)
  }

  close(): Promise<void> {
    return this.host.close()
  }
}
