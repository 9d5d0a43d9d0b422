import { describe, expect, it } from 'vitest'
import { Counters } from '../admin/counters.ts'
import type { AdminEvent } from '../admin/events.ts'
import type { CounterName } from '../admin/registry.ts'
import { CodecError, type CodecErrorCode } from '../codec/error.ts'
import type { CellEvent } from '../core/api.ts'
import type { DataFrame, Frame } from '../core/frames.ts'
import type { Configuration, ConfigurationId } from '../core/types.ts'
import { newTransportCounters } from '../transport/transport.ts'
import { FrameCounts } from './framecounts.ts'

const members = ['a', 'b', 'c'].map(name => `${name}#${'0'.repeat(32)}`) as [string, string, string]
const [a, b, c] = members
const idOf = (key: string): ConfigurationId => ({ key }) as ConfigurationId
const configurationOf = (key: string): Configuration =>
  ({ id: idOf(key), members }) as unknown as Configuration
const data = (key: string, rank: number, seq: number): DataFrame =>
  ({ kind: 'data', configuration: idOf(key), rank, seq }) as DataFrame

function counting(): { counts: FrameCounts; get(...names: CounterName[]): number[] } {
  const counters = new Counters()
  return { counts: new FrameCounts(counters, a), get: (...names) => names.map(name => counters.get(name)) }
}

describe('frames', () => {
  it('are counted by lane, by kind, and for each peer they go to', () => {
    const { counts, get } = counting()
    const configuration = configurationOf('1')
    counts.received({ kind: 'heartbeat' } as Frame, 'control', 50, b, configuration)
    counts.received({ kind: 'facts' } as Frame, 'data', 30, b, configuration)
    counts.received({ kind: 'nak' } as Frame, 'control', 20, b, configuration)
    counts.sent({ kind: 'heartbeat' } as Frame, 'control', 50, 2, configuration)
    counts.sent({ kind: 'facts' } as Frame, 'data', 30, 2, configuration)
    counts.sent({ kind: 'nak' } as Frame, 'control', 20, 1, configuration)
    counts.sent({ kind: 'heartbeat' } as Frame, 'control', 50, 0, configuration)
    expect(get('cell.frames.in.control', 'cell.frames.in.data')).toEqual([2, 1])
    expect(get('cell.bytes.in.control', 'cell.bytes.in.data')).toEqual([70, 30])
    expect(get('cell.frames.out.control', 'cell.frames.out.data')).toEqual([3, 2])
    expect(get('cell.bytes.out.control', 'cell.bytes.out.data')).toEqual([120, 60])
    expect(get('cell.heartbeats.in', 'cell.announcements.in', 'cell.naks.in')).toEqual([1, 1, 1])
    expect(get('cell.heartbeats.out', 'cell.announcements.out', 'cell.naks.out')).toEqual([2, 2, 1])
  })

  it('sent again: what was sent before, and what is another’s', () => {
    const { counts, get } = counting()
    const one = configurationOf('1')
    for (const seq of [1, 2, 3]) counts.sent(data('1', 0, seq), 'data', 10, 2, one)
    expect(get('cell.retransmissions.out')).toEqual([0])
    counts.sent(data('1', 0, 2), 'data', 10, 1, one)
    counts.sent(data('1', 1, 9), 'data', 10, 1, one)
    expect(get('cell.retransmissions.out')).toEqual([2])
    // A new configuration counts from 1.
    counts.sent(data('2', 0, 1), 'data', 10, 2, configurationOf('2'))
    expect(get('cell.retransmissions.out')).toEqual([2])
  })

  it('received late, or from another than their sender', () => {
    const { counts, get } = counting()
    const one = configurationOf('1')
    for (const seq of [1, 2, 4]) counts.received(data('1', 1, seq), 'data', 10, b, one)
    counts.received(data('1', 2, 1), 'data', 10, c, one)
    expect(get('cell.retransmissions.in')).toEqual([0])
    counts.received(data('1', 1, 3), 'data', 10, b, one)
    counts.received(data('1', 2, 2), 'data', 10, b, one)
    expect(get('cell.retransmissions.in')).toEqual([2])
    // Of another configuration, or of a rank that does not exist: not counted, and not believed.
    counts.received(data('0', 1, 1), 'data', 10, b, one)
    counts.received(data('1', 7, 1), 'data', 10, b, one)
    counts.received(data('2', 1, 1), 'data', 10, b, configurationOf('2'))
    expect(get('cell.retransmissions.in', 'cell.frames.in.data')).toEqual([2, 9])
  })

  it('passed on by others and overtaken: it is not sent again', () => {
    const { counts, get } = counting()
    const one = configurationOf('1')
    counts.received(data('1', 1, 2), 'data', 10, b, one)
    counts.received(data('1', 1, 1), 'data', 10, b, one, true)
    expect(get('cell.retransmissions.in', 'cell.frames.in.data')).toEqual([0, 2])
    counts.relays({ given: 1, in: 2, out: 3, outBytes: 4, bypassed: 5, unreached: 6, dropped: 7 })
    expect(get('cell.relays.given', 'cell.relays.in', 'cell.relays.out', 'cell.relays.outBytes')).toEqual([
      1, 2, 3, 4,
    ])
    expect(get('cell.relays.bypassed', 'cell.relays.unreached', 'cell.relays.dropped')).toEqual([5, 6, 7])
  })

  it.each<[CodecErrorCode, CounterName]>([
    ['crc', 'cell.dropped.crc'],
    ['cell', 'cell.dropped.foreign'],
    ['sender', 'cell.dropped.foreign'],
    ['truncated', 'cell.dropped.malformed'],
  ])('dropped: %s', (code, name) => {
    const { counts, get } = counting()
    counts.dropped(new CodecError(code, 'words', 0))
    expect(get(name)).toEqual([1])
  })

  it('what the transport counts is shown as it is', () => {
    const { counts, get } = counting()
    for (const reconnects of [3, 4]) {
      counts.transport({
        ...newTransportCounters(),
        droppedFull: 2,
        reconnects,
        rejected: 4,
        garbage: 2,
        timeouts: 1,
      })
    }
    expect(get('cell.dropped.overflow', 'cell.peers.resumed', 'cell.peers.rejected')).toEqual([2, 4, 7])
    const sent = { in: 1, out: 2, resent: 3, duplicates: 4, foreign: 5, attached: 6, detached: 7 }
    counts.transport(newTransportCounters(), sent)
    const names = Object.keys(sent) as (keyof typeof sent)[]
    expect(get(...names.map(name => `cell.datagrams.${name}` as const))).toEqual(Object.values(sent))
  })
})

function phase(name: 'gather' | 'recover' | 'operational'): CellEvent {
  return { type: 'phase', phase: name, why: 'x' }
}

function emitNothing(): void {}

describe('events of the core', () => {
  const regular = { type: 'regular', configuration: configurationOf('2'), together: null } as const

  it('are passed on with their reasons', () => {
    const { counts, get } = counting()
    const told: AdminEvent[] = []
    const emit = (event: AdminEvent): void => void told.push(event)
    counts.event({ type: 'suspect', member: b, reason: 'silent' }, 'main', emit)
    counts.event({ type: 'heard', member: b }, 'main', emit)
    counts.event(phase('gather'), 'main', emit)
    counts.event(regular, 'main', emit)
    expect(told).toEqual([
      { type: 'suspicion', cell: 'main', member: b, reason: 'silent' },
      { type: 'heard', cell: 'main', member: b },
      { type: 'phase', cell: 'main', phase: 'gather', why: 'x' },
      { type: 'configuration', cell: 'main', kind: 'regular', id: '2', members },
    ])
    expect(get('cell.suspicions.silent', 'cell.configurations.installed')).toEqual([1, 1])
  })

  it('an attempt has failed if anything but its configuration follows', () => {
    const { counts, get } = counting()
    const emit = emitNothing
    const seen = (): number[] => get('cell.attempts.started', 'cell.attempts.failed')
    for (const event of [phase('gather'), phase('recover'), regular, phase('operational')]) {
      counts.event(event, 'main', emit)
    }
    expect(seen()).toEqual([1, 0])
    for (const event of [phase('gather'), phase('recover'), phase('gather')])
      counts.event(event, 'main', emit)
    expect(seen()).toEqual([2, 1])
    for (const event of [phase('recover'), phase('recover'), regular]) counts.event(event, 'main', emit)
    expect(seen()).toEqual([4, 2])
  })
})
