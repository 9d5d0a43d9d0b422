import { InvalidArgumentError } from 'commander'
import type { Command } from 'commander'
import type { Session } from '../../client/api.ts'
import type { CommandContext } from '../context.ts'
import { examples } from '../context.ts'
import { EXIT } from '../exit.ts'
import { lineBatches } from '../lines.ts'
import { humanPrinter, jsonPrinter } from '../print.ts'
import type { Printer } from '../print.ts'
import { LineSender } from '../sender.ts'
import { addConnectOptions, openSession } from '../session.ts'
import type { ConnectOptions } from '../session.ts'
import { counted, painter, shortId } from '../style.ts'
import type { Terminal } from '../terminal.ts'

interface JoinOptions extends ConnectOptions {
  readonly json?: true
  readonly send?: boolean
  readonly count?: number
  readonly service: string
}

export function addJoinCommand(program: Command, context: CommandContext): void {
  const command = program
    .command('join')
    .description('join groups and print their events in order; lines of standard input are sent to them')
    .argument('<group...>', 'the groups')
    .option('--json', 'one JSON object a line; the payload is in data, or in dataBase64 if it is not UTF-8')
    .option('--send', 'send lines also if standard input is a terminal')
    .option('--no-send', 'do not read standard input')
    .option('--service <service>', 'fifo, causal, agreed or safe, for what is sent', serviceName, 'agreed')
    .option('--count <messages>', 'end after so many messages', positive)
  addConnectOptions(command, { name: true })
    .addHelpText(
      'after',
      examples(
        ['anasazi join orders', 'watch until Ctrl-C'],
        ['tail -f log | anasazi join orders', 'send lines, and see them among those of others'],
        ['anasazi join --json orders | jq .', 'for programs; docs/cli.md has the fields'],
        ['anasazi join --count 1 go', 'wait for a message'],
      ),
    )
    .action(async (groups: string[], options: JoinOptions) => {
      await join([...new Set(groups)], options, context)
      context.finish(EXIT.ok)
    })
}

async function join(groups: readonly string[], options: JoinOptions, context: CommandContext): Promise<void> {
  const { terminal } = context
  const interruption = terminal.interruption()
  const { session, end } = await openSession(terminal, context.connect, options, 'join')
  const paint = painter(terminal.colour)
  try {
    // Before the first join, so that nothing is missed.
    const batches = session.batches()
    const print = options.json === true ? jsonPrinter() : humanPrinter(paint, groups)
    const printing = printEvents(batches, print, options.count ?? Number.POSITIVE_INFINITY, terminal)
    const stop = new Promise<void>(resolve => {
      if (interruption.aborted) resolve()
      interruption.addEventListener('abort', () => resolve(), { once: true })
    })
    const joining = Promise.all(groups.map(group => session.join(group, { signal: interruption })))
    await Promise.race([joining, printing])
    if (options.json !== true && terminal.stdoutIsTerminal) {
      terminal.err(
        paint('dim', `${shortId(session.id)} joined ${counted(groups.length, 'group')}; Ctrl-C ends\n`),
      )
    }
    const sends = options.send ?? !terminal.stdinIsTerminal
    // The end of the input is not the end of the command: others go on.
    const sending = sends ? sendInput(session, groups, options.service, terminal) : Promise.resolve()
    await Promise.race([printing, stop, sending.then(() => Promise.race([printing, stop]))])
  } finally {
    await end()
  }
}

async function sendInput(
  session: Session,
  groups: readonly string[],
  service: string,
  terminal: Terminal,
): Promise<void> {
  const sender = new LineSender(session, groups, service)
  for await (const lines of lineBatches(terminal.stdin, session.limits.maxMessageBytes))
    await sender.send(lines)
  await sender.finish()
}

/** Resolves when `count` messages were printed or the events end. */
async function printEvents(
  batches: ReturnType<Session['batches']>,
  print: Printer,
  count: number,
  terminal: Terminal,
): Promise<void> {
  let left = count
  for await (const batch of batches) {
    let text = ''
    for (const event of batch) {
      text += print(event)
      if (event.type === 'message' && --left === 0) break
    }
    const drained = terminal.out(text)
    if (drained !== undefined) await drained
    if (left === 0) return
  }
}

export function serviceName(text: string): string {
  if (['fifo', 'causal', 'agreed', 'safe'].includes(text)) return text
  throw new InvalidArgumentError('Must be fifo, causal, agreed or safe.')
}

function positive(text: string): number {
  const value = Number(text)
  if (Number.isSafeInteger(value) && value > 0) return value
  throw new InvalidArgumentError('Must be a whole number, 1 or more.')
}
