/**
 * A counter that every member keeps, that goes on counting on both sides of a partition, and that loses nothing when
 * the sides meet: the view says which sets of members come together (`origins`), and one member of each tells what its
 * set has counted.
 *
 *     node examples/replicated-counter.mjs
 */

import { Cluster, print, until } from './support/cluster.mjs'

class Counter {
  #group
  #self
  /** What this member has added. */
  #own = 0
  /** Session → what it has added, as delivered. An entry only grows, so of two copies the larger one is newer. */
  #added = {}

  static async join(session) {
    const counter = new Counter()
    counter.#self = session.id
    counter.#group = await session.join('counter')
    counter.#follow()
    return counter
  }

  get total() {
    return Object.values(this.#added).reduce((sum, count) => sum + count, 0)
  }

  get members() {
    return this.#group.members.length
  }

  add(count) {
    this.#own += count
    return this.#group.send(JSON.stringify({ [this.#self]: this.#own }))
  }

  async #follow() {
    for await (const event of this.#group.events()) {
      if (event.type === 'view') this.#speak(event)
      if (event.type !== 'message') continue
      for (const [id, count] of Object.entries(event.json())) {
        this.#added[id] = Math.max(count, this.#added[id] ?? 0)
      }
    }
  }

  /** Members of one set have delivered the same, so the first of each can speak for all of it. */
  #speak({ cause, members, joined, origins }) {
    const stayed = members.filter(id => !joined.includes(id))
    const sets = cause === 'network' ? origins.map(origin => origin.members) : [stayed]
    const meetsOthers = cause === 'network' ? sets.length > 1 : joined.length > 0
    if (meetsOthers && sets.some(set => set[0] === this.#self)) this.#group.send(JSON.stringify(this.#added))
  }
}

const cluster = await Cluster.start('n1', 'n2', 'n3')
const alice = await Counter.join(await cluster.session('n1', 'alice'))
const bob = await Counter.join(await cluster.session('n2', 'bob'))
await alice.add(1)
const carol = await Counter.join(await cluster.session('n3', 'carol'))
const totals = () => `alice ${alice.total}, bob ${bob.total}, carol ${carol.total}`
const are = (...wanted) => [alice, bob, carol].every((counter, i) => counter.total === wanted[i])

await Promise.all([bob.add(2), carol.add(3)])
await until(() => are(6, 6, 6))
print(`together:       ${totals()}`)

cluster.cut('n3')
await until(() => alice.members === 2 && carol.members === 1)
await Promise.all([alice.add(10), bob.add(20), carol.add(100)])
await until(() => are(36, 36, 106))
print(`n3 is cut off:  ${totals()}`)

cluster.heal('n3')
await until(() => are(136, 136, 136))
print(`merged:         ${totals()}`)
await cluster.stop()
