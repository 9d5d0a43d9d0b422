/** Rules of the order inside one configuration. */

import { type Mutant, patch } from './mutant.ts'

/** What is checked in `invariants.ts` restates a rule: it goes with the rule, so that the judges outside must notice. */
const countedInvariant = patch(
  'core/invariants.js',
  "invariant(stream.counted.seq <= stream.contiguous, 'a pair counts only once its frames are held', stream.counted);",
  '',
)

const deliveredInvariant = patch(
  'core/invariants.js',
  "invariant(state.frozen || state.deliveredTs <= received, 'nothing is delivered beyond what everyone promised');",
  '',
)

export const orderingRules: readonly Mutant[] = [
  {
    name: 'total-order',
    chapter: 'ordering',
    rule: 'The total order is (ts, rank of sender, position in frame).',
    mutation: 'of frames with the same ts each member delivers its own first',
    patches: [
      patch(
        'core/ordering.js',
        'next.ts <= cut.agreed && (best === undefined || next.ts < best.ts)',
        'next.ts <= cut.agreed && (best === undefined || next.ts < best.ts || (next.ts === best.ts && rank === this.rank))',
      ),
    ],
  },
  {
    name: 'order-contains-causality',
    chapter: 'ordering',
    rule: 'ts = max(highest clock I announced, highest frame ts seen) + 1.',
    // Announced at once, the own clock is above all that was seen whenever a frame is made. When it is told is policy,
    // though, and must not touch correctness: being late with it (the row `announce-at-once`) violates nothing.
    mutation:
      'ts = highest clock announced + 1, in a member that is late with announcing: what it has seen is not counted',
    patches: [
      patch(
        'core/ordering.js',
        'const ts = Math.max(this.announced, this.highestTs) + 1',
        'const ts = this.announced + 1',
      ),
      deliveredInvariant,
      patch('core/announce.js', 'if (ordering.highestTs > this.told.clock) return true;', ''),
    ],
    scenarios: ['answer-follows'],
  },
  {
    name: 'ts-above-own-promise',
    chapter: 'ordering',
    rule: 'ts = max(highest clock I announced, highest frame ts seen) + 1.',
    mutation: 'ts = highest frame ts seen + 1: own promises are not counted',
    patches: [
      patch(
        'core/ordering.js',
        'const ts = Math.max(this.announced, this.highestTs) + 1',
        'const ts = this.highestTs + 1',
      ),
      deliveredInvariant,
    ],
  },
  {
    name: 'promise-bound',
    chapter: 'ordering',
    rule: 'A clock (clock, seq) counts only once the stream is held contiguously up to seq.',
    mutation: 'a clock counts at once, whatever is still missing',
    patches: [
      patch(
        'core/stream.js',
        'if (seq <= this.contiguous && clock > this.counted.clock)',
        'if (clock > this.counted.clock)',
      ),
      // The guard against senders that break their promises would only hide the effect.
      patch(
        'core/stream.js',
        'if (frame.ts <= this.lastTs || frame.ts <= this.counted.clock) {',
        'if (false) {',
      ),
      countedInvariant,
    ],
  },
  {
    name: 'facts-only-grow',
    chapter: 'ordering',
    rule: 'Facts only grow: a receiver keeps the maximum of what it hears.',
    mutation: 'the clock heard last counts',
    patches: [
      patch(
        'core/stream.js',
        'if (seq <= this.contiguous && clock > this.counted.clock)',
        'if (seq <= this.contiguous)',
      ),
      deliveredInvariant,
    ],
  },
  {
    name: 'no-frame-below-a-promise',
    chapter: 'ordering',
    rule: 'A frame whose ts is not above its predecessor’s and above the clock that counts is not let in.',
    mutation: 'it is',
    patches: [
      patch(
        'core/stream.js',
        'if (frame.ts <= this.lastTs || frame.ts <= this.counted.clock) {',
        'if (false) {',
      ),
    ],
    implied:
      'only a member that breaks its word makes such a frame, and none here does; `src/core/stream.test.ts` makes one',
  },
  {
    name: 'agreed-up-to-received',
    chapter: 'ordering',
    rule: 'Agreed delivery of everything with ts ≤ my own received, the minimum of the clocks that count.',
    mutation: 'frames are delivered as they come',
    patches: [
      patch(
        'core/traffic.js',
        'ordering.deliver({ agreed, safe: stable,',
        'ordering.deliver({ agreed: ordering.highestTs, safe: stable,',
      ),
    ],
  },
  {
    name: 'safe-up-to-all-received',
    chapter: 'ordering',
    rule: 'Safe delivery of everything with ts ≤ the minimum over members of received.',
    mutation: 'safe messages are delivered at my own received',
    patches: [
      patch(
        'core/traffic.js',
        'ordering.deliver({ agreed, safe: stable,',
        'ordering.deliver({ agreed, safe: received,',
      ),
    ],
  },
  {
    name: 'received-is-the-truth',
    chapter: 'ordering',
    rule: '`received`: "I hold every frame, of every member, with ts ≤ received". Always the truth.',
    mutation: '`received` tells the highest ts seen',
    patches: [
      patch(
        'core/ordering.js',
        'clock: this.announced, seq: own.contiguous, received,',
        'clock: this.announced, seq: own.contiguous, received: this.highestTs,',
      ),
    ],
  },
  {
    name: 'safe-holds-back',
    chapter: 'ordering',
    rule: 'A safe message holds back what follows it: one total order for both services.',
    mutation: 'the streams of others overtake a safe message that waits',
    patches: [
      patch(
        'core/ordering.js',
        'for (;;) { let best; for (let rank = 0;',
        'const waiting = new Set(); for (;;) { let best; for (let rank = 0;',
      ),
      patch(
        'core/ordering.js',
        'if (cut.takesPart !== null && cut.takesPart[rank] !== true)',
        'if (waiting.has(rank) || (cut.takesPart !== null && cut.takesPart[rank] !== true))',
      ),
      patch(
        'core/ordering.js',
        'if (!this.deliverFrame(best, cut.safe, emit)) return best.ts;',
        'if (!this.deliverFrame(best, cut.safe, emit)) waiting.add(best.rank);',
      ),
    ],
  },
  {
    name: 'release-when-stable',
    chapter: 'ordering',
    rule: 'Retransmission buffers are freed by the minimum over members of received.',
    mutation: 'they are freed by my own received',
    patches: [patch('core/traffic.js', 'stream.release(stable)', 'stream.release(received)')],
  },
  {
    name: 'promise-anew',
    chapter: 'ordering',
    rule: 'On a frame above my announced clock I must announce a higher one.',
    mutation: 'a member that does not send never promises more',
    patches: [
      patch(
        'core/announce.js',
        'ordering.highestTs + this.horizon(ordering, now)',
        'this.horizon(ordering, now)',
      ),
    ],
  },
  {
    name: 'announce-at-once',
    chapter: 'ordering',
    rule: 'On a frame above my announced clock I must announce, in this turn.',
    mutation: 'the heartbeat tells it',
    patches: [patch('core/announce.js', 'if (ordering.highestTs > this.told.clock) return true;', '')],
    scenarios: ['announce-at-once'],
  },
  {
    name: 'silent-promise-ahead',
    chapter: 'ordering',
    rule: 'Who is silent promises ahead, and is not waited for.',
    mutation: 'the silent promise exactly, as talkers do',
    patches: [patch('core/announce.js', 'if (now - ordering.lastSentAt <= silentAfterMs)', 'if (true)')],
    scenarios: ['silent-is-not-waited-for'],
  },
  {
    name: 'promise-ahead-of-frames',
    chapter: 'ordering',
    rule: 'The silent promise ahead of the highest frame ts, not of clocks: they would escalate each other for ever.',
    mutation: 'they promise ahead of the highest clock heard',
    patches: [
      patch(
        'core/announce.js',
        'ordering.highestTs + this.horizon(ordering, now)',
        '...ordering.streams.map(stream => stream.newest.clock + this.horizon(ordering, now))',
      ),
    ],
    scenarios: ['idle-for-long'],
  },
  {
    name: 'horizon-of-silence',
    chapter: 'ordering',
    rule: 'The silent promise the further ahead, the longer they are silent.',
    mutation: 'all promise equally far',
    patches: [patch('core/announce.js', 'Math.floor(silence / silentAfterMs)', '1')],
    scenarios: ['now-and-then'],
  },
  {
    name: 'horizon-in-frames',
    chapter: 'ordering',
    rule: 'How far the silent promise ahead follows from the rate of frames.',
    mutation: 'from the rate at which timestamps grow',
    patches: [
      patch(
        'core/cell.js',
        'state.announcer.frameReceived(bytesOf(frame));',
        'state.announcer.frameReceived(bytesOf(frame)); state.announcer.frames += frame.ts - (state.announcer.lastTs ?? frame.ts); state.announcer.lastTs = frame.ts;',
      ),
    ],
    scenarios: ['alternating-talkers'],
  },
  {
    name: 'aggregated',
    chapter: 'ordering',
    rule: 'Who has to ask again and again tells everyone itself, and does not rely on an aggregator.',
    mutation: 'it goes on telling the aggregator alone',
    patches: [patch('core/announce.js', 'if (++this.often >= mostAsks)', 'if (false)')],
    implied:
      'who is blocked also asks, and is answered directly; `src/core/announce.test.ts` sees how long it takes',
  },
  {
    name: 'voice-for-safe',
    chapter: 'ordering',
    rule: 'Announce when received passes a safe message.',
    mutation: 'received travels with what is told anyway',
    patches: [
      patch(
        'core/announce.js',
        'if (ordering.safe.firstAbove(this.told.received) <= received) return true;',
        '',
      ),
    ],
    scenarios: ['safe-at-once'],
  },
  {
    name: 'blocked-asks',
    chapter: 'ordering',
    rule: 'A member blocked for some ms asks the member that it waits for.',
    mutation: 'it waits for the next heartbeat',
    patches: [patch('core/announce.js', 'if (now < this.nextAskAt()) return [];', 'return [];')],
    scenarios: ['lost-announcement'],
  },
  {
    name: 'near-the-limit',
    chapter: 'ordering',
    rule: 'A configuration whose timestamps near their limit is formed again.',
    mutation: 'it goes on',
    patches: [
      patch(
        'core/gather.js',
        "if (state.ordering.highestTs > state.maxTimestamp) return 'timestamps near their limit';",
        '',
      ),
    ],
    scenarios: ['timestamps-near-limit'],
  },
  {
    name: 'last-fragment-originates',
    chapter: 'ordering',
    rule: 'The place, the service and the origination of a message belong to its last fragment.',
    mutation: 'it is originated with its first fragment',
    patches: [
      patch(
        'core/submissions.js',
        'piece: this.offset === 0 ? segment : lastFragment(segment, this.offset), whole: segment,',
        'piece: this.offset === 0 ? segment : lastFragment(segment, this.offset), whole: this.offset === 0 ? segment : null,',
      ),
      patch(
        'core/submissions.js',
        'piece: fragment(segment, this.offset, room), whole: null',
        'piece: fragment(segment, this.offset, room), whole: this.offset === 0 ? segment : null',
      ),
    ],
    scenarios: ['fragments'],
  },
  {
    name: 'fragments-dropped',
    chapter: 'ordering',
    rule: 'On Install partial assemblies are dropped.',
    mutation: 'receivers keep the fragments that they have',
    patches: [
      patch(
        'core/install.js',
        'state.ordering = new Ordering(configuration, state.self, state.limits.maxSegmentBytes);',
        `state.ordering = new Ordering(configuration, state.self, state.limits.maxSegmentBytes);
         ordering.configuration.members.forEach((member, rank) => {
           const stream = state.ordering.streams[configuration.members.indexOf(member)];
           if (stream !== undefined) stream.assembling = ordering.streams[rank].assembling;
         });`,
      ),
    ],
    scenarios: ['fragments'],
  },
  {
    name: 'fragments-start-again',
    chapter: 'ordering',
    rule: 'On Install the sender starts again from its first fragment.',
    mutation: 'the sender goes on with the next fragment',
    patches: [patch('core/install.js', 'state.submissions.restart();', '')],
    scenarios: ['fragments'],
  },
  {
    name: 'window-closes',
    chapter: 'ordering',
    rule: 'A member makes no new frames while a window of its own is in flight without credit.',
    mutation: 'it does',
    patches: [
      patch(
        'core/traffic.js',
        'const full = state.ordering.window.bytes >= state.limits.windowBytes;',
        'const full = false;',
      ),
    ],
    scenarios: ['full-window'],
  },
  {
    name: 'credit-apart',
    chapter: 'ordering',
    rule: '`credit` is the only fact that lagging clients may hold back.',
    mutation: 'they hold back `received` too',
    patches: [
      patch(
        'core/ordering.js',
        'clock: this.announced, seq: own.contiguous, received,',
        'clock: this.announced, seq: own.contiguous, received: Math.min(received, this.heldCredit ?? received),',
      ),
    ],
    scenarios: ['reader-lags'],
  },
  {
    name: 'nak-standing-gap',
    chapter: 'ordering',
    rule: 'A gap is asked for only when it has stood still for a moment.',
    mutation: 'at once',
    patches: [
      patch(
        'core/repair.js',
        'if (!late) return Math.max(heartbeatMs * 2, acknowledgeMs * 4);',
        'return 0.1;',
      ),
    ],
    implied: 'asking too early costs frames, and delivers nothing else',
  },
  {
    name: 'many-holes',
    chapter: 'ordering',
    rule: 'Several gaps of a stream are asked for together.',
    mutation: 'one after the other',
    patches: [patch('core/repair.js', 'const maxRuns = 16;', 'const maxRuns = 1;')],
    scenarios: ['many-holes'],
  },
  {
    name: 'repair-budget',
    chapter: 'ordering',
    rule: 'Retransmissions are limited to a quarter of a window a turn.',
    mutation: 'all that is asked for is sent at once',
    patches: [
      patch(
        'core/repair.js',
        'let budget = this.limits.windowBytes / 4;',
        'let budget = Number.POSITIVE_INFINITY;',
      ),
    ],
    implied: 'a bound on bursts, not on what is delivered; what is owed at all is bounded by `owe`',
  },
  {
    name: 'bounded-lookahead',
    chapter: 'ordering',
    rule: 'Frames more than 65,536 ahead of a gap are not kept.',
    mutation: 'all are kept',
    patches: [
      patch(
        'core/stream.js',
        'seq <= this.contiguous || seq > this.contiguous + maxFramesAhead',
        'seq <= this.contiguous',
      ),
    ],
    implied: 'members that keep to their windows never are so far ahead; `src/core/stream.test.ts` is',
  },
  {
    name: 'windows-open',
    chapter: 'ordering',
    rule: 'At Install all windows of the old configuration open.',
    mutation: 'what filled the window goes on filling it',
    patches: [
      patch(
        'core/install.js',
        'state.ordering = new Ordering(configuration, state.self, state.limits.maxSegmentBytes);',
        'state.ordering = Object.assign(new Ordering(configuration, state.self, state.limits.maxSegmentBytes), { window: ordering.window });',
      ),
    ],
    scenarios: ['full-window'],
  },
]
