/** Measures everything, one cell after the other. All but memory and elapsed time follows from the options. */

import type { CellOptions } from '../../core/api.ts'
import { measureBoot, measureChanges, measureIdle } from './change.ts'
import { type EstateFigures, measureEstate } from './estate.ts'
import type { CellFigures, ScaleFigures } from './figures.ts'
import { type Load, type LoadFigures, measureLoad } from './load.ts'
import { usedBytes } from './memory.ts'
import { Site } from './site.ts'

export interface ScaleOptions {
  readonly seed: number
  readonly hopMs: number
  readonly jitterMs: number
  /** Sizes of one cell. */
  readonly members: readonly number[]
  /** Sizes of what is made of many cells. */
  readonly daemons: readonly number[]
  readonly cellSizes: readonly number[]
  /** Told what is measured next. */
  readonly progress: (what: string) => void
}

/** A way to tell facts, and what sets it. Each has rows of its own. */
interface Announcing {
  readonly name: string
  readonly cell: Partial<CellOptions>
  /** Measured in cells of so many members and more. */
  readonly from: number
}

const announcings: readonly Announcing[] = [
  { name: 'direct', cell: { limits: { aggregateFrom: Number.POSITIVE_INFINITY } }, from: 1 },
  { name: 'aggregated', cell: { limits: { aggregateFrom: 2 } }, from: 8 },
]

const messageBytes = 1024
const rate = 1000
/** The more talk, the shorter need it be measured: so many messages, but not longer than that many ms, nor shorter. */
const messagesWanted = 640
const longestMs = 200
const shortestMs = 10
const floodHops = 30

export function measureScale(options: ScaleOptions): ScaleFigures {
  const began = process.hrtime.bigint()
  const { seed, hopMs, jitterMs } = options
  const cells: CellFigures[] = []
  const estates: EstateFigures[] = []
  for (const members of options.members) {
    for (const announcing of announcings) {
      if (members >= announcing.from) cells.push(measureCell(members, announcing, options))
    }
  }
  for (const daemons of options.daemons) {
    for (const cellSize of options.cellSizes) {
      const progress = (done: number, total: number): void => {
        options.progress(`${daemons} daemons in cells of ${cellSize}: ${done} of ${total}`)
      }
      estates.push(measureEstate({ seed, hopMs, jitterMs, cell: {}, daemons, cellSize, progress }))
    }
  }
  const elapsedMs = Number(process.hrtime.bigint() - began) / 1e6
  return { seed, hopMs, jitterMs, cells, estates, elapsedMs }
}

function measureCell(members: number, announcing: Announcing, options: ScaleOptions): CellFigures {
  // Out of this function the cell is garbage: what is in use then is what everything else holds.
  const { usedBytes: holding, ...figures } = measureSite(members, announcing, options)
  return { ...figures, memoryBytes: Math.max(0, holding - usedBytes()) / members }
}

function measureSite(
  members: number,
  announcing: Announcing,
  options: ScaleOptions,
): Omit<CellFigures, 'memoryBytes'> & { usedBytes: number } {
  const { seed, hopMs, jitterMs } = options
  const progress = (what: string): void => options.progress(`${members} members: ${what}`)
  const site = new Site({ seed, hopMs, jitterMs, members, cell: announcing.cell })
  progress('boot')
  const boot = measureBoot(site)
  const idle = measureIdle(site)
  const loads = loadsOf(members, hopMs).map((load): LoadFigures => {
    const speed = load.rate === null ? 'windows full' : `${load.rate}/s each`
    progress(`${load.talkers === 1 ? '1 talker' : `${load.talkers} talkers`}, ${speed}, ${load.service}`)
    return measureLoad(site, load)
  })
  progress('cut, heal, kill')
  const changes = [boot, ...measureChanges(site)]
  measureIdle(site)
  const used = usedBytes()
  // The members are in use until here.
  return { members: site.members.length, announce: announcing.name, idle, loads, changes, usedBytes: used }
}

function loadsOf(members: number, hopMs: number): Load[] {
  const counts = [...new Set([1, 2, members])]
  const slow = counts.flatMap(talkers => {
    const windowMs = Math.max(shortestMs, Math.min(longestMs, (messagesWanted * 1000) / (rate * talkers)))
    return (['agreed', 'safe'] as const).map(service => ({ talkers, rate, service, messageBytes, windowMs }))
  })
  const flood = { talkers: members, rate: null, service: 'agreed', messageBytes } as const
  return [...slow, { ...flood, windowMs: floodHops * hopMs }]
}
