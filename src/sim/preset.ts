/** A run short enough to be read: some messages, a partition with traffic on both sides, a merge. */

import { Random } from '../lib/prng.ts'
import { hostName } from './hosts.ts'

const names = ['alice', 'bob', 'carol', 'dave']

/** The scenario that a seed stands for. */
export function shortScenario(seed: number): string {
  const random = new Random(seed).fork('short')
  const members = random.pick([3, 3, 4])
  const hosts = Array.from({ length: members }, (_, host) => host)
  const clients = hosts.map(host => names[host] as string)
  const cutAt = random.between(1, members - 1)
  const shuffled = random.shuffle([...hosts])
  const sides = [shuffled.slice(0, cutAt), shuffled.slice(cutAt)].map(side => side.sort((a, b) => a - b))
  const send = (): string => {
    const service = random.chance(0.4) ? ' service=safe' : ''
    return `wait ${random.between(1, 12)}ms send ${random.pick(clients)} orders${service}`
  }
  const sends = (count: number): string[] => Array.from({ length: count }, send)
  return [
    `members ${members}`,
    'option baseMs 0.3',
    'option jitterMs 0.2',
    'start all',
    'wait stable',
    ...hosts.map(host => `client ${clients[host]} ${hostName(host)}`),
    ...clients.map(client => `join ${client} orders`),
    'wait 20ms',
    ...sends(4),
    // Messages under way when the link breaks are the interesting ones.
    ...clients.map(client => `send ${client} orders${random.chance(0.5) ? ' service=safe' : ''}`),
    'wait 0.3ms',
    `cut ${sides.map(side => side.map(hostName).join(' ')).join(' | ')}`,
    'wait 500ms',
    ...sends(4),
    'wait 40ms',
    'heal',
    'wait stable',
    ...sends(3),
    'wait 100ms',
    `expect view ${hosts.map(hostName).join(' ')}`,
    '',
  ].join('\n')
}
