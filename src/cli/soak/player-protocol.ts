/** What a soak and its client processes tell each other; plain data, over the channel of a forked process. */

export interface PlayerTask {
  /** First part of the names of its sessions; unique for each process. */
  readonly name: string
  /** The daemon's address. */
  readonly address: string
  readonly seed: number
  readonly sessions: number
  readonly groups: readonly string[]
  /** What all its sessions together send, messages a second. */
  readonly rate: number
  /** File for the trace of all its sessions. */
  readonly trace: string
}

/** `drain`, `barrier` and `rotate` come one after the other, each when the one before is done everywhere. */
export type PlayerCommand =
  | { readonly kind: 'start'; readonly task: PlayerTask }
  /** Begin nothing new. */
  | { readonly kind: 'pause' }
  /** Done when everything begun has ended, and the fate of everything sent is settled. */
  | { readonly kind: 'drain' }
  /** Done when everything that was ordered so far has been read by everyone. */
  | { readonly kind: 'barrier' }
  /** What follows is traced in another file, which begins with where the sessions are. */
  | { readonly kind: 'rotate'; readonly trace: string }
  | { readonly kind: 'resume' }
  | { readonly kind: 'end' }

export interface PlayerTotals {
  readonly sent: number
  readonly received: number
  /** Views shown. */
  readonly views: number
  /** Fates told. */
  readonly fates: number
  /** Sessions that were opened, and those of them that were lost. */
  readonly opened: number
  readonly lost: number
}

export const noTotals: PlayerTotals = { sent: 0, received: 0, views: 0, fates: 0, opened: 0, lost: 0 }

export type PlayerReport =
  | { readonly kind: 'done'; readonly command: PlayerCommand['kind'] }
  | { readonly kind: 'totals'; readonly totals: PlayerTotals }
