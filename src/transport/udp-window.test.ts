import { expect, test } from 'vitest'
import { UdpWindow } from './udp-window.ts'

const PIECE = 1452
const KiB = 1024

/** A window that was always full, after so many round trips without a loss. */
function after(window: UdpWindow, roundTrips: number, roundTripMs: number): number {
  for (let i = 0; i < roundTrips; i++) {
    window.measure(roundTripMs)
    window.wasFull = true
    window.adapt(window.bytes)
  }
  return window.bytes
}

test('it has its bounds by what sockets hold', () => {
  for (const [buffer, least, most] of [
    [64 * KiB, 24 * KiB, 24 * KiB],
    [208 * KiB, 24 * KiB, 52 * KiB],
    [1024 * KiB, 64 * KiB, 256 * KiB],
    [16 * 1024 * KiB, 128 * KiB, 2048 * KiB],
  ] as const) {
    const window = new UdpWindow(PIECE)
    window.bound(buffer)
    expect(window.bytes).toBe(least)
    expect(after(window, 20, 1)).toBe(most)
  }
  const large = new UdpWindow(65_000)
  large.bound(208 * KiB)
  expect(large.bytes).toBe(4 * 65_000)
})

test('a loss halves it, once for all that was on its way; then it grows slowly', () => {
  const window = new UdpWindow(PIECE)
  window.bound(16 * 1024 * KiB)
  const before = after(window, 20, 1)
  for (const piece of [100, 150, 199]) window.lost(piece, 200)
  expect(window.bytes).toBe(before / 2)
  expect(after(window, 1, 1)).toBe(before / 2 + (128 * KiB) / 8)
  window.lost(200, 300)
  expect(window.bytes).toBeLessThan(before / 2)
  const now = window.bytes
  window.ignoreLosses(400)
  window.lost(399, 500)
  expect(window.bytes).toBe(now)
})

test('what was not full does not grow', () => {
  const window = new UdpWindow(PIECE)
  const { bytes } = window
  window.adapt(bytes)
  expect(window.bytes).toBe(bytes)
})

test('queues on the way bound it', () => {
  const window = new UdpWindow(PIECE)
  window.bound(16 * 1024 * KiB)
  expect(after(window, 50, 60)).toBe(512 * KiB)
  expect(after(window, 50, 1)).toBe(2048 * KiB)
  expect(after(window, 2, 60)).toBe(2048 * KiB)
  expect(after(window, 50, 200)).toBe(512 * KiB)
})

test('what is not acknowledged is sent again after three round trips, and less and less often', () => {
  const window = new UdpWindow(PIECE)
  window.measure(1)
  expect([0, 1, 2, 3, 9].map(timeouts => window.resendMs(timeouts))).toEqual([20, 40, 80, 160, 160])
  const far = new UdpWindow(PIECE)
  far.measure(100)
  expect([far.resendMs(0), far.resendMs(5)]).toEqual([300, 300])
})
