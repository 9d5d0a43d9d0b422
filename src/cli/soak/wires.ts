/** The network of a soak: namespaces of the kernel, or relays on loopback where these cannot be had. */

import { spawnSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import type { LabOptions } from '../lab/lab.ts'
import { type Links, RelayLinks } from '../lab/links.ts'
import { missingForNetwork, Network } from '../lab/netns.ts'

export interface Wires {
  readonly links: Links
  /** How the laboratory is to put its daemons on this network. */
  readonly placing: Pick<LabOptions, 'within' | 'address' | 'route'>
  /** Resets the connections of a daemon to its peers, with whatever is on its way. */
  reset(name: string): Promise<void>
}

/** Ctrl-C goes to all processes of a group; it is for the soak alone. The process keeps its number. */
const ownGroup: readonly string[] = ['setsid']
/** For so long every segment from other hosts is answered by a reset. */
const resetForMs = 50
const resetRule = 'add rule inet lab input iifname eth0 meta l4proto tcp reject with tcp reset'

/** @param relays even if there could be namespaces. */
export function wiresFor(names: readonly string[], relays: boolean): Wires {
  return relays || missingForNetwork(['nft']) !== null ? relayWires(names) : networkWires(names)
}

function networkWires(names: readonly string[]): Wires {
  const links = new Network(names)
  return {
    links,
    placing: {
      within: name => [...links.within(name), ...ownGroup],
      address: name => `${links.address(name)}:4803`,
    },
    async reset(name) {
      const [command, ...args] = [...links.within(name), 'nft', resetRule]
      spawnSync(command as string, args)
      await sleep(resetForMs)
      links.heal()
    },
  }
}

function relayWires(names: readonly string[]): Wires {
  const links = new RelayLinks(names)
  return {
    links,
    placing: {
      within: () => ownGroup,
      address: name => `${ownLoopback()}:${4803 + names.indexOf(name)}`,
      route: links.route.bind(links),
    },
    // It has no notion of whose connections; so it is everybody's.
    async reset() {
      links.reset()
    },
  }
}

/**
 * An address of the loopback network that no other process uses. On the usual one the port of a daemon that is down could
 * become that of somebody's connection, and the daemon would not come up again.
 */
function ownLoopback(): string {
  const { pid } = process
  return `127.${64 + ((pid >>> 16) & 63)}.${(pid >>> 8) & 255}.${pid & 255}`
}
