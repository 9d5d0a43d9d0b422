import { type Command, InvalidArgumentError } from 'commander'
import type { FuzzReport } from '../../sim/fuzz/fuzz.ts'
import type { CommandContext } from '../context.ts'
import { examples } from '../context.ts'
import { CommandError, EXIT } from '../exit.ts'
import { counted, durationText, painter, printable } from '../style.ts'
import type { Paint } from '../style.ts'

interface FuzzFlags {
  readonly target: string
  readonly minutes: number
  readonly runs?: number
  readonly seed: number
  readonly run?: number
  readonly list?: true
  readonly json?: true
}

const all = 'all'

export function addFuzzCommand(program: Command, context: CommandContext): void {
  program
    .command('fuzz')
    .description('try changed and made-up inputs on every decoder, on sessions and on a running cell')
    .option('--target <name>', 'what to try, by name', all)
    .option('--minutes <n>', 'time for each target', positive, 1)
    .option('--runs <n>', 'so many inputs for each target, whatever time they take', wholeNumber)
    .option('--seed <n>', 'what the inputs follow from', wholeNumber, 1)
    .option('--run <n>', 'one input of one target again, and what it is', wholeNumber)
    .option('--list', 'the targets')
    .option('--json', 'the result as one JSON document')
    .addHelpText(
      'after',
      examples(
        ['anasazi fuzz --minutes 5', 'every target for five minutes'],
        ['anasazi fuzz --target peer --runs 100000 --seed 7', ''],
        ['anasazi fuzz --target cell --seed 1 --run 42', 'this input again'],
      ),
    )
    .action(async (flags: FuzzFlags) => {
      const { targets } = await import('../../sim/fuzz/targets.ts')
      if (flags.list === true) {
        const lines = targets.map(({ name, about }) => `${name.padEnd(10)} ${about}\n`)
        await context.terminal.out(lines.join(''))
        return context.finish(EXIT.ok)
      }
      const known = targets.map(({ name }) => name)
      if (flags.target !== all && !known.includes(flags.target)) {
        throw new CommandError(
          EXIT.usage,
          `there is no target '${flags.target}'`,
          `Try ${all}, ${known.join(', ')}.`,
        )
      }
      if (flags.run !== undefined && flags.target === all) {
        throw new CommandError(
          EXIT.usage,
          '--run needs one target',
          'Give the --target that the failure named.',
        )
      }
      const reports = await fuzzAll(flags, flags.target === all ? known : [flags.target], context)
      if (flags.json === true) await context.terminal.out(`${JSON.stringify(reports, null, 2)}\n`)
      context.finish(reports.every(({ failures }) => failures.length === 0) ? EXIT.ok : EXIT.negative)
    })
}

async function fuzzAll(
  flags: FuzzFlags,
  names: readonly string[],
  { terminal }: CommandContext,
): Promise<FuzzReport[]> {
  const { fuzz } = await import('../../sim/fuzz/fuzz.ts')
  const paint = painter(terminal.colour)
  const reports: FuzzReport[] = []
  for (const name of names) {
    const [report] = fuzz({
      names: [name],
      seed: flags.seed,
      runs: flags.runs ?? null,
      ms: flags.minutes * 60_000,
      ...(flags.run === undefined ? {} : { only: flags.run }),
      progress: (target, inputs) => {
        if (terminal.stdoutIsTerminal) terminal.err(`\r${target} ${counted(inputs, 'input')} `)
      },
      show: what => {
        if (flags.run !== undefined) terminal.err(`${printable(what)}\n`)
      },
    })
    if (report === undefined) continue
    if (terminal.stdoutIsTerminal) terminal.err('\r\u001b[K')
    reports.push(report)
    if (flags.json !== true) await terminal.out(reportText(report, paint))
  }
  return reports
}

function reportText(report: FuzzReport, paint: Paint): string {
  const { target, inputs, ms, corpus, outcomes, failures } = report
  const rate = Math.round((inputs * 1000) / Math.max(1, ms))
  const lines = [
    `${paint('bold', target)}: ${counted(inputs, 'input')} in ${durationText(ms)} (${rate}/s) made of ${corpus}`,
    ...Object.entries(outcomes).map(
      ([outcome, count]) => `  ${String(count).padStart(9)}  ${printable(outcome)}`,
    ),
  ]
  for (const { run, error, replay } of failures) {
    lines.push(
      `${paint('red', 'failed')}: input ${run}: ${printable(error.split('\n').slice(0, 6).join('\n'))}`,
    )
    lines.push(`  ${replay}`)
  }
  return `${lines.join('\n')}\n`
}

function wholeNumber(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 0 || text.trim() === '')
    throw new InvalidArgumentError('a whole number is needed')
  return value
}

function positive(text: string): number {
  const value = Number(text)
  if (!(value > 0) || !Number.isFinite(value)) throw new InvalidArgumentError('a number above 0 is needed')
  return value
}
