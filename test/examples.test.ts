/** The examples, as a reader runs them: with the built package, each in a process of its own. */

import { spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')

/** What each prints, where it is always the same. */
const outputs: Readonly<Record<string, readonly (string | RegExp)[]>> = {
  'lock-service.mjs': [
    '15 turns, 1 at a time, 15 counted',
    'carol has the lock, and her daemon dies',
    'alice has it',
    'alice is cut off: she has lost it, and nobody has it, as no side has a majority',
    'healed: bob has it',
  ],
  'log-fanout.mjs': [
    /^reader-n1 +15000 lines {2}[0-9a-f]{12}$/,
    /^reader-n2 +15000 lines {2}[0-9a-f]{12}$/,
    /^reader-n3 +15000 lines {2}[0-9a-f]{12}$/,
    /^pager +300 lines {2}[0-9a-f]{12}$/,
    'the same order everywhere',
  ],
  'manual-loop.mjs': [
    /^10 moves in [1-9][0-9]* frames$/,
    /^[1-9][0-9]* frames so far with a step in each; the node asked for one [1-9][0-9]* times$/,
  ],
  'receipts-and-fates.mjs': [
    'all are there',
    '  alice: received by alice bob carol; unknown: nobody',
    '  bob: received by alice bob carol; unknown: nobody',
    '  carol: received by alice bob carol; unknown: nobody',
    'carol is cut off when alice sends',
    '  alice: received by alice bob; unknown: carol',
    '  bob: received by alice bob; unknown: carol',
    '  carol: knows of no such message',
    '  both were sent to the same view: true',
    'the daemon of carol dies when she sends',
    '  carol: fate-unknown, worth sending again blindly: false',
  ],
  'replicated-counter.mjs': [
    'together:       alice 6, bob 6, carol 6',
    'n3 is cut off:  alice 36, bob 36, carol 106',
    'merged:         alice 136, bob 136, carol 136',
  ],
  'threads.mjs': [
    /^worker 1: 4000 orders of [a-z]+ and [a-z]+$/,
    /^ {2}in [0-9]+ pieces; it had to be woken [0-9]+ times$/,
    /^worker 2: 4000 orders of [a-z]+ and [a-z]+$/,
    /^ {2}in [0-9]+ pieces; it had to be woken [0-9]+ times$/,
    /^worker 3: 4000 orders of [a-z]+ and [a-z]+$/,
    /^ {2}in [0-9]+ pieces; it had to be woken [0-9]+ times$/,
    '12000 answers',
  ],
}

interface Result {
  readonly code: number | null
  readonly out: string
  readonly errors: string
}

function run(file: string): Promise<Result> {
  const child = spawn(process.execPath, [join('examples', file)], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let out = ''
  let errors = ''
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', code => resolve({ code, out, errors }))
  })
}

test('every example has its output here', () => {
  const files = readdirSync(join(root, 'examples')).filter(name => name.endsWith('.mjs'))
  expect(files.sort()).toEqual(Object.keys(outputs).sort())
  expect(existsSync(join(root, 'dist/index.js')), 'build first: npm run build').toBe(true)
})

test.each(Object.entries(outputs))('%s', async (file, wanted) => {
  const { code, out, errors } = await run(file)
  expect(errors).toBe('')
  const lines = out.trimEnd().split('\n')
  expect(lines.length, out).toBe(wanted.length)
  wanted.forEach((line, i) => {
    if (typeof line === 'string') expect(lines[i]).toBe(line)
    else expect(lines[i]).toMatch(line)
  })
  expect(code).toBe(0)
})
