/**
 * Loaded into every process of a soak before anything else (`--import`): on SIGUSR2 it collects all garbage and says what
 * is left. How much a process holds at some moment depends mostly on when its collector ran last; a leak is in the rest.
 */

import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Directory for the answers: a file named after the process. */
const DIRECTORY_VARIABLE = 'ANASAZI_SOAK_PROBE'

export interface Probe {
  /** Objects, and memory outside of the heap that belongs to them; after a collection. Bytes. */
  readonly heldBytes: number
}

export function probeFile(directory: string, pid: number): string {
  return join(directory, `probe-${pid}.json`)
}

/** What a process needs in its environment to answer. */
export function probeEnvironment(directory: string): Readonly<Record<string, string>> {
  const options = `${process.env['NODE_OPTIONS'] ?? ''} --import=${builtProbe().href}`.trim()
  return { NODE_OPTIONS: options, [DIRECTORY_VARIABLE]: directory }
}

export function probe(): Probe {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  // What has a finalizer goes with the second one.
  collect()
  collect()
  const { heapUsed, external } = process.memoryUsage()
  return { heldBytes: heapUsed + external }
}

/** A plain Node cannot run TypeScript. */
function builtProbe(): URL {
  const here = import.meta.url
  return new URL(here.endsWith('.ts') ? '../../../dist/cli/soak/probe.js' : './probe.js', here)
}

const directory = process.env[DIRECTORY_VARIABLE]
if (directory !== undefined) {
  process.on('SIGUSR2', () => {
    const file = probeFile(directory, process.pid)
    // Whoever waits for the file must not find half of it.
    writeFileSync(`${file}.part`, JSON.stringify(probe()))
    renameSync(`${file}.part`, file)
  })
}
