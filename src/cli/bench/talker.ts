/** The sending side of a client: as fast as it goes, or so many a second. */

import type { Group } from '../../client/index.ts'
import { nowMicros, Payload, role } from './payload.ts'

/** So many messages are offered in one turn of the event loop, if there is room for them. */
const perTurn = 2000
const lookEveryMs = 1

export class Talker {
  /** Messages accepted so far. */
  accepted = 0
  private readonly groups: readonly Group[]
  private readonly payload: Payload
  private kind: number = role.load
  private stopped = false
  private talking: Promise<void> = Promise.resolve()

  constructor(groups: readonly Group[], size: number) {
    this.groups = groups
    this.payload = new Payload(size)
  }

  /** @param rate messages a second; 0: as many as there is room for. @param firstAt time of the first one, µs. */
  start(rate: number, isProbe: boolean, firstAt: number): void {
    this.kind = isProbe ? role.probe : role.load
    this.talking = rate === 0 ? this.flood() : this.pace(rate, firstAt)
  }

  /** Ends the sending with a last word. */
  async stop(): Promise<void> {
    this.stopped = true
    await this.talking
    this.kind = role.farewell
    while (!this.offer(0)) await this.first.writable()
  }

  private get first(): Group {
    return this.groups[0] as Group
  }

  private async flood(): Promise<void> {
    const { groups } = this
    while (!this.stopped) {
      let run = 0
      while (run < perTurn && this.offer(0)) run++
      if (run < perTurn) await (groups[0] as Group).writable()
      else await new Promise(resolve => setImmediate(resolve))
    }
  }

  /**
   * By an absolute schedule: what was due while the process slept is sent when it wakes, and timed from then. What was due
   * while there was no room is timed from when it was due: who has to wait for room waits for delivery.
   */
  private async pace(rate: number, firstAt: number): Promise<void> {
    const interval = 1e6 / rate
    const isTimed = this.kind === role.probe
    let due = firstAt
    let fullUntil = 0
    while (!this.stopped) {
      let now = nowMicros()
      while (due <= now && !this.stopped) {
        if (this.offer(isTimed ? (due < fullUntil ? due : now) : 0)) {
          due += interval
          now = nowMicros()
          continue
        }
        await this.first.writable()
        now = nowMicros()
        fullUntil = now
      }
      await new Promise(resolve => setTimeout(resolve, lookEveryMs))
    }
  }

  private offer(sentAt: number): boolean {
    const { groups, payload } = this
    payload.stamp(this.kind, this.accepted, sentAt)
    const index = groups.length === 1 ? 0 : Math.floor(Math.random() * groups.length)
    if ((groups[index] as Group).trySend(payload.bytes) === 0) return false
    this.accepted++
    return true
  }
}
