/** How a command ends. */

import type { ErrorCode } from '../lib/errors.ts'

export interface ExitCode {
  readonly code: number
  readonly meaning: string
}

/** All exit codes of the program; `--help` and the documentation show this table. */
export const EXIT: {
  readonly ok: ExitCode
  readonly negative: ExitCode
  readonly usage: ExitCode
  readonly connection: ExitCode
  readonly internal: ExitCode
} = {
  ok: { code: 0, meaning: 'done' },
  negative: {
    code: 1,
    meaning:
      'the answer is no: a violation, a wrong configuration, not delivered, nobody there, a daemon that cannot start',
  },
  usage: { code: 2, meaning: 'the command line is wrong, or a file cannot be read' },
  connection: { code: 3, meaning: 'no daemon could be reached, or it was lost on the way' },
  internal: { code: 70, meaning: 'a defect of the program' },
}

/** Ends a command with a sentence instead of a stack. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
  readonly exit: ExitCode
  /** What to do about it; '' if the message says it. */
  readonly advice: string

  constructor(exit: ExitCode, message: string, advice: string = '', options?: ErrorOptions) {
    super(message, options)
    this.exit = exit
    this.advice = advice
  }
}

const BY_CODE: { readonly [Code in ErrorCode]?: ExitCode } = {
  'bad-address': EXIT.usage,
  'bad-argument': EXIT.usage,
  'bad-group-name': EXIT.usage,
  'bad-member': EXIT.usage,
  'bad-position': EXIT.usage,
  'several-cells': EXIT.usage,
  'connection-lost': EXIT.connection,
  'connection-refused': EXIT.connection,
  'daemon-leaving': EXIT.connection,
  evicted: EXIT.connection,
  'fate-unknown': EXIT.connection,
  'handshake-timeout': EXIT.connection,
  protocol: EXIT.connection,
  refused: EXIT.connection,
  'too-many-sessions': EXIT.connection,
  internal: EXIT.internal,
}

/** The exit code for an error of the client library. */
export function exitOf(code: ErrorCode): ExitCode {
  return BY_CODE[code] ?? EXIT.negative
}
