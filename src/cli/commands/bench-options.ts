/** The options of `anasazi bench`, and what they choose. */

import { type Command, InvalidArgumentError, Option } from 'commander'
import { type Choices, type Kind, kinds, type Version } from '../bench/row.ts'
import { mergedSettings, type Settings, settingOf } from '../bench/settings.ts'
import type { Iteration, ServiceName } from '../bench/task.ts'
import type { Terrain } from '../bench/underlay.ts'
import { CommandError, EXIT } from '../exit.ts'

/** A turn that others disturbed is run again so often at most: on a machine that is never quiet it must end, too. */
const mostReruns = 2

export interface BenchChoices {
  readonly size?: number[]
  readonly members?: number[]
  readonly senders: ('all' | 'one')[]
  readonly service: ServiceName[]
  readonly iterator: Iteration[]
  readonly rate: number
  readonly background: (number | 'half')[]
  readonly config: readonly Settings[]
  readonly variant: readonly Version[]
  readonly peer: ('corosync' | 'corosync-udpu')[]
  readonly limit: ('raw' | 'direct')[]
  readonly network?: 'loopback' | 'namespaces'
  readonly rateLimit?: number
  readonly delay?: number
  readonly pairs?: number
  readonly repeat?: number
  readonly seconds?: number
  readonly warm?: number
  readonly rerun: boolean
  readonly quick?: true
  readonly json?: true
  readonly html?: string
  readonly profile?: string
}

export function addBenchOptions(command: Command): void {
  addRowOptions(command)
  addSystemOptions(command)
  addTurnOptions(command)
}

function addRowOptions(command: Command): void {
  command
    .option('--size <bytes>', 'of messages, a list (default: 64,1024,8192,65536)', numbers(16, 1 << 20))
    .option('--members <daemons>', 'a list (default: 3,5,8)', numbers(2, 16))
    .addOption(list('--senders <who>', 'who sends: `all`, `one` or both', ['all', 'one'], ['all', 'one']))
    .addOption(
      list('--service <service>', '`agreed`, `safe` or both, in turns', ['agreed', 'safe'], ['agreed']),
    )
    .addOption(
      list(
        '--iterator <how>',
        'clients use `batches()`, `plain` iteration or both, in turns',
        ['batches', 'plain'],
        ['batches'],
      ),
    )
    .option('--rate <messages>', 'a second of each talker, where the load is fixed', positive, 1000)
    .addOption(
      new Option(
        '--background <messages>',
        'a second of all others together, for `loaded`; `half`: of what they can send at most; a list',
      )
        .default([22_000, 'half'], '22000,half')
        .argParser(text => text.split(',').map(word => (word === 'half' ? word : positive(word)))),
    )
}

function addSystemOptions(command: Command): void {
  command
    .addOption(
      list(
        '--peer <system>',
        'compare with `corosync` (knet) or `corosync-udpu`',
        ['corosync', 'corosync-udpu'],
        [],
      ),
    )
    .addOption(
      list(
        '--limit <shape>',
        'also what plain sockets move: `raw`, in the same processes, or `direct`',
        ['raw', 'direct'],
        [],
      ),
    )
    .option(
      '--config <key=value>',
      'a setting of the cells of all our daemons, `limits.windowBytes=524288`; may be repeated',
      (text: string, before: readonly Settings[]) => [...before, settingOption(text)],
      [],
    )
    .option(
      '--variant <settings>',
      'ours once more with other settings, in turns: KEY=VALUE, with commas between them; may be repeated',
      (text: string, before: readonly Version[]) => [...before, versionOption(text)],
      [],
    )
    .addOption(
      new Option(
        '--network <where>',
        'daemons on loopback, or each on a host of its own, MTU 1500 (default: as others must)',
      ).choices(['loopback', 'namespaces']),
    )
    .option('--rate-limit <mbit>', 'a second that each daemon can send to others; needs namespaces', positive)
    .option('--delay <ms>', 'that everything takes between daemons, through the link emulator', positive)
}

function addTurnOptions(command: Command): void {
  command
    .option(
      '--pairs <turns>',
      'how often every variant has its turn (default: 5, with --quick 1)',
      countOption,
    )
    .option(
      '--repeat <times>',
      'how often each turn of `views` does each change (default: 5, with --quick 2)',
      countOption,
    )
    .option('--seconds <seconds>', 'that each turn measures (default: 5, with --quick 1)', positive)
    .option(
      '--warm <seconds>',
      'before, unmeasured, for each daemon of a row (default: 2.5, with --quick 0.2)',
      positive,
    )
    .option('--no-rerun', 'turns that others disturb count as they are (so it is with --quick)')
    .option('--quick', 'one short turn of small rows: to see that it works, not how fast it is')
    .option('--json', 'results as one JSON document')
    .option(
      '--profile <directory>',
      'profiles of our daemons and clients; the report shows where they spend time',
    )
    .option('--html <file>', 'write a report with plots, complete in one file')
}

/** What is measured. @throws CommandError */
export function rowChoices(names: readonly string[], choices: BenchChoices): Choices {
  const all = Object.keys(kinds) as Kind[]
  const unknown = names.find(name => !all.includes(name as Kind))
  if (unknown !== undefined) {
    throw new CommandError(
      EXIT.usage,
      `there is no kind ${JSON.stringify(unknown)}`,
      `It is one of ${all.join(', ')}.`,
    )
  }
  const { senders, service, iterator, peer, limit, rate, background, quick } = choices
  return {
    kinds: names.length === 0 ? all : (names as readonly Kind[]),
    sizes: choices.size ?? (quick ? [64] : [64, 1024, 8192, 65_536]),
    members: choices.members ?? (quick ? [3] : [3, 5, 8]),
    senders,
    services: service,
    iterators: iterator,
    settings: mergedSettings(...choices.config),
    versions: choices.variant,
    peers: peer,
    limits: limit,
    rate,
    background,
    share: quick ? 0.1 : 1,
  }
}

/** What daemons stand on: hosts of their own where anything needs them. */
export function terrainChoices({ network, peer, rateLimit = 0, delay = 0 }: BenchChoices): Terrain {
  const isNeeded = peer.length > 0 || rateLimit > 0
  const namespaces = network === undefined ? isNeeded : network === 'namespaces'
  return { namespaces, rateLimit, delayMs: delay }
}

export interface Turns {
  readonly pairs: number
  readonly repeat: number
  readonly seconds: number
  readonly warmSeconds: number
  readonly mostReruns: number
}

/** @throws CommandError if no cell can have what is to be set, all of it together. */
export async function checkSettings({ settings, versions }: Choices): Promise<void> {
  const { problemOf } = await import('../bench/settings-check.ts')
  for (const version of [{ name: '', settings: {} }, ...versions]) {
    const problem = problemOf(mergedSettings(settings, version.settings))
    if (problem === null) continue
    const where = version.name === '' ? '--config' : `--variant ${version.name}`
    throw new CommandError(EXIT.usage, `${where}: ${problem}`, 'docs/configuration.md has all settings.')
  }
}

/** How long and how often. */
export function turnChoices({ quick, rerun, ...choices }: BenchChoices): Turns {
  return {
    pairs: choices.pairs ?? (quick ? 1 : 5),
    repeat: choices.repeat ?? (quick ? 2 : 5),
    seconds: choices.seconds ?? (quick ? 1 : 5),
    warmSeconds: choices.warm ?? (quick ? 0.2 : 2.5),
    mostReruns: quick || !rerun ? 0 : mostReruns,
  }
}

function settingOption(text: string): Settings {
  try {
    return settingOf(text)
  } catch (error) {
    throw new InvalidArgumentError(`${(error as Error).message}.`)
  }
}

function versionOption(text: string): Version {
  return { name: text, settings: mergedSettings(...text.split(',').map(settingOption)) }
}

/** An option that takes some of these words, with commas between them. */
function list(flags: string, what: string, known: readonly string[], standard: readonly string[]): Option {
  return new Option(flags, `${what}${known.length > 1 ? '; a list' : ''}`)
    .default(standard, standard.join(',') || 'none')
    .argParser((text: string): string[] => {
      const words = text.split(',')
      const wrong = words.find(word => !known.includes(word))
      if (wrong === undefined) return [...new Set(words)]
      throw new InvalidArgumentError(`${JSON.stringify(wrong)} is none of ${known.join(', ')}.`)
    })
}

function numbers(least: number, most: number): (text: string) => number[] {
  return text => {
    const values = text.split(',').map(Number)
    if (values.every(value => Number.isInteger(value) && value >= least && value <= most)) return values
    throw new InvalidArgumentError(`It is whole numbers from ${least} to ${most}, with commas between them.`)
  }
}

function positive(text: string): number {
  const value = Number(text)
  if (text.trim() !== '' && value > 0 && Number.isFinite(value)) return value
  throw new InvalidArgumentError('It must be a number above 0.')
}

function countOption(text: string): number {
  const count = Number(text)
  if (Number.isInteger(count) && count >= 1 && count <= 1000) return count
  throw new InvalidArgumentError('It is a whole number from 1 to 1000.')
}
