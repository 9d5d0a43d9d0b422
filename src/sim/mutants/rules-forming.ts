/** Rules of Form, freezing, Plan and Install as a conversation: who may answer what, and when. */

import { type Mutant, patch } from './mutant.ts'

const resumedInvariant = patch(
  'core/invariants.js',
  "invariant(phase.name !== 'operational' || !state.frozen, 'a frozen configuration is never resumed');",
  '',
)

export const formingRules: readonly Mutant[] = [
  {
    name: 'form-above-accepted',
    chapter: 'forming',
    rule: 'Accept only a Form whose epoch is above every epoch I have accepted.',
    mutation: 'any Form above the installed epoch is accepted',
    patches: [
      patch(
        'core/recover.js',
        'const epoch = Math.max(state.ballot, state.ordering.configuration.id.epoch);',
        'const epoch = state.ordering.configuration.id.epoch;',
      ),
    ],
    scenarios: ['old-form'],
  },
  {
    name: 'refuse-in-words',
    chapter: 'forming',
    rule: 'Otherwise refuse, with my epoch.',
    mutation: 'a Form that cannot be accepted is not answered',
    patches: [
      patch(
        'core/recover.js',
        "state.send([to], 'control', { kind: 'refuse', configuration, epoch: state.maxEpoch, why });",
        '',
      ),
    ],
    scenarios: ['refused-form'],
  },
  {
    name: 'epoch-above-all-seen',
    chapter: 'forming',
    rule: 'The epoch of an attempt is 1 + the highest that any of its members has seen.',
    mutation: '1 + the epoch of the installed configuration',
    patches: [
      patch(
        'core/gather.js',
        'const epoch = Math.max(state.maxEpoch, state.ballot) + 1;',
        'const epoch = state.ordering.configuration.id.epoch + 1;',
      ),
    ],
  },
  {
    name: 'deaf-refuses',
    chapter: 'forming',
    rule: 'A pair that cannot hear each other never ends up in one configuration: a Form with a member I do not hear is refused.',
    mutation: 'it is accepted',
    patches: [
      patch(
        'core/recover.js',
        'else if (!members.every(member => state.peers.hears(member))) {',
        'else if (false) {',
      ),
    ],
    scenarios: ['deaf-to-a-member'],
  },
  {
    name: 'plan-of-last-form',
    chapter: 'forming',
    rule: 'Only the last accepted Form’s Plan counts.',
    mutation: 'a Plan of any attempt is taken',
    patches: [
      patch(
        'core/recover.js',
        'const phase = attempt(state, frame.configuration); if (phase === null || from !== coordinatorOf(phase)) {',
        "const phase = state.phase.name === 'recover' && state.phase.coordination === null ? state.phase : null; if (phase === null) {",
      ),
      patch(
        'core/recover.js',
        'if (phase.plan !== null) { answerAgain',
        'if (phase.plan?.configuration.key === frame.configuration.key) { answerAgain',
      ),
      patch('core/recover.js', 'sameMembers(frame.members, phase.form.members) &&', ''),
      // Recovered goes to whoever planned, Install comes from there.
      patch(
        'core/recover.js',
        "state.send([coordinatorOf(phase)], 'control', recoveredFrame(phase)); }",
        "state.send([plan.configuration.coordinator], 'control', { kind: 'recovered', configuration: plan.configuration }); }",
      ),
      patch(
        'core/recover.js',
        'const phase = attempt(state, frame.configuration); if (phase === null || !phase.recovered || phase.plan === null || from !== coordinatorOf(phase)) {',
        "const phase = state.phase.name === 'recover' ? state.phase : null; if (phase === null || !phase.recovered || phase.plan?.configuration.key !== frame.configuration.key) {",
      ),
    ],
    scenarios: ['old-plan'],
  },
  {
    name: 'install-of-last-form',
    chapter: 'forming',
    rule: 'Only the last accepted Form’s Install counts.',
    mutation: 'an Install of any attempt is taken for one of this',
    patches: [
      patch(
        'core/recover.js',
        'const phase = attempt(state, frame.configuration); if (phase === null || !phase.recovered || phase.plan === null || from !== coordinatorOf(phase)) {',
        "const phase = state.phase.name === 'recover' ? state.phase : null; if (phase === null || !phase.recovered || phase.plan === null) {",
      ),
    ],
    scenarios: ['old-install'],
  },
  {
    name: 'one-plan-per-form',
    chapter: 'forming',
    rule: 'One Plan per Form.',
    mutation:
      'the coordinator plans again with every State that arrives later, and members take the newest Plan',
    patches: [
      patch(
        'core/recover.js',
        'if (phase.plan !== null || states.size < phase.form.members.length)',
        'if (states.size < phase.form.members.length)',
      ),
      patch('core/recover.js', 'if (phase.plan !== null) { answerAgain(state, phase); return; }', ''),
    ],
    scenarios: ['late-state'],
  },
  {
    name: 'new-list-new-form',
    chapter: 'forming',
    rule: 'Another member list needs another Form.',
    mutation: 'a member that is lost is struck from the list, and the attempt goes on',
    patches: [
      patch(
        'core/recover.js',
        "becomeGather(state, 'a member of the attempt was lost', now); return; }",
        `const rest = members.filter(member => state.peers.hears(member));
         phase.form = { ...phase.form, members: rest };
         for (const member of members) if (!rest.includes(member)) coordination.states.delete(member);
         coordination.recovered.clear();
         phase.recovered = false;
         phase.plan = null;
         takeState(state, phase, state.self, reportState(state, phase.form.configuration), now);
         return;
        }`,
      ),
      patch('core/recover.js', 'sameMembers(frame.members, phase.form.members) &&', ''),
    ],
  },
  {
    name: 'frozen-sends-nothing',
    chapter: 'forming',
    rule: 'From an accepted Form on I emit no frame in c; submissions queue for the next configuration.',
    mutation: 'what is submitted is sent in c as before',
    patches: [
      patch(
        'core/traffic.js',
        'if (!state.frozen) { sendFrames(state, now);',
        'sendFrames(state, now); if (!state.frozen) {',
      ),
    ],
  },
  {
    name: 'frozen-tells-nothing',
    chapter: 'forming',
    rule: 'From an accepted Form on I emit no fact in c.',
    mutation: 'heartbeats and announcements go on telling my facts',
    patches: [
      patch(
        'core/liveness.js',
        'const facts = state.frozen ? null : ordering.facts(ordering.received());',
        'const facts = ordering.facts(ordering.received());',
      ),
      patch(
        'core/liveness.js',
        'if (!state.frozen) state.announcer.promise(ordering, now);',
        'state.announcer.promise(ordering, now);',
      ),
      patch(
        'core/traffic.js',
        'repairTurn(state, now); } function sendFrames',
        'else announceTurn(state, state.ordering.received(), now); repairTurn(state, now); } function sendFrames',
      ),
      patch('core/traffic.js', 'if (state.frozen) return; if (frame.wants', 'if (frame.wants'),
    ],
    scenarios: ['frozen-member-answers'],
  },
  {
    name: 'frozen-delivers-nothing',
    chapter: 'forming',
    rule: 'From an accepted Form on I deliver nothing in c.',
    mutation: 'what becomes deliverable is delivered as before',
    patches: [
      patch(
        'core/traffic.js',
        'repairTurn(state, now); } function sendFrames',
        'else deliverTurn(state); repairTurn(state, now); } function sendFrames',
      ),
    ],
    scenarios: ['late-frames'],
  },
  {
    name: 'frozen-for-good',
    chapter: 'forming',
    rule: 'A frozen configuration is never resumed: the only exit is an Install.',
    mutation: 'after a failed attempt the old configuration goes on if all its members are back',
    patches: [
      patch(
        'core/gather.js',
        'if (!state.frozen && discontent(state) === null) {',
        'if (discontent(state) === null) { state.frozen = false;',
      ),
      resumedInvariant,
    ],
    scenarios: ['failed-attempt-resumed'],
  },
  {
    name: 'install-when-all-recovered',
    chapter: 'forming',
    rule: 'Install only when every member has sent Recovered.',
    mutation: 'the coordinator installs as soon as one has',
    patches: [patch('core/recover.js', 'if (recovered.size < phase.form.members.length) return;', '')],
  },
  {
    name: 'lost-install',
    chapter: 'forming',
    rule: 'The first frame of c′ is an Install for whoever holds exactly that Plan.',
    mutation: 'only an Install is',
    patches: [
      patch(
        'core/recover.js',
        "if (phase === null || !phase.recovered || phase.plan === null) return; state.cover('Install by first frame');",
        'return;',
      ),
    ],
    scenarios: ['install-never-comes'],
  },
  {
    name: 'silent-before-install',
    chapter: 'forming',
    rule: 'Nothing about a configuration c′ is said before its owner installed it.',
    mutation: 'heartbeats name c′ from Recovered on',
    patches: [
      patch(
        'core/liveness.js',
        'configuration: ordering.configuration.id, ballot: state.ballot,',
        "configuration: phase.name === 'recover' && phase.recovered ? phase.form.configuration : ordering.configuration.id, ballot: state.ballot,",
      ),
    ],
  },
  {
    name: 'attempts-end',
    chapter: 'forming',
    rule: 'Progress of an attempt is measured in time.',
    mutation: 'a coordinator waits for ever for an answer',
    patches: [
      patch(
        'core/recover.js',
        'if (now >= phase.deadline) { for (const member of missing)',
        'if (false) { for (const member of missing)',
      ),
    ],
    scenarios: ['no-state-arrives'],
  },
  {
    name: 'recovered-waits',
    chapter: 'forming',
    rule: 'Who has recovered waits for as long as the coordinator goes on: that one sees what others fetch.',
    mutation: 'it goes by what it sees itself',
    patches: [
      patch(
        'core/recover.js',
        "if (now >= phase.deadline && phase.recovered && last?.ballot === epoch && last.phase === 'recover')",
        'if (false)',
      ),
    ],
    scenarios: ['slow-supplier'],
  },
  {
    name: 'failed-attempt-removes',
    chapter: 'forming',
    rule: 'Each failed attempt removes a member or an edge.',
    mutation: 'the next attempt is with the same members',
    patches: [
      patch(
        'core/recover.js',
        "for (const member of missing) state.peers.lose(member, 'unresponsive', now);",
        '',
      ),
    ],
    scenarios: ['no-state-arrives'],
  },
  {
    name: 'whole-id',
    chapter: 'forming',
    rule: 'Everything is tagged with the full configuration id; nothing matches on a part of it.',
    mutation: 'configurations of the same epoch are taken for the same',
    patches: [
      patch(
        'core/configuration.js',
        'return a === b || a.key === b.key;',
        'return a === b || a.epoch === b.epoch;',
      ),
    ],
    scenarios: ['cut-and-heal'],
  },
  {
    name: 'together-by-whole-id',
    chapter: 'forming',
    rule: 'T = those who come together from the same configuration, by its full id.',
    mutation: 'from configurations of the same epoch',
    patches: [
      patch('core/plan.js', 'const { key } = report.state.old;', 'const key = report.state.old.epoch;'),
    ],
    scenarios: ['cut-and-heal'],
  },
]
