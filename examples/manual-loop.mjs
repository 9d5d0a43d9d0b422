/**
 * A node inside a program that has a main loop of its own, here a game: 60 frames a second that each compute for some
 * milliseconds. The node does nothing but in `node.step()`, so it never interrupts a frame; sockets only put what they
 * read into a queue.
 *
 *     node examples/manual-loop.mjs
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createNode, defaultConfig } from 'anasazi/node'
import { print } from './support/cluster.mjs'

const runtime = mkdtempSync(join(tmpdir(), 'anasazi-example-'))
const alone = defaultConfig({ name: 'game', hostName: 'game', runtime })
// No other nodes: nothing listens for them.
const config = { ...alone, cells: [{ ...alone.cells[0], listen: null }] }

let wakes = 0
const node = await createNode({ config, loop: 'manual', onWake: () => wakes++ })

const frameMs = 1000 / 60
const computeMs = 5
let frame = 0
const over = new AbortController()

async function mainLoop() {
  while (!over.signal.aborted) {
    const began = performance.now()
    while (performance.now() - began < computeMs); // the game itself
    frame++
    node.step()
    // I/O happens here, between the frames. A program that only waits would sleep until `node.nextDeadline` or a wake.
    await sleep(Math.max(0, frameMs - (performance.now() - began)))
  }
}

/** Two players in the same process; others would connect to the node's socket. */
async function play(name, rounds) {
  const session = await node.session({ name })
  const arena = await session.join('arena')
  for (let i = 1; i <= rounds; i++) await arena.send(JSON.stringify({ name, move: i, frame }))
  return session
}

const running = mainLoop()
const spectator = await node.session({ name: 'spectator' })
const arena = await spectator.join('arena')
const watching = (async () => {
  const moves = []
  for await (const event of arena.events()) {
    if (event.type === 'message') moves.push(event.json())
    if (moves.length === 10) return moves
  }
})()
const players = await Promise.all([play('red', 5), play('blue', 5)])
const moves = await watching
print(`${moves.length} moves in ${new Set(moves.map(move => move.frame)).size} frames`)
print(`${frame} frames so far with a step in each; the node asked for one ${wakes} times`)

for (const session of [...players, spectator]) await session.close()
await node.close()
over.abort()
await running
rmSync(runtime, { recursive: true })
