/** Whether a cell can have settings: asks those who read configurations, so it is loaded when it is needed. */

import { parseConfig } from '../../config/parse.ts'
import { ConfigError } from '../../config/problems.ts'
import { cellLines, type Settings } from './settings.ts'

/** What the benchmark sets itself. */
const given = ['peers', 'listen', 'groups', 'clients']

/** What is wrong with these settings, in words; null if nothing is. */
export function problemOf(settings: Settings): string | null {
  const taken = given.find(key => Object.hasOwn(settings, key))
  if (taken !== undefined) return `${taken}: is what the benchmark itself sets`
  const cell = ['cells:', '  main:', '    peers: { n1: 127.0.0.1:4803 }', ...cellLines(settings)].join('\n')
  try {
    parseConfig(cell, 'cell', { hostName: 'n1', runtime: '/tmp', name: 'n1' })
    return null
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.problems.map(each => `${each.path.replace('cells.main.', '')}: ${each.message}`).join('; ')
  }
}
