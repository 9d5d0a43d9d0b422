import { Command } from 'commander'
import type { CommandContext } from '../context.ts'
import { EXIT } from '../exit.ts'

/** The simulator describes its own options, so this command hands everything on, `--help` too. */
export function addSimCommand(program: Command, context: CommandContext): void {
  program
    .command('sim')
    .description('run the simulator and its checkers (`anasazi sim --help` for its options)')
    .argument('[options...]')
    .helpOption(false)
    .allowUnknownOption()
    .action(async (args: string[]) => {
      const { terminal } = context
      const { registerSim } = await import('../../sim/cli.ts')
      const inner = new Command('anasazi')
        .exitOverride()
        .configureOutput({ writeOut: text => void terminal.out(text), writeErr: text => terminal.err(text) })
      registerSim(inner)
      await inner.parseAsync(['sim', ...args], { from: 'user' })
      const code = Number(process.exitCode ?? 0)
      context.finish(code === 0 ? EXIT.ok : { code, meaning: EXIT.negative.meaning })
    })
}
