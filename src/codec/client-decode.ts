/** Bytes → frames of the client protocol, one decoder a direction. Input is never trusted. */

import { ClientProtocolError, FieldReader, MAX_COUNT } from './client-bytes.ts'
import type {
  ClientFrame,
  ClientPlace,
  DaemonFrame,
  SegmentDestination,
  ViewFrame,
  ViewOrigin,
  WelcomeFrame,
} from './client.ts'
import {
  CAUSES,
  CLIENT_KINDS,
  CLIENT_MAGIC,
  DAEMON_KINDS,
  FIELD_LIMITS,
  MESSAGES_HEADER_BYTES,
  QUERY_SUBJECTS,
  SERVICES,
} from './client.ts'
import type { FrameShapes, StreamLimits } from './client-splitter.ts'
import { FrameSplitter } from './client-splitter.ts'

const IDENTIFIER = FIELD_LIMITS.identifierBytes

/** Until the handshake is done a daemon reads no more than this. */
export const HANDSHAKE_STREAM_LIMITS: StreamLimits = { maxControlBytes: 16 << 10, maxPayloadBytes: 0 }

/** What a daemon reads from a welcomed client whose longest message has `maxMessageBytes`. */
export function clientStreamLimits(maxMessageBytes: number): StreamLimits {
  return { maxControlBytes: 64 << 10, maxPayloadBytes: maxMessageBytes + 4 }
}

/** What a client reads from its daemon: it trusts it with large views, not with everything. */
export function daemonStreamLimits(maxMessageBytes: number): StreamLimits {
  return { maxControlBytes: 96 << 20, maxPayloadBytes: maxMessageBytes + 4 }
}

/** Decodes what a client sends. `push` throws `ClientProtocolError` on malformed input. */
export function createClientFrameDecoder(limits: StreamLimits): FrameSplitter<ClientFrame> {
  return new FrameSplitter(CLIENT_SHAPES, limits)
}

/** Decodes what a daemon sends. `push` throws `ClientProtocolError` on malformed input. */
export function createDaemonFrameDecoder(limits: StreamLimits): FrameSplitter<DaemonFrame> {
  return new FrameSplitter(DAEMON_SHAPES, limits)
}

function readPlace(reader: FieldReader): ClientPlace {
  const epoch = reader.count('epoch')
  const ts = reader.count('ts')
  return { epoch, ts, rank: reader.u32('rank'), index: reader.u32('index') }
}

function readGroup(reader: FieldReader): string {
  const group = reader.text('group', FIELD_LIMITS.groupNameBytes)
  if (group === '') reader.fail("field 'group' is empty")
  return group
}

function readFlag(reader: FieldReader, field: string): boolean {
  const value = reader.u8(field)
  if (value > 1) reader.fail(`field '${field}' must be 0 or 1, got ${value}`)
  return value === 1
}

function readChoice<T>(reader: FieldReader, field: string, choices: readonly T[]): T {
  const value = reader.u8(field)
  const choice = choices[value]
  if (choice === undefined) return reader.fail(`field '${field}' has no choice ${value}`)
  return choice
}

function nameOf(kinds: Readonly<Record<string, number>>, kind: number): string {
  for (const name in kinds) if (kinds[name] === kind) return name
  return String(kind)
}

/** The run must be able to hold `count` lengths, so that nobody loops over a count that is a lie. */
function checkRun(reader: FieldReader, flags: number, first: number, count: number, bytes: number): void {
  if (flags > 15) reader.fail(`unknown flags ${flags}`)
  if (count < 1) reader.fail('a run of no messages')
  if (first < 1) reader.fail('sequences begin at 1')
  if (count * 4 > bytes) reader.fail(`${count} messages do not fit in ${bytes} bytes`)
}

const CLIENT_SHAPES: FrameShapes<ClientFrame> = {
  direction: 'from client',

  shapeOf(kind) {
    if (kind === CLIENT_KINDS.segment) return 'bulk'
    return kind >= CLIENT_KINDS.hello && kind <= CLIENT_KINDS.close ? 'control' : false
  },

  control(kind, bytes, _view, start, end) {
    const reader = new FieldReader(bytes, start, end, nameOf(CLIENT_KINDS, kind))
    const frame = readClientControl(kind, reader)
    reader.done()
    return frame
  },

  bulk(_kind, bytes, _view, start, end, payload, payloadBytes) {
    const reader = new FieldReader(bytes, start, end, 'segment')
    const flags = reader.u8('flags')
    const firstSequence = reader.count('first sequence')
    const count = reader.u32('count')
    const destination = readDestination(reader)
    reader.done()
    checkRun(reader, flags, firstSequence, count, payloadBytes)
    return {
      kind: 'segment',
      destination,
      service: SERVICES[flags & 3]!,
      selfDiscard: (flags & 4) !== 0,
      trace: (flags & 8) !== 0,
      firstSequence,
      count,
      body: payload,
      bytes: payloadBytes,
    }
  },
}

function readClientControl(kind: number, reader: FieldReader): ClientFrame {
  switch (kind) {
    case CLIENT_KINDS.hello:
      return readHello(reader)
    case CLIENT_KINDS.join:
    case CLIENT_KINDS.leave: {
      const request = reader.u32('request')
      return { kind: kind === CLIENT_KINDS.join ? 'join' : 'leave', request, group: readGroup(reader) }
    }
    case CLIENT_KINDS.acknowledge:
      return { kind: 'acknowledge', bytes: reader.count('bytes') }
    case CLIENT_KINDS.fate: {
      const request = reader.u32('request')
      const group = reader.text('group', FIELD_LIMITS.groupNameBytes)
      return { kind: 'fate', request, group, place: readPlace(reader) }
    }
    case CLIENT_KINDS.query: {
      const request = reader.u32('request')
      const what = readChoice(reader, 'what', QUERY_SUBJECTS)
      return { kind: 'query', request, what, group: reader.text('group', FIELD_LIMITS.groupNameBytes) }
    }
    case CLIENT_KINDS.close:
      return { kind: 'close' }
    default:
      return reader.fail('unknown kind')
  }
}

function readHello(reader: FieldReader): ClientFrame {
  const magic = reader.u32('magic')
  if (magic !== CLIENT_MAGIC) {
    throw new ClientProtocolError('hello: wrong magic; this is not an Anasazi client of any version')
  }
  const lowest = reader.u16('lowest version')
  const highest = reader.u16('highest version')
  const features = reader.u32('features')
  const trace = readFlag(reader, 'trace')
  const cluster = reader.text('cluster', IDENTIFIER)
  const auth = reader.text('auth', FIELD_LIMITS.codeBytes)
  const cell = reader.text('cell', IDENTIFIER)
  const name = reader.text('name', IDENTIFIER)
  return { kind: 'hello', lowest, highest, features, cluster, auth, cell, name, trace }
}

function readDestination(reader: FieldReader): SegmentDestination {
  const tag = reader.u8('destination')
  if (tag === 1) return { to: 'member', member: reader.text('member', IDENTIFIER) }
  if (tag !== 0) return reader.fail(`field 'destination' has no choice ${tag}`)
  const count = reader.elements('groups', 3, FIELD_LIMITS.destinationGroups)
  if (count < 1) reader.fail('a destination without groups')
  const groups: string[] = []
  for (let i = 0; i < count; i++) groups.push(readGroup(reader))
  return { to: 'groups', groups }
}

const DAEMON_SHAPES: FrameShapes<DaemonFrame> = {
  direction: 'from daemon',

  shapeOf(kind) {
    if (kind === DAEMON_KINDS.messages) return 'bulk'
    return kind >= DAEMON_KINDS.welcome && kind <= DAEMON_KINDS.closing ? 'control' : false
  },

  control(kind, bytes, _view, start, end) {
    const reader = new FieldReader(bytes, start, end, nameOf(DAEMON_KINDS, kind))
    const frame = readDaemonControl(kind, reader)
    reader.done()
    return frame
  },

  bulk(_kind, _bytes, view, start, end, payload, payloadBytes) {
    if (end - start !== MESSAGES_HEADER_BYTES) {
      throw new ClientProtocolError(`messages: a header of ${end - start} bytes`)
    }
    return readMessages(view, start, payload, payloadBytes)
  },
}

/** Reads fixed offsets: one frame a segment, the only frame of the hot path. */
function readMessages(
  view: DataView,
  start: number,
  payload: Uint8Array[],
  payloadBytes: number,
): DaemonFrame {
  const flags = view.getUint8(start)
  const epoch = view.getFloat64(start + 9, true)
  const ts = view.getFloat64(start + 17, true)
  const firstSequence = view.getFloat64(start + 33, true)
  const count = view.getUint32(start + 41, true)
  if (!isCount(epoch) || !isCount(ts) || !isCount(firstSequence)) {
    throw new ClientProtocolError('messages: a field is not an integer below 2^53')
  }
  if (flags > 15 || count < 1 || firstSequence < 1 || count * 4 > payloadBytes) {
    throw new ClientProtocolError(
      `messages: impossible header (flags ${flags}, ${count} messages in ${payloadBytes} bytes)`,
    )
  }
  return {
    kind: 'messages',
    groupId: view.getUint32(start + 1, true),
    sender: view.getUint32(start + 5, true),
    place: {
      epoch,
      ts,
      rank: view.getUint32(start + 25, true),
      index: view.getUint32(start + 29, true),
    },
    firstSequence,
    count,
    service: SERVICES[flags & 3]!,
    selfDiscard: (flags & 4) !== 0,
    trace: (flags & 8) !== 0,
    body: payload,
    bytes: payloadBytes,
  }
}

function isCount(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= MAX_COUNT
}

function readDaemonControl(kind: number, reader: FieldReader): DaemonFrame {
  switch (kind) {
    case DAEMON_KINDS.welcome:
      return readWelcome(reader)
    case DAEMON_KINDS.refused:
    case DAEMON_KINDS.closing: {
      const code = reader.text('code', FIELD_LIMITS.codeBytes)
      const words = reader.text('words', FIELD_LIMITS.wordsBytes)
      return { kind: kind === DAEMON_KINDS.refused ? 'refused' : 'closing', code, words }
    }
    case DAEMON_KINDS.joined: {
      const request = reader.u32('request')
      const groupId = readGroupId(reader)
      return { kind: 'joined', request, groupId, group: readGroup(reader) }
    }
    case DAEMON_KINDS.left: {
      const request = reader.u32('request')
      return { kind: 'left', request, groupId: readGroupId(reader) }
    }
    case DAEMON_KINDS.view:
      return readView(reader)
    case DAEMON_KINDS.transitional: {
      const groupId = readGroupId(reader)
      return { kind: 'transitional', groupId, view: reader.text('view', IDENTIFIER) }
    }
    case DAEMON_KINDS.define: {
      const ref = reader.u32('ref')
      return { kind: 'define', ref, sender: reader.text('sender', IDENTIFIER) }
    }
    default:
      return readDaemonAnswer(kind, reader)
  }
}

function readDaemonAnswer(kind: number, reader: FieldReader): DaemonFrame {
  switch (kind) {
    case DAEMON_KINDS.own:
      return readOwn(reader)
    case DAEMON_KINDS.settled:
      return { kind: 'settled', place: readPlace(reader) }
    case DAEMON_KINDS.fateAnswer: {
      const request = reader.u32('request')
      const settled = readFlag(reader, 'settled')
      const view = reader.text('view', IDENTIFIER)
      const received = reader.texts('received', IDENTIFIER, FIELD_LIMITS.members)
      const unknown = reader.texts('unknown', IDENTIFIER, FIELD_LIMITS.members)
      return { kind: 'fateAnswer', request, settled, view, received, unknown }
    }
    case DAEMON_KINDS.answer: {
      const request = reader.u32('request')
      return { kind: 'answer', request, json: reader.longText('json', FIELD_LIMITS.jsonBytes) }
    }
    case DAEMON_KINDS.error: {
      const request = reader.u32('request')
      const code = reader.text('code', FIELD_LIMITS.codeBytes)
      const message = reader.text('message', FIELD_LIMITS.wordsBytes)
      return { kind: 'error', request, code, message, retryable: readFlag(reader, 'retryable') }
    }
    case DAEMON_KINDS.warning: {
      const code = reader.text('code', FIELD_LIMITS.codeBytes)
      return { kind: 'warning', code, message: reader.text('message', FIELD_LIMITS.wordsBytes) }
    }
    default:
      return reader.fail('unknown kind')
  }
}

function readGroupId(reader: FieldReader): number {
  const groupId = reader.u32('group id')
  if (groupId === 0) reader.fail("field 'group id' is 0")
  return groupId
}

function readWelcome(reader: FieldReader): WelcomeFrame {
  const version = reader.u16('version')
  const features = reader.u32('features')
  const number = reader.count('number')
  const session = reader.text('session', IDENTIFIER)
  const daemon = reader.text('daemon', IDENTIFIER)
  const cluster = reader.text('cluster', IDENTIFIER)
  const cell = reader.text('cell', IDENTIFIER)
  const limits = {
    maxMessageBytes: reader.u32('max message bytes'),
    maxGroupNameBytes: reader.u32('max group name bytes'),
    maxGroupsPerSession: reader.u32('max groups per session'),
    maxDestinationGroups: reader.u32('max destination groups'),
    maxInFlightBytes: reader.u32('max in flight bytes'),
  }
  const count = reader.elements('cells', 10, FIELD_LIMITS.cells)
  const cells = []
  for (let i = 0; i < count; i++) {
    cells.push({
      name: reader.text('cell name', IDENTIFIER),
      patterns: reader.texts('patterns', IDENTIFIER, FIELD_LIMITS.cells),
      endpoints: reader.texts('endpoints', IDENTIFIER, FIELD_LIMITS.cells),
    })
  }
  return { kind: 'welcome', version, features, number, session, daemon, cluster, cell, limits, cells }
}

function readView(reader: FieldReader): ViewFrame {
  const groupId = readGroupId(reader)
  const flags = reader.u8('flags')
  if (flags > 7) reader.fail(`unknown flags ${flags}`)
  const cause = readChoice(reader, 'cause', CAUSES)
  const view = reader.text('view', IDENTIFIER)
  const previous = (flags & 2) === 0 ? null : reader.text('previous', IDENTIFIER)
  const place = (flags & 4) === 0 ? null : readPlace(reader)
  const joined = reader.texts('joined', IDENTIFIER, FIELD_LIMITS.members)
  const left = reader.texts('left', IDENTIFIER, FIELD_LIMITS.members)
  const count = reader.elements('origins', 6, FIELD_LIMITS.members)
  const origins: ViewOrigin[] = []
  for (let i = 0; i < count; i++) {
    const from = reader.text('origin', IDENTIFIER)
    const members = reader.texts('origin members', IDENTIFIER, FIELD_LIMITS.members)
    origins.push({ view: from === '' ? null : from, members })
  }
  const full = (flags & 1) !== 0
  return { kind: 'view', groupId, full, view, previous, cause, joined, left, origins, place }
}

function readOwn(reader: FieldReader): DaemonFrame {
  const firstSequence = reader.count('first sequence')
  const count = reader.u32('count')
  const place = readPlace(reader)
  const length = reader.elements('views', 4, FIELD_LIMITS.destinationGroups)
  const views = []
  for (let i = 0; i < length; i++) {
    views.push({ group: readGroup(reader), view: reader.text('view', IDENTIFIER) })
  }
  return { kind: 'own', firstSequence, count, place, views }
}
