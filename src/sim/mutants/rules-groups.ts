/** Rules of the process groups. */

import { type Mutant, patch } from './mutant.ts'

export const groupRules: readonly Mutant[] = [
  {
    name: 'gate',
    chapter: 'groups',
    rule: 'No daemon orders a client message in c′ before it has delivered the complete exchange.',
    mutation: 'client messages are ordered from the Install on',
    patches: [
      patch('core/install.js', 'state.gateOpen = false;', 'state.gateOpen = true;'),
      patch(
        'groups/groups.js',
        "if (current?.shown !== true) return 'it speaks for a client before the exchange';",
        '',
      ),
    ],
  },
  {
    name: 'exchange-by-order',
    chapter: 'groups',
    rule: 'The exchange consists of ordered messages, and is complete as a function of the delivered sequence.',
    mutation: 'each part of it counts as soon as it arrives',
    patches: [
      patch(
        'core/cell.js',
        'state.announcer.frameReceived(bytesOf(frame));',
        "state.announcer.frameReceived(bytesOf(frame)); state.events.push({ type: 'arrived', sender: members[frame.rank], frame });",
      ),
      patch(
        'core/traffic.js',
        "state.sendToMembers('data', frame); state.announcer.sent(frame.facts);",
        "state.sendToMembers('data', frame); state.announcer.sent(frame.facts); state.events.push({ type: 'arrived', sender: state.self, frame });",
      ),
      patch(
        'groups/groups.js',
        "switch (event.type) { case 'deliver':",
        `switch (event.type) {
          case 'arrived':
            for (const { head } of event.frame.segments) {
              if (head?.kind === 'digest' || head?.kind === 'groupState') this.#exchangeMessage(event.sender, this.#place, head);
            }
            return;
          case 'deliver':`,
      ),
      patch('groups/groups.js', '? this.#exchangeMessage(sender, place, head)', '? null'),
    ],
  },
  {
    name: 'exchange-of-this-configuration',
    chapter: 'groups',
    rule: 'An exchange cut short by another change is dropped by its configuration id.',
    mutation: 'what is left of it is sent and counted in the next one',
    patches: [
      patch('core/install.js', 'state.submissions.dropUrgent();', ''),
      patch('groups/groups.js', 'this.#submissions = this.#submissions.filter(({ urgent }) => !urgent);', ''),
      patch('groups/groups.js', 'if (head.configuration !== current.configuration.id.key) return null;', ''),
    ],
  },
  {
    name: 'along-chain',
    chapter: 'groups',
    rule: 'Who came along over skipped views is the chain of transitional configurations since the last view shown.',
    mutation: 'those of the last transitional configuration',
    patches: [
      patch(
        'groups/groups.js',
        'this.#along = new Set([...this.#along].filter(daemon => together.has(daemon)));',
        'this.#along = together;',
      ),
    ],
  },
  {
    name: 'same-companions',
    chapter: 'groups',
    rule: 'A component is those with the same last shown configuration and the same companions since.',
    mutation: 'those with the same last shown configuration',
    patches: [
      patch(
        'groups/exchange.js',
        'a.lastShown?.key !== b.lastShown?.key || a.along.length !== b.along.length',
        'a.lastShown?.key !== b.lastShown?.key',
      ),
      patch(
        'groups/exchange.js',
        'return a.along.every((daemon, i) => daemon === b.along[i]);',
        'return true;',
      ),
      patch(
        'groups/exchange.js',
        'sameHistory(own, theirs) && own.along.includes(other)',
        'sameHistory(own, theirs)',
      ),
      patch('groups/merge.js', 'const lied = findLie(directory, exchange, own);', 'const lied = null;'),
    ],
    scenarios: ['two-histories'],
  },
  {
    name: 'versions',
    chapter: 'groups',
    rule: 'A state is left out of the exchange only if everybody remembers it in the present version.',
    mutation: 'if everybody remembers any version',
    patches: [
      patch(
        'groups/exchange.js',
        'known.daemon === daemon && known.version === version',
        'known.daemon === daemon',
      ),
      patch(
        'groups/merge.js',
        "invariant(home?.version === version, 'a state is left out only if everybody remembers it', version);",
        '',
      ),
    ],
  },
  {
    name: 'scope-of-transitional-views',
    chapter: 'groups',
    rule: 'In a transitional configuration the scope of view ids names its members.',
    mutation: 'both sides of a cut go on counting in the old scope',
    patches: [patch('groups/groups.js', 'current.scope = `${current.scope}~${bitmapOf(event)}`;', '')],
  },
  {
    name: 'transitional-signal',
    chapter: 'groups',
    rule: 'When a configuration ends, members of views that reach beyond those who come along are told at that point.',
    mutation: 'they are told when the next view is shown',
    patches: [
      patch(
        'groups/groups.js',
        'filter(daemon => together.has(daemon))); this.#signal();',
        'filter(daemon => together.has(daemon)));',
      ),
    ],
  },
  {
    name: 'signal-after-the-cut',
    chapter: 'groups',
    rule: 'A view made after the cut still has the lost members: its signal follows at once.',
    mutation: 'it has none',
    patches: [patch('groups/groups.js', 'if (this.#current?.closing !== null) this.#signalView(group);', '')],
  },
  {
    name: 'origins',
    chapter: 'groups',
    rule: 'The origins of a network view are all the sets that come together.',
    mutation: 'one set is left out',
    patches: [patch('groups/merge.js', 'origins: origins.map(', 'origins: origins.slice(1).map(')],
  },
  {
    name: 'join-order',
    chapter: 'groups',
    rule: 'Members are ordered by when they joined.',
    mutation: 'members that are met are appended as they are told',
    patches: [
      patch('groups/merge.js', 'joined.sort(compareMembers);', ''),
      patch(
        'groups/directory.js',
        'if (last === undefined || compareMembers(last, first) < 0) {',
        'if (true) {',
      ),
      patch(
        'groups/directory.js',
        "invariant(sorted, 'members are in join order', { group: group.name, id: session.id });",
        '',
      ),
    ],
  },
  {
    name: 'each-receiver-once',
    chapter: 'groups',
    rule: 'A message to several groups is received once by a session in several of them.',
    mutation: 'once for each group',
    patches: [
      patch('groups/addressees.js', 'group.local.filter(number => !reached.has(number))', 'group.local'),
    ],
  },
  {
    name: 'self-discard',
    chapter: 'groups',
    rule: 'Self-discard leaves out the sender’s own copy.',
    mutation: 'the sender receives it too',
    patches: [patch('groups/groups.js', 'own !== 0 && head.selfDiscard ? without(all, own) : all', 'all')],
  },
  {
    name: 'consumed-when-delivered',
    chapter: 'groups',
    rule: '`consumed` = X counts at a daemon only once it has delivered everything with ts ≤ X.',
    mutation: 'it counts at once',
    patches: [
      patch(
        'core/stream.js',
        'useConsumed(delivered) {',
        'useConsumed() { const delivered = Number.POSITIVE_INFINITY;',
      ),
      patch('groups/consumption.js', '#horizon = 0;', '#horizon = Number.POSITIVE_INFINITY;'),
    ],
    scenarios: ['consumed-too-early'],
  },
  {
    name: 'closing-holds-consumed',
    chapter: 'groups',
    rule: 'A session that closes holds `consumed` at what it acknowledged until its disconnect is delivered.',
    mutation: 'it no longer counts as soon as it closes',
    patches: [
      patch(
        'groups/acknowledgements.js',
        'this.#holding.add(stream); return stream.final;',
        'this.#holding.delete(stream); return stream.final;',
      ),
    ],
  },
  {
    name: 'consumed-jumps-the-gap',
    chapter: 'groups',
    rule: 'After a disconnect `consumed` jumps over the gap up to its place, and never stands within it.',
    mutation: 'it moves as if the session had never been',
    patches: [
      patch(
        'groups/acknowledgements.js',
        'if (ts < place.ts) this.#ghosts.push({ acknowledged: ts, until: place.ts });',
        '',
      ),
    ],
    scenarios: ['gap-after-disconnect'],
  },
  {
    name: 'older-acknowledged-first',
    chapter: 'groups',
    rule: 'Nothing above 0 is said of a configuration before everything of older ones is acknowledged.',
    mutation: 'what is outstanding from older ones is not counted',
    patches: [
      patch(
        'groups/acknowledgements.js',
        'const ts = point.epoch === this.#epoch ? point.ts : 0;',
        'const ts = point.epoch === this.#epoch ? point.ts : least;',
      ),
    ],
  },
  {
    name: 'plan-tells-consumed',
    chapter: 'groups',
    rule: 'When a configuration ends, the Plan’s `consumed` replaces what each has heard.',
    mutation: 'each goes by what it has heard',
    patches: [
      patch(
        'core/install.js',
        'group.streams.map(stream => stream.consumed)',
        'ordering.streams.map(stream => stream.consumed)',
      ),
      patch('core/recover.js', 'stream.consumed = Math.max(stream.consumed, wanted.consumed);', ''),
    ],
    scenarios: ['acknowledged-and-lost'],
  },
  {
    name: 'plan-tells-consumed-of-all',
    chapter: 'groups',
    rule: 'Also for members that come along.',
    mutation: 'only for those that are lost',
    patches: [
      patch(
        'core/plan.js',
        'consumed, supplier: longest.member,',
        'consumed: ownerComes ? 0 : consumed, supplier: longest.member,',
      ),
      patch(
        'groups/groups.js',
        "invariant(comparePoints(home.acknowledged, point) <= 0, 'a Plan knows all that was used', evidence);",
        '',
      ),
    ],
    scenarios: ['acknowledged-and-lost'],
  },
]
