/** Segment headers: what a data frame carries for the core and for the group layer. Payloads stay outside. */

import type { MemberId, Place, Segment, Service } from '../core/types.ts'
import type {
  Destination,
  DigestHead,
  DisconnectHead,
  GroupState,
  MessagesHead,
  SegmentHead,
  StateHead,
} from '../groups/types.ts'
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
import { copyOf, sameBytes } from './text.ts'
import type { Writer } from './writer.ts'

/** [u8 flags][u32 payload][u32 counted bytes]: a header without a head. */
export const LEAST_SEGMENT_BYTES = 9

const SAFE = 1
const MORE = 2
const HEAD = 4
/** A trace was asked for; known without looking into the head. */
const TRACE = 8

const SERVICES: readonly Service[] = ['fifo', 'causal', 'agreed', 'safe']
const SERVICE_BITS = 3
const SELF_DISCARD = 4
const PRIVATE = 8

const HEAD_KINDS = ['messages', 'open', 'join', 'leave', 'disconnect', 'digest', 'groupState'] as const
const REASONS: readonly DisconnectHead['reason'][] = ['closed', 'lost', 'evicted']

/** Writes the header of one segment; its payload of `payload` bytes goes behind all headers of the frame. */
export function writeSegment(
  writer: Writer,
  configurations: ConfigurationIdWriter,
  segment: Segment,
  payload: number,
): void {
  const head = segment.head as SegmentHead | null
  const trace = head !== null && head.kind === 'messages' && head.trace
  writer.u8(
    (segment.safe ? SAFE : 0) | (segment.more ? MORE : 0) | (head !== null ? HEAD : 0) | (trace ? TRACE : 0),
    'segment flags',
  )
  writer.u32(payload, 'segment payload')
  writer.u32(segment.bytes, 'segment bytes')
  if (head !== null) writeHead(writer, configurations, head)
}

function writeHead(writer: Writer, configurations: ConfigurationIdWriter, head: SegmentHead): void {
  writer.choice(HEAD_KINDS, head.kind, 'kind of head')
  switch (head.kind) {
    case 'messages':
      return writeMessages(writer, head)
    case 'open':
      writer.u32(head.session, 'session')
      return writer.text8(head.name, 'session name')
    case 'join':
    case 'leave':
      writer.u32(head.session, 'session')
      return writer.text8(head.group, 'group')
    case 'disconnect':
      writer.u32(head.session, 'session')
      writer.choice(REASONS, head.reason, 'reason')
      writer.u64(head.acknowledged.epoch, 'acknowledged epoch')
      return writer.u64(head.acknowledged.ts, 'acknowledged ts')
    case 'digest':
      return writeDigest(writer, configurations, head)
    case 'groupState':
      return writeState(writer, head)
  }
}

function writeMessages(writer: Writer, head: MessagesHead): void {
  const { destination } = head
  writer.u8(
    SERVICES.indexOf(head.service) |
      (head.selfDiscard ? SELF_DISCARD : 0) |
      (destination.to === 'member' ? PRIVATE : 0),
    'message options',
  )
  writer.u32(head.session, 'session')
  writer.u64(head.firstSequence, 'first sequence')
  writer.u32(head.count, 'message count')
  if (destination.to === 'member') {
    writeMember(writer, destination.daemon)
    writer.u32(destination.session, 'destination session')
    return
  }
  writer.u16(destination.groups.length, 'number of groups')
  for (const group of destination.groups) writer.text8(group, 'group')
}

function writeDigest(writer: Writer, configurations: ConfigurationIdWriter, head: DigestHead): void {
  writer.text8(head.configuration, 'configuration key')
  writer.flag(head.lastShown !== null)
  if (head.lastShown !== null) configurations.write(writer, head.lastShown)
  writeMembers(writer, head.along, 'companions')
  writer.u64(head.version, 'version')
  writer.u16(head.remembered.length, 'number of remembered daemons')
  for (const { daemon, version } of head.remembered) {
    writeMember(writer, daemon)
    writer.u64(version, 'remembered version')
  }
}

function writeState(writer: Writer, head: StateHead): void {
  writer.text8(head.configuration, 'configuration key')
  writer.flag(head.full)
  writer.u32(head.sessions.length, 'number of sessions')
  for (const { session, name } of head.sessions) {
    writer.u32(session, 'session')
    writer.text8(name, 'session name')
  }
  writer.u32(head.scopes.length, 'number of scopes')
  for (const scope of head.scopes) writer.text16(scope, MAX_SCOPE_BYTES, 'scope')
  writer.u32(head.groups.length, 'number of groups')
  for (const group of head.groups) {
    writer.text8(group.group, 'group')
    writer.u32(group.scope, 'scope')
    writer.u64(group.index, 'view index')
    writer.flag(group.whole)
    writer.u32(group.members.length, 'number of members')
    for (const { session, joined } of group.members) {
      writer.u32(session, 'session')
      writePlace(writer, joined)
    }
  }
  writer.flag(head.last)
}

function writePlace(writer: Writer, place: Place): void {
  writer.u64(place.epoch, 'epoch')
  writer.u64(place.ts, 'ts')
  writer.u16(place.rank, 'rank')
  writer.u32(place.index, 'index')
}

/** [u64][u64][u16][u32]. */
const PLACE_BYTES = 22
/** A configuration key and a bitmap over its members; for 1024 members that is 256 digits. */
const MAX_SCOPE_BYTES = 1024
/** [u8][1 byte at least][u32 scope][u64 index][u8 whole][u32 count]. */
const LEAST_GROUP_BYTES = 19

/** A segment header as read; `payload` bytes of the frame's payload belong to it. */
export interface SegmentHeader {
  readonly safe: boolean
  readonly more: boolean
  readonly head: SegmentHead | null
  readonly bytes: number
  readonly payload: number
}

/** Reads segment headers. A destination whose bytes equal the last one's is the same object again. */
export class SegmentReader {
  readonly #configurations: ConfigurationIdReader
  #destinationBytes: Uint8Array = new Uint8Array(0)
  #destination: Destination | null = null

  constructor(configurations: ConfigurationIdReader) {
    this.#configurations = configurations
  }

  read(reader: Reader): SegmentHeader {
    const at = reader.at
    const flags = reader.u8('segment flags')
    const payload = reader.u32('segment payload')
    const bytes = reader.u32('segment bytes')
    if (flags > (SAFE | MORE | HEAD | TRACE)) {
      throw new CodecError('value', `unknown segment flags 0x${flags.toString(16)}`, at)
    }
    if (((flags & HEAD) === 0) !== ((flags & MORE) !== 0)) {
      throw new CodecError('value', 'a segment has either a head or more to come', at)
    }
    const head = (flags & HEAD) === 0 ? null : this.#readHead(reader, (flags & TRACE) !== 0)
    if ((flags & TRACE) !== 0 && head?.kind !== 'messages') {
      throw new CodecError('value', 'only messages are traced', at)
    }
    return { safe: (flags & SAFE) !== 0, more: (flags & MORE) !== 0, head, bytes, payload }
  }

  #readHead(reader: Reader, trace: boolean): SegmentHead {
    const kind = reader.choice(HEAD_KINDS, 'kind of head')
    switch (kind) {
      case 'messages':
        return this.#readMessages(reader, trace)
      case 'open':
        return { kind, session: reader.u32('session'), name: reader.text8(1, 'session name') }
      case 'join':
      case 'leave':
        return { kind, session: reader.u32('session'), group: reader.text8(1, 'group') }
      case 'disconnect':
        return {
          kind,
          session: reader.u32('session'),
          reason: reader.choice(REASONS, 'reason'),
          acknowledged: { epoch: reader.u64('acknowledged epoch'), ts: reader.u64('acknowledged ts') },
        }
      case 'digest':
        return this.#readDigest(reader)
      case 'groupState':
        return readState(reader)
    }
  }

  #readMessages(reader: Reader, trace: boolean): MessagesHead {
    const at = reader.at
    const options = reader.u8('message options')
    if (options > (SERVICE_BITS | SELF_DISCARD | PRIVATE)) {
      throw new CodecError('value', `unknown message options 0x${options.toString(16)}`, at)
    }
    const session = reader.u32('session')
    const firstSequence = reader.u64('first sequence')
    const count = reader.u32('message count')
    return {
      kind: 'messages',
      session,
      destination: (options & PRIVATE) !== 0 ? readPrivate(reader) : this.#readGroups(reader),
      service: SERVICES[options & SERVICE_BITS] as Service,
      selfDiscard: (options & SELF_DISCARD) !== 0,
      trace,
      firstSequence,
      count,
    }
  }

  #readGroups(reader: Reader): Destination {
    const from = reader.at
    const known = this.#destinationBytes
    const to = from + known.length
    if (
      this.#destination !== null &&
      known.length <= reader.remaining &&
      sameBytes(known, reader.bytes, from, to)
    ) {
      reader.skip(known.length, 'destination')
      return this.#destination
    }
    const count = reader.count16(2, 'number of groups')
    const groups: string[] = []
    for (let i = 0; i < count; i++) groups.push(reader.text8(1, 'group'))
    const destination: Destination = { to: 'groups', groups }
    this.#destinationBytes = copyOf(reader.bytes, from, reader.at)
    this.#destination = destination
    return destination
  }

  #readDigest(reader: Reader): DigestHead {
    const configuration = reader.text8(1, 'configuration key')
    const lastShown = reader.flag('last shown') ? this.#configurations.read(reader, 'last shown') : null
    const along = readMembers(reader, 1, 'companions')
    const version = reader.u64('version')
    const remembered: DigestHead['remembered'][number][] = []
    for (let i = reader.count16(LEAST_MEMBER_BYTES + 8, 'number of remembered daemons'); i > 0; i--) {
      const daemon = readMember(reader, 'remembered daemon')
      remembered.push({ daemon, version: reader.u64('remembered version') })
    }
    return { kind: 'digest', configuration, lastShown, along, version, remembered }
  }
}

function readPrivate(reader: Reader): Destination {
  const daemon: MemberId = readMember(reader, 'destination')
  return { to: 'member', daemon, session: reader.u32('destination session') }
}

function readState(reader: Reader): StateHead {
  const configuration = reader.text8(1, 'configuration key')
  const full = reader.flag('full')
  const sessions: { session: number; name: string }[] = []
  for (let i = reader.count32(6, 'number of sessions'); i > 0; i--) {
    const session = reader.u32('session')
    sessions.push({ session, name: reader.text8(1, 'session name') })
  }
  const scopes: string[] = []
  for (let i = reader.count32(2, 'number of scopes'); i > 0; i--) {
    scopes.push(reader.text16(MAX_SCOPE_BYTES, 'scope'))
  }
  const groups: GroupState[] = []
  for (let i = reader.count32(LEAST_GROUP_BYTES, 'number of groups'); i > 0; i--) {
    groups.push(readGroupState(reader, scopes.length))
  }
  return { kind: 'groupState', configuration, full, sessions, scopes, groups, last: reader.flag('last part') }
}

/** `scopes`: how many there are to refer to. */
function readGroupState(reader: Reader, scopes: number): GroupState {
  const group = reader.text8(1, 'group')
  const at = reader.at
  const scope = reader.u32('scope')
  if (scope >= scopes) throw new CodecError('value', `scope ${scope} of ${scopes}`, at)
  const index = reader.u64('view index')
  const whole = reader.flag('whole')
  const members: { session: number; joined: Place }[] = []
  for (let i = reader.count32(4 + PLACE_BYTES, 'number of members'); i > 0; i--) {
    const session = reader.u32('session')
    members.push({ session, joined: readPlace(reader) })
  }
  return { group, scope, index, whole, members }
}

function readPlace(reader: Reader): Place {
  return {
    epoch: reader.u64('epoch'),
    ts: reader.u64('ts'),
    rank: reader.u16('rank'),
    index: reader.u32('index'),
  }
}
