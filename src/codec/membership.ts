/** Frames of the membership protocol: form, refuse, state, plan, recovered, install. */

import type {
  ClockPair,
  FormFrame,
  GroupPlan,
  InstallFrame,
  PlanFrame,
  RecoveredFrame,
  RefuseFrame,
  StateFrame,
  StreamPlan,
  StreamState,
} from '../core/frames.ts'
import type { MemberId } from '../core/types.ts'
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
import type { Reader } from './reader.ts'
import type { Writer } from './writer.ts'

const WHY: readonly RefuseFrame['why'][] = ['epoch', 'deaf']

/** contiguous, two pairs, received, consumed: seven u64, and a flag. */
const STREAM_STATE_BYTES = 57
/** Two ids, two lists and no stream. */
const LEAST_GROUP_BYTES = 12 + LEAST_MEMBER_BYTES + 6

export function writeForm(writer: Writer, ids: ConfigurationIdWriter, frame: FormFrame): void {
  ids.write(writer, frame.configuration)
  writeMembers(writer, frame.members, 'members')
}

export function readForm(reader: Reader, ids: ConfigurationIdReader): FormFrame {
  return {
    kind: 'form',
    configuration: ids.read(reader, 'configuration'),
    members: readMembers(reader, 1, 'members'),
  }
}

export function writeRefuse(writer: Writer, ids: ConfigurationIdWriter, frame: RefuseFrame): void {
  ids.write(writer, frame.configuration)
  writer.u64(frame.epoch, 'epoch')
  writer.choice(WHY, frame.why, 'why')
}

export function readRefuse(reader: Reader, ids: ConfigurationIdReader): RefuseFrame {
  return {
    kind: 'refuse',
    configuration: ids.read(reader, 'configuration'),
    epoch: reader.u64('epoch'),
    why: reader.choice(WHY, 'why'),
  }
}

export function writeState(writer: Writer, ids: ConfigurationIdWriter, frame: StateFrame): void {
  ids.write(writer, frame.configuration)
  ids.write(writer, frame.old)
  writeMembers(writer, frame.oldMembers, 'old members')
  if (frame.streams.length !== frame.oldMembers.length) throw new RangeError('one stream per old member')
  for (const stream of frame.streams) {
    writer.u64(stream.contiguous, 'contiguous')
    writePair(writer, stream.counted)
    writePair(writer, stream.newest)
    writer.u64(stream.received, 'received')
    writer.u64(stream.consumed, 'consumed')
    writer.flag(stream.infinite)
  }
}

export function readState(reader: Reader, ids: ConfigurationIdReader): StateFrame {
  const configuration = ids.read(reader, 'configuration')
  const old = ids.read(reader, 'old configuration')
  const oldMembers = readMembers(reader, 1, 'old members')
  if (reader.remaining < oldMembers.length * STREAM_STATE_BYTES) {
    throw new CodecError('truncated', 'streams are cut off', reader.at)
  }
  const streams: StreamState[] = oldMembers.map(() => ({
    contiguous: reader.u64('contiguous'),
    counted: readPair(reader),
    newest: readPair(reader),
    received: reader.u64('received'),
    consumed: reader.u64('consumed'),
    infinite: reader.flag('infinite'),
  }))
  return { kind: 'state', configuration, old, oldMembers, streams }
}

function writePair(writer: Writer, pair: ClockPair): void {
  writer.u64(pair.clock, 'clock')
  writer.u64(pair.seq, 'seq')
}

function readPair(reader: Reader): ClockPair {
  return { clock: reader.u64('clock'), seq: reader.u64('seq') }
}

export function writePlan(writer: Writer, ids: ConfigurationIdWriter, frame: PlanFrame): void {
  ids.write(writer, frame.configuration)
  writeMembers(writer, frame.members, 'members')
  writer.u16(frame.groups.length, 'number of old configurations')
  for (const group of frame.groups) {
    ids.write(writer, group.old)
    writeMembers(writer, group.oldMembers, 'old members')
    writeMembers(writer, group.together, 'members together')
    if (group.streams.length !== group.oldMembers.length) throw new RangeError('one stream per old member')
    for (const stream of group.streams) writeStreamPlan(writer, stream)
  }
}

export function readPlan(reader: Reader, ids: ConfigurationIdReader): PlanFrame {
  const configuration = ids.read(reader, 'configuration')
  const members = readMembers(reader, 1, 'members')
  const count = reader.count16(LEAST_GROUP_BYTES, 'number of old configurations')
  const groups: GroupPlan[] = []
  for (let i = 0; i < count; i++) {
    const old = ids.read(reader, 'old configuration')
    const oldMembers = readMembers(reader, 1, 'old members')
    const at = reader.at
    const together = readMembers(reader, 1, 'members together')
    if (!isSubset(together, oldMembers)) {
      throw new CodecError('value', 'members come together from a configuration they were not in', at)
    }
    groups.push({ old, oldMembers, together, streams: oldMembers.map(() => readStreamPlan(reader)) })
  }
  return { kind: 'plan', configuration, members, groups }
}

function writeStreamPlan(writer: Writer, stream: StreamPlan): void {
  writer.u64(stream.upTo, 'up to')
  writer.u64OrInfinity(stream.clock, 'clock')
  writer.u64OrInfinity(stream.received, 'received')
  writer.u64(stream.consumed, 'consumed')
  writeMember(writer, stream.supplier)
}

function readStreamPlan(reader: Reader): StreamPlan {
  return {
    upTo: reader.u64('up to'),
    clock: reader.u64OrInfinity('clock'),
    received: reader.u64OrInfinity('received'),
    consumed: reader.u64('consumed'),
    supplier: readMember(reader, 'supplier'),
  }
}

function isSubset(part: readonly MemberId[], whole: readonly MemberId[]): boolean {
  const known = new Set(whole)
  return part.every(member => known.has(member))
}

export function readBare(
  reader: Reader,
  ids: ConfigurationIdReader,
  kind: 'recovered' | 'install',
): RecoveredFrame | InstallFrame {
  return { kind, configuration: ids.read(reader, 'configuration') }
}
