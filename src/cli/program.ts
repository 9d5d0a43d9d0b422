/** The command line: which commands there are, and how every way of ending becomes an exit code. */

import { createRequire } from 'node:module'
import { Command, CommanderError } from 'commander'
import { addBenchCommand } from './commands/bench.ts'
import { addChaosCommand } from './commands/chaos.ts'
import { addConfigCommand } from './commands/config.ts'
import { addDaemonCommand } from './commands/daemon.ts'
import { addDemoCommand } from './commands/demo.ts'
import { addFuzzCommand } from './commands/fuzz.ts'
import { addGroupsCommand } from './commands/groups.ts'
import { addJoinCommand } from './commands/join.ts'
import { addMembersCommand } from './commands/members.ts'
import { addSendCommand } from './commands/send.ts'
import { addSimCommand } from './commands/sim.ts'
import { addSoakCommand } from './commands/soak.ts'
import { addStatusCommand } from './commands/status.ts'
import { addVerifyCommand } from './commands/verify.ts'
import type { CommandContext } from './context.ts'
import { isErrorCode } from '../lib/errors.ts'
import type { AnasaziError } from '../lib/errors.ts'
import { CommandError, EXIT, exitOf } from './exit.ts'
import type { ExitCode } from './exit.ts'
import { CONNECT_VARIABLE, messageOf } from './session.ts'
import type { Connect } from './session.ts'
import { painter } from './style.ts'
import type { Terminal } from './terminal.ts'

const EXIT_CODES = Object.values(EXIT)
  .map(exit => `  ${String(exit.code).padStart(2)}  ${exit.meaning}`)
  .join('\n')

const HELP = `
Try it:
  $ anasazi demo                            three daemons, a crash, a merge, and what became of every message
  $ anasazi daemon &                        one daemon with defaults
  $ anasazi join orders                     watch a group; lines that you pipe in are sent
  $ echo hello | anasazi send orders        send, and wait until it is delivered

Environment:
  ${CONNECT_VARIABLE}  the daemon, where --connect is not given
  NO_COLOR         no colours

Exit codes:
${EXIT_CODES}
`

/** All commands, none of whose modules beyond the command line itself is loaded yet. */
export function buildProgram(context: CommandContext): Command {
  const { terminal } = context
  const program = new Command('anasazi')
    .description('Group communication with extended virtual synchrony.')
    .version(packageVersion(), '-V, --version')
    .configureOutput({
      writeOut: text => void terminal.out(text),
      writeErr: text => terminal.err(text),
      getOutHasColors: () => terminal.colour,
      getErrHasColors: () => false,
    })
    .configureHelp({ showGlobalOptions: false })
    .exitOverride()
    .showSuggestionAfterError()
    .addHelpText('after', HELP)
  addDemoCommand(program, context)
  addDaemonCommand(program, context)
  addJoinCommand(program, context)
  addSendCommand(program, context)
  addGroupsCommand(program, context)
  addMembersCommand(program, context)
  addStatusCommand(program, context)
  addConfigCommand(program, context)
  addVerifyCommand(program, context)
  addSimCommand(program, context)
  addFuzzCommand(program, context)
  addChaosCommand(program, context)
  addSoakCommand(program, context)
  addBenchCommand(program, context)
  return program
}

/**
 * Runs one command line.
 * @param args without the program's own name.
 * @returns the exit code. Every error has been told on the terminal.
 */
export async function run(
  args: readonly string[],
  tools: { terminal: Terminal; connect: Connect },
): Promise<number> {
  let exit: ExitCode = EXIT.ok
  const program = buildProgram({
    ...tools,
    finish(result) {
      exit = result
    },
  })
  try {
    await program.parseAsync(args, { from: 'user' })
    return exit.code
  } catch (error) {
    return report(error, tools.terminal).code
  }
}

function report(error: unknown, terminal: Terminal): ExitCode {
  // Commander has said already what it had to say.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage
  const paint = painter(terminal.colour)
  const say = (message: string, advice: string): void => {
    terminal.err(`${paint('red', 'anasazi:')} ${message}\n${advice === '' ? '' : `  ${advice}\n`}`)
  }
  if (error instanceof CommandError) {
    say(error.message, error.advice)
    return error.exit
  }
  if (isClientError(error)) {
    // Who interrupted the command wanted it to end.
    if (error.code === 'aborted' && terminal.interruption().aborted) return EXIT.ok
    say(error.message, error.advice)
    return exitOf(error.code)
  }
  const code = (error as NodeJS.ErrnoException | null)?.code
  if (code === 'EMFILE' || code === 'ENFILE') {
    say(messageOf(error), 'This takes about a hundred descriptors: allow more (`ulimit -n`, `LimitNOFILE=`).')
    return EXIT.negative
  }
  say(
    error instanceof Error ? (error.stack ?? error.message) : messageOf(error),
    'This is a defect: please report it.',
  )
  return EXIT.internal
}

function isClientError(error: unknown): error is AnasaziError {
  return (
    error instanceof Error &&
    error.name === 'AnasaziError' &&
    isErrorCode(String((error as AnasaziError).code))
  )
}

/** Version of the package, from the file that also says it to the registry. */
export function packageVersion(): string {
  const manifest = createRequire(import.meta.url)('../../package.json') as { readonly version: string }
  return manifest.version
}
