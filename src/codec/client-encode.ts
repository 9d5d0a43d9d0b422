/** Frames of the client protocol → bytes, both directions. */

import type { Service } from '../core/types.ts'
import type { SessionId, ViewId } from '../groups/types.ts'
import { FieldWriter } from './client-bytes.ts'
import type {
  ClientFrame,
  ClientPlace,
  DaemonFrame,
  MessagesFrame,
  SegmentDestination,
  SegmentFrame,
  ViewFrame,
  WelcomeFrame,
} from './client.ts'
import {
  BULK_PREFIX_BYTES,
  CAUSES,
  CLIENT_KINDS,
  CLIENT_MAGIC,
  DAEMON_KINDS,
  MESSAGES_HEAD_BYTES,
  MESSAGES_HEADER_BYTES,
  QUERY_SUBJECTS,
  SERVICES,
} from './client.ts'

/** Frames without a payload. */
export type ClientControlFrame = Exclude<ClientFrame, SegmentFrame>
export type DaemonControlFrame = Exclude<DaemonFrame, MessagesFrame>

function begin(kind: number, capacity?: number): FieldWriter {
  return new FieldWriter(capacity).u32(0).u8(kind)
}

function end(writer: FieldWriter): Uint8Array {
  writer.setU32(0, writer.size - 4)
  return writer.finish()
}

function writePlace(writer: FieldWriter, place: ClientPlace): FieldWriter {
  return writer.count(place.epoch).count(place.ts).u32(place.rank).u32(place.index)
}

function flagsOf(service: Service, selfDiscard: boolean, trace: boolean): number {
  return SERVICES.indexOf(service) | (selfDiscard ? 4 : 0) | (trace ? 8 : 0)
}

/** @throws RangeError if a text exceeds 65,535 bytes. */
export function encodeClientFrame(frame: ClientControlFrame): Uint8Array {
  const writer = begin(CLIENT_KINDS[frame.kind])
  switch (frame.kind) {
    case 'hello':
      writer.u32(CLIENT_MAGIC).u16(frame.lowest).u16(frame.highest).u32(frame.features)
      writer
        .u8(frame.trace ? 1 : 0)
        .text(frame.cluster)
        .text(frame.auth)
        .text(frame.cell)
        .text(frame.name)
      break
    case 'join':
    case 'leave':
      writer.u32(frame.request).text(frame.group)
      break
    case 'acknowledge':
      writer.count(frame.bytes)
      break
    case 'fate':
      writePlace(writer.u32(frame.request).text(frame.group), frame.place)
      break
    case 'query':
      writer.u32(frame.request).u8(QUERY_SUBJECTS.indexOf(frame.what)).text(frame.group)
      break
    case 'close':
      break
  }
  return end(writer)
}

/** The part of a segment's header that is the same for all segments with this destination. */
export function encodeDestination(destination: SegmentDestination): Uint8Array {
  const writer = new FieldWriter()
  if (destination.to === 'groups') writer.u8(0).texts(destination.groups)
  else writer.u8(1).text(destination.member)
  return writer.finish()
}

/** Everything of a segment frame before its payload of `payloadBytes`. */
export function encodeSegmentHead(
  destination: Uint8Array,
  service: Service,
  selfDiscard: boolean,
  trace: boolean,
  firstSequence: number,
  count: number,
  payloadBytes: number,
): Uint8Array {
  const headerBytes = 13 + destination.length
  const writer = new FieldWriter(BULK_PREFIX_BYTES + headerBytes)
  writer
    .u32(1 + 2 + headerBytes + payloadBytes)
    .u8(CLIENT_KINDS.segment)
    .u16(headerBytes)
  writer
    .u8(flagsOf(service, selfDiscard, trace))
    .count(firstSequence)
    .u32(count)
    .raw(destination)
  return writer.finish()
}

/** Everything of a `messages` frame before its payload: the same bytes for every receiver. */
export function encodeMessagesHead(
  groupId: number,
  sender: number,
  place: ClientPlace,
  firstSequence: number,
  count: number,
  service: Service,
  selfDiscard: boolean,
  trace: boolean,
  payloadBytes: number,
): Uint8Array {
  const bytes = new Uint8Array(MESSAGES_HEAD_BYTES)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, 1 + 2 + MESSAGES_HEADER_BYTES + payloadBytes, true)
  view.setUint8(4, DAEMON_KINDS.messages)
  view.setUint16(5, MESSAGES_HEADER_BYTES, true)
  view.setUint8(7, flagsOf(service, selfDiscard, trace))
  view.setUint32(8, groupId, true)
  view.setUint32(12, sender, true)
  view.setFloat64(16, place.epoch, true)
  view.setFloat64(24, place.ts, true)
  view.setUint32(32, place.rank, true)
  view.setUint32(36, place.index, true)
  view.setFloat64(40, firstSequence, true)
  view.setUint32(48, count, true)
  return bytes
}

/** @throws RangeError if a text exceeds 65,535 bytes. */
export function encodeDaemonFrame(frame: DaemonControlFrame): Uint8Array {
  const writer = begin(DAEMON_KINDS[frame.kind])
  switch (frame.kind) {
    case 'welcome':
      writeWelcome(writer, frame)
      break
    case 'refused':
    case 'closing':
      writer.text(frame.code).text(frame.words)
      break
    case 'joined':
      writer.u32(frame.request).u32(frame.groupId).text(frame.group)
      break
    case 'left':
      writer.u32(frame.request).u32(frame.groupId)
      break
    case 'view':
      writeView(writer, frame)
      break
    case 'transitional':
      writer.u32(frame.groupId).text(frame.view)
      break
    case 'define':
      writer.u32(frame.ref).text(frame.sender)
      break
    case 'own':
      writePlace(writer.count(frame.firstSequence).u32(frame.count), frame.place)
      writeViews(writer, frame.views)
      break
    case 'settled':
      writePlace(writer, frame.place)
      break
    case 'fateAnswer':
      writer
        .u32(frame.request)
        .u8(frame.settled ? 1 : 0)
        .text(frame.view)
      writer.texts(frame.received).texts(frame.unknown)
      break
    case 'answer':
      writer.u32(frame.request).longText(frame.json)
      break
    case 'error':
      writer
        .u32(frame.request)
        .text(frame.code)
        .text(frame.message)
        .u8(frame.retryable ? 1 : 0)
      break
    case 'warning':
      writer.text(frame.code).text(frame.message)
      break
  }
  return end(writer)
}

function writeWelcome(writer: FieldWriter, frame: WelcomeFrame): void {
  writer.u16(frame.version).u32(frame.features).count(frame.number)
  writer.text(frame.session).text(frame.daemon).text(frame.cluster).text(frame.cell)
  const limits = frame.limits
  writer.u32(limits.maxMessageBytes).u32(limits.maxGroupNameBytes)
  writer.u32(limits.maxGroupsPerSession).u32(limits.maxDestinationGroups).u32(limits.maxInFlightBytes)
  writer.u32(frame.cells.length)
  for (const cell of frame.cells) writer.text(cell.name).texts(cell.patterns).texts(cell.endpoints)
}

function writeView(writer: FieldWriter, frame: ViewFrame): void {
  const flags = (frame.full ? 1 : 0) | (frame.previous === null ? 0 : 2) | (frame.place === null ? 0 : 4)
  writer.u32(frame.groupId).u8(flags).u8(CAUSES.indexOf(frame.cause)).text(frame.view)
  if (frame.previous !== null) writer.text(frame.previous)
  if (frame.place !== null) writePlace(writer, frame.place)
  writer.texts(frame.joined).texts(frame.left)
  writer.u32(frame.origins.length)
  for (const origin of frame.origins) writeOrigin(writer, origin.view, origin.members)
}

function writeOrigin(writer: FieldWriter, view: ViewId | null, members: readonly SessionId[]): void {
  writer.text(view ?? '').texts(members)
}

function writeViews(
  writer: FieldWriter,
  views: readonly { readonly group: string; readonly view: ViewId }[],
): void {
  writer.u32(views.length)
  for (const { group, view } of views) writer.text(group).text(view)
}
