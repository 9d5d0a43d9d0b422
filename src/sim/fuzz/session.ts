/** The sessions of a daemon, one of whose clients means ill. */

import { encodeClientFrame } from '../../codec/client-encode.ts'
import type { Random } from '../../lib/prng.ts'
import { Bench, encodeClient, type HandClient, hello, plain, requests, segment, words } from './bench.ts'
import { shorten } from './judge.ts'
import { mutateBytes, mutateData, pieces } from './mutate.ts'
import { demand, type Target } from './target.ts'

export const sessionTarget: Target = {
  name: 'session',
  about: 'a daemon with a client that says absurd things, and one that does not',
  few: 60,
  prepare() {
    const encoded = requests.map(encodeClient)
    return {
      corpus: requests.length,
      run(random, show) {
        const bench = new Bench()
        const honest = bench.client('honest')
        honest.say(encodeClientFrame({ kind: 'join', request: 1, group: 'orders' }))
        bench.step()
        const evil = Array.from({ length: random.between(1, 3) }, (_, i) =>
          bench.client(random.pick(['', `evil${i}`])),
        )
        for (let said = random.between(1, 40); said > 0; said--) {
          const bytes = random.chance(0.05)
            ? mutateBytes(random, random.pick(encoded), encoded)
            : absurd(random, random.pick(evil), show)
          const client = random.pick(evil)
          for (const piece of random.chance(0.2) ? pieces(random, bytes) : [bytes]) client.say(piece)
          if (random.chance(0.05)) client.channel.abort()
          if (random.chance(0.5)) bench.step(random.pick([0, 1, 100, 1000]))
          honest.acknowledge()
        }
        bench.step()
        judgeServed(bench, honest)
        const closed = evil.map(client => (client.channel.closed ? lastWords(client) : 'still there'))
        for (const client of evil) client.channel.abort()
        bench.step(20_000)
        honest.acknowledge()
        bench.step()
        const { sessionCount } = bench.runtime.groups
        demand(sessionCount === 1, `${sessionCount} sessions are left of one`)
        demand(bench.runtime.sessions.connections.size === 1, 'connections are left of clients that are gone')
        return closed[0] as string
      },
    }
  },
}

/** Well-formed, and mostly with sense in it somewhere: numbers that go on, groups that there are. */
function absurd(random: Random, client: HandClient, show: (what: string) => void): Uint8Array {
  for (;;) {
    const base = random.pick(requests)
    const frame = random.chance(0.5) ? base : mutateData(random, base, words)
    try {
      const bytes = encodeClient(frame)
      show(shorten(plain(frame)))
      return client.heard.length === 0 && random.chance(0.5) ? encodeClientFrame(hello) : bytes
    } catch {
      // It has no bytes.
    }
  }
}

function judgeServed(bench: Bench, honest: HandClient): void {
  demand(!honest.channel.closed, `a client that behaves was sent away: ${lastWords(honest)}`)
  const sequence = honest.heard.length + 1
  const before = honest.received
  honest.say(encodeClient(segment({ to: 'groups', groups: ['orders'] }, sequence, 4)))
  bench.step(1000)
  demand(honest.received > before, 'a client that behaves is not served')
}

function lastWords(client: HandClient): string {
  const last = client.heard.at(-1)
  return last !== undefined && (last.kind === 'refused' || last.kind === 'closing')
    ? `${last.kind}: ${last.code}`
    : 'gone'
}
