/** Plots as SVG that stands in a page: bars with their spread, and shares of times. */

import { type Buckets, valueOf } from './histogram.ts'
import type { Spread } from './summary.ts'

export interface Bar {
  readonly label: string
  readonly spread: Spread
  /** As it is written beside the bar. */
  readonly text: string
  /** Which of the colours. */
  readonly colour: number
}

const width = 720
const labelWidth = 150
const valueWidth = 190
const barHeight = 22
const gap = 8

/** Horizontal bars from 0: medians, with a line from the least to the most. */
export function barsSvg(bars: readonly Bar[], title: string): string {
  const room = width - labelWidth - valueWidth
  const most = Math.max(...bars.map(({ spread }) => spread.most), Number.MIN_VALUE)
  const x = (value: number): string => (labelWidth + (Math.max(0, value) / most) * room).toFixed(1)
  const height = bars.length * (barHeight + gap) + gap
  const parts = bars.map(({ label, spread, text, colour }, index) => {
    const top = gap + index * (barHeight + gap)
    const middle = top + barHeight / 2
    const length = Math.max(1, Number(x(spread.median)) - labelWidth).toFixed(1)
    return [
      `<text x="${labelWidth - 10}" y="${middle}" class="label">${escaped(label)}</text>`,
      `<rect x="${labelWidth}" y="${top}" width="${length}" height="${barHeight}" rx="3" class="c${colour}"/>`,
      spread.least === spread.most
        ? ''
        : `<path d="M${x(spread.least)} ${middle}H${x(spread.most)}M${x(spread.least)} ${middle - 5}v10M${x(spread.most)} ${middle - 5}v10" class="spread"/>`,
      `<text x="${width - valueWidth + 12}" y="${middle}" class="value">${escaped(text)}</text>`,
    ].join('')
  })
  return svg(height, title, parts.join('\n'))
}

export interface Curve {
  readonly label: string
  readonly buckets: Buckets
  readonly colour: number
}

const plotHeight = 240
const margin = { left: 50, right: 20, top: 14, bottom: 34 }
/** Shares of messages that were slower than what stands at the x axis. */
const shares = [1, 0.1, 0.01, 0.001, 0.0001]

/** Which share of the messages took longer than a time, both axes logarithmic: the tail is what one sees. */
export function tailSvg(curves: readonly Curve[], title: string): string {
  const values = curves.flatMap(({ buckets }) => buckets.map(([bucket]) => valueOf(bucket)))
  const from = Math.log10(Math.max(1, Math.min(...values)) / 1.2)
  const to = Math.log10(Math.max(...values) * 1.2)
  const x = (micros: number): number =>
    margin.left + ((Math.log10(micros) - from) / (to - from)) * (width - margin.left - margin.right)
  const least = Math.log10(shares.at(-1) as number)
  const y = (share: number): number =>
    margin.top + (Math.max(least, Math.log10(share)) / least) * (plotHeight - margin.top - margin.bottom)
  const bottom = y(0)
  const grid = [
    ...shares.map(
      share =>
        `<path d="M${margin.left} ${y(share).toFixed(1)}H${width - margin.right}" class="grid"/><text x="${margin.left - 8}" y="${y(share).toFixed(1)}" class="label">${shareText(share)}</text>`,
    ),
    ...ticks(from, to).map(
      micros =>
        `<path d="M${x(micros).toFixed(1)} ${margin.top}V${bottom}" class="grid"/><text x="${x(micros).toFixed(1)}" y="${bottom + 16}" class="tick">${timeText(micros)}</text>`,
    ),
  ]
  const lines = curves.map(({ buckets, colour }) => {
    const all = buckets.reduce((sum, [, count]) => sum + count, 0)
    let left = all
    const points = buckets.map(([bucket, count]) => {
      const before = left
      left -= count
      return `${x(valueOf(bucket)).toFixed(1)} ${y(before / all).toFixed(1)}`
    })
    return `<path d="M${points.join('L')}" class="curve s${colour}"/>`
  })
  // Curves begin at the top and fall to the right: that corner is free.
  const legend = curves.map(({ label, colour }, index) => {
    const middle = bottom - 16 - (curves.length - 1 - index) * 18
    return `<rect x="${margin.left + 14}" y="${middle - 6}" width="12" height="12" rx="2" class="c${colour}"/><text x="${margin.left + 32}" y="${middle}" class="value">${escaped(label)}</text>`
  })
  return svg(plotHeight, title, [...grid, ...lines, ...legend].join('\n'))
}

function ticks(from: number, to: number): number[] {
  const found = []
  for (let power = Math.floor(from); power <= to; power++) {
    for (const factor of [1, 2, 5]) {
      const value = factor * 10 ** power
      if (Math.log10(value) >= from && Math.log10(value) <= to) found.push(value)
    }
  }
  return found
}

function timeText(micros: number): string {
  return micros >= 1000 ? `${micros / 1000} ms` : `${micros} µs`
}

function shareText(share: number): string {
  return share === 1 ? 'all' : `${share * 100} %`
}

function svg(height: number, title: string, content: string): string {
  return `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(title)}">\n${content}\n</svg>`
}

/** Text that is no markup. */
export function escaped(text: string): string {
  return text.replace(/[&<>"]/g, character => `&#${character.charCodeAt(0)};`)
}
