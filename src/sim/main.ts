#!/usr/bin/env node
/** The simulator on its own: `node dist/sim/main.js sim --seeds 1-100`. Needs nothing of the daemon or the clients to be built. */

import { Command } from 'commander'
import { registerSim } from './cli.ts'

const program = new Command('anasazi')
registerSim(program)
await program.parseAsync()
