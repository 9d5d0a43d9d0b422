/** Daemons with two cells, `near` and `far`, and one more daemon that is only in the far one with them. */

import { writeFileSync } from 'node:fs'
import { Lab } from '../lab/lab.ts'
import type { Faults } from '../lab/weather.ts'
import { daemonFlags, openOn } from './anasazi-site.ts'
import { cellLines, mergedSettings, type Settings } from './settings.ts'
import { daemonNames, type Site, type SiteOptions } from './site.ts'
import { Underlay } from './underlay.ts'

export interface TwoCells {
  /** Its daemons are those of the near cell, and then the one that is not in it. */
  readonly site: Site
  /** From now on this is wrong with all links of the far cell. */
  disturb(faults: Partial<Faults>): void
}

/** Groups that begin with this are in the far cell. */
export const farPrefix = 'far.'

/** As one must set a cell whose members are far from each other. */
const patience: Settings = {
  timeouts: {
    heartbeatMs: 500,
    suspectAfterMs: 2000,
    stalledAfterMs: 20_000,
    gatherMs: 3000,
    recoverMs: 5000,
    acknowledgeMs: 20,
    silentAfterMs: 20,
  },
}

const ports = { near: 4803, far: 4805 } as const

/** @param members daemons of the near cell. */
export async function openCells(members: number, options: Omit<SiteOptions, 'members'>): Promise<TwoCells> {
  const { terrain, settings, profile } = options
  const names = daemonNames(members + 1)
  const insiders = names.slice(0, -1)
  const underlay = new Underlay(names, terrain, ['far'])
  const site = await openOn(underlay, async () => {
    const lab = await Lab.create({
      names,
      trace: false,
      within: name => underlay.within(name),
      flags: daemonFlags(profile),
    })
    const near = await peersOf('near', underlay, insiders)
    const far = await peersOf('far', underlay, names)
    for (const name of names) {
      const alone = [`      ${name}: ${await underlay.address(name, ports.near)}`]
      const text = [
        'cells:',
        // Of two patterns that match, the first one decides.
        ...cellText('far', `${farPrefix}*`, far.get(name) ?? [], mergedSettings(patience, settings)),
        ...cellText('near', '*', near.get(name) ?? alone, settings),
      ]
      writeFileSync(lab.configuration(name), `${text.join('\n')}\n`)
    }
    return { lab, cell: 'near', profile }
  })
  return { site, disturb: faults => underlay.emulator?.set('far', faults) }
}

function cellText(name: string, pattern: string, peers: readonly string[], settings: Settings): string[] {
  return [`  ${name}:`, `    groups: ['${pattern}']`, '    peers:', ...peers, ...cellLines(settings)]
}

/** The peers of each of these daemons in one cell, as lines of its configuration. */
async function peersOf(
  cell: keyof typeof ports,
  underlay: Underlay,
  names: readonly string[],
): Promise<Map<string, string[]>> {
  const addresses = new Map<string, string>()
  for (const name of names) addresses.set(name, await underlay.address(name, ports[cell]))
  const peers = new Map<string, string[]>()
  for (const from of names) {
    const lines: string[] = []
    for (const [to, address] of addresses) {
      const seen = from === to ? address : await underlay.route(from, to, address, cell)
      lines.push(`      ${to}: ${seen}`)
    }
    peers.set(from, lines)
  }
  return peers
}
