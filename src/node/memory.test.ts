/** What a cell keeps is what it needs now, however much has happened to it. */

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { encodeDestination, encodeSegmentHead } from '../codec/client-encode.ts'
import type { CellConfig } from '../config/config.ts'
import { defaultTimeouts } from '../config/limits.ts'
import { MemoryHub } from '../transport/memory.ts'
import { hello, type HandClient } from './client.fixture.ts'
import { Bench } from './runtime.fixture.ts'

const KiB = 1024
const MiB = 1024 * KiB

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** What is really used, bytes: of several looks the least, as a collection may leave what the next one takes. */
function usedBytes(): number {
  let least = Number.POSITIVE_INFINITY
  for (let look = 0; look < 3; look++) {
    collect()
    least = Math.min(least, process.memoryUsage().heapUsed)
  }
  return least
}

/** Those who meet do not wait for others. */
const timeouts = { ...defaultTimeouts(), settleMs: 0, holdDownMs: 0, heartbeatMs: 300 }

/** Memories of the past are small here, so that they are soon as full as they get. */
const limits = {
  clientQueueBytes: 64 * KiB,
  fateViews: 4,
  fateViewsTotal: 64,
  fatePrivate: 16,
  rememberedDaemons: 4,
}

function message(group: string, sequence: number, bytes: number = 64): Uint8Array {
  const destination = encodeDestination({ to: 'groups', groups: [group] })
  const head = encodeSegmentHead(destination, 'agreed', false, false, sequence, 1, bytes)
  const frame = new Uint8Array(head.length + bytes)
  frame.set(head)
  new DataView(frame.buffer).setUint32(head.length, bytes - 4, true)
  return frame
}

/** How much of everything the cell holds. */
function sizes({ runtime }: Bench): Record<string, number> {
  const { sessions, cell, groups } = runtime
  const { peers, ordering } = cell.state
  return {
    connections: sessions.connections.size,
    sessions: sessions.bySession.size,
    groups: groups.groupCount,
    streams: ordering.streams.length,
    history: cell.load.historyBytes,
    window: cell.load.windowBytes,
    queue: cell.load.queueBytes,
    rows: peers.matrix.size,
  }
}

class Scene {
  readonly hub = new MemoryHub()
  readonly bench: Bench
  readonly witness: HandClient
  private incarnation = 0
  private sequence = 0

  private constructor(bench: Bench, hub: MemoryHub) {
    this.bench = bench
    this.hub = hub
    this.witness = bench.session('witness')
    this.witness.say({ kind: 'join', request: 1, group: 'g' })
    bench.step()
  }

  static async start(cell: Partial<CellConfig> = {}): Promise<Scene> {
    const hub = new MemoryHub()
    return new Scene(await Bench.start({ hub, limits, cell: { timeouts, ...cell } }), hub)
  }

  /** Nothing of the tests themselves is kept either. */
  tidy(...clients: readonly HandClient[]): void {
    for (const client of [this.witness, ...clients]) {
      client.say({ kind: 'acknowledge', bytes: client.bytes })
      client.heard.length = 0
    }
    this.bench.events.length = 0
  }

  send(bytes?: number): void {
    this.witness.say(message('g', ++this.sequence, bytes))
    this.bench.step()
  }

  private pass(others: readonly Bench[], holds: () => boolean): void {
    for (let steps = 0; !holds(); steps++) {
      if (steps > 10_000) throw new Error('they do not settle')
      this.hub.deliver()
      for (const bench of [this.bench, ...others]) bench.runtime.step((bench.now += 1))
    }
  }

  /**
   * A daemon comes, a member there joins and sends; the two form again, as they do when timestamps come near their end; and it
   * dies.
   */
  async visit(again: number): Promise<void> {
    const other = await Bench.start({
      hub: this.hub,
      name: 'visitor',
      incarnation: ++this.incarnation,
      limits,
      cell: { timeouts },
      now: this.bench.now,
    })
    const both = [this.bench, other]
    const epochs = (): number[] => both.map(({ runtime }) => runtime.cell.configuration.id.epoch)
    const formed = (): boolean =>
      both.every(({ runtime }) => runtime.groups.gateOpen && runtime.cell.configuration.members.length === 2)
    this.pass([other], formed)
    const visitor = other.session('visitor')
    visitor.say({ kind: 'join', request: 1, group: 'g' }, message('g', 1))
    this.pass([other], () => this.witness.count('messages') > 0 && visitor.count('messages') > 0)
    for (let i = 0; i < again; i++) {
      const before = Math.max(...epochs())
      for (const { runtime } of both) runtime.cell.state.ordering.highestTs = 2 ** 52 + 1
      this.pass([other], () => Math.min(...epochs()) > before && formed())
    }
    this.tidy(visitor)
    this.hub.kill(other.self)
    await other.runtime.close()
    this.pass([], () => this.bench.runtime.cell.configuration.members.length === 1)
    this.tidy()
  }
}

describe('memory', () => {
  it('is as before after 10,000 configurations', async () => {
    const scene = await Scene.start()
    const { bench } = scene
    const installed = (): number => bench.counters.get('cell.configurations.installed')
    while (installed() < 2500) await scene.visit(18)
    const before = { used: usedBytes(), sizes: sizes(bench) }
    while (installed() < 10_000) await scene.visit(18)
    expect(sizes(bench)).toEqual(before.sizes)
    expect(usedBytes() - before.used).toBeLessThan(MiB)
  }, 300_000)

  it('is as before when 1000 clients have come and gone, whichever way they went', async () => {
    const scene = await Scene.start()
    const { bench } = scene
    const round = (): void => {
      const clients = Array.from({ length: 1000 }, (_, i) => {
        const client = bench.client()
        client.say({ ...hello, name: `c${i}` })
        return client
      })
      bench.step()
      clients.forEach((client, i) => {
        client.say(
          { kind: 'join', request: 1, group: `g${i % 100}` },
          { kind: 'join', request: 2, group: `own${i}` },
        )
      })
      bench.step()
      clients.forEach((client, i) => client.say(message(`g${i % 100}`, 1)))
      bench.step()
      expect(sizes(bench)).toMatchObject({ connections: 1001, sessions: 1001, groups: 1101 })
      clients.forEach((client, i) => {
        expect(client.count('messages')).toBe(10)
        if (i % 3 === 0) client.say({ kind: 'close' })
        else if (i % 3 === 1) client.channel.end(null)
        else client.channel.end(new Error('reset'))
      })
      bench.step(200)
      scene.tidy()
    }
    round()
    const before = { used: usedBytes(), sizes: sizes(bench) }
    expect(before.sizes).toMatchObject({ connections: 1, sessions: 1, groups: 1 })
    round()
    expect(sizes(bench)).toEqual(before.sizes)
    expect(usedBytes() - before.used).toBeLessThan(MiB)
  })

  it('is as before when clients that do not read have been evicted', async () => {
    const scene = await Scene.start({ slowClient: { bytes: MiB, seconds: 2, policy: 'evict' } })
    const { bench } = scene
    const evict = (by: 'bytes' | 'seconds'): void => {
      const slow = bench.session('slow')
      slow.channel.reads = false
      slow.say({ kind: 'join', request: 1, group: 'g' })
      bench.step()
      for (let count = 0; count < (by === 'bytes' ? 5 : 2); count++) {
        scene.send(300 * KiB)
        scene.tidy()
        bench.step()
      }
      if (by === 'seconds') bench.step(2500)
      expect(sizes(bench)).toMatchObject({ connections: 1, sessions: 1 })
      // Its last words wait for it, and then nothing does.
      expect(slow.channel.pending).toBeGreaterThan(600 * KiB)
      bench.step(10_000)
      expect(slow.channel.aborted).toBe(true)
      scene.tidy()
    }
    evict('bytes')
    evict('seconds')
    const before = { used: usedBytes(), sizes: sizes(bench) }
    for (let i = 0; i < 10; i++) {
      evict('bytes')
      evict('seconds')
    }
    expect(sizes(bench)).toEqual(before.sizes)
    expect(bench.counters.get('cell.sessions.evicted')).toBe(22)
    expect(bench.runtime.cell.state.ordering.heldCredit).toBeNull()
    expect(bench.counters.get('cell.clients.queueBytes')).toBeLessThan(KiB)
    expect(usedBytes() - before.used).toBeLessThan(MiB)
  })
})
