/**
 * Directed scenarios as text. One command a line, `#` begins a comment; commands happen one after the other, `at 2s` or `wait 50ms`
 * in front of them moves the clock.
 *
 *     members 3                       how many hosts; first line
 *     option loss 0.1                 a link option, a limit, a timeout, or `maxTimestamp`
 *     start n1 n2 | start all
 *     cut n1 | n2 n3                  both ways between the sides; `cut n1 > n2 n3` one way; `cut n1 - n2` this pair, both ways
 *     heal                            ends cuts, clogs, lost frames, bad links and pauses
 *     calm                            from now on the links lose and damage next to nothing
 *     clog n1 > n2, unclog n1 > n2    nothing passes, nothing is lost; `unclog n1 > n2 swizzled` lets it out in any order
 *     link n1 > n2 loss=0.1 baseMs=5  these links are worse than the rest; `link n1 > n2` makes them as the rest again
 *     mend n1 | n2 n3                 ends one cut of these links
 *     drop kind=install to=n2 from=n1 count=1
 *     hold kind=plan to=n2            takes what `drop` takes, but keeps it
 *     undrop, undrop kind=plan        from now on this is neither dropped nor held; without fields nothing is
 *     release                         nothing more is held, and what is held is sent now
 *     kill n1                         its peers are refused; `kill n1 refused=0.5` each by chance, `kill n1 silently` none
 *     restart n1, pause n1, resume n1, leave n1, slow n1 20ms
 *     client alice n1                 a session named alice at n1
 *     join alice orders, leave alice orders, send alice orders count=3 size=100 service=safe
 *     send alice a,b sizes=1,20       messages packed together, to two groups; `discard=self`: not to itself
 *     send alice @bob                 a private message
 *     ask alice 3                     what became of the message it read three before the last
 *     close alice, die alice, lag alice 100ms (it does not read for so long)
 *     when n1 sends plan: kill n1     once, when n1 sends (or receives) a frame of that kind, or enters a phase (`when n1 enters recover`)
 *     for 1..9: join c$ g$%3          nine times, with 1 to 9 for `$` and the rest of dividing it by 3 for `$%3`
 *     wait stable                     until nothing changes any more
 *     expect view n1,n2               these and no others are in one configuration
 *     expect received bob 5           messages read by a client so far
 *     expect together                 once stable, whoever can reach each other is in one configuration
 *     expect same n1,n2               they delivered the same sequence
 *     expect installs n1 <= 3         regular configurations so far, its first included
 *     expect covered three-way merge
 */

import type { Frame } from '../core/frames.ts'
import { calmLink, type LinkProfile } from './network.ts'
import type { Service } from '../core/types.ts'
import { hostOf } from './hosts.ts'

export class ScenarioError extends Error {
  constructor(line: number, text: string, what: string) {
    super(`line ${line}: ${what}: ${text}`)
    this.name = 'ScenarioError'
  }
}

type Kind = Frame['kind']

/** From host to host. */
export type Pairs = readonly (readonly [number, number])[]

export type Command =
  | { readonly do: 'members'; readonly count: number }
  | { readonly do: 'option'; readonly name: string; readonly value: number }
  | {
      readonly do: 'start' | 'restart' | 'pause' | 'resume' | 'leave host'
      readonly hosts: readonly number[]
    }
  | {
      readonly do: 'kill'
      readonly hosts: readonly number[]
      /** Chance, for each peer, that it is refused. */
      readonly refused: number
    }
  | { readonly do: 'slow'; readonly host: number; readonly ms: number }
  | {
      readonly do: 'cut' | 'mend' | 'clog' | 'unclog'
      readonly pairs: Pairs
      /** As it was written: what ends something has the label of what began it. */
      readonly label: string
      /** Of `unclog`. */
      readonly swizzled: boolean
    }
  | {
      readonly do: 'link'
      readonly pairs: Pairs
      readonly label: string
      /** What differs from a calm link; null: as all the others again. */
      readonly profile: Partial<LinkProfile> | null
    }
  | { readonly do: 'heal' | 'calm' | 'release' | 'wait stable' }
  | {
      readonly do: 'drop' | 'hold' | 'undrop'
      readonly kind: Kind | '*'
      readonly from: number | null
      readonly to: number | null
      readonly count: number
      readonly probability: number
    }
  | { readonly do: 'client'; readonly client: string; readonly host: number }
  | { readonly do: 'join' | 'leave'; readonly client: string; readonly group: string }
  | {
      readonly do: 'send'
      readonly client: string
      readonly groups: readonly string[]
      readonly to: string | null
      /** So many times these sizes, packed together. */
      readonly count: number
      readonly sizes: readonly number[]
      readonly service: Service
      readonly selfDiscard: boolean
    }
  | { readonly do: 'ask'; readonly client: string; readonly back: number }
  | { readonly do: 'close' | 'die'; readonly client: string }
  | { readonly do: 'lag'; readonly client: string; readonly ms: number }
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'at'; readonly ms: number }
  | {
      readonly do: 'when'
      readonly host: number
      readonly event: 'sends' | 'receives' | 'enters'
      readonly what: string
      readonly action: Command
    }
  | { readonly do: 'expect view' | 'expect same'; readonly hosts: readonly number[] }
  | { readonly do: 'expect together' }
  | { readonly do: 'expect received'; readonly client: string; readonly count: number }
  | { readonly do: 'expect installs'; readonly host: number; readonly most: number }
  | { readonly do: 'expect covered'; readonly mark: string }

export interface Step {
  /** Line number in the file, from 1. */
  readonly line: number
  readonly text: string
  readonly command: Command
}

const frameKinds: readonly Kind[] = [
  'data',
  'facts',
  'nak',
  'heartbeat',
  'challenge',
  'answer',
  'form',
  'refuse',
  'state',
  'plan',
  'recovered',
  'install',
]
const services: readonly Service[] = ['fifo', 'causal', 'agreed', 'safe']

/** The commands of one line: `at`, `wait` and what follows it. @throws ScenarioError. */
export function parseLine(text: string, hosts: number, line = 1): Command[] {
  return new Parser(line, text, hosts).commands()
}

/** @throws ScenarioError with the line. */
export function parseScenario(source: string): Step[] {
  const steps: Step[] = []
  const lines = source.split('\n')
  for (const [index, raw] of lines.entries()) {
    const text = raw.replace(/#.*/, '').trim()
    if (text === '') continue
    const line = index + 1
    for (const each of repeated(text)) {
      for (const command of parseLine(each, hostsOf(steps), line)) steps.push({ line, text: each, command })
    }
  }
  if (steps[0]?.command.do !== 'members') {
    throw new ScenarioError(steps[0]?.line ?? 1, steps[0]?.text ?? '', 'the first command is `members N`')
  }
  return steps
}

/** The lines that `for 1..3: command` stands for; `$` in it is the number, `$%2` the rest of a division. */
function repeated(text: string): string[] {
  const parts = /^for\s+(\d{1,6})\.\.(\d{1,6}):\s*(.+)$/.exec(text)
  if (parts === null) return [text]
  const [first, last, command] = [Number(parts[1]), Number(parts[2]), parts[3] as string]
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) =>
    command.replace(/\$(?:%(\d+))?/g, (_whole, divisor?: string) =>
      String(divisor === undefined ? first + i : (first + i) % Number(divisor)),
    ),
  )
}

function hostsOf(steps: readonly Step[]): number {
  const first = steps[0]?.command
  return first?.do === 'members' ? first.count : 0
}

/** From each host of the one to each of the other; a host has no link to itself. */
function crossing(from: readonly number[], to: readonly number[]): [number, number][] {
  return from.flatMap(a => to.flatMap((b): [number, number][] => (a === b ? [] : [[a, b]])))
}

class Parser {
  private readonly line: number
  private readonly text: string
  private readonly hosts: number

  constructor(line: number, text: string, hosts: number) {
    this.line = line
    this.text = text
    this.hosts = hosts
  }

  private fail(what: string): never {
    throw new ScenarioError(this.line, this.text, what)
  }

  commands(): Command[] {
    const moved = /^(at|wait)\s+([\d.]+m?s)\s*(.*)$/.exec(this.text)
    if (moved === null) return [this.command(this.text)]
    const [, how, time, rest] = moved as unknown as [string, 'at' | 'wait', string, string]
    const clock: Command = { do: how, ms: this.time(time) }
    return rest === '' ? [clock] : [clock, this.command(rest)]
  }

  private command(text: string): Command {
    const [verb = '', ...words] = text.split(/\s+/)
    const rest = words.join(' ')
    switch (verb) {
      case 'members':
        return { do: 'members', count: this.number(rest, 1, 32) }
      case 'option':
        return {
          do: 'option',
          name: words[0] ?? this.fail('an option has a name'),
          value: this.number(words[1]),
        }
      case 'start':
      case 'restart':
      case 'pause':
      case 'resume':
        return { do: verb, hosts: this.hostList(rest) }
      case 'kill':
        return this.kill(rest)
      case 'slow':
        return { do: 'slow', host: this.host(words[0]), ms: this.time(words[1] ?? '') }
      case 'cut':
      case 'mend':
      case 'clog':
      case 'unclog':
        return this.links(verb, rest)
      case 'link':
        return this.link(words)
      case 'heal':
      case 'calm':
      case 'release':
        return { do: verb }
      case 'drop':
      case 'hold':
      case 'undrop':
        return this.drop(verb, words)
      case 'client':
        return {
          do: 'client',
          client: words[0] ?? this.fail('a client has a name'),
          host: this.host(words[1]),
        }
      case 'join':
        return {
          do: 'join',
          client: words[0] ?? this.fail('who joins?'),
          group: words[1] ?? this.fail('which group?'),
        }
      case 'leave':
        if (words.length === 2) return { do: 'leave', client: words[0] as string, group: words[1] as string }
        return { do: 'leave host', hosts: this.hostList(rest) }
      case 'send':
        return this.send(words)
      case 'close':
      case 'die':
        return { do: verb, client: words[0] ?? this.fail('which client?') }
      case 'ask':
        return {
          do: verb,
          client: words[0] ?? this.fail('which client?'),
          back: this.number(words[1] ?? '0', 0, 1000),
        }
      case 'lag':
        return { do: verb, client: words[0] ?? this.fail('which client?'), ms: this.time(words[1] ?? '') }
      case 'when':
        return this.when(text)
      case 'wait':
        if (rest === 'stable') return { do: 'wait stable' }
        return this.fail('wait for a time (`50ms`, `2s`) or for `stable`')
      case 'expect':
        return this.expect(words)
      default:
        return this.fail(`unknown command '${verb}'`)
    }
  }

  private kill(rest: string): Command {
    const parts = /^(.*?)\s*(?:(silently)|refused=([\d.]+))?$/.exec(rest) as unknown as string[]
    const refused = parts[2] === undefined ? this.number(parts[3] ?? '1', 0, 1) : 0
    return { do: 'kill', hosts: this.hostList(parts[1] ?? ''), refused }
  }

  private links(verb: 'cut' | 'mend' | 'clog' | 'unclog', rest: string): Command {
    const label = verb === 'unclog' ? rest.replace(/\s*swizzled$/, '') : rest
    return { do: verb, pairs: this.pairs(label), label, swizzled: label !== rest }
  }

  private link(words: readonly string[]): Command {
    const label = words.filter(word => !word.includes('=')).join(' ')
    const given = words.filter(word => word.includes('='))
    const fields = this.fields(given, Object.keys(calmLink))
    const profile = Object.fromEntries([...fields].map(([name, value]) => [name, this.number(value)]))
    return { do: 'link', pairs: this.pairs(label), label, profile: given.length === 0 ? null : profile }
  }

  private drop(verb: 'drop' | 'hold' | 'undrop', words: readonly string[]): Command {
    const fields = this.fields(words, ['kind', 'from', 'to', 'count', 'probability'])
    const kind = fields.get('kind') ?? '*'
    if (kind !== '*' && !frameKinds.includes(kind as Kind)) this.fail(`no frames of kind '${kind}'`)
    const from = fields.get('from')
    const to = fields.get('to')
    return {
      do: verb,
      kind: kind as Kind | '*',
      from: from === undefined ? null : this.host(from),
      to: to === undefined ? null : this.host(to),
      count: this.number(fields.get('count') ?? '1', 1, 1e6),
      probability: this.number(fields.get('probability') ?? '1', 0, 1),
    }
  }

  private send(words: readonly string[]): Command {
    const [client, target, ...more] = words
    if (client === undefined || target === undefined) return this.fail('who sends, and to which group?')
    const fields = this.fields(more, ['count', 'size', 'sizes', 'service', 'discard'])
    const service = (fields.get('service') ?? 'agreed') as Service
    const sizes = (fields.get('sizes') ?? fields.get('size') ?? '20').split(',')
    const discard = fields.get('discard') ?? ''
    if (discard !== '' && discard !== 'self') this.fail('`discard=self`, or nothing')
    if (!services.includes(service)) this.fail(`no service '${service}'`)
    return {
      do: 'send',
      client,
      groups: target.startsWith('@') ? [] : target.split(','),
      to: target.startsWith('@') ? target.slice(1) : null,
      count: this.number(fields.get('count') ?? '1', 1, 100_000),
      sizes: sizes.map(size => this.number(size, 0, 1e8)),
      service,
      selfDiscard: discard === 'self',
    }
  }

  private when(text: string): Command {
    const parts = /^when\s+(\w+)\s+(sends|receives|enters)\s+(\w+)\s*:\s*(.+)$/.exec(text)
    if (parts === null)
      return this.fail('`when n1 sends|receives KIND: command` or `when n1 enters PHASE: command`')
    const [, host, event, what, action] = parts as unknown as [
      string,
      string,
      'sends' | 'receives' | 'enters',
      string,
      string,
    ]
    const phases = ['operational', 'gather', 'recover', 'left']
    const known: readonly string[] = event === 'enters' ? phases : frameKinds
    if (!known.includes(what)) this.fail(`'${what}' is none of ${known.join(', ')}`)
    return { do: 'when', host: this.host(host), event, what, action: this.command(action) }
  }

  private expect(words: readonly string[]): Command {
    const [what, ...args] = words
    switch (what) {
      case 'view':
      case 'same':
        return { do: `expect ${what}`, hosts: this.hostList(args.join(' ')) }
      case 'together':
        return { do: 'expect together' }
      case 'received':
        return {
          do: 'expect received',
          client: args[0] ?? this.fail('which client?'),
          count: this.number(args[1], 0, 1e9),
        }
      case 'installs':
        if (args[1] !== '<=') return this.fail('`expect installs n1 <= 3`')
        return { do: 'expect installs', host: this.host(args[0]), most: this.number(args[2], 0, 1e9) }
      case 'covered':
        return { do: 'expect covered', mark: args.join(' ') }
      default:
        return this.fail('expect view, together, same, received, installs or covered')
    }
  }

  private fields(words: readonly string[], allowed: readonly string[]): Map<string, string> {
    const fields = new Map<string, string>()
    for (const word of words) {
      const equals = word.indexOf('=')
      const name = word.slice(0, Math.max(0, equals))
      if (!allowed.includes(name))
        this.fail(`'${word}' is not one of ${allowed.map(field => `${field}=`).join(' ')}`)
      fields.set(name, word.slice(equals + 1))
    }
    return fields
  }

  private pairs(text: string): [number, number][] {
    const sides = text.split('|').map(side => side.trim())
    if (sides.length > 1) {
      const lists = sides.map(side => this.hostList(side))
      return lists.flatMap((list, i) => lists.flatMap((other, j) => (i === j ? [] : crossing(list, other))))
    }
    const ends = /^([^>-]+)(>|-)([^>-]+)$/.exec(text)
    if (ends === null) return this.fail('`n1 | n2 n3`, `n1 > n2` or `n1 - n2`')
    const [from, to] = [this.hostList(ends[1] as string), this.hostList(ends[3] as string)]
    const there = crossing(from, to)
    return ends[2] === '>' ? there : [...there, ...there.map(([a, b]): [number, number] => [b, a])]
  }

  private hostList(text: string): number[] {
    if (text === 'all') return Array.from({ length: this.hosts }, (_, host) => host)
    const names = text.split(/[\s,]+/).filter(name => name !== '')
    if (names.length === 0) this.fail('which members?')
    return names.map(name => this.host(name))
  }

  private host(name: string | undefined): number {
    const host = /^n\d+$/.test(name ?? '') ? hostOf(name as string) : -1
    if (host < 0 || host >= this.hosts) this.fail(`'${name}' is not one of n1 to n${this.hosts}`)
    return host
  }

  private number(text: string | undefined, least = 0, most: number = Number.MAX_SAFE_INTEGER): number {
    const value = Number(text)
    if (text === undefined || text === '' || !(value >= least && value <= most)) {
      this.fail(`a number from ${least} to ${most} was expected, not '${text}'`)
    }
    return value
  }

  /** Milliseconds of `50ms` or `2s`. */
  private time(text: string): number {
    const parts = /^([\d.]+)(ms|s)$/.exec(text)
    if (parts === null) return this.fail(`a time like 50ms or 2s was expected, not '${text}'`)
    return Number(parts[1]) * (parts[2] === 's' ? 1000 : 1)
  }
}
