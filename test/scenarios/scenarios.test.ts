import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { production } from '../../src/sim/production.ts'
import { playScenario } from '../../src/sim/play.ts'

const directory = new URL('.', import.meta.url)
const files = readdirSync(directory).filter(name => name.endsWith('.scenario'))

test('there are scenarios', () => {
  expect(files.length).toBeGreaterThan(10)
})

test.each(files)('%s', name => {
  const { violations } = playScenario(readFileSync(new URL(name, directory), 'utf8'), production)
  expect(violations.map(({ property, detail }) => `${property}: ${detail}`)).toEqual([])
})
