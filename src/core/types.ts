/**
 * The nouns of the ordering core. Pure data: no I/O, no clock, no randomness.
 *
 * Times are milliseconds on a monotonic clock of the host (fractions allowed); sizes are bytes.
 */

/** A daemon's identity: `name#incarnation`, the incarnation being 128 random bits in hex, new at every boot. */
export type MemberId = string

/** Identity of one configuration. Two ids are the same only if `key`, which spells all three parts, is the same. */
export interface ConfigurationId {
  /** 1 + the highest epoch any of its members had seen: later configurations of a member have higher epochs. */
  readonly epoch: number
  readonly coordinator: MemberId
  /** 32 random bits drawn for each attempt. */
  readonly nonce: number
  /** `epoch.coordinator.nonce`, the only thing ids are compared by. */
  readonly key: string
}

/** A regular configuration: who orders messages together. A member's index in `members` is its *rank*. */
export interface Configuration {
  readonly id: ConfigurationId
  /** Sorted; the first is the coordinator. */
  readonly members: readonly MemberId[]
}

/** Delivery guarantee of a message. `fifo` and `causal` are delivered as `agreed`, which contains them. */
export type Service = 'fifo' | 'causal' | 'agreed' | 'safe'

/**
 * What the core orders: an opaque run of bytes with one header, made by a client library or by the group layer.
 * The core reads `safe`, `bytes` and `more`; it never looks into `head` or `body`.
 */
export interface Segment<Head = unknown> {
  /** True: delivered only once every member of the configuration is known to hold it. */
  readonly safe: boolean
  /** True: a fragment; `head` is null and the segment goes on in the next one of the same stream. */
  readonly more: boolean
  /** Header for the layer above; null on all but the last fragment. */
  readonly head: Head | null
  /** What windows count: payload bytes plus a nominal header. */
  readonly bytes: number
  /** The payload, as slices of the chunks they were read in; never concatenated on the way. */
  readonly body: readonly Uint8Array[]
}

/** A place in the total order of one configuration: (ts, rank of sender, index of the segment in its frame). */
export interface Place {
  readonly epoch: number
  readonly ts: number
  readonly rank: number
  readonly index: number
}

/** Monotone facts; every frame of a configuration carries them. They may be lost, repeated, merged or relayed. */
export interface Facts {
  /** Promise: "all my frames with ts ≤ clock have stream seq ≤ seq". */
  readonly clock: number
  readonly seq: number
  /** "I hold every frame, of every member, with ts ≤ received." Always the truth. */
  readonly received: number
  /** "What has ts ≤ credit no longer fills my buffers." The only fact that lagging clients may hold back. */
  readonly credit: number
  /** "Every client session of mine has acknowledged everything with ts ≤ consumed", given by the layer above. */
  readonly consumed: number
}
