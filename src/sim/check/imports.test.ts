import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const FOLDER = new URL('.', import.meta.url)
const ALLOWED = [/^\.\/[a-z-]+\.ts$/, /^\.\.\/\.\.\/lib\/[a-z0-9-]+\.ts$/, /^node:/]

function imports(file: string): string[] {
  const text = readFileSync(new URL(file, FOLDER), 'utf8')
  const found = [...text.matchAll(/(?:\bfrom|\bimport\(?)\s*['"]([^'"]+)['"]/g)].map(match => match[1]!)
  return found
}

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
