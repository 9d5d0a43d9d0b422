import type { Command } from 'commander'
import type { StatusDocument } from '../../admin/status.ts'
import type { CommandContext } from '../context.ts'
import { examples } from '../context.ts'
import { EXIT } from '../exit.ts'
import { addConnectOptions, openSession } from '../session.ts'
import type { ConnectOptions } from '../session.ts'

interface StatusOptions extends ConnectOptions {
  readonly json?: true
  readonly counters?: true
}

export function addStatusCommand(program: Command, context: CommandContext): void {
  const command = program
    .command('status')
    .description('show what a daemon is doing: its cells, peers, sessions, and the last events')
    .option('--json', 'everything, as one JSON document')
    .option('--counters', 'also the counters that are not zero')
  addConnectOptions(command, { name: false })
    .addHelpText(
      'after',
      examples(
        ['anasazi status', ''],
        ['anasazi status --json | jq .cells.main.counters', 'see docs/cli.md for the document'],
      ),
    )
    .action(async (options: StatusOptions) => {
      const { terminal } = context
      const { session, end } = await openSession(terminal, context.connect, options, 'status')
      try {
        const document = (await session.status(options.cell)) as StatusDocument
        if (options.json === true) {
          await terminal.out(`${JSON.stringify(document, null, 2)}\n`)
        } else {
          const { statusText } = await import('../status-text.ts')
          await terminal.out(
            statusText(document, { colour: terminal.colour, counters: options.counters === true }),
          )
        }
      } finally {
        await end()
      }
      context.finish(EXIT.ok)
    })
}
