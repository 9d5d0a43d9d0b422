/** Where processes spend their time: trees of calls from the profiles that V8 writes. */

import { BenchError } from './bench-error.ts'

/** A function as it was called from there. Times in µs. */
export interface Call {
  readonly name: string
  /** File and line; '' for what is none of JavaScript. */
  readonly place: string
  self: number
  /** Of it and all that it called. */
  total: number
  readonly calls: Map<string, Call>
}

/** A span of the clock that all processes share, µs. */
export interface Span {
  readonly from: number
  readonly to: number
}

/** What V8 writes, as far as it is used. https://chromedevtools.github.io/devtools-protocol/tot/Profiler */
interface V8Profile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
    readonly children?: readonly number[]
  }[]
  readonly startTime: number
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

/** What a process does while it does nothing. */
const idle = '(idle)'

export function emptyCall(name: string = '', place: string = ''): Call {
  return { name, place, self: 0, total: 0, calls: new Map() }
}

/**
 * Adds the calls of a profile, without idle time, to those that are there.
 * @param span only what was sampled then; null: all.
 * @throws BenchError if it is no profile.
 */
export function addProfile(root: Call, text: string, span: Span | null): void {
  const { nodes, startTime, samples, timeDeltas } = profileOf(text)
  const stacks = stacksOf(nodes)
  let at = startTime
  samples.forEach((id, index) => {
    at += timeDeltas[index] ?? 0
    const stack = stacks.get(id)
    if (stack === undefined || (span !== null && (at < span.from || at > span.to))) return
    // A sample tells what goes on until the next one.
    addTime(root, stack, Math.max(0, timeDeltas[index + 1] ?? 0))
  })
}

/** All of one tree in another. */
export function addCalls(root: Call, other: Call): void {
  root.self += other.self
  root.total += other.total
  for (const [key, call] of other.calls) {
    const own = root.calls.get(key) ?? emptyCall(call.name, call.place)
    root.calls.set(key, own)
    addCalls(own, call)
  }
}

export interface HotFunction {
  readonly name: string
  readonly place: string
  /** Of the time that is not idle. */
  readonly share: number
}

/** Functions by the time that they spent themselves, wherever they were called from. */
export function hottest(root: Call, most: number): HotFunction[] {
  const sums = new Map<string, { readonly name: string; readonly place: string; self: number }>()
  const visit = (call: Call): void => {
    const key = keyOf(call)
    const sum = sums.get(key) ?? { name: call.name, place: call.place, self: 0 }
    sum.self += call.self
    sums.set(key, sum)
    call.calls.forEach(visit)
  }
  visit(root)
  return [...sums.values()]
    .filter(({ self }) => self > 0)
    .sort((a, b) => b.self - a.self)
    .slice(0, most)
    .map(({ name, place, self }) => ({ name, place, share: self / root.total }))
}

function profileOf(text: string): V8Profile {
  let found: Partial<V8Profile> | null
  try {
    found = JSON.parse(text) as Partial<V8Profile> | null
  } catch {
    found = null
  }
  const { nodes, samples, timeDeltas, startTime } = found ?? {}
  if (
    Array.isArray(nodes) &&
    Array.isArray(samples) &&
    Array.isArray(timeDeltas) &&
    startTime !== undefined
  ) {
    return found as V8Profile
  }
  throw new BenchError('a process has written a profile that is none', 'Look whether the disk is full.')
}

type Stack = readonly Pick<Call, 'name' | 'place'>[]

/** By node; without the root, and none for what is idle. */
function stacksOf(nodes: V8Profile['nodes']): Map<number, Stack> {
  const byId = new Map(nodes.map(node => [node.id, node]))
  const stacks = new Map<number, Stack>()
  const open: [id: number, stack: Stack][] = nodes[0] === undefined ? [] : [[nodes[0].id, []]]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const [id, stack] = next
    stacks.set(id, stack)
    for (const child of byId.get(id)?.children ?? []) {
      const frame = byId.get(child)?.callFrame
      if (frame === undefined || frame.functionName === idle || stacks.has(child)) continue
      open.push([child, [...stack, { name: frame.functionName || '(anonymous)', place: placeOf(frame) }]])
    }
  }
  return stacks
}

/** `core/order.js:12`: from where our code or a package begins, never a path of the machine. */
function placeOf({ url, lineNumber }: V8Profile['nodes'][number]['callFrame']): string {
  if (url === '') return ''
  const short = /(?:\/dist\/|\/node_modules\/)((?!.*\/(?:dist|node_modules)\/).*)$/.exec(url)?.[1]
  const file = short ?? (url.startsWith('node:') ? url : (url.split('/').at(-1) ?? url))
  return `${file}:${lineNumber + 1}`
}

function addTime(root: Call, stack: Stack, micros: number): void {
  let call = root
  call.total += micros
  for (const frame of stack) {
    const key = keyOf(frame)
    const next = call.calls.get(key) ?? emptyCall(frame.name, frame.place)
    call.calls.set(key, next)
    next.total += micros
    call = next
  }
  call.self += micros
}

function keyOf({ name, place }: Pick<Call, 'name' | 'place'>): string {
  return `${name} ${place}`
}
