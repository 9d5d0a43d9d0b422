/** Which transport a cell has. */

import type { CellConfig } from './config.ts'

/** What a configuration can ask for. `chain`: over TCP, large frames by way of one member after the other. */
export type TransportName = 'auto' | 'tcp' | 'udp' | 'multicast' | 'chain'
export const TRANSPORTS: readonly TransportName[] = ['auto', 'tcp', 'udp', 'multicast', 'chain']
export const DEFAULT_TRANSPORT: TransportName = 'tcp'
export const DEFAULT_MTU_BYTES = 1500

/** Copies for so many others cost less than what multicast brings with it. */
const FEW_OTHERS = 3

export interface TransportChoice {
  readonly transport: Exclude<TransportName, 'auto'>
  /** In words. */
  readonly why: string
}

/**
 * What is used: what is configured, or what `auto` makes of it. Never a chain, which all members must have alike: they may
 * not all have the same list of others.
 * @param name of this member.
 */
export function chooseTransport(
  cell: Pick<CellConfig, 'transport' | 'peers' | 'multicast'>,
  name: string,
): TransportChoice {
  if (cell.transport !== 'auto') return { transport: cell.transport, why: 'it is configured' }
  const others = cell.peers.filter(peer => peer.name !== name)
  if (others.length < FEW_OTHERS) {
    return { transport: 'tcp', why: `copies for ${others.length} other members cost little` }
  }
  if (others.every(({ address }) => isLoopback(address.host))) {
    return { transport: 'tcp', why: 'all other members are on this machine: there is no link to spare' }
  }
  if (cell.multicast !== null) {
    const why = `one datagram to the group reaches all ${others.length} others that hear it`
    return { transport: 'multicast', why }
  }
  return {
    transport: 'tcp',
    why: `no multicast group is configured that the ${others.length} others could hear`,
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d+){3}$/.test(host)
}
