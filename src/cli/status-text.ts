/** The status document for people. */

import { describeEvent, severityOf } from '../admin/events.ts'
import type { RecordedEvent } from '../admin/events.ts'
import { registry } from '../admin/registry.ts'
import type { CellStatus, SessionStatus, StatusDocument } from '../admin/status.ts'
import { bytesText, columns, counted, durationText, painter, printable, shortId } from './style.ts'
import type { Paint } from './style.ts'

const SHOWN_EVENTS = 10
const SHOWN_SESSIONS = 20

export function statusText(
  document: StatusDocument,
  options: { readonly colour: boolean; readonly counters: boolean },
): string {
  const paint = painter(options.colour)
  const { daemon } = document
  const title = `${paint('bold', printable(daemon.name))}  ${printable(daemon.id)}`
  const about = `cluster ${printable(daemon.cluster)}, version ${printable(daemon.version)}, process ${daemon.process}, up ${durationText(daemon.uptimeMs)}`
  const parts = [`${title}\n${about}\n`]
  for (const [name, cell] of Object.entries(document.cells)) {
    parts.push(cellText(name, cell, paint))
    if (options.counters) parts.push(countersText(cell, paint))
  }
  if (document.events.length > 0) parts.push(eventsText(document.events, paint))
  return parts.join('\n')
}

function cellText(name: string, cell: CellStatus, paint: Paint): string {
  const { configuration, counters } = cell
  const phase = cell.phase === 'operational' ? paint('green', cell.phase) : paint('yellow', cell.phase)
  const rows = [
    ['configuration', printable(configuration.id)],
    ['members', configuration.members.map(shortId).join(' ')],
    ['clients at', cell.endpoints.map(printable).join(' ')],
    ['groups', String(cell.groups)],
    [
      'delivered',
      `${counters['cell.delivered.messages']} messages, ${bytesText(counters['cell.delivered.bytes'])}`,
    ],
    [
      'waiting',
      `${bytesText(counters['cell.queue.bytes'])}; in flight ${bytesText(counters['cell.window.bytes'])}`,
    ],
  ]
  const head = `${paint('bold', `cell ${printable(name)}`)}  ${phase}${cell.thread === 'dedicated' ? ', on its own thread' : ''}${cell.transport === 'tcp' ? '' : `, over ${cell.transport}`}\n`
  return (
    head + indent(columns(rows, paint, ['dim'])) + peersText(cell, paint) + sessionsText(cell.sessions, paint)
  )
}

function peersText(cell: CellStatus, paint: Paint): string {
  const { peers } = cell
  const sendsDatagrams = cell.transport === 'udp' || cell.transport === 'multicast'
  if (peers.length === 0) return ''
  const rows = peers.map(peer => [
    printable(peer.name),
    peer.link,
    peer.address === null ? '' : printable(peer.address),
    peer.lastHeardMs === null ? 'never heard' : `heard ${durationText(peer.lastHeardMs)} ago`,
    peer.link === 'up' && sendsDatagrams && peer.carrier !== cell.transport
      ? `over ${peer.carrier}, as it does not follow ${cell.transport}`
      : printable(peer.why),
  ])
  return indent(paint('dim', 'peers\n') + indent(columns(rows, paint)))
}

function sessionsText(sessions: readonly SessionStatus[], paint: Paint): string {
  if (sessions.length === 0) return ''
  const slowest = sessions.toSorted((a, b) => b.queueBytes - a.queueBytes).slice(0, SHOWN_SESSIONS)
  const rows = slowest.map(session => [
    shortId(session.id),
    counted(session.groups, 'group'),
    `${bytesText(session.queueBytes)} not acknowledged`,
  ])
  const more = sessions.length > slowest.length ? `and ${sessions.length - slowest.length} more\n` : ''
  return indent(
    paint('dim', `${counted(sessions.length, 'session')}\n`) + indent(columns(rows, paint) + more),
  )
}

function countersText(cell: CellStatus, paint: Paint): string {
  const rows = registry
    .map(row => ({ row, value: (cell.counters as Readonly<Record<string, number>>)[row.name] ?? 0 }))
    .filter(({ value }) => value !== 0)
    .map(({ row, value }) => [row.name, String(value), row.unit, row.help])
  return indent(paint('dim', 'counters\n') + indent(columns(rows, paint, [null, null, 'dim', 'dim'])))
}

function eventsText(events: readonly RecordedEvent[], paint: Paint): string {
  const rows = events
    .slice(-SHOWN_EVENTS)
    .map(({ at, count, event }) => [
      new Date(at).toISOString().slice(11, 23),
      printable(event.cell),
      severityOf(event) === 'warn' ? '!' : ' ',
      printable(describeEvent(event)) + (count > 1 ? ` (${count} times)` : ''),
    ])
  return `${paint('bold', 'last events')}\n${indent(columns(rows, paint, ['dim', null, 'yellow']))}`
}

function indent(text: string): string {
  return text.replace(/^(?=.)/gm, '  ')
}
