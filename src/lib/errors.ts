/** The catalogue of errors: code, sentence, what to do, whether trying again can help. One class throws them all. */

export interface ErrorEntry {
  /** What happened, as a sentence. */
  readonly sentence: string
  /** What the reader can do about it. */
  readonly advice: string
  /** True: the same call may succeed later without anything being changed. */
  readonly retryable: boolean
}

export type ErrorCode =
  | 'aborted'
  | 'already-consumed'
  | 'already-member'
  | 'bad-address'
  | 'bad-argument'
  | 'bad-destination'
  | 'bad-group-name'
  | 'bad-member'
  | 'bad-message'
  | 'bad-name'
  | 'bad-position'
  | 'bad-response'
  | 'closed'
  | 'connection-lost'
  | 'connection-refused'
  | 'daemon-leaving'
  | 'evicted'
  | 'fate-expired'
  | 'fate-no-view'
  | 'fate-not-yet'
  | 'fate-unknown'
  | 'handshake-timeout'
  | 'internal'
  | 'name-in-use'
  | 'not-a-member'
  | 'protocol'
  | 'refused'
  | 'several-cells'
  | 'too-large'
  | 'too-many-groups'
  | 'too-many-sessions'
  | 'unread-group'

export const ERRORS: Readonly<Record<ErrorCode, ErrorEntry>> = {
  aborted: {
    sentence: 'The operation was aborted by its signal.',
    advice: 'Nothing; it was your wish. A join that was under way is undone by a leave.',
    retryable: true,
  },
  'already-consumed': {
    sentence: 'This iterator already has a consumer.',
    advice: 'Use one loop for each of session.events() and group.events(), and pass the events on yourself.',
    retryable: false,
  },
  'already-member': {
    sentence: 'The session is a member of this group already, or is joining it.',
    advice: 'Use the group that the first join gave.',
    retryable: false,
  },
  'bad-address': {
    sentence: 'The address cannot be understood.',
    advice: 'Write unix:/path/to/socket or tcp://host:port.',
    retryable: false,
  },
  'bad-argument': {
    sentence: 'An argument is not acceptable.',
    advice: 'See the message for the argument and what would be right.',
    retryable: false,
  },
  'bad-destination': {
    sentence: 'The message has no acceptable destination.',
    advice: 'Name one or more groups, each once, or the id of a session.',
    retryable: false,
  },
  'bad-group-name': {
    sentence: 'The group name is not acceptable.',
    advice: 'Use 1 to 255 bytes of UTF-8.',
    retryable: false,
  },
  'bad-member': {
    sentence: 'This is not the id of a session.',
    advice: 'Take the id from a view or from the sender of a message.',
    retryable: false,
  },
  'bad-message': {
    sentence: 'Count, sequence and payload of a segment do not fit together.',
    advice: 'This is a fault of the client library; please report it.',
    retryable: false,
  },
  'bad-name': {
    sentence: 'The name of the session is not acceptable.',
    advice: 'The message says what a name may consist of.',
    retryable: false,
  },
  'bad-position': {
    sentence: 'This is not the position of a message.',
    advice: 'Use event.position or receipt.position as it is: epoch.ts.rank.segment.index.',
    retryable: false,
  },
  'bad-response': {
    sentence: 'An answer of the daemon could not be read.',
    advice: 'Check that client and daemon are of compatible versions.',
    retryable: false,
  },
  closed: {
    sentence: 'The session or the group is closed.',
    advice: 'Open a new session, or join the group again.',
    retryable: false,
  },
  'connection-lost': {
    sentence: 'The connection to the daemon was lost.',
    advice: 'Connect again; the new session is a new member. With reconnect: true the library does it.',
    retryable: true,
  },
  'connection-refused': {
    sentence: 'No daemon could be reached at this address.',
    advice: 'Check the address, and that the daemon runs there and that you may open its socket.',
    retryable: true,
  },
  'daemon-leaving': {
    sentence: 'The daemon is shutting down.',
    advice: 'Connect to another daemon, or to this one when it runs again.',
    retryable: true,
  },
  evicted: {
    sentence: 'The daemon ended this session because it read too slowly.',
    advice: 'Read events faster, leave groups that you do not read, or raise the limits of slow clients.',
    retryable: true,
  },
  'fate-expired': {
    sentence: 'The daemon no longer knows the fate of so old a message.',
    advice: 'Ask earlier, or raise the history of fates in the configuration.',
    retryable: false,
  },
  'fate-no-view': {
    sentence: 'The group had no members at this position.',
    advice: 'Ask with the group in which the message was received.',
    retryable: false,
  },
  'fate-not-yet': {
    sentence: 'Nothing has been delivered at this position yet.',
    advice: 'Ask once the message has been received.',
    retryable: true,
  },
  'fate-unknown': {
    sentence:
      'The daemon was lost before the message was seen in the order: it may have been delivered or not.',
    advice:
      'Join again and look at what the group received, or make the operation repeatable and send it again.',
    retryable: false,
  },
  'handshake-timeout': {
    sentence: 'The other side did not finish the handshake in time.',
    advice: 'Check that the address belongs to an Anasazi daemon and that the daemon is not overloaded.',
    retryable: true,
  },
  internal: {
    sentence: 'Something that cannot happen has happened.',
    advice: 'Please report it with the message and, if there is one, the trace.',
    retryable: false,
  },
  'name-in-use': {
    sentence: 'Another one uses this name.',
    advice: 'Choose another name, or wait until the other one is gone.',
    retryable: true,
  },
  'not-a-member': {
    sentence: 'The session is not a member of this group.',
    advice: 'Join the group first; only sending is open to everybody.',
    retryable: false,
  },
  protocol: {
    sentence: 'The other side broke the protocol.',
    advice: 'Check that client and daemon are of compatible versions and that the address is the right one.',
    retryable: false,
  },
  refused: {
    sentence: 'The daemon refused the session.',
    advice: 'The message says what differs; change it on one of the two sides.',
    retryable: false,
  },
  'several-cells': {
    sentence: 'The groups of one message belong to different cells, which have no common order.',
    advice: 'Send one message to each cell, or put the groups into one cell.',
    retryable: false,
  },
  'too-large': {
    sentence: 'The message is larger than the daemon accepts.',
    advice: 'Split it, or raise the limit of the message size in the configuration of all daemons.',
    retryable: false,
  },
  'too-many-groups': {
    sentence: 'The session is a member of as many groups as a session may be.',
    advice: 'Leave a group, use another session, or raise the limit of groups per session.',
    retryable: true,
  },
  'too-many-sessions': {
    sentence: 'The daemon serves as many sessions as it may.',
    advice: 'Close a session, use another daemon, or raise the limit of sessions.',
    retryable: true,
  },
  'unread-group': {
    sentence: 'Nobody reads the events of a group.',
    advice: 'Iterate its events or those of the session, or leave it.',
    retryable: true,
  },
}

export interface ErrorDetails {
  /** Overrides what the catalogue says. */
  readonly retryable?: boolean
  readonly cause?: unknown
  /** Session sequence up to which messages were accepted from the application. */
  readonly acceptedThrough?: number
  /** Session sequence up to which own messages are known to be delivered in the order. */
  readonly deliveredThrough?: number
}

/** Whether `code` is in the catalogue; codes that come over a wire may not be. */
export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERRORS, code)
}

/** The one error class. `message` is the catalogue's sentence with particulars; `advice` says what to do. */
export class AnasaziError extends Error {
  readonly code: ErrorCode
  readonly retryable: boolean
  readonly advice: string
  readonly acceptedThrough: number | undefined
  readonly deliveredThrough: number | undefined

  /** @param particulars follows the catalogue's sentence: names, numbers, addresses. */
  constructor(code: ErrorCode, particulars: string = '', details: ErrorDetails = {}) {
    const entry: ErrorEntry = ERRORS[code]
    const options = details.cause === undefined ? undefined : { cause: details.cause }
    super(particulars === '' ? entry.sentence : `${entry.sentence} ${particulars}`, options)
    this.name = 'AnasaziError'
    this.code = code
    this.retryable = details.retryable ?? entry.retryable
    this.advice = entry.advice
    this.acceptedThrough = details.acceptedThrough
    this.deliveredThrough = details.deliveredThrough
  }
}
