import type { Command } from 'commander'
import { defaultConfig } from '../../config/config.ts'
import type { Config, ConfigContext } from '../../config/config.ts'
import type { CommandContext } from '../context.ts'
import { examples, machineContext } from '../context.ts'
import { CommandError, EXIT } from '../exit.ts'

interface DaemonOptions {
  readonly config?: string
  readonly name?: string
  readonly runtime?: string
  readonly trace?: string
}

export function addDaemonCommand(program: Command, context: CommandContext): void {
  program
    .command('daemon')
    .description('run a daemon until SIGTERM or SIGINT, on which it leaves in order')
    .option('--config <file>', 'YAML configuration (default: one member, loopback only)')
    .option('-n, --name <name>', 'name of this member; wins over the configuration')
    .option('--runtime <directory>', 'directory of the sockets, where the configuration names none')
    .option('--trace <file>', 'append what all cells do, for `anasazi verify`; wins over the configuration')
    .addHelpText(
      'after',
      examples(
        ['anasazi daemon', 'no configuration needed'],
        ['anasazi daemon --config n1.yaml', 'see `anasazi config check` and docs/configuration.md'],
        ['anasazi daemon --config lab.yaml --name n2', 'one file for all members'],
      ),
    )
    .action(async (options: DaemonOptions) => {
      const config = await daemonConfig(options)
      const { runDaemon } = await import('../../daemon/daemon.ts')
      try {
        await runDaemon(config)
      } catch (cause) {
        throw isRefusal(cause) ? new CommandError(EXIT.negative, cause.message, '', { cause }) : cause
      }
      context.finish(EXIT.ok)
    })
}

/** What the system or another daemon did not allow, said in words; anything else is a defect. */
function isRefusal(error: unknown): error is Error {
  if (!(error instanceof Error)) return false
  return ['AddressInUseError', 'TransportError'].includes(error.name) || 'syscall' in error
}

/** @throws CommandError with all that is wrong. */
export async function daemonConfig(options: DaemonOptions): Promise<Config> {
  const machine = await machineContext()
  const around: ConfigContext = {
    hostName: machine.hostName,
    runtime: options.runtime ?? machine.runtime,
    ...(options.name === undefined ? {} : { name: memberNameOption(options.name) }),
    ...(options.trace === undefined ? {} : { trace: options.trace }),
  }
  if (options.config === undefined) return defaultConfig(around)
  const { loadConfig } = await import('../../config/parse.ts')
  const { ConfigError } = await import('../../config/problems.ts')
  try {
    return loadConfig(options.config, around)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    throw new CommandError(EXIT.usage, `the configuration is wrong:\n${error.message}`, '', { cause: error })
  }
}

function memberNameOption(name: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name)) return name
  const right =
    'must be 1 to 64 letters, digits, dots, dashes and underscores, and begin with a letter or digit'
  throw new CommandError(EXIT.usage, `--name is ${JSON.stringify(name)}; ${right}`)
}
