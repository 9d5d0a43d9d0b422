/** `anasazi sim --mutants`: proves that the simulator would notice if a rule were missing. */

import { existsSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { hunt } from './hunt.ts'
import { formatControl, formatMarkdown, formatVerdict, isComplete } from './print.ts'
import { rules } from './rules.ts'

export interface MutantFlags {
  /** Names or beginnings of names, separated by commas. */
  readonly only?: string
  /** Seeds 1 … this. */
  readonly seeds?: number | undefined
  /** Processes at a time; at most 2. */
  readonly jobs?: number
  readonly json?: boolean
  /** File to write the table to. */
  readonly markdown?: string
}

const DEFAULT_SEEDS = 300

function fromBuild(path: string): string {
  return fileURLToPath(new URL(path, import.meta.url))
}

/** @returns the exit code: 1 if a mutant survives or the unpatched copy fails, 2 if the request cannot be understood. */
export async function huntMutants(flags: MutantFlags): Promise<number> {
  const build = fromBuild('../../')
  const scenarios = fromBuild('../../../test/scenarios/')
  if (!existsSync(scenarios))
    return refuse(`there is no ${scenarios}; mutants are hunted in a checkout of the repository`)
  const wanted = flags.only?.split(',')
  const mutants = rules.filter(({ name }) => wanted?.some(prefix => name.startsWith(prefix)) ?? true)
  if (mutants.length === 0)
    return refuse(`no mutant is named '${flags.only}': ${rules.map(({ name }) => name).join(' ')}`)
  const quarry = await hunt({
    mutants,
    seeds: flags.seeds ?? DEFAULT_SEEDS,
    jobs: Math.max(1, Math.min(2, flags.jobs ?? 2)),
    build,
    scenarios,
    progress: verdict => {
      if (flags.json !== true) print(formatVerdict(verdict))
    },
  })
  if (flags.json === true) print(JSON.stringify(plain(quarry)))
  else print(formatControl(quarry))
  if (flags.markdown !== undefined) writeFileSync(flags.markdown, formatMarkdown(quarry))
  return isComplete(quarry) ? 0 : 1
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

function refuse(what: string): number {
  process.stderr.write(`error: ${what}\n`)
  return 2
}

/** The result as data, without the patches. */
function plain({ verdicts, control }: Awaited<ReturnType<typeof hunt>>): object {
  return {
    complete: isComplete({ verdicts, control }),
    mutants: verdicts.map(({ mutant, ...verdict }) => ({
      name: mutant.name,
      chapter: mutant.chapter,
      rule: mutant.rule,
      mutation: mutant.mutation,
      ...verdict,
    })),
    control,
  }
}
