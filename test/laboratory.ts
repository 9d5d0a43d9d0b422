/** What tests with real processes have in common: a laboratory that is always cleaned up, members, and verdicts. */

import { setTimeout as pause } from 'node:timers/promises'
import { expect, onTestFinished } from 'vitest'
import type { CellStatus, StatusDocument } from '../src/admin/status.ts'
import { Lab, type LabOptions } from '../src/cli/lab/lab.ts'
import { Observer } from '../src/cli/lab/observer.ts'
import { connect, type Group, type Session, type SessionOptions } from '../src/client/index.ts'
import type { VerifyOptions } from '../src/sim/check/verify.ts'
import { verifyTraces } from '../src/sim/check/verify.ts'

/** Pause between two looks at something that does not tell us by itself. */
const LOOK_AGAIN_MS = 20

/**
 * Configuration of a cell for tests that are not about time: on a machine that is busy with other things a daemon or a
 * client may be silent for seconds, which is no failure then.
 */
export const patient: string = [
  '    timeouts: { suspectAfterMs: 10000, stalledAfterMs: 40000 }',
  '    slowClient: { seconds: 30 }',
].join('\n')

/** A laboratory for one test; its processes end with the test, however it ends. */
export async function laboratory(options: LabOptions): Promise<Lab> {
  const lab = await Lab.create(options)
  onTestFinished(async context => {
    if (context.task.result?.state === 'fail') {
      for (const name of lab.names) process.stderr.write(`log of ${name}:\n${lab.log(name)}\n`)
    }
    await lab.close()
  })
  return lab
}

/** Starts all daemons, and waits until they have found each other: what follows is then not mixed with their merging. */
export async function startTogether(lab: Lab): Promise<void> {
  await lab.startAll()
  for (const name of lab.names) await formed(lab, name, lab.names.length)
}

/** Waits until the configuration of a daemon has so many members. */
export async function formed(lab: Lab, name: string, count: number): Promise<void> {
  const session = await connect(lab.url(name))
  try {
    await eventually(async () => {
      const { phase, configuration } = await cellStatus(session)
      return phase === 'operational' && configuration.members.length === count
    })
  } finally {
    await session.close()
  }
}

/** A member of one group. */
export interface Member {
  readonly observer: Observer
  readonly session: Session
  readonly group: Group
}

/** A session at `daemon` that has joined `group` and remembers what it sees. */
export async function enter(
  lab: Lab,
  daemon: string,
  name: string,
  group: string,
  options: SessionOptions = {},
): Promise<Member> {
  const session = await lab.session(daemon, name, options)
  const observer = new Observer(session)
  const [joined] = await observer.join(group)
  return { observer, session, group: joined as Group }
}

/** Waits until all members have a view of so many. */
export async function together(members: readonly Member[], count: number = members.length): Promise<void> {
  for (const { observer, group } of members) {
    await observer.until(
      () => group.members.length === count && observer.views.at(-1)?.members.length === count,
    )
  }
}

/** For what is looked at later: until then its failure is not an unhandled one. */
export function later<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {})
  return promise
}

/** Looks until `holds`; the limit of the test is the limit. */
export async function eventually(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await pause(LOOK_AGAIN_MS)
}

/** What the daemon says of one of its cells. */
export async function cellStatus(session: Session, cell: string = 'main'): Promise<CellStatus> {
  const document = (await session.status()) as StatusDocument
  const found = document.cells[cell]
  if (found === undefined) throw new Error(`the daemon has no cell ${cell}`)
  return found
}

/** Closes what is open, lets the daemons leave, and lets the checkers judge everybody's traces. */
export async function expectGoodTraces(
  lab: Lab,
  members: readonly Member[],
  options: VerifyOptions = {},
): Promise<void> {
  for (const { session } of members) if (!session.closed) await session.close()
  await lab.endAll()
  const { violations, counts } = await verifyTraces(lab.traceFiles, options)
  expect(violations).toEqual([])
  expect(counts.daemons).toBeGreaterThanOrEqual(new Set(members.map(({ session }) => session.daemon)).size)
}

/** What two members have both received, they received in the same order. */
export function expectSameOrder(members: readonly Member[]): void {
  for (const [index, { observer }] of members.entries()) {
    const places = new Map(observer.messages.map(({ position }, place) => [position, place]))
    for (const other of members.slice(index + 1)) {
      const common = other.observer.messages.flatMap(({ position }) => places.get(position) ?? [])
      expect(common.length).toBeGreaterThan(0)
      expect(common).toEqual(common.toSorted((a, b) => a - b))
    }
  }
}
