/** Directories that are gone with their owner, also when the process ends before it could tidy up. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export class Scratch {
  readonly directory: string
  private readonly onExit = (): void => rmSync(this.directory, { recursive: true, force: true })

  /** @param directory one that is there already; default: a new one. */
  constructor(directory: string = mkdtempSync(join(tmpdir(), 'anasazi-bench-'))) {
    this.directory = directory
    process.once('exit', this.onExit)
  }

  file(name: string): string {
    return join(this.directory, name)
  }

  close(): void {
    process.removeListener('exit', this.onExit)
    this.onExit()
  }
}
