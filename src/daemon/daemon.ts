/** The standalone process: a node, its log, and the signals that end it. */

import type { Logger } from 'pino'
import { pino } from 'pino'
import { describeEvent, type RecordedEvent, severityOf } from '../admin/events.ts'
import type { Config } from '../config/config.ts'
import { createNode, type Node } from '../node/node.ts'

/**
 * Runs until SIGTERM or SIGINT, on which the daemon leaves in order; a second signal ends it at once.
 * @throws what kept it from starting, in words: an address in use, a directory that cannot be written.
 */
export async function runDaemon(config: Config): Promise<void> {
  const log = pino(
    { level: config.log.level, base: { name: config.name } },
    pino.destination({ fd: 2, sync: true }),
  )
  const node = await createNode({ config })
  follow(node, log)
  const addresses = node
    .describeCells()
    .map(({ name, endpoints }) => `${name}: ${endpoints.join(' ') || 'none'}`)
  log.info({ id: node.id, cluster: config.cluster }, `started; clients connect to ${addresses.join('; ')}`)
  const signal = await ended()
  log.info(`${signal}: leaving; once more ends at once`)
  process.once(signal, () => process.exit(128 + 15))
  await node.leave()
  log.info('left')
}

/** What operators may want to know goes to the log as it happens. */
function follow(node: Node, log: Logger): void {
  const tell = ({ event, count }: RecordedEvent): void => {
    const words = count > 1 ? `${describeEvent(event)} (${count} times)` : describeEvent(event)
    log[severityOf(event)]({ cell: event.cell, event: event.type }, words)
  }
  for (const recorded of node.events.recent()) tell(recorded)
  node.events.subscribe(tell)
}

function ended(): Promise<NodeJS.Signals> {
  return new Promise(resolve => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(signal))
  })
}
