import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { applyPatch, checkPatches, copyBuild, PatchError, patchBuild } from './build.ts'
import { hunt } from './hunt.ts'
import { type Mutant, patch } from './mutant.ts'
import { formatMarkdown, isComplete } from './print.ts'
import { rules } from './rules.ts'

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url))
const build = path('../../../dist/')
const scenarios = path('../../../test/scenarios/')

describe('a patch', () => {
  const code = 'if (a) {\n    b();\n}\nelse\n    c();\n'

  test('replaces the one place where its words stand, however lines are broken', () => {
    expect(applyPatch(code, patch('x.js', 'if (a) { b(); }', 'if (!a) b();'))).toBe(
      'if (!a) b();\nelse\n    c();\n',
    )
    expect(applyPatch(code, patch('x.js', 'c();', ''))).toBe('if (a) {\n    b();\n}\nelse\n    \n')
  })

  test('takes what it finds and what it writes literally', () => {
    expect(applyPatch('f(a[0]) + $1', patch('x.js', 'a[0]', '$&$1'))).toBe('f($&$1) + $1')
  })

  test('that fits nowhere is an error', () => {
    expect(() => applyPatch(code, patch('x.js', 'd();', ''))).toThrow(PatchError)
    expect(() => applyPatch(code, patch('x.js', 'd();', ''))).toThrow(
      /x\.js: this text is not there:\nd\(\);/,
    )
  })

  test('that fits twice is an error', () => {
    expect(() => applyPatch(code, patch('x.js', '();', ''))).toThrow(/2 times/)
  })

  test('for a file that is not there is an error, and nothing is changed', () => {
    const directory = mkdtempSync(join(tmpdir(), 'anasazi-patch-'))
    try {
      writeFileSync(join(directory, 'x.js'), code)
      const patches = [patch('x.js', 'c();', 'd();'), patch('y.js', 'c();', 'd();')]
      expect(() => patchBuild(directory, patches)).toThrow(/y\.js: there is no such file/)
      expect(readFileSync(join(directory, 'x.js'), 'utf8')).toBe(code)
      patchBuild(directory, [patch('x.js', 'c();', 'd();'), patch('x.js', 'd();', 'e();')])
      expect(readFileSync(join(directory, 'x.js'), 'utf8')).toContain('e();')
    } finally {
      rmSync(directory, { recursive: true })
    }
  })
})

describe('a copy of the build', () => {
  test('holds all that the simulator needs, can be patched, and leaves nothing behind', () => {
    const { directory, remove } = copyBuild(build)
    try {
      expect(readdirSync(directory).sort()).toEqual(['codec', 'core', 'groups', 'lib', 'package.json', 'sim'])
      patchBuild(directory, [patch('core/window.js', 'this.bytes += bytes;', '')])
      expect(readFileSync(join(directory, 'core/window.js'), 'utf8')).not.toContain('this.bytes += bytes;')
      expect(readFileSync(join(build, 'core/window.js'), 'utf8')).toContain('this.bytes += bytes;')
    } finally {
      remove()
    }
    expect(existsSync(directory)).toBe(false)
  })
})

describe('the table', () => {
  test.each(rules.map(mutant => [mutant.name, mutant] as const))('%s fits the build', (_, mutant) => {
    expect(mutant.patches.length).toBeGreaterThan(0)
    const patched = checkPatches(build, mutant.patches)
    for (const [file, text] of patched) expect(text).not.toBe(readFileSync(join(build, file), 'utf8'))
    for (const name of mutant.scenarios ?? [])
      expect(existsSync(join(scenarios, `${name}.scenario`))).toBe(true)
  })

  test('names everything once', () => {
    const names = rules.map(({ name }) => name)
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([])
  })

  test('has a row for every rule of docs/protocol.md', () => {
    const text = readFileSync(path('../../../docs/protocol.md'), 'utf8')
    const table = text.slice(text.indexOf('\n## The rules'), text.indexOf('\n## Sources'))
    const named = [...table.matchAll(/^\| ([a-z]+(?:-[a-z]+)+|[a-z]+) +\|/gm)].map(([, name]) => name)
    const names = rules.map(({ name }) => name)
    expect(named.length).toBeGreaterThan(50)
    expect(named.filter(name => name !== 'rule' && !names.includes(name as string))).toEqual([])
  })
})

const byName = (name: string): Mutant => rules.find(mutant => mutant.name === name) as Mutant
const options = { seeds: 0, jobs: 1, build, scenarios }

describe('a hunt', () => {
  test('finds what directed scenarios are there for, by the promise that is broken', async () => {
    const mutants = ['obligations', 'one-plan-per-form', 'fragments-start-again'].map(byName)
    const quarry = await hunt({ ...options, mutants })
    expect(
      quarry.verdicts.map(({ mutant, finding }) => [mutant.name, finding?.where, finding?.property]),
    ).toEqual([
      ['obligations', 'obligation-binds', 'EVS 7.1'],
      ['one-plan-per-form', 'late-state', 'EVS 4'],
      ['fragments-start-again', 'fragments', 'members keep the rules'],
    ])
    expect(quarry.control).toEqual({ finding: null, scenarios: 3, seeds: 0 })
    expect(isComplete(quarry)).toBe(true)
    const table = formatMarkdown(quarry)
    expect(table).toContain('3 of 3 mutants are found. The unpatched copy passes the same 3 scenarios')
    expect(table).toMatch(/^\| `obligations` \| .* \| scenario `obligation-binds`: EVS 7\.1 \|$/m)
  })

  test('tries seeds, and finds what any run shows', async () => {
    const quarry = await hunt({ ...options, seeds: 3, mutants: [byName('last-promise')] })
    expect(quarry.verdicts[0]?.finding).toMatchObject({ by: 'seed', property: expect.stringMatching(/^EVS/) })
  })

  test('says so if nothing notices; unless that is as it must be', async () => {
    const harmless = {
      ...byName('obligations'),
      patches: [patch('core/plan.js', 'let received = 0;', 'let received = 0 + 0;')],
    }
    const survived = await hunt({ ...options, mutants: [harmless] })
    expect(survived.verdicts[0]?.finding).toBe(null)
    expect(isComplete(survived)).toBe(false)
    expect(formatMarkdown(survived)).toContain('**not found**')
    const implied = await hunt({ ...options, mutants: [{ ...harmless, implied: 'it adds nothing' }] })
    expect(isComplete(implied)).toBe(true)
    expect(formatMarkdown(implied)).toContain('nothing can: it adds nothing')
  })

  test.each([
    ['cannot be loaded', 'let received = 0;', 'let received = ;', /cannot be loaded/],
    [
      'only breaks the code',
      'let received = 0;',
      'nobody(); let received = 0;',
      /broken code.*ReferenceError/s,
    ],
  ])('refuses a patch that %s', async (_, find, replace, message) => {
    const mutant = { ...byName('obligations'), patches: [patch('core/plan.js', find, replace)] }
    await expect(hunt({ ...options, mutants: [mutant] })).rejects.toThrow(message)
  })

  test('does not begin with a table that does not fit', async () => {
    const mutants = [
      byName('obligations'),
      { ...byName('caps'), patches: [patch('core/plan.js', 'no such text', '')] },
    ]
    const tried: string[] = []
    await expect(
      hunt({ ...options, mutants, progress: ({ mutant }) => tried.push(mutant.name) }),
    ).rejects.toThrow(PatchError)
    expect(tried).toEqual([])
  })
})
