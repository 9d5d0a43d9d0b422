/** The transport of a cell, as it is configured. */

import { crc32 } from 'node:zlib'
import type { CellConfig } from '../config/config.ts'
import type { TransportChoice } from '../config/transport.ts'
import { ChainTransport } from '../transport/chain.ts'
import { TcpTransport } from '../transport/tcp.ts'
import type { Transport, TransportIdentity } from '../transport/transport.ts'
import { UdpTransport } from '../transport/udp.ts'

export function makeTransport(
  transport: TransportChoice['transport'],
  identity: Omit<TransportIdentity, 'cell'>,
  config: CellConfig,
  wake: () => void,
): Transport {
  const options = {
    ...identity,
    cell: config.name,
    listen: config.listen,
    peers: config.peers.map(({ name, address }) => ({ name, ...address })),
    wake,
    crc32,
  }
  if (transport === 'tcp') return new TcpTransport(options)
  if (transport === 'chain') {
    return new ChainTransport(new TcpTransport(options), {
      cell: config.name,
      // Half of what makes it suspected: those behind it must not wait so long.
      silentAfterMs: config.timeouts.suspectAfterMs / 2,
      // More than two members may have under way.
      queueBytes: config.limits.windowBytes * 2,
      crc32,
    })
  }
  const { mtu: mtuBytes, multicast } = config
  if (transport === 'udp' || multicast === null) return new UdpTransport({ ...options, mtuBytes })
  const at = config.interface === null ? {} : { interface: config.interface }
  return new UdpTransport({ ...options, mtuBytes, multicast: { ...multicast, ...at } })
}
