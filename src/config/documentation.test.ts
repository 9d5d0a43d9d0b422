import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { limitTable, timeoutTable } from './limits.ts'
import { parseConfig } from './parse.ts'
import { knownKeys } from './schema.ts'

const text = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8')

describe('docs/configuration.md', () => {
  it.each([...Object.entries(timeoutTable), ...Object.entries(limitTable)])(
    'has the row of %s',
    (name, row) => {
      const { default: value, minimum, maximum, unit, help } = row
      expect(text).toContain(`| \`${name}\` | ${value} | ${minimum} | ${maximum} | ${unit} | ${help} |\n`)
    },
  )

  it('has no rows of what is not there', () => {
    const rows = [...text.matchAll(/^\| `([A-Za-z]+)` \| \d/gm)].map(match => match[1])
    expect(rows).toEqual([...Object.keys(timeoutTable), ...Object.keys(limitTable)])
  })

  it('explains every key', () => {
    for (const key of [...knownKeys([]), ...knownKeys(['cells', 'main'])]) {
      expect(text).toMatch(new RegExp(`^\\| \`${key}(\\.[a-z]+)?\` \\|`, 'm'))
    }
  })

  it('has examples that are right', () => {
    const examples = [...text.matchAll(/```yaml\n([^]*?)```/g)].map(match => match[1] ?? '')
    expect(examples).toHaveLength(2)
    for (const example of examples) {
      const context = { hostName: 'h', runtime: '/run/anasazi' }
      const named = example.includes('name: n1') ? context : { ...context, name: 'n2' }
      expect(parseConfig(example, 'example', named).cells.length).toBeGreaterThan(0)
    }
  })
})
