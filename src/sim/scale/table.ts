/** What was measured, as tables of words: for a terminal and for a page. */

import type { ChangeFigures } from './change.ts'
import type { EstateFigures } from './estate.ts'
import type { CellFigures, ScaleFigures } from './figures.ts'
import type { Hops, LoadFigures } from './load.ts'
import { type Amount, sumOf } from './traffic.ts'

export interface Table {
  readonly name: 'messages' | 'full' | 'changes' | 'idle' | 'cells'
  readonly title: string
  readonly header: readonly string[]
  readonly rows: readonly (readonly string[])[]
}

export function tablesOf(figures: ScaleFigures): Table[] {
  const { cells, estates } = figures
  const tables: Table[] = [
    {
      name: 'messages',
      title: 'Messages of 1 KiB, 1000 a second of each talker',
      header: [
        'members',
        'facts',
        'talk',
        'agreed, hops',
        'own',
        'safe, hops',
        'own',
        'data frames',
        'facts frames',
        'if safe',
        'bytes',
        'if safe',
      ],
      rows: cells.flatMap(messageRows),
    },
    {
      name: 'full',
      title: 'Everybody sends 1 KiB as fast as windows allow',
      header: ['members', 'facts', 'agreed, hops', 'data frames', 'facts frames', 'beyond payload', 'held'],
      rows: cells.flatMap(fullRows),
    },
    {
      name: 'changes',
      title:
        'Changes of membership: until noticed, then until all have their views; frames and bytes of all members',
      header: ['members', 'facts', 'kill', 'cut in half', 'heal', 'boot together'],
      rows: cells.map(changeRow),
    },
    {
      name: 'idle',
      title: 'Nobody speaks',
      header: [
        'members',
        'facts',
        'frames/s a member',
        'bytes/s a member',
        'bytes/s of all',
        'heap a member',
      ],
      rows: cells.map(idleRow),
    },
    {
      name: 'cells',
      title: 'Many cells, each with one daemon in common with the next',
      header: [
        'daemons',
        'members of a cell',
        'cells',
        'connections of a daemon',
        'idle frames/s of all',
        'of a daemon',
        'in two cells',
        'kill → views',
        'daemons concerned',
        'frames',
        'bytes',
      ],
      rows: estates.map(estateRow),
    },
  ]
  return tables.filter(({ rows }) => rows.length > 0)
}

function messageRows({ members, announce, loads }: CellFigures): string[][] {
  const slow = loads.filter(({ rate }) => rate !== null)
  return [...new Set(slow.map(({ talkers }) => talkers))].map(talkers => {
    const of = (service: LoadFigures['service']): LoadFigures =>
      slow.find(load => load.talkers === talkers && load.service === service) as LoadFigures
    const [agreed, safe] = [of('agreed'), of('safe')]
    return [
      count(members),
      announce,
      talkers === members && talkers > 2 ? 'all' : count(talkers),
      hops(agreed.others),
      hops(agreed.own),
      hops(safe.others),
      hops(safe.own),
      amount(agreed.perMessage.data.frames),
      amount(agreed.perMessage.facts.frames),
      amount(safe.perMessage.facts.frames),
      amount(sumOf(agreed.perMessage).bytes),
      amount(sumOf(safe.perMessage).bytes),
    ]
  })
}

function fullRows({ members, announce, loads }: CellFigures): string[][] {
  return loads
    .filter(({ rate }) => rate === null)
    .map(load => {
      const { perMessage, messageBytes, others, heldBytes } = load
      const payload = messageBytes * (members - 1)
      return [
        count(members),
        announce,
        hops(others),
        amount(perMessage.data.frames),
        amount(perMessage.facts.frames),
        `${amount((sumOf(perMessage).bytes / payload - 1) * 100)} %`,
        bytes(heldBytes),
      ]
    })
}

function changeRow({ members, announce, changes }: CellFigures): string[] {
  const of = (wanted: ChangeFigures['change']): string => {
    const { noticedMs, viewsMs, traffic } = changes.find(({ change }) => change === wanted) as ChangeFigures
    const sum = sumOf(traffic)
    return `${amount(noticedMs)} + ${amount(viewsMs)} ms; ${amount(sum.frames)}, ${bytes(sum.bytes)}`
  }
  return [count(members), announce, of('kill'), of('cut'), of('heal'), of('boot')]
}

function idleRow({ members, announce, idle, memoryBytes }: CellFigures): string[] {
  const sum = sumOf(idle)
  return [
    count(members),
    announce,
    amount(sum.frames / members),
    bytes(sum.bytes / members),
    bytes(sum.bytes),
    bytes(memoryBytes),
  ]
}

function estateRow(figures: EstateFigures): string[] {
  const { daemons, cellSize, cells, inTwoCells, connections, idle, kill } = figures
  return [
    count(daemons),
    count(cellSize),
    count(cells),
    inTwoCells > 0 ? `${connections}, or ${2 * connections}` : count(connections),
    amount(idle.frames),
    amount(figures.idleFramesTypical),
    inTwoCells > 0 ? `${count(inTwoCells)}: ${amount(figures.idleFramesMost)}` : '—',
    `${amount(kill.viewsMs)} ms`,
    count(kill.concerned),
    amount(kill.frames),
    bytes(kill.bytes),
  ]
}

/** Median and 99th percentile, or one number if they are the same. */
function hops({ p50, p99 }: Hops): string {
  const [median, most] = [amount(p50), amount(p99)]
  return median === most ? median : `${median} / ${most}`
}

function count(value: number): string {
  return value.toLocaleString('en-US')
}

/** Three digits that mean something. */
export function amount(value: Amount['frames']): string {
  if (!Number.isFinite(value)) return '—'
  if (value >= 100) return Math.round(value).toLocaleString('en-US')
  return String(Number(value.toPrecision(value < 1 ? 2 : 3)))
}

export function bytes(value: number): string {
  const units = ['B', 'kB', 'MB', 'GB']
  let scaled = value
  let unit = 0
  while (scaled >= 1000 && unit < units.length - 1) {
    scaled /= 1000
    unit++
  }
  return `${amount(scaled)} ${units[unit]}`
}
