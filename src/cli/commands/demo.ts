import type { Command } from 'commander'
import type { CommandContext } from '../context.ts'
import { EXIT } from '../exit.ts'

export function addDemoCommand(program: Command, context: CommandContext): void {
  program
    .command('demo')
    .description('run three daemons and their clients, kill one, merge, and verify what everybody saw')
    .action(async () => {
      const { runDemo } = await import('../demo.ts')
      context.finish((await runDemo(context.terminal)) ? EXIT.ok : EXIT.negative)
    })
}
