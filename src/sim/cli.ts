/** `anasazi sim`. */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { availableParallelism } from 'node:os'
import { type Command, InvalidArgumentError } from 'commander'
import { formatColumns } from './columns.ts'
import { shortScenario } from './preset.ts'
import { huntMutants } from './mutants/command.ts'
import { microseconds, runScale, scaleDefaults, type ScaleFlags, sizes } from './scale/command.ts'
import { production } from './production.ts'
import { formatFailure, formatSummary } from './report.ts'
import { run, type RunResult } from './run.ts'
import { ScenarioError } from './scenario.ts'
import { runSeeds } from './seeds.ts'
import { huntSwarm } from './swarm-command.ts'
import { settingsOf } from './settings.ts'
import { playScenario } from './play.ts'
import type { World } from './world.ts'

interface SimFlags extends ScaleFlags {
  readonly full?: boolean
  readonly seeds?: readonly [number, number]
  readonly scenario?: string
  readonly scale?: boolean
  readonly jobs: number
  readonly failFast?: boolean
  readonly invariants: number
  readonly trace?: string
  readonly mutants?: boolean
  readonly swarm?: boolean
  readonly minutes: number
  readonly keep?: string
  readonly only?: string
}

const help = `
Examples:
  $ anasazi sim --seed 42                   a partition and a merge, one column a member
  $ anasazi sim --seed 42 --full            the full-size run of that seed
  $ anasazi sim --seeds 1-1000              a thousand full-size runs and a summary
  $ anasazi sim --scenario FILE             a directed scenario
  $ anasazi sim --mutants                   takes one rule out at a time: does anything notice?
  $ anasazi sim --swarm --minutes 10        hunts: every option from the seed, rare things made common
  $ anasazi sim --swarm --seed 42           one seed of the swarm; if it fails, as a small scenario
  $ anasazi sim --scale                     hops, frames, bytes and memory by the number of members; minutes
  $ anasazi sim --scale --members 3,8 --daemons 100 --cell-size 8

Exit code: 0 if every check holds, 1 if not, 2 for a command that cannot be understood.`

/** Adds the command `sim`. */
export function registerSim(program: Command): void {
  program
    .command('sim')
    .description('run the system on a simulated network, from a seed, and check every promise')
    .option('--seed <n>', 'run one seed and print what happened', wholeNumber)
    .option('--full', 'with --seed: the full-size run, as --seeds runs it')
    .option('--seeds <from-to>', 'run a range of full-size seeds', range)
    .option('--scenario <file>', 'play a directed scenario')
    .option('--swarm', 'run nastier seeds until time is up, and make small what fails')
    .option('--minutes <n>', 'with --swarm: how long', minutes, 10)
    .option('--keep <dir>', 'with --swarm: write the scenarios of what failed there')
    .option('--jobs <n>', 'threads for --seeds and --swarm', positive, Math.min(2, availableParallelism()))
    .option('--json', 'print the result as JSON')
    .option('--fail-fast', 'with --seeds: stop at the first failure')
    .option('--invariants <n>', 'check internal invariants every n turns', positive, 1)
    .option('--trace <dir>', 'write cell.ndjson and clients.ndjson, for `anasazi verify`')
    .option('--mutants', 'look for missing rules: in a checkout; with --seeds, up to its last seed')
    .option('--only <names>', 'with --mutants: these only, by name or beginning of a name')
    .option('--scale', 'measure what messages, changes and silence cost by the number of members')
    .option('--members <list>', 'with --scale: sizes of a cell', sizes(2, 64), scaleDefaults.members)
    .option(
      '--daemons <list>',
      'with --scale: daemons in many cells',
      sizes(2, 10_000),
      scaleDefaults.daemons,
    )
    .option(
      '--cell-size <list>',
      'with --scale: members of each of these',
      sizes(2, 64),
      scaleDefaults.cellSize,
    )
    .option(
      '--hop <us>',
      'with --scale: microseconds from member to member',
      microseconds(1),
      scaleDefaults.hop,
    )
    .option(
      '--jitter <us>',
      'with --scale: more than that, on average',
      microseconds(0),
      scaleDefaults.jitter,
    )
    .option('--markdown <file>', 'with --mutants or --scale: write the page there')
    .addHelpText('after', help)
    .action(async (flags: SimFlags, command: Command) => {
      if (flags.mutants === true) process.exitCode = await huntMutants({ ...flags, seeds: flags.seeds?.[1] })
      else if (flags.scale === true) process.exitCode = runScale(flags)
      else if (flags.swarm === true) process.exitCode = await huntSwarm({ ...flags, from: flags.seeds?.[0] })
      else if (flags.seeds !== undefined) process.exitCode = await manySeeds(flags, flags.seeds)
      else if (flags.scenario !== undefined) process.exitCode = scenario(flags, flags.scenario)
      else if (flags.seed !== undefined)
        process.exitCode = flags.full === true ? fullSeed(flags, flags.seed) : shortSeed(flags, flags.seed)
      else
        command.error('error: one of --seed, --seeds, --scenario, --swarm, --scale and --mutants is needed', {
          exitCode: 2,
        })
    })
}

function wholeNumber(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 0 || text.trim() === '')
    throw new InvalidArgumentError('a whole number is needed')
  return value
}

function minutes(text: string): number {
  const value = Number(text)
  if (!(value > 0 && value <= 100_000)) throw new InvalidArgumentError('a number above 0 is needed')
  return value
}

function positive(text: string): number {
  const value = wholeNumber(text)
  if (value === 0) throw new InvalidArgumentError('at least 1')
  return value
}

function range(text: string): readonly [number, number] {
  const [from, to, rest] = text.split('-')
  if (rest !== undefined || from === undefined)
    throw new InvalidArgumentError('a range like 1-1000 is needed')
  const first = wholeNumber(from)
  const last = to === undefined ? first : wholeNumber(to)
  if (last < first) throw new InvalidArgumentError('the range ends before it begins')
  return [first, last]
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

function columns(world: World): string {
  const color = process.stdout.isTTY === true && process.env['NO_COLOR'] === undefined
  return formatColumns(world, { color, width: process.stdout.columns ?? 110 })
}

function shortSeed(flags: SimFlags, seed: number): number {
  const { world, violations } = playScenario(shortScenario(seed), production, seed)
  if (flags.trace !== undefined) writeTraces(world, flags.trace)
  const hash = world.recorder.hash()
  if (flags.json === true) print(JSON.stringify({ seed, hash, violations, notes: world.recorder.notes }))
  else {
    print(`seed ${seed}\n`)
    print(columns(world))
    print(legend)
    print(verdict(world, violations, hash))
  }
  return violations.length === 0 ? 0 : 1
}

const legend = `
■ regular configuration   □ transitional configuration   → sent (! safe)   ← delivered   ✗ suspected`

function verdict(world: World, violations: readonly unknown[], hash: string): string {
  const sent = world.recorder.cellLines.filter(line => line.e === 'send' && line.m.includes('+')).length
  const delivered = world.recorder.cellLines.filter(
    line => line.e === 'deliver' && line.m.includes('+'),
  ).length
  const found =
    violations.length === 0
      ? 'every check holds'
      : `${violations.length} VIOLATIONS: ${JSON.stringify(violations, null, 2)}`
  return `${sent} messages, ${delivered} deliveries, ${world.network.counters.delivered} frames in ${(world.now / 1000).toFixed(2)} simulated seconds; ${found}; hash ${hash}`
}

function fullSeed(flags: SimFlags, seed: number): number {
  const settings = settingsOf(seed)
  const { result, world } = run({
    settings,
    parts: production,
    notes: flags.json !== true,
    invariantsEvery: flags.invariants,
  })
  if (flags.trace !== undefined) writeTraces(world, flags.trace)
  if (flags.json === true) print(JSON.stringify({ ...result, settings }))
  else {
    print(`seed ${seed}: ${JSON.stringify(settings)}\n`)
    print(columns(world))
    print(legend)
    print(verdict(world, result.violations, result.hash))
    if (result.violations.length > 0) print(formatFailure(seed, result.violations))
  }
  return result.violations.length === 0 ? 0 : 1
}

async function manySeeds(flags: SimFlags, [from, to]: readonly [number, number]): Promise<number> {
  const showProgress = process.stderr.isTTY === true
  let failures = 0
  const summary = await runSeeds({
    from,
    to,
    jobs: flags.jobs,
    failFast: flags.failFast === true,
    invariantsEvery: flags.invariants,
    progress: (result: RunResult, done: number, total: number) => {
      if (result.violations.length > 0) failures++
      if (showProgress) process.stderr.write(`\r${done} of ${total} runs, ${failures} failed `)
    },
  })
  if (showProgress) process.stderr.write('\r\u001b[K')
  print(flags.json === true ? JSON.stringify(summary) : formatSummary(summary))
  return summary.passed ? 0 : 1
}

function scenario(flags: SimFlags, file: string): number {
  let source: string
  try {
    source = readFileSync(file, 'utf8')
  } catch (error) {
    process.stderr.write(`error: cannot read the scenario ${file}: ${(error as Error).message}\n`)
    return 2
  }
  try {
    const { world, violations } = playScenario(source, production, flags.seed ?? 1)
    if (flags.trace !== undefined) writeTraces(world, flags.trace)
    const hash = world.recorder.hash()
    if (flags.json === true) print(JSON.stringify({ file, hash, violations }))
    else {
      print(columns(world))
      print(legend)
      print(verdict(world, violations, hash))
    }
    return violations.length === 0 ? 0 : 1
  } catch (error) {
    if (!(error instanceof ScenarioError)) throw error
    process.stderr.write(`error: ${file}: ${error.message}\n`)
    return 2
  }
}

function writeTraces(world: World, directory: string): void {
  mkdirSync(directory, { recursive: true })
  const write = (name: string, lines: readonly object[]): void => {
    writeFileSync(join(directory, name), lines.map(line => `${JSON.stringify(line)}\n`).join(''))
  }
  write('cell.ndjson', world.recorder.cellLines)
  write('clients.ndjson', world.recorder.clientLines)
}
