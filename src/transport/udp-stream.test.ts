import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeDatagram, type Feedback, MAX_GAPS } from '../codec/datagram.ts'
import type { Slices } from '../codec/envelope.ts'
import { joined } from '../codec/frames.fixture.ts'
import { FrameEncoder } from '../codec/peer.ts'
import { crc32 } from '../lib/crc32.ts'
import { Random } from '../lib/prng.ts'
import { UdpReceiver } from './udp-receiver.ts'
import { type Follower, type Piece, UdpSender } from './udp-sender.ts'

const KEY = { low: 1, high: 2 }
const DATAGRAM_BYTES = 1472
const SELF = `n1#${'1'.repeat(32)}`
const encoder = new FrameEncoder({ cell: 'main', self: SELF, crc32 })

/** A frame whose number is in it. */
function frame(number: number, bytes: number): Slices {
  return encoder.encode({
    kind: 'data',
    configuration: { epoch: 1, coordinator: SELF, nonce: 1, key: `1.${SELF}.1` },
    rank: 0,
    seq: number + 1,
    ts: number + 1,
    facts: { clock: 1, seq: 1, received: 0, credit: 0, consumed: 0 },
    segments: [{ safe: false, more: true, head: null, bytes, body: [new Uint8Array(bytes).fill(number)] }],
  })
}

interface Reader {
  readonly receiver: UdpReceiver
  readonly got: string[]
  follower: Follower | null
  attachment: number
  /** Frames that come over the connection and are skipped. */
  skip: number
  deaf: boolean
}

interface Faults {
  readonly lose: number
  readonly double: number
  readonly delayMs: number
}

const text = (frame: Slices): string => Buffer.from(joined(frame.slices)).toString('latin1')

/** A stream and who follows it, in virtual time; the connections beside it are perfect and take no time. */
class World {
  now = 0
  readonly sender: UdpSender
  readonly readers: Reader[]
  readonly sent: string[] = []
  flown = 0
  readonly faults: Faults
  readonly #random: Random
  readonly #events = new Map<number, (() => void)[]>()

  constructor(seed: number, count: number, faults: Faults) {
    this.#random = new Random(seed)
    this.faults = faults
    this.sender = new UdpSender(KEY, DATAGRAM_BYTES, {
      send: (piece, to) => this.#send(piece, to),
      begin: (follower, piece, frame) => {
        const reader = this.#of(follower)
        const { attachment } = reader
        this.#later(2, () => {
          if (reader.follower === follower)
            reader.receiver.attach({ what: 'attach', attachment, piece, frame })
          reader.receiver.dueAt = 0
        })
      },
    })
    this.readers = Array.from({ length: count }, () => ({
      receiver: new UdpReceiver(1 << 20),
      got: [],
      follower: null,
      attachment: 0,
      skip: 0,
      deaf: false,
    }))
  }

  #of(follower: Follower): Reader {
    return this.readers.find(reader => reader.follower === follower) as Reader
  }

  #later(ms: number, run: () => void): void {
    const at = Math.ceil(this.now + ms)
    const events = this.#events.get(at)
    if (events === undefined) this.#events.set(at, [run])
    else events.push(run)
  }

  #fly(run: () => void): void {
    const { lose, double, delayMs } = this.faults
    if (this.#random.chance(lose)) return
    this.#later(0.1 + this.#random.next() * delayMs, run)
    if (this.#random.chance(double)) this.#later(0.1 + this.#random.next() * delayMs, run)
  }

  #send(piece: Piece, to: Follower | null): void {
    this.flown++
    const datagram = decodeDatagram(joined(piece.slices), crc32)
    if (datagram.kind !== 'piece') throw new Error('not a piece')
    expect(piece.slices.reduce((sum, { length }) => sum + length, 0)).toBeLessThanOrEqual(DATAGRAM_BYTES)
    for (const reader of this.readers) {
      if (to !== null && reader.follower !== to) continue
      this.#fly(() => {
        if (reader.deaf) return
        const frames: Slices[] = []
        const { number, payload, urgent } = datagram
        reader.receiver.take(number, payload, urgent, this.now, frames)
        reader.got.push(...frames.map(text))
      })
    }
  }

  attach(reader: Reader): void {
    reader.follower = this.sender.attach(1 << 20)
    reader.attachment++
  }

  detach(reader: Reader): void {
    const { follower } = reader
    if (follower === null) return
    reader.follower = null
    const { frame, frames } = this.sender.detach(follower)
    const notice = { what: 'detach', attachment: reader.attachment, frame, frames: frames.length } as const
    const skip = follower.started ? reader.receiver.detach(notice) : 0
    reader.got.push(...frames.slice(skip).map(text))
  }

  /** Sends a frame to everyone, on whatever way. */
  send(bytes: number): void {
    const each = frame(this.sent.length, bytes)
    this.sent.push(text(each))
    if (this.sender.followers.size > 0) this.sender.enqueue(each)
    for (const reader of this.readers) if (reader.follower === null) reader.got.push(text(each))
  }

  /** Lets a ms pass. */
  step(): void {
    const { sender } = this
    sender.flush()
    sender.pump(this.now)
    this.now++
    for (const run of this.#events.get(this.now) ?? []) run()
    this.#events.delete(this.now)
    for (const reader of this.readers) {
      const { follower, receiver } = reader
      if (follower === null || reader.deaf || receiver.dueAt > this.now) continue
      const told: Feedback = {
        kind: 'feedback',
        key: KEY,
        paused: false,
        probe: 0,
        ...receiver.tell(this.now),
      }
      const { attachment } = reader
      if (!told.attached) continue
      this.#fly(() => {
        if (reader.follower === follower && told.attachment === attachment)
          sender.hear(follower, told, this.now)
      })
    }
    if (this.now % 5 === 0) sender.tick(this.now, 0)
  }

  get complete(): boolean {
    return this.readers.every(({ got }) => got.length >= this.sent.length)
  }

  settle(): void {
    for (let i = 0; i < 100_000 && !(this.complete && !this.sender.outstanding); i++) this.step()
  }
}

const nothing: Faults = { lose: 0, double: 0, delayMs: 0 }

describe('a stream of datagrams', () => {
  test('whatever is lost, doubled and overtaken, and whoever comes and goes: everyone has everything once, in order', () => {
    const fault = fc.record({
      lose: fc.double({ min: 0, max: 0.2, noNaN: true }),
      double: fc.double({ min: 0, max: 0.3, noNaN: true }),
      delayMs: fc.constantFrom(0, 1, 30),
    })
    const action = fc.oneof(
      { weight: 6, arbitrary: fc.record({ send: fc.constantFrom(0, 10, 1000, 1300, 20_000, 60_000) }) },
      { weight: 6, arbitrary: fc.record({ pass: fc.integer({ min: 1, max: 20 }) }) },
      { weight: 2, arbitrary: fc.record({ toggle: fc.nat(2) }) },
    )
    fc.assert(
      fc.property(fc.nat(), fault, fc.array(action, { maxLength: 60 }), (seed, faults, actions) => {
        const world = new World(seed, 3, faults)
        for (const reader of world.readers) world.attach(reader)
        for (const each of actions) {
          if ('send' in each) world.send(each.send)
          else if ('pass' in each) for (let i = 0; i < each.pass; i++) world.step()
          else {
            const reader = world.readers[each.toggle] as Reader
            if (reader.follower === null) world.attach(reader)
            else world.detach(reader)
          }
        }
        world.settle()
        for (const { got } of world.readers) expect(got.map(head)).toEqual(world.sent.map(head))
        for (const { got } of world.readers) expect(got).toEqual(world.sent)
      }),
      { numRuns: 50 },
    )
  })

  test('small frames of one flush share a datagram', () => {
    const world = new World(1, 1, nothing)
    world.attach(world.readers[0] as Reader)
    for (let i = 0; i < 10; i++) world.send(10)
    world.settle()
    expect(world.readers[0]?.got).toEqual(world.sent)
    expect(world.flown).toBeLessThan(10)
  })

  test('what is not flushed does not leave', () => {
    const world = new World(1, 1, nothing)
    world.attach(world.readers[0] as Reader)
    world.send(10)
    world.sender.pump(0)
    expect(world.flown).toBe(0)
  })

  test('the window grows while all arrives, and shrinks with what is lost', () => {
    const talk = (world: World): number => {
      for (let i = 0; i < 60; i++) {
        world.send(100_000)
        world.step()
      }
      world.settle()
      return world.sender.windowBytes
    }
    const good = new World(1, 2, nothing)
    for (const reader of good.readers) good.attach(reader)
    const first = good.sender.windowBytes
    expect(talk(good)).toBeGreaterThan(first * 2)
    // No more than a quarter of what a socket holds.
    expect(good.sender.windowBytes).toBeLessThanOrEqual((1 << 20) / 4)
    const bad = new World(1, 2, { ...nothing, lose: 0.1 })
    for (const reader of bad.readers) bad.attach(reader)
    expect(talk(bad)).toBeLessThan(first * 1.5)
  })

  test('whoever falls silent is the laggard that holds back the others, and nobody else', () => {
    const world = new World(1, 3, nothing)
    for (const reader of world.readers) world.attach(reader)
    const [quick, silent] = world.readers as [Reader, Reader]
    world.send(10)
    world.settle()
    silent.deaf = true
    for (let i = 0; i < 100; i++) world.send(10_000)
    expect(world.sender.laggards(world.now)).toEqual([])
    for (let i = 0; i < 120; i++) world.step()
    expect(quick.got.length).toBeLessThan(world.sent.length)
    expect(world.sender.laggards(world.now)).toEqual([silent.follower])
    expect(world.sender.slowest()).toEqual([silent.follower])
    world.detach(silent)
    world.settle()
    for (const { got } of world.readers) expect(got).toEqual(world.sent)
  })

  test('what is sent again goes to who asked; to all, if several did', () => {
    const to: (Follower | null)[] = []
    const sender = new UdpSender(KEY, DATAGRAM_BYTES, {
      send: (_, who) => to.push(who),
      begin: () => undefined,
    })
    const [a, b] = [sender.attach(1 << 20), sender.attach(1 << 20)]
    sender.enqueue(frame(0, 4000))
    sender.flush()
    sender.pump(0)
    const gap: Feedback = {
      kind: 'feedback',
      key: KEY,
      attached: true,
      paused: false,
      attachment: 1,
      probe: 0,
      expected: 1,
      gaps: [{ offset: 0, pieces: 1 }],
    }
    for (const each of [a, b]) each.confirmed = true
    expect(to.splice(0)).toEqual([null, null, null])
    sender.hear(a, gap, 10)
    expect(to.splice(0)).toEqual([a])
    sender.hear(a, gap, 10.5)
    expect(to.splice(0)).toEqual([])
    sender.hear(b, gap, 10.6)
    expect(to.splice(0)).toEqual([null])
    sender.hear(a, gap, 30)
    expect(to.splice(0)).toEqual([a])
  })

  test('acknowledgements of what was never sent count for nothing', () => {
    const sender = new UdpSender(KEY, DATAGRAM_BYTES, { send: () => undefined, begin: () => undefined })
    const follower = sender.attach(1 << 20)
    sender.enqueue(frame(0, 10))
    sender.flush()
    sender.pump(0)
    const gaps = [{ offset: 0xffffffff, pieces: 0xffff }]
    const said = {
      kind: 'feedback',
      key: KEY,
      attached: true,
      paused: false,
      attachment: 1,
      probe: 0,
    } as const
    sender.hear(follower, { ...said, expected: 2, gaps }, 1)
    expect(sender.outstanding).toBe(true)
    sender.hear(follower, { ...said, expected: 1, gaps }, 1)
    expect(sender.outstanding).toBe(false)
  })
})

describe('the receiving end', () => {
  test('keeps no more than it must of what comes too early', () => {
    const receiver = new UdpReceiver(1 << 20)
    receiver.attach({ what: 'attach', attachment: 1, piece: 0, frame: 0 })
    const payload = new Uint8Array(60_000)
    for (let number = 1; number < 1000; number++) receiver.take(number * 2, payload, false, 0, [])
    const { gaps, expected } = receiver.tell(0)
    expect(expected).toBe(0)
    // 8 MiB of these, and then no more.
    expect(gaps.length).toBe(MAX_GAPS)
    expect(gaps[0]).toEqual({ offset: 0, pieces: 2 })
    receiver.take(2 ** 40, payload, false, 0, [])
    expect(receiver.tell(0).gaps).toEqual(gaps)
  })

  test('without a beginning it takes nothing', () => {
    const receiver = new UdpReceiver(1 << 20)
    const frames: Slices[] = []
    receiver.take(0, joined(frame(0, 10).slices), true, 0, frames)
    expect([frames, receiver.tell(0).attached]).toEqual([[], false])
  })
})

/** Enough of a frame to tell it from others. */
function head(frame: string): string {
  return `${frame.length}:${Buffer.from(frame.slice(0, 56), 'latin1').toString('hex')}`
}
