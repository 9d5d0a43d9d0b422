import type { Command } from 'commander'
import type { VerifyCounts, VerifyOptions, VerifyResult } from '../../sim/check/verify.ts'
import type { CommandContext } from '../context.ts'
import { examples } from '../context.ts'
import { CommandError, EXIT } from '../exit.ts'
import { messageOf } from '../session.ts'
import { counted, painter, printable } from '../style.ts'
import type { Paint } from '../style.ts'

const SHOWN_IDS = 5

export function addVerifyCommand(program: Command, context: CommandContext): void {
  const { terminal } = context
  program
    .command('verify')
    .description(
      'check traces of daemons and clients; exit code 1 and the property by name if one is violated',
    )
    .argument('<trace...>', 'NDJSON files, as --trace writes them: all those of one run')
    .option('--drained', 'everything sent was delivered and read when the traces end: demand that')
    .option('--partial', 'some traces are missing: demand nothing that only they could show')
    .option('--json', 'the result as one JSON document')
    .addHelpText('after', examples(['anasazi verify n1.ndjson n2.ndjson alice.ndjson', '']))
    .action(async (files: string[], options: VerifyOptions & { readonly json?: true }) => {
      const result = await verify(files, options)
      if (options.json === true) await terminal.out(`${JSON.stringify(result, null, 2)}\n`)
      else await terminal.out(verdictText(result, painter(terminal.colour)))
      context.finish(result.violations.length === 0 ? EXIT.ok : EXIT.negative)
    })
}

async function verify(files: readonly string[], options: VerifyOptions): Promise<VerifyResult> {
  const { verifyTraces } = await import('../../sim/check/verify.ts')
  let result: VerifyResult
  try {
    result = await verifyTraces(files, {
      drained: options.drained === true,
      partial: options.partial === true,
    })
  } catch (cause) {
    if (!isSystemError(cause)) throw cause
    throw new CommandError(EXIT.usage, `a trace cannot be read: ${messageOf(cause)}`, '', { cause })
  }
  if (result.counts.lines > 0 || result.violations.length > 0) return result
  // "No violation" would be true, and would be believed.
  throw new CommandError(EXIT.usage, `there is nothing in ${files.join(', ')}`, 'Record traces with --trace.')
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && typeof (error as NodeJS.ErrnoException).syscall === 'string'
}

/** One line a violation, then the verdict. */
export function verdictText(result: VerifyResult, paint: Paint): string {
  const { violations, counts } = result
  if (violations.length === 0) return `${paint('green', 'good')}: no violation in ${extent(counts)}\n`
  const lines = violations.map(({ property, what, processes, messages }) => {
    const about = [...some(processes), ...some(messages)].map(printable)
    return `${paint('red', property)}: ${printable(what)}${about.length === 0 ? '' : ` [${about.join(' ')}]`}\n`
  })
  const properties = new Set(violations.map(({ property }) => property))
  return `${lines.join('')}${paint('red', 'violated')}: ${[...properties].join(', ')} in ${extent(counts)}\n`
}

function extent(counts: VerifyCounts): string {
  const parts = [
    counted(counts.lines, 'line'),
    counted(counts.files, 'file'),
    counted(counts.daemons, 'daemon'),
    counted(counts.sessions, 'session'),
  ]
  return parts.join(', ') + (counts.torn === 0 ? '' : ` (${counts.torn} torn at its end)`)
}

function some(ids: readonly string[]): string[] {
  return ids.length > SHOWN_IDS ? [...ids.slice(0, SHOWN_IDS), '…'] : [...ids]
}
