/** The model: its quick cases hold, its command notices what it must, and its page says what is run. */

import { spawn, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { describeIf } from './requires.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const command = join(root, 'model', 'check.mjs')

interface Case {
  readonly name: string
  readonly kind: 'base' | 'mutant' | 'situation'
  readonly quick: boolean
}

interface Result extends Case {
  readonly passed: boolean
  readonly why: string | null
  readonly states: number
  readonly complete: boolean
  readonly violated: string | null
}

interface Report {
  readonly passed: boolean
  readonly states: number
  readonly results: readonly Result[]
}

function missingTool(): string | null {
  for (const [tool, flag] of [
    ['spin', '-V'],
    ['gcc', '--version'],
  ] as const) {
    const { error } = spawnSync(tool, [flag])
    if (error !== undefined) return `the program ${tool} cannot be run (${error.message})`
  }
  return null
}

function check(args: readonly string[]): Promise<{ code: number | null; out: string; err: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [command, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    let out = ''
    let err = ''
    child.stdout.on('data', chunk => {
      out += String(chunk)
    })
    child.stderr.on('data', chunk => {
      err += String(chunk)
    })
    child.on('error', reject)
    child.on('close', code => resolve({ code, out, err }))
  })
}

async function cases(): Promise<Case[]> {
  const { code, out } = await check(['--list', '--json'])
  expect(code).toBe(0)
  return JSON.parse(out) as Case[]
}

describeIf('the model', missingTool(), process.env['CI'] === 'true', () => {
  it('holds in its quick sizes, in all of their states, and notices missing rules', async () => {
    const { code, out, err } = await check(['--quick', '--json'])
    const report = JSON.parse(out) as Report
    expect(
      report.results.filter(result => !result.passed),
      err,
    ).toEqual([])
    expect(code).toBe(0)
    const of = (kind: Case['kind']): readonly Result[] =>
      report.results.filter(result => result.kind === kind)
    expect(of('base').length).toBeGreaterThan(1)
    expect(of('base').every(result => result.complete && result.violated === null)).toBe(true)
    expect(report.states).toBeGreaterThan(50_000)
    expect(of('mutant').length).toBeGreaterThan(5)
    expect(of('mutant').every(result => result.violated !== null)).toBe(true)
    expect(of('situation').length).toBeGreaterThan(2)
  }, 600_000)

  it('does not count a search that is cut off', async () => {
    const { code, out } = await check(['--only', 'recovery-one-message', '--max-depth', '60', '--json'])
    const report = JSON.parse(out) as Report
    expect(report.results.map(({ name, why }) => [name, why])).toEqual([
      ['recovery-one-message', 'the search is not complete'],
    ])
    expect(code).toBe(1)
  }, 300_000)
})

it('the page about the model has every case, and every mutant is a rule of the protocol', async () => {
  const page = readFileSync(join(root, 'docs', 'model.md'), 'utf8')
  const protocol = readFileSync(join(root, 'docs', 'protocol.md'), 'utf8')
  const all = await cases()
  for (const { name, kind } of all) {
    if (kind === 'base') expect(page).toContain(`\n| \`${name}\` |`)
    if (kind !== 'mutant') continue
    expect(page).toContain(`\n| **${name}** |`)
    expect(protocol).toContain(`\n| ${name} |`)
  }
  expect(page.match(/^\| \*\*/gm)?.length).toBe(all.filter(({ kind }) => kind === 'mutant').length)
})

it('the command says what is wrong with its arguments', async () => {
  expect(await check(['--nonsense'])).toMatchObject({ code: 2, err: expect.stringContaining('--nonsense') })
  expect(await check(['--only', 'nothing'])).toMatchObject({
    code: 2,
    err: expect.stringContaining('nothing'),
  })
  expect(await check(['--max-depth', 'deep'])).toMatchObject({
    code: 2,
    err: expect.stringContaining('deep'),
  })
})
