import { writeFileSync } from 'node:fs'
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { Conditions } from '../bench/report.ts'
import { type Choices, type Kind, kinds } from '../bench/row.ts'
import type { RowResult } from '../bench/result.ts'
import type { Iteration, ServiceName } from '../bench/task.ts'
import type { CommandContext } from '../context.ts'
import { examples } from '../context.ts'
import { CommandError, EXIT } from '../exit.ts'
import { messageOf } from '../session.ts'
import { painter } from '../style.ts'

/** As shells say it of SIGINT. */
const INTERRUPTED = 130

/** A turn that others disturbed is run again so often at most: on a machine that is never quiet it must end, too. */
const mostReruns = 2

interface BenchChoices {
  readonly size?: number[]
  readonly members?: number[]
  readonly senders: ('all' | 'one')[]
  readonly service: ServiceName[]
  readonly iterator: Iteration[]
  readonly rate: number
  readonly background: number
  readonly peer: ('corosync' | 'corosync-udpu')[]
  readonly limit: ('raw' | 'direct')[]
  readonly network?: 'loopback' | 'namespaces'
  readonly pairs?: number
  readonly repeat?: number
  readonly seconds?: number
  readonly warm?: number
  readonly rerun: boolean
  readonly quick?: true
  readonly json?: true
  readonly html?: string
}

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
  addRowOptions(command)
  command
    .option(
      '--pairs <turns>',
      'how often every variant has its turn (default: 5, with --quick 1)',
      countOption,
    )
    .option(
      '--repeat <times>',
      'how often each turn of `views` does each change (default: 5, with --quick 2)',
      countOption,
    )
    .option('--seconds <seconds>', 'that each turn measures (default: 5, with --quick 1)', positive)
    .option(
      '--warm <seconds>',
      'before, unmeasured, for each daemon of a row (default: 2.5, with --quick 0.2)',
      positive,
    )
    .option('--no-rerun', 'turns that others disturb count as they are (so it is with --quick)')
    .option('--quick', 'one short turn of small rows: to see that it works, not how fast it is')
    .option('--json', 'results as one JSON document')
    .option('--html <file>', 'write a report with plots, complete in one file')
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

function addRowOptions(command: Command): void {
  command
    .option('--size <bytes>', 'of messages, a list (default: 64,1024,8192,65536)', numbers(16, 1 << 20))
    .option('--members <daemons>', 'a list (default: 3,5,8)', numbers(2, 16))
    .addOption(list('--senders <who>', 'who sends: `all`, `one` or both', ['all', 'one'], ['all', 'one']))
    .addOption(
      list('--service <service>', '`agreed`, `safe` or both, in turns', ['agreed', 'safe'], ['agreed']),
    )
    .addOption(
      list(
        '--iterator <how>',
        'clients use `batches()`, `plain` iteration or both, in turns',
        ['batches', 'plain'],
        ['batches'],
      ),
    )
    .option('--rate <messages>', 'a second of each talker, where the load is fixed', positive, 1000)
    .option('--background <messages>', 'a second of all others together, for `loaded`', positive, 22_000)
    .addOption(
      list(
        '--peer <system>',
        'compare with `corosync` (knet) or `corosync-udpu`',
        ['corosync', 'corosync-udpu'],
        [],
      ),
    )
    .addOption(
      list(
        '--limit <shape>',
        'also what plain sockets move: `raw`, in the same processes, or `direct`',
        ['raw', 'direct'],
        [],
      ),
    )
    .addOption(
      new Option(
        '--network <where>',
        'daemons on loopback, or each on a host of its own (default: as the peer must)',
      ).choices(['loopback', 'namespaces']),
    )
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
  const namespaces =
    choices.network === undefined ? choices.peer.length > 0 : choices.network === 'namespaces'
  const pairs = choices.pairs ?? (choices.quick ? 1 : 5)
  const { quick } = choices
  const seconds = choices.seconds ?? (quick ? 1 : 5)
  const rows = await runBench({
    choices: rowChoices(names, choices),
    pairs,
    repeat: choices.repeat ?? (quick ? 2 : 5),
    seconds,
    warmSeconds: choices.warm ?? (quick ? 0.2 : 2.5),
    namespaces,
    mostReruns: quick === true || !choices.rerun ? 0 : mostReruns,
    progress: text => terminal.err(`${text}\n`),
    onRow: row => (choices.json === true ? undefined : terminal.out(report.rowText(row, paint))),
  }).catch((error: unknown) => {
    if (error instanceof BenchError) throw new CommandError(EXIT.negative, error.message, error.advice)
    throw error
  })
  const conditions: Conditions = {
    version,
    ...report.machineConditions(),
    network: namespaces ? 'namespaces' : 'loopback',
    pairs,
    seconds,
    ...(choices.peer.length > 0 && { corosync: corosyncVersion() }),
  }
  if (choices.html !== undefined) await writeReport(choices.html, rows, conditions)
  await terminal.out(
    choices.json === true ? report.resultsJson(rows, conditions) : `${report.noiseText(rows)}\n`,
  )
  finish(rows.some(row => report.failuresOf(row).length > 0) ? EXIT.negative : EXIT.ok)
}

function rowChoices(names: string[], choices: BenchChoices): Choices {
  const all = Object.keys(kinds) as Kind[]
  const unknown = names.find(name => !all.includes(name as Kind))
  if (unknown !== undefined) {
    throw new CommandError(
      EXIT.usage,
      `there is no kind ${JSON.stringify(unknown)}`,
      `It is one of ${all.join(', ')}.`,
    )
  }
  const { senders, service, iterator, peer, limit, rate, background, quick } = choices
  return {
    kinds: names.length === 0 ? all : (names as Kind[]),
    sizes: choices.size ?? (quick ? [64] : [64, 1024, 8192, 65_536]),
    members: choices.members ?? (quick ? [3] : [3, 5, 8]),
    senders,
    services: service,
    iterators: iterator,
    peers: peer,
    limits: limit,
    rate,
    background,
    share: quick ? 0.1 : 1,
  }
}

async function writeReport(file: string, rows: readonly RowResult[], conditions: Conditions): Promise<void> {
  const { reportHtml } = await import('../bench/html.ts')
  try {
    writeFileSync(file, reportHtml(rows, conditions))
  } catch (cause) {
    throw new CommandError(EXIT.usage, `the report cannot be written: ${messageOf(cause)}`, '', { cause })
  }
}

/** An option that takes some of these words, with commas between them. */
function list(flags: string, what: string, known: readonly string[], standard: readonly string[]): Option {
  return new Option(flags, `${what}${known.length > 1 ? '; a list' : ''}`)
    .default(standard, standard.join(',') || 'none')
    .argParser((text: string): string[] => {
      const words = text.split(',')
      const wrong = words.find(word => !known.includes(word))
      if (wrong === undefined) return [...new Set(words)]
      throw new InvalidArgumentError(`${JSON.stringify(wrong)} is none of ${known.join(', ')}.`)
    })
}

function numbers(least: number, most: number): (text: string) => number[] {
  return text => {
    const values = text.split(',').map(Number)
    if (values.every(value => Number.isInteger(value) && value >= least && value <= most)) return values
    throw new InvalidArgumentError(`It is whole numbers from ${least} to ${most}, with commas between them.`)
  }
}

function positive(text: string): number {
  const value = Number(text)
  if (text.trim() !== '' && value > 0 && Number.isFinite(value)) return value
  throw new InvalidArgumentError('It must be a number above 0.')
}

function countOption(text: string): number {
  const count = Number(text)
  if (Number.isInteger(count) && count >= 1 && count <= 1000) return count
  throw new InvalidArgumentError('It is a whole number from 1 to 1000.')
}
