import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { collide, formatAddress, parseAddress } from './address.ts'
import { defaultConfig, memberName } from './config.ts'
import { orderDigest } from './digest.ts'
import type { OrderDigest } from './digest.ts'
import { limitTable, timeoutTable } from './limits.ts'
import { parseConfig } from './parse.ts'
import { jsonSchema } from './schema.ts'

const context = { hostName: 'host.example.org', runtime: '/run/anasazi' }

describe('defaults', () => {
  it('are loopback only, with one cell for all groups', () => {
    const config = defaultConfig(context)
    expect(config.name).toBe('host.example.org')
    expect(config.cells).toHaveLength(1)
    expect(config.cells[0]).toMatchObject({
      name: 'main',
      listen: { host: '127.0.0.1', port: 4803 },
      peers: [],
      groups: ['*'],
      clients: { unix: '/run/anasazi/main.sock', tcp: null },
    })
  })

  it('lie within their bounds', () => {
    for (const [name, row] of Object.entries({ ...limitTable, ...timeoutTable })) {
      expect(row.default, name).toBeGreaterThanOrEqual(row.minimum)
      expect(row.default, name).toBeLessThanOrEqual(row.maximum)
      expect(row.help, name).toMatch(/\.$/)
    }
  })
})

describe('memberName', () => {
  it('makes a possible name of any host name', () => {
    fc.assert(fc.property(fc.string(), text => /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(memberName(text))))
  })
})

describe('addresses', () => {
  it('are read as they are written', () => {
    for (const text of ['127.0.0.1:4803', '[::1]:1', 'host.example:65535']) {
      const address = parseAddress(text)
      expect(address === null ? null : formatAddress(address)).toBe(text)
    }
    for (const text of ['127.0.0.1', ':1', 'h:0', 'h:65536', '::1:5', 'h:1x', 'h h:1', 'tcp://h:1']) {
      expect(parseAddress(text), text).toBeNull()
    }
    expect(parseAddress('h:0', true)).toEqual({ host: 'h', port: 0 })
  })

  it('collide on one port if either is for all interfaces', () => {
    const [a, b, any] = ['10.0.0.1', '10.0.0.2', '0.0.0.0'].map(host => ({ host, port: 5 })) as [
      never,
      never,
      never,
    ]
    expect([collide(a, a), collide(a, b), collide(a, any)]).toEqual([true, false, true])
  })
})

function digest(cells: string): OrderDigest {
  return orderDigest(parseConfig(`cells: ${cells}`, 'a.yaml', context))
}

describe('orderDigest', () => {
  it('is the same whenever groups go to the same cells', () => {
    const a = digest("{ a: { listen: h:1, groups: [x] }, main: { listen: h:2, groups: ['*'] } }")
    const b = digest(
      "{ a: { listen: off, groups: [x], thread: dedicated }, main: { listen: h:9, groups: ['*'] } }",
    )
    expect(a).toEqual(b)
    expect(a.text).toBe(
      [
        'anasazi order 1',
        '"x" -> a',
        'a: messages of 16777216 bytes at most',
        '"*" -> main',
        'main: messages of 16777216 bytes at most',
        '',
      ].join('\n'),
    )
    expect(a.hash).toBe(createHash('sha256').update(a.text).digest().readBigUInt64BE(0))
  })

  it('differs with a rule, a name or the order', () => {
    const texts = [
      "{ a: { listen: off, groups: [x] }, b: { listen: off, groups: ['*'] } }",
      "{ a: { listen: off, groups: [y] }, b: { listen: off, groups: ['*'] } }",
      "{ b: { listen: off, groups: [x] }, a: { listen: off, groups: ['*'] } }",
      "{ a: { listen: off, groups: ['?x', 'x?'] } }",
      "{ a: { listen: off, groups: ['x?', '?x'] } }",
      "{ a: { listen: off, groups: ['x?', '?x'], limits: { messageBytes: 1000000 } } }",
      "{ a: { listen: off, groups: ['x?', '?x'], transport: chain } }",
    ]
    expect(new Set(texts.map(text => digest(text).hash)).size).toBe(texts.length)
  })
})

describe('jsonSchema', () => {
  it('describes every key, with defaults', () => {
    const schema = JSON.parse(JSON.stringify(jsonSchema())) as {
      additionalProperties: boolean
      properties: Record<string, { description?: string }>
    }
    expect(schema.additionalProperties).toBe(false)
    expect(Object.keys(schema.properties)).toEqual(['name', 'cluster', 'runtime', 'cells', 'log', 'trace'])
    const text = JSON.stringify(schema)
    for (const name of Object.keys({ ...limitTable, ...timeoutTable })) expect(text).toContain(`"${name}"`)
    expect(text).toContain('"default":16777216')
  })
})
