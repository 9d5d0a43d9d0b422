/**
 * Clients that do not read what they are sent. Bounded in bytes and in time: first warned, and this daemon's credit held so
 * that the whole path slows to what is consumed; past a bound, evicted. What was received stays the truth throughout.
 */

import type { Counters } from '../admin/counters.ts'
import type { AdminEvent } from '../admin/events.ts'
import type { SlowClientPolicy } from '../config/config.ts'
import type { NodeLimits } from '../config/limits.ts'
import type { Connection } from './connection.ts'

/** A large message, or a burst, takes a moment to read: that alone is no reason for words. */
const warnAfterMs = 200

export class SlowClients {
  private readonly limits: NodeLimits
  private readonly policy: SlowClientPolicy
  private readonly counters: Counters
  private readonly emit: (event: AdminEvent) => void
  private readonly cell: string
  private readonly lagging: Set<Connection> = new Set()
  private heldSince: number | null = null
  private nextLook = 0

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

  /** @returns whether credit must be held. */
  tick(
    connections: Iterable<Connection>,
    now: number,
    evict: (c: Connection, words: string) => void,
  ): boolean {
    for (const connection of connections) {
      if (connection.outstanding > this.limits.clientQueueBytes && connection.stage === 'open') {
        this.begin(connection, now)
      }
    }
    for (const connection of this.lagging) this.judge(connection, now, evict)
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

  /** The client read: it lags no more once half of the bound is left. */
  acknowledged(connection: Connection, _now: number): void {
    if (connection.laggingSince !== null && connection.outstanding < this.limits.clientQueueBytes / 2) {
      this.forget(connection)
    }
  }

  forget(connection: Connection): void {
    connection.laggingSince = null
    this.lagging.delete(connection)
  }

  nextDeadline(): number {
    return this.nextLook
  }

  private begin(connection: Connection, now: number): void {
    if (connection.laggingSince !== null) return
    connection.laggingSince = now
    connection.warned = false
    this.lagging.add(connection)
  }

  private warn(connection: Connection): void {
    connection.warned = true
    const { outstanding, id } = connection
    this.counters.count('cell.sessions.warned')
    this.counters.count('cell.limits.clientQueueBytes')
    this.emit({ type: 'slowClient', cell: this.cell, session: id, queueBytes: outstanding })
    const { bytes, seconds } = this.policy
    connection.send({
      kind: 'warning',
      code: 'slow',
      message: `${outstanding} bytes are waiting to be read; at ${bytes} bytes, or after ${seconds} s, this session is evicted`,
    })
  }

  private judge(connection: Connection, now: number, evict: (c: Connection, words: string) => void): void {
    const slowForMs = now - (connection.laggingSince ?? now)
    const { outstanding } = connection
    if (!connection.warned && slowForMs >= Math.min(warnAfterMs, this.policy.seconds * 250))
      this.warn(connection)
    const reason =
      outstanding > this.policy.bytes ? 'bytes' : slowForMs >= this.policy.seconds * 1000 ? 'seconds' : null
    if (reason === null) return
    this.forget(connection)
    const event = { type: 'eviction', cell: this.cell, session: connection.id, reason, slowForMs } as const
    this.emit({ ...event, queueBytes: outstanding })
    evict(
      connection,
      reason === 'bytes'
        ? `${outstanding} bytes were not read; the bound is ${this.policy.bytes}`
        : `${outstanding} bytes were not read for ${Math.round(slowForMs)} ms; the bound is ${this.policy.seconds} s`,
    )
  }
}
