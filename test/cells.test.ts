import { mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import type { StatusDocument } from '../src/admin/status.ts'
import { freePort } from '../src/cli/lab/lab.ts'
import { Observer } from '../src/cli/lab/observer.ts'
import { connect, type Group } from '../src/client/index.ts'
import { parseConfig } from '../src/config/parse.ts'
import { createNode, type Node } from '../src/node/node.ts'
import { WorkerCell } from '../src/node/remote.ts'
import { verifyTraces } from '../src/sim/check/verify.ts'
import { figure, stopwatch } from './figures.ts'
import { later, patient } from './laboratory.ts'

const names = ['n1', 'n2', 'n3'] as const
/** Long enough that others notice, also where they are slow to. */
const wedgeMs = 6000

interface Place {
  readonly node: Node
  readonly observer: Observer
  readonly main: Group
  readonly wan: Group
}

async function peers(): Promise<string> {
  const lines: string[] = []
  for (const name of names) lines.push(`      ${name}: 127.0.0.1:${await freePort()}`)
  return lines.join('\n')
}

/** Three nodes with two cells each: one on this thread, the other on a thread of its own. */
async function threeNodes(directory: string): Promise<Node[]> {
  const text = [
    'cells:',
    '  wan:',
    "    groups: ['wan.*']",
    '    thread: dedicated',
    '    peers:',
    await peers(),
    '  main:',
    "    groups: ['*']",
    patient,
    '    peers:',
    await peers(),
  ].join('\n')
  const nodes: Node[] = []
  onTestFinished(async () => {
    for (const node of nodes) await node.close()
  })
  for (const name of names) {
    const runtime = join(directory, name)
    const trace = join(directory, `${name}.ndjson`)
    const config = parseConfig(text, 'cells.yaml', { hostName: 'here', runtime, name, trace })
    nodes.push(await createNode({ config }))
  }
  return nodes
}

function wedge(node: Node, ms: number): void {
  const cells = Reflect.get(node, 'cells') as readonly unknown[]
  const cell = cells.find(each => each instanceof WorkerCell)
  if (cell === undefined) throw new Error('the node has no cell on a thread of its own')
  cell.wedge(ms)
}

async function together(places: readonly Place[], cell: 'main' | 'wan', count: number): Promise<void> {
  for (const { observer, [cell]: group } of places) await observer.until(() => group.members.length === count)
}

/** Sends one message after the other until told to stop. @returns how many. */
async function talk(group: Group, stop: () => boolean, took: (ms: number) => void): Promise<number> {
  let sent = 0
  for (; !stop(); sent++) {
    const since = stopwatch()
    await group.send(`${group.name} ${sent}`, { service: sent % 2 === 0 ? 'safe' : 'agreed' })
    took(since())
  }
  return sent
}

function viewsOf({ observer }: Place, group: Group): number {
  return observer.views.filter(view => view.group === group.name).length
}

it('two cells on the same nodes, one of them wedged: the other does not notice', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'anasazi-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  const nodes = await threeNodes(directory)
  const places: Place[] = []
  for (const [index, node] of nodes.entries()) {
    // One session in both cells.
    const address = `unix:${directory}/${names[index]}/main.sock`
    const observer = new Observer(await connect(address, { name: `s${index}` }))
    const [main, wan] = await observer.join('orders', 'wan.orders')
    places.push({ node, observer, main: main as Group, wan: wan as Group })
  }
  expect(new Set(places.map(({ main, wan }) => `${main.cell} ${wan.cell}`))).toEqual(new Set(['main wan']))
  await together(places, 'main', 3)
  await together(places, 'wan', 3)
  const [first, second, third] = places as [Place, Place, Place]
  const before = places.map(place => viewsOf(place, place.main))

  // Traffic in the main cell, one message after the other, all the while.
  let stop = false
  let longest = 0
  const took = (ms: number): void => {
    longest = Math.max(longest, ms)
  }
  const talking = places.map(({ main }) => later(talk(main, () => stop, took)))

  const since = stopwatch()
  wedge(first.node, wedgeMs)
  expect((await first.node.status()).cells['wan']?.phase).toBe('unresponsive')
  let wedged = true
  const stuck = later(first.wan.send('from the wedged one').finally(() => (wedged = false)))
  // The others of its cell go on without it …
  await together([second, third], 'wan', 2)
  figure('wedged cell → view of the others', since(), 'ms')
  await second.wan.send('without the wedged one')
  // … while the main cell of the same node is as it was.
  const seen = first.observer.messages.length
  await first.observer.until(() => first.observer.messages.length > seen + 50)
  expect(wedged).toBe(true)
  expect(places.map(place => viewsOf(place, place.main))).toEqual(before)

  await together(places, 'wan', 3)
  figure(`wedged for ${wedgeMs} ms → one view again after`, since(), 'ms')
  await stuck
  stop = true
  const total = (await Promise.all(talking)).reduce((sum, sent) => sum + sent, 0)
  figure('messages in the other cell meanwhile', total)
  figure('the longest that one of them took', longest, 'ms')
  const inMain = ({ observer }: Place): string[] =>
    observer.messages
      .filter(({ group }) => group === 'orders')
      .map(({ position, text }) => `${position} ${text}`)
  for (const place of places) await place.observer.until(() => inMain(place).length === total)
  expect(inMain(second)).toEqual(inMain(first))
  expect(inMain(third)).toEqual(inMain(first))
  expect(places.map(place => viewsOf(place, place.main))).toEqual(before)
  const { cells } = await first.node.status()
  expect(cells['main']?.counters['cell.suspicions.silent']).toBe(0)
  expect(cells['main']?.counters['cell.loop.stalls']).toBe(0)
  expect(cells['wan']?.counters['cell.loop.stalls']).toBe(1)

  for (const { observer } of places) await observer.session.close()
  for (const node of nodes) await node.leave()
  const { violations, counts } = await verifyTraces(names.map(name => join(directory, `${name}.ndjson`)))
  expect(violations).toEqual([])
  expect([counts.cells, counts.daemons]).toEqual([2, 3])
})

it('a node tells its status, and can be closed, while one of its cells is wedged', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'anasazi-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  const [node] = (await threeNodes(directory)) as [Node]
  const session = await connect(`unix:${directory}/n1/main.sock`)
  // It answers for itself, in whatever phase the three are that have just met.
  expect(['operational', 'gather', 'recover']).toContain((await node.status()).cells['wan']?.phase)
  const since = stopwatch()
  wedge(node, 600_000)
  const { cells } = (await session.status('main')) as StatusDocument
  figure('status of a node with a wedged cell', since(), 'ms')
  expect(cells['wan']?.phase).toBe('unresponsive')
  expect(cells['main']?.phase).not.toBe('unresponsive')
  await session.close()
  await node.close()
})
