/** Sockets for datagrams, behind an interface so that a test can put a worse network in their place. */

import { createSocket, type Socket } from 'node:dgram'
import { isIPv6 } from 'node:net'
import { TransportError } from './transport.ts'

export interface DatagramSocket {
  readonly port: number
  /** What the system holds for us until it is read. */
  readonly receiveBytes: number
  /** Sends one datagram, as it were one run of bytes. What cannot be sent is lost. */
  send(slices: readonly Uint8Array[], to: { readonly host: string; readonly port: number }): void
  close(): Promise<void>
}

export interface SocketRequest {
  /** IP address to receive on; of a group: the group. */
  readonly host: string
  /** 0: any. */
  readonly port: number
  /** Become a member of the group `host` on the interface with this address; '': that of the system's choice. Null: no group. */
  readonly membership: { readonly interface: string } | null
  /** `bytes` are not used again by the socket. `from`: IP address of the sender. */
  readonly onMessage: (bytes: Uint8Array, from: string) => void
}

export type OpenDatagramSocket = (request: SocketRequest) => Promise<DatagramSocket>

/** Asked of the system, which may give less. */
const BUFFER_BYTES: number = 4 * 1024 * 1024
/** Routers do not pass on what is sent to a group. */
const GROUP_TTL = 1

/** @throws TransportError if the address cannot be listened on, or the group not be joined. */
export const openDatagramSocket: OpenDatagramSocket = async request => {
  const { host, port, membership } = request
  const socket = createSocket({
    type: isIPv6(host) ? 'udp6' : 'udp4',
    reuseAddr: membership !== null,
    // Hosts are IP addresses. The usual way would put every datagram off to a later tick.
    lookup: (name, _options, callback) => callback(null, name, isIPv6(name) ? 6 : 4),
  })
  try {
    await bound(socket, host, port)
    if (membership !== null) join(socket, host, membership.interface)
  } catch (error) {
    socket.close()
    const { code, message } = error as NodeJS.ErrnoException
    const why = code === 'EADDRINUSE' ? 'another process receives there' : message
    const what = membership === null ? 'receive datagrams on' : 'be a member of the multicast group'
    throw new TransportError('listen', `cannot ${what} ${host}:${port}: ${why}`, error)
  }
  // What the system refuses to send is as good as lost on the way.
  socket.on('error', () => undefined)
  socket.on('message', (bytes, from) => request.onMessage(bytes, from.address))
  enlarge(socket)
  return {
    port: socket.address().port,
    receiveBytes: socket.getRecvBufferSize(),
    send: (slices, to) => socket.send(slices, to.port, to.host),
    close: () =>
      new Promise<void>(resolve => {
        socket.close(() => resolve())
      }),
  }
}

function bound(socket: Socket, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject)
    socket.bind({ address: host, port, exclusive: true }, () => {
      socket.removeListener('error', reject)
      resolve()
    })
  })
}

function join(socket: Socket, group: string, at: string): void {
  if (at === '') socket.addMembership(group)
  else {
    socket.addMembership(group, at)
    socket.setMulticastInterface(at)
  }
  socket.setMulticastTTL(GROUP_TTL)
  // Others on this machine are to hear us.
  socket.setMulticastLoopback(true)
}

function enlarge(socket: Socket): void {
  for (const set of [socket.setRecvBufferSize, socket.setSendBufferSize]) {
    try {
      set.call(socket, BUFFER_BYTES)
    } catch {
      // It keeps the size that the system gives to all.
    }
  }
}
