/** What cells say, in words short enough for a column. */

import type { CellEvent } from '../core/api.ts'
import type { MemberId } from '../core/types.ts'
import type { SegmentHead } from '../groups/types.ts'
import type { Daemon } from './daemon.ts'
import type { Note } from './recorder.ts'
import type { World } from './world.ts'

export function noteEvent(world: World, daemon: Daemon, event: CellEvent): void {
  const note = describe(world, daemon, event)
  if (note !== null) world.recorder.note(world.now, daemon.host, note[0], note[1])
}

function describe(world: World, daemon: Daemon, event: CellEvent): [Note['kind'], string] | null {
  switch (event.type) {
    case 'regular':
      return ['view', `■ ${event.configuration.id.epoch} {${short(event.configuration.members)}}`]
    case 'transitional':
      return ['view', `□ {${short(event.members)}}`]
    case 'phase':
      return event.phase === 'operational' ? null : ['phase', event.phase]
    case 'suspect':
      return ['suspect', `✗ ${shortName(event.member)} ${event.reason}`]
    case 'originate': {
      const name = messageName(world, daemon.member, event.segment.head as SegmentHead)
      return name === null ? null : ['send', `→ ${name}${event.segment.safe ? '!' : ''}`]
    }
    case 'deliver': {
      const name = messageName(world, event.sender, event.segment.head as SegmentHead)
      return name === null ? null : ['deliver', name]
    }
    default:
      return null
  }
}

/** Client messages only: `alice7`, or `alice7‥9` for a packed run. */
function messageName(world: World, sender: MemberId, head: SegmentHead): string | null {
  if (head.kind !== 'messages') return null
  const name = world.clientName(sender, head.session)
  const last = head.count > 1 ? `‥${head.firstSequence + head.count - 1}` : ''
  return `${name}:${head.firstSequence}${last}`
}

export function shortName(member: MemberId): string {
  const hash = member.indexOf('#')
  return hash < 0 ? member : member.slice(0, hash)
}

function short(members: readonly MemberId[]): string {
  return members.map(shortName).join(' ')
}
