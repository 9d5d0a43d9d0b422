/** Valid inputs, recorded from the simulator: the same each time, since everything follows from seeds. */

import { FrameDecoder } from '../../codec/peer.ts'
import type { Frame } from '../../core/frames.ts'
import { crc32 } from '../../lib/crc32.ts'
import type { CellTraceLine, ClientTraceLine } from '../../lib/trace.ts'
import { shortScenario } from '../preset.ts'
import { production } from '../production.ts'
import { CELL_NAME } from '../recorder.ts'
import { run } from '../run.ts'
import { type Settings, settingsOf } from '../settings.ts'
import { playScenario } from '../play.ts'

export interface RecordedFrame {
  readonly bytes: Uint8Array
  readonly frame: Frame
}

/** Frames of one kind that are kept, and how many must have passed since the last one: the first are much alike. */
const framesOfAKind = 25
const everySoMany = 7
/** Small runs with all faults: together they have frames of every kind. */
const recordedSeeds = [3, 11, 17, 23]

function smallSettings(seed: number): Settings {
  const settings = settingsOf(seed)
  return {
    ...settings,
    members: 3,
    network: { ...settings.network, baseMs: 0.2, loss: 0.03, duplicate: 0.05, corrupt: 0 },
    loop: { ...settings.loop, slowChance: 0 },
    workload: { ...settings.workload, messages: 60, meanBytes: 20 },
    faults: { ...settings.faults, count: 4 },
    phases: { warmUpMs: 300, safetyMs: 1500, livenessMs: 10_000 },
  }
}

let recordedFrames: readonly RecordedFrame[] | null = null

/** Frames between daemons, of every kind. */
export function peerFrames(): readonly RecordedFrame[] {
  recordedFrames ??= recordFrames()
  return recordedFrames
}

function recordFrames(): RecordedFrame[] {
  const kept: RecordedFrame[] = []
  const seen = new Map<string, number>()
  const keep = (frame: Frame, bytes: Uint8Array): void => {
    const kind = frame.kind === 'data' ? `data ${headsOf(frame)}` : frame.kind
    const count = seen.get(kind) ?? 0
    seen.set(kind, count + 1)
    if (count < 3 || (count % everySoMany === 0 && count < framesOfAKind * everySoMany))
      kept.push({ frame, bytes })
  }
  for (const seed of recordedSeeds) {
    const parts = {
      ...production,
      wire: (member: string) => {
        const wire = production.wire(member)
        const encode = (frame: Frame): Uint8Array => {
          const bytes = wire.encode(frame)
          keep(frame, bytes)
          return bytes
        }
        return { encode, decode: (bytes: Uint8Array) => wire.decode(bytes) }
      },
    }
    run({ settings: smallSettings(seed), parts, invariantsEvery: 1000 })
  }
  const decoder = new FrameDecoder({ cell: CELL_NAME, from: null, crc32 })
  return kept.map(({ bytes }) => ({ bytes, frame: decoder.decode(bytes) }))
}

function headsOf(frame: Extract<Frame, { kind: 'data' }>): string {
  const kinds = frame.segments.map(({ head }) => (head as { readonly kind: string } | null)?.kind ?? 'more')
  return [...new Set(kinds)].sort().join('+')
}

export interface RecordedTrace {
  readonly cell: readonly CellTraceLine[]
  readonly clients: readonly ClientTraceLine[]
}

let recordedTraces: readonly RecordedTrace[] | null = null

/** Traces of short runs with a partition and a merge. */
export function traces(): readonly RecordedTrace[] {
  recordedTraces ??= [1, 2].map(seed => {
    const { recorder } = playScenario(shortScenario(seed), production, seed).world
    return { cell: recorder.cellLines, clients: recorder.clientLines }
  })
  return recordedTraces
}
