#!/usr/bin/env node
/**
 * Checks the Promela models of this folder: every size exhaustively, then every rule taken out, then that the situations
 * that matter are reached at all. See docs/model.md.
 */

import { spawn, spawnSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { bases, mutants, properties, situations } from './cases.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const memoryLimitMb = 8000
/** Deeper than any run: a search that reaches it does not count as complete. */
const defaultMaxDepth = 100_000

const usage = `Usage: node model/check.mjs [options]

Checks the models of ordering and recovery with spin: all states of each size, then with each rule taken out, which must
be noticed, then that the situations that matter are reached.

  --quick            the small sizes, and some of the rules
  --only NAME        only cases with this name (repeatable)
  --json             one JSON object instead of the tables
  --markdown FILE    write the tables into FILE, between its marks
  --list             the cases, without running them
  --max-depth N      of a search, ${defaultMaxDepth} if not given; one that reaches it is not complete
  --jobs N           how many cases at a time, 1 if not given
  --help             this text

Needs spin and a C compiler (Debian: apt-get install spin gcc libc6-dev) and, in full, up to ${memoryLimitMb} MB of memory a job.
Exit code 0: all hold and every mutant is caught; 1: not so, or a search was not complete; 2: it could not run.
`

/** One line of the tables. */
function describe(test) {
  const { N, M, E, L, A, H = 1 } = test.size
  const attempts = A === undefined ? '' : `, ${A} ${A === 1 ? 'attempt' : 'attempts'}`
  const facts = E === 0 ? 'no facts frames' : `${E} facts ${E === 1 ? 'frame' : 'frames'}`
  const most = (L < M + E ? ` (at most ${L} a member)` : '') + (H > 1 ? `, promises up to ${H} ahead` : '')
  return `${N} members, ${M} ${M === 1 ? 'message' : 'messages'}, ${facts}${most}${attempts}`
}

function parseArguments(argv) {
  const options = {
    quick: false,
    json: false,
    list: false,
    help: false,
    markdown: null,
    only: [],
    maxDepth: defaultMaxDepth,
    jobs: 1,
  }
  for (let i = 0; i < argv.length; i++) {
    const name = argv[i]
    if (name === '--quick' || name === '--json' || name === '--list' || name === '--help')
      options[name.slice(2)] = true
    else if (name === '--markdown' || name === '--only' || name === '--max-depth' || name === '--jobs') {
      const value = argv[++i]
      if (value === undefined) fail(`${name} needs a value`)
      if (name === '--only') options.only.push(value)
      else if (name === '--markdown') options.markdown = value
      else if (!/^[1-9]\d{0,8}$/.test(value)) fail(`${name} needs a number from 1 to 999999999, not ${value}`)
      else if (name === '--jobs') options.jobs = Math.min(Number(value), 64)
      else options.maxDepth = Number(value)
    } else fail(`unknown option ${name}; see --help`)
  }
  return options
}

function fail(message) {
  process.stderr.write(`model/check: ${message}\n`)
  process.exit(2)
}

function requireTools() {
  for (const [tool, flag] of [
    ['spin', '-V'],
    ['gcc', '--version'],
  ]) {
    const { error } = spawnSync(tool, [flag], { encoding: 'utf8' })
    if (error !== undefined)
      fail(`${tool} cannot be run (${error.message}); on Debian: apt-get install spin gcc libc6-dev`)
  }
  return spawnSync('spin', ['-V'], { encoding: 'utf8' }).stdout.trim()
}

const children = new Set()
const folders = new Set()

function run(command, args, cwd) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] })
    children.add(child)
    let out = ''
    child.stdout.on('data', chunk => {
      out += chunk
    })
    child.stderr.on('data', chunk => {
      out += chunk
    })
    child.on('error', reject)
    child.on('close', code => {
      children.delete(child)
      resolve({ code, out })
    })
  })
}

/** Generates, compiles and runs one verifier. */
async function verify(test, maxDepth) {
  const folder = mkdtempSync(join(tmpdir(), 'anasazi-model-'))
  folders.add(folder)
  try {
    for (const file of ['cell.pml', 'ordering.pml', 'recovery.pml'])
      copyFileSync(join(here, file), join(folder, file))
    const sizes = Object.entries(test.size).map(([name, value]) => `-D${name}=${value}`)
    const switches = (test.define ?? []).map(name => `-D${name}`)
    const generated = await run('spin', ['-a', ...sizes, ...switches, `${test.model}.pml`], folder)
    if (generated.code !== 0 || /Error:/.test(generated.out))
      throw new Error(`spin -a: ${generated.out.trim()}`)
    // What runs for seconds only is not worth compiling well.
    const optimize = test.kind === 'base' ? (test.quick ? '-O1' : '-O2') : test.slow ? '-O1' : '-O0'
    const flags = [
      optimize,
      '-w',
      '-DSAFETY',
      '-DNOREDUCE',
      '-DNOFAIR',
      '-DVECTORSZ=1024',
      `-DMEMLIM=${memoryLimitMb}`,
    ]
    const compiled = await run('gcc', [...flags, '-o', 'pan', 'pan.c'], folder)
    if (compiled.code !== 0) throw new Error(`gcc: ${compiled.out.trim()}`)
    const began = process.hrtime.bigint()
    const { out } = await run('./pan', [`-m${maxDepth}`], folder)
    return { ...read(out), wallSeconds: Number(process.hrtime.bigint() - began) / 1e9 }
  } finally {
    rmSync(folder, { recursive: true, force: true })
    folders.delete(folder)
  }
}

/** What the verifier printed. */
function read(out) {
  const number = pattern => Number(pattern.exec(out)?.[1] ?? Number.NaN)
  const violated = /assertion violated (.*) \(at depth/.exec(out)?.[1]?.replace(/[()\s]/g, '') ?? null
  const errors = number(/errors: (\d+)/)
  const complete =
    /^Full statespace search/m.test(out) &&
    !/Search not completed|max search depth|out of memory|bit ?state|hash-compact/i.test(out) &&
    Number.isFinite(errors)
  return {
    errors,
    complete,
    violated: violated ?? (/^pan:\d+: invalid end state/m.test(out) ? 'invalid end state' : null),
    states: number(/([\d.e+]+) states, stored/),
    transitions: number(/([\d.e+]+) transitions/),
    depth: number(/depth reached (\d+)/),
    memoryMb: number(/([\d.]+)\s+total actual memory usage/),
    seconds: number(/elapsed time ([\d.]+) seconds/),
    vectorBytes: number(/State-vector (\d+) byte/),
    out: errors === 0 ? '' : out.slice(0, 2000),
  }
}

/** Whether it came out as it must; null if so, else why not. */
function judge(test, result) {
  if (result.error !== undefined) return result.error
  if (test.kind === 'base') {
    if (result.violated !== null) return `violates ${result.violated}`
    if (result.errors !== 0) return `${result.errors} errors`
    return result.complete ? null : 'the search is not complete'
  }
  if (result.violated === null) return test.kind === 'mutant' ? 'survives' : 'is never reached'
  const expected =
    test.kind === 'situation' ? result.violated === 'unreached' : properties.includes(result.violated)
  return expected ? null : `stops at ${result.violated}`
}

const kinds = {
  base: 'must hold',
  mutant: 'must be caught',
  situation: 'must be reached',
}

const count = value => (Number.isFinite(value) ? Math.round(value).toLocaleString('en-US') : '?')

function line(test, result, why) {
  const verdict =
    why === null
      ? { base: 'holds', mutant: `caught: ${result.violated}`, situation: 'reached' }[test.kind]
      : `FAILS: ${why}`
  return `${test.name.padEnd(34)} ${count(result.states).padStart(12)} states  depth ${count(result.depth).padStart(6)}  ${String(result.seconds ?? '?').padStart(7)} s  ${count(result.memoryMb).padStart(6)} MB  ${verdict}`
}

function markdown(rows, version) {
  const of = kind => rows.filter(row => row.test.kind === kind)
  const lines = []
  lines.push(
    `Written by \`node model/check.mjs --markdown docs/model.md\` (${version}). Seconds and megabytes are of the machine that wrote it.`,
    '',
    '### All states of each size',
    '',
    '| model | size | states | transitions | depth | seconds | MB | |',
    '|---|---|--:|--:|--:|--:|--:|---|',
  )
  for (const { test, result, why } of of('base')) {
    lines.push(
      `| \`${test.name}\` | ${describe(test)}${test.note ? `; ${test.note}` : ''} | ${count(result.states)} | ${count(result.transitions)} | ${count(result.depth)} | ${result.seconds} | ${count(result.memoryMb)} | ${why === null ? 'all hold' : `**${why}**`} |`,
    )
  }
  const total = of('base').reduce((sum, { result }) => sum + result.states, 0)
  lines.push('', `${count(total)} states in all.`, '')
  lines.push(
    '### Every rule taken out',
    '',
    '| rule | without it | in | caught by | states | seconds |',
    '|---|---|---|---|--:|--:|',
  )
  for (const { test, result, why } of of('mutant')) {
    lines.push(
      `| **${test.name}** | ${test.without} | \`${test.of}\` | ${why === null ? `\`${result.violated}\`` : `**${why}**`} | ${count(result.states)} | ${result.seconds} |`,
    )
  }
  lines.push('', '### Reached', '', '| situation | in | states until then | |', '|---|---|--:|---|')
  for (const { test, result, why } of of('situation')) {
    lines.push(
      `| ${test.what} | \`${test.of}\` | ${count(result.states)} | ${why === null ? 'reached' : `**${why}**`} |`,
    )
  }
  return lines.join('\n')
}

const marks = ['<!-- figures: begin -->', '<!-- figures: end -->']

function writeInto(file, text) {
  const old = readFileSync(file, 'utf8')
  const [from, to] = marks.map(mark => old.indexOf(mark))
  if (from < 0 || to < from) fail(`${file} has no marks ${marks.join(' … ')} to write between`)
  writeFileSync(file, `${old.slice(0, from + marks[0].length)}\n\n${text}\n\n${old.slice(to)}`)
}

function stop(signal) {
  for (const child of children) child.kill('SIGKILL')
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
  process.exit(signal === 'SIGINT' ? 130 : 143)
}

async function main() {
  const options = parseArguments(process.argv.slice(2))
  if (options.help) {
    process.stdout.write(usage)
    return 0
  }
  const all = [...bases, ...mutants, ...situations]
  for (const name of options.only)
    if (!all.some(test => test.name === name)) fail(`there is no case ${name}; see --list`)
  const wanted = all.filter(
    test => (!options.quick || test.quick) && (options.only.length === 0 || options.only.includes(test.name)),
  )
  if (options.list) {
    if (options.json) {
      const cases = wanted.map(({ name, kind, model, size, of, quick }) => ({
        name,
        kind,
        model,
        size,
        base: of,
        quick: quick === true,
      }))
      process.stdout.write(`${JSON.stringify(cases, null, 2)}\n`)
      return 0
    }
    for (const test of wanted)
      process.stdout.write(`${test.name.padEnd(34)} ${kinds[test.kind]}; ${test.model}: ${describe(test)}\n`)
    return 0
  }
  if (options.markdown !== null && (options.quick || options.only.length > 0))
    fail('--markdown writes all figures: not together with --quick or --only')
  const version = requireTools()
  process.on('SIGINT', stop)
  process.on('SIGTERM', stop)
  const say = options.json ? process.stderr : process.stdout
  const rows = []
  const began = process.hrtime.bigint()
  const waiting = wanted.map((test, index) => ({ test, index }))
  const work = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const { test, index } = next
      if (say.isTTY) say.write(`${test.name}: ${describe(test)} …\r`)
      let result
      try {
        result = await verify(test, options.maxDepth)
      } catch (error) {
        result = { error: error.message }
      }
      const why = judge(test, result)
      rows[index] = { test, result, why }
      say.write(`${line(test, result, why)}\n`)
      if (why !== null && result.out) say.write(`${result.out}\n`)
    }
  }
  await Promise.all(Array.from({ length: options.jobs }, work))
  const failed = rows.filter(row => row.why !== null)
  const seconds = Number(process.hrtime.bigint() - began) / 1e9
  const total = rows.reduce(
    (sum, { test, result }) => sum + (test.kind === 'base' ? (result.states ?? 0) : 0),
    0,
  )
  const of = kind => rows.filter(row => row.test.kind === kind)
  const held = kind => `${of(kind).filter(row => row.why === null).length} of ${of(kind).length}`
  if (options.json) {
    const results = rows.map(({ test, result, why }) => {
      const { name, kind, model, size, define, of: base } = test
      const { out: _, ...figures } = result
      return { name, kind, model, size, define, base, ...figures, passed: why === null, why }
    })
    process.stdout.write(
      `${JSON.stringify({ spin: version, seconds, states: total, passed: failed.length === 0, results }, null, 2)}\n`,
    )
  } else {
    say.write(
      `\n${held('base')} sizes hold, ${count(total)} states; ${held('mutant')} mutants caught; ${held('situation')} situations reached; ${seconds.toFixed(0)} s\n`,
    )
  }
  if (options.markdown !== null) writeInto(options.markdown, markdown(rows, version))
  return failed.length === 0 ? 0 : 1
}

process.exitCode = await main()
