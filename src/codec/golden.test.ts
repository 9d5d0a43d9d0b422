/**
 * The wire as it was agreed on. If one of these fails, frames of this build are not understood by released ones:
 * raise the version instead of changing a fixture.
 */

import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { crc32 } from '../lib/crc32.ts'
import { A, FIXED_FRAMES, joined, whole } from './frames.fixture.ts'
import { FrameDecoder, FrameEncoder } from './peer.ts'

const golden = JSON.parse(readFileSync(new URL('./golden.fixture.json', import.meta.url), 'utf8')) as Record<
  string,
  string
>

test('there is a fixture for every frame', () => {
  expect(Object.keys(golden)).toEqual(Object.keys(FIXED_FRAMES))
})

for (const [name, frame] of Object.entries(FIXED_FRAMES)) {
  test(name, () => {
    // A new encoder for each: the counter is part of the bytes.
    const encoded = new FrameEncoder({ cell: 'main', self: A, crc32 }).encode(frame)
    expect(Buffer.from(joined(encoded.slices)).toString('hex')).toBe(golden[name])
    const decoder = new FrameDecoder({ cell: 'main', from: A, crc32 })
    expect(whole(decoder.decode(new Uint8Array(Buffer.from(golden[name] ?? '', 'hex'))))).toEqual(
      whole(frame),
    )
  })
}
