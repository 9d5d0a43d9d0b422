/**
 * A lock on one group, without a server: who asks first in the order has it, and when its daemon dies the next one
 * has it. Of two sides of a partition only one that has the majority of the daemons grants it.
 *
 * Every view starts afresh: each member says whether it wants the lock, or has it, and nobody is granted anything
 * before all have spoken. So no state is handed over, and it does not matter what a member knew before.
 *
 *     node examples/lock-service.mjs
 */

import { Cluster, nameOf, print, until } from './support/cluster.mjs'

const daemons = ['n1', 'n2', 'n3']

class Lock {
  /** Where the current grant stands in the order: the larger, the later. A resource that remembers it refuses the rest. */
  token = null
  #group
  #self
  #wants = null
  /** Words of ours that have not come back in the order: the queue does not know yet what we want. */
  #unheard = 0
  /** Who wants the lock, in the order; the first has it once all of the view have spoken. */
  #queue = []
  #silent = new Set()
  #view = ''
  #isMajority = false

  static async join(session, name) {
    const lock = new Lock()
    lock.#self = session.id
    lock.#group = await session.join(`lock.${name}`)
    lock.#follow().catch(() => lock.#lose())
    return lock
  }

  /** Resolves when we have it. */
  async acquire() {
    const granted = new Promise(resolve => (this.#wants = resolve))
    this.#say()
    await granted
  }

  release() {
    this.token = null
    this.#wants = null
    this.#say()
  }

  /** Safe: nobody acts on what not every daemon holds. */
  #say() {
    this.#unheard++
    const words = { view: this.#view, wants: this.#wants !== null, has: this.token !== null }
    this.#group.send(JSON.stringify(words), { service: 'safe' }).catch(() => this.#lose())
  }

  async #follow() {
    for await (const event of this.#group.events()) {
      if (event.type === 'view') this.#start(event)
      // The view is about to end, perhaps by a cut: grant nothing that the other side cannot know.
      if (event.type === 'transitional') this.#isMajority = false
      if (event.type === 'message') this.#hear(event.sender, event.json(), event.position)
    }
  }

  #start({ view, members, cause, origins }) {
    this.#view = view
    this.#queue = []
    this.#silent = new Set(members)
    this.#isMajority = isMajority(members)
    // Whoever had the lock and was with a minority, if only for a moment, has it no longer.
    const cameWith = origins.find(origin => origin.members.includes(this.#self))?.members ?? members
    if (cause === 'network' && !isMajority(cameWith)) this.#lose()
    this.#say()
  }

  #hear(sender, { view, wants, has }, position) {
    if (sender === this.#self) this.#unheard--
    if (view === this.#view) this.#silent.delete(sender)
    const others = this.#queue.filter(id => id !== sender)
    if (has) this.#queue = [sender, ...others]
    else if (!wants) this.#queue = others
    else if (others.length === this.#queue.length) this.#queue.push(sender)
    const isSettled = this.#isMajority && this.#silent.size === 0 && this.#unheard === 0
    if (!isSettled || this.#queue[0] !== this.#self || this.token !== null) return
    this.token = position
    this.#wants()
  }

  #lose() {
    if (this.token !== null) this.#wants = null
    this.token = null
  }
}

function isMajority(members) {
  const here = new Set(members.map(id => id.slice(id.indexOf('@') + 1, id.indexOf('#'))))
  return here.size * 2 > daemons.length
}

const cluster = await Cluster.start(...daemons)
const sessions = []
for (const [i, name] of ['alice', 'bob', 'carol'].entries())
  sessions.push(await cluster.session(daemons[i], name))
const locks = await Promise.all(sessions.map(session => Lock.join(session, 'printer')))
let inside = 0
let most = 0
let turns = 0
let total = 0

/** Not safe without the lock: it reads, waits, and writes. */
async function work(lock) {
  await lock.acquire()
  most = Math.max(most, ++inside)
  const before = total
  await new Promise(resolve => setImmediate(resolve))
  total = before + 1
  inside--
  turns++
  lock.release()
}

await Promise.all(
  locks.map(async lock => {
    for (let i = 0; i < 5; i++) await work(lock)
  }),
)
print(`${turns} turns, ${most} at a time, ${total} counted`)

const [alice, bob, carol] = locks
await carol.acquire()
print(`${nameOf(sessions[2].id)} has the lock, and her daemon dies`)
const next = alice.acquire()
await cluster.crash('n3')
await next
print(`${nameOf(sessions[0].id)} has it`)

const waits = bob.acquire()
cluster.cut('n1')
await until(() => alice.token === null)
print('alice is cut off: she has lost it, and nobody has it, as no side has a majority')
cluster.heal('n1')
await waits
print('healed: bob has it')
await cluster.stop()
