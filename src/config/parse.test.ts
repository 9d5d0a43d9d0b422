import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { cellOf } from '../lib/pattern.ts'
import { defaultConfig } from './config.ts'
import type { ConfigContext } from './config.ts'
import { loadConfig, parseConfig } from './parse.ts'
import { ConfigError } from './problems.ts'

const context: ConfigContext = { hostName: 'n1', runtime: '/run/anasazi' }

/** The lines of the error that `text` gives. */
function problems(text: string, around: ConfigContext = context): string[] {
  try {
    parseConfig(text, 'a.yaml', around)
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split('\n')
    throw error
  }
  return []
}

describe('parseConfig', () => {
  it('takes an empty file for the default configuration', () => {
    for (const text of ['', '# nothing\n', '{}']) {
      expect(parseConfig(text, 'a.yaml', context)).toEqual(defaultConfig(context))
    }
  })

  it('reads everything', () => {
    const config = parseConfig(
      `
name: n2
cluster: lab
runtime: /tmp/lab/
cells:
  wan:
    listen: '[::1]:5000'
    groups: ['wan.*']
    thread: dedicated
    transport: auto
    multicast: '[ff02::4803]:4803'
    interface: '::1'
    mtu: 9000
    clients: { unix: off, tcp: 127.0.0.1:5001 }
    timeouts: { heartbeatMs: 500, suspectAfterMs: 5000, stalledAfterMs: 20000 }
    limits: { windowBytes: 1000000, sessions: 10 }
    slowClient: { bytes: 100000000, seconds: 1.5, policy: evict }
  main:
    peers: { n1: '10.0.0.1:4803', n2: 10.0.0.2:4803 }
    groups: ['*']
log: { level: warn }
trace: /tmp/trace.ndjson
`,
      'a.yaml',
      context,
    )
    expect(config.name).toBe('n2')
    expect(config.cells.map(cell => cell.name)).toEqual(['wan', 'main'])
    const [wan, main] = config.cells
    expect(wan?.listen).toEqual({ host: '::1', port: 5000 })
    expect(wan).toMatchObject({ transport: 'auto', interface: '::1', mtu: 9000 })
    expect(wan?.multicast).toEqual({ host: 'ff02::4803', port: 4803 })
    expect(main).toMatchObject({ transport: 'tcp', multicast: null, interface: null, mtu: 1500 })
    expect(wan?.clients).toEqual({ unix: null, tcp: { host: '127.0.0.1', port: 5001 } })
    expect(wan?.timeouts.heartbeatMs).toBe(500)
    expect(wan?.limits.windowBytes).toBe(1_000_000)
    expect(wan?.slowClient).toEqual({ bytes: 100_000_000, seconds: 1.5, policy: 'evict' })
    expect(main?.listen).toEqual({ host: '10.0.0.2', port: 4803 })
    expect(main?.clients.unix).toBe('/tmp/lab/main.sock')
    expect(cellOf(config.cells, 'wan.orders')).toBe('wan')
    expect(cellOf(config.cells, 'orders')).toBe('main')
    expect(config.log.level).toBe('warn')
    expect(config.trace).toBe('/tmp/trace.ndjson')
    expect(structuredClone(config)).toEqual(config)
  })

  it('lets the command line win', () => {
    const text = 'name: a\ntrace: off\ncells: { main: { peers: { a: h:1, b: h:2 } } }'
    const config = parseConfig(text, 'a.yaml', { ...context, name: 'b', trace: '/t' })
    expect([config.name, config.trace, config.cells[0]?.listen?.port]).toEqual(['b', '/t', 2])
  })

  it('shows all errors at once, each with its place and what would be right', () => {
    const text = `name: n 1
clustre: lab
cells:
  main:
    listen: 127.0.0.1:70000
    slow-client: { bytes: 1 }
    timeouts:
      heartbeatMs: fast
      suspectAfterMs: 5
    limits: { sessions: 0 }
    thread: own
    transport: ring
    multicast: 10.0.0.1:4803
    interface: eth0
    mtu: 80
log: loud
`
    expect(problems(text)).toEqual([
      'a.yaml:1:7 name: is "n 1"; must be 1 to 64 letters, digits, dots, dashes and underscores, and begin with a letter or digit',
      'a.yaml:2:1 clustre: is not known; did you mean cluster?',
      'a.yaml:5:13 cells.main.listen: is "127.0.0.1:70000"; must be HOST:PORT with a port from 1 to 65535, such as 127.0.0.1:4803',
      'a.yaml:6:5 cells.main.slow-client: is not known; did you mean slowClient?',
      'a.yaml:8:20 cells.main.timeouts.heartbeatMs: is "fast"; must be a whole number of ms from 5 to 60000',
      'a.yaml:9:23 cells.main.timeouts.suspectAfterMs: is 5; must be a whole number of ms from 20 to 600000',
      'a.yaml:10:25 cells.main.limits.sessions: is 0; must be a whole number of sessions from 1 to 65535',
      'a.yaml:11:13 cells.main.thread: is "own"; must be host or dedicated',
      'a.yaml:12:16 cells.main.transport: is "ring"; must be one of auto, tcp, udp, multicast, chain',
      'a.yaml:13:16 cells.main.multicast: is "10.0.0.1:4803"; must be GROUP:PORT with a multicast address, such as 239.192.0.1:4803',
      'a.yaml:14:16 cells.main.interface: is "eth0"; must be an IP address of this machine',
      'a.yaml:15:10 cells.main.mtu: is 80; must be a whole number of bytes from 576 to 65535',
      'a.yaml:16:6 log: is "loud"; must be a mapping with level',
    ])
  })

  it('lists what is known where nothing is near', () => {
    expect(problems('encryption: on')).toEqual([
      'a.yaml:1:1 encryption: is not known; must be one of name, cluster, runtime, cells, log, trace',
    ])
  })

  it('names keys given twice, and goes on', () => {
    expect(problems('name: a\nlog: { level: info }\nname: b\nlog: { level: x }\n')).toEqual([
      'a.yaml:3:1 name: is given twice; must be once (the first is in line 1)',
      'a.yaml:4:1 log: is given twice; must be once (the first is in line 2)',
      'a.yaml:4:15 log.level: is "x"; must be one of trace, debug, info, warn, error, fatal, silent',
    ])
  })

  it('says what to do about a bare star', () => {
    expect(problems('cells:\n  main:\n    groups: [*]\n')[0]).toMatch(
      /^a\.yaml:3:14: is not YAML: .*must be quoted: '\*'$/,
    )
  })

  it('refuses text that is not YAML', () => {
    expect(problems('name: [\n')[0]).toMatch(/^a\.yaml:\d+:\d+: is not YAML: /)
    expect(problems('- a\n- b\n')).toEqual([
      'a.yaml:1:1: is a list; must be a mapping with name, cells and others',
    ])
  })

  it('says when an alias explodes', () => {
    const levels = ['a: &a [x, x, x, x, x, x, x, x, x, x]']
    for (let i = 1; i < 9; i++) {
      levels.push(
        `${'abcdefghi'[i]}: &${'abcdefghi'[i]} [${Array(10)
          .fill(`*${'abcdefghi'[i - 1]}`)
          .join(', ')}]`,
      )
    }
    expect(problems(levels.join('\n'))[0]).toMatch(/cannot be read/)
  })

  it('never fails otherwise than with a ConfigError', () => {
    const piece = fc.constantFrom(
      'cells',
      'main',
      ':',
      ' ',
      '\n',
      '  ',
      '{',
      '}',
      '[',
      ']',
      '*',
      '&a',
      'off',
      '1',
      '-',
      '"',
      '__proto__',
      '<<',
      '!!map',
      '? ',
      'peers',
      'listen',
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), parts => {
        const text = parts.join('')
        try {
          parseConfig(text, 'a.yaml', context)
        } catch (error) {
          expect(error, text).toBeInstanceOf(ConfigError)
          expect((error as ConfigError).problems.length).toBeGreaterThan(0)
        }
      }),
      { numRuns: 2000 },
    )
  })
})

const withSlowClient = (policy: string): string =>
  `cells: { main: { limits: { messageBytes: 1000 }, peers: { n1: h:1, b: h:2, c: h:3 }, slowClient: ${policy} } }`

describe('checks of the whole', () => {
  it('peers without this member, and no word where it listens', () => {
    expect(problems('cells: { main: { peers: { a: h:1, b: h:2 } } }')).toEqual([
      'a.yaml:1:25 cells.main.peers: does not name this member, n1; add n1: HOST:PORT, or say where it listens',
    ])
    expect(problems('cells: { main: { listen: h:3, peers: { a: h:1, b: h:2 } } }')).toEqual([])
  })

  it('addresses of peers that cannot be', () => {
    const text = `cells:
  main:
    listen: 10.0.0.1:1
    peers:
      n1: 10.0.0.1:2
      n2: 10.0.0.1:1
      n3: 0.0.0.0:5
      n4: 10.0.0.4:1
      n5: 10.0.0.4:1
`
    expect(problems(text)).toEqual([
      'a.yaml:5:11 cells.main.peers.n1: has port 2, but this member, n1, listens on port 1; must be the same',
      'a.yaml:6:11 cells.main.peers.n2: has the address where this member, n1, listens; must be n1, or another address',
      'a.yaml:7:11 cells.main.peers.n3: is 0.0.0.0:5, which nobody can connect to; must be an address of that member',
      'a.yaml:9:11 cells.main.peers.n5: has the address of n4, 10.0.0.4:1; must be an address of its own',
    ])
  })

  it('patterns that never match', () => {
    const text = `cells:
  main:
    listen: off
    groups: ['*']
  wan:
    listen: off
    groups:
      - 'wan.*'
      - x
  third:
    listen: off
`
    expect(problems(text)).toEqual([
      "a.yaml:8:9 cells.wan.groups[0]: 'wan.*' never matches: '*' of cell main comes first and takes all of it; must come before it, or go",
      "a.yaml:9:9 cells.wan.groups[1]: 'x' never matches: '*' of cell main comes first and takes all of it; must come before it, or go",
      "a.yaml:10:3 cells.third.groups: is missing; must say which groups the cell carries, such as ['third.*']",
    ])
  })

  it('two cells on one port', () => {
    const text = `cells:
  a: { listen: 127.0.0.1:4803, groups: [a], clients: { unix: /x, tcp: 127.0.0.1:9 } }
  b: { listen: 0.0.0.0:4803, groups: [b], clients: { unix: /x, tcp: 127.0.0.2:9 } }
`
    expect(problems(text)).toEqual([
      'a.yaml:3:16 cells.b.listen: 0.0.0.0:4803 is taken by cells.a.listen; must be one of its own',
      'a.yaml:3:60 cells.b.clients.unix: /x is taken by cells.a.clients.unix; must be one of its own',
    ])
  })

  it('times and sizes that do not fit each other', () => {
    const text = `cells:
  main:
    timeouts: { heartbeatMs: 500, holdDownMs: 20000, stalledAfterMs: 200 }
    limits: { windowBytes: 65536, maxFrameBytes: 100000, statePartBytes: 100000 }
    slowClient: { bytes: 70000 }
`
    expect(problems(text).map(line => line.replace(/;.*/, ''))).toEqual([
      'a.yaml:3:5 cells.main.timeouts.suspectAfterMs: is 450, less than three heartbeats',
      'a.yaml:3:5 cells.main.timeouts.maxHoldDownMs: is 5000, less than holdDownMs',
      'a.yaml:3:70 cells.main.timeouts.stalledAfterMs: is 200, sooner than this member would notice that it stood still itself',
      'a.yaml:4:50 cells.main.limits.maxFrameBytes: is 100000, more than a window',
      'a.yaml:4:74 cells.main.limits.statePartBytes: is 100000, which does not fit a frame',
      'a.yaml:5:26 cells.main.slowClient.bytes: is 70000, less than limits.clientQueueBytes, where the warning comes',
      'a.yaml:5:26 cells.main.slowClient.bytes: is 70000, less than one message may have',
    ])
  })

  it('a client may be waited for only if what the members can send meanwhile has room', () => {
    const { cells } = parseConfig(withSlowClient('{ policy: throttle }'), 'a.yaml', context)
    expect(cells[0]?.slowClient).toEqual({ policy: 'throttle', bytes: 256 * 1024 * 1024, seconds: 30 })
    expect(problems(withSlowClient('{ policy: throttle, bytes: 8388608, seconds: 600 }'))).toEqual([])
    expect(problems(withSlowClient('{ bytes: 5000000 }'))).toEqual([])
    expect(problems(withSlowClient('{ policy: throttle, bytes: 5000000 }'))[0]).toMatch(
      /slowClient\.bytes: is 5000000, less than the members can send to a client that is waited for; must be 5242880 or more/,
    )
    expect(problems(withSlowClient('{ policy: wait }'))[0]).toMatch(/is "wait"; must be evict or throttle/)
  })

  it('does not complain of what follows from another error', () => {
    expect(problems('cells: { main: { listen: nowhere, peers: { a: h:1 } } }')).toHaveLength(1)
    expect(problems('name: "?"\ncells: { main: { peers: { a: h:1 } } }')).toHaveLength(1)
  })
})

describe('loadConfig', () => {
  it('says which file cannot be read', () => {
    expect(() => loadConfig('/nowhere/a.yaml', context)).toThrow(
      /^\/nowhere\/a\.yaml: cannot be read \(ENOENT/,
    )
  })
})
