/**
 * Clients that do not read what they are sent. Bounded in bytes and in time: first warned, and this daemon's credit held so
 * that the whole path slows to what is consumed; past a bound, evicted. What was received stays the truth throughout. The
 * policies differ in how long the others wait for one client (see `SlowClientPolicy`).
 */

import type { Counters } from '../admin/counters.ts'
import type { AdminEvent } from '../admin/events.ts'
import type { SlowClientPolicy } from '../config/config.ts'
import type { NodeLimits } from '../config/limits.ts'
import type { Connection } from './connection.ts'

/** A large message, or a burst, takes a moment to read: that alone is no reason for words. */
const warnAfterMs = 200

export interface SlowClientActions {
  warn(connection: Connection, words: string): void
  evict(connection: Connection, words: string): void
}

export class SlowClients {
  private readonly limits: NodeLimits
  private readonly policy: SlowClientPolicy
  private readonly counters: Counters
  private readonly emit: (event: AdminEvent) => void
  private readonly cell: string
  private readonly lagging: Set<Connection> = new Set()
  private heldSince: number | null = null
  private nextLook: number = Number.POSITIVE_INFINITY

  constructor(
    limits: NodeLimits,
    policy: SlowClientPolicy,
    counters: Counters,
    emit: (event: AdminEvent) => void,
    cell: string,
  ) {
    this.limits = limits
    this.policy = policy
    this.counters = counters
    this.emit = emit
    this.cell = cell
  }

  /** Something was sent to it. */
  look(connection: Connection, now: number): void {
    if (connection.laggingSince !== null || connection.stage !== 'open') return
    if (connection.outstanding <= this.limits.clientQueueBytes) return
    connection.laggingSince = now
    connection.laggingUntil = connection.sent
    connection.warned = false
    this.lagging.add(connection)
    this.nextLook = now
  }

  /** @returns whether credit must be held. */
  tick(now: number, actions: SlowClientActions): boolean {
    for (const connection of this.lagging) this.judge(connection, now, actions)
    const held = this.lagging.size > 0
    if (held && this.heldSince === null) {
      this.heldSince = now
      this.counters.count('cell.credit.holds')
    } else if (!held && this.heldSince !== null) {
      this.counters.count('cell.credit.heldMs', now - this.heldSince)
      this.heldSince = null
    }
    this.nextLook = held ? now + 50 : Number.POSITIVE_INFINITY
    return held
  }

  /**
   * The client read: it lags no more once half of the bound is left. One that keeps up with what it is sent, if only
   * because credit is held, is never further behind than what was under way a moment ago: its time begins again
   * whenever it has read all that was sent when it last began. One that does not get so far in time has had its time.
   */
  acknowledged(connection: Connection, now: number): void {
    if (connection.laggingSince === null) return
    if (connection.outstanding < this.limits.clientQueueBytes / 2) this.forget(connection)
    else if (connection.acknowledged >= connection.laggingUntil) {
      connection.laggingSince = now
      connection.laggingUntil = connection.sent
    }
  }

  /** Our own loop stood still for so long: nobody could read what we did not write. */
  excuse(ms: number): void {
    for (const connection of this.lagging) connection.laggingSince = (connection.laggingSince ?? 0) + ms
  }

  forget(connection: Connection): void {
    connection.laggingSince = null
    this.lagging.delete(connection)
  }

  nextDeadline(): number {
    return this.nextLook
  }

  private warn(connection: Connection, actions: SlowClientActions): void {
    connection.warned = true
    const { outstanding, id } = connection
    this.counters.count('cell.sessions.warned')
    this.counters.count('cell.limits.clientQueueBytes')
    this.emit({ type: 'slowClient', cell: this.cell, session: id, queueBytes: outstanding })
    const { bytes, seconds, policy } = this.policy
    const bounds =
      policy === 'throttle'
        ? `all others wait for it, and after ${seconds} s this session is evicted`
        : `at ${bytes} bytes, or after ${seconds} s, this session is evicted`
    actions.warn(connection, `${outstanding} bytes are waiting to be read; ${bounds}`)
  }

  private judge(connection: Connection, now: number, actions: SlowClientActions): void {
    const { outstanding, laggingSince } = connection
    const { bytes, seconds } = this.policy
    const slowForMs = now - (laggingSince ?? now)
    const reason = outstanding > bytes ? 'bytes' : slowForMs >= seconds * 1000 ? 'seconds' : null
    const late = slowForMs >= Math.min(warnAfterMs, seconds * 250)
    if (!connection.warned && (late || reason !== null)) this.warn(connection, actions)
    if (reason === null) return
    this.forget(connection)
    const event = { type: 'eviction', cell: this.cell, session: connection.id, reason, slowForMs } as const
    this.emit({ ...event, queueBytes: outstanding })
    actions.evict(
      connection,
      reason === 'bytes'
        ? `${outstanding} bytes were not read; the bound is ${this.policy.bytes}`
        : `${outstanding} bytes were not read for ${Math.round(slowForMs)} ms; the bound is ${this.policy.seconds} s`,
    )
  }
}
