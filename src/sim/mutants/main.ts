#!/usr/bin/env node
/** `node dist/sim/mutants/main.js`: the same as `anasazi sim --mutants`. */

import { parseArgs } from 'node:util'
import { huntMutants } from './command.ts'

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    seeds: { type: 'string' },
    jobs: { type: 'string' },
    json: { type: 'boolean' },
    markdown: { type: 'string' },
  },
})
process.exitCode = await huntMutants({
  ...(values.only === undefined ? {} : { only: values.only }),
  ...(values.seeds === undefined ? {} : { seeds: Number(values.seeds) }),
  ...(values.jobs === undefined ? {} : { jobs: Number(values.jobs) }),
  ...(values.markdown === undefined ? {} : { markdown: values.markdown }),
  json: values.json === true,
})
