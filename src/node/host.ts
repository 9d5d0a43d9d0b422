/** A cell with its listeners, as it runs on some thread: the host's, or a worker's own. */

import { randomBytes } from 'node:crypto'
import type { Counters } from '../admin/counters.ts'
import type { AdminEvent } from '../admin/events.ts'
import type { CellStatus, LinkState, PeerStatus, SessionStatus } from '../admin/status.ts'
import type { Channel } from '../client/channel.ts'
import type { CellDescription } from '../codec/client.ts'
import type { CellConfig } from '../config/config.ts'
import { chooseTransport, type TransportChoice } from '../config/transport.ts'
import type { MemberId } from '../core/types.ts'
import { nameOfMember } from '../transport/agreement.ts'
import type { PeerInfo } from '../transport/transport.ts'
import { DescriptorReserve } from './descriptors.ts'
import { type Endpoint, listenTcp, listenUnix } from './listener.ts'
import { type Loop, monotonicMs, type Steppable } from './loop.ts'
import { CellRuntime } from './runtime.ts'
import { makeTransport } from './transports.ts'

/** What all cells of a node have in common; plain data, for workers. */
export interface NodeIdentity {
  readonly self: MemberId
  readonly cluster: string
  readonly order: { readonly digest: string; readonly rules: string }
}

export interface CellHostOptions {
  readonly identity: NodeIdentity
  readonly config: CellConfig
  readonly counters: Counters
  readonly trace: string | null
  readonly emit: (event: AdminEvent) => void
  readonly createLoop: (target: Steppable) => Loop
  readonly describeCells: () => readonly CellDescription[]
  readonly status: () => Promise<string>
}

export class CellHost {
  readonly runtime: CellRuntime
  private readonly options: CellHostOptions
  private readonly choice: TransportChoice
  private endpoints: Endpoint[] = []
  private reserve: DescriptorReserve | null = null

  constructor(options: CellHostOptions) {
    const { identity, config, counters, trace, emit, createLoop, describeCells, status } = options
    this.options = options
    this.choice = chooseTransport(config, nameOfMember(identity.self))
    this.runtime = new CellRuntime({
      self: identity.self,
      cluster: identity.cluster,
      config,
      seed: randomBytes(6).readUIntBE(0, 6),
      counters,
      emit,
      trace,
      createTransport: wake => makeTransport(this.choice.transport, identity, config, wake),
      createLoop,
      describeCells,
      status,
      now: monotonicMs,
    })
  }

  /** @throws TransportError, AddressInUseError or the system's error: what could not be opened. */
  async start(): Promise<void> {
    const { clients } = this.options.config
    this.reserve = new DescriptorReserve()
    const accept = (channel: Channel): void => this.runtime.accept(channel, this.reserve?.allows())
    try {
      if (clients.unix !== null) this.endpoints.push(await listenUnix(clients.unix, accept))
      if (clients.tcp !== null)
        this.endpoints.push(await listenTcp(clients.tcp.host, clients.tcp.port, accept))
      await this.runtime.start()
      const { emit, config } = this.options
      if (config.transport === 'auto') emit({ type: 'transport', cell: config.name, ...this.choice })
    } catch (error) {
      await this.close()
      throw error
    }
  }

  get addresses(): string[] {
    return this.endpoints.map(endpoint => endpoint.address)
  }

  describe(): Omit<CellStatus, 'counters'> {
    const { config, identity } = this.options
    const { cell, groups, sessions } = this.runtime
    const { id, members } = cell.configuration
    return {
      phase: cell.phase,
      thread: config.thread,
      transport: this.choice.transport,
      order: identity.order.digest,
      configuration: { id: id.key, members },
      endpoints: this.addresses,
      groups: groups.groupCount,
      peers: this.peers(),
      sessions: [...sessions.bySession.values()].map(
        (connection): SessionStatus => ({
          id: connection.id,
          groups: connection.groups.size,
          queueBytes: connection.outstanding,
          acknowledged: sessions.acknowledgements.acknowledgedBy(connection.session),
        }),
      ),
    }
  }

  /** Stops taking clients, and leaves the cell. */
  async leave(timeoutMs: number): Promise<void> {
    await this.runtime.leave(timeoutMs)
  }

  async close(): Promise<void> {
    const closing = this.endpoints.map(endpoint => endpoint.close())
    this.endpoints = []
    this.reserve?.close()
    await this.runtime.close()
    await Promise.all(closing)
  }

  private peers(): PeerStatus[] {
    const now = monotonicMs()
    return this.runtime.transport.peers().map((peer): PeerStatus => {
      const heardAt = peer.member === null ? null : this.runtime.cell.lastHeardAt(peer.member)
      return {
        member: peer.member,
        name: peer.name,
        address: peer.address,
        ...linkOf(peer, this.runtime.refusalOf(peer.name, peer.address)),
        carrier: peer.carrier ?? 'tcp',
        lastHeardMs: heardAt === null ? null : Math.round(now - heardAt),
        queueBytes: peer.pendingControl + peer.pendingData,
      }
    })
  }
}

function linkOf(peer: PeerInfo, refusal: string | null): { readonly link: LinkState; readonly why: string } {
  if (peer.control && peer.data) return { link: 'up', why: '' }
  if (peer.control) return { link: 'connecting', why: 'the data lane is not connected' }
  if (peer.data) return { link: 'connecting', why: 'the control lane is not connected' }
  if (refusal !== null) return { link: 'refused', why: refusal }
  return { link: 'down', why: peer.member === null ? 'never connected' : 'not connected' }
}
