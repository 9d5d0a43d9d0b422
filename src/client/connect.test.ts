import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { userSocketPath } from '../lib/defaults.ts'
import { AnasaziError, ERRORS, isErrorCode } from '../lib/errors.ts'
import { parseAddress } from './address.ts'
import { createChannelPair } from './channel-memory.ts'
import { belongsToAnother, defaultConnectAddress, defaultListenAddress } from './channel-socket.ts'
import { connect, endpointOf } from './connect.ts'

describe('addresses', () => {
  test('what they mean', () => {
    expect(parseAddress('unix:/run/x.sock')).toEqual({ kind: 'unix', path: '/run/x.sock' })
    expect(parseAddress('unix:///run/x.sock')).toEqual({ kind: 'unix', path: '/run/x.sock' })
    expect(parseAddress('tcp://host:4800')).toEqual({ kind: 'tcp', host: 'host', port: 4800 })
    expect(parseAddress('tcp://[::1]:4800')).toEqual({ kind: 'tcp', host: '::1', port: 4800 })
    for (const bad of [
      '',
      'unix:',
      'tcp://host',
      'tcp://host:0',
      'tcp://host:65536',
      'http://x:1',
      '/run/x',
    ]) {
      expect(() => parseAddress(bad)).toThrow(expect.objectContaining({ code: 'bad-address' }))
    }
  })

  test('another cell is reached the way this one is', () => {
    const cell = {
      name: 'wan',
      patterns: [],
      endpoints: ['unix:/run/wan.sock', 'tcp://0.0.0.0:4801', 'tcp://10.0.0.1:4802'],
    }
    expect(endpointOf('unix:/run/main.sock', cell)).toBe('unix:/run/wan.sock')
    expect(endpointOf('tcp://far.example:4800', cell)).toBe('tcp://far.example:4801')
    expect(endpointOf('tcp://[fe80::1]:4800', cell)).toBe('tcp://[fe80::1]:4801')
    const unixOnly = { ...cell, endpoints: ['unix:/run/wan.sock'] }
    expect(() => endpointOf('tcp://far.example:4800', unixOnly)).toThrow(
      expect.objectContaining({ code: 'connection-refused' }),
    )
  })

  test('the default is a unix socket, the same for those who listen and those who connect', () => {
    expect(userSocketPath('/tmp/', 1000)).toBe('/tmp/anasazi-1000/main.sock')
    expect(defaultListenAddress()).toMatch(/^unix:\/.+\/main\.sock$/)
    expect(defaultConnectAddress()).toMatch(/^unix:\/.+\/main\.sock$/)
  })

  test('a directory of somebody else among the temporary files is not trusted', () => {
    const open = mkdtempSync(join(tmpdir(), 'anasazi-'))
    chmodSync(open, 0o1777)
    const theirs = join(open, 'anasazi-1')
    mkdirSync(theirs)
    const { uid } = statSync(theirs)
    expect(belongsToAnother(theirs)).toBe(false)
    expect(belongsToAnother(theirs, uid)).toBe(false)
    // Root's are trusted, whoever asks.
    expect(belongsToAnother(theirs, uid + 1)).toBe(uid !== 0)
    if (uid === 0) {
      chownSync(theirs, 54_321, 54_321)
      expect(belongsToAnother(theirs)).toBe(true)
    }
    expect(belongsToAnother(join(open, 'nothing'))).toBe(false)
    // Where only its owner makes directories, he knows whose they are.
    chmodSync(open, 0o755)
    expect(belongsToAnother(theirs, uid + 1)).toBe(false)
    rmSync(open, { recursive: true })
  })

  test('nobody there', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'anasazi-'))
    const path = join(directory, 'none.sock')
    await expect(connect(`unix:${path}`)).rejects.toMatchObject({
      code: 'connection-refused',
      retryable: true,
      message: expect.stringContaining(path),
    })
    await expect(connect(`unix:${path}`, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'aborted',
    })
    rmSync(directory, { recursive: true })
  })
})

describe('the catalogue of errors', () => {
  test('every entry is a sentence with advice, and an error carries it', () => {
    for (const [code, { sentence, advice }] of Object.entries(ERRORS)) {
      expect(isErrorCode(code)).toBe(true)
      expect(sentence).toMatch(/^[A-Z].*[^.]\.$/)
      expect(advice).toMatch(/^[A-Z].*\.$/)
    }
    expect(isErrorCode('toString')).toBe(false)
    const cause = new Error('why')
    const error = new AnasaziError('fate-unknown', 'Message 7.', { cause, acceptedThrough: 7 })
    expect(error).toMatchObject({ code: 'fate-unknown', retryable: false, cause, acceptedThrough: 7 })
    expect(error.message).toBe(`${ERRORS['fate-unknown'].sentence} Message 7.`)
    expect(error.advice).toBe(ERRORS['fate-unknown'].advice)
  })
})

describe('a pair of channels in memory', () => {
  test('a close is seen after what was written, even by a reader that was paused', () => {
    const tasks: (() => void)[] = []
    const run = () => {
      let turns = 0
      for (let task = tasks.shift(); task !== undefined; task = tasks.shift()) {
        task()
        if (++turns > 100) throw new Error('it never rests')
      }
    }
    const [one, other] = createChannelPair(task => tasks.push(task))
    const seen: unknown[] = []
    other.onData = chunk => seen.push([...chunk])
    other.onClose = error => seen.push(error)
    one.write([Uint8Array.of(1), Uint8Array.of(2, 3)])
    expect(one.pending).toBe(3)
    one.close()
    run()
    expect(seen).toEqual([])
    other.resume()
    expect(seen).toEqual([])
    run()
    expect(seen).toEqual([[1], [2, 3], null])
    expect([one.closed, other.closed]).toEqual([true, true])
  })

  test('pending shrinks and drain is told as the other end reads', () => {
    const tasks: (() => void)[] = []
    const [one, other] = createChannelPair(task => tasks.push(task))
    let drained = 0
    one.onDrain = () => drained++
    other.onData = () => other.pause()
    one.write([new Uint8Array(5), new Uint8Array(7)])
    other.resume()
    while (tasks.length > 0) tasks.shift()!()
    expect([one.pending, drained]).toEqual([7, 1])
    other.resume()
    while (tasks.length > 0) tasks.shift()!()
    expect([one.pending, drained]).toEqual([0, 2])
  })
})
