/** The real codec as the simulator's wire: what crosses the simulated network is what would cross a real one. */

import * as zlib from 'node:zlib'
import { FrameDecoder, FrameEncoder } from '../codec/peer.ts'
import { type Crc32, crc32 as crc32InScript } from '../lib/crc32.ts'
import type { Wire } from './parts.ts'
import { join } from './payload.ts'
import { CELL_NAME } from './recorder.ts'

/** Node has it in C since 20.15; its types do not know yet. */
const native = (zlib as { crc32?: Crc32 }).crc32
const crc32: Crc32 = native ?? crc32InScript

export function codecWire(self: string): Wire {
  const encoder = new FrameEncoder({ cell: CELL_NAME, self, crc32 })
  const decoder = new FrameDecoder({ cell: CELL_NAME, from: null, crc32 })
  return {
    encode: frame => join(encoder.encode(frame).slices),
    decode: bytes => decoder.decode(bytes),
  }
}
