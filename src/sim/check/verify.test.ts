import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { TraceLine } from '../../lib/trace.ts'
import { generateReference } from './reference.ts'
import { cellScript, clientScript } from './script.ts'
import { verifyTraces } from './verify.ts'

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'anasazi-verify-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

function file(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

function ndjson(lines: readonly TraceLine[]): string {
  return lines.map(line => `${JSON.stringify(line)}\n`).join('')
}

const SOUND = cellScript(`
  p: [1.c p q] +m1 m1
  q: [1.c p q] m1`)

test('traces of daemons and of clients, in any files, are checked together', async () => {
  const { cell, clients, drained, dead } = generateReference({ seed: 3, drained: true })
  const said = clients.filter(line => !dead.has(line.p))
  const partial = said.length < clients.length
  const daemons = [...new Set(cell.map(line => line.p))]
  const files = daemons.map((daemon, i) => file(`daemon${i}`, ndjson(cell.filter(line => line.p === daemon))))
  files.push(file('clients', ndjson(said)))
  const result = await verifyTraces(files, { drained, partial })
  expect(result.violations).toEqual([])
  expect(result.counts).toMatchObject({
    files: files.length,
    lines: cell.length + said.length,
    cells: 1,
    torn: 0,
  })
  expect(result.counts.daemons).toBe(daemons.length)
})

test('a violation is named by its property', async () => {
  const broken = file(
    'broken',
    ndjson([...SOUND, ...cellScript('q: m1'), ...clientScript('a: join:g g/1[b]')]),
  )
  const { violations } = await verifyTraces([broken])
  expect(violations.map(violation => violation.property)).toEqual(['EVS 1.4', 'Groups view'])
})

test('cells are judged apart', async () => {
  const other = SOUND.map(line => ({ ...line, cell: 'wan' }))
  const { violations, counts } = await verifyTraces([file('two', ndjson([...SOUND, ...other]))])
  expect(violations).toEqual([])
  expect(counts.cells).toBe(2)
})

test('a torn last line is forgiven, any other malformed one is told with file and line', async () => {
  const torn = file('torn', `${ndjson(SOUND)}{"t":"7","p":"q","cell":"ma`)
  expect(await verifyTraces([torn])).toMatchObject({
    violations: [],
    counts: { torn: 1, lines: SOUND.length },
  })
  const middle = file(
    'middle',
    `${ndjson(SOUND.slice(0, 2))}{"t":"7","p":"q","cell":"ma\n${ndjson(SOUND.slice(2))}`,
  )
  const { violations } = await verifyTraces([middle])
  expect(violations).toEqual([
    { property: 'trace format', what: `${middle}:3: not a JSON object`, processes: [], messages: [] },
  ])
  const whole = file('whole', `${ndjson(SOUND)}nonsense\n`)
  expect((await verifyTraces([whole])).violations[0]!.what).toBe(
    `${whole}:${SOUND.length + 1}: not a JSON object`,
  )
})

test('every field is checked before a checker sees it', async () => {
  const wrong = [
    '[]',
    '{"t":"1","p":"a","e":"dance"}',
    '{"t":1,"p":"a","e":"join","group":"g"}',
    '{"t":"1","e":"fail","cell":"main"}',
    '{"t":"1","p":"n","e":"fail"}',
    '{"t":"1","p":"n","cell":"main","e":"conf","id":"c","kind":"odd","members":["n"]}',
    '{"t":"1","p":"n","cell":"main","e":"conf","id":"c","kind":"regular","members":[1]}',
    '{"t":"1","p":"a","e":"view","group":"g","id":"1","members":["a"],"cause":"join","origins":[{"view":1,"members":[]}]}',
    '{"t":"1","p":"a","e":"send","m":"a:1","groups":["g"],"service":"fast"}',
    '{"t":"1","p":"a","e":"__proto__"}',
  ]
  const { violations } = await verifyTraces([file('fields', `${wrong.join('\n')}\n`)])
  expect(violations).toHaveLength(wrong.length)
  expect(violations.map(violation => violation.what.replace(/^.*:(\d+): /, '$1 '))).toMatchInlineSnapshot(`
    [
      "1 not a JSON object",
      "2 unknown event "dance"",
      "3 't' must be a string",
      "4 'p' must be a string",
      "5 'cell' must be a string",
      "6 'kind' of a 'conf' line must be one of regular, transitional",
      "7 'members' of a 'conf' line must be a list of strings",
      "8 'origins' of a 'view' line must be a list of {view, members}",
      "9 'service' of a 'send' line must be one of fifo, causal, agreed, safe",
      "10 unknown event "__proto__"",
    ]
  `)
})

test('a file that cannot be read is an error of its own', async () => {
  await expect(verifyTraces([join(folder, 'missing')])).rejects.toMatchObject({ code: 'ENOENT' })
})
