/** The standalone process: a node, its log, and the signals that end it. */

import type { Logger } from 'pino'
import { describeEvent, type RecordedEvent, severityOf } from '../admin/events.ts'
import type { Config } from '../config/config.ts'
import { createNode, type Node } from '../node/node.ts'
import { openLog } from './log.ts'

/**
 * Runs until SIGTERM or SIGINT, on which the daemon leaves in order; a second signal ends it at once.
 * @throws what kept it from starting, in words: an address in use, a directory that cannot be written.
 */
export async function runDaemon(config: Config): Promise<void> {
  const log = openLog(config.name, config.log.level)
  const node = await createNode({ config })
  follow(node, log.lines)
  const addresses = node
    .describeCells()
    .map(({ name, endpoints }) => `${name}: ${endpoints.join(' ') || 'none'}`)
  log.lines.info(
    { id: node.id, cluster: config.cluster },
    `started; clients connect to ${addresses.join('; ')}`,
  )
  const signal = await ended()
  log.lines.info(`${signal}: leaving; once more ends at once`)
  await node.leave()
  log.lines.info('left')
  await log.close()
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

const signals = ['SIGTERM', 'SIGINT'] as const

/** The first signal. The next one finds nobody, and does to the process what signals do. */
function ended(): Promise<NodeJS.Signals> {
  return new Promise(resolve => {
    const heard = (signal: NodeJS.Signals): void => {
      for (const each of signals) process.off(each, heard)
      resolve(signal)
    }
    for (const each of signals) process.on(each, heard)
  })
}
