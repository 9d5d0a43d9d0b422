/** What became of a message: which members of its view are known to have it, and which left without that being known. */

import type { Place } from '../core/types.ts'
import type { Cover } from '../lib/coverage.ts'
import { Deque } from '../lib/deque.ts'
import { GroupError } from './errors.ts'
import { comparePlaces, covers } from './place.ts'
import type { Fate, SessionId, ViewId } from './types.ts'
import type { Session } from './view.ts'

/**
 * The fate of whatever has this place and was addressed to these members; 'pending' while that of one of them is open.
 *
 * Everything it rests on is fixed by the order (disconnects), by what its daemon said to all, or by the Plan of the next
 * configuration; so all who came along together come to the same answer.
 */
export function fateOf(
  view: ViewId,
  members: Iterable<Session>,
  place: Place,
  cover: Cover,
): Fate | 'pending' {
  const received: SessionId[] = []
  const unknown: SessionId[] = []
  let byInstall = false
  for (const session of members) {
    const { home, ended } = session
    if (covers(ended ?? home.acknowledged, place)) received.push(session.id)
    else if (ended !== null || home.lost) unknown.push(session.id)
    else return 'pending'
    if (ended === null && home.lost) byInstall = true
  }
  if (unknown.length > 0) cover('fate unknown')
  if (byInstall) cover('fate settled by Install')
  return { view, received, unknown }
}

interface PrivateMessage {
  readonly place: Place
  /** Null: the addressee did not exist any more. */
  readonly target: Session | null
}

/** Private messages of or to local sessions, by place; their positions can be asked for. */
export class PrivateFates {
  readonly #limit: number
  readonly #messages: Deque<PrivateMessage> = new Deque()
  readonly #byPlace: Map<string, PrivateMessage> = new Map()

  constructor(limit: number) {
    this.#limit = limit
  }

  add(place: Place, target: Session | null): void {
    const message = { place, target }
    this.#messages.push(message)
    this.#byPlace.set(keyOf(place), message)
    while (this.#messages.length > this.#limit) {
      const oldest = this.#messages.shift() as PrivateMessage
      this.#byPlace.delete(keyOf(oldest.place))
    }
  }

  /** @throws GroupError `fate-expired`. */
  fateOf(place: Place, cover: Cover): Fate | 'pending' {
    const message = this.#byPlace.get(keyOf(place))
    if (message === undefined || comparePlaces(message.place, place) !== 0) {
      throw new GroupError('fate-expired', 'no private message with this position is remembered here')
    }
    return fateOf('', message.target === null ? [] : [message.target], place, cover)
  }
}

function keyOf(place: Place): string {
  return `${place.epoch}.${place.ts}.${place.rank}.${place.index}`
}
