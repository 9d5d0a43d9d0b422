/** One row of the report: plots of what matters most in it, all its values, and where its time went. */

import { flameSvg } from './flame.ts'
import { merged } from './histogram.ts'
import { hotFunctions, profilesOf, shareText } from './hot.ts'
import { colours } from './html-style.ts'
import { type MeasureName, measures, valueText } from './measures.ts'
import { type Bar, barsSvg, escaped, tailSvg } from './plot.ts'
import { factorText, failuresOf, ratioText, spreadText, usedMeasures } from './report.ts'
import type { RowResult, VariantResult } from './result.ts'
import { comparisonsOf, type Spread, spreadsOf } from './summary.ts'

/** What a row is about: the first of these that it has. */
const heads: readonly MeasureName[] = [
  'besideShare',
  'besideChange',
  'messages',
  'stoppedP99',
  'crossP99',
  'busy',
  'kill',
  'entered',
]
/** Where changes of views are measured, each of them is shown. */
const changes: readonly MeasureName[] = ['join', 'cut', 'heal', 'kill', 'restart']
/** Ratios between these are called the same. */
const same = [0.95, 1.05] as const

export function headMeasure(result: RowResult): MeasureName | null {
  const used = usedMeasures(result)
  return heads.find(each => used.includes(each)) ?? null
}

export function rowHtml(result: RowResult, id: string): string {
  const failures = failuresOf(result).map(failure => `<p class="failed">failed: ${escaped(failure)}</p>`)
  return `<article id="${id}">
<div class="title"><h3>${escaped(result.title)}</h3>${chipsOf(result)}</div>
${barsOf(result)}
${tailOf(result)}
${tableHtml(result)}
${failures.join('\n')}
${result.variants.map(flamesOf).join('\n')}
</article>`
}

/** What it is compared with, in what the row is about. */
export function chipsOf(result: RowResult): string {
  const name = headMeasure(result)
  if (name === null) return ''
  return comparisonsOf(result)
    .flatMap(({ variant, with: other, ratios }) => {
      const ratio = ratios[name]
      if (ratio === undefined) return []
      const who = variant === 'anasazi' ? '' : `${variant.replace('anasazi ', '')}: `
      if (isLimit(other)) return [chip('same', `${who}${(ratio.median * 100).toFixed(0)} % of ${other}`)]
      return [chip(judgement(name, ratio), `${who}× ${factorText(ratio.median)} ${other}`)]
    })
    .join(' ')
}

function chip(kind: 'good' | 'bad' | 'same', text: string): string {
  return `<span class="chip ${kind}">${escaped(text)}</span>`
}

/** Nobody can do better than what there is without a protocol: a share of that is neither good nor bad. */
function isLimit(name: string): boolean {
  return name === 'raw' || name === 'direct'
}

function judgement(name: MeasureName, { median }: Spread): 'good' | 'bad' | 'same' {
  if (median >= same[0] && median <= same[1]) return 'same'
  return median > 1 === (measures[name].better === 'more') ? 'good' : 'bad'
}

function barsOf(result: RowResult): string {
  const used = usedMeasures(result)
  const name = headMeasure(result)
  const shown = used.includes('join') ? changes.filter(each => used.includes(each)) : [name]
  return shown.map(each => (each === null ? '' : barsFor(result, each))).join('\n')
}

function barsFor(result: RowResult, name: MeasureName): string {
  const bars: Bar[] = []
  result.variants.forEach((variant, index) => {
    const spread = spreadsOf(variant)[name]
    if (spread === undefined) return
    const text = `${valueText(name, spread.median)} ${measures[name].unit}`
    bars.push({ label: variant.name, spread, text, colour: index % colours })
  })
  if (bars.length === 0) return ''
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

function tableHtml(result: RowResult): string {
  const comparisons = comparisonsOf(result)
  const spreads = result.variants.map(spreadsOf)
  const columnsHtml = [
    ...result.variants.map(
      ({ name }, index) => `<th><i class="c${index % colours}"></i>${escaped(name)}</th>`,
    ),
    ...comparisons.map(each => `<th>${escaped(each.variant)} / ${escaped(each.with)}</th>`),
  ]
  const lines = usedMeasures(result).map(name => {
    const { label, unit } = measures[name]
    const values = spreads.map(each => `<td>${escaped(spreadText(name, each[name]))}</td>`)
    const ratios = comparisons.map(each => {
      const ratio = each.ratios[name]
      const kind = ratio === undefined || isLimit(each.with) ? 'same' : judgement(name, ratio)
      return `<td class="ratio ${kind}">${escaped(ratioText(ratio))}</td>`
    })
    return `<tr><th>${escaped(label)}<small>${escaped(unit)}</small></th>${values.join('')}${ratios.join('')}</tr>`
  })
  return `<div class="wide"><table><thead><tr><th></th>${columnsHtml.join('')}</tr></thead><tbody>
${lines.join('\n')}
</tbody></table></div>`
}

const areas = [
  ['core', 'order and groups'],
  ['wire', 'codec and transport'],
  ['node', 'daemon'],
  ['client', 'client'],
  ['lib', 'small things'],
  ['platform', 'Node'],
  ['native', 'native, and collecting garbage'],
] as const

function flamesOf(variant: VariantResult): string {
  const functions = hotFunctions(variant)
  return Object.entries(profilesOf(variant))
    .map(([role, calls]) => {
      const rows = (functions[role as 'daemon' | 'client'] ?? []).map(
        ({ name, place, share }) =>
          `<tr><td>${shareText(share)}</td><td class="left"><code>${escaped(name)}</code></td><td class="left place"><code>${escaped(place)}</code></td></tr>`,
      )
      const legend = areas.map(([area, what]) => `<span><i class="f-${area}"></i>${what}</span>`)
      const title = `${variant.name}: where its ${role}s spend their time`
      return `<details><summary>${escaped(title)}</summary>
<div class="legend">${legend.join('')}</div>
<div class="wide">${flameSvg(calls, title)}</div>
<h4>By function, without what it calls</h4>
<table><tbody>${rows.join('\n')}</tbody></table>
</details>`
    })
    .join('\n')
}

function figure(content: string, caption: string): string {
  return `<figure>${content}<figcaption>${escaped(caption)}</figcaption></figure>`
}
