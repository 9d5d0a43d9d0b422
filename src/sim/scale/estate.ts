/**
 * Many daemons in many cells. Each cell shares one daemon with the next, so that there is a way from any daemon to any
 * other; a daemon runs the cells it is in side by side. Cells share nothing, so they are simulated one after the other, and
 * what they say is added up.
 */

import { type ChangeFigures, measureIdle, measureKill, settle } from './change.ts'
import { Site, type SiteOptions } from './site.ts'
import type { Member } from './member.ts'
import { type Amount, sumOf } from './traffic.ts'

export interface EstateFigures {
  readonly daemons: number
  /** Members of a cell; the last one may be smaller. */
  readonly cellSize: number
  readonly cells: number
  readonly inTwoCells: number
  /** Connections of a daemon in one cell. */
  readonly connections: number
  /** A second: of all daemons, of one in one cell, and of the one with the most. */
  readonly idle: Amount
  readonly idleFramesTypical: number
  readonly idleFramesMost: number
  /** A daemon in two cells is killed. */
  readonly kill: {
    readonly viewsMs: number
    /** Daemons that saw a change; all others did not. */
    readonly concerned: number
    readonly frames: number
    readonly bytes: number
  }
}

/** @returns the daemons of each cell, as numbers from 0. */
export function layOut(daemons: number, cellSize: number): number[][] {
  const cells: number[][] = []
  for (let first = 0; first < daemons - 1 || first === 0; first += cellSize - 1) {
    const count = Math.min(cellSize, daemons - first)
    cells.push(Array.from({ length: count }, (_, index) => first + index))
  }
  return cells
}

export interface EstateOptions extends Omit<SiteOptions, 'members'> {
  readonly daemons: number
  readonly cellSize: number
  /** Called after each cell. */
  readonly progress: (done: number, total: number) => void
}

export function measureEstate(options: EstateOptions): EstateFigures {
  const { daemons, cellSize, seed } = options
  const cells = layOut(daemons, cellSize)
  const framesBy: number[] = Array.from({ length: daemons }, () => 0)
  let frames = 0
  let bytes = 0
  const victim = (cells[Math.floor(cells.length / 2)] as number[])[0] as number
  const kills: ChangeFigures[] = []
  const concerned = new Set<number>()
  cells.forEach((cell, index) => {
    const site = new Site({ ...options, members: cell.length, seed: seed + index })
    site.boot()
    settle(site)
    const before = [...site.sentBy]
    const from = site.scheduler.now
    const idle = sumOf(measureIdle(site))
    const seconds = (site.scheduler.now - from) / 1000
    frames += idle.frames
    bytes += idle.bytes
    for (const [rank, daemon] of cell.entries()) {
      const sent = (site.sentBy[rank] as number) - (before[rank] as number)
      framesBy[daemon] = (framesBy[daemon] as number) + sent / seconds
    }
    if (cell.includes(victim) && cell.length > 1) {
      kills.push(measureKill(site, site.members[cell.indexOf(victim)] as Member))
      for (const daemon of cell) concerned.add(daemon)
    }
    options.progress(index + 1, cells.length)
  })
  concerned.delete(victim)
  const killed = kills.map(({ traffic }) => sumOf(traffic))
  return {
    daemons,
    cellSize,
    cells: cells.length,
    inTwoCells: cells.length - 1,
    connections: cellSize - 1,
    idle: { frames, bytes },
    idleFramesTypical: [...framesBy].sort((a, b) => a - b)[Math.floor(daemons / 2)] as number,
    idleFramesMost: Math.max(...framesBy),
    kill: {
      viewsMs: Math.max(...kills.map(({ noticedMs, viewsMs }) => noticedMs + viewsMs)),
      concerned: concerned.size,
      frames: killed.reduce((sum, amount) => sum + amount.frames, 0),
      bytes: killed.reduce((sum, amount) => sum + amount.bytes, 0),
    },
  }
}
