/** Rules of what a Plan says and what an Install delivers. */

import { type Mutant, patch } from './mutant.ts'

export const recoveryRules: readonly Mutant[] = [
  {
    name: 'last-promise',
    chapter: 'recovery',
    rule: 'Freezing is my last promise: K = ∞ for the members of T.',
    mutation: 'K is the highest clock heard, for them as for others',
    patches: [patch('core/plan.js', 'let infinite = ownerComes;', 'let infinite = false;')],
  },
  {
    name: 'obligations',
    chapter: 'recovery',
    rule: 'K[s] = ∞ also for every s that an earlier Plan of a member of T made ∞.',
    mutation: 'earlier Plans are forgotten',
    patches: [patch('core/plan.js', 'infinite ||= state.infinite;', '')],
    scenarios: ['obligation-binds'],
  },
  {
    name: 'infinite-through-plan',
    chapter: 'recovery',
    rule: 'An ∞ from a State is adopted only through a Plan.',
    mutation: 'a coordinator adopts it when it reads the State',
    patches: [
      patch(
        'core/recover.js',
        'states.set(from, frame);',
        `states.set(from, frame);
         if (sameConfiguration(frame.old, state.ordering.configuration.id))
           frame.streams.forEach((stream, rank) => { if (stream.infinite) state.ordering.streams[rank].infinite = true; });`,
      ),
    ],
    scenarios: ['infinite-from-state'],
  },
  {
    name: 'fetch-before-recovered',
    chapter: 'recovery',
    rule: 'Recovered is answered when everything the Plan wants has been fetched.',
    mutation: 'it is answered at once',
    patches: [
      patch(
        'core/recover.js',
        'if (!group.streams.every((wanted, rank) => streams[rank].contiguous >= wanted.upTo)) return;',
        '',
      ),
    ],
  },
  {
    name: 'merge-infinite',
    chapter: 'recovery',
    rule: 'Before I answer Recovered I merge K for good.',
    mutation: 'the ∞ of the Plan are not merged',
    patches: [
      patch(
        'core/recover.js',
        'if (wanted.clock === Number.POSITIVE_INFINITY) stream.infinite = true;',
        'if (wanted.clock === Number.POSITIVE_INFINITY) ;',
      ),
    ],
    scenarios: ['obligation-binds'],
  },
  {
    name: 'merge-clocks',
    chapter: 'recovery',
    rule: 'Before I answer Recovered I merge K for good.',
    mutation: 'the finite clocks of the Plan are not merged',
    patches: [patch('core/recover.js', 'else stream.count(wanted.clock, wanted.upTo);', '')],
    scenarios: ['clock-learned-in-failed-attempt'],
  },
  {
    name: 'merge-frames',
    chapter: 'recovery',
    rule: 'Before I answer Recovered I merge the fetched frames for good: nothing learned is ever undone.',
    mutation: 'a State reports what was held when the first Form was accepted',
    patches: [
      patch(
        'core/recover.js',
        'const { ordering } = state; const streams = ordering.streams.map((stream, rank) => {',
        `const { ordering } = state;
         ordering.atFreeze ??= ordering.streams.map(stream => ({ contiguous: stream.contiguous, counted: stream.counted, newest: stream.newest, received: stream.received, consumed: stream.consumed, infinite: stream.infinite }));
         const streams = ordering.streams.map((now, rank) => {
           const stream = rank === ordering.rank ? now : { ...ordering.atFreeze[rank], infinite: now.infinite, consumed: now.consumed };`,
      ),
    ],
    scenarios: ['learned-in-failed-attempt'],
  },
  {
    name: 'longest-prefix',
    chapter: 'recovery',
    rule: 'U[s] = the longest prefix of stream s that anyone in T holds.',
    mutation: 'the prefix that the first of T holds',
    patches: [
      patch(
        'core/plan.js',
        'if (state.contiguous > streamOf(longest, rank).contiguous) longest = report;',
        '',
      ),
    ],
  },
  {
    name: 'clocks-within-prefix',
    chapter: 'recovery',
    rule: 'K[s] = the highest clock among the reported pairs with seq ≤ U[s].',
    mutation: 'among all reported pairs',
    patches: [
      patch(
        'core/plan.js',
        'if (pair.seq <= upTo) clock = Math.max(clock, pair.clock);',
        'clock = Math.max(clock, pair.clock);',
      ),
    ],
  },
  {
    name: 'newest-pairs',
    chapter: 'recovery',
    rule: 'A State reports the newest pair of each stream too: it may count with what others hold.',
    mutation: 'only pairs that count are used',
    patches: [
      patch('core/plan.js', 'for (const pair of [counted, newest])', 'for (const pair of [counted])'),
    ],
    scenarios: ['newest-pair-counts'],
  },
  {
    name: 'newest-pair-stays',
    chapter: 'recovery',
    rule: 'From the freeze on the newest pair gives way only to one that counts.',
    mutation: 'to any that is newer',
    patches: [patch('core/stream.js', 'if (this.frozen && seq > this.contiguous)', 'if (false)')],
    scenarios: ['newest-pair-stays'],
  },
  {
    name: 'safe-cut',
    chapter: 'recovery',
    rule: 'In the old regular configuration: up to the first safe message with ts > min R.',
    mutation: 'no safe cut: everything with ts ≤ min K',
    patches: [
      patch(
        'core/install.js',
        'const safe = least(group.streams, stream => stream.received);',
        'const safe = Number.POSITIVE_INFINITY;',
      ),
    ],
  },
  {
    name: 'received-of-together',
    chapter: 'recovery',
    rule: 'R[i] = ∞ for i ∈ T at Install, so that with T = c all of it stays in the regular configuration.',
    mutation: 'R[i] is what is known of them, as of others',
    patches: [
      patch('core/plan.js', 'received: ownerComes ? Number.POSITIVE_INFINITY : received,', 'received,'),
    ],
  },
  {
    name: 'received-known-in-t',
    chapter: 'recovery',
    rule: 'R[i] = the highest received known in T.',
    mutation: 'nothing is known of those who do not come',
    patches: [
      patch(
        'core/plan.js',
        'received: ownerComes ? Number.POSITIVE_INFINITY : received,',
        'received: ownerComes ? Number.POSITIVE_INFINITY : 0,',
      ),
    ],
  },
  {
    name: 'transitional-split',
    chapter: 'recovery',
    rule: 'What is not certain is delivered in the transitional configuration.',
    mutation: 'all of it is delivered in the old regular configuration',
    patches: [
      patch(
        'core/install.js',
        "state.events.push({ type: 'transitional', of: ordering.configuration, members: group.together, consumed });",
        '',
      ),
      patch(
        'core/install.js',
        "if (state.events.length > events) state.cover('delivered beyond min K');",
        "state.events.push({ type: 'transitional', of: ordering.configuration, members: group.together, consumed });",
      ),
    ],
  },
  {
    name: 'beyond-min-k-only-infinite',
    chapter: 'recovery',
    rule: 'Beyond min K only frames whose sender has K = ∞.',
    mutation: 'frames of everybody',
    patches: [
      patch(
        'core/install.js',
        'group.streams.map(stream => stream.clock === everything)',
        'group.streams.map(() => true)',
      ),
    ],
  },
  {
    name: 'beyond-min-k',
    chapter: 'recovery',
    rule: 'Beyond min K the frames whose sender has K = ∞ are delivered.',
    mutation: 'nothing is',
    patches: [
      patch(
        'core/install.js',
        'group.streams.map(stream => stream.clock === everything)',
        'group.streams.map(() => false)',
      ),
    ],
  },
  {
    name: 'caps',
    chapter: 'recovery',
    rule: 'Frames of c may still arrive; only what the Plan says counts: each stream up to U.',
    // The caps alone are implied: a clock that counts with a prefix lies below every frame after it.
    mutation: 'what arrived later is delivered too, as far as clocks heard later reach',
    patches: [
      patch(
        'core/install.js',
        'const caps = group.streams.map(stream => stream.upTo);',
        'const caps = null;',
      ),
      patch(
        'core/install.js',
        'const agreed = least(group.streams, stream => stream.clock);',
        'const agreed = Math.max(least(group.streams, stream => stream.clock), ordering.received());',
      ),
    ],
    scenarios: ['late-frames'],
  },
]
