/** Daemons that were lost, with what they last were, so that they need not tell it again. */

import type { Configuration, MemberId } from '../core/types.ts'
import { nameOf } from './telling.ts'
import type { Home } from './view.ts'

export class RememberedHomes {
  readonly #limit: number
  /** The latest lost comes last. */
  readonly #homes: Map<MemberId, Home> = new Map()

  /** @param limit daemons that are remembered at most */
  constructor(limit: number) {
    this.#limit = limit
  }

  get(daemon: MemberId): Home | undefined {
    return this.#homes.get(daemon)
  }

  /** Remembers the lost ones; forgets those who are here again, and beyond the limit the oldest. */
  lose(lost: readonly Home[], configuration: Configuration): void {
    const homes = this.#homes
    for (const home of lost) {
      homes.delete(home.daemon)
      homes.set(home.daemon, home)
    }
    const names = new Set(configuration.members.map(nameOf))
    for (const daemon of homes.keys()) {
      // It is here again, or its name with another incarnation: this one is gone for good.
      if (names.has(nameOf(daemon))) homes.delete(daemon)
    }
    for (const daemon of homes.keys()) {
      if (homes.size <= this.#limit) break
      homes.delete(daemon)
    }
  }
}
