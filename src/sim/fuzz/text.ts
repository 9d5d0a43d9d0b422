/** What people write, and what programs write for people: configurations, scenarios, traces. */

import { limitNames, limitTable, timeoutNames, timeoutTable } from '../../config/limits.ts'
import { parseConfig } from '../../config/parse.ts'
import { ConfigError } from '../../config/problems.ts'
import type { Random } from '../../lib/prng.ts'
import { CellChecker } from '../check/cell.ts'
import { GroupChecker } from '../check/groups.ts'
import { parseTraceLine } from '../check/parse.ts'
import type { Violation } from '../check/report.ts'
import { shortScenario } from '../preset.ts'
import { parseScenario, ScenarioError } from '../scenario.ts'
import { traces } from './corpus.ts'
import { judgeEqual, judgeError, judgeSize, shorten } from './judge.ts'
import { mutateData, mutateText } from './mutate.ts'
import { demand, type Target } from './target.ts'

const context = { hostName: 'host', runtime: '/run/anasazi' }

function everyNumber(
  names: readonly string[],
  table: Readonly<Record<string, { readonly default: number }>>,
): string {
  return names.map(name => `${name}: ${table[name]?.default}`).join(', ')
}

const configurations: readonly string[] = [
  '',
  'name: n1\n',
  `name: n1
cluster: lab
runtime: /run/anasazi
log: { level: debug }
trace: off
cells:
  main:
    listen: 10.0.0.1:4803
    peers: { n1: 10.0.0.1:4803, n2: 10.0.0.2:4803, n3: "[::1]:4803" }
    groups: ['*']
    thread: host
    clients: { unix: off, tcp: 127.0.0.1:4804 }
    slowClient: { bytes: 67108864, seconds: 2, policy: evict }
`,
  `cells:
  wan:
    listen: off
    groups: ['wan.*', 'x?']
    thread: dedicated
    transport: auto
    multicast: 239.192.0.1:4803
    interface: 10.0.0.1
    mtu: 9000
    timeouts: { heartbeatMs: 200, suspectAfterMs: 2000 }
    limits: { messageBytes: 1048576, sessions: 100 }
  main: { groups: ['*'], listen: "localhost:9" }
`,
  `cells: { main: { limits: { ${everyNumber(limitNames, limitTable)} } } }\n`,
  `cells: { main: { timeouts: { ${everyNumber(timeoutNames, timeoutTable)} } } }\n`,
]

export const configTarget: Target = {
  name: 'config',
  about: 'configuration files',
  few: 400,
  prepare() {
    for (const text of configurations) parseConfig(text, 'corpus', context)
    return {
      corpus: configurations.length,
      run(random, show) {
        const text = mutateText(random, random.pick(configurations), configurations)
        show(text)
        const once = readConfig(text)
        judgeEqual(readConfig(text), once, 'read twice')
        return typeof once === 'string'
          ? `refused: ${once.split('\n').length > 1 ? 'several problems' : 'one'}`
          : 'read'
      },
    }
  },
}

/** The configuration, or all that is wrong with it. */
function readConfig(text: string): unknown {
  try {
    const config = parseConfig(text, 'fuzz.yaml', context)
    // Files may use aliases: what comes out may be larger than what went in, within the parser's bound.
    judgeSize(config, 10_000 + text.length)
    return config
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    const lines = text.split('\n').length
    demand(error.problems.length > 0, 'refused without a problem')
    demand(error.problems.length <= 100 + text.length, `${error.problems.length} problems`)
    for (const { line, column, message } of error.problems) {
      demand(
        line >= 0 && line <= lines && column >= 0,
        `a problem in line ${line} of ${lines}, column ${column}`,
      )
      demand(message.length > 5 && message.length < 4000, `a problem told in ${message.length} characters`)
    }
    return error.message
  }
}

const scenarios: readonly string[] = [
  shortScenario(1),
  `members 3
option loss 0.1
start all
client alice n1
client bob n2
join alice orders
join bob orders,other
at 2s send alice orders count=3 size=100 service=safe
send alice @bob
cut n1 | n2 n3
clog n1 > n2
wait 50ms
unclog n1 > n2
mend n1 | n2 n3
drop kind=install to=n2 from=n1 count=1
hold kind=plan to=n2
undrop kind=plan
release
heal
pause n1
resume n1
slow n1 20ms
lag alice 100ms
when n1 sends plan: kill n1
when n2 enters recover: cut n2 - n3
kill n3 silently
restart n3
leave n2
leave alice orders
close alice
die bob
wait stable
expect view n1,n2
expect received bob 5
expect same n1,n2
expect installs n1 <= 3
expect covered three-way merge
`,
]

export const scenarioTarget: Target = {
  name: 'scenario',
  about: 'scenarios of the simulator',
  few: 1000,
  prepare: () => ({
    corpus: scenarios.length,
    run(random, show) {
      const text = mutateText(random, random.pick(scenarios), scenarios)
      show(text)
      try {
        const steps = parseScenario(text)
        judgeSize(steps, 4000 + 64 * text.length)
        demand(
          steps.every(({ line }) => line >= 1 && line <= text.split('\n').length),
          'a step of a line that is not there',
        )
        return 'read'
      } catch (error) {
        judgeError(error, own => own instanceof ScenarioError)
        return 'refused'
      }
    },
  }),
}

export const traceTarget: Target = {
  name: 'trace',
  about: 'traces of daemons and clients, as `anasazi verify` reads and judges them',
  few: 60,
  prepare() {
    const corpus = traces().map(({ cell, clients }) =>
      [...cell, ...clients].map(line => JSON.stringify(line)),
    )
    const words = corpus.flat().flatMap(line => line.match(/"[^"]*"/g) ?? [])
    const texts = [...new Set(words)].map(word => JSON.parse(word) as string)
    const all = corpus.flat()
    return {
      corpus: all.length,
      run(random, show) {
        const lines = changeLines(random, random.pick(corpus), all, texts, show)
        const violations = verify(lines, random)
        for (const { property, what } of violations) {
          demand(
            property.length > 0 && what.length > 0,
            `a violation without words: ${shorten({ property, what })}`,
          )
        }
        demand(
          violations.length <= 100 + 10 * lines.length,
          `${violations.length} violations in ${lines.length} lines`,
        )
        return violations.length === 0 ? 'nothing found' : `violated: ${violations[0]?.property}`
      },
    }
  },
}

function changeLines(
  random: Random,
  input: readonly string[],
  others: readonly string[],
  words: readonly string[],
  show: (what: string) => void,
): string[] {
  const lines = [...input]
  // A part of it is enough most of the time.
  if (random.chance(0.7)) lines.splice(random.int(lines.length), lines.length)
  if (random.chance(0.5)) lines.splice(0, random.int(lines.length))
  for (let steps = random.pick([1, 2, 10]); steps > 0 && lines.length > 0; steps--) {
    const at = random.int(lines.length)
    const line = lines[at] as string
    const draw = random.int(4)
    if (draw === 0) lines.splice(at, random.int(4))
    else if (draw === 1) lines.splice(at, 0, random.pick(others))
    else if (draw === 2) lines[at] = mutateText(random, line, others)
    else lines[at] = changeLine(random, line, words)
    show(`line ${at}: ${shorten(lines[at])}`)
  }
  return lines
}

function changeLine(random: Random, line: string, words: readonly string[]): string {
  try {
    return JSON.stringify(mutateData(random, JSON.parse(line) as unknown, words))
  } catch {
    return line // changed before, and no JSON any more
  }
}

/** As `anasazi verify` does with the lines of a file. */
function verify(lines: readonly string[], random: Random): Violation[] {
  const cell = new CellChecker()
  const clients = new GroupChecker()
  for (const text of lines) {
    const parsed = parseTraceLine(text)
    if (typeof parsed === 'string') {
      demand(parsed.length > 5 && parsed.length < 1000 + text.length, 'a line is refused without a sentence')
      continue
    }
    judgeEqual(parseTraceLine(JSON.stringify(parsed.line)), parsed, 'a line, written and read again')
    if (parsed.level === 'cell') cell.line(parsed.line)
    else clients.line(parsed.line)
  }
  const options = { drained: random.chance(0.5), partial: random.chance(0.5) }
  return [...cell.finish(options), ...clients.finish({ ...options, dead: cell.failed() })]
}
