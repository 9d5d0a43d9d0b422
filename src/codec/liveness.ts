/** Frames of the liveness lane: heartbeats, challenges, answers. */

import type { AnswerFrame, ChallengeFrame, HeartbeatFrame, Row } from '../core/frames.ts'
import { CodecError } from './error.ts'
import {
  type ConfigurationIdReader,
  type ConfigurationIdWriter,
  LEAST_MEMBER_BYTES,
  readMember,
  readMembers,
  writeMember,
  writeMembers,
} from './identity.ts'
import { readFacts, writeFacts } from './ordering.ts'
import type { Reader } from './reader.ts'
import type { Writer } from './writer.ts'

const PHASES: readonly HeartbeatFrame['phase'][] = ['operational', 'gather', 'recover', 'leaving']

export function writeHeartbeat(
  writer: Writer,
  configurations: ConfigurationIdWriter,
  frame: HeartbeatFrame,
): void {
  configurations.write(writer, frame.configuration)
  writer.u64(frame.ballot, 'ballot')
  writer.u64(frame.maxEpoch, 'highest epoch')
  writer.choice(PHASES, frame.phase, 'phase')
  writer.u64(frame.target, 'target')
  writer.u64(frame.matrix, 'matrix')
  writer.u16(frame.rows.length, 'number of rows')
  for (const row of frame.rows) {
    writeMember(writer, row.member)
    writer.u64(row.version, 'row version')
    writeMembers(writer, row.hears, 'members heard')
  }
  writer.flag(frame.facts !== null)
  if (frame.facts !== null) writeFacts(writer, frame.facts)
}

export function readHeartbeat(reader: Reader, configurations: ConfigurationIdReader): HeartbeatFrame {
  return {
    kind: 'heartbeat',
    configuration: configurations.read(reader, 'configuration'),
    ballot: reader.u64('ballot'),
    maxEpoch: reader.u64('highest epoch'),
    phase: reader.choice(PHASES, 'phase'),
    target: reader.u64('target'),
    matrix: reader.u64('matrix'),
    rows: readRows(reader),
    facts: reader.flag('facts') ? readFacts(reader) : null,
  }
}

function readRows(reader: Reader): Row[] {
  // A row is at least a member, a version and an empty list.
  const count = reader.count16(LEAST_MEMBER_BYTES + 10, 'number of rows')
  const rows: Row[] = []
  for (let i = 0; i < count; i++) {
    const at = reader.at
    const member = readMember(reader, 'member of a row')
    const version = reader.u64('row version')
    const hears = readMembers(reader, 0, 'members heard')
    if (hears.includes(member)) throw new CodecError('value', 'a row names its own member as heard', at)
    rows.push({ member, version, hears })
  }
  return rows
}

export function writeNonce(writer: Writer, frame: ChallengeFrame | AnswerFrame): void {
  writer.u64(frame.nonce, 'nonce')
}

export function readNonce(reader: Reader, kind: 'challenge' | 'answer'): ChallengeFrame | AnswerFrame {
  return { kind, nonce: reader.u64('nonce') }
}
