import { randomBytes } from 'node:crypto'
import type { Key } from '../codec/datagram.ts'
import type { UdpLink } from './udp-link.ts'

export type KeyOwner =
  /** Of what we send to the group, and hear ourselves. */
  | { readonly key: Key; readonly role: 'own' }
  /** `stream`: of what the peer sends. `answer`: of what it says to what we send. */
  | { readonly key: Key; readonly role: 'stream' | 'answer'; readonly link: UdpLink }

/** Who is known by which key. */
export class UdpKeys {
  /** By the low half: of two keys that share it, the later one counts; the other peer then does without datagrams. */
  readonly #owners = new Map<number, KeyOwner>()

  add(owner: KeyOwner): void {
    this.#owners.set(owner.key.low, owner)
  }

  delete(key: Key): void {
    if (this.find(key) !== undefined) this.#owners.delete(key.low)
  }

  find(key: Key): KeyOwner | undefined {
    const owner = this.#owners.get(key.low)
    return owner?.key.high === key.high ? owner : undefined
  }
}

export function drawKey(): Key {
  const bytes = randomBytes(8)
  return { low: bytes.readUInt32LE(0), high: bytes.readUInt32LE(4) }
}
