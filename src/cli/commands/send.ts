import type { Command } from 'commander'
import type { Receipt, Session } from '../../client/api.ts'
import type { Service } from '../../core/types.ts'
import { AnasaziError } from '../../lib/errors.ts'
import type { CommandContext } from '../context.ts'
import { examples } from '../context.ts'
import { CommandError, EXIT } from '../exit.ts'
import { lineBatches, LineTooLongError, whole } from '../lines.ts'
import { LineSender } from '../sender.ts'
import { addConnectOptions, openSession } from '../session.ts'
import type { ConnectOptions, OpenedSession } from '../session.ts'
import { counted, painter, shortId } from '../style.ts'
import type { Terminal } from '../terminal.ts'
import { serviceName } from './join.ts'

interface SendCommandOptions extends ConnectOptions {
  readonly whole?: true
  readonly receipts?: true
  readonly json?: true
  readonly service: string
}

export function addSendCommand(program: Command, context: CommandContext): void {
  const command = program
    .command('send')
    .description('send standard input to a group, and end when all of it is delivered')
    .argument('<group>', 'the group; one need not be a member')
    .option('--whole', 'all of standard input is one message, not one a line')
    .option('--service <service>', 'fifo, causal, agreed or safe', serviceName, 'agreed')
    .option('--receipts', 'wait until the fate of every message is settled, and print who received it')
    .option('--json', 'print receipts as one JSON object a line')
  addConnectOptions(command, { name: true })
    .addHelpText(
      'after',
      examples(
        ['anasazi send orders < orders.log', 'one message a line'],
        ['anasazi send --whole --service safe files < picture.png', 'one message'],
        ['echo hello | anasazi send --receipts orders', 'who received it?'],
      ),
    )
    .action(async (group: string, options: SendCommandOptions) => {
      const opened = await openSession(context.terminal, context.connect, options, 'send')
      try {
        await send(opened, group, options, context.terminal)
      } finally {
        await opened.end()
      }
      context.finish(EXIT.ok)
    })
}

async function send(
  opened: OpenedSession,
  group: string,
  options: SendCommandOptions,
  terminal: Terminal,
): Promise<void> {
  const { session } = opened
  const maximum = session.limits.maxMessageBytes
  const interruption = terminal.interruption()
  const messages =
    options.whole === true ? single(terminal.stdin, maximum) : lineBatches(terminal.stdin, maximum)
  const work = options.receipts === true ? sendWithReceipts : sendAll
  const interrupted = new Promise<never>((_resolve, reject) => {
    interruption.addEventListener('abort', () => reject(interruptedError(session)), { once: true })
  })
  try {
    // A loss ends the command at once, not with the next line of the input.
    const lost = opened.lost.then(() => Promise.reject(opened.loss))
    await Promise.race([work(session, group, messages, options, terminal), interrupted, lost])
  } catch (error) {
    // Whatever noticed it first, and whatever that says.
    if (opened.loss !== null) throw lossError(session, opened.loss)
    if (!(error instanceof LineTooLongError)) throw error
    const accepted = counted(session.progress.accepted, 'message')
    const advice = `The limit of the daemon is ${maximum} bytes (messageBytes); ${accepted} before it were sent.`
    throw new CommandError(EXIT.negative, `the input contains ${error.message}`, advice, { cause: error })
  }
}

/** What became of what was sent, when the daemon is lost. */
function lossError(session: Session, why: AnasaziError): AnasaziError {
  const { accepted, delivered } = session.progress
  if (delivered >= accepted) return why
  const particulars = `${delivered} of ${counted(accepted, 'message')} were delivered for certain.`
  return new AnasaziError('fate-unknown', particulars, { cause: why })
}

function interruptedError(session: Session): CommandError {
  const { accepted, delivered } = session.progress
  return new CommandError(EXIT.negative, `interrupted: ${delivered} of ${accepted} messages were delivered`)
}

async function sendAll(
  session: Session,
  group: string,
  messages: AsyncIterable<Uint8Array[]>,
  options: SendCommandOptions,
  terminal: Terminal,
): Promise<void> {
  const sender = new LineSender(session, [group], options.service)
  for await (const batch of messages) await sender.send(batch)
  const receipt = await sender.finish()
  if (terminal.stdoutIsTerminal) {
    const last = receipt === null ? '' : `, the last at ${receipt.position}`
    await terminal.out(`${counted(sender.sent, 'message')} delivered${last}\n`)
  }
}

/** How many receipts may be outstanding. */
const PIPELINE = 1024

async function sendWithReceipts(
  session: Session,
  group: string,
  messages: AsyncIterable<Uint8Array[]>,
  options: SendCommandOptions,
  terminal: Terminal,
): Promise<void> {
  const service = options.service as Service
  const outstanding: Promise<string>[] = []
  const takeOne = async (): Promise<void> => {
    const text = await outstanding.shift()
    if (text !== undefined) await terminal.out(text)
  }
  for await (const batch of messages) {
    for (const message of batch) {
      const line = session
        .sendMany([group], message, { service })
        .then(receipt => receiptText(receipt, options, terminal))
      // It is looked at in its turn; until then an error is not an unhandled one.
      line.catch(() => {})
      outstanding.push(line)
      if (outstanding.length >= PIPELINE) await takeOne()
    }
  }
  while (outstanding.length > 0) await takeOne()
}

async function receiptText(
  receipt: Receipt,
  options: SendCommandOptions,
  terminal: Terminal,
): Promise<string> {
  const fate = await receipt.settled
  const { position, sequence, view } = receipt
  if (options.json === true) {
    return `${JSON.stringify({ sequence, position, view, received: fate.received, unknown: fate.unknown })}\n`
  }
  const paint = painter(terminal.colour)
  const received = fate.received.length === 0 ? 'nobody' : fate.received.map(shortId).join(' ')
  const unknown =
    fate.unknown.length === 0 ? '' : `  ${paint('yellow', 'unknown:')} ${fate.unknown.map(shortId).join(' ')}`
  return `${paint('dim', `${sequence} at ${position}`)}  ${paint('green', 'received:')} ${received}${unknown}\n`
}

async function* single(input: AsyncIterable<Uint8Array>, maximum: number): AsyncGenerator<Uint8Array[]> {
  yield [await whole(input, maximum)]
}
