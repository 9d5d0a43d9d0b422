/** Results for people, for programs, and as the table of the documentation. */

import { arch, cpus, release, totalmem, type } from 'node:os'
import { hasNetem, missingForNetwork } from '../lab/netns.ts'
import { columns, counted, durationText, type Paint } from '../style.ts'
import { alwaysPromised } from './catalogue.ts'
import { type Measure, rounded, spreadOf } from './findings.ts'
import type { Outcome, Result, Verdict } from './run.ts'
import type { Scenario } from './scenario.ts'

const styles = { held: 'green', broken: 'red', skipped: 'yellow', unsupported: 'yellow' } as const

export function listText(scenarios: readonly Scenario[], paint: Paint): string {
  const rows = scenarios.map(scenario => [String(scenario.number), scenario.name, scenario.promise])
  return columns(rows, paint, [null, 'bold', null])
}

export function listJson(scenarios: readonly Scenario[]): string {
  const list = scenarios.map(({ number, name, promise, simulator, real, unsupported, lacks }) => ({
    number,
    name,
    promise,
    simulator: typeof simulator === 'string' ? null : simulator,
    processes: typeof real === 'string' ? null : real.how,
    unsupported: unsupported ?? null,
    lacks: lacks ?? null,
  }))
  return `${JSON.stringify(list, null, 2)}\n`
}

/** What cannot be done without more rights or tools; null if nothing. */
export function privilegesText(): string | null {
  const missing = missingForNetwork(['nft', 'tc'])
  return missing === null
    ? null
    : `Without hosts in network namespaces (${missing}): daemons run on loopback, with relays between them.`
}

/** What became of one scenario. */
export function resultText({ scenario, outcomes }: Result, paint: Paint): string {
  const lines: string[] = [`${paint('bold', `${scenario.number} ${scenario.name}`)}  ${scenario.promise}`]
  for (const outcome of outcomes) {
    const { where, verdict, why, measures, extent, notes, rounds, elapsedMs } = outcome
    if (verdict === 'unsupported') {
      lines.push(`  ${paint('yellow', `unsupported: ${why[0]}`)}`)
      break
    }
    const how = [...(rounds > 1 ? [counted(rounds, 'round')] : []), durationText(elapsedMs)].join(', ')
    lines.push(`  ${paint(styles[verdict], verdict)} ${where}${verdict === 'skipped' ? '' : ` (${how})`}`)
    for (const sentence of why) lines.push(`    ${sentence}`)
    for (const measure of measures) lines.push(`    ${measureText(measure)}`)
    if (extent !== '') lines.push(`    verified: ${extent}`)
    for (const note of notes) lines.push(`    ${note}`)
  }
  if (scenario.lacks !== undefined) lines.push(`  ${paint('yellow', `unsupported: ${scenario.lacks}`)}`)
  return `${lines.join('\n')}\n`
}

/** `kill → view: p50 130, p99 180, max 201 ms of 100 (promised 500)`. */
export function measureText({ what, unit, bound, values }: Measure): string {
  const { count, p50, p99, max } = spreadOf(values)
  const promised = bound === null ? '' : ` (promised ${bound})`
  const figures =
    count === 1
      ? `${rounded(max)} ${unit}`
      : `p50 ${rounded(p50)}, p99 ${rounded(p99)}, max ${rounded(max)} ${unit} of ${count}`
  return `${what}: ${figures}${promised}`
}

type Counts = { readonly [V in Verdict]: number }

/** A scenario counts as broken if it was anywhere, as held if it was played and held wherever it was. */
function verdictOf({ outcomes }: Result): Verdict {
  for (const verdict of ['broken', 'unsupported', 'held'] as const) {
    if (outcomes.some(outcome => outcome.verdict === verdict)) return verdict
  }
  return 'skipped'
}

function countsOf(results: readonly Result[]): Counts {
  const counts = { held: 0, broken: 0, skipped: 0, unsupported: 0 }
  for (const result of results) counts[verdictOf(result)]++
  return counts
}

export function allHeld(results: readonly Result[]): boolean {
  return countsOf(results).broken === 0
}

export function verdictText(results: readonly Result[], paint: Paint): string {
  const { held, broken, skipped, unsupported } = countsOf(results)
  const parts = [
    paint(broken === 0 ? 'green' : 'red', `${held} held, ${broken} did not`),
    ...(skipped > 0 ? [`${skipped} skipped`] : []),
    ...(unsupported > 0 ? [`${unsupported} unsupported`] : []),
  ]
  const partly = results.flatMap(({ outcomes }) => outcomes.filter(({ verdict }) => verdict === 'skipped'))
  const also = partly.length > skipped ? ` (${counted(partly.length, 'part')} skipped in all)` : ''
  return `${counted(results.length, 'scenario')}: ${parts.join(', ')}${also}\n`
}

export function resultsJson(results: readonly Result[]): string {
  const scenarios = results.map(result => {
    const { scenario, outcomes } = result
    return {
      number: scenario.number,
      name: scenario.name,
      promise: scenario.promise,
      verdict: verdictOf(result),
      lacks: scenario.lacks ?? null,
      outcomes: outcomes.map(outcome => ({ ...outcome, measures: outcome.measures.map(measureJson) })),
    }
  })
  return `${JSON.stringify({ machine: machineText(), counts: countsOf(results), scenarios }, null, 2)}\n`
}

function measureJson(measure: Measure): object {
  const { what, unit, bound, values } = measure
  return { what, unit, bound, ...spreadOf(values), values }
}

/** The machine in one line. */
export function machineText(): string {
  const processors = cpus()
  const network = missingForNetwork(['nft', 'tc'])
  const gigabytes = Math.round(totalmem() / 1024 ** 3)
  return [
    `${counted(processors.length, 'core')} (${processors[0]?.model.trim() || arch()}), ${gigabytes} GiB`,
    `${type()} ${release().split('-')[0]}`,
    `Node ${process.versions.node.split('.')[0]}`,
    network === null ? `network namespaces${hasNetem() ? ' with netem' : ', no netem'}` : 'loopback only',
  ].join('; ')
}

/** The table of the documentation. Nothing in it changes with the day or the commit. */
export function resultsMarkdown(results: readonly Result[]): string {
  const { held, broken, skipped, unsupported } = countsOf(results)
  const lines = [
    '# Reliability',
    '',
    'Written by `anasazi chaos run --all --markdown FILE`; [chaos.md](chaos.md) explains how the scenarios are played.',
    '',
    `Measured on: ${machineText()}.`,
    '',
    `${counted(results.length, 'scenario')}: ${held} held, ${broken} did not, ${skipped} skipped, ${unsupported} unsupported.`,
    '',
    alwaysPromised,
    '',
    'Texts are those of [`test/scenarios`](../test/scenarios). Values are p50 / p99 / max where there are several.',
    '',
    '| | scenario | promise | in the simulator | on real processes | measured |',
    '|---|---|---|---|---|---|',
    ...results.map(markdownRow),
    '',
  ]
  return lines.join('\n')
}

function markdownRow(result: Result): string {
  const { scenario, outcomes } = result
  const { number, name, promise, simulator, real, unsupported, lacks } = scenario
  const of = (where: Outcome['where']): Outcome | undefined => outcomes.find(each => each.where === where)
  const processes = of('processes')
  const lack = unsupported ?? lacks
  const cells = [
    String(number),
    name,
    promise + (lack === undefined ? '' : ` *Unsupported: ${lack}.*`),
    told(of('simulator'), typeof simulator === 'string' ? `— (${simulator})` : simulator.join(', ')),
    told(processes, typeof real === 'string' ? `— (${real})` : real.how),
    (processes?.measures ?? []).map(markdownMeasure).join('<br>'),
  ]
  return `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`
}

function told(outcome: Outcome | undefined, how: string): string {
  if (outcome === undefined || outcome.verdict === 'unsupported') return how
  if (outcome.verdict === 'held') return `**held**: ${how}`
  return `**${outcome.verdict}** (${outcome.why.join('; ')}): ${how}`
}

function markdownMeasure({ what, unit, bound, values }: Measure): string {
  const { count, p50, p99, max } = spreadOf(values)
  const figures =
    count === 1 ? rounded(max) : `${rounded(p50)} / ${rounded(p99)} / ${rounded(max)} (${count} times)`
  return `${what}: ${figures} ${unit}${bound === null ? '' : `, bound ${bound}`}`
}
