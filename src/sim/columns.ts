/** A run for the eye: time goes down, one column a member. */

import type { Note } from './recorder.ts'
import { hostName } from './hosts.ts'
import type { World } from './world.ts'

export interface ColumnOptions {
  readonly color: boolean
  /** Characters of a line. */
  readonly width: number
}

/** Events closer than this share a row. */
const ROW_MS = 1

interface Row {
  readonly at: number
  readonly cells: Map<number, Note[]>
}

const paint = {
  fault: '31;1',
  view: '36;1',
  phase: '33',
  suspect: '35',
  deliver: '32',
  send: '34;1',
  client: '0',
  stage: '1',
} as const

export function formatColumns(world: World, options: ColumnOptions): string {
  const hosts = world.hosts
  const width = Math.max(12, Math.min(40, Math.floor((options.width - 10) / hosts.length) - 2))
  const dye = (text: string, code: string): string =>
    options.color ? `\u001b[${code}m${text}\u001b[0m` : text
  const lines: string[] = []
  const header = hosts.map(host => hostName(host).padEnd(width)).join('  ')
  lines.push(`${'ms'.padStart(8)}  ${dye(header.trimEnd(), '1')}`)
  lines.push(`${'─'.repeat(8)}  ${hosts.map(() => '─'.repeat(width)).join('  ')}`)
  for (const entry of rowsOf(world.recorder.notes)) {
    if (!('cells' in entry)) {
      const text = ` ${entry.text} `
      const bar = '━'.repeat(Math.max(2, (width + 2) * hosts.length - 4 - text.length))
      lines.push(`${entry.at.toFixed(1).padStart(8)}  ${dye(`━━${text}${bar}`, paint[entry.kind])}`)
      continue
    }
    lines.push(...formatRow(entry, hosts, width, dye))
  }
  return lines.join('\n')
}

/** Notes that concern all stand alone; the others are gathered into rows. */
function rowsOf(notes: readonly Note[]): (Row | Note)[] {
  const rows: (Row | Note)[] = []
  let row: Row | null = null
  for (const note of notes) {
    if (note.host === null) {
      rows.push(note)
      row = null
      continue
    }
    if (row === null || note.at - row.at > ROW_MS) rows.push((row = { at: note.at, cells: new Map() }))
    const cell = row.cells.get(note.host)
    if (cell === undefined) row.cells.set(note.host, [note])
    else cell.push(note)
  }
  return rows
}

interface Piece {
  readonly text: string
  readonly code: string
}

function formatRow(
  row: Row,
  hosts: readonly number[],
  width: number,
  dye: (text: string, code: string) => string,
): string[] {
  const columns = hosts.map(host => layOut(piecesOf(row.cells.get(host) ?? []), width))
  const height = Math.max(...columns.map(column => column.length))
  const lines: string[] = []
  for (let index = 0; index < height; index++) {
    const time = index === 0 ? row.at.toFixed(1) : ''
    const cells = columns.map(column => {
      const pieces = column[index] ?? []
      const length = pieces.reduce((sum, piece) => sum + piece.text.length + 1, -1)
      const text = pieces.map(piece => dye(piece.text, piece.code)).join(' ')
      return text + ' '.repeat(Math.max(0, width - Math.max(0, length)))
    })
    lines.push(`${time.padStart(8)}  ${cells.join('  ')}`.trimEnd())
  }
  return lines
}

/** Deliveries in a row become one piece each, with one arrow in front of the first. */
function piecesOf(notes: readonly Note[]): Piece[] {
  const pieces: Piece[] = []
  let delivering = false
  for (const { kind, text } of notes) {
    const code = paint[kind]
    if (kind === 'deliver') {
      pieces.push({ text: delivering ? text : `← ${text}`, code })
      delivering = true
    } else {
      pieces.push({ text, code })
      delivering = false
    }
  }
  return pieces
}

/** Views and the like on lines of their own, the rest flows. */
function layOut(pieces: readonly Piece[], width: number): Piece[][] {
  const lines: Piece[][] = []
  let line: Piece[] = []
  let used = 0
  for (const piece of pieces) {
    const text = piece.text.length > width ? `${piece.text.slice(0, width - 1)}…` : piece.text
    const alone = piece.code === paint.view
    if (line.length > 0 && (alone || used + 1 + text.length > width)) {
      lines.push(line)
      line = []
      used = 0
    }
    line.push({ text, code: piece.code })
    used += text.length + (used > 0 ? 1 : 0)
    if (alone) {
      lines.push(line)
      line = []
      used = 0
    }
  }
  if (line.length > 0) lines.push(line)
  return lines
}
