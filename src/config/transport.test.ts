import { describe, expect, it } from 'vitest'
import type { CellConfig } from './config.ts'
import { ConfigError } from './problems.ts'
import { parseConfig } from './parse.ts'
import { chooseTransport } from './transport.ts'

const context = { hostName: 'n1', runtime: '/run/anasazi' }

function cell(lines: string): CellConfig {
  return parseConfig(`cells: { main: { ${lines} } }`, 'a.yaml', context).cells[0] as CellConfig
}

/** Members n1 … n`count` on hosts of their own. */
function peers(count: number, host: (number: number) => string = number => `10.0.0.${number}`): string {
  const entries = Array.from({ length: count }, (_, i) => `n${i + 1}: '${host(i + 1)}:${4803 + i}'`)
  return `peers: { ${entries.join(', ')} }`
}

describe('what is used', () => {
  const group = 'multicast: 239.192.0.1:4803'
  it.each([
    [`transport: udp, ${peers(2)}`, 'udp', 'it is configured'],
    [`transport: multicast, ${group}, ${peers(2)}`, 'multicast', 'it is configured'],
    [`${group}, ${peers(9)}`, 'tcp', 'it is configured'],
    [`transport: auto, ${group}, ${peers(3)}`, 'tcp', 'copies for 2 other members cost little'],
    [
      `transport: auto, ${group}, ${peers(4)}`,
      'multicast',
      'one datagram to the group reaches all 3 others that hear it',
    ],
    [`transport: auto, ${peers(4)}`, 'tcp', 'no multicast group is configured that the 3 others could hear'],
    [
      `transport: auto, ${group}, ${peers(4, () => '127.0.0.1')}`,
      'tcp',
      'all other members are on this machine: there is no link to spare',
    ],
  ])('%s', (lines, transport, why) => {
    expect(chooseTransport(cell(lines), 'n1')).toEqual({ transport, why })
  })
})

function problems(text: string): string[] {
  try {
    parseConfig(text, 'a.yaml', context)
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split('\n')
    throw error
  }
  return []
}

describe('what cannot be', () => {
  it('is told with its place', () => {
    expect(problems('cells:\n  main: { transport: multicast }\n')).toEqual([
      'a.yaml:2:22 cells.main.transport: is multicast, but no group is given; add multicast: GROUP:PORT, such as 239.192.0.1:4803',
    ])
    const cells = ['a: { listen: off, groups: [a]', 'b: { listen: off, groups: [b]'].map(
      start => `  ${start}, multicast: 239.192.0.1:4803 }`,
    )
    expect(problems(`cells:\n${cells.join('\n')}\n`)).toEqual([
      'a.yaml:3:45 cells.b.multicast: is 239.192.0.1:4803, which cell a has, too; must be a group or port of its own',
    ])
  })

  it.each([
    '223.1.1.1:4803',
    '240.1.1.1:4803',
    '239.1.1:4803',
    '239.1.1.999:4803',
    '239.1.1.1:0',
    'host:4803',
  ])('no group: %s', text => {
    expect(problems(`cells: { main: { multicast: '${text}' } }`)[0]).toContain('must be')
  })
})
