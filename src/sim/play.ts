/** Plays a directed scenario from beginning to end, and judges it. */

import { calmLink } from './network.ts'
import type { Parts } from './parts.ts'
import type { Violation } from './recorder.ts'
import { judge, waitForQuiet } from './run.ts'
import { parseScenario, ScenarioError, type Step } from './scenario.ts'
import { type Settings, simulatedTimeouts } from './settings.ts'
import { PATIENCE_MS, Stage } from './stage.ts'
import { World } from './world.ts'

export interface Played {
  readonly world: World
  /** Expectations that did not hold, and what the judges found. */
  readonly violations: readonly Violation[]
}

/** Options by the part of the settings that they belong to. */
const options = {
  network: Object.keys(calmLink),
  timeouts: Object.keys(simulatedTimeouts),
  limits: ['maxFrameBytes', 'maxFrameSegments', 'windowBytes', 'queueBytes', 'maxMembers', 'aggregateFrom'],
  groupLimits: ['statePartBytes'],
  loop: ['turnMs', 'slowChance', 'slowMs', 'inboxFrames', 'eventsPerTurn'],
  workload: ['readMs', 'clientAcknowledgeMs'],
  own: ['seed', 'maxTimestamp', 'buggify', 'chainBytes'],
} as const
type Part = keyof typeof options

/** A quiet world: nothing goes wrong but what the scenario says. */
export function quietSettings(members: number, seed: number): Settings {
  return {
    seed,
    members,
    network: calmLink,
    timeouts: simulatedTimeouts,
    limits: {},
    groupLimits: {},
    maxTimestamp: null,
    buggify: 0,
    chainBytes: null,
    loop: { turnMs: 0.02, slowChance: 0, slowMs: 0, inboxFrames: 100_000, eventsPerTurn: null },
    workload: {
      sessionsPerDaemon: 0,
      groups: 0,
      messages: 0,
      meanBytes: 20,
      largeChance: 0,
      safeChance: 0,
      privateChance: 0,
      multiGroupChance: 0,
      selfDiscardChance: 0,
      readMs: 0.1,
      clientAcknowledgeMs: 0.5,
      kills: 0,
      lagging: 0,
    },
    faults: { without: [], count: 0, recoveryChance: 0, recoveryCount: 0 },
    phases: { warmUpMs: 0, safetyMs: 0, livenessMs: PATIENCE_MS },
  }
}

/** @throws ScenarioError if the text cannot be understood. */
export function playScenario(source: string, parts: Parts, seed = 1): Played {
  const steps = parseScenario(source)
  const settings = settingsFor(steps, seed)
  const world = new World({ settings, parts, notes: true, invariantsEvery: 1 })
  const stage = new Stage(world)
  for (const step of steps) {
    if (world.aborted) break
    stage.play(step)
  }
  if (!world.aborted) {
    stage.settle()
    waitForQuiet(world, world.now + PATIENCE_MS)
    stage.askAll()
    waitForQuiet(world, world.now + PATIENCE_MS)
    judge(world, true)
  }
  return { world, violations: world.recorder.violations }
}

type Values = { [name: string]: number | null }

function settingsFor(steps: readonly Step[], seed: number): Settings {
  const first = steps[0]?.command
  const quiet = quietSettings(first?.do === 'members' ? first.count : 1, seed)
  const parts = valuesOf(quiet)
  for (const { command, line, text } of steps) {
    if (command.do !== 'option') continue
    const part = (Object.keys(options) as Part[]).find(name =>
      (options[name] as readonly string[]).includes(command.name),
    )
    if (part === undefined) throw new ScenarioError(line, text, `no option '${command.name}'`)
    parts[part][command.name] = command.value
  }
  const { own, ...rest } = parts
  return { ...quiet, ...(rest as unknown as Partial<Settings>), ...own }
}

function valuesOf(settings: Settings): { [part in Part]: Values } {
  const { network, timeouts, limits, groupLimits, loop, workload } = settings
  const { seed, maxTimestamp, buggify, chainBytes } = settings
  const parts = { network, timeouts, limits, groupLimits, loop, workload }
  const copies = Object.fromEntries(Object.entries(parts).map(([name, values]) => [name, { ...values }]))
  const own = { seed, maxTimestamp, buggify, chainBytes }
  return { ...copies, own } as unknown as { [part in Part]: Values }
}

/** The lines of a scenario that make its world like the one with these settings. */
export function optionLines(settings: Settings): string[] {
  const quiet = valuesOf(quietSettings(settings.members, 1))
  const wanted = valuesOf(settings)
  return (Object.keys(options) as Part[]).flatMap(part =>
    options[part].flatMap(name => {
      const value = wanted[part][name] ?? null
      return value === null || value === (quiet[part][name] ?? null) ? [] : [`option ${name} ${value}`]
    }),
  )
}
