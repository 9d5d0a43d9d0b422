/**
 * Makes a failing run small: what happened is written as a scenario, and whatever can be left out of it while the same
 * property is still violated is left out (delta debugging: Zeller, Hildebrandt, "Simplifying and isolating
 * failure-inducing input", IEEE TSE 2002).
 */

import type { Parts } from './parts.ts'
import { optionLines, playScenario } from './play.ts'
import type { Settings } from './settings.ts'
import type { Said } from './stage.ts'

export interface Shrunk {
  /** A scenario that violates the property; null: played from its script the run does not fail. */
  readonly scenario: string | null
  /** Lines of the script before and after. */
  readonly before: number
  readonly after: number
  /** Scenarios played. */
  readonly tries: number
}

export interface ShrinkOptions {
  readonly settings: Settings
  readonly script: readonly Said[]
  readonly property: string
  readonly parts: Parts
  /** Asked before each try: when false, what was reached so far is the result. */
  readonly goOn: () => boolean
}

export function shrink(options: ShrinkOptions): Shrunk {
  const { settings, script, property } = options
  const shrinker = new Shrinker(options)
  const lines = script.map(({ at, text }) => `at ${at}ms ${text}`)
  // Being apart for ever is no event that somebody notices: it must be asked for.
  if (property === 'convergence') lines.push('expect together')
  const draft: Draft = { members: settings.members, options: optionLines(settings), lines }
  const before = lines.length
  if (!shrinker.fails(draft)) return { scenario: null, before, after: before, tries: shrinker.tries }
  const small = shrinker.shrink(draft)
  const scenario = [`# ${property}`, textOf(small)].join('\n')
  return { scenario, before, after: small.lines.length, tries: shrinker.tries }
}

interface Draft {
  readonly members: number
  readonly options: readonly string[]
  readonly lines: readonly string[]
}

function textOf({ members, options, lines }: Draft): string {
  return [`members ${members}`, ...options, ...lines, ''].join('\n')
}

class Shrinker {
  tries = 0
  private readonly options: ShrinkOptions

  constructor(options: ShrinkOptions) {
    this.options = options
  }

  /** What makes no sense any more once something else was left out (a client that never came) does nothing. */
  fails(draft: Draft): boolean {
    this.tries++
    const { parts, property } = this.options
    return playScenario(textOf(draft), parts).violations.some(violation => violation.property === property)
  }

  shrink(draft: Draft): Draft {
    let best = draft
    for (let before = -1; before !== sizeOf(best); ) {
      before = sizeOf(best)
      best = this.withoutHosts(best)
      best = { ...best, lines: this.fewest(best.lines, lines => ({ ...best, lines })) }
      best = { ...best, options: this.fewest(best.options, options => ({ ...best, options })) }
    }
    return this.withoutNonsense(best)
  }

  /** Leaves out ever smaller runs of a list as long as it still fails. */
  private fewest(list: readonly string[], draft: (list: readonly string[]) => Draft): readonly string[] {
    let best = list
    for (let size = Math.ceil(best.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
      for (let from = 0; from < best.length && this.options.goOn(); ) {
        const less = [...best.slice(0, from), ...best.slice(from + size)]
        if (this.fails(draft(less))) best = less
        else from += size
      }
    }
    return best
  }

  /** Whole members at a time, from the last: their processes, clients and faults. */
  private withoutHosts(draft: Draft): Draft {
    let best = draft
    for (let host = draft.members; host >= 1 && best.members > 1 && this.options.goOn(); host--) {
      const named = new RegExp(`\\bn${host}\\b`)
      const lines = best.lines.filter(line => !named.test(line))
      const less = { ...best, lines, members: host === best.members ? host - 1 : best.members }
      if ((lines.length < best.lines.length || less.members < best.members) && this.fails(less)) best = less
    }
    return best
  }

  /** Lines that could not be carried out, so that the scenario can be kept. */
  private withoutNonsense(draft: Draft): Draft {
    const { violations } = playScenario(textOf(draft), this.options.parts)
    const vain = violations.flatMap(({ property, detail }) =>
      property === 'scenario' ? [Number(/^line (\d+)/.exec(detail)?.[1])] : [],
    )
    const head = 1 + draft.options.length
    const less = { ...draft, lines: draft.lines.filter((_, index) => !vain.includes(head + index + 1)) }
    return vain.length > 0 && this.fails(less) ? less : draft
  }
}

function sizeOf({ members, options, lines }: Draft): number {
  return members + options.length + lines.length
}
