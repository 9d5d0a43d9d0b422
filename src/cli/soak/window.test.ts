import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ClientTraceLine } from '../../lib/trace.ts'
import { verifyTraces } from '../../sim/check/verify.ts'
import type { Incarnation } from './daemons.ts'
import { PlayerTrace } from './player-trace.ts'
import { openSessions, Window } from './window.ts'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'anasazi-window-'))
})
afterEach(() => rmSync(directory, { recursive: true }))

const members = ['n1#a', 'n2#b']
const [alice, bob] = ['alice@n1#a.1', 'bob@n2#b.1']

function daemonLine(p: string, event: object): string {
  return `${JSON.stringify({ t: '1', p, cell: 'main', ...event })}\n`
}

function conf(p: string, id: string): string {
  return daemonLine(p, { e: 'conf', id, kind: 'regular', members })
}

function message(p: string, m: string): string {
  return (
    (p === 'n1#a' ? daemonLine(p, { e: 'send', m, service: 'agreed' }) : '') +
    daemonLine(p, { e: 'deliver', m })
  )
}

function incarnation(name: string, content: string): Incarnation {
  const trace = join(directory, `${name}-1.ndjson`)
  writeFileSync(trace, content)
  return { name, pid: 0, trace, beganIn: null, tracedBefore: 0 }
}

function viewLine(p: string, group: string, id: string, more: object = {}): ClientTraceLine {
  const view = { e: 'view', group, id, members: [alice, bob], cause: 'join', origins: [] }
  return { t: '1', p, ...view, ...more } as ClientTraceLine
}

describe('the traces of a window', () => {
  it('go on in the next one where daemons were, and what happened before is not asked for again', async () => {
    const daemons = members.map(p => incarnation(p.slice(0, 2), conf(p, '3.x') + message(p, '3.x/1')))
    const first = new Window(join(directory, 'w1'))
    expect(first.takeTraces(daemons)).toBe(true)
    expect(first.complete(daemons)).toBe(1)
    expect((await verifyTraces(first.files, { drained: true })).violations).toEqual([])
    for (const daemon of daemons) daemon.beganIn = first.daemonTrace(daemon).lastConfiguration

    const second = new Window(join(directory, 'w2'))
    second.begin(daemons)
    members.forEach((p, i) => appendFileSync((daemons[i] as Incarnation).trace, message(p, '3.x/2')))
    expect(second.takeTraces(daemons)).toBe(true)
    expect(second.complete(daemons)).toBe(0)
    const good = await verifyTraces(second.files, { drained: true })
    expect(good).toMatchObject({ violations: [], counts: { daemons: 2, lines: 5 } })
    second.remove()
  })

  it('show a message that comes again in a later window', async () => {
    const daemons = members.map(p => incarnation(p.slice(0, 2), conf(p, '3.x')))
    for (const daemon of daemons) daemon.beganIn = readFileSync(daemon.trace, 'utf8').trimEnd()
    for (const daemon of daemons)
      writeFileSync(
        daemon.trace,
        message('n2#b', '3.x/1').replace('n2#b', `${daemon.name}#${daemon.name === 'n1' ? 'a' : 'b'}`),
      )
    const window = new Window(join(directory, 'w'))
    window.begin(daemons)
    window.takeTraces(daemons)
    window.complete(daemons)
    const { violations } = await verifyTraces(window.files, { drained: true })
    expect(violations.map(({ property }) => property)).toContain('EVS 1.3')
  })

  it('say of killed daemons that they failed, in whichever window they came up', async () => {
    const [one, two] = members.map(p => incarnation(p.slice(0, 2), conf(p, '3.x'))) as [
      Incarnation,
      Incarnation,
    ]
    two.beganIn = conf('n2#b', '3.x').trimEnd()
    writeFileSync(two.trace, '')
    const window = new Window(join(directory, 'w'))
    window.daemonEnded(one)
    window.daemonEnded(two)
    window.complete([])
    const lines = readFileSync(join(window.directory, 'z-end.ndjson'), 'utf8').trimEnd().split('\n')
    expect(lines.map(line => JSON.parse(line) as object)).toMatchObject([
      { p: 'n1#a', e: 'fail', cell: 'main' },
      { p: 'n2#b', e: 'fail', cell: 'main' },
    ])
  })

  it('say once that a daemon failed which could say so itself, and survive half a line', () => {
    const left = incarnation('n1', conf('n1#a', '3.x') + daemonLine('n1#a', { e: 'fail' }))
    const torn = incarnation('n2', `${conf('n2#b', '3.x')}{"t":"1","p":"n2`)
    const window = new Window(join(directory, 'w'))
    window.daemonEnded(left)
    window.daemonEnded(torn)
    window.complete([])
    const end = readFileSync(join(window.directory, 'z-end.ndjson'), 'utf8')
    expect(end).not.toContain('n1#a')
    expect(end).toContain('n2#b')
  })

  it('are not taken over while somebody writes', () => {
    const daemon = incarnation('n1', conf('n1#a', '3.x'))
    const window = new Window(join(directory, 'w'))
    const busy = {
      ...daemon,
      get trace() {
        appendFileSync(daemon.trace, message('n1#a', '3.x/1'))
        return daemon.trace
      },
    }
    expect(window.takeTraces([busy])).toBe(false)
    expect(readFileSync(daemon.trace, 'utf8')).not.toBe('')
    expect(window.takeTraces([daemon])).toBe(true)
    expect(readFileSync(daemon.trace, 'utf8')).toBe('')
  })
})

describe('the trace of a client process', () => {
  it('begins in the next window with the views that its sessions are in, the same for all of them', async () => {
    const trace = new PlayerTrace(join(directory, '1.ndjson'))
    const views: ClientTraceLine[] = [
      // The two came to the view of `b` in different ways, and to the groups in different orders.
      viewLine(alice, 'b', '3.x/1', { members: [alice] }),
      viewLine(alice, 'a', '3.x/2', { members: [alice] }),
      viewLine(bob, 'a', '3.x/3'),
      viewLine(alice, 'a', '3.x/3'),
      viewLine(alice, 'b', '3.x/4'),
      viewLine(bob, 'b', '3.x/4'),
      viewLine(bob, 'c', '3.x/5', { members: [bob] }),
      { t: '1', p: bob, e: 'closed', group: 'c' },
      viewLine('eve@n1#a.2', 'a', '3.x/6', { members: ['eve@n1#a.2'] }),
      { t: '1', p: 'eve@n1#a.2', e: 'closed', why: 'connection-lost' },
    ]
    for (const line of views) trace.write(line)
    const next = join(directory, '2.ndjson')
    trace.rotate(next)
    const begun = readFileSync(next, 'utf8').trimEnd().split('\n')
    expect(begun.map(line => JSON.parse(line) as object)).toMatchObject([
      ...[alice, bob].flatMap(p => [
        { p, e: 'join', group: 'a' },
        { p, e: 'view', group: 'a', id: '3.x/3' },
      ]),
      ...[alice, bob].flatMap(p => [
        { p, e: 'join', group: 'b' },
        { p, e: 'view', group: 'b', id: '3.x/4' },
      ]),
    ])
    const m = `${alice}:7`
    trace.write({ t: '2', p: alice, e: 'send', m, groups: ['a'], service: 'agreed' })
    for (const p of [alice, bob]) {
      const where = { group: 'a', view: '3.x/3', position: '3.9.0.0.0', service: 'agreed' } as const
      trace.write({ t: '2', p, e: 'receive', m, from: alice, ...where })
    }
    trace.close()
    expect((await verifyTraces([next], { drained: true })).violations).toEqual([])
  })

  it('tells which of its sessions were open when it was killed', () => {
    const lines = [
      viewLine(alice, 'a', '3.x/1'),
      viewLine(bob, 'a', '3.x/1'),
      { t: '1', p: alice, e: 'closed', group: 'a' },
      { t: '1', p: bob, e: 'closed', why: 'evicted' },
      // An answer that was read with the end reaches whoever waits for it behind the end.
      { t: '1', p: bob, e: 'fate', m: `${bob}:1`, position: '3.9.0.0.0', received: [], unknown: [] },
    ]
    const text = `${lines.map(line => JSON.stringify(line)).join('\n')}\n{"t":"2","p":"x`
    expect([...openSessions(text)]).toEqual([alice])
  })
})
