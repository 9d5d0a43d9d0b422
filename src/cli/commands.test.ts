import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { Counters } from '../admin/counters.ts'
import type { StatusDocument } from '../admin/status.ts'
import type { SessionEvent } from '../client/events.ts'
import { AnasaziError } from '../lib/errors.ts'
import { run } from './program.ts'
import { connectToDaemon } from './session.ts'
import { statusText } from './status-text.ts'
import { fakeSession, fakeTerminal, runCommand } from './terminal.fixture.ts'

const directory = mkdtempSync(join(tmpdir(), 'anasazi-cli-'))
afterAll(() => rmSync(directory, { recursive: true }))

const message = (text: string): SessionEvent =>
  ({
    type: 'message',
    group: 'g',
    sender: 'a@n#0.1',
    data: new TextEncoder().encode(text),
  }) as unknown as SessionEvent

describe('anasazi', () => {
  it('shows help with every command and every exit code', async () => {
    const { code, output } = await runCommand(['--help'], fakeSession().connect)
    expect(code).toBe(0)
    for (const name of [
      'demo',
      'daemon',
      'join',
      'send',
      'groups',
      'members',
      'status',
      'config',
      'verify',
      'sim',
    ]) {
      expect(output).toMatch(new RegExp(`^  ${name} `, 'm'))
    }
    for (const exit of [0, 1, 2, 3, 70]) expect(output).toMatch(new RegExp(`^ +${exit}  \\w`, 'm'))
  })

  it('gives every command an example or a plain synopsis', async () => {
    for (const name of ['daemon', 'join', 'send', 'status', 'verify']) {
      const { code, output } = await runCommand([name, '--help'], fakeSession().connect)
      expect(code, name).toBe(0)
      expect(output, name).toContain('Examples:\n  $ anasazi ')
    }
  })

  it('says what to do when there are too few descriptors, even for its own modules', async () => {
    const error = Object.assign(new Error("EMFILE: too many open files, open '/x.js'"), { code: 'EMFILE' })
    const { code, errors } = await runCommand(['status'], () => Promise.reject(error))
    expect(code).toBe(1)
    expect(errors).toContain("EMFILE: too many open files, open '/x.js'\n")
    expect(errors).toContain('ulimit -n')
  })

  it('says its version', async () => {
    expect(await runCommand(['--version'], fakeSession().connect)).toMatchObject({
      code: 0,
      output: '0.1.0\n',
    })
  })

  it.each([
    [[]],
    [['jion', 'x']],
    [['join']],
    [['join', 'x', '--count', '0']],
    [['send', 'x', '--service', 'strong']],
    [['groups', '--nothing']],
  ])('ends with 2 for %j', async args => {
    const { code, output, errors } = await runCommand(args, fakeSession().connect)
    expect([code, output]).toEqual([2, ''])
    expect(errors).not.toBe('')
  })

  it('suggests the command that was meant', async () => {
    expect((await runCommand(['jion', 'x'], fakeSession().connect)).errors).toContain('Did you mean join?')
  })

  it('ends with 3 and advice where no daemon is', async () => {
    const { code, errors } = await runCommand(
      ['groups', '-c', `unix:${directory}/none.sock`],
      connectToDaemon,
    )
    expect(code).toBe(3)
    expect(errors).toContain(`unix:${directory}/none.sock`)
    expect(errors).toContain('\n  Check the address')
  })

  it('ends with 2 for an address that is none', async () => {
    expect((await runCommand(['groups', '-c', 'http://x'], connectToDaemon)).code).toBe(2)
  })

  it('ends with 70 and a stack for a defect', async () => {
    const { code, errors } = await runCommand(['groups'], () => Promise.reject(new TypeError('broken')))
    expect(code).toBe(70)
    expect(errors).toMatch(/TypeError: broken[^]*defect/)
  })
})

describe('join', () => {
  it('prints until it has seen enough, and closes the session', async () => {
    const session = fakeSession({ batches: [[message('one')], [message('two'), message('three')]] })
    const result = await runCommand(['join', 'g', '--json', '--count', '2', '-n', 'alice'], session.connect)
    expect(result.code).toBe(0)
    const data = result.output
      .trimEnd()
      .split('\n')
      .map(line => (JSON.parse(line) as { data: string }).data)
    expect(data).toEqual(['one', 'two'])
    expect([session.joined, session.closed, session.opened[0]?.name]).toEqual([['g'], true, 'alice'])
  })

  it('sends the lines of standard input to all its groups and goes on until it is interrupted', async () => {
    const session = fakeSession()
    const terminal = fakeTerminal({ input: ['one\ntw', 'o\n'] })
    const running = run(['join', 'g', 'h', 'g', '--service', 'safe'], { terminal, connect: session.connect })
    await expect.poll(() => session.sent).toEqual(['g+h:one', 'g+h:two'])
    expect(session.closed).toBe(false)
    terminal.interrupt()
    expect(await running).toBe(0)
    expect([session.joined, session.closed]).toEqual([['g', 'h'], true])
  })

  it('does not read a terminal unless told to', async () => {
    const batches = [[message('one')]]
    const quiet = fakeSession({ batches })
    await runCommand(['join', 'g', '--count', '1'], quiet.connect, { stdinIsTerminal: true, input: ['x\n'] })
    expect(quiet.sent).toEqual([])
    const told = fakeSession()
    const terminal = fakeTerminal({ stdinIsTerminal: true, input: ['x\n'] })
    const running = run(['join', 'g', '--send'], { terminal, connect: told.connect })
    await expect.poll(() => told.sent).toEqual(['g:x'])
    terminal.interrupt()
    expect(await running).toBe(0)
  })

  it('waits for an output that takes no more', async () => {
    const session = fakeSession({ batches: [[message('one')], [message('two')]] })
    const { output } = await runCommand(['join', 'g'], session.connect, { slow: true, input: [] })
    expect(output.match(/one|two/g)).toEqual(['one', 'two'])
  })

  it('ends with 3 if the daemon is lost', async () => {
    const session = fakeSession({ failure: new AnasaziError('connection-lost') })
    const { code } = await runCommand(['join', 'g'], session.connect, { input: ['x\n'] })
    expect([code, session.closed]).toEqual([3, true])
  })
})

describe('send', () => {
  it('sends lines, also when there is no room at first', async () => {
    const session = fakeSession({ refusals: 3 })
    const { code } = await runCommand(['send', 'g'], session.connect, { input: ['a\n\nb', 'c\nlast'] })
    expect(code).toBe(0)
    expect([session.sent, session.closed]).toEqual([['g:a', 'g:', 'g:bc', 'g:last'], true])
    expect(session.opened[0]?.name).toMatch(/^send-[0-9a-f]{6}$/)
  })

  it('sends nothing for nothing', async () => {
    const session = fakeSession()
    expect((await runCommand(['send', 'g'], session.connect, { input: [] })).code).toBe(0)
    expect(session.sent).toEqual([])
  })

  it('sends all as one message with --whole', async () => {
    const session = fakeSession()
    await runCommand(['send', 'g', '--whole'], session.connect, { input: ['a\nb', '\n'] })
    expect(session.sent).toEqual(['g:a\nb\n'])
  })

  it('prints who received what', async () => {
    const human = await runCommand(['send', 'g', '--receipts'], fakeSession().connect, { input: ['a\nb\n'] })
    expect(human.output).toBe(
      '1 at 1.1.0.0.0  received: a@n1#0.1\n2 at 1.2.0.0.0  received: a@n1#0.1  unknown: b@n2#0.1\n',
    )
    const json = await runCommand(['send', 'g', '--receipts', '--json'], fakeSession().connect, {
      input: ['a\n'],
    })
    expect(JSON.parse(json.output)).toEqual({
      sequence: 1,
      position: '1.1.0.0.0',
      view: 'v1',
      received: ['a@n1#0.1'],
      unknown: [],
    })
  })

  it('ends with 3 if what became of the messages is not known', async () => {
    const session = fakeSession({ failure: new AnasaziError('fate-unknown') })
    for (const args of [
      ['send', 'g'],
      ['send', 'g', '--receipts'],
    ]) {
      const { code, errors } = await runCommand(args, session.connect, { input: ['a\n'] })
      expect(code).toBe(3)
      expect(errors).toContain('it may have been delivered or not')
    }
  })

  it('ends with 1 if a line is too long or it is interrupted', async () => {
    const long = await runCommand(['send', 'g'], fakeSession({ maxMessageBytes: 3 }).connect, {
      input: ['abcd\n'],
    })
    expect([long.code, long.errors]).toEqual([1, expect.stringContaining('more than 3 bytes')])
    const terminal = fakeTerminal()
    const session = fakeSession()
    const running = run(['send', 'g'], { terminal, connect: session.connect })
    await expect.poll(() => session.opened.length).toBe(1)
    terminal.interrupt()
    expect(await running).toBe(1)
    expect(terminal.errors()).toContain('interrupted: 0 of 0')
  })
})

describe('groups and members', () => {
  const answers = {
    groups: async () => [
      { group: 'b', members: 12 },
      { group: 'a\n', members: 1 },
    ],
    membersOf: async (group: string) => (group === 'a' ? ['x@n#0.1', 'y@n#0.2'] : []),
  }
  const { connect } = fakeSession({ answers })

  it('are listed for people and as JSON', async () => {
    expect((await runCommand(['groups'], connect)).output).toBe('MEMBERS  GROUP\n      1  a\\n\n     12  b\n')
    expect(JSON.parse((await runCommand(['groups', '--json'], connect)).output)).toHaveLength(2)
    expect((await runCommand(['members', 'a'], connect)).output).toBe('x@n#0.1\ny@n#0.2\n')
  })

  it('end with 1 if nobody is there', async () => {
    expect(await runCommand(['members', 'z'], connect)).toMatchObject({ code: 1, output: '' })
    expect(await runCommand(['members', 'z', '--json'], connect)).toMatchObject({ code: 1, output: '[]\n' })
  })
})

describe('status', () => {
  const counters = new Counters()
  counters.count('cell.delivered.messages', 1234)
  const document: StatusDocument = {
    daemon: { name: 'n1', id: 'n1#00', cluster: 'default', version: '0.1.0', process: 7, uptimeMs: 61_000 },
    cells: {
      main: {
        phase: 'operational',
        thread: 'dedicated',
        transport: 'multicast',
        order: 'ff',
        configuration: { id: '4.n1#00.9', members: ['n1#00', 'n2#00'] },
        endpoints: ['unix:/run/anasazi/main.sock'],
        groups: 2,
        peers: [
          {
            member: 'n2#00',
            name: 'n2',
            address: '10.0.0.2:4803',
            link: 'up',
            why: '',
            carrier: 'tcp',
            lastHeardMs: 40,
            queueBytes: 0,
          },
          {
            member: null,
            name: 'n3',
            address: null,
            link: 'down',
            why: 'refused',
            carrier: 'tcp',
            lastHeardMs: null,
            queueBytes: 0,
          },
        ],
        sessions: [{ id: 'alice@n1#00.1', groups: 1, queueBytes: 2048, acknowledged: null }],
        counters: counters.snapshot(),
      },
    },
    events: [
      { sequence: 1, at: 0, count: 3, event: { type: 'stall', cell: 'main', ms: 700 } },
      { sequence: 2, at: 1000, count: 1, event: { type: 'heard', cell: 'main', member: 'n2#00' } },
    ],
  }

  it('is readable', () => {
    expect(statusText(document, { colour: false, counters: true })).toBe(`n1  n1#00
cluster default, version 0.1.0, process 7, up 1 min 1 s

cell main  operational, on its own thread, over multicast
  configuration  4.n1#00.9
  members        n1#00 n2#00
  clients at     unix:/run/anasazi/main.sock
  groups         2
  delivered      1234 messages, 0 B
  waiting        0 B; in flight 0 B
  peers
    n2  up    10.0.0.2:4803  heard 40 ms ago  over tcp, as it does not follow multicast
    n3  down                 never heard      refused
  1 session
    alice@n1#00.1  1 group  2.0 KiB not acknowledged

  counters
    cell.delivered.messages  1234  messages  Messages delivered to local sessions, each session counted.

last events
  00:00:00.000  main  !  event loop stood still for 700 ms (3 times)
  00:00:01.000  main     n2#00 is heard
`)
  })

  it('is what the daemon says, with --json', async () => {
    const { connect } = fakeSession({ answers: { status: async () => document } })
    const { code, output } = await runCommand(['status', '--json'], connect)
    expect([code, JSON.parse(output)]).toEqual([0, document])
    expect((await runCommand(['status'], connect)).output).toContain('cell main  operational')
  })
})

describe('config', () => {
  it('checks a file', async () => {
    const file = join(directory, 'good.yaml')
    writeFileSync(file, 'name: n1\n')
    const good = await runCommand(['config', 'check', file], fakeSession().connect)
    expect(good).toMatchObject({ code: 0, output: `${file}: good: member n1, 1 cell\n` })
    writeFileSync(file, 'nmae: n1\n')
    const bad = await runCommand(['config', 'check', file], fakeSession().connect)
    expect(bad).toMatchObject({ code: 1, errors: `${file}:1:1 nmae: is not known; did you mean name?\n` })
    const json = await runCommand(['config', 'check', '--json', file], fakeSession().connect)
    expect(JSON.parse(json.output)).toMatchObject({ problems: [{ file, line: 1, column: 1, path: 'nmae' }] })
  })

  it('prints the schema', async () => {
    const { code, output } = await runCommand(['config', 'schema'], fakeSession().connect)
    expect(code).toBe(0)
    expect(JSON.parse(output)).toMatchObject({ type: 'object', additionalProperties: false })
  })

  it('is what a daemon refuses to start without', async () => {
    const file = join(directory, 'daemon.yaml')
    writeFileSync(file, 'cells: []\n')
    const { code, errors } = await runCommand(['daemon', '--config', file], fakeSession().connect)
    expect(code).toBe(2)
    expect(errors).toContain(`${file}:1:8 cells: is a list; must be a mapping from cell name to cell`)
    expect((await runCommand(['daemon', '--name', 'n 1'], fakeSession().connect)).code).toBe(2)
  })
})

describe('--trace', () => {
  it('is appended to, line by line', async () => {
    const file = join(directory, 'trace.ndjson')
    writeFileSync(file, '{"t":"0"}\n')
    const session = fakeSession()
    const { code } = await runCommand(
      ['send', 'g', '--trace', file],
      (address, options) => {
        options.trace?.({ t: '1', p: 'a', e: 'closed' })
        return session.connect(address, options)
      },
      { input: [] },
    )
    expect(code).toBe(0)
    expect(readFileSync(file, 'utf8')).toBe('{"t":"0"}\n{"t":"1","p":"a","e":"closed"}\n')
  })

  it('that cannot be written ends with 2', async () => {
    const { code, errors } = await runCommand(['send', 'g', '--trace', '/nowhere/x'], fakeSession().connect)
    expect(code).toBe(2)
    expect(errors).toContain('the trace cannot be written: ENOENT')
  })
})

function line(event: object): string {
  return `${JSON.stringify({ t: '1', p: 'n1#0', cell: 'main', ...event })}\n`
}

function trace(name: string, text: string): string {
  const file = join(directory, name)
  writeFileSync(file, text)
  return file
}

describe('verify', () => {
  const configuration = line({ e: 'conf', id: 'c1', kind: 'regular', members: ['n1#0'] })

  it('ends with 0 if every property holds', async () => {
    const sent = line({ e: 'send', m: 'm1', service: 'agreed' }) + line({ e: 'deliver', m: 'm1' })
    const file = trace('good.ndjson', configuration + sent)
    const { code, output } = await runCommand(['verify', file], fakeSession().connect)
    expect([code, output]).toEqual([0, 'good: no violation in 3 lines, 1 file, 1 daemon, 0 sessions\n'])
  })

  it('ends with 1 and the property by name if one is violated', async () => {
    const file = trace('bad.ndjson', configuration + line({ e: 'deliver', m: 'never sent' }))
    const { code, output } = await runCommand(['verify', file], fakeSession().connect)
    expect(code).toBe(1)
    expect(output).toMatch(/^EVS [^]*never sent[^]*\nviolated: EVS .* in 2 lines/)
    const json = await runCommand(['verify', '--json', file], fakeSession().connect)
    expect(JSON.parse(json.output)).toMatchObject({ violations: [{ messages: ['never sent'] }] })
  })

  it('ends with 2 if there is nothing to read', async () => {
    const { connect } = fakeSession()
    expect((await runCommand(['verify', join(directory, 'none')], connect)).code).toBe(2)
    expect((await runCommand(['verify', trace('empty', '')], connect)).errors).toContain(
      'there is nothing in',
    )
  })
})
