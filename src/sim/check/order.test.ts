import fc from 'fast-check'
import { expect, test } from 'vitest'
import { OrderGraph } from './order.ts'

const edges = fc.array(fc.tuple(fc.nat(30), fc.nat(30)), { maxLength: 80 })

test('edges that all go forward make no cycle', () => {
  fc.assert(
    fc.property(edges, list => {
      const graph = new OrderGraph()
      for (const [a, b] of list) if (a !== b) graph.add(Math.min(a, b), Math.max(a, b), 0)
      expect(graph.findCycle(31)).toBeNull()
    }),
  )
})

test('a cycle is found exactly if there is one, and it is one', () => {
  fc.assert(
    fc.property(edges, list => {
      const graph = new OrderGraph()
      list.forEach(([a, b], label) => graph.add(a, b, label))
      const cycle = graph.findCycle(31)
      expect(cycle !== null).toBe(reachesItself(list))
      if (!cycle) return
      cycle.forEach((edge, index) => {
        expect(edge.to).toBe(cycle[(index + 1) % cycle.length]!.from)
        expect(list[edge.label]).toEqual([edge.from, edge.to])
      })
    }),
  )
})

/** Warshall's transitive closure: slow, obvious. */
function reachesItself(list: readonly (readonly [number, number])[]): boolean {
  const reach = Array.from({ length: 31 }, () => new Uint8Array(31))
  for (const [a, b] of list) reach[a]![b] = 1
  for (let k = 0; k < 31; k++) {
    for (let i = 0; i < 31; i++) {
      if (reach[i]![k] === 1) for (let j = 0; j < 31; j++) if (reach[k]![j] === 1) reach[i]![j] = 1
    }
  }
  return reach.some((row, index) => row[index] === 1)
}
