#!/usr/bin/env -S node --max-semi-space-size=64 --min-semi-space-size=16 --heap-growing-percent=400
/** The `anasazi` command. */

import { run } from './program.ts'
import { connectToDaemon } from './session.ts'
import { processTerminal } from './terminal.ts'

const terminal = processTerminal()
const code = await run(process.argv.slice(2), { terminal, connect: connectToDaemon })
// Not `process.exit` at once: what is still on its way to a pipe would be lost.
process.exitCode = code
if (process.stdin.readableFlowing !== null) process.stdin.destroy()
