/**
 * Who hears whom, and what follows from it. Pure functions of the rows: two members with the same rows compute the
 * same cliques, so a pair that cannot hear each other never wants one configuration, and a bridge (A–B–C without
 * A–C) settles in one stable choice.
 */

import { fnv1a } from '../lib/hash.ts'
import { sortMembers } from './configuration.ts'
import type { Row } from './frames.ts'
import type { MemberId } from './types.ts'

export type Matrix = ReadonlyMap<MemberId, Row>

/** An edge exists only where both ends say that they hear the other. */
export function hearEachOther(matrix: Matrix, a: MemberId, b: MemberId): boolean {
  return (matrix.get(a)?.hears.includes(b) ?? false) && (matrix.get(b)?.hears.includes(a) ?? false)
}

/** True if every pair of `members` hears each other. */
export function isClique(matrix: Matrix, members: readonly MemberId[]): boolean {
  return members.every((a, i) => members.every((b, j) => j <= i || hearEachOther(matrix, a, b)))
}

/** Order-independent digest of all rows: equal digests mean (but for collisions, which only delay) equal rows. */
export function digestMatrix(matrix: Matrix): number {
  let digest = 0
  for (const row of matrix.values()) digest = (digest + digestRow(row)) >>> 0
  return digest
}

/** A row never changes, and few do when the matrix does. */
const digests = new WeakMap<Row, number>()

function digestRow(row: Row): number {
  let digest = digests.get(row)
  if (digest === undefined) {
    // What a row says is part of it: of two that a liar gave the same version, both must be seen to differ.
    digest = fnv1a(`${row.member}/${row.version}/${row.hears.join()}`)
    digests.set(row, digest)
  }
  return digest
}

/** Members reachable from `self` over mutual edges: only their rows decide. */
function component(matrix: Matrix, self: MemberId): MemberId[] {
  const seen = new Set<MemberId>([self])
  for (const member of seen) {
    for (const other of matrix.get(member)?.hears ?? []) {
      if (!seen.has(other) && hearEachOther(matrix, member, other)) seen.add(other)
    }
  }
  return sortMembers(seen)
}

/** Grows a clique from `first`, taking candidates in order. */
function growClique(
  edges: ReadonlyMap<MemberId, ReadonlySet<MemberId>>,
  first: MemberId,
  candidates: readonly MemberId[],
  max: number,
): MemberId[] {
  const clique = [first]
  for (const candidate of candidates) {
    if (clique.length >= max) break
    const heard = edges.get(candidate)
    if (candidate !== first && clique.every(member => heard?.has(member))) {
      clique.push(candidate)
    }
  }
  return sortMembers(clique)
}

/**
 * The configuration `self` should be in: the members that hear each other are divided greedily, the largest clique
 * first (of equals, the one that sorts first), at most `max` members each.
 * Greedy growth from every member costs O(n³) a clique for a component of n and finds a maximal, not always a maximum, clique:
 * enough, since any rule serves that all compute alike.
 */
export function cliqueOf(matrix: Matrix, self: MemberId, max: number): MemberId[] {
  let left = component(matrix, self)
  if (left.length <= max && isClique(matrix, left)) return left
  const edges = new Map(
    left.map(member => [member, new Set(left.filter(other => hearEachOther(matrix, member, other)))]),
  )
  while (left.length > 0) {
    let best: MemberId[] = []
    for (const first of left) {
      const clique = growClique(edges, first, left, max)
      if (clique.length > best.length || (clique.length === best.length && clique.join() < best.join()))
        best = clique
    }
    if (best.includes(self)) return best
    left = left.filter(member => !best.includes(member))
  }
  return [self]
}

/** Drops the rows of members that no chain of `hears` leads to from `self`. */
export function pruneMatrix(matrix: Map<MemberId, Row>, self: MemberId): void {
  const seen = new Set<MemberId>([self])
  for (const member of seen) for (const other of matrix.get(member)?.hears ?? []) seen.add(other)
  for (const member of matrix.keys()) if (!seen.has(member)) matrix.delete(member)
}
