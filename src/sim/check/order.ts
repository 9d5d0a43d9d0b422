/**
 * Does one order exist that agrees with everything every process saw? It does exactly if the graph of
 * "directly before" has no cycle. Kahn's algorithm over integer arrays: linear in events.
 */

/** A directed graph under construction; `label` says which process saw the edge. */
export class OrderGraph {
  private readonly from: number[] = []
  private readonly to: number[] = []
  private readonly labels: number[] = []

  add(from: number, to: number, label: number): void {
    this.from.push(from)
    this.to.push(to)
    this.labels.push(label)
  }

  /** A shortest cycle through some node, as edges in order; null if there is none. */
  findCycle(nodes: number): { from: number; to: number; label: number }[] | null {
    const { from, to } = this
    const count = from.length
    const start = new Int32Array(nodes + 1)
    const indegree = new Int32Array(nodes)
    for (let e = 0; e < count; e++) {
      start[from[e]! + 1]! += 1
      indegree[to[e]!]! += 1
    }
    for (let n = 0; n < nodes; n++) start[n + 1]! += start[n]!
    const fill = start.slice()
    const edges = new Int32Array(count)
    for (let e = 0; e < count; e++) edges[fill[from[e]!]!++] = e
    const queue = new Int32Array(nodes)
    let tail = 0
    for (let n = 0; n < nodes; n++) if (indegree[n] === 0) queue[tail++] = n
    for (let head = 0; head < tail; head++) {
      const node = queue[head]!
      for (let i = start[node]!; i < start[node + 1]!; i++) {
        const next = to[edges[i]!]!
        if (--indegree[next]! === 0) queue[tail++] = next
      }
    }
    if (tail === nodes) return null
    return this.shortestCycle(this.nodeOnCycle(indegree), start, edges, indegree)
  }

  /** Going back from any node that Kahn left over, among such nodes, must end in a cycle. */
  private nodeOnCycle(indegree: Int32Array): number {
    const back = new Map<number, number>()
    for (let e = 0; e < this.from.length; e++) {
      if (indegree[this.from[e]!]! > 0 && indegree[this.to[e]!]! > 0) back.set(this.to[e]!, this.from[e]!)
    }
    let node = indegree.findIndex(degree => degree > 0)
    const seen = new Set<number>()
    while (!seen.has(node)) {
      seen.add(node)
      node = back.get(node)!
    }
    return node
  }

  private shortestCycle(
    origin: number,
    start: Int32Array,
    edges: Int32Array,
    indegree: Int32Array,
  ): { from: number; to: number; label: number }[] {
    const via = new Map<number, number>()
    const queue = [origin]
    for (let head = 0; head < queue.length && !via.has(origin); head++) {
      const node = queue[head]!
      for (let i = start[node]!; i < start[node + 1]!; i++) {
        const edge = edges[i]!
        const next = this.to[edge]!
        if (indegree[next]! <= 0 || via.has(next)) continue
        via.set(next, edge)
        queue.push(next)
      }
    }
    const cycle: { from: number; to: number; label: number }[] = []
    let node = origin
    do {
      const edge = via.get(node)!
      cycle.push({ from: this.from[edge]!, to: this.to[edge]!, label: this.labels[edge]! })
      node = this.from[edge]!
    } while (node !== origin)
    return cycle.reverse()
  }
}
