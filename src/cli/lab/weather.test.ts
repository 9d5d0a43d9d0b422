import { describe, expect, it } from 'vitest'
import { cutFrames, FrameCutter, frameKinds, kindOf } from './frame-cutter.ts'
import { Weather } from './weather.ts'

/** Bytes that look like a frame of this kind to who knows only the envelope. */
function frame(kind: number, length: number = 60): Uint8Array {
  const bytes = new Uint8Array(length)
  bytes.set(new TextEncoder().encode('ANAZ'))
  new DataView(bytes.buffer).setUint32(8, length, true)
  bytes[17] = kind
  return bytes
}

function hello(): Uint8Array {
  const bytes = new Uint8Array(40)
  bytes.set(new TextEncoder().encode('ANAH'))
  bytes[8] = bytes.length
  return bytes
}

function joined(...pieces: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(pieces.flatMap(piece => [...piece]))
}

function pass(weather: Weather, ...frames: readonly Uint8Array[]): Uint8Array[] {
  return frames.flatMap(each => weather.pass(each, new FrameCutter()))
}

describe('a stream between daemons', () => {
  it('is cut into frames, whatever the chunks', () => {
    const frames = [hello(), frame(1, 57), frame(32, 300), frame(16)]
    const stream = joined(...frames)
    for (const step of [1, 7, 56, 100, stream.length]) {
      const cutter = new FrameCutter()
      const pieces: Uint8Array[] = []
      for (let at = 0; at < stream.length; at += step) {
        pieces.push(...cutFrames(stream.subarray(at, at + step), cutter, true))
      }
      expect(pieces).toEqual(frames)
    }
    expect(frames.map(kindOf)).toEqual([null, 1, 32, 16])
  })

  it('that is none passes as it comes', () => {
    const cutter = new FrameCutter()
    const garbage = new TextEncoder().encode('GET / HTTP/1.1\r\n')
    expect(cutFrames(joined(frame(1), garbage), cutter, true)).toEqual([frame(1), garbage])
    expect(cutFrames(frame(1), cutter, true)).toEqual([frame(1)])
    expect(cutter.lost).toBe(true)
  })
})

describe('weather', () => {
  it('that is calm changes nothing', () => {
    const weather = new Weather(1)
    expect(weather.pass(joined(frame(1), frame(2)), new FrameCutter())).toEqual([joined(frame(1), frame(2))])
    expect(weather.delayMs()).toBe(0)
  })

  it('loses the next frame of a kind, once', () => {
    const weather = new Weather(1)
    weather.drop(frameKinds['plan'] ?? 0)
    const plan = frame(35)
    expect(pass(weather, frame(32), plan, plan)).toEqual([frame(32), plan])
    expect(weather.damage.lost).toBe(1)
    expect(weather.framed).toBe(false)
  })

  it('flips one bit in the length of the next frame of a kind', () => {
    const weather = new Weather(1)
    weather.stretch(frameKinds['heartbeat'] ?? 0)
    const [plan, first, second] = pass(weather, frame(35), frame(16), frame(16))
    expect([plan, second]).toEqual([frame(35), frame(16)])
    const length = new DataView((first ?? frame(0)).buffer).getUint32(8, true)
    expect(length).toBe(60 + 2 ** 20)
    expect(weather.damage.flipped).toBe(1)
  })

  it('loses, doubles and exchanges frames, but never the handshake', () => {
    const weather = new Weather(2)
    weather.set({ loseFrames: 1 })
    expect(pass(weather, hello(), frame(1))).toEqual([hello()])
    weather.set({ doubleFrames: 1 })
    expect(pass(weather, hello(), frame(1))).toEqual([hello(), frame(1), frame(1)])
    weather.set({ swapFrames: 1 })
    expect(weather.pass(joined(hello(), frame(1), frame(2)), new FrameCutter())).toEqual([
      hello(),
      frame(2),
      frame(1),
    ])
    expect(weather.damage).toMatchObject({ lost: 1, doubled: 1, swapped: 1 })
  })

  it('flips about as many bits as it is told, and leaves the bytes of the sender alone', () => {
    const weather = new Weather(3)
    weather.set({ flipEveryBytes: 1000 })
    const sent = frame(1, 500)
    const before = sent.slice()
    let differing = 0
    for (let i = 0; i < 2000; i++) {
      const [got] = weather.pass(sent, new FrameCutter())
      differing += (got ?? sent).reduce((sum, byte, at) => sum + (byte === sent[at] ? 0 : 1), 0)
    }
    expect(sent).toEqual(before)
    expect(weather.damage.flipped).toBeGreaterThan(800)
    expect(weather.damage.flipped).toBeLessThan(1200)
    expect(differing).toBeGreaterThan(weather.damage.flipped * 0.9)
  })

  it('swallows bytes', () => {
    const weather = new Weather(4)
    weather.set({ swallowEveryBytes: 100 })
    const bytes = pass(weather, ...Array.from({ length: 100 }, () => frame(1, 100)))
    const left = bytes.reduce((sum, { length }) => sum + length, 0)
    expect(left).toBe(10_000 - weather.damage.swallowed)
    expect(weather.damage.swallowed).toBeGreaterThan(50)
  })
})
