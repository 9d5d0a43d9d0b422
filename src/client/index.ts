/** The client library of Anasazi: sessions, groups, messages in one order, and the fate of each. */

export type {
  Batches,
  Events,
  Group,
  GroupSummary,
  JoinOptions,
  MessageData,
  MessageFate,
  Progress,
  Receipt,
  SendOptions,
  Session,
  SessionOptions,
  SharedHandle,
  ShareOptions,
} from './api.ts'
export type { BatchPart, EventBatch } from './batch.ts'
export type { LookAtMessage, MessageRun } from './run.ts'
export { connect } from './connect.ts'
export { attach, shareCounters } from './share.ts'
export type {
  MessageEvent,
  ReconnectedEvent,
  SessionEvent,
  TransitionalEvent,
  ViewEvent,
  WarningEvent,
} from './events.ts'
export type { Position } from './position.ts'
export type { CallbackFailure } from '../lib/callbacks.ts'
export type { ErrorCode } from '../lib/errors.ts'
export { AnasaziError, ERRORS } from '../lib/errors.ts'
