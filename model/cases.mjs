/**
 * What check.mjs runs. A size is a set of parameters of the models (see cell.pml): N members, M messages, E facts frames,
 * L events a member, A attempts.
 */

/** The assertions of the models by which a mutant may be caught. */
export const properties = [
  'EVS_1_4_once',
  'EVS_3_self_delivery',
  'EVS_4_same_deliveries',
  'EVS_5_causal',
  'EVS_6_1_one_order',
  'EVS_6_3_presence',
  'EVS_7_1_safe',
  'EVS_well_formed',
  'safe_means_held_by_all',
  'received_is_true',
  'stable_is_held_by_all',
  'delivered_prefixes_of_one',
  'regular_what_can_be',
]

const base = (name, model, size, rest = {}) => ({ name, kind: 'base', model, size, ...rest })

/** All of their states are searched. */
export const bases = [
  base('ordering-3', 'ordering', { N: 3, M: 2, E: 2, L: 2, H: 2 }, { quick: true }),
  base('ordering-deep', 'ordering', { N: 3, M: 3, E: 2, L: 3 }),
  base(
    'broken-promises',
    'ordering',
    { N: 3, M: 2, E: 2, L: 3 },
    { define: ['BROKEN_PROMISES'], note: 'one member breaks its promises' },
  ),
  base('ordering-facts', 'ordering', { N: 3, M: 2, E: 3, L: 2 }),
  base('recovery-one-message', 'recovery', { N: 3, M: 1, E: 0, L: 1, A: 2 }, { quick: true }),
  base('recovery-2', 'recovery', { N: 2, M: 2, E: 1, L: 2, A: 2, H: 2 }),
  base(
    'recovery-2-three-attempts',
    'recovery',
    { N: 2, M: 2, E: 1, L: 2, A: 3 },
    { define: ['ONLY_AGREED'], note: 'agreed' },
  ),
  base('recovery-safe', 'recovery', { N: 3, M: 1, E: 3, L: 2, A: 1 }),
  base('recovery-facts', 'recovery', { N: 3, M: 1, E: 1, L: 2, A: 2 }),
  base('recovery-two-messages', 'recovery', { N: 3, M: 2, E: 0, L: 1, A: 2 }),
  base('recovery-three-attempts', 'recovery', { N: 3, M: 1, E: 0, L: 1, A: 3 }),
  base('recovery-once', 'recovery', { N: 3, M: 2, E: 1, L: 2, A: 1 }, { quick: true }),
  base('recovery-4', 'recovery', { N: 4, M: 1, E: 1, L: 1, A: 2 }, { define: ['ONLY_SAFE'], note: 'safe' }),
]

const sizeOf = name => bases.find(test => test.name === name)

const mutant = (name, of, without, rest = {}) => ({
  name,
  kind: 'mutant',
  of,
  model: sizeOf(of).model,
  size: sizeOf(of).size,
  without,
  define: [...(sizeOf(of).define ?? []), `M_${name.replaceAll('-', '_').toUpperCase()}`],
  ...rest,
})

/** Rules of docs/protocol.md; without each, the size named must violate a property. */
export const mutants = [
  mutant('total-order', 'ordering-3', 'of frames with the same ts each member delivers its own first', {
    quick: true,
  }),
  mutant('order-contains-causality', 'ordering-3', 'a ts is above own promises only'),
  mutant('ts-above-own-promise', 'ordering-3', 'a ts is above the frames seen only'),
  mutant('promise-bound', 'ordering-3', 'a clock counts at once, whatever is missing', { quick: true }),
  mutant('received-is-the-truth', 'ordering-3', '`received` tells the highest ts seen'),
  mutant('agreed-up-to-received', 'ordering-3', 'frames are delivered as they come'),
  mutant('safe-up-to-all-received', 'ordering-3', 'safe messages are delivered at my own `received`', {
    quick: true,
  }),
  mutant('safe-holds-back', 'ordering-facts', 'the streams of others overtake a safe message that waits'),
  mutant('release-when-stable', 'ordering-3', 'buffers are freed by my own `received`'),
  mutant('no-frame-below-a-promise', 'broken-promises', 'a frame that breaks its sender’s word is let in', {
    slow: true,
  }),
  mutant('facts-only-grow', 'recovery-once', 'the clock heard last counts', { slow: true }),
  mutant('form-above-accepted', 'recovery-one-message', 'any Form above the installed epoch is accepted'),
  mutant('plan-of-last-form', 'recovery-one-message', 'a Plan of any attempt is taken', { quick: true }),
  mutant(
    'install-of-last-form',
    'recovery-three-attempts',
    'an Install of any attempt is taken for one of this',
    { slow: true },
  ),
  mutant('one-plan-per-form', 'recovery-one-message', 'a State that arrives late makes another Plan'),
  mutant(
    'new-list-new-form',
    'recovery-once',
    'a lost member is struck from the list, and the attempt goes on',
  ),
  mutant('frozen-sends-nothing', 'recovery-once', 'what is submitted is sent as before'),
  mutant('frozen-tells-nothing', 'recovery-2', 'facts are told as before'),
  mutant('frozen-delivers-nothing', 'recovery-once', 'what becomes deliverable is delivered as before'),
  mutant('frozen-for-good', 'recovery-one-message', 'after a failed attempt the old configuration goes on'),
  mutant(
    'install-when-all-recovered',
    'recovery-one-message',
    'the coordinator installs as soon as one has recovered',
    { quick: true },
  ),
  mutant('silent-before-install', 'recovery-one-message', 'the new configuration is named from Recovered on'),
  mutant('longest-prefix', 'recovery-once', 'U is the prefix that the first of T holds'),
  mutant('clocks-within-prefix', 'recovery-2', 'K is the highest clock reported'),
  mutant('newest-pairs', 'recovery-once', 'only pairs that counted are used'),
  mutant('last-promise', 'recovery-once', 'K is the highest clock reported for T too', { quick: true }),
  mutant('obligations', 'recovery-one-message', 'earlier Plans are forgotten', { quick: true }),
  mutant('infinite-through-plan', 'recovery-2-three-attempts', 'a coordinator adopts an ∞ when it reads it', {
    slow: true,
  }),
  mutant('received-known-in-t', 'recovery-safe', 'nothing is known of those who do not come', { slow: true }),
  mutant('received-of-together', 'recovery-safe', 'R of T is what is known of them, as of others', {
    slow: true,
  }),
  mutant('fetch-before-recovered', 'recovery-once', 'Recovered is said at once'),
  mutant('merge-frames', 'recovery-one-message', 'a State reports what was held at the first Form'),
  mutant('merge-clocks', 'recovery-4', 'the finite clocks of a Plan are not merged', { slow: true }),
  mutant('merge-infinite', 'recovery-one-message', 'the ∞ of a Plan are not merged', { quick: true }),
  mutant(
    'safe-cut',
    'recovery-once',
    'everything up to the least K is delivered in the regular configuration',
    { quick: true },
  ),
  mutant(
    'transitional-split',
    'recovery-once',
    'all up to the least K stays in the old regular configuration',
  ),
  mutant('beyond-min-k', 'recovery-once', 'nothing is delivered beyond the least K'),
  mutant(
    'beyond-min-k-only-infinite',
    'recovery-once',
    'frames of everybody are delivered beyond the least K',
  ),
  mutant('caps', 'recovery-once', 'what arrived later is delivered too, as far as clocks heard later reach'),
]

const situation = (name, of, what, rest = {}) => ({
  name,
  kind: 'situation',
  of,
  model: sizeOf(of).model,
  size: sizeOf(of).size,
  what,
  define: [
    ...(sizeOf(of).define ?? []),
    'REACH',
    'KEEP_ATTEMPTS',
    `REACH_${name.replaceAll('-', '_').toUpperCase()}`,
  ],
  ...rest,
})

/** What a model must reach, or it would prove nothing. */
export const situations = [
  situation('safe-delivered', 'ordering-3', 'a safe message is delivered'),
  situation(
    'safe-holds-back',
    'ordering-3',
    'an agreed message that could be delivered waits behind a safe one',
  ),
  situation('pair-waits', 'ordering-3', 'a promise is heard before the frames that it speaks of'),
  situation('promised-ahead', 'ordering-3', 'a message is delivered before a silent member has it'),
  situation('transitional', 'recovery-once', 'a message is delivered in a transitional configuration', {
    quick: true,
  }),
  situation('safe-cut', 'recovery-once', 'a safe message holds back in the old regular configuration'),
  situation('beyond-min-k', 'recovery-once', 'a frame is delivered beyond the least K'),
  situation('dropped', 'recovery-once', 'a frame that is held is dropped'),
  situation('late-frame', 'recovery-one-message', 'a frame beyond U has arrived at Install'),
  situation('obligation-wider-than-t', 'recovery-one-message', 'an obligation is wider than T'),
  situation(
    'obligation-delivers',
    'recovery-one-message',
    'it makes a message of somebody who is not in T be delivered',
    { quick: true },
  ),
  situation(
    'install-lost',
    'recovery-one-message',
    'an Install was lost; what the others delivered by it follows in another configuration',
    { quick: true },
  ),
  situation('same-epoch', 'recovery-one-message', 'two configurations with the same epoch are installed'),
  situation(
    'safe-on-both-sides',
    'recovery-one-message',
    'a safe message is delivered in the transitional configurations of both sides',
  ),
  situation(
    'regular-and-transitional',
    'recovery-one-message',
    'a message is delivered in the regular configuration here, in a transitional one there',
  ),
  situation(
    'third-attempt',
    'recovery-three-attempts',
    'a member installs with others after two attempts that failed',
  ),
]
