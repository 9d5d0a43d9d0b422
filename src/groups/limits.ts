/** Every limit of the group layer. */
export interface GroupLimits {
  /** Length of a group name, bytes of UTF-8. */
  readonly groupNameBytes: number
  /** Length of a session's name, bytes of UTF-8. */
  readonly sessionNameBytes: number
  /** Groups that one session may be a member of at the same time. */
  readonly groupsPerSession: number
  /** Sessions of one daemon, those that are closing included. */
  readonly sessions: number
  /** Groups in the destination of one message. */
  readonly destinationGroups: number
  /** Length of one message, bytes. */
  readonly messageBytes: number
  /** Past views remembered for each group, for fates. More while the fates of messages in them are not settled. */
  readonly fateViews: number
  /** Past views remembered over all groups; the oldest go first, settled or not. */
  readonly fateViewsTotal: number
  /** Private messages, sent or received here, whose fates can be asked for. */
  readonly fatePrivate: number
  /** Estimated size of one part of a daemon's state in an exchange, bytes. Below the core's `maxFrameBytes`. */
  readonly statePartBytes: number
  /** Lost daemons whose last state is remembered, so that it need not be sent if they come back unchanged. */
  readonly rememberedDaemons: number
}

export const defaultGroupLimits: GroupLimits = {
  groupNameBytes: 255,
  sessionNameBytes: 64,
  groupsPerSession: 16_384,
  sessions: 4096,
  destinationGroups: 64,
  messageBytes: 16 * 1024 * 1024,
  fateViews: 64,
  fateViewsTotal: 65_536,
  fatePrivate: 16_384,
  statePartBytes: 48 * 1024,
  rememberedDaemons: 16,
}
