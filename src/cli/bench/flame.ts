/** A flame graph as SVG that stands in a page: who called whom, and how much of the time that took. */

import { escaped } from './plot.ts'
import type { Call } from './profile.ts'

const width = 1200
const rowHeight = 18
const characterWidth = 6.6
/** What is narrower is not drawn. */
const leastWidth = 1.2
const mostDepth = 48

/** Colour classes by where a function is, in `html.ts`. */
const areas: readonly (readonly [area: string, place: RegExp])[] = [
  ['core', /^(core|groups)\//],
  ['wire', /^(codec|transport)\//],
  ['node', /^(node|daemon|admin|config)\//],
  ['client', /^(client|cli)\//],
  ['lib', /^lib\//],
  ['platform', /^node:/],
]

/** From the outermost calls at the top to the innermost below; the widest first. */
export function flameSvg(root: Call, title: string): string {
  const boxes: string[] = []
  let depth = 0
  const draw = (call: Call, x: number, row: number): void => {
    let at = x
    depth = Math.max(depth, row)
    for (const each of [...call.calls.values()].sort((a, b) => b.total - a.total)) {
      const wide = (each.total / root.total) * width
      if (wide < leastWidth || row >= mostDepth) break
      boxes.push(boxOf(each, at, row, wide, root.total))
      draw(each, at, row + 1)
      at += wide
    }
  }
  draw(root, 0, 0)
  const height = Math.max(1, depth) * rowHeight
  return `<svg viewBox="0 0 ${width} ${height}" class="flame" role="img" aria-label="${escaped(title)}">\n${boxes.join('\n')}\n</svg>`
}

function boxOf(
  { name, place, self, total }: Call,
  x: number,
  row: number,
  wide: number,
  all: number,
): string {
  const percent = (part: number): string => `${((part / all) * 100).toFixed(1)} %`
  const y = row * rowHeight
  const room = Math.floor((wide - 6) / characterWidth)
  const label = room < 3 ? '' : name.length <= room ? name : `${name.slice(0, room - 1)}…`
  const words = `${name}${place === '' ? '' : ` ${place}`}: ${percent(total)}, itself ${percent(self)}`
  const text =
    label === '' ? '' : `<text x="${(x + 4).toFixed(1)}" y="${y + rowHeight / 2}">${escaped(label)}</text>`
  return `<g><title>${escaped(words)}</title><rect x="${x.toFixed(1)}" y="${y}" width="${(wide - 0.5).toFixed(1)}" height="${rowHeight - 1}" rx="2" class="f-${areaOf(place)}"/>${text}</g>`
}

function areaOf(place: string): string {
  if (place === '') return 'native'
  return areas.find(([, pattern]) => pattern.test(place))?.[0] ?? 'other'
}
