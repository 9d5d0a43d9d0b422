import { execFileSync } from 'node:child_process'
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { LineWriter, openLog } from './log.ts'

const directory = mkdtempSync(join(tmpdir(), 'anasazi-log-'))
afterAll(() => rmSync(directory, { recursive: true }))

describe('the log of a daemon', () => {
  it('is written in its order, and is complete once it is closed', async () => {
    const path = join(directory, 'log')
    const descriptor = openSync(path, 'a')
    const log = openLog('n1', 'info', descriptor)
    for (let i = 0; i < 1000; i++) log.lines.info({ i }, 'line')
    log.lines.debug('not at this level')
    await log.close()
    closeSync(descriptor)
    const lines = readFileSync(path, 'utf8')
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line) as Record<string, unknown>)
    expect(lines.map(({ i }) => i)).toEqual(Array.from({ length: 1000 }, (_, i) => i))
    expect(lines[0]).toMatchObject({ name: 'n1', level: 30, msg: 'line' })
  })

  it('loses what a full disk does not take, and goes on', async () => {
    const descriptor = openSync('/dev/full', 'w')
    const writer = new LineWriter(descriptor, () => {
      throw new Error('nothing is ever written there')
    })
    for (let i = 0; i < 3; i++) {
      writer.write('line\n')
      await writer.written()
    }
    writer.flush()
    closeSync(descriptor)
  })

  it('waits for whoever reads it later, within bounds, and says how much was lost', async () => {
    const path = join(directory, 'pipe')
    execFileSync('mkfifo', [path])
    const end = openSync(path, constants.O_RDWR | constants.O_NONBLOCK)
    expect(() => {
      for (;;) writeSync(end, Buffer.alloc(4096, '-'))
    }).toThrow(/EAGAIN/)
    const lost: number[] = []
    const writer = new LineWriter(end, count => lost.push(count))
    const line = `${'x'.repeat(1023)}\n`
    for (let i = 0; i < 2000; i++) writer.write(line)
    let heard = ''
    const buffer = Buffer.alloc(1 << 16)
    const state = { done: false }
    const written = writer.written().then(() => {
      state.done = true
    })
    while (!state.done) {
      try {
        heard += buffer.toString('utf8', 0, readSync(end, buffer))
      } catch {
        await new Promise(resolve => setImmediate(resolve))
      }
    }
    await written
    try {
      for (;;) heard += buffer.toString('utf8', 0, readSync(end, buffer))
    } catch {
      // Empty now.
    }
    closeSync(end)
    const whole = heard.split(line).length - 1
    expect(whole).toBeGreaterThan(900)
    expect(lost).toEqual([2000 - whole])
    expect(heard.replaceAll('-', '')).toBe(line.repeat(whole))
  })
})
