/** Comparing places. Along the history of one process epochs grow, so places compare across its configurations. */

import type { Place } from '../core/types.ts'
import type { Point } from './types.ts'

/** Order of two places: negative, 0 or positive. */
export function comparePlaces(a: Place, b: Place): number {
  return a.epoch - b.epoch || a.ts - b.ts || a.rank - b.rank || a.index - b.index
}

export function comparePoints(a: Point, b: Point): number {
  return a.epoch - b.epoch || a.ts - b.ts
}

/** True if everything up to the point includes what lies at the place. */
export function covers(point: Point, place: Point): boolean {
  return place.epoch < point.epoch || (place.epoch === point.epoch && place.ts <= point.ts)
}

/** The last place with this epoch and ts: everything up to the point, as a place. */
export function endOf(point: Point): Place {
  return { epoch: point.epoch, ts: point.ts, rank: 0xffff, index: 0xffffffff }
}
