/** What the group layer objects to: a request of a client that cannot be carried out, or a fate that cannot be told. */

/**
 * | code | meaning | retryable |
 * |---|---|---|
 * | `bad-name` | the session's name has a length or characters that it must not have | no |
 * | `name-in-use` | another session of this daemon has this name | yes |
 * | `too-many-sessions` | limit `sessions` | yes |
 * | `no-session` | no such session, or it is closing | no |
 * | `bad-group` | the group's name is empty, longer than `groupNameBytes`, or not well-formed text | no |
 * | `already-member` | the session is a member already, or is joining | no |
 * | `not-member` | the session is no member, or is leaving | no |
 * | `too-many-groups` | limit `groupsPerSession` | no |
 * | `bad-destination` | no group, a group twice, more than `destinationGroups`, or a member that cannot exist | no |
 * | `bad-message` | count, sequence and payload do not fit together | no |
 * | `message-too-large` | limit `messageBytes` | no |
 * | `fate-not-yet` | nothing has been delivered at that place yet | yes |
 * | `fate-expired` | the view at that place is not remembered (any more, or never was here) | no |
 * | `fate-no-view` | the group had no members at that place | no |
 */
export type GroupErrorCode =
  | 'bad-name'
  | 'name-in-use'
  | 'too-many-sessions'
  | 'no-session'
  | 'bad-group'
  | 'already-member'
  | 'not-member'
  | 'too-many-groups'
  | 'bad-destination'
  | 'bad-message'
  | 'message-too-large'
  | 'fate-not-yet'
  | 'fate-expired'
  | 'fate-no-view'

const RETRYABLE: ReadonlySet<GroupErrorCode> = new Set(['name-in-use', 'too-many-sessions', 'fate-not-yet'])

export class GroupError extends Error {
  override readonly name = 'GroupError'
  readonly code: GroupErrorCode
  /** True: the same request may succeed later. */
  readonly retryable: boolean

  constructor(code: GroupErrorCode, message: string) {
    super(message)
    this.code = code
    this.retryable = RETRYABLE.has(code)
  }
}
