/** Tables of what became of the mutants: for a terminal and for `docs/mutants.md`. */

import type { Quarry } from './hunt.ts'
import type { Chapter, Finding, Mutant, Verdict } from './mutant.ts'

const chapters: Readonly<Record<Chapter, string>> = {
  ordering: 'The order in a configuration',
  forming: 'Forming a configuration',
  recovery: 'What a Plan says and an Install delivers',
  gathering: 'Who is with whom',
  groups: 'Process groups',
}

export function formatFinding(finding: Finding | null): string {
  if (finding === null) return 'NOT FOUND'
  const { by, where, property } = finding
  return `${by} ${where}: ${property}`
}

/** True if this mutant is as it should be: found, or implied by other rules. */
function isSettled({ mutant, finding }: Verdict): boolean {
  return finding !== null || mutant.implied !== undefined
}

/** One line, as soon as a mutant has been tried. */
export function formatVerdict({ mutant, finding, seeds, elapsedMs }: Verdict): string {
  const implied = mutant.implied === undefined ? '' : ', implied'
  const tried = finding === null ? ` in ${seeds} seeds${implied}` : ''
  return `${mutant.name.padEnd(32)} ${formatFinding(finding)}${tried}  (${(elapsedMs / 1000).toFixed(1)} s)`
}

export function formatControl({ control }: Quarry): string {
  const over = `${control.scenarios} scenarios and ${control.seeds} seeds`
  return `${'(nothing removed)'.padEnd(32)} ${control.finding === null ? `passes ${over}` : `FAILS ${formatFinding(control.finding)}`}`
}

/** True if every mutant was found, and the unpatched copy passes. */
export function isComplete({ verdicts, control }: Quarry): boolean {
  return control.finding === null && verdicts.every(isSettled)
}

export function formatMarkdown(quarry: Quarry): string {
  const { verdicts, control } = quarry
  const found = verdicts.filter(verdict => verdict.finding !== null).length
  const implied = verdicts.filter(
    ({ mutant, finding }) => finding === null && mutant.implied !== undefined,
  ).length
  const lines = [
    '# Does the simulator notice a missing rule?',
    '',
    '<!-- Written by `anasazi sim --mutants --markdown docs/mutants.md`: do not edit. -->',
    '',
    'A checker that cannot fail is worthless. For each row a copy of the built code is patched so that one rule is missing; then the',
    'directed scenarios named for it are played (`test/scenarios/`), and after them the seeds 1, 2, 3 … until something is found.',
    '*Found by* is the first scenario or seed that fails, and the property that it violates; the seed’s number is how many were needed.',
    'What the code asserts inside (`no exception`) counts; where an assertion only repeats the rule it is removed with it.',
    '',
    '    anasazi sim --mutants                       the whole table; exit code 1 if a mutant survives',
    '    anasazi sim --mutants --only obligations    one row',
    '',
    `${found} of ${verdicts.length} mutants are found${implied > 0 ? `; ${implied} change nothing, for the reason given` : ''}. ` +
      `The unpatched copy ${control.finding === null ? 'passes' : 'FAILS'} the same ${control.scenarios} scenarios and the seeds 1 to ${control.seeds}.`,
  ]
  for (const [chapter, title] of Object.entries(chapters)) {
    const rows = verdicts.filter(({ mutant }) => mutant.chapter === chapter)
    if (rows.length === 0) continue
    lines.push('', `## ${title}`, '', '| name | rule | without it | found by |', '|---|---|---|---|')
    for (const { mutant, finding } of rows) {
      const cells = [`\`${mutant.name}\``, mutant.rule, mutant.mutation, cellOf(mutant, finding)]
      lines.push(`| ${cells.map(cell => cell.replaceAll('|', String.raw`\|`)).join(' | ')} |`)
    }
  }
  return `${lines.join('\n')}\n`
}

function cellOf({ implied }: Mutant, finding: Finding | null): string {
  if (finding === null) return implied === undefined ? '**not found**' : `nothing can: ${implied}`
  const { by, where, property, detail } = finding
  const what = property === 'no exception' ? `no exception (${firstSentence(detail)})` : property
  return by === 'seed'
    ? `seed ${where}: ${what}`
    : `scenario \`${where}\`: ${property === 'scenario' ? firstSentence(detail) : what}`
}

/** Without the stack and the evidence, which differ from build to build. */
function firstSentence(detail: string): string {
  const line = detail.split('\n')[0] ?? ''
  return line
    .replace(/^.*?Error: /, '')
    .replace(/: but only these were: .*$/, '')
    .replace(/: [[{"\d].*$/, '')
    .slice(0, 120)
}
