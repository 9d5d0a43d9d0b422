/**
 * A member that means ill, in a cell at work: it has been let in, and what it says is well-formed.
 *
 * Nobody may crash or spin, what it makes others keep is bounded, and once it is gone the others agree, deliver and go on. It is not
 * made to say different things to different members: without signatures nobody could know, and two who believed it would differ.
 */

import type { Outgoing } from '../../core/api.ts'
import type { DataFrame, Frame } from '../../core/frames.ts'
import { defaultLimits } from '../../core/state.ts'
import type { GroupSegment, SegmentHead } from '../../groups/types.ts'
import type { Random } from '../../lib/prng.ts'
import { CellChecker } from '../check/cell.ts'
import { GroupChecker } from '../check/groups.ts'
import { Cluster, type ClusterDaemon, type ClusterSession, type Liar } from './cluster.ts'
import { peerFrames } from './corpus.ts'
import { shorten } from './judge.ts'
import { mutateData } from './mutate.ts'
import { wordsOf } from './peer.ts'
import { demand, FuzzFailure, type Target } from './target.ts'

const groups = ['orders', 'chat', 'x']
const limits = { windowBytes: 20_000, maxFrameBytes: 2000, maxSegmentBytes: 10_000 }
/** What one frame may claim to have, when there is room for one more. */
const overshoot = 4 * 1024 * 1024
/** Too short to be noticed, and long enough for new configurations on both sides. */
const apartMs = [20, 900]
/** Virtual time for those who are left to come together: hold-downs of several attempts, and more. */
const patienceMs = 60_000

interface Stage {
  readonly cluster: Cluster
  readonly honest: readonly ClusterDaemon[]
  readonly liar: ClusterDaemon
  readonly random: Random
}

type Show = (what: string) => void

// ---- what it says ----

/** Says other segments than its group layer wants, the same to all. */
class SegmentLiar implements Liar {
  count = 0
  readonly words: string[]
  private readonly random: Random
  private readonly pool: readonly SegmentHead[]
  private readonly chance: number
  private readonly exchange: boolean
  private readonly show: Show
  active = false

  /** @param exchange it lies also about what it and its companions hold. */
  constructor(random: Random, words: readonly string[], exchange: boolean, show: Show) {
    this.random = random
    this.words = [...words]
    this.exchange = exchange
    this.show = show
    this.chance = random.pick([0.1, 0.5, 1])
    this.pool = headsOfCorpus()
  }

  frames(outgoing: Outgoing): readonly Outgoing[] {
    return [outgoing]
  }

  segments(segments: readonly GroupSegment[]): GroupSegment[] {
    return segments.flatMap(segment => {
      if (!this.active || !this.random.chance(this.chance) || !this.mayLie(segment.head)) return [segment]
      const draw = this.random.int(8)
      if (draw === 0) return []
      if (draw === 1) return [segment, segment]
      if (draw === 2) return [this.invented(), segment]
      return [this.changed(segment)]
    })
  }

  invented(): GroupSegment {
    const head = this.random.pick(this.pool)
    const base: GroupSegment = { safe: false, more: false, head, bytes: 100, body: [new Uint8Array(8)] }
    return this.mayLie(head) ? this.changed(base) : this.invented()
  }

  private mayLie(head: SegmentHead | null): boolean {
    return this.exchange || (head?.kind !== 'digest' && head?.kind !== 'groupState')
  }

  private changed(segment: GroupSegment): GroupSegment {
    this.count++
    const { random } = this
    const head = random.chance(0.95) ? mutateData(random, segment.head, this.words) : segment.head
    const said = { ...segment, head, safe: random.chance(0.1) !== segment.safe }
    this.show(`segment ${shorten(said.head)}`)
    return said
  }
}

/** Says other frames than its cell wants. */
class FrameLiar implements Liar {
  count = 0
  active = false
  readonly words: string[]
  readonly pool: Frame[] = []
  private readonly random: Random
  private readonly chance: number
  private readonly show: Show
  /** Its own data frames as it said them first: it says them again so. */
  private readonly said: Map<string, Frame> = new Map()

  constructor(random: Random, words: readonly string[], show: Show) {
    this.random = random
    this.words = [...words]
    this.show = show
    this.chance = random.pick([0.02, 0.2, 0.7])
  }

  segments(segments: readonly GroupSegment[]): readonly GroupSegment[] {
    return segments
  }

  frames(outgoing: Outgoing): readonly Outgoing[] {
    const { frame } = outgoing
    if (this.pool.length < 300) this.pool.push(frame)
    else this.pool[this.random.int(300)] = frame
    if (frame.kind === 'data') return [{ ...outgoing, frame: this.once(frame) }]
    if (!this.active || !this.random.chance(this.chance)) return [outgoing]
    const draw = this.random.int(6)
    if (draw === 0) return []
    if (draw === 1) return [outgoing, { ...outgoing, frame: this.changed(this.random.pick(this.pool)) }]
    return [{ ...outgoing, frame: this.changed(frame) }]
  }

  private once(frame: DataFrame): Frame {
    const key = `${frame.configuration.key} ${frame.rank} ${frame.seq}`
    let said = this.said.get(key)
    if (said === undefined) {
      said = this.active && this.random.chance(this.chance) ? this.changed(frame) : frame
      this.said.set(key, said)
    }
    return said
  }

  changed(frame: Frame): Frame {
    this.count++
    const said = mutateData(this.random, frame, this.words)
    this.show(`frame ${shorten(said)}`)
    return said
  }
}

let heads: readonly SegmentHead[] | null = null

function headsOfCorpus(): readonly SegmentHead[] {
  heads ??= peerFrames()
    .flatMap(({ frame }) => (frame.kind === 'data' ? frame.segments : []))
    .flatMap(({ head }) => (head === null ? [] : [head as SegmentHead]))
  return heads
}

// ---- one life ----

function begin(random: Random, liar: Liar): Stage {
  const cluster = new Cluster()
  const count = random.between(2, 4)
  const evil = random.int(count + 1)
  const daemons = Array.from({ length: count + 1 }, (_, i) =>
    cluster.add(`n${i + 1}`, i + 1, { limits }, i === evil ? liar : null),
  )
  const stage: Stage = {
    cluster,
    honest: daemons.filter((_, i) => i !== evil),
    liar: daemons[evil] as ClusterDaemon,
    random,
  }
  const formed = (): boolean =>
    daemons.every(({ cell }) => cell.configuration.members.length === daemons.length)
  if (!cluster.until(formed, 5000)) throw new FuzzFailure('no configuration was formed before anybody lied')
  cluster.run(50)
  for (const daemon of daemons) {
    for (let i = random.between(1, 2); i > 0; i--) {
      const session = daemon.open(`s${i}`)
      for (const group of groups) if (random.chance(0.6)) daemon.join(session, group)
    }
  }
  cluster.run(random.int(50))
  return stage
}

/** Something that clients do; of the liar's too, as they give it something to lie about. */
function work({ cluster, random }: Stage): void {
  const daemon = random.pick([...cluster.daemons.values()])
  const open = [...daemon.sessions.values()].filter(({ closing }) => !closing)
  const session = open.length === 0 ? null : random.pick(open)
  const group = random.pick(groups)
  const draw = random.int(10)
  if (session === null || (draw === 0 && open.length < 4)) daemon.open(`t${random.u32()}`)
  else if (draw === 1) daemon.close(session)
  else if (draw < 4) {
    if (session.wanted.has(group)) daemon.leave(session, group)
    else daemon.join(session, group)
  } else daemon.send(session, [group], random.chance(0.3))
}

/** A partition that ends, so that there is something to recover and to merge. */
function disturb({ cluster, random }: Stage): void {
  const side = new Map([...cluster.daemons.keys()].map(member => [member, random.int(2)]))
  cluster.cut = (a, b) => side.get(a) !== side.get(b)
  cluster.run(random.pick(apartMs))
}

/** Sides that have gone their ways meet, and tell each other what they have. */
function heal({ cluster, random }: Stage): void {
  cluster.cut = () => false
  cluster.run(random.pick(apartMs))
}

function judgeLoad({ honest }: Stage): void {
  for (const { member, cell } of honest) {
    const { state } = cell
    const bound =
      cell.configuration.members.length * (17 * (limits.windowBytes + limits.maxFrameBytes) + overshoot)
    const frozen = state.frozen ? 2 : 1
    demand(
      cell.load.historyBytes <= bound * frozen,
      `${member} holds ${cell.load.historyBytes} bytes of history`,
    )
    demand(state.peers.matrix.size <= 300, `${member} keeps ${state.peers.matrix.size} rows`)
    demand(
      cell.configuration.members.length <= defaultLimits.maxMembers,
      `${member} is in a giant configuration`,
    )
    for (const { assembling } of state.ordering.streams)
      demand(
        assembling.length <= 2 * limits.maxSegmentBytes,
        `${member} assembles ${assembling.length} fragments`,
      )
  }
}

/** It is gone; those who are left come together. */
function exclude({ cluster, honest, liar }: Stage): void {
  cluster.kill(liar)
  cluster.cut = () => false
  const members = honest.map(({ member }) => member).join()
  const together = (): boolean =>
    honest.every(
      ({ cell, groups: { gateOpen } }) =>
        cell.phase === 'operational' && cell.configuration.members.join() === members && gateOpen,
    ) && new Set(honest.map(({ cell }) => cell.configuration.id.key)).size === 1
  if (cluster.until(together, patienceMs)) return
  const states = honest.map(({ member, cell }) => `${member} ${cell.phase} in ${cell.configuration.id.key}`)
  throw new FuzzFailure(`the others do not come together: ${states.join('; ')}`)
}

/** What is sent from now on is delivered to all, and all deliver the same in the same order. */
function judgeDelivery({ cluster, honest }: Stage): void {
  const sent: string[] = []
  const sessions = honest.map(daemon => {
    const session = daemon.open('well')
    daemon.join(session, 'well')
    return { daemon, session }
  })
  const joined = (): boolean =>
    sessions.every(({ session }) => session.views.get('well')?.split(',').length === honest.length)
  demand(cluster.until(joined, 5000), 'once the liar is gone, a group is not joined')
  for (const { daemon, session } of sessions) sent.push(daemon.send(session, ['well'], true))
  const received = (): boolean => sessions.every(({ session }) => session.received.length === sent.length)
  demand(cluster.until(received, 5000), 'once the liar is gone, a message is not delivered')
  cluster.run(100)
  const orders = new Set(sessions.map(each => each.session.received.join()))
  demand(orders.size === 1, `they deliver in different orders: ${[...orders].join(' / ')}`)
}

/** Everybody who behaves sees the same members in the same views: those who want to be there. */
function judgeViews({ honest }: Stage): void {
  const sessions = honest.flatMap(daemon => [...daemon.sessions.values()])
  for (const group of [...groups, 'well']) {
    const inside = sessions.filter(({ wanted, closing }) => wanted.has(group) && !closing)
    const views = new Set(inside.map(session => session.views.get(group) ?? 'none'))
    demand(views.size <= 1, `group ${group} has different views: ${[...views].join(' / ')}`)
    const members = ([...views][0] ?? '').split(' ')[1] ?? ''
    const expected = inside
      .map(({ id }) => id)
      .sort()
      .join()
    demand(
      members.split(',').sort().join() === expected,
      `group ${group} has members ${members}, not ${expected}`,
    )
  }
}

/** The checkers find nothing wrong with what those who behave saw of each other. */
function judgeTraces({ honest, liar }: Stage): void {
  const cell = new CellChecker()
  const clients = new GroupChecker()
  const foreign = (line: { readonly e: string; readonly from?: string }): boolean =>
    line.e === 'receive' && line.from?.includes(`@${liar.member}.`) === true
  for (const daemon of honest) {
    for (const line of daemon.cellLines) cell.line(line)
    for (const line of daemon.clientLines) if (!foreign(line)) clients.line(line)
  }
  const options = { drained: true, partial: true }
  const dead = new Set([liar.member])
  const violations = [...cell.finish(options), ...clients.finish({ ...options, dead })]
  demand(violations.length === 0, `the honest have traces that violate: ${shorten(violations.slice(0, 3))}`)
}

/** @param lie called now and then: whatever it wants to say of itself. */
function live(stage: Stage, lie: () => void): void {
  const { cluster, random } = stage
  for (let steps = random.between(5, 60); steps > 0; steps--) {
    if (random.chance(0.5)) work(stage)
    if (random.chance(0.4)) lie()
    if (random.chance(0.06)) disturb(stage)
    if (random.chance(0.1)) heal(stage)
    cluster.run(random.pick([0, 1, 5, 40, 400]))
    judgeLoad(stage)
  }
}

/** Something that happened to those who behave; one of several, the first by name. */
function outcomeOf(
  { honest }: Stage,
  of: (daemon: ClusterDaemon) => Iterable<string>,
  otherwise: string,
): string {
  const all = [...new Set(honest.flatMap(daemon => [...of(daemon)]))].sort()
  return all[0] ?? otherwise
}

export const groupsTarget: Target = {
  name: 'groups',
  about: 'a running cell with a member that orders nonsense: sessions, groups, exchanges',
  few: 25,
  prepare() {
    const corpus = headsOfCorpus()
    const words = wordsOf(peerFrames()).slice(0, 200)
    return {
      corpus: corpus.length,
      run(random, show) {
        const exchange = random.chance(0.5)
        const liar = new SegmentLiar(random.fork('liar'), words, exchange, show)
        const stage = begin(random, liar)
        liar.active = true
        liar.words.push(...groups, ...namesIn(stage))
        live(stage, () => stage.liar.submitLie(liar.invented()))
        exclude(stage)
        judgeDelivery(stage)
        judgeViews(stage)
        for (const daemon of stage.honest) daemon.groups.invariants()
        // Who lies about what it holds can make others hold it for true, until it is gone.
        if (!exchange) judgeTraces(stage)
        return outcomeOf(stage, ({ ignored }) => ignored, liar.count === 0 ? 'no lie' : 'all of it taken')
      },
    }
  },
}

export const cellTarget: Target = {
  name: 'cell',
  about: 'a running cell with a member that sends well-formed nonsense: order, facts, heartbeats, membership',
  few: 25,
  prepare() {
    const corpus = peerFrames()
    const words = wordsOf(corpus).slice(0, 100)
    return {
      corpus: corpus.length,
      run(random, show) {
        const liar = new FrameLiar(random.fork('liar'), words, show)
        const stage = begin(random, liar)
        liar.active = true
        liar.words.push(...groups, ...namesIn(stage))
        live(stage, () => {
          const known = random.chance(0.8) && liar.pool.length > 0
          const frame = known ? random.pick(liar.pool) : random.pick(corpus).frame
          // In what goes on right now, half the time: otherwise it is soon about the past.
          const { id } = random.pick(stage.honest).cell.configuration
          const present =
            'configuration' in frame && random.chance(0.5) ? { ...frame, configuration: id } : frame
          stage.liar.sendLie(null, liar.changed(present))
        })
        const { member } = stage.liar
        const suspected = (daemon: ClusterDaemon): string[] =>
          [...daemon.suspicions].flatMap(text =>
            text.startsWith(`${member} `) ? text.slice(member.length + 1) : [],
          )
        const outcome = outcomeOf(stage, suspected, 'never')
        exclude(stage)
        judgeDelivery(stage)
        return `the liar was suspected: ${outcome}`
      },
    }
  },
}

/** Members and sessions that there are, to be named in lies. */
function namesIn({ cluster }: Stage): string[] {
  const daemons = [...cluster.daemons.values()]
  const sessions: ClusterSession[] = daemons.flatMap(daemon => [...daemon.sessions.values()])
  const { id } = (daemons[0] as ClusterDaemon).cell.configuration
  return [...daemons.map(({ member }) => member), ...sessions.map(session => session.id), id.key]
}
