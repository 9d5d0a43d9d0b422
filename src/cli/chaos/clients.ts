/** Clients that are slow, many, and gone all at once. */

import { addClosings } from '../lab/epitaph.ts'
import type { Program } from '../lab/program.ts'
import type { Cluster } from './cluster.ts'
import { crowdGroupSize } from './crowd.ts'
import { patience, type Play } from './scenario.ts'

const names = ['n1', 'n2', 'n3'] as const
const slow = { bytes: 8 * 1024 * 1024, seconds: 1 }

export const slowClient: Play = {
  how: 'SIGSTOP of a client process under a flood, SIGCONT after it was evicted',
  options: () => ({
    names,
    cell: [
      '    limits: { clientQueueBytes: 262144, messageBytes: 65536, windowBytes: 1048576 }',
      `    slowClient: { bytes: ${slow.bytes}, seconds: ${slow.seconds}, policy: evict }`,
      patience,
    ].join('\n'),
    load: { burst: 4, everyMs: 5, meanBytes: 1500 },
  }),
  async round(cluster, index) {
    const { lab, findings } = cluster
    const members = cluster.living
    const at = names[index % names.length] as string
    const { name: group } = cluster.at(at).group
    const client = lab.command(at, ['join', '--json', '--no-send', '--name', `slow-${index}`, group])
    await cluster.until('the client is in the view', () =>
      members.every(({ view }) => view?.members.length === members.length + 1),
    )
    await cluster.until('it reads', () => client.output.includes('"type":"message"'))
    client.signal('SIGSTOP')
    await cluster.together('a client stops reading → view without it', slow.seconds * 1000 + 4000)
    for (const { view } of members) {
      findings.expect(view?.cause === 'disconnect', `the view without it was caused by ${view?.cause}`)
    }
    await cluster.flowing('messages', members, 100)
    client.signal('SIGCONT')
    const code = await client.ended
    findings.expect(code === 3, `the evicted client ended with ${code}`)
    findings.expect(/read too slowly/.test(client.errors), `it was not told why: ${client.errors.trim()}`)
    findings.expect(/"type":"warning","code":"slow"/.test(client.output), 'it was not warned')
    const other = members.find(({ alive }) => !alive)
    findings.expect(other === undefined, `${other?.session.name} was ended, too: ${other?.ended}`)
  },
}

/** A process with many sessions; resolves when all have joined. */
async function gather(cluster: Cluster, at: string, count: number, trace: string): Promise<Program> {
  const args = ['chaos', 'crowd', cluster.lab.url(at), trace, String(count)]
  const crowd = cluster.lab.run(args)
  await cluster.until('all of the crowd have joined', () => crowd.output.includes('all are in'))
  return crowd
}

async function crowdGroups(cluster: Cluster, at: string): Promise<number> {
  const groups = await cluster.at(at).session.groups()
  return groups.filter(({ group }) => group.startsWith('crowd-')).length
}

const thousand = 1000

export const thousandVanish: Play = {
  how: `SIGKILL of a process with ${thousand} sessions in ${thousand / crowdGroupSize} groups`,
  options: () => ({ names, cell: patience }),
  async round(cluster) {
    const { lab } = cluster
    const trace = lab.newTrace('crowd')
    const crowd = await gather(cluster, 'n2', thousand, trace)
    await cluster.untilAsked('all groups are known elsewhere', async () => {
      return (await crowdGroups(cluster, 'n1')) === thousand / crowdGroupSize
    })
    await cluster.unmoved('a thousand vanish', async () => {
      await cluster.timed('a thousand vanish → their groups are gone at all daemons', 5000, async () => {
        crowd.signal('SIGKILL')
        for (const name of names) {
          await cluster.untilAsked(
            'the groups are gone',
            async () => (await crowdGroups(cluster, name)) === 0,
          )
        }
      })
      await cluster.flowing('messages', cluster.living)
    })
    await crowd.ended
    addClosings(trace)
  },
}

const thirty = Array.from({ length: 30 }, (_, i) => `n${i + 1}`)

export const manyAtOnce: Play = {
  how: 'thirty daemons started at once; then a process with a thousand sessions that join at one of them',
  options: () => ({
    names: thirty,
    absent: thirty.slice(1),
    cell: '    timeouts: { heartbeatMs: 1000, suspectAfterMs: 15000, stalledAfterMs: 40000, gatherMs: 5000, recoverMs: 8000 }',
    load: { burst: 1, everyMs: 200, meanBytes: 100 },
    patienceMs: 300_000,
  }),
  async round(cluster) {
    const { lab, findings } = cluster
    const others = thirty.slice(1)
    const { counters: before } = await cluster.status('n1')
    await cluster.timed('thirty daemons boot together → one configuration', 60_000, async () => {
      await Promise.all(others.map(name => cluster.start(name)))
      await cluster.formed('n1', thirty.length)
    })
    const { counters } = await cluster.status('n1')
    const installed = counters['cell.configurations.installed'] - before['cell.configurations.installed']
    findings.measure('configurations installed on the way', installed, 'views', 10)
    for (const name of ['n2', 'n30']) await cluster.enter(name)
    await cluster.together('one view', null)
    const trace = lab.newTrace('crowd')
    let crowd: Program | null = null
    await cluster.timed('a thousand sessions open and join', 30_000, async () => {
      crowd = await gather(cluster, 'n2', thousand, trace)
    })
    await cluster.flowing('messages', cluster.living)
    const gathered = crowd as Program | null
    gathered?.signal('SIGTERM')
    await gathered?.ended
    await cluster.untilAsked('the crowd is gone', async () => (await crowdGroups(cluster, 'n30')) === 0)
    for (const name of ['n2', 'n30']) {
      const member = cluster.at(name)
      await member.hush()
      await member.session.close()
      await cluster.until('its session is closed', () => !member.alive)
    }
    await Promise.all(others.map(name => lab.end(name, 'SIGTERM')))
    await cluster.together('alone again', null)
  },
}
