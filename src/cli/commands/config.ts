import type { Command } from 'commander'
import type { CommandContext } from '../context.ts'
import { examples, machineContext } from '../context.ts'
import { EXIT } from '../exit.ts'
import { counted } from '../style.ts'

export function addConfigCommand(program: Command, context: CommandContext): void {
  const { terminal } = context
  const command = program.command('config').description('check configuration files, and print their schema')
  command
    .command('check')
    .description(
      'check a configuration; exit code 1 and every error with file, line and column if it is wrong',
    )
    .argument('<file>', 'YAML file')
    .option('-n, --name <name>', 'as the member of this name')
    .option('--json', 'print the complete configuration, with all defaults, or the errors')
    .addHelpText('after', examples(['anasazi config check --name n2 lab.yaml', '']))
    .action(async (file: string, options: { readonly name?: string; readonly json?: true }) => {
      const { loadConfig } = await import('../../config/parse.ts')
      const { ConfigError } = await import('../../config/problems.ts')
      const around = {
        ...(await machineContext()),
        ...(options.name === undefined ? {} : { name: options.name }),
      }
      try {
        const config = loadConfig(file, around)
        const cells = counted(config.cells.length, 'cell')
        await terminal.out(
          options.json === true ? json(config) : `${file}: good: member ${config.name}, ${cells}\n`,
        )
        context.finish(EXIT.ok)
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error
        if (options.json === true) await terminal.out(json({ problems: error.problems }))
        else terminal.err(`${error.message}\n`)
        context.finish(EXIT.negative)
      }
    })
  command
    .command('schema')
    .description('print the JSON schema of configuration files, for editors')
    .addHelpText(
      'after',
      examples([
        'anasazi config schema > anasazi.schema.json',
        '# yaml-language-server: $schema=anasazi.schema.json',
      ]),
    )
    .action(async () => {
      const { jsonSchema } = await import('../../config/schema.ts')
      await terminal.out(json(jsonSchema()))
      context.finish(EXIT.ok)
    })
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`
}
