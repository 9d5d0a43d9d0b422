/** Looks for mutants: each in a patched copy of the build, in a process of its own. */

import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { setPriority } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { checkPatches, copyBuild, patchBuild } from './build.ts'
import type { ChildLine, Orders } from './child.ts'
import type { Finding, Mutant, Patch, Verdict } from './mutant.ts'

/** A run that takes this long does not end; that is a finding. */
const STUCK_MS = 300_000

/** Where no finding is expected. */
const SEEDS_IF_IMPLIED = 50

export interface Hunt {
  readonly mutants: readonly Mutant[]
  /** Seeds 1 … this are tried for each. */
  readonly seeds: number
  /** Processes at a time. */
  readonly jobs: number
  /** Directory of the built code. */
  readonly build: string
  /** Directory of the scenarios. */
  readonly scenarios: string
  readonly progress?: (verdict: Verdict) => void
}

export interface Quarry {
  readonly verdicts: readonly Verdict[]
  /** The unpatched copy over the same scenarios, and over every seed up to the last one that found something. */
  readonly control: { readonly finding: Finding | null; readonly scenarios: number; readonly seeds: number }
}

/** @throws PatchError, before anything runs, if the table does not fit the build. */
export async function hunt(options: Hunt): Promise<Quarry> {
  for (const { patches } of options.mutants) checkPatches(options.build, patches)
  const results: Verdict[] = []
  const queue = [...options.mutants]
  const worker = async (): Promise<void> => {
    for (let mutant = queue.shift(); mutant !== undefined; mutant = queue.shift()) {
      const verdict = await tryMutant(mutant, options)
      results.push(verdict)
      options.progress?.(verdict)
    }
  }
  await Promise.all(Array.from({ length: options.jobs }, worker))
  const verdicts = options.mutants.map(
    mutant => results.find(verdict => verdict.mutant === mutant) as Verdict,
  )
  const names = new Set(verdicts.flatMap(({ mutant }) => mutant.scenarios ?? []))
  const seeds = Math.max(0, ...verdicts.map(verdict => verdict.seeds))
  const control = await runPatched([], { scenarios: load([...names], options), seeds }, options)
  return { verdicts, control }
}

async function tryMutant(mutant: Mutant, options: Hunt): Promise<Verdict> {
  const before = process.hrtime.bigint()
  const seeds = mutant.implied === undefined ? options.seeds : Math.min(options.seeds, SEEDS_IF_IMPLIED)
  const orders: Orders = { scenarios: load(mutant.scenarios ?? [], options), seeds }
  const found = await runPatched(mutant.patches, orders, options)
  return { mutant, ...found, elapsedMs: Number(process.hrtime.bigint() - before) / 1e6 }
}

function load(names: readonly string[], { scenarios }: Hunt): Orders['scenarios'] {
  return names.map(name => ({ name, source: readFileSync(join(scenarios, `${name}.scenario`), 'utf8') }))
}

interface Found {
  readonly finding: Finding | null
  readonly scenarios: number
  readonly seeds: number
}

async function runPatched(patches: readonly Patch[], orders: Orders, options: Hunt): Promise<Found> {
  const copy = copyBuild(options.build)
  try {
    patchBuild(copy.directory, patches)
    const file = join(copy.directory, 'sim', 'mutants', 'child.js')
    const child = spawn(process.execPath, [file, JSON.stringify(orders)], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    try {
      return await listen(child, orders)
    } finally {
      if (child.exitCode === null) child.kill('SIGKILL')
    }
  } finally {
    copy.remove()
  }
}

/** Follows a child to its end, or to the first finding. */
async function listen(child: ChildProcess, orders: Orders): Promise<Found> {
  if (child.pid !== undefined) setPriority(child.pid, 10)
  const ended = new Promise<string>(resolve => {
    child.on('exit', (code, signal) => resolve(signal ?? `exit code ${code}`))
  })
  let errors = ''
  child.stderr?.on('data', (chunk: Buffer) => (errors = (errors + chunk.toString()).slice(-2000)))
  let ready = false
  let stuck = false
  let scenarios = 0
  let seeds = 0
  const next = (): Pick<Finding, 'by' | 'where'> => {
    const name = orders.scenarios[scenarios]?.name
    return name === undefined ? { by: 'seed', where: String(seeds + 1) } : { by: 'scenario', where: name }
  }
  const watch = setTimeout(() => {
    stuck = true
    child.kill('SIGKILL')
  }, STUCK_MS)
  try {
    for await (const text of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
      watch.refresh()
      const line = JSON.parse(text) as ChildLine
      if ('ready' in line) {
        ready = true
        continue
      }
      if (line.by === 'scenario') scenarios++
      else seeds++
      if (line.violation === null) continue
      const { property, detail } = line.violation
      // A patch that breaks the code proves nothing of the rule.
      if (/\b(ReferenceError|TypeError|SyntaxError|ScenarioError)\b/.test(detail))
        throw new Error(`${line.by} ${line.where}: not a violation but broken code: ${detail}`)
      return { finding: { by: line.by, where: line.where, property, detail }, scenarios, seeds }
    }
    const end = await ended
    const done = scenarios === orders.scenarios.length && seeds === orders.seeds
    if (done) return { finding: null, scenarios, seeds }
    if (!ready) throw new Error(`the patched code cannot be loaded (${end}): ${errors}`)
    const property = stuck ? 'every run ends' : 'no exception'
    const detail = stuck ? `no result after ${STUCK_MS / 1000} s` : `${end}: ${errors}`
    return { finding: { ...next(), property, detail }, scenarios, seeds }
  } finally {
    clearTimeout(watch)
  }
}
