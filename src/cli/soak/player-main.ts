/** Entry of a client process: obeys the soak that forked it, and ends with it. */

import { Player } from './player.ts'
import type { PlayerCommand, PlayerReport } from './player-protocol.ts'

let player: Player | null = null

function report(what: PlayerReport): void {
  if (process.connected) process.send?.(what)
}

process.on('message', (command: PlayerCommand) => {
  if (command.kind !== 'start') void player?.obey(command)
  else player = new Player(command.task, report)
})
process.once('disconnect', () => process.exit(0))
