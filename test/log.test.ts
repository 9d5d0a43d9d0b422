import { readFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { expect, it } from 'vitest'
import type { Lab } from '../src/cli/lab/lab.ts'
import type { Program } from '../src/cli/lab/program.ts'
import { Random } from '../src/lib/prng.ts'
import { figure, stopwatch } from './figures.ts'
import {
  enter,
  eventually,
  expectGoodTraces,
  laboratory,
  type Member,
  patient,
  startTogether,
} from './laboratory.ts'

const names = ['n1', 'n2', 'n3'] as const

/** Lines as a web server writes them: of many lengths, some empty, some not ASCII; the same for the same seed. */
function logLines(count: number, seed: number): string[] {
  const random = new Random(seed)
  const pick = (list: readonly string[]): string => list[random.int(list.length)] as string
  return Array.from({ length: count }, (_, i) => {
    if (random.int(500) === 0) return ''
    const time = new Date(Date.UTC(2026, 0, 1) + i * 37).toISOString()
    const host = `10.${random.int(256)}.${random.int(256)}.${random.int(256)}`
    const path = pick([
      '/',
      '/orders',
      '/orders/Größe',
      '/каталог',
      '/images/logo.png',
      '/search?q=a+b&page=',
    ])
    const line = `${time} ${host} "${pick(['GET', 'POST', 'PUT'])} ${path}${random.int(1e6)} HTTP/1.1" ${pick(['200', '304', '404', '500'])} ${random.int(1e5)}`
    return random.int(200) === 0 ? `${line}\t${'at Object.<anonymous> '.repeat(random.int(60))}` : line
  })
}

/** `anasazi join --json` at a daemon, its output in a file. */
function joiner(
  lab: Lab,
  at: string,
  ...options: string[]
): { readonly program: Program; readonly file: string } {
  const file = lab.file(`joined-${at}.ndjson`)
  const args = ['join', '--json', '--no-send', '--name', `joiner-${at}`, ...options, 'log']
  return { program: lab.command(at, args, { outputFile: file }), file }
}

interface Line {
  readonly type: string
  readonly data: string
  readonly position: string
  readonly sender: string
}

function messagesIn(file: string): Line[] {
  const lines = readFileSync(file, 'utf8').split('\n')
  // Whoever is killed may have written half a line.
  const whole = lines.slice(0, -1).map(line => JSON.parse(line) as Line)
  return whole.filter(({ type }) => type === 'message')
}

/** The first lines that differ; null if none do. */
function firstDifference(one: string, two: string): { line: number; one: string; two: string } | null {
  if (one === two) return null
  const [a, b] = [one.split('\n'), two.split('\n')]
  const line = a.findIndex((text, index) => text !== b[index])
  return { line, one: a[line] ?? 'the end', two: b[line] ?? 'the end' }
}

/** Waits until so many are in the group. */
async function joined({ observer, group }: Member, count: number): Promise<void> {
  await observer.until(() => group.members.length === count)
}

/** Whether the file ends with a line that contains the text. */
async function endsWith(file: string, text: string): Promise<boolean> {
  const handle = await open(file)
  try {
    const { size } = await handle.stat()
    const length = Math.min(size, 4096)
    const { buffer } = await handle.read(Buffer.alloc(length), 0, length, size - length)
    return buffer.toString().endsWith('\n') && buffer.toString().includes(text)
  } finally {
    await handle.close()
  }
}

it('a log of 100,000 lines arrives complete and in the same order everywhere', async () => {
  const lab = await laboratory({ names, trace: false, cell: patient })
  await startTogether(lab)
  const lines = logLines(100_000, 1)
  const input = `${lines.join('\n')}\n`
  const joiners = names.map(name => joiner(lab, name, '--count', String(lines.length)))
  const watcher = await enter(lab, 'n2', 'watcher', 'log')
  await joined(watcher, 4)

  const since = stopwatch()
  const send = lab.command('n1', ['send', 'log'], { input })
  expect(await send.ended, send.errors).toBe(0)
  for (const { program } of joiners) expect(await program.ended, program.errors).toBe(0)
  const ms = since()
  figure('100,000 lines, send → three times join --json', ms, 'ms')
  figure('100,000 lines', ((input.length / ms) * 1000) / 1e6, 'MB/s')
  await watcher.observer.until(() => watcher.observer.messages.length === lines.length)

  const [first, ...others] = joiners.map(({ file }) => messagesIn(file))
  expect((first as Line[]).length).toBe(lines.length)
  // Not toEqual on the whole: a difference would be printed for minutes.
  expect((first as Line[]).findIndex(({ data }, i) => data !== lines[i])).toBe(-1)
  for (const other of others) {
    expect(other.length).toBe(lines.length)
    expect(
      other.findIndex(({ data, position }, i) => data !== lines[i] || position !== first?.[i]?.position),
    ).toBe(-1)
  }
  expect(watcher.observer.messages.findIndex(({ text }, i) => text !== lines[i])).toBe(-1)
})

it('with kill -9 of one daemon midway, the survivors agree byte for byte', async () => {
  const lab = await laboratory({ names, cell: patient })
  await startTogether(lab)
  const lines = { n1: logLines(25_000, 2), n3: logLines(60_000, 3) }
  const joiners = names.map(name => joiner(lab, name))
  const watcher = await enter(lab, 'n2', 'watcher', 'log')
  await joined(watcher, 4)

  const survivor = lab.command('n1', ['send', '--name', 'sender-n1', 'log'], { input: lines.n1.join('\n') })
  // Its input stays open: it cannot have ended before its daemon does.
  const victim = lab.command('n3', ['send', '--name', 'sender-n3', 'log'], { input: 'open' })
  victim.input.write(`${lines.n3.join('\n')}\n`)
  const { messages } = watcher.observer
  const heard = (sender: string): boolean => messages.some(seen => seen.sender.startsWith(sender))
  await watcher.observer.until(() => messages.length > 5000 && heard('sender-n1') && heard('sender-n3'))
  const since = stopwatch()
  lab.signal('n3', 'SIGKILL')
  await joined(watcher, 3)
  figure('kill -9 under load → view', since(), 'ms')
  expect(await survivor.ended, survivor.errors).toBe(0)
  const end = 'that is all'
  await watcher.group.send(end)
  for (const { file } of joiners.slice(0, 2)) await eventually(() => endsWith(file, end))
  for (const { program } of joiners.slice(0, 2)) {
    program.signal('SIGINT')
    await program.ended
  }
  // Whoever was at n3 is told: exit code 3, the daemon was lost.
  expect(await victim.ended, victim.errors).toBe(3)
  expect(victim.errors).toMatch(
    /The connection to the daemon was lost|The daemon was lost before the message was seen/,
  )
  expect(await joiners[2]?.program.ended).toBe(3)

  const [one, two] = joiners.slice(0, 2).map(({ file }) => {
    // That it reads slowly a reader is told alone.
    const text = readFileSync(file, 'utf8').replaceAll(/^\{"type":"warning".*\n/gm, '')
    // From the first message to the last: before and after they come and go.
    return text.slice(
      text.indexOf('{"type":"message"'),
      text.indexOf('\n', text.lastIndexOf('{"type":"message"')),
    )
  }) as [string, string]
  expect(one.length).toBeGreaterThan(25_000 * 100)
  // Not toEqual on the whole: a difference would be printed for minutes.
  expect(firstDifference(one, two)).toBeNull()
  expect(one).toContain('"cause":"network"')

  // Of the sender at n1 everything, of the one at n3 a beginning, each in its order.
  const seen = messagesIn(joiners[0]?.file as string)
  const of = (sender: string): string[] =>
    seen.filter(line => line.sender.startsWith(sender)).map(({ data }) => data)
  expect(of('sender-n1').findIndex((data, i) => data !== lines.n1[i])).toBe(-1)
  expect(of('sender-n1').length).toBe(lines.n1.length)
  const part = of('sender-n3')
  expect(part.findIndex((data, i) => data !== lines.n3[i])).toBe(-1)
  figure('messages of the killed sender that were delivered', part.length)
  expect(part.length).toBeGreaterThan(0)
  await expectGoodTraces(lab, [watcher])
})
