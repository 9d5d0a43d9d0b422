import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import { describe, expect, it } from 'vitest'
import { EXIT } from './exit.ts'
import { buildProgram } from './program.ts'
import { fakeSession, fakeTerminal } from './terminal.fixture.ts'

const text = readFileSync(new URL('../../docs/cli.md', import.meta.url), 'utf8')
const configuration = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8')
const program = buildProgram({ terminal: fakeTerminal(), connect: fakeSession().connect, finish() {} })

function sectionOf(name: string): string {
  const sections = text.split(/^## /m).filter(section => section.split('\n')[0]?.split(' ').includes(name))
  return sections.join('\n')
}

function withSubcommands(command: Command): Command[] {
  return [command, ...command.commands.flatMap(withSubcommands)]
}

describe('docs/cli.md', () => {
  it.each(program.commands.map(command => [command.name(), command] as const))(
    'explains %s',
    (name, command) => {
      expect(text).toMatch(new RegExp(`^\\| .*\`${name}[ \`]`, 'm'))
      const section = name === 'config' ? configuration : sectionOf(name)
      expect(section).not.toBe('')
      // What all that talk to a daemon have in common is explained once.
      const common = ['--connect', '--name']
      for (const { options } of withSubcommands(command)) {
        for (const { long } of options) {
          if (long !== undefined && long !== null && !common.includes(long))
            expect(section, long).toContain(long)
        }
      }
      for (const long of common) expect(text).toContain(`\`${long} `)
    },
  )

  it('lists the exit codes', () => {
    for (const { code, meaning } of Object.values(EXIT)) expect(text).toContain(`| ${code} | ${meaning} |`)
  })
})
