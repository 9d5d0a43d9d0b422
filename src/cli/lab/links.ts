/** The links between daemons of a laboratory, which can be broken: of real hosts, or relays on loopback. */

import { frameKinds } from './frame-cutter.ts'
import { Relay } from './relay.ts'
import { type Damage, type Faults, Weather } from './weather.ts'

export interface Links {
  readonly kind: 'network' | 'relays'
  /** Prefix of a command that shall run on the host. */
  within(host: string): readonly string[]
  /** Cuts everything into parts that do not reach each other; hosts not named are alone. */
  split(...sides: readonly (readonly string[])[]): void
  /** Two hosts no longer reach each other; whom they both reach stays. */
  cut(a: string, b: string): void
  /** What `from` sends no longer reaches `to`. */
  drop(from: string, to: string): void
  /** Loses so many of a hundred on every way: packets on a network, whole frames in relays. */
  lose(percent: number): void
  /** What a host sends passes no faster. */
  limit(host: string, bytesPerSecond: number): void
  /** As it was at the beginning. */
  heal(): void
  close(): void | Promise<void>
}

/** A relay for every pair of daemons and direction of dialling, on loopback; needs no privileges. */
export class RelayLinks implements Links {
  readonly kind = 'relays'
  private readonly hosts: readonly string[]
  private readonly weathers = new Map<string, Weather>()
  private readonly faults = new Map<string, Partial<Faults>>()
  private readonly relays: Relay[] = []

  constructor(hosts: readonly string[]) {
    this.hosts = hosts
    for (const from of hosts) {
      for (const to of hosts) {
        if (from !== to) this.weathers.set(`${from} ${to}`, new Weather(this.weathers.size + 1))
      }
    }
  }

  /** Where one daemon finds another: as `LabOptions.route` wants it. */
  async route(from: string, to: string, target: string): Promise<string> {
    const relay = await Relay.listen(target, { forth: this.weather(from, to), back: this.weather(to, from) })
    this.relays.push(relay)
    return relay.address
  }

  within(): readonly string[] {
    return []
  }

  /** What happened to bytes and frames so far, on all ways together. */
  get damage(): Damage {
    const sum: Damage = { flipped: 0, swallowed: 0, lost: 0, doubled: 0, swapped: 0 }
    for (const { damage } of this.weathers.values()) {
      for (const kind of Object.keys(sum) as (keyof Damage)[]) sum[kind] += damage[kind]
    }
    return sum
  }

  /** Adds faults to every way. */
  all(faults: Partial<Faults>): void {
    for (const way of this.weathers.keys()) this.add(way, faults)
  }

  /** Resets all connections. @returns how many. */
  reset(): number {
    return this.relays.reduce((sum, relay) => sum + relay.reset(), 0)
  }

  /** Loses the next frame of a kind on a way. */
  dropNext(kind: string, from: string, to: string): void {
    this.weather(from, to).drop(numberOf(kind))
  }

  /** Flips a bit in the length of the next frame of a kind on a way: all that follows seems to belong to it. */
  stretchNext(kind: string, from: string, to: string): void {
    this.weather(from, to).stretch(numberOf(kind))
  }

  split(...sides: readonly (readonly string[])[]): void {
    const sideOf = (host: string): readonly string[] => sides.find(side => side.includes(host)) ?? [host]
    for (const from of this.hosts) {
      for (const to of this.hosts) if (from !== to && !sideOf(from).includes(to)) this.drop(from, to)
    }
  }

  cut(a: string, b: string): void {
    this.drop(a, b)
    this.drop(b, a)
  }

  drop(from: string, to: string): void {
    this.add(`${from} ${to}`, { stalled: true })
  }

  lose(percent: number): void {
    this.all({ loseFrames: percent / 100 })
  }

  limit(host: string, bytesPerSecond: number): void {
    for (const to of this.hosts) if (to !== host) this.add(`${host} ${to}`, { bytesPerSecond })
  }

  heal(): void {
    this.faults.clear()
    for (const weather of this.weathers.values()) {
      weather.rules.length = 0
      weather.set({})
    }
  }

  async close(): Promise<void> {
    for (const relay of this.relays) await relay.close()
  }

  private add(way: string, more: Partial<Faults>): void {
    const faults = { ...this.faults.get(way), ...more }
    this.faults.set(way, faults)
    this.weathers.get(way)?.set(faults)
  }

  private weather(from: string, to: string): Weather {
    const weather = this.weathers.get(`${from} ${to}`)
    if (weather === undefined) throw new RangeError(`there is no way from ${from} to ${to}`)
    return weather
  }
}

function numberOf(kind: string): number {
  const number = frameKinds[kind]
  if (number === undefined) throw new RangeError(`no frames of kind ${kind}`)
  return number
}
