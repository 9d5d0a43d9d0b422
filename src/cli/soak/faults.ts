/** What goes wrong, drawn from a seed: which fault, whom it hits, how long it lasts. */

import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../../lib/prng.ts'
import type { Daemons } from './daemons.ts'
import type { Players } from './players.ts'
import type { Wires } from './wires.ts'

export type FaultKind =
  | 'kill'
  | 'restart'
  | 'pause'
  | 'longPause'
  | 'cut'
  | 'oneWay'
  | 'reset'
  | 'clientKill'
  | 'clientPause'

interface FaultTraits {
  /** How often it is drawn, in proportion. */
  readonly weight: number
  /** Least and most ms. */
  readonly lasts: readonly [number, number]
}

/** What each does to its targets is said in `docs/soak.md`. */
export const faultKinds: Readonly<Record<FaultKind, FaultTraits>> = {
  kill: { weight: 3, lasts: [100, 3000] },
  restart: { weight: 1, lasts: [0, 2000] },
  pause: { weight: 3, lasts: [50, 800] },
  longPause: { weight: 2, lasts: [1500, 6000] },
  cut: { weight: 3, lasts: [200, 6000] },
  oneWay: { weight: 1, lasts: [200, 6000] },
  reset: { weight: 3, lasts: [0, 0] },
  clientKill: { weight: 2, lasts: [100, 2000] },
  clientPause: { weight: 1, lasts: [100, 5000] },
}

export interface Fault {
  readonly kind: FaultKind
  /** Whom it hits; of `cut` one side, of `oneWay` from whom to whom. */
  readonly targets: readonly string[]
  readonly lastsMs: number
}

/** Whom faults may hit. */
export interface Field {
  readonly daemons: readonly string[]
  /** Those of them that may be ended. The others live from beginning to end, so that leaks show. */
  readonly mortal: readonly string[]
  readonly clients: readonly string[]
  readonly mortalClients: readonly string[]
}

const kindsByWeight: readonly FaultKind[] = (Object.keys(faultKinds) as FaultKind[]).flatMap(kind =>
  Array.from({ length: faultKinds[kind].weight }, () => kind),
)

/** Draws one. What is drawn depends on the seed alone, not on what happens. */
export function drawFault(random: Random, field: Field): Fault {
  const kind = random.pick(kindsByWeight)
  const [least, most] = faultKinds[kind].lasts
  return { kind, targets: drawTargets(random, kind, field), lastsMs: random.between(least, most) }
}

function drawTargets(random: Random, kind: FaultKind, field: Field): string[] {
  const { daemons } = field
  switch (kind) {
    case 'kill':
    case 'restart':
      return [random.pick(field.mortal)]
    case 'cut':
      return random.shuffle([...daemons]).slice(0, random.between(1, daemons.length - 1))
    case 'oneWay':
      return random.shuffle([...daemons]).slice(0, 2)
    case 'clientKill':
      return [random.pick(field.mortalClients)]
    case 'clientPause':
      return [random.pick(field.clients)]
    default:
      return [random.pick(daemons)]
  }
}

/** Faults under way at a time. More leave nobody to talk to. */
const mostAtOnce = 3

/** Lets faults happen, several at a time, but never two of the same kind of thing to the same target. */
export class Faults {
  readonly counts: Record<FaultKind, number>
  private readonly daemons: Daemons
  private readonly players: Players
  private readonly wires: Wires
  private readonly busy = new Set<string>()
  private readonly active = new Set<Promise<void>>()
  private healing = new AbortController()
  private readonly onFailure: (error: unknown) => void

  constructor(daemons: Daemons, players: Players, wires: Wires, onFailure: (error: unknown) => void) {
    this.daemons = daemons
    this.players = players
    this.wires = wires
    this.onFailure = onFailure
    this.counts = Object.fromEntries(Object.keys(faultKinds).map(kind => [kind, 0])) as Record<
      FaultKind,
      number
    >
  }

  get total(): number {
    return Object.values(this.counts).reduce((sum, count) => sum + count, 0)
  }

  /** Begins it, unless its target suffers already or enough is going on. @returns whether it began. */
  begin(fault: Fault): boolean {
    // The network is one thing: what heals one cut would heal another.
    const held = ['cut', 'oneWay', 'reset'].includes(fault.kind) ? ['network'] : fault.targets
    if (this.active.size >= mostAtOnce || held.some(target => this.busy.has(target))) return false
    for (const target of held) this.busy.add(target)
    this.counts[fault.kind]++
    const happening: Promise<void> = this.happen(fault)
      .catch(this.onFailure)
      .then(() => {
        for (const target of held) this.busy.delete(target)
        this.active.delete(happening)
      })
    this.active.add(happening)
    return true
  }

  /** Ends everything that goes on; resolves when it has: whoever was down is up again. */
  async heal(): Promise<void> {
    this.healing.abort()
    await Promise.all(this.active)
    this.healing = new AbortController()
  }

  private async happen({ kind, targets, lastsMs }: Fault): Promise<void> {
    const target = targets[0] as string
    switch (kind) {
      case 'kill':
      case 'restart':
        await this.daemons.end(target, kind === 'kill' ? 'SIGKILL' : 'SIGTERM')
        await this.lasts(lastsMs)
        return this.daemons.start(target)
      case 'pause':
      case 'longPause':
        this.daemons.signal(target, 'SIGSTOP')
        await this.lasts(lastsMs)
        return this.daemons.signal(target, 'SIGCONT')
      case 'reset':
        return this.wires.reset(target)
      case 'clientKill':
        await this.players.kill(target)
        await this.lasts(lastsMs)
        return this.players.start(target)
      case 'clientPause':
        this.players.signal(target, 'SIGSTOP')
        await this.lasts(lastsMs)
        return this.players.signal(target, 'SIGCONT')
      case 'cut': {
        const others = this.daemons.names.filter(name => !targets.includes(name))
        this.wires.links.split(targets, others)
        await this.lasts(lastsMs)
        return this.wires.links.heal()
      }
      case 'oneWay':
        this.wires.links.drop(target, targets[1] as string)
        await this.lasts(lastsMs)
        return this.wires.links.heal()
    }
  }

  private async lasts(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.healing.signal }).catch(() => {})
  }
}
