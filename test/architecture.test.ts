/** Proves the shape of the source tree. The tables here are the source of truth; the documents explain them. */

import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')

interface Room {
  /** Folders that may be imported. */
  readonly imports: readonly string[]
  /** Folders of which types may be imported: nothing of them is left at run time. */
  readonly types?: readonly string[]
  /** Folders that may be loaded with `import()` when they are needed. */
  readonly lazily?: readonly string[]
  /** Packages and Node modules, by a pattern. Absent: none. */
  readonly packages?: RegExp
  /** Files that alone may use `packages`. Absent: all. */
  readonly only?: RegExp
}

const rooms: Readonly<Record<string, Room>> = {
  lib: { imports: [] },
  core: { imports: ['lib'] },
  groups: { imports: ['lib', 'core'] },
  codec: { imports: ['lib'], types: ['core', 'groups'] },
  config: { imports: ['lib', 'core', 'groups'], packages: /^(node:(crypto|fs)|yaml|zod)$/ },
  transport: { imports: ['lib', 'codec'], types: ['core'], packages: /^node:/ },
  admin: { imports: ['lib', 'config'], types: ['core', 'groups'] },
  // In a browser, other channels would take the place of these.
  client: {
    imports: ['lib', 'codec'],
    types: ['core', 'groups'],
    packages: /^node:/,
    only: /\/channel-[a-z]+\.ts$/,
  },
  node: {
    imports: ['lib', 'core', 'groups', 'codec', 'config', 'transport', 'admin', 'client'],
    packages: /^node:/,
  },
  daemon: {
    imports: ['lib', 'core', 'groups', 'codec', 'config', 'transport', 'admin', 'client', 'node'],
    packages: /^(node:.*|pino)$/,
  },
  cli: {
    imports: ['lib', 'config', 'admin', 'client'],
    types: ['core', 'groups', 'sim'],
    lazily: ['daemon', 'node', 'sim'],
    packages: /^(node:.*|commander)$/,
  },
  // May import everything below the daemon; nothing imports it.
  sim: {
    imports: ['lib', 'core', 'groups', 'codec', 'config', 'transport', 'admin', 'client', 'node'],
    types: ['cli'],
    packages: /^(node:.*|commander)$/,
  },
}

/** Parts of folders with rules of their own, by the beginning of the path. */
const chambers: Readonly<Record<string, Room>> = {
  // A checker that shared code with what it checks would share its faults.
  'src/sim/check/': {
    imports: ['lib'],
    packages: /^node:(fs(\/promises)?|readline)$/,
    only: /\/verify\.ts$/,
  },
}

/** The package's public faces: the only files that pass on what others export. */
const PUBLIC = /^src\/(index|client\/index|node\/index)\.ts$/

/** Files that may import each other: what they hold is one thing, cut for reading. */
const CIRCLES: readonly (readonly string[])[] = []

/** Notes to oneself, which belong elsewhere. Spelled so that this file holds none. */
const MARKS = /\b(TO[D]O|FIX[M]E|XX[X]|HA[C]K)\b/

const MAX_LINES = 600
/** Files that are longer for a reason. */
const LONG_FILES: Readonly<Record<string, string>> = {
  'src/groups/groups.ts': 'every input of the group layer in one place, each a few lines',
  'src/client/conformance.fixture.ts': 'one list of what every channel must do',
}

interface Import {
  readonly target: string
  readonly kind: 'value' | 'type' | 'lazy'
}

interface Source {
  readonly path: string
  readonly text: string
  /** The text without comments. */
  readonly code: string
  readonly imports: readonly Import[]
}

function filesUnder(folder: string): string[] {
  let entries
  try {
    entries = readdirSync(join(root, folder), { withFileTypes: true })
  } catch {
    return []
  }
  return entries.flatMap(entry => {
    const path = `${folder}/${entry.name}`
    return entry.isDirectory() ? filesUnder(path) : [path]
  })
}

function read(path: string): Source {
  const text = readFileSync(join(root, path), 'utf8')
  const code = withoutComments(text)
  return { path, text, code, imports: importsOf(path, code) }
}

function withoutComments(text: string): string {
  const token = /'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|\/\*[^]*?\*\/|\/\/[^\n]*/g
  return text.replace(token, part => (part.startsWith('/') ? '' : part))
}

function importsOf(path: string, code: string): Import[] {
  const found: Import[] = []
  for (const [, type, target] of code.matchAll(/^(?:import|export)\s+(type\s)?[^'";]*?from\s+'([^']+)'/gm)) {
    found.push({ target: resolve(path, target!), kind: type === undefined ? 'value' : 'type' })
  }
  for (const [, target] of code.matchAll(/^import\s+'([^']+)'/gm)) {
    found.push({ target: resolve(path, target!), kind: 'value' })
  }
  for (const [, target] of code.matchAll(/\bimport\(\s*'([^']+)'/g)) {
    found.push({ target: resolve(path, target!), kind: 'lazy' })
  }
  return found
}

/** A file as a path from the root, a package as it is. */
function resolve(from: string, target: string): string {
  return target.startsWith('.') ? normalize(join(dirname(from), target)) : target
}

const everything = ['src', 'test', 'bench', 'examples']
  .flatMap(filesUnder)
  .filter(path => path.endsWith('.ts'))
const sources = everything.map(read)
/** What is shipped or run by what is shipped. */
const shipped = sources.filter(({ path }) => path.startsWith('src/') && !/\.(test|fixture)\.ts$/.test(path))

function folderOf(path: string): string | null {
  return /^src\/([^/]+)\//.exec(path)?.[1] ?? null
}

function roomOf(path: string): Room | undefined {
  const chamber = Object.keys(chambers).find(prefix => path.startsWith(prefix))
  if (chamber !== undefined) return chambers[chamber]
  return rooms[folderOf(path) ?? '']
}

/** The sentence that is shown if an import is not allowed; null if it is. */
function objection(source: Source, { target, kind }: Import): string | null {
  const room = roomOf(source.path)
  if (room === undefined) return null
  if (!target.startsWith('src/')) {
    if (kind === 'type') return null
    if (room.packages?.test(target) !== true) return `${source.path} uses ${target}`
    return room.only?.test(source.path) === false
      ? `${source.path} uses ${target}; only ${room.only} may`
      : null
  }
  const own = folderOf(source.path)
  const other = folderOf(target)
  if (other === own && (roomOf(target) === room || room.imports.includes(other ?? ''))) return null
  if (other === own && room === rooms[own ?? '']) return null
  if (other !== null && room.imports.includes(other)) return null
  if (kind === 'type' && room.types?.includes(other ?? '') === true) return null
  if (kind === 'lazy' && room.lazily?.includes(other ?? '') === true) return null
  return `${source.path} imports ${target} (${kind})`
}

function refused(path: string, target: string, kind: Import['kind'] = 'value'): boolean {
  return objection({ path, text: '', code: '', imports: [] }, { target, kind }) !== null
}

describe('imports', () => {
  it('are found', () => {
    const text = [
      "import { a } from './a.ts'",
      "import type { B } from '../core/b.ts'",
      "import {\n  type C,\n  d,\n} from './c.ts'",
      "export { e } from 'e'",
      "import 'f'",
      "const g = await import('../sim/g.ts')",
      "// import { h } from 'h'",
      "/** import { i } from 'i' */",
      "const url = 'http://x' // '",
    ].join('\n')
    expect(importsOf('src/node/x.ts', withoutComments(text))).toEqual([
      { target: 'src/node/a.ts', kind: 'value' },
      { target: 'src/core/b.ts', kind: 'type' },
      { target: 'src/node/c.ts', kind: 'value' },
      { target: 'e', kind: 'value' },
      { target: 'f', kind: 'value' },
      { target: 'src/sim/g.ts', kind: 'lazy' },
    ])
    expect(shipped.length).toBeGreaterThan(20)
  })

  it('are refused where the tables say so', () => {
    expect(refused('src/core/a.ts', 'src/groups/b.ts')).toBe(true)
    expect(refused('src/core/a.ts', 'src/groups/b.ts', 'type')).toBe(true)
    expect(refused('src/core/a.ts', 'src/core/b.ts')).toBe(false)
    expect(refused('src/core/a.ts', 'node:fs')).toBe(true)
    expect(refused('src/codec/a.ts', 'src/core/b.ts', 'type')).toBe(false)
    expect(refused('src/codec/a.ts', 'src/core/b.ts')).toBe(true)
    expect(refused('src/client/session.ts', 'node:net')).toBe(true)
    expect(refused('src/client/channel-socket.ts', 'node:net')).toBe(false)
    expect(refused('src/cli/a.ts', 'src/sim/b.ts', 'lazy')).toBe(false)
    expect(refused('src/cli/a.ts', 'src/sim/b.ts')).toBe(true)
    expect(refused('src/node/a.ts', 'src/sim/b.ts', 'lazy')).toBe(true)
    expect(refused('src/sim/check/a.ts', 'src/core/b.ts', 'type')).toBe(true)
    expect(refused('src/sim/check/a.ts', 'src/sim/b.ts', 'type')).toBe(true)
    expect(refused('src/sim/check/a.ts', 'src/sim/check/b.ts')).toBe(false)
    expect(refused('src/sim/a.ts', 'src/sim/check/b.ts')).toBe(false)
  })

  it('go one way', () => {
    const objections = shipped.flatMap(source =>
      source.imports.map(each => objection(source, each)).filter(each => each !== null),
    )
    expect(objections).toEqual([])
  })

  it('between folders form no circle', () => {
    const done = new Set<string>()
    const visit = (folder: string, path: readonly string[]): void => {
      expect(path, `${[...path, folder].join(' → ')} is a circle`).not.toContain(folder)
      if (done.has(folder)) return
      for (const next of rooms[folder]?.imports ?? []) visit(next, [...path, folder])
      done.add(folder)
    }
    for (const folder of Object.keys(rooms)) visit(folder, [])
  })

  it('between files form no circle', () => {
    const byPath = new Map(shipped.map(source => [source.path, source]))
    const state = new Map<string, 'open' | 'done'>()
    const circles: string[] = []
    const visit = (source: Source, path: readonly string[]): void => {
      state.set(source.path, 'open')
      for (const { target, kind } of source.imports) {
        const next = byPath.get(target)
        if (kind !== 'value' || next === undefined) continue
        if (CIRCLES.some(circle => circle.includes(source.path) && circle.includes(target))) continue
        if (state.get(target) === 'open') circles.push([...path, source.path, target].join(' → '))
        else if (!state.has(target)) visit(next, [...path, source.path])
      }
      state.set(source.path, 'done')
    }
    for (const source of shipped) if (!state.has(source.path)) visit(source, [])
    expect(circles).toEqual([])
  })

  it('name files with their ending', () => {
    const wrong = sources.flatMap(({ path, imports }) =>
      imports
        .filter(
          ({ target }) => /^(src|test|bench|examples)\//.test(target) && !/\.(ts|mjs|json)$/.test(target),
        )
        .map(({ target }) => `${path} imports ${target}`),
    )
    expect(wrong).toEqual([])
  })
})

describe('folders', () => {
  it('are those of the table', () => {
    const folders = new Set(shipped.map(({ path }) => folderOf(path)).filter(folder => folder !== null))
    expect([...folders].filter(folder => !(folder in rooms))).toEqual([])
  })
})

describe('files', () => {
  it('are short enough to read', () => {
    const long = sources
      .map(({ path, text }) => ({ path, lines: text.split('\n').length - 1 }))
      .filter(({ path, lines }) => lines > MAX_LINES && !(path in LONG_FILES))
      .map(({ path, lines }) => `${path}: ${lines} lines`)
    expect(long).toEqual([])
    expect(Object.keys(LONG_FILES).filter(path => !everything.includes(path))).toEqual([])
  })

  it('are named in lower case with dashes, and for what they are', () => {
    const untidy = everything.filter(path => {
      const name = path.split('/').at(-1) ?? ''
      if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*(\.[a-z]+)?(\.(test|fixture))?\.ts$/.test(name)) return true
      return /(^|-)(utils?|helpers?|misc|common|stuff|new|old)\b/.test(name)
    })
    expect(untidy).toEqual([])
  })

  it('have no default exports, and only the public faces pass on exports of others', () => {
    const wrong = sources.flatMap(({ path, code }) => [
      ...(/^export\s+default\b|^export\s*\{[^}]*\bas\s+default\b/m.test(code)
        ? [`${path}: default export`]
        : []),
      ...(/^export\s+\*/m.test(code) && !PUBLIC.test(path) ? [`${path}: export *`] : []),
    ])
    expect(wrong).toEqual([])
    const indexes = everything.filter(path => path.endsWith('/index.ts') && !PUBLIC.test(path))
    expect(indexes).toEqual([])
  })

  it('leave nothing for later', () => {
    const left = sources.filter(({ text }) => MARKS.test(text)).map(({ path }) => path)
    expect(left).toEqual([])
  })

  it('skip no test for good, and run none alone', () => {
    const wrong = sources
      .filter(
        ({ path, code }) =>
          path.endsWith('.test.ts') && /\b(it|test|describe)\.(only|todo|skip)\b/.test(code),
      )
      .map(({ path }) => path)
    expect(wrong).toEqual([])
  })
})

describe('sans-IO', () => {
  it('holds for the core and the groups', () => {
    const names = [
      'Date',
      'performance',
      'setTimeout',
      'setInterval',
      'setImmediate',
      'queueMicrotask',
      'process',
      'Buffer',
    ]
    const forbidden = new RegExp(
      `(?<![.\\w'$])(${names.join('|')})(?=[.(\\[])|\\bMath\\.random\\b|\\bawait\\b|\\bPromise\\b`,
    )
    const wrong = shipped
      .filter(({ path }) => /^src\/(core|groups)\//.test(path))
      .flatMap(({ path, code }) => (forbidden.test(code) ? [`${path}: ${forbidden.exec(code)?.[0]}`] : []))
    expect(wrong).toEqual([])
  })
})
