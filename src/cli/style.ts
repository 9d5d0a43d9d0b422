/** Text for people: colours, columns, and nothing that could play with their terminal. */

export type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan'

const CODES: { readonly [S in Style]: readonly [on: number, off: number] } = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  cyan: [36, 39],
}

export type Paint = (style: Style, text: string) => string

export function painter(colour: boolean): Paint {
  if (!colour) return (_style, text) => text
  return (style, text) => `\u001b[${CODES[style][0]}m${text}\u001b[${CODES[style][1]}m`
}

// oxlint-disable-next-line no-control-regex -- they are what it looks for
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g

/** Foreign text with its control characters spelled out: it must not move the cursor or reorder a line. */
export function printable(text: string): string {
  return text.replace(CONTROL, character => {
    if (character === '\t') return '\\t'
    if (character === '\n') return '\\n'
    if (character === '\r') return '\\r'
    const code = character.charCodeAt(0)
    return code < 0x100
      ? `\\x${code.toString(16).padStart(2, '0')}`
      : `\\u${code.toString(16).padStart(4, '0')}`
  })
}

/** An id with its incarnation cut to four digits: `alice@n1#5f3a….7` as `alice@n1#5f3a.7`. */
export function shortId(id: string): string {
  return printable(id.replace(/#([0-9a-f]{4})[0-9a-f]{28}/g, '#$1'))
}

/** Rows as lines with aligned columns. `styles` are by column, and do not count for the width. */
export function columns(
  rows: readonly (readonly string[])[],
  paint: Paint,
  styles: readonly (Style | null)[] = [],
): string {
  const widths: number[] = []
  for (const row of rows) {
    row.forEach((cell, index) => {
      widths[index] = Math.max(widths[index] ?? 0, cell.length)
    })
  }
  const lines = rows.map(row => {
    const cells = row.map((cell, index) => {
      const style = styles[index] ?? null
      const painted = style === null || cell === '' ? cell : paint(style, cell)
      return index === row.length - 1 ? painted : painted + ' '.repeat((widths[index] ?? 0) - cell.length)
    })
    return cells.join('  ').trimEnd()
  })
  return lines.map(line => `${line}\n`).join('')
}

export function bytesText(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`
  if (bytes < 1024 * 1024) return `${(bytes / 1024).toFixed(1)} KiB`
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`
}

export function durationText(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`
  const seconds = ms / 1000
  if (seconds < 60) return `${seconds.toFixed(1)} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`
  const hours = Math.floor(minutes / 60)
  if (hours < 24) return `${hours} h ${minutes % 60} min`
  return `${Math.floor(hours / 24)} d ${hours % 24} h`
}

export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}
