/**
 * Entry of a process that relays what one daemon says to others, and can delay and lose it:
 *
 *     route LINK HOST:PORT             listen for who wants to go there; says where
 *     weather LINK FAULTS              from now on these (JSON) go wrong in both directions
 *     quit                             end
 */

import { createInterface } from 'node:readline'
import { Relay } from '../lab/relay.ts'
import { type Faults, Weather } from '../lab/weather.ts'
import type { Answer } from './task.ts'

/** Daemons listen at another address of loopback, at ports that were free a moment ago: these must not be taken here. */
const host = '127.0.0.2'

const links = new Map<string, { readonly forth: Weather; readonly back: Weather }>()

function say(answer: Answer): void {
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}

async function route(link: string, target: string): Promise<void> {
  const weather = { forth: new Weather(links.size * 2 + 1), back: new Weather(links.size * 2 + 2) }
  links.set(link, weather)
  const { address } = await Relay.listen(target, weather, host)
  say({ type: 'routed', link, address })
}

async function obey(line: string): Promise<void> {
  const [command, link = '', ...rest] = line.split(' ')
  if (command === 'quit') process.exit(0)
  if (command === 'route') return route(link, rest[0] ?? '')
  const weather = links.get(link)
  if (weather === undefined) throw new RangeError(`there is no link ${link}`)
  const faults = JSON.parse(rest.join(' ')) as Partial<Faults>
  weather.forth.set(faults)
  weather.back.set(faults)
}

createInterface({ input: process.stdin })
  .on('line', line => {
    obey(line).catch((error: unknown) => say({ type: 'failed', why: String(error) }))
  })
  .once('close', () => process.exit(0))
