/** Tests that need more than a bare machine. They are skipped where that is missing, except in CI, where they fail. */

import { spawnSync } from 'node:child_process'
import { describe, it } from 'vitest'

/** Prefix of the names of these tests, by which a run can be checked for having run them. */
export const NETNS = 'netns'

/**
 * Why network namespaces cannot be used here; null if they can. Found out by making one.
 * @param tools further programs that the tests run, such as `nft`.
 */
export function missingForNetns(tools: readonly string[] = []): string | null {
  if (process.platform !== 'linux')
    return `network namespaces are a thing of Linux, this is ${process.platform}`
  if (process.getuid?.() !== 0) return 'network namespaces need root'
  const name = `anasazi-probe-${process.pid}`
  const made = spawnSync('ip', ['netns', 'add', name], { encoding: 'utf8' })
  if (made.error !== undefined)
    return `the program ip cannot be run (${made.error.message}); install iproute2`
  if (made.status !== 0) return `ip netns add fails: ${made.stderr.trim()}`
  const used = spawnSync('ip', ['netns', 'exec', name, 'true'], { encoding: 'utf8' })
  spawnSync('ip', ['netns', 'delete', name])
  if (used.status !== 0) return `ip netns exec fails: ${used.stderr.trim()}`
  for (const tool of tools) {
    const found = spawnSync(tool, ['--version'], { encoding: 'utf8' })
    if (found.error !== undefined) return `the program ${tool} cannot be run (${found.error.message})`
  }
  return null
}

/** `describe` for tests in network namespaces. */
export function describeNetns(name: string, body: () => void, tools: readonly string[] = []): void {
  describeIf(`${NETNS}: ${name}`, missingForNetns(tools), process.env['CI'] === 'true', body)
}

/** `describe`, unless something is missing: then a failing test where all must run, else skipped ones and the reason. */
export function describeIf(name: string, missing: string | null, mustRun: boolean, body: () => void): void {
  if (missing === null) {
    describe(name, body)
    return
  }
  if (mustRun) {
    describe(name, () => {
      it('can run here', () => {
        throw new Error(`${missing}; in CI these tests must run`)
      })
    })
    return
  }
  process.stderr.write(`skipped: ${name}: ${missing}\n`)
  describe.skip(name, body)
}
