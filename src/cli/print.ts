/** Events of a session as lines: aligned for people, or one JSON object a line. */

import type { MessageEvent, SessionEvent, ViewEvent } from '../client/events.ts'
import { counted, printable, shortId } from './style.ts'
import type { Paint } from './style.ts'

export type Printer = (event: SessionEvent) => string

// A byte order mark is part of the text: what is printed must be what was sent.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The payload as text, or null if it is not UTF-8. */
export function textOf(data: Uint8Array): string | null {
  try {
    return utf8.decode(data)
  } catch {
    return null
  }
}

/** One JSON object a line; the payload is in `data` if it is UTF-8, otherwise in `dataBase64`. */
export function jsonPrinter(): Printer {
  return event => `${JSON.stringify(jsonEvent(event))}\n`
}

/** The shape of a line of `join --json`. */
export function jsonEvent(event: SessionEvent): Record<string, unknown> {
  switch (event.type) {
    case 'message': {
      const { data } = event
      const text = textOf(data)
      return {
        type: 'message',
        group: event.group,
        id: event.id,
        sender: event.sender,
        view: event.view,
        position: event.position,
        service: event.service,
        ...(text === null ? { dataBase64: base64(data) } : { data: text }),
      }
    }
    case 'view':
      return {
        type: 'view',
        group: event.group,
        view: event.view,
        previous: event.previous,
        cause: event.cause,
        members: event.members,
        joined: event.joined,
        left: event.left,
        origins: event.origins,
      }
    case 'transitional':
      return { type: 'transitional', group: event.group, view: event.view }
    case 'warning':
      return { type: 'warning', code: event.code, message: event.message, group: event.group }
    case 'reconnected':
      return { type: 'reconnected', cell: event.cell, previous: event.previous, session: event.session }
  }
}

const KIND_WIDTH = 12

/** Lines for people. With several groups the group is a column of its own. */
export function humanPrinter(paint: Paint, groups: readonly string[]): Printer {
  const several = groups.length > 1
  let groupWidth = Math.max(...groups.map(group => printable(group).length), '(private)'.length)
  let senderWidth = 0
  const line = (kind: string, group: string | null, text: string): string => {
    if (!several) return `${kind}  ${text}\n`
    const shown = group === null ? '(private)' : printable(group)
    groupWidth = Math.max(groupWidth, shown.length)
    return `${kind}  ${shown.padEnd(groupWidth)}  ${text}\n`
  }
  return event => {
    switch (event.type) {
      case 'message': {
        const sender = shortId(event.sender)
        senderWidth = Math.max(senderWidth, sender.length)
        const mark = event.group === null && !several ? ' (private)' : ''
        const kind = `message${mark}`.padEnd(KIND_WIDTH)
        return line(
          kind,
          event.group,
          `${paint('cyan', sender.padEnd(senderWidth))}  ${payloadText(event, paint)}`,
        )
      }
      case 'view':
        return line(paint('green', 'view'.padEnd(KIND_WIDTH)), event.group, viewText(event))
      case 'transitional':
        return line(
          paint('yellow', 'transitional'.padEnd(KIND_WIDTH)),
          event.group,
          'a change caused by the network follows',
        )
      case 'warning':
        return line(
          paint('yellow', 'warning'.padEnd(KIND_WIDTH)),
          event.group,
          `${printable(event.code)}: ${printable(event.message)}`,
        )
      case 'reconnected':
        return line(paint('yellow', 'reconnected'.padEnd(KIND_WIDTH)), null, `now ${shortId(event.session)}`)
    }
  }
}

function payloadText(event: MessageEvent, paint: Paint): string {
  const { data } = event
  const text = textOf(data)
  return text === null ? paint('dim', `base64:${base64(data)}`) : printable(text)
}

function viewText(event: ViewEvent): string {
  const { members } = event
  const parts = [`${counted(members.length, 'member')}: ${list(members)}`]
  const changes = [
    ...(event.joined.length > 0 && event.joined.length < members.length
      ? [`joined: ${list(event.joined)}`]
      : []),
    ...(event.left.length > 0 ? [`left: ${list(event.left)}`] : []),
  ]
  parts.push(`(${[event.cause, ...changes].join('; ')})`)
  return parts.join('  ')
}

const LISTED = 8

function list(ids: readonly string[]): string {
  const shown = ids.slice(0, LISTED).map(shortId).join(' ')
  return ids.length > LISTED ? `${shown} and ${ids.length - LISTED} more` : shown
}

function base64(data: Uint8Array): string {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64')
}
