/** Sessions of this daemon as their clients see them: what was accepted, delivered or not. Checks every request. */

import type { MemberId } from '../core/types.ts'
import { GroupError } from './errors.ts'
import type { GroupLimits } from './limits.ts'
import { isGroupName, isSessionName } from './names.ts'
import { mostMemberships } from './rules.ts'
import type { MessagesHead } from './types.ts'

interface LocalSession {
  readonly number: number
  readonly name: string
  /** Groups it is in once all that was accepted is delivered. */
  readonly groups: Set<string>
  /** Its disconnect was accepted. */
  closing: boolean
  lastSequence: number
}

export class LocalSessions {
  readonly #limits: GroupLimits
  readonly #sessions: Map<number, LocalSession> = new Map()
  /** Names of sessions that are not closing. */
  readonly #names: Set<string> = new Set()
  #last = 0
  /** Memberships of all of them. */
  #memberships = 0

  constructor(limits: GroupLimits) {
    this.#limits = limits
  }

  /** Sessions open or closing. */
  get size(): number {
    return this.#sessions.size
  }

  /** @throws GroupError `bad-name`, `name-in-use`, `too-many-sessions`. */
  open(name: string): number {
    const { sessions, sessionNameBytes } = this.#limits
    if (!isSessionName(name, sessionNameBytes)) {
      throw new GroupError(
        'bad-name',
        `a session's name is 1 to ${sessionNameBytes} bytes of UTF-8 without spaces, control characters, '@' and '#'`,
      )
    }
    if (this.#names.has(name)) {
      throw new GroupError(
        'name-in-use',
        `a session named '${name}' is open at this daemon: choose another name`,
      )
    }
    if (this.#sessions.size >= sessions) {
      throw new GroupError(
        'too-many-sessions',
        `this daemon has ${sessions} sessions, its limit: use another one`,
      )
    }
    const number = ++this.#last
    this.#names.add(name)
    this.#sessions.set(number, { number, name, groups: new Set(), closing: false, lastSequence: 0 })
    return number
  }

  /** @throws GroupError `no-session`, `bad-group`, `already-member`, `too-many-groups`. */
  join(number: number, group: string): void {
    const session = this.#get(number)
    this.#checkGroup(group)
    if (session.groups.has(group)) {
      throw new GroupError('already-member', `the session is in group '${group}' already, or joining it`)
    }
    const { groupsPerSession } = this.#limits
    if (session.groups.size >= groupsPerSession) {
      throw new GroupError(
        'too-many-groups',
        `the session is in ${groupsPerSession} groups, its limit: leave one first`,
      )
    }
    if (this.#memberships >= mostMemberships) {
      throw new GroupError(
        'too-many-groups',
        `the sessions of this daemon are in ${mostMemberships} groups together, as many as a daemon may be`,
      )
    }
    session.groups.add(group)
    this.#memberships++
  }

  /** @throws GroupError `no-session`, `not-member`. */
  leave(number: number, group: string): void {
    if (!this.#get(number).groups.delete(group)) {
      throw new GroupError('not-member', `the session is not in group '${group}', or leaving it`)
    }
    this.#memberships--
  }

  /** @throws GroupError `no-session`. */
  close(number: number): void {
    const session = this.#get(number)
    session.closing = true
    this.#memberships -= session.groups.size
    this.#names.delete(session.name)
  }

  /** Its disconnect was delivered. */
  closed(number: number): void {
    this.#sessions.delete(number)
  }

  /**
   * Checks a segment of messages. `known` tells if a group exists, whose name then need not be looked at again.
   * @throws GroupError `no-session`, `bad-group`, `bad-destination`, `bad-message`, `message-too-large`.
   */
  messages(
    number: number,
    head: Omit<MessagesHead, 'kind' | 'session'>,
    bytes: number,
    known: (group: string) => boolean,
  ): void {
    const session = this.#get(number)
    const { destination, count, firstSequence } = head
    if (destination.to === 'groups') this.#checkGroups(destination.groups, known)
    else this.#checkMember(destination.daemon, destination.session)
    if (!Number.isSafeInteger(count) || count < 1 || bytes < 4 * count) {
      throw new GroupError('bad-message', `${count} messages do not fit into a payload of ${bytes} bytes`)
    }
    const next = session.lastSequence + 1
    if (!Number.isSafeInteger(firstSequence + count) || firstSequence < next) {
      throw new GroupError('bad-message', `message ${firstSequence} follows message ${session.lastSequence}`)
    }
    const { messageBytes } = this.#limits
    if (bytes - 4 > messageBytes) {
      const what = count === 1 ? 'a message' : `${count} messages packed together`
      throw new GroupError('message-too-large', `${what} of ${bytes - 4} bytes: the limit is ${messageBytes}`)
    }
    session.lastSequence = firstSequence + count - 1
  }

  #get(number: number): LocalSession {
    const session = this.#sessions.get(number)
    if (session === undefined || session.closing) {
      throw new GroupError('no-session', `session ${number} is not open at this daemon`)
    }
    return session
  }

  #checkGroup(group: string): void {
    const { groupNameBytes } = this.#limits
    if (!isGroupName(group, groupNameBytes)) {
      throw new GroupError(
        'bad-group',
        `a group's name is well-formed text of 1 to ${groupNameBytes} bytes of UTF-8`,
      )
    }
  }

  #checkGroups(groups: readonly string[], known: (group: string) => boolean): void {
    const { destinationGroups } = this.#limits
    if (groups.length === 0 || groups.length > destinationGroups) {
      throw new GroupError(
        'bad-destination',
        `a message goes to 1 to ${destinationGroups} groups, not ${groups.length}`,
      )
    }
    for (const group of groups) if (!known(group)) this.#checkGroup(group)
    if (groups.length > 1 && new Set(groups).size < groups.length) {
      throw new GroupError('bad-destination', 'a group is named twice in the destination of a message')
    }
  }

  #checkMember(daemon: MemberId, session: number): void {
    if (daemon.length === 0 || !Number.isSafeInteger(session) || session < 1) {
      throw new GroupError(
        'bad-destination',
        `there is no session ${session} of daemon '${daemon.slice(0, 120)}'`,
      )
    }
  }
}
