/** Positions: the place of a message in the order of its cell, as the string that applications see. */

import { MAX_COUNT } from '../codec/client-bytes.ts'
import type { ClientPlace } from '../codec/client.ts'
import { AnasaziError } from '../lib/errors.ts'

/** `epoch.ts.rank.segment.index` */
export type Position = string

/** @param index of the message in its segment. */
export function positionOf(place: ClientPlace, index: number): Position {
  return `${place.epoch}.${place.ts}.${place.rank}.${place.index}.${index}`
}

/** @throws AnasaziError `bad-position`. */
export function placeOf(position: Position): ClientPlace {
  const parts = /^(\d{1,16})\.(\d{1,16})\.(\d{1,10})\.(\d{1,10})\.(\d{1,10})$/.exec(position)
  if (parts === null) throw new AnasaziError('bad-position', `'${position}'.`)
  const place = {
    epoch: Number(parts[1]),
    ts: Number(parts[2]),
    rank: Number(parts[3]),
    index: Number(parts[4]),
  }
  if (place.epoch > MAX_COUNT || place.ts > MAX_COUNT || place.rank >= 2 ** 32 || place.index >= 2 ** 32) {
    throw new AnasaziError('bad-position', `'${position}'.`)
  }
  return place
}

/** Negative if `one` comes before `other` in the order. */
export function comparePlaces(one: ClientPlace, other: ClientPlace): number {
  return one.epoch - other.epoch || one.ts - other.ts || one.rank - other.rank || one.index - other.index
}
