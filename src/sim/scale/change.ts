/** Changes of membership, and peace: what they cost. */

import { ScaleError, type Site } from './site.ts'
import type { Member } from './member.ts'
import { between, type Traffic } from './traffic.ts'

export interface ChangeFigures {
  readonly change: 'boot' | 'kill' | 'cut' | 'heal'
  /** Until a daemon noticed; then until the last client concerned had its view. */
  readonly noticedMs: number
  readonly viewsMs: number
  /** From the notice to the last view, sent by all members together. */
  readonly traffic: Traffic
}

/** Heartbeats a second, and what else passes when nobody says anything; of all members together. */
export type IdleFigures = Traffic

/** Long enough that acknowledgements, hold-downs and the like of what was before are over. */
const settlingMs = 3000
const idleMs = 2000

/** Boots the site. */
export function measureBoot(site: Site): ChangeFigures {
  return measure(site, 'boot', () => site.boot())
}

/** Cuts the members in two halves, heals them, and kills the last one: the site is without it afterwards. */
export function measureChanges(site: Site): ChangeFigures[] {
  const { members } = site
  const half = Math.ceil(members.length / 2)
  const sides = [members.slice(0, half), members.slice(half)] as const
  settle(site)
  const cut = measure(site, 'cut', () => {
    site.cut(...sides)
    return site.untilViews(sides)
  })
  settle(site)
  const heal = measure(site, 'heal', () => {
    site.mend(...sides)
    return site.untilViews([members])
  })
  settle(site)
  return [measureKill(site, members.at(-1) as Member), cut, heal]
}

export function measureKill(site: Site, victim: Member): ChangeFigures {
  return measure(site, 'kill', () => {
    site.kill(victim)
    return site.untilViews([site.members.filter(member => member.alive)])
  })
}

/** Lets what was before come to its end. */
export function settle(site: Site): void {
  site.run(settlingMs)
}

export function measureIdle(site: Site): IdleFigures {
  settle(site)
  const before = site.meter.total()
  site.run(idleMs)
  return between(before, site.meter.total(), idleMs / 1000)
}

function measure(site: Site, change: ChangeFigures['change'], act: () => number): ChangeFigures {
  const from = site.scheduler.now
  site.watch()
  const viewsMs = act()
  const { noticed } = site
  if (noticed === null) throw new ScaleError(`nobody noticed: ${change}`)
  const noticedMs = noticed.at - from
  return {
    change,
    noticedMs,
    viewsMs: viewsMs - noticedMs,
    traffic: between(noticed.traffic, site.atLastView),
  }
}
