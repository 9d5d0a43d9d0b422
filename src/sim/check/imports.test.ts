import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const FOLDER = new URL('.', import.meta.url)
const ALLOWED = [/^\.\/[a-z-]+\.ts$/, /^\.\.\/\.\.\/lib\/[a-z0-9-]+\.ts$/, /^node:/]

const IMPORT =
  /^(?:import|export)\s+(?:type\s+)?(?:\{[^}]*\}|\*(?:\s+as\s+\w+)?|\w+)\s+from\s+['"]([^'"]+)['"]/gm
const BARE = /^import\s+['"]([^'"]+)['"]/gm
const DYNAMIC = /\bimport\(\s*['"]([^'"]+)['"]/g

function imports(file: string): string[] {
  const text = readFileSync(new URL(file, FOLDER), 'utf8')
  return [IMPORT, BARE, DYNAMIC].flatMap(pattern => [...text.matchAll(pattern)].map(match => match[1]!))
}

test('the scan sees every form of import', () => {
  expect(imports('cell.ts')).toContain('../../lib/trace.ts')
  expect(imports('groups-walk.ts')).toContain('./groups-trace.ts')
  const lines = readFileSync(new URL('verify.ts', FOLDER), 'utf8').split('\n')
  expect(imports('verify.ts')).toHaveLength(lines.filter(line => /\bfrom '[^']+'$/.test(line)).length)
})

test('the checkers know the trace format and nothing of what they check', () => {
  const files = readdirSync(FOLDER).filter(file => file.endsWith('.ts') && !file.endsWith('.test.ts'))
  expect(files.length).toBeGreaterThan(10)
  const strangers = files.flatMap(file =>
    imports(file)
      .filter(name => !ALLOWED.some(allowed => allowed.test(name)))
      .map(name => `${file} imports ${name}`),
  )
  expect(strangers).toEqual([])
})

test('what they import of lib imports nothing of core or groups either', () => {
  const files = readdirSync(FOLDER).filter(file => file.endsWith('.ts') && !file.endsWith('.test.ts'))
  const libraries = new Set(
    files.flatMap(file => imports(file).filter(name => name.startsWith('../../lib/'))),
  )
  expect(libraries).toContain('../../lib/trace.ts')
  for (const library of libraries) {
    const strangers = imports(library).filter(name => !/^(\.\/|node:)/.test(name))
    expect(strangers, library).toEqual([])
  }
})
