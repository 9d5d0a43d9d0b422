import { describe, expect, it } from 'vitest'
import { encodeClientFrame } from '../codec/client-encode.ts'
import type { ClientFrame } from '../codec/client.ts'
import { HandChannel, hello } from './client.fixture.ts'
import { Connection } from './connection.ts'

const MiB = 1 << 20

function connect(): { channel: HandChannel; connection: Connection; written: Uint8Array[]; wakes(): number } {
  const written: Uint8Array[] = []
  let wakes = 0
  const channel = new HandChannel(chunk => void written.push(chunk))
  const connection = new Connection(channel, 0, () => wakes++)
  return { channel, connection, written, wakes: () => wakes }
}

describe('a connection', () => {
  it('only keeps what comes until it is taken, chunk by chunk', () => {
    const { channel, connection, wakes } = connect()
    const bytes = encodeClientFrame(hello)
    channel.onData(bytes.subarray(0, 7))
    channel.onData(bytes.subarray(7))
    expect(wakes()).toBe(2)
    const frames: ClientFrame[] = []
    connection.takeFrames(frames)
    expect([frames.length, connection.hasInput]).toEqual([0, true])
    connection.takeFrames(frames)
    expect(frames).toEqual([hello])
    expect(connection.hasInput).toBe(false)
    connection.takeFrames(frames)
    expect(frames).toHaveLength(1)
  })

  it('does not read on while much waits to be taken', () => {
    const { channel, connection } = connect()
    connection.welcomed(1, 'a', 16 * MiB)
    expect(channel.paused).toBe(false)
    // One frame of 10 MiB, which arrives in pieces of one.
    const head = Uint8Array.of(0, 0, 0, 0, 4)
    new DataView(head.buffer).setUint32(0, 10 * MiB, true)
    channel.onData(head)
    for (let i = 0; i < 5; i++) channel.onData(new Uint8Array(MiB))
    expect(channel.paused).toBe(true)
    // What was told to stop for another reason does not go on by itself.
    expect(connection.setReading(false)).toBe(true)
    expect(connection.setReading(false)).toBe(false)
    connection.takeFrames([])
    expect(channel.paused).toBe(true)
    expect(() => {
      while (connection.hasInput) connection.takeFrames([])
    }).toThrow()
    expect(connection.setReading(true)).toBe(true)
    expect(channel.paused).toBe(false)
  })

  it('counts what it sends from the welcome on', () => {
    const { connection, written } = connect()
    connection.send({ kind: 'error', request: 1, code: 'x', message: '', retryable: false })
    expect(connection.sent).toBe(0)
    connection.welcomed(1, 'a', 1000)
    connection.sendBytes(new Uint8Array(10))
    connection.sendShared(new Uint8Array(5), [new Uint8Array(3), new Uint8Array(0), new Uint8Array(4)], 7)
    expect(connection.sent).toBe(22)
    expect(written).toEqual([])
    connection.flush()
    expect(written.map(slice => slice.length).slice(-4)).toEqual([10, 5, 3, 4])
    connection.acknowledged = 20
    expect(connection.outstanding).toBe(2)
  })

  it('after its last words it is deaf and dumb', () => {
    const { channel, connection, written, wakes } = connect()
    channel.onData(new Uint8Array(3))
    connection.send({ kind: 'refused', code: 'x', words: 'y' })
    connection.finish()
    expect(channel.closed).toBe(true)
    expect(written).toHaveLength(1)
    expect(connection.hasInput).toBe(false)
    const before = wakes()
    channel.onData(new Uint8Array(3))
    connection.send({ kind: 'refused', code: 'x', words: 'y' })
    connection.flush()
    connection.finish()
    expect([connection.hasInput, written.length, wakes()]).toEqual([false, 1, before])
  })

  it('knows that the channel is gone, and still has what came before', () => {
    const { channel, connection, wakes } = connect()
    channel.onData(encodeClientFrame(hello))
    channel.end(new Error('reset'))
    expect([connection.gone, connection.stage, wakes()]).toEqual([true, 'handshake', 2])
    const frames: ClientFrame[] = []
    connection.takeFrames(frames)
    expect(frames).toEqual([hello])
  })

  it('waits for the last of the places it is to be told of', () => {
    const { connection } = connect()
    const place = { epoch: 1, ts: 0, rank: 0, index: 0 }
    for (const ts of [3, 7, 5]) connection.awaitSettled({ ...place, ts })
    expect(connection.awaited).toEqual({ ...place, ts: 7 })
  })
})
