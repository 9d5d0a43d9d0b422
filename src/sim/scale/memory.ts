/** What a daemon's cell and groups hold of the heap. */

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

let collect: (() => void) | null = null

/** Bytes in use after a full collection: the heap of JavaScript, and buffers outside of it. */
export function usedBytes(): number {
  // The collector can be called only if a flag said so before a context was made.
  if (collect === null) {
    setFlagsFromString('--expose-gc')
    collect = runInNewContext('gc') as () => void
  }
  // What the first leaves, as it was still reachable from something else that dies, the next ones take.
  for (let times = 0; times < 3; times++) collect()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
