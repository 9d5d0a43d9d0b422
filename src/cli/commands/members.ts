import type { Command } from 'commander'
import type { CommandContext } from '../context.ts'
import { EXIT } from '../exit.ts'
import { addConnectOptions, openSession } from '../session.ts'
import type { ConnectOptions } from '../session.ts'
import { printable } from '../style.ts'

export function addMembersCommand(program: Command, context: CommandContext): void {
  const command = program
    .command('members')
    .description('list the members of a group in join order; exit code 1 if there are none')
    .argument('<group>', 'the group')
    .option('--json', 'a JSON array')
  addConnectOptions(command, { name: false }).action(
    async (group: string, options: ConnectOptions & { readonly json?: true }) => {
      const { terminal } = context
      const { session, end } = await openSession(terminal, context.connect, options, 'members')
      try {
        const members = await session.membersOf(group)
        const text = options.json === true ? JSON.stringify(members) : members.map(printable).join('\n')
        if (text !== '') await terminal.out(`${text}\n`)
        context.finish(members.length > 0 ? EXIT.ok : EXIT.negative)
      } finally {
        await end()
      }
    },
  )
}
