/** The report as one page that needs nothing else: all rows at a glance, and then each by itself. */

import { chipsOf, headMeasure, rowHtml } from './html-row.ts'
import { style } from './html-style.ts'
import { measures, valueText } from './measures.ts'
import { escaped } from './plot.ts'
import { type Conditions, noiseText } from './report.ts'
import type { RowResult } from './result.ts'
import { type Kind, kinds } from './row.ts'
import { noiseOf, spreadsOf } from './summary.ts'

export function reportHtml(rows: readonly RowResult[], conditions: Conditions): string {
  const present = (Object.keys(kinds) as Kind[]).filter(kind => rows.some(({ row }) => row.kind === kind))
  const ids = new Map(rows.map((result, index) => [result, `row-${index + 1}`]))
  const idOf = (result: RowResult): string => ids.get(result) ?? ''
  const sections = present.map(kind => {
    const own = rows.filter(({ row }) => row.kind === kind).map(result => rowHtml(result, idOf(result)))
    return `<section><h2 id="${kind}">${kind}</h2><p class="what">${escaped(kinds[kind])}</p>${own.join('\n')}</section>`
  })
  const links = present.map(kind => `<a href="#${kind}">${kind}</a>`)
  const isLoud = noiseOf(rows).noisy > 0
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
<dl>${conditionsOf(conditions)
    .map(([what, value]) => `<div><dt>${escaped(what)}</dt><dd>${escaped(value)}</dd></div>`)
    .join('')}</dl>
<p class="noise${isLoud ? ' loud' : ''}">${escaped(noiseText(rows))}</p>
</header>
<nav><div>${links.join('')}</div></nav>
<main>
${glanceHtml(rows, idOf)}
${sections.join('\n')}
</main>
</body>
</html>
`
}

function conditionsOf(conditions: Conditions): [what: string, value: string][] {
  const { version, node, cores, processor, memoryGigabytes, pairs, seconds, corosync } = conditions
  const { namespaces, rateLimit, delayMs, settings } = conditions
  const network = [
    namespaces ? 'a namespace for each daemon, MTU 1500' : 'loopback',
    rateLimit > 0 ? `${rateLimit} Mbit/s for each` : '',
    delayMs > 0 ? `${delayMs} ms between them` : '',
  ]
  const all: [string, string][] = [
    ['Anasazi', version],
    ['Node', node],
    ['corosync', corosync ?? ''],
    ['Machine', `${cores} cores (${processor}), ${memoryGigabytes} GB`],
    ['Network', network.filter(Boolean).join(', ')],
    ['Settings', Object.keys(settings).length > 0 ? JSON.stringify(settings) : ''],
    ['Turns', `${pairs} of ${seconds} s of each variant, by turns; median (least–most)`],
  ]
  return all.filter(([, value]) => value !== '')
}

/** What each row is about, and what it is compared with. */
function glanceHtml(rows: readonly RowResult[], idOf: (result: RowResult) => string): string {
  const lines = rows.flatMap(result => {
    const name = headMeasure(result)
    const [first] = result.variants
    const spread = name === null || first === undefined ? undefined : spreadsOf(first)[name]
    if (name === null || spread === undefined) return []
    const { label, unit } = measures[name]
    return [
      `<tr><th class="left"><a href="#${idOf(result)}">${escaped(result.title)}</a></th><td>${escaped(valueText(name, spread.median))} ${escaped(unit)}</td><td class="left place">${escaped(label)}</td><td class="left">${chipsOf(result)}</td></tr>`,
    ]
  })
  return `<section><h2 id="glance">At a glance</h2><p class="what">The median of ours, and how many times that of what it is compared with</p>
<article class="wide"><table class="glance"><tbody>${lines.join('\n')}</tbody></table></article></section>`
}
