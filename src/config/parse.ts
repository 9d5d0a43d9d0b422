/** Text → configuration. Loads yaml and zod: import it lazily where a daemon or command may do without a file. */

import { readFileSync } from 'node:fs'
import { isMap, isNode, isPair, isScalar, isSeq, LineCounter, parseDocument } from 'yaml'
import type { Document, ParsedNode, YAMLMap } from 'yaml'
import type { z } from 'zod'
import { nearest } from '../lib/spelling.ts'
import { checkConfig, completeConfig } from './complete.ts'
import type { SemanticProblem } from './complete.ts'
import type { Config, ConfigContext } from './config.ts'
import { ConfigError, formatPath } from './problems.ts'
import type { ConfigProblem } from './problems.ts'
import { configSchema, knownKeys } from './schema.ts'
import type { ConfigFile } from './schema.ts'

type Path = readonly PropertyKey[]

/** Larger files are no configuration. */
const MAX_FILE_BYTES = 4 * 1024 * 1024

/**
 * Reads and checks a configuration file.
 * @throws ConfigError with all that is wrong, also if the file cannot be read.
 */
export function loadConfig(path: string, context: ConfigContext): Config {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    const message = `cannot be read (${why}); must be a readable YAML file`
    throw new ConfigError([{ file: path, line: 0, column: 0, path: '', message }], { cause })
  }
  return parseConfig(text, path, context)
}

/**
 * Checks the text of a configuration file; `file` is only for the messages.
 * @throws ConfigError with all that is wrong.
 */
export function parseConfig(text: string, file: string, context: ConfigContext): Config {
  if (text.length > MAX_FILE_BYTES) {
    const message = `has ${text.length} characters; must be at most ${MAX_FILE_BYTES}`
    throw new ConfigError([{ file, line: 0, column: 0, path: '', message }])
  }
  return new ConfigText(text, file).read(context)
}

class ConfigText {
  private readonly file: string
  private readonly lines = new LineCounter()
  private readonly document: Document.Parsed
  private readonly problems: ConfigProblem[] = []

  constructor(text: string, file: string) {
    this.file = file
    this.document = parseDocument(text, {
      lineCounter: this.lines,
      prettyErrors: false,
      uniqueKeys: false,
      logLevel: 'error',
    })
  }

  read(context: ConfigContext): Config {
    const value = this.value()
    this.findDuplicates(this.document.contents, [])
    // Wrong values are cut away, so that what is left can be checked as a whole, and all that is wrong is told at once.
    const wrong: Path[] = []
    let pruned = value
    let parsed = configSchema.safeParse(pruned, { reportInput: true })
    for (let round = 0; !parsed.success && round < 8; round++) {
      for (const issue of parsed.error.issues) {
        wrong.push(...this.report(issue, pruned))
      }
      if (wrong.some(path => path.length === 0)) break
      pruned = without(value, wrong)
      parsed = configSchema.safeParse(pruned, { reportInput: true })
    }
    if (!parsed.success) throw this.error()
    const file: ConfigFile = parsed.data
    const config = completeConfig(file, context)
    for (const problem of checkConfig(config, file)) {
      if (!wrong.some(path => follows(problem.path, path))) this.add(problem, 'value')
    }
    if (this.problems.length > 0) throw this.error()
    return config
  }

  private error(): ConfigError {
    this.problems.sort((a, b) => a.line - b.line || a.column - b.column)
    return new ConfigError(this.problems)
  }

  /** The document as plain data; throws if the text is not YAML. */
  private value(): unknown {
    for (const error of this.document.errors) {
      const { line, col } = this.lines.linePos(error.pos[0])
      this.problems.push({ file: this.file, line, column: col, path: '', message: explainSyntax(error) })
    }
    if (this.problems.length > 0) throw this.error()
    try {
      return (this.document.toJS({ maxAliasCount: 100 }) as unknown) ?? {}
    } catch (cause) {
      const message = `cannot be read (${cause instanceof Error ? cause.message : String(cause)}); must be plain YAML`
      throw new ConfigError([{ file: this.file, line: 0, column: 0, path: '', message }], { cause })
    }
  }

  /** YAML itself would only say that keys are not unique; we say which, and where the first one is. */
  private findDuplicates(node: unknown, path: Path): void {
    if (isSeq(node)) {
      node.items.forEach((item, index) => this.findDuplicates(item, [...path, index]))
      return
    }
    if (!isMap(node)) return
    const first = new Map<string, number>()
    for (const { key, value } of node.items) {
      const name = keyText(key)
      const offset = offsetOf(key) ?? 0
      const earlier = first.get(name)
      if (earlier === undefined) {
        first.set(name, offset)
      } else {
        const { line, col } = this.lines.linePos(offset)
        const message = `is given twice; must be once (the first is in line ${this.lines.linePos(earlier).line})`
        this.problems.push({ file: this.file, line, column: col, path: formatPath([...path, name]), message })
      }
      this.findDuplicates(value, [...path, name])
    }
  }

  /** Notes an issue of the schema; returns what must be cut away for the rest to be checked. */
  private report(issue: z.core.$ZodIssue, value: unknown): Path[] {
    const path = issue.path
    if (issue.code === 'unrecognized_keys') {
      const known = knownKeys(path)
      return issue.keys.map(key => {
        const meant = nearest(key, known)
        const right = meant === null ? `must be one of ${known.join(', ')}` : `did you mean ${meant}?`
        this.add({ path: [...path, key], message: `is not known; ${right}` }, 'key')
        return [...path, key]
      })
    }
    if (issue.code === 'invalid_key') {
      const right = issue.issues[0]?.message ?? issue.message
      this.add({ path, message: `is not a possible name; ${right}` }, 'key')
      return [path]
    }
    this.add({ path, message: `is ${describe(at(value, path))}; ${issue.message}` }, 'value')
    return [path]
  }

  private add(problem: SemanticProblem, where: 'key' | 'value'): void {
    const { line, col } = this.lines.linePos(this.locate(problem.path, where))
    const path = formatPath(problem.path)
    // One value may fail several checks of which all want the same.
    if (this.problems.some(other => other.path === path && other.message === problem.message)) return
    this.problems.push({ file: this.file, line, column: col, path, message: problem.message })
  }

  /** Offset of what a path names, or of the innermost key above it that is in the file. */
  private locate(path: Path, where: 'key' | 'value'): number {
    let node: unknown = this.document.contents
    let offset = offsetOf(node) ?? 0
    for (const [depth, key] of path.entries()) {
      const last = depth === path.length - 1
      if (isMap(node)) {
        const pair = findPair(node, String(key))
        if (pair === undefined) return offset
        const keyOffset = offsetOf(pair.key) ?? offset
        node = pair.value
        offset = last && where === 'value' ? (offsetOf(node) ?? keyOffset) : keyOffset
      } else if (isSeq(node)) {
        node = node.items[Number(key)]
        offset = offsetOf(node) ?? offset
      } else {
        return offset
      }
    }
    return offset
  }
}

function findPair(map: YAMLMap<unknown, unknown>, key: string): { key: unknown; value: unknown } | undefined {
  return map.items.findLast(item => isPair(item) && keyText(item.key) === key)
}

function keyText(key: unknown): string {
  return isScalar(key) ? String(key.value) : String(key)
}

function offsetOf(node: unknown): number | null {
  if (!isNode(node)) return null
  return (node as ParsedNode).range?.[0] ?? null
}

function explainSyntax(error: { readonly message: string }): string {
  const what = error.message.replace(/\s+/g, ' ').trim()
  if (/alias/i.test(what)) return `is not YAML: ${what}; a pattern that begins with * must be quoted: '*'`
  return `is not YAML: ${what}; must be indented by spaces, with \`key: value\` on each line`
}

function at(value: unknown, path: Path): unknown {
  let inner = value
  for (const key of path) {
    if (typeof inner !== 'object' || inner === null) return undefined
    inner = (inner as Record<PropertyKey, unknown>)[key]
  }
  return inner
}

function describe(value: unknown): string {
  if (value === undefined) return 'missing'
  if (value === null) return 'empty'
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'a mapping'
  const text = JSON.stringify(value)
  return text.length > 80 ? `${text.slice(0, 77)}...` : text
}

/** A copy of `value` without what is at `paths`; of a list the whole, as its other elements would change their places. */
function without(value: unknown, paths: readonly Path[], prefix: Path = []): unknown {
  if (paths.some(path => path.length === prefix.length && samePrefix(path, prefix))) return undefined
  if (Array.isArray(value)) {
    return paths.some(path => path.length > prefix.length && samePrefix(path, prefix)) ? undefined : value
  }
  if (typeof value !== 'object' || value === null) return value
  const copy: Record<string, unknown> = {}
  for (const [key, inner] of Object.entries(value)) {
    const kept = without(inner, paths, [...prefix, key])
    if (kept !== undefined) copy[key] = kept
  }
  return copy
}

/** True if a problem may be there only because something wrong was cut away: one is within the other, or both are about peers. */
function follows(problem: Path, wrong: Path): boolean {
  const within = problem.length <= wrong.length ? samePrefix(wrong, problem) : samePrefix(problem, wrong)
  return (
    within || (aboutPeers(problem) && (aboutPeers(wrong) ? wrong[1] === problem[1] : wrong[0] === 'name'))
  )
}

function aboutPeers(path: Path): boolean {
  return path[0] === 'cells' && (path[2] === 'peers' || path[2] === 'listen')
}

function samePrefix(path: Path, prefix: Path): boolean {
  return prefix.every((key, index) => String(path[index]) === String(key))
}
