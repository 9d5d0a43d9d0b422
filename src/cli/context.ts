/** What commands are given, and how they say how they ended. */

import { hostname } from 'node:os'
import { dirname } from 'node:path'
import type { ConfigContext } from '../config/config.ts'
import type { ExitCode } from './exit.ts'
import type { Connect } from './session.ts'
import type { Terminal } from './terminal.ts'

export interface CommandContext {
  readonly terminal: Terminal
  readonly connect: Connect
  /** Called once by every command that ran. */
  finish(exit: ExitCode): void
}

/** What a configuration takes from this machine where the file says nothing. */
export async function machineContext(): Promise<ConfigContext> {
  const { defaultListenAddress } = await import('../client/channel-socket.ts')
  return { hostName: hostname(), runtime: dirname(defaultListenAddress().replace(/^unix:/, '')) }
}

/** Examples under a command's help. */
export function examples(...lines: readonly (readonly [command: string, what: string])[]): string {
  const width = Math.max(...lines.map(([command]) => command.length))
  const text = lines.map(([command, what]) => `  $ ${command.padEnd(width)}  ${what}`.trimEnd())
  return `\nExamples:\n${text.join('\n')}\n`
}
