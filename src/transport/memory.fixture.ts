import type { Network } from './conformance.fixture.ts'
import { MemoryHub } from './memory.ts'

/** Transports in memory that know each other. */
export function memoryNetwork(): Network {
  const hub = new MemoryHub()
  return {
    create: (options, self, wake) =>
      Promise.resolve(
        hub.create({
          self,
          cluster: 'a',
          cell: 'main',
          order: { digest: '1', rules: '"*" -> main\n' },
          peers: options.peers ?? null,
          wake,
          ...options.identity,
          ...(options.limits === undefined ? {} : { limits: options.limits }),
        }),
      ),
    pump: () => {
      hub.deliver()
      return Promise.resolve()
    },
    reset: (a, b) => hub.reset(a.self, b.self),
    kill: transport => {
      hub.kill(transport.self)
      return Promise.resolve()
    },
    hold: (from, to, lane, held) => hub.hold(from.self, to.self, lane, held),
    close: () => Promise.resolve(),
  }
}
