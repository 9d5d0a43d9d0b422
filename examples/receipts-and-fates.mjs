/**
 * What a sender learns. Not that everybody will receive a message, but afterwards who has: a receipt says where in the
 * order it stands, and once that is settled, exactly which members of its view have it, and which left without that
 * being known. Whoever received it can ask too, and gets the same answer.
 *
 *     node examples/receipts-and-fates.mjs
 */

import { connect } from 'anasazi/client'
import { Cluster, nameOf, print } from './support/cluster.mjs'

/** Reads everything, as members do: what is not read is not received. Remembers positions by text. */
async function enter(session) {
  const group = await session.join('orders')
  const positions = new Map()
  const reading = (async () => {
    for await (const event of group.events())
      if (event.type === 'message') positions.set(event.text(), event.position)
  })()
  // A lost daemon ends the loop with an error.
  reading.catch(() => {})
  return { session, group, positions }
}

const names = list => list.map(nameOf).sort().join(' ') || 'nobody'
const show = (who, { received, unknown }) =>
  print(`  ${who}: received by ${names(received)}; unknown: ${names(unknown)}`)

const cluster = await Cluster.start('n1', 'n2', 'n3')
const alice = await enter(await cluster.session('n1', 'alice'))
const bob = await enter(await cluster.session('n2', 'bob'))
// Over a socket, as from another process.
const carol = await enter(await connect(cluster.url('n3'), { name: 'carol' }))

print('all are there')
const first = await alice.group.send('one', { service: 'safe' })
show('alice', await first.settled)
show('bob', await bob.group.fate(first.position))
show('carol', await carol.group.fate(first.position))

print('carol is cut off when alice sends')
cluster.cut('n3')
const second = await alice.group.send('two')
show('alice', await second.settled)
show('bob', await bob.group.fate(second.position))
print(`  carol: ${carol.positions.has('two') ? 'has it' : 'knows of no such message'}`)
print(`  both were sent to the same view: ${first.view === second.view}`)

print('the daemon of carol dies when she sends')
const third = carol.group.send('three').catch(error => error)
await cluster.crash('n3')
const { code, retryable } = await third
print(`  carol: ${code}, worth sending again blindly: ${retryable}`)

await cluster.stop()
