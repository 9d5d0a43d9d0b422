/** Frames of the liveness lane: heartbeats, challenges, answers. */

import type { AnswerFrame, ChallengeFrame, HeartbeatFrame, Row } from '../core/frames.ts'
import type { MemberId } from '../core/types.ts'
import { CodecError } from './error.ts'
import {
  type ConfigurationIdReader,
  type ConfigurationIdWriter,
  readMembers,
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
  writeRows(writer, frame.rows)
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

/** Who hears whom, as a bitmap for each row: every heartbeat of a membership change carries the rows of all members. */
function writeRows(writer: Writer, rows: readonly Row[]): void {
  const named = new Set<MemberId>()
  for (const { member, hears } of rows) {
    named.add(member)
    for (const heard of hears) named.add(heard)
  }
  const members = [...named].sort()
  const indexes = new Map(members.map((member, index) => [member, index]))
  writeMembers(writer, members, 'members in rows')
  writer.u16(rows.length, 'number of rows')
  for (const { member, version, hears } of rows) {
    const bits = new Uint8Array(Math.ceil(members.length / 8))
    for (const heard of hears) {
      const index = indexes.get(heard) as number
      bits[index >> 3] = (bits[index >> 3] as number) | (1 << (index & 7))
    }
    writer.u16(indexes.get(member) as number, 'member of a row')
    writer.u64(version, 'row version')
    writer.raw(bits)
  }
}

function readRows(reader: Reader): Row[] {
  const members = readMembers(reader, 0, 'members in rows')
  const width = Math.ceil(members.length / 8)
  const count = reader.count16(10 + width, 'number of rows')
  const named = new Set<MemberId>()
  const rows: Row[] = []
  for (let i = 0; i < count; i++) {
    const at = reader.at
    const member = members[reader.u16('member of a row')]
    if (member === undefined) throw new CodecError('value', 'a row of a member that is not in the list', at)
    const version = reader.u64('row version')
    const hears = readBits(reader, members, width)
    if (hears.includes(member)) throw new CodecError('value', 'a row names its own member as heard', at)
    named.add(member)
    for (const heard of hears) named.add(heard)
    rows.push({ member, version, hears })
  }
  if (named.size < members.length) {
    throw new CodecError('value', 'a member in the list that no row speaks of', reader.at)
  }
  return rows
}

function readBits(reader: Reader, members: readonly MemberId[], width: number): MemberId[] {
  const heard: MemberId[] = []
  for (let byte = 0; byte < width; byte++) {
    const at = reader.at
    const bits = reader.u8('members heard')
    for (let bit = 0; bit < 8; bit++) {
      if ((bits & (1 << bit)) === 0) continue
      const member = members[byte * 8 + bit]
      if (member === undefined) throw new CodecError('value', 'a row hears a member beyond the list', at)
      heard.push(member)
    }
  }
  return heard
}

export function writeNonce(writer: Writer, frame: ChallengeFrame | AnswerFrame): void {
  writer.u64(frame.nonce, 'nonce')
}

export function readNonce(reader: Reader, kind: 'challenge' | 'answer'): ChallengeFrame | AnswerFrame {
  return { kind, nonce: reader.u64('nonce') }
}
