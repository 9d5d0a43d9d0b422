/** Everything a command sees of the process it runs in; tests give their own. */

import { once } from 'node:events'

export interface Terminal {
  readonly stdin: AsyncIterable<Uint8Array>
  readonly stdinIsTerminal: boolean
  readonly stdoutIsTerminal: boolean
  /** True if escape sequences for colours may be written to standard output. */
  readonly colour: boolean
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Writes to standard output. If it cannot take more now, a promise that resolves when it can. */
  out(text: string): Promise<void> | undefined
  err(text: string): void
  /** Aborted by the first SIGINT, SIGTERM or SIGHUP from now on; a second one ends the process as usual. */
  interruption(): AbortSignal
}

/** https://no-color.org, FORCE_COLOR, and no escape sequences for what is not a terminal. */
export function wantsColour(
  environment: Readonly<Record<string, string | undefined>>,
  isTerminal: boolean,
): boolean {
  if ((environment['NO_COLOR'] ?? '') !== '') return false
  const forced = environment['FORCE_COLOR']
  if (forced !== undefined) return forced !== '0' && forced !== 'false'
  return isTerminal && environment['TERM'] !== 'dumb'
}

/** The terminal of this process. */
export function processTerminal(): Terminal {
  const { stdin, stdout, stderr, env } = process
  // Whoever reads our output may stop at any time (`| head`); that is not an error.
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
    process.exit(0)
  })
  stderr.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
  })
  let interruption: AbortSignal | null = null
  return {
    stdin,
    stdinIsTerminal: stdin.isTTY === true,
    stdoutIsTerminal: stdout.isTTY === true,
    colour: wantsColour(env, stdout.isTTY === true),
    environment: env,
    out(text) {
      return stdout.write(text) ? undefined : once(stdout, 'drain').then(() => {})
    },
    err(text) {
      stderr.write(text)
    },
    interruption() {
      interruption ??= signalled()
      return interruption
    },
  }
}

function signalled(): AbortSignal {
  const controller = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => controller.abort(signal))
  }
  return controller.signal
}
