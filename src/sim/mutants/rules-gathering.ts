/** Rules of who is with whom: suspicion, the matrix of who hears whom, cliques, merging. */

import { type Mutant, patch } from './mutant.ts'

export const gatheringRules: readonly Mutant[] = [
  {
    name: 'proof-by-newer-configuration',
    chapter: 'gathering',
    rule: 'An authentic frame of a member of c under a newer configuration proves that it left c: Gather at once.',
    mutation: 'it is a sign of life as any other; c goes on',
    patches: [
      patch(
        'core/liveness.js',
        'if (seen.epoch > id.epoch && members.includes(from)) depart(state, from);',
        '',
      ),
    ],
    scenarios: ['gone-on-without-me'],
  },
  {
    name: 'proof-by-ballot',
    chapter: 'gathering',
    rule: 'So does a newer ballot: it is frozen and will never resume.',
    mutation: 'c goes on until the member is silent or somebody forms',
    patches: [
      patch('core/liveness.js', 'if (frame.ballot > configuration.id.epoch) depart(state, from);', ''),
    ],
    scenarios: ['failed-attempt-resumed'],
  },
  {
    name: 'proof-by-giving-up',
    chapter: 'gathering',
    rule: 'So does a heartbeat of a member that gave up the attempt which became c: it will never install c.',
    mutation: 'it is waited for',
    patches: [
      patch('core/liveness.js', 'if (missedInstall(configuration.id, frame)) depart(state, from);', ''),
    ],
    scenarios: ['gave-up-and-back'],
  },
  {
    name: 'silence',
    chapter: 'gathering',
    rule: 'Suspect on silence past suspectAfter.',
    mutation: 'silence means nothing',
    patches: [
      patch(
        'core/peers.js',
        'now >= peer.lastHeardAt + this.timeouts.suspectAfterMs',
        'now === Number.POSITIVE_INFINITY',
      ),
      // Who is heard is not forgotten either.
      patch(
        'core/peers.js',
        'else if (silence > this.timeouts.maxHoldDownMs * 4)',
        'else if (peer.heardSince === Number.POSITIVE_INFINITY && silence > this.timeouts.maxHoldDownMs * 4)',
      ),
    ],
    scenarios: ['one-way'],
  },
  {
    name: 'no-progress',
    chapter: 'gathering',
    rule: 'Suspect a stream that makes no progress for a time.',
    mutation: 'who lives is not suspected',
    patches: [
      patch(
        'core/traffic.js',
        "if (streamStalled || acknowledgeStalled) state.peers.lose(member, 'stalled', now);",
        '',
      ),
    ],
    scenarios: ['hole-in-the-stream'],
  },
  {
    name: 'refusal',
    chapter: 'gathering',
    rule: 'Suspect whose kernel closed the connection and refused a new one: a killed process is known at once.',
    mutation: 'its silence must tell',
    patches: [patch('core/cell.js', 'this.state.peers.lose(member, reason, now);', '')],
    scenarios: ['killed'],
  },
  {
    name: 'gone-is-gone',
    chapter: 'gathering',
    rule: 'An incarnation that left or was replaced is never heard again.',
    mutation: 'it is a stranger',
    patches: [patch('core/peers.js', 'return this.gone.has(member);', 'return false;')],
    implied: 'a stranger must answer a challenge, and who is gone does not',
  },
  {
    name: 'stall-drops-membership',
    chapter: 'gathering',
    rule: 'A member whose own loop stalled drops queued membership frames.',
    mutation: 'it follows them, though they are of attempts that are over',
    patches: [patch('core/cell.js', "if (stalled) state.cover('stall distrusts itself');", 'if (false) ;')],
    implied:
      'such a frame is of an attempt that failed without this member, so its answer is refused or ignored by the epoch; dropping it only spares that',
  },
  {
    name: 'stall-rearms',
    chapter: 'gathering',
    rule: 'It re-arms its timers before it suspects anyone.',
    mutation: 'it suspects whom it has not heard while it stalled',
    patches: [patch('core/cell.js', 'state.peers.rearm(now);', '')],
    scenarios: ['stalled-without-a-queue'],
  },
  {
    name: 'both-directions',
    chapter: 'gathering',
    rule: 'Members exchange who they hear in both directions.',
    mutation: 'one direction is enough for an edge',
    patches: [
      patch(
        'core/matrix.js',
        '(matrix.get(a)?.hears.includes(b) ?? false) && (matrix.get(b)?.hears.includes(a) ?? false)',
        '(matrix.get(a)?.hears.includes(b) ?? false) || (matrix.get(b)?.hears.includes(a) ?? false)',
      ),
    ],
    scenarios: ['heard-by-nobody'],
  },
  {
    name: 'same-cliques',
    chapter: 'gathering',
    rule: 'From the matrix all compute the same cliques: a pair that cannot hear each other never ends up in one configuration.',
    mutation: 'everybody reachable is wanted',
    patches: [
      patch(
        'core/matrix.js',
        'if (left.length <= max && isClique(matrix, left)) return left;',
        'return left;',
      ),
      patch('core/recover.js', 'if (!isClique(state.peers.matrix, members)) {', 'if (false) {'),
      patch(
        'core/recover.js',
        'else if (!members.every(member => state.peers.hears(member))) {',
        'else if (false) {',
      ),
    ],
    scenarios: ['bridge-settles'],
  },
  {
    name: 'one-choice-for-all',
    chapter: 'gathering',
    rule: 'A bridge settles in one stable choice, by the same deterministic rule.',
    mutation: 'each prefers the clique that grows from itself',
    patches: [
      patch(
        'core/matrix.js',
        'while (left.length > 0) {',
        'if (left.length > 1) return growClique(edges, self, left, max); while (left.length > 0) {',
      ),
    ],
    scenarios: ['bridge-of-four'],
  },
  {
    name: 'agree-before-form',
    chapter: 'gathering',
    rule: 'The coordinator forms once all members of the clique are gathering and want exactly it.',
    mutation: 'it forms what it wants',
    patches: [
      patch(
        'core/gather.js',
        "return last?.phase === 'gather' && last.target === state.targetDigest;",
        'return true;',
      ),
    ],
    implied: 'a Form that somebody cannot accept is refused, and tried again: agreement spares such attempts',
  },
  {
    name: 'busy-is-spared',
    chapter: 'gathering',
    rule: 'Who is in another attempt is not given up for not agreeing, for a bounded time.',
    mutation: 'it is given up',
    patches: [
      patch(
        'core/gather.js',
        "return last?.phase === 'recover' && now < phase.targetAt + gatherMs + recoverMs * 3;",
        'return false;',
      ),
    ],
    scenarios: ['busy-is-spared'],
  },
  {
    name: 'settle',
    chapter: 'gathering',
    rule: 'Joins are collected before a configuration is formed.',
    mutation: 'the first one that agrees is taken in at once',
    patches: [patch('core/gather.js', '? 0 : timeouts.settleMs;', '? 0 : 0;')],
    scenarios: ['booting-together'],
  },
  {
    name: 'patience',
    chapter: 'gathering',
    rule: 'Leaving out somebody whom a member of the clique hears wants patience: others may be about to suspect the same member.',
    mutation: 'such a clique is formed at once',
    patches: [patch('core/gather.js', 'return patienceMs(state); }', 'return 0; }')],
  },
  {
    name: 'hold-down',
    chapter: 'gathering',
    rule: 'Exponential hold-down on re-admission, instead of flapping.',
    mutation: 'a lost member is admitted as soon as it is heard',
    patches: [
      patch(
        'core/peers.js',
        'peer.heldUntil = now + hold * (0.75 + this.random.next() / 2);',
        'peer.heldUntil = now;',
      ),
    ],
    scenarios: ['flapping-link'],
  },
  {
    name: 'stale-rows',
    chapter: 'gathering',
    rule: 'Stale joins are ignored: a row of the matrix never goes back.',
    mutation: 'the row that arrives last counts',
    patches: [
      patch(
        'core/peers.js',
        'else if (row.version > (known?.version ?? 0)) {',
        'else if (row.version !== (known?.version ?? 0)) {',
      ),
    ],
    scenarios: ['old-rows'],
  },
  {
    name: 'challenge',
    chapter: 'gathering',
    rule: 'Foreign frames trigger a merge only after a challenge is answered.',
    mutation: 'a heartbeat of a stranger is enough',
    patches: [
      patch(
        'core/peers.js',
        'if (!peer.answered) { if (now',
        'peer.answered = true; this.admit(now); if (!peer.answered) { if (now',
      ),
    ],
    scenarios: ['replayed-heartbeats'],
  },
  {
    name: 'leave-when-stable',
    chapter: 'gathering',
    rule: 'Who leaves first sees what it accepted stable.',
    mutation: 'it leaves at once',
    patches: [
      patch(
        'core/cell.js',
        'if (!settled && now < state.leavingSince + state.timeouts.suspectAfterMs) return;',
        '',
      ),
    ],
    scenarios: ['leaving-with-work'],
  },
  {
    name: 'last-word',
    chapter: 'gathering',
    rule: 'An answer to a challenge that was made before the other incarnation was met proves nothing against that one.',
    mutation: 'whoever answers last is the newer one',
    patches: [patch('core/peers.js', 'if (peer.nonceAt > other.metAt)', 'if (true)')],
    scenarios: ['last-word-after-the-first'],
  },
  {
    name: 'new-incarnation',
    chapter: 'gathering',
    rule: 'A restarted node is a new member: the old one is over at once.',
    mutation: 'the old one is suspected when it has been silent for long enough',
    patches: [
      patch(
        'core/peers.js',
        "if (peer.nonceAt > other.metAt) this.lose(other.member, 'restarted', now);",
        '',
      ),
    ],
    scenarios: ['restarted-is-another'],
  },
]
