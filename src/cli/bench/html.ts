/** The report as one page that needs nothing else: tables, and plots of what matters most in each row. */

import { merged } from './histogram.ts'
import { type MeasureName, measures, valueText } from './measures.ts'
import { type Bar, barsSvg, escaped, tailSvg } from './plot.ts'
import { type Conditions, failuresOf, noiseText, tableOf, usedMeasures } from './report.ts'
import { type Kind, kinds } from './row.ts'
import type { RowResult } from './result.ts'
import { spreadsOf } from './summary.ts'

/** What a row's bars show: the first of these that it has. */
const shown: readonly MeasureName[] = ['messages', 'stoppedP99', 'crossP99', 'busy', 'kill', 'entered']
const colours = 6

export function reportHtml(rows: readonly RowResult[], conditions: Conditions): string {
  const present = (Object.keys(kinds) as Kind[]).filter(kind => rows.some(({ row }) => row.kind === kind))
  const sections = present.map(kind => {
    const own = rows.filter(({ row }) => row.kind === kind).map(rowHtml)
    return `<section id="${kind}"><h2>${kind}</h2><p class="what">${escaped(kinds[kind])}</p>${own.join('\n')}</section>`
  })
  const links = present.map(kind => `<a href="#${kind}">${kind}</a>`)
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Anasazi benchmark</title>
<style>${style}</style>
</head>
<body>
<header>
<h1>Anasazi benchmark</h1>
<p>${conditionsText(conditions).map(escaped).join('<br>')}<br>${escaped(noiseText(rows))}</p>
<nav>${links.join(' ')}</nav>
</header>
<main>
${sections.join('\n')}
</main>
</body>
</html>
`
}

function conditionsText(conditions: Conditions): string[] {
  const { version, node, cores, processor, memoryGigabytes, pairs, seconds, corosync } = conditions
  return [
    `Anasazi ${version}, Node ${node}${corosync === undefined ? '' : `, corosync ${corosync}`}; ${groundText(conditions)}.`,
    `${cores} cores (${processor}), ${memoryGigabytes} GB.`,
    `${pairs} ${pairs === 1 ? 'turn' : 'turns'} of ${seconds} s of each variant, one variant after the other. Median (least–most).`,
  ]
}

/** What daemons stand on, and how they are set. */
function groundText({ namespaces, rateLimit, delayMs, settings }: Conditions): string {
  return [
    namespaces ? 'each daemon in a network namespace of its own, MTU 1500' : 'daemons on loopback',
    rateLimit > 0 ? `each sends at most ${rateLimit} Mbit/s` : '',
    delayMs > 0 ? `${delayMs} ms between them` : '',
    Object.keys(settings).length > 0 ? `cells with ${JSON.stringify(settings)}` : '',
  ]
    .filter(Boolean)
    .join(', ')
}

function rowHtml(result: RowResult): string {
  const { head, lines } = tableOf(result)
  const heads = head.map((name, index) => {
    const mark = index < result.variants.length ? `<i class="c${index % colours}"></i>` : ''
    return `<th>${mark}${escaped(name)}</th>`
  })
  const body = lines.map(({ name, cells }) => {
    const { label, unit } = measures[name]
    const tds = cells.map(cell => `<td>${escaped(cell)}</td>`)
    return `<tr><th>${escaped(label)} <small>${escaped(unit)}</small></th>${tds.join('')}</tr>`
  })
  const failures = failuresOf(result).map(failure => `<p class="failed">failed: ${escaped(failure)}</p>`)
  return `<article>
<h3>${escaped(result.title)}</h3>
${barsOf(result)}
${tailOf(result)}
<div class="wide"><table><thead><tr><th></th>${heads.join('')}</tr></thead><tbody>${body.join('\n')}</tbody></table></div>
${failures.join('\n')}
</article>`
}

function barsOf(result: RowResult): string {
  const used = usedMeasures(result)
  const name = shown.find(each => used.includes(each))
  if (name === undefined) return ''
  const bars: Bar[] = []
  result.variants.forEach((variant, index) => {
    const spread = spreadsOf(variant)[name]
    if (spread === undefined) return
    const text = `${valueText(name, spread.median)} ${measures[name].unit}`
    bars.push({ label: variant.name, spread, text, colour: index % colours })
  })
  return figure(barsSvg(bars, result.title), `${measures[name].label}, ${measures[name].unit}`)
}

function tailOf({ title, variants }: RowResult): string {
  const curves = variants.flatMap(({ name, runs }, index) => {
    const buckets = merged(runs.map(({ times }) => times)).buckets()
    return buckets.length === 0 ? [] : [{ label: name, buckets, colour: index % colours }]
  })
  if (curves.length === 0) return ''
  return figure(tailSvg(curves, title), 'share of deliveries that took longer, all turns together')
}

function figure(content: string, caption: string): string {
  return `<figure>${content}<figcaption>${escaped(caption)}</figcaption></figure>`
}

const style = `
:root { color-scheme: light dark; --ink: #1c2430; --dim: #68727f; --line: #dfe3e8; --paper: #fff; --ground: #f5f6f8;
  --c0: #0b6e99; --c1: #d9730d; --c2: #4d8f4a; --c3: #8a63b8; --c4: #b8433f; --c5: #8d8371 }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ed; --dim: #98a2af; --line: #333b46; --paper: #1a1f26;
  --ground: #12161b; --c0: #4aa8d0; --c1: #f0954a; --c2: #7cba78; --c3: #b493dd; --c4: #e0746f; --c5: #b5aa96 } }
* { box-sizing: border-box }
body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.5 system-ui, sans-serif }
header, main { max-width: 900px; margin: 0 auto; padding: 24px 20px }
h1 { margin: 0 0 8px; font-size: 28px } h2 { margin: 40px 0 0; font-size: 21px } h3 { margin: 0 0 8px; font-size: 16px }
header p, .what { color: var(--dim); margin: 0 0 12px }
nav a { color: var(--c0); margin-right: 14px; text-decoration: none }
article { background: var(--paper); border: 1px solid var(--line); border-radius: 8px; padding: 18px 20px; margin: 14px 0 }
figure { margin: 0 0 10px } figcaption { color: var(--dim); font-size: 12px; text-align: center }
svg { width: 100%; height: auto; display: block }
svg text { font-size: 12px; fill: var(--ink); dominant-baseline: middle }
svg .label { text-anchor: end } svg .tick { text-anchor: middle; fill: var(--dim) }
svg .grid { stroke: var(--line); fill: none } svg .spread { stroke: var(--ink); fill: none; stroke-width: 1.2 }
svg .curve { fill: none; stroke-width: 2; stroke-linejoin: round }
.failed { color: var(--c4); margin: 8px 0 0 }
.wide { overflow-x: auto } table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums }
th, td { text-align: right; padding: 4px 10px; border-top: 1px solid var(--line); white-space: nowrap }
thead th { border: 0; vertical-align: bottom; font-weight: 600 } tbody th { text-align: left; font-weight: 600 }
th small { color: var(--dim); font-weight: 400 }
th i { display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin-right: 6px }
${Array.from({ length: colours }, (_, i) => `.c${i} { fill: var(--c${i}); background: var(--c${i}) } .s${i} { stroke: var(--c${i}) }`).join('\n')}
`
