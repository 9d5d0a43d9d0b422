/** The scenarios: what each promises, and how that is checked. */

import { manyAtOnce, slowClient, thousandVanish } from './clients.ts'
import {
  clientMidMessage,
  kill,
  longPause,
  restartAtOnce,
  shortPause,
  stalledCoordinator,
} from './crashes.ts'
import { fullDisk, misconfigured, outOfDescriptors, wallClock } from './machine.ts'
import { bridge, deafOrMute, flappingLink, mergeDuringRecovery, partitions } from './partitions.ts'
import type { Scenario } from './scenario.ts'
import { bitFlips, lostMembershipFrame, loss, reorderAndDuplicate, slowDaemon } from './wires.ts'

/** What every one of them promises, too. */
export const alwaysPromised: string =
  'All properties of daemons, sessions and fates hold in the traces of all daemons and clients, nothing ends that the ' +
  'scenario does not end, all come to one view within the bound, and no daemon takes more memory than its bound.'

export const scenarios: readonly Scenario[] = [
  {
    number: 1,
    name: 'kill',
    promise:
      'A daemon is killed: the survivors’ clients have the view without it within 500 ms, its own are told.',
    simulator: ['killed', 'gone-on-without-me'],
    real: kill,
  },
  {
    number: 2,
    name: 'restart-at-once',
    promise: 'Killed and started again at once: a new member, never taken for the old one, in one view.',
    simulator: ['restart-at-once', 'restarted-is-another'],
    real: restartAtOnce,
  },
  {
    number: 3,
    name: 'client-mid-message',
    promise: 'A client dies while it writes: its message is delivered whole at all, or at nobody.',
    simulator: ['client-mid-message'],
    real: clientMidMessage,
  },
  {
    number: 4,
    name: 'short-pause',
    promise: 'A pause shorter than the timeout changes no view.',
    simulator: ['short-pause'],
    real: shortPause,
  },
  {
    number: 5,
    name: 'long-pause',
    promise:
      'A longer pause excludes a daemon; awake it finishes its old configuration and comes back. The others see two views at most.',
    simulator: ['long-pause', 'frozen-member-answers'],
    real: longPause,
  },
  {
    number: 6,
    name: 'stalled-coordinator',
    promise: 'A coordinator that stalls does not keep the others from a new view.',
    simulator: [
      'stalled-coordinator',
      'coordinator-dies-at-form',
      'coordinator-dies-at-state',
      'coordinator-dies-at-plan',
      'coordinator-dies-at-recovered',
      'coordinator-dies-at-install',
    ],
    real: stalledCoordinator,
  },
  {
    number: 7,
    name: 'partitions',
    promise:
      'However the network is cut, every side has its view within 3 s and goes on; healed, all have one.',
    simulator: ['every-partition', 'cut-and-heal', 'three-way-merge'],
    real: partitions,
  },
  {
    number: 8,
    name: 'deaf-or-mute',
    promise:
      'A daemon that is not heard, or does not hear, is left out by all, and taken in again when healed.',
    simulator: ['one-way', 'deaf-to-a-member', 'deaf-coordinator', 'heard-by-nobody'],
    real: deafOrMute,
  },
  {
    number: 9,
    name: 'bridge',
    promise:
      'Two that do not reach each other, and a third that reaches both: few views, and one stable choice.',
    simulator: ['bridge', 'bridge-of-four', 'bridge-settles'],
    real: bridge,
  },
  {
    number: 10,
    name: 'flapping-link',
    promise: 'A link that comes and goes causes fewer views the longer it lasts.',
    simulator: ['flapping-link'],
    real: flappingLink,
  },
  {
    number: 11,
    name: 'loss',
    promise: 'A loss of 1, 5 and 10 % changes no view; with 30 % the order still holds.',
    simulator: ['loss-of-one', 'loss-of-five', 'loss-of-ten', 'loss-of-thirty'],
    real: loss,
  },
  {
    number: 12,
    name: 'reorder-and-duplicate',
    promise: 'Half of all frames out of order and half of them twice: no message twice, none out of order.',
    simulator: ['reorder-and-duplicate', 'replayed-heartbeats', 'late-frames'],
    real: reorderAndDuplicate,
  },
  {
    number: 13,
    name: 'bit-flips',
    promise: 'Flipped bits and missing bytes are noticed, counted and repaired; no message is spoiled.',
    simulator: ['bit-flips'],
    real: bitFlips,
    lacks: 'sealing: against bits that are flipped on purpose',
  },
  {
    number: 14,
    name: 'bit-flips-unchecked',
    promise: 'The same without checksums: nothing crashes.',
    simulator: 'checksums cannot be switched off',
    real: 'checksums cannot be switched off',
    unsupported: 'frames without a checksum',
  },
  {
    number: 15,
    name: 'lost-membership-frame',
    promise: 'One lost frame of any kind of the membership costs some time, and nothing else.',
    simulator: ['lost-membership-frames', 'lost-install', 'lost-announcement'],
    real: lostMembershipFrame,
  },
  {
    number: 16,
    name: 'merge-during-recovery',
    promise: 'Cuts and merges during recoveries, three deep: one view in the end.',
    simulator: ['merge-during-recovery', 'failed-attempt-resumed', 'stale-install'],
    real: mergeDuringRecovery,
  },
  {
    number: 17,
    name: 'slow-daemon',
    promise: 'A daemon that is slow, or behind a slow link, slows the senders down and changes no view.',
    simulator: ['slow-daemon', 'full-window', 'reader-lags'],
    real: slowDaemon,
  },
  {
    number: 18,
    name: 'slow-client',
    promise:
      'A client that does not read is warned, ended within its bounds and told why; others do not notice.',
    simulator: ['slow-client'],
    real: slowClient,
  },
  {
    number: 19,
    name: 'thousand-clients-vanish',
    promise: 'A thousand clients vanish at once: they are out of all views, and nobody else notices.',
    simulator: ['thousand-clients-vanish'],
    real: thousandVanish,
  },
  {
    number: 20,
    name: 'many-at-once',
    promise: 'Thirty daemons boot together, a thousand clients join: one configuration, few on the way.',
    simulator: ['sixteen-boot-together', 'thousand-clients-join', 'booting-together'],
    real: manyAtOnce,
  },
  {
    number: 21,
    name: 'wall-clock',
    promise: 'The wall clock decides nothing: it may jump a day ahead or back.',
    simulator: 'the simulated daemons have no wall clock',
    real: wallClock,
  },
  {
    number: 22,
    name: 'full-disk',
    promise:
      'A full or read-only disk costs lines of the trace, which are counted, or is refused in words. A torn trace is read.',
    simulator: 'the simulated daemons have no disk',
    real: fullDisk,
  },
  {
    number: 23,
    name: 'out-of-descriptors',
    promise:
      'Out of descriptors: new clients are refused in words, old ones are served, and later there is room again.',
    simulator: 'the simulated daemons have no descriptors',
    real: outOfDescriptors,
  },
  {
    number: 24,
    name: 'misconfigured',
    promise:
      'A daemon that does not belong, or a second one of the same name, stays out, and both sides say why.',
    simulator: 'the simulated daemons are configured right',
    real: misconfigured,
    lacks: 'wire upgrade: there is only one version yet',
  },
  {
    number: 25,
    name: 'key-rotation',
    promise:
      'Keys change under load; what was recorded and comes again, or comes without a key, moves nothing.',
    simulator: 'there are no keys',
    real: 'there are no keys',
    unsupported: 'sealing',
  },
]
