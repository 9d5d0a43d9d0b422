import type { Command } from 'commander'
import type { CommandContext } from '../context.ts'
import { EXIT } from '../exit.ts'
import { addConnectOptions, openSession } from '../session.ts'
import type { ConnectOptions } from '../session.ts'
import { columns, painter, printable } from '../style.ts'

export function addGroupsCommand(program: Command, context: CommandContext): void {
  const command = program
    .command('groups')
    .description('list the groups that have members')
    .option('--json', 'a JSON array')
    .option('--cell <cell>', 'of this cell (default: the default cell)')
  addConnectOptions(command, { name: false }).action(
    async (options: ConnectOptions & { readonly json?: true }) => {
      const { terminal } = context
      const { session, end } = await openSession(terminal, context.connect, options, 'groups')
      try {
        const groups = (await session.groups(options.cell)).toSorted((a, b) => (a.group < b.group ? -1 : 1))
        if (options.json === true) {
          await terminal.out(`${JSON.stringify(groups)}\n`)
        } else if (groups.length > 0) {
          const rows = groups.map(({ group, members }) => [String(members).padStart(7), printable(group)])
          await terminal.out(columns([['MEMBERS', 'GROUP'], ...rows], painter(terminal.colour)))
        }
      } finally {
        await end()
      }
      context.finish(EXIT.ok)
    },
  )
}
