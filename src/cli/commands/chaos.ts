import { writeFileSync } from 'node:fs'
import { Command, InvalidArgumentError } from 'commander'
import type { Scenario } from '../chaos/scenario.ts'
import type { Where } from '../chaos/run.ts'
import type { CommandContext } from '../context.ts'
import { examples } from '../context.ts'
import { CommandError, EXIT } from '../exit.ts'
import { messageOf } from '../session.ts'
import { painter } from '../style.ts'

/** As shells say it of SIGINT. */
const INTERRUPTED = 130

interface RunChoices {
  readonly all?: true
  readonly json?: true
  readonly repeat: number
  readonly only?: Where
  readonly markdown?: string
  readonly keep?: true
  readonly untimed?: true
}

export function addChaosCommand(program: Command, context: CommandContext): void {
  const chaos = program
    .command('chaos')
    .description('break a cluster of its own on this machine in 25 ways, and check that every promise holds')
  addList(chaos, context)
  addRun(chaos, context)
  addCrowd(chaos, context)
}

function addList(chaos: Command, { terminal, finish }: CommandContext): void {
  chaos
    .command('list')
    .description('the scenarios and what they promise')
    .option('--json', 'as one JSON document')
    .action(async ({ json }: { readonly json?: true }) => {
      const { scenarios } = await import('../chaos/catalogue.ts')
      const { listJson, listText } = await import('../chaos/report.ts')
      await terminal.out(json === true ? listJson(scenarios) : listText(scenarios, painter(terminal.colour)))
      finish(EXIT.ok)
    })
}

function addRun(chaos: Command, { terminal, finish }: CommandContext): void {
  chaos
    .command('run')
    .description('run scenarios in the simulator and on real daemons; exit code 1 if a promise was broken')
    .argument('[name...]', 'names or numbers of scenarios')
    .option('--all', 'all of them')
    .option('--only <where>', '`simulator` or `processes`', whereOption)
    .option(
      '--repeat <rounds>',
      'rounds on real daemons, measured each: p50, p99 and maximum',
      countOption,
      1,
    )
    .option('--json', 'results as one JSON document')
    .option('--markdown <file>', 'write the table of results to a file')
    .option('--keep', 'keep logs and traces of what did not hold')
    .option('--untimed', 'measure times, but do not judge them: for a machine that is busy with other things')
    .addHelpText(
      'after',
      `${examples(
        ['anasazi chaos run --all', ''],
        ['anasazi chaos run kill partitions --only processes --repeat 100', ''],
      )}
As root on Linux, with iproute2 and nftables, daemons run on hosts of their own in network namespaces. Otherwise links
are relays on loopback, and what they cannot do is skipped, with the reason.
`,
    )
    .action(async (names: string[], choices: RunChoices) => {
      const { scenarios } = await import('../chaos/catalogue.ts')
      const chosen = choose(scenarios, names, choices.all === true)
      const { runScenario } = await import('../chaos/run.ts')
      const report = await import('../chaos/report.ts')
      const paint = painter(terminal.colour)
      const { repeat, keep = false, json, markdown, only } = choices
      const where: Where[] = only === undefined ? ['simulator', 'processes'] : [only]
      const privileges = report.privilegesText()
      if (privileges !== null && where.includes('processes')) terminal.err(`${privileges}\n`)
      // Daemons, namespaces and mounts go with this process, when it ends by itself.
      terminal.interruption().addEventListener('abort', () => process.exit(INTERRUPTED))
      const results = []
      for (const scenario of chosen) {
        const result = await runScenario(scenario, {
          repeat,
          where,
          keep,
          judgesTime: choices.untimed !== true,
          progress: text => terminal.err(`${text}\n`),
        })
        results.push(result)
        if (json !== true) await terminal.out(report.resultText(result, paint))
      }
      if (markdown !== undefined) writeTable(markdown, report.resultsMarkdown(results))
      await terminal.out(json === true ? report.resultsJson(results) : report.verdictText(results, paint))
      finish(report.allHeld(results) ? EXIT.ok : EXIT.negative)
    })
}

/** The process of many clients that some scenarios kill. */
function addCrowd(chaos: Command, { terminal, finish }: CommandContext): void {
  chaos
    .command('crowd', { hidden: true })
    .argument('<address>')
    .argument('<trace>')
    .argument('<sessions>', '', countOption)
    .action(async (address: string, trace: string, count: number) => {
      const { runCrowd } = await import('../chaos/crowd.ts')
      await runCrowd({ address, trace, count }, terminal)
      finish(EXIT.ok)
    })
}

function choose(scenarios: readonly Scenario[], names: readonly string[], all: boolean): readonly Scenario[] {
  if (all) return scenarios
  if (names.length === 0) {
    throw new CommandError(
      EXIT.usage,
      'no scenario was named',
      'Name some of `anasazi chaos list`, or --all.',
    )
  }
  return names.map(wanted => {
    const found = scenarios.find(({ name, number }) => name === wanted || String(number) === wanted)
    if (found !== undefined) return found
    throw new CommandError(
      EXIT.usage,
      `there is no scenario ${JSON.stringify(wanted)}`,
      'See `anasazi chaos list`.',
    )
  })
}

function writeTable(file: string, text: string): void {
  try {
    writeFileSync(file, text)
  } catch (cause) {
    throw new CommandError(EXIT.usage, `the table cannot be written: ${messageOf(cause)}`, '', { cause })
  }
}

function whereOption(text: string): Where {
  if (text === 'simulator' || text === 'processes') return text
  throw new InvalidArgumentError('It is `simulator` or `processes`.')
}

function countOption(text: string): number {
  const count = Number(text)
  if (Number.isInteger(count) && count >= 1 && count <= 100_000) return count
  throw new InvalidArgumentError('It is a whole number from 1 to 100000.')
}
