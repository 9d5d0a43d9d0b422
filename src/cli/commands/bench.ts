import { mkdirSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import type { Conditions } from '../bench/report.ts'
import type { RowResult } from '../bench/result.ts'
import { kinds } from '../bench/row.ts'
import type { CommandContext } from '../context.ts'
import { examples } from '../context.ts'
import { CommandError, EXIT } from '../exit.ts'
import { messageOf } from '../session.ts'
import { painter } from '../style.ts'
import type { BenchChoices } from './bench-options.ts'
import { addBenchOptions, checkSettings, rowChoices, terrainChoices, turnChoices } from './bench-options.ts'

/** As shells say it of SIGINT. */
const INTERRUPTED = 130

const kindList = Object.entries(kinds)
  .map(([name, what]) => `  ${name.padEnd(11)} ${what}`)
  .join('\n')

export function addBenchCommand(program: Command, context: CommandContext): void {
  const command = program
    .command('bench')
    .description(
      'measure daemons and clients of its own on this machine, side by side with corosync if wanted',
    )
    .argument('[kind...]', 'what to measure; default: everything')
  addBenchOptions(command)
  command
    .addHelpText(
      'after',
      `
Kinds:
${kindList}
${examples(
  ['anasazi bench --quick', 'a look at everything'],
  ['anasazi bench throughput --size 64 --members 3 --limit raw', ''],
  ['sudo npx anasazi bench throughput latency --peer corosync --html report.html', ''],
)}
docs/benchmark.md explains the method and every measure.
`,
    )
    .action(async (names: string[], choices: BenchChoices) => {
      await bench(names, choices, context, program.version() ?? '')
    })
}

async function bench(
  names: string[],
  choices: BenchChoices,
  context: CommandContext,
  version: string,
): Promise<void> {
  const { terminal, finish } = context
  if (process.platform !== 'linux') {
    throw new CommandError(
      EXIT.usage,
      'the benchmark reads what processes use in /proc, which only Linux has',
    )
  }
  const { runBench } = await import('../bench/run.ts')
  const { BenchError } = await import('../bench/bench-error.ts')
  const report = await import('../bench/report.ts')
  const { corosyncVersion } = await import('../bench/corosync-site.ts')
  // Daemons, clients and namespaces go with this process, when it ends by itself.
  terminal.interruption().addEventListener('abort', () => process.exit(INTERRUPTED))
  const paint = painter(terminal.colour)
  const terrain = terrainChoices(choices)
  const turns = turnChoices(choices)
  const work = rowChoices(names, choices)
  await checkSettings(work)
  const rows = await runBench({
    choices: work,
    ...turns,
    terrain,
    profile: profileDirectory(choices),
    progress: text => terminal.err(`${text}\n`),
    onRow: row => (choices.json === true ? undefined : terminal.out(report.rowText(row, paint))),
  }).catch((error: unknown) => {
    if (error instanceof BenchError) throw new CommandError(EXIT.negative, error.message, error.advice)
    throw error
  })
  const conditions: Conditions = {
    version,
    ...report.machineConditions(),
    ...terrain,
    settings: work.settings,
    pairs: turns.pairs,
    seconds: turns.seconds,
    ...(choices.peer.length > 0 && { corosync: corosyncVersion() }),
  }
  if (choices.html !== undefined) await writeReport(choices.html, rows, conditions)
  await terminal.out(
    choices.json === true ? report.resultsJson(rows, conditions) : `${report.noiseText(rows)}\n`,
  )
  finish(rows.some(row => report.failuresOf(row).length > 0) ? EXIT.negative : EXIT.ok)
}

/** @throws CommandError if it cannot be made. */
function profileDirectory({ profile }: BenchChoices): string | null {
  if (profile === undefined) return null
  try {
    mkdirSync(profile, { recursive: true })
  } catch (cause) {
    throw new CommandError(EXIT.usage, `the profiles cannot be written: ${messageOf(cause)}`, '', { cause })
  }
  return resolve(profile)
}

async function writeReport(file: string, rows: readonly RowResult[], conditions: Conditions): Promise<void> {
  const { reportHtml } = await import('../bench/html.ts')
  try {
    writeFileSync(file, reportHtml(rows, conditions))
  } catch (cause) {
    throw new CommandError(EXIT.usage, `the report cannot be written: ${messageOf(cause)}`, '', { cause })
  }
}
