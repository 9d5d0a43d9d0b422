import { randomInt } from 'node:crypto'
import type { Command } from 'commander'
import { InvalidArgumentError } from 'commander'
import type { CommandContext } from '../context.ts'
import { examples } from '../context.ts'
import { CommandError, EXIT } from '../exit.ts'
import type { ExitCode } from '../exit.ts'
import { painter } from '../style.ts'

interface SoakCommandOptions {
  readonly hours?: number
  readonly minutes?: number
  readonly window: number
  readonly members: number
  readonly seed?: number
  readonly rate: number
  readonly faults: number
  readonly bound: number
  readonly relays?: true
  readonly json?: true
}

/** As a shell says that a program was ended by SIGINT; here it has said what it found before. */
const interrupted: ExitCode = { code: 130, meaning: 'interrupted; what was verified until then was clean' }

const plainLineEveryMs = 30_000

export function addSoakCommand(program: Command, context: CommandContext): void {
  program
    .command('soak')
    .description('load and faults on real daemons for hours, everything verified as it goes, and a report')
    .option('--hours <hours>', 'how long load and faults last', positive)
    .option('--minutes <minutes>', 'how long load and faults last', positive)
    .option(
      '--window <seconds>',
      'from one quiet point, at which all traces are verified, to the next',
      positive,
      30,
    )
    .option('--members <daemons>', 'daemons, 2 to 16', membersOption, 5)
    .option('--seed <number>', 'of faults and load (default: made up, and reported)', seedOption)
    .option('--rate <messages>', 'messages a second, of all clients together', positive, 400)
    .option('--faults <number>', 'faults a minute', positive, 30)
    .option(
      '--bound <seconds>',
      'longest time to converge after the faults, and to settle every fate',
      positive,
      60,
    )
    .option('--relays', 'break connections in relays on loopback, also where network namespaces could be had')
    .option('--json', 'the report as one JSON document')
    .addHelpText(
      'after',
      examples(
        ['anasazi soak --minutes 30', 'five daemons; docs/soak.md says what is done to them'],
        ['anasazi soak --hours 8 --seed 7 --json', ''],
      ),
    )
    .action(async (options: SoakCommandOptions) => {
      context.finish(await soak(options, context))
    })
}

async function soak(options: SoakCommandOptions, { terminal }: CommandContext): Promise<ExitCode> {
  if ((options.hours === undefined) === (options.minutes === undefined)) {
    throw new CommandError(EXIT.usage, 'say how long: either --hours or --minutes')
  }
  if (process.platform !== 'linux') {
    throw new CommandError(EXIT.usage, 'a soak watches its processes in /proc, which only Linux has')
  }
  const { runSoak } = await import('../soak/soak.ts')
  const { progressText, reportText } = await import('../soak/report.ts')
  const signal = terminal.interruption()
  // What has to be cleared away is, at the exit of a process, but not if a signal ends it.
  const endAtOnce = (): void => process.exit(interrupted.code)
  signal.addEventListener('abort', () => process.once('SIGINT', endAtOnce))
  const live = liveLine(text => terminal.err(text), process.stderr.isTTY === true)
  const report = await runSoak({
    durationMs: (options.hours ?? 0) * 3_600_000 + (options.minutes ?? 0) * 60_000,
    windowMs: options.window * 1000,
    members: options.members,
    seed: options.seed ?? randomInt(2 ** 32),
    rate: options.rate,
    faultsPerMinute: options.faults,
    boundMs: options.bound * 1000,
    relays: options.relays === true,
    signal,
    onProgress: progress => live.show(progressText(progress), progress.windows),
  })
  live.end()
  if (options.json === true) await terminal.out(`${JSON.stringify(report, null, 2)}\n`)
  else await terminal.out(reportText(report, painter(terminal.colour)))
  if (report.verdict !== 'clean') return EXIT.negative
  return report.interrupted ? interrupted : EXIT.ok
}

/** On a terminal one line that is written over, elsewhere a line for each window and now and then. */
function liveLine(
  write: (text: string) => void,
  isTerminal: boolean,
): { show(text: string, windows: number): void; end(): void } {
  let shownAt = Number.NEGATIVE_INFINITY
  let shownWindows = 0
  return {
    show(text, windows) {
      if (isTerminal) return write(`\r${text}\u001b[K`)
      if (windows === shownWindows && performance.now() - shownAt < plainLineEveryMs) return
      shownAt = performance.now()
      shownWindows = windows
      write(`${text}\n`)
    },
    end() {
      if (isTerminal) write('\r\u001b[K')
    },
  }
}

function positive(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !(value > 0) || !Number.isFinite(value)) {
    throw new InvalidArgumentError('It must be a number above 0.')
  }
  return value
}

function membersOption(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 2 || value > 16)
    throw new InvalidArgumentError('It must be 2 to 16.')
  return value
}

function seedOption(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isSafeInteger(value) || value < 0) {
    throw new InvalidArgumentError('It must be a whole number, 0 or more.')
  }
  return value
}
