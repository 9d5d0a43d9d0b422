/** A process with many sessions, which somebody else will kill. */

import { closeSync, openSync, writeSync } from 'node:fs'
import { AnasaziError, connect, type Session } from '../../client/index.ts'
import type { Terminal } from '../terminal.ts'

/** Sessions in one group. */
export const crowdGroupSize = 10
/** Fewer at a time than may wait for their handshake. */
const atATime = 100

export interface CrowdOptions {
  /** The daemon. */
  readonly address: string
  /** File for the traces of all sessions together. */
  readonly trace: string
  readonly count: number
}

/** Opens sessions that join groups of ten, says so on standard output, and reads until it is interrupted. */
export async function runCrowd({ address, trace, count }: CrowdOptions, terminal: Terminal): Promise<void> {
  const fd = openSync(trace, 'a')
  const record = (line: object): void => void writeSync(fd, `${JSON.stringify(line)}\n`)
  const over = terminal.interruption()
  const sessions: Session[] = []
  while (sessions.length < count) {
    const first = sessions.length
    const some = Array.from({ length: Math.min(atATime, count - first) }, (_, i) => first + i)
    const opened = await Promise.all(
      some.map(index => connect(address, { name: `c${index}`, trace: record })),
    )
    for (const session of opened) void read(session)
    sessions.push(...opened)
    await Promise.all(opened.map((session, i) => session.join(crowdGroup(first + i))))
  }
  await terminal.out('all are in\n')
  if (!over.aborted) await new Promise(resolve => over.addEventListener('abort', resolve))
  await Promise.all(sessions.map(session => session.close()))
  closeSync(fd)
}

function crowdGroup(index: number): string {
  return `crowd-${Math.floor(index / crowdGroupSize)}`
}

async function read(session: Session): Promise<void> {
  try {
    for await (const batch of session.batches()) for (const event of batch) void event
  } catch (error) {
    if (!(error instanceof AnasaziError)) throw error
  }
}
