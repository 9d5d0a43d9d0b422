import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { addClosings, addFailure } from './epitaph.ts'

function file(text: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'anasazi-epitaph-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  const path = join(directory, 'trace.ndjson')
  writeFileSync(path, text)
  return path
}

function linesOf(path: string): Record<string, string>[] {
  return readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as Record<string, string>)
}

it('a killed daemon has failed; the line it died over is removed', () => {
  const path = file('{"t":"1","p":"n1#5f","cell":"main","e":"deliver","m":"1/1.0.0"}\n{"t":"2","p":"n1#5')
  addFailure(path)
  addFailure(path)
  expect(linesOf(path)).toMatchObject([{ e: 'deliver' }, { p: 'n1#5f', cell: 'main', e: 'fail' }])
  expect(linesOf(path)).toHaveLength(2)
})

it('sessions of a killed process are closed, but those that were', () => {
  const path = file(
    [
      '{"t":"1","p":"a","e":"join","group":"g"}',
      '{"t":"2","p":"b","e":"join","group":"g"}',
      '{"t":"3","p":"c","e":"closed"}',
      '{"t":"4","p":"b","e":"closed","group":"g"}',
      '',
    ].join('\n'),
  )
  addClosings(path)
  const closed = linesOf(path).slice(4)
  expect(closed.map(({ p, e }) => `${p} ${e}`).toSorted()).toEqual(['a closed', 'b closed'])
})

it('of what wrote nothing nothing is said', () => {
  const path = file('')
  addFailure(path)
  addClosings(path)
  addFailure(`${path}.none`)
  expect(readFileSync(path, 'utf8')).toBe('')
})
