/** Whether one cell feels what another one on the same daemons suffers. */

import { openCells, farPrefix, type TwoCells } from './cells-site.ts'
import { Crew, type Watched } from './crew.ts'
import { merged } from './histogram.ts'
import type { Values } from './measures.ts'
import type { Row, Variant } from './row.ts'
import { flood, mean, type Outcome, quiet, spread, type Timing } from './scenario.ts'
import type { Site, SiteOptions } from './site.ts'
import type { Worker } from './worker.ts'

/** What the far cell suffers. */
const faults = { delayMs: 200, loseFrames: 0.05 } as const
/** Its daemon that is not in the near cell is stopped and goes on by turns: each is long enough to be noticed. */
const pausedMs = 3000
/** What its clients talk meanwhile. */
const farTalk = { rate: 100, bytes: 1024 } as const

/** The near cell is measured while the far one is idle and well, and then again while it works and suffers. */
export async function cells(
  row: Row,
  variant: Variant,
  options: Omit<SiteOptions, 'members'>,
  timing: Timing,
): Promise<Outcome> {
  const { warmSeconds, seconds } = timing
  const both = await openCells(row.members, options)
  const disturbance = new Disturbance(both)
  try {
    const near = nearSite(both.site, row.members)
    const { talkers, size, rate } = row
    const crew = await Crew.enter(near, { variant, size: () => size, groups: 1, talkers })
    const part = rate === 0 ? () => flood : spread(talkers, rate)
    crew.begin(index => (index < talkers ? part(index) : quiet), warmSeconds, seconds)
    const alone = await crew.watch()
    const farWorkers = await settleFar(near, variant)
    disturbance.begin()
    for (const worker of farWorkers) worker.tell('measure', warmSeconds, seconds)
    crew.measureAgain(warmSeconds, seconds)
    const disturbed = await crew.watch()
    const far = await Promise.all(farWorkers.map(worker => worker.hear('measured')))
    disturbance.end()
    await crew.finish()
    return {
      values: {
        ...(rate === 0 ? ratesOf(alone, disturbed) : timesOf(alone, disturbed)),
        far: mean(far.map(each => each.messages / each.seconds)),
      },
      times: rate === 0 ? null : merged(disturbed.measured.map(({ cross }) => cross)),
      span: alone.span,
      othersCores: Math.max(alone.spent.othersCores ?? 0, disturbed.spent.othersCores ?? 0),
    }
  } finally {
    disturbance.end()
    await both.site.close()
  }
}

/** The site as those see it who know the near cell only. */
function nearSite(site: Site, members: number): Site {
  return {
    ...site,
    names: site.names.slice(0, members),
    daemonPids: site.daemonPids.slice(0, members),
    helperPids: [...site.helperPids, ...site.daemonPids.slice(members)],
  }
}

/** A client that talks in the far cell, and one that listens. */
async function settleFar(site: Site, { iterator }: Variant): Promise<Worker[]> {
  const workers = site.names.slice(0, 2).map(at =>
    site.start(at, {
      kind: 'member',
      prefix: farPrefix,
      groups: 1,
      members: 2,
      talkers: 1,
      size: farTalk.bytes,
      iterator,
      service: 'agreed',
    }),
  )
  await Promise.all(workers.map(worker => worker.hear('ready')))
  const part = spread(1, farTalk.rate)(0)
  workers.forEach((worker, index) => worker.tell('talk', index === 0 ? part.rate : -1, 0, part.firstAt))
  return workers
}

class Disturbance {
  private readonly cells: TwoCells
  private timer: NodeJS.Timeout | undefined
  private isPaused = false

  constructor(cells: TwoCells) {
    this.cells = cells
  }

  begin(): void {
    this.cells.disturb(faults)
    this.turn()
    this.timer = setInterval(() => this.turn(), pausedMs)
  }

  end(): void {
    clearInterval(this.timer)
    if (this.isPaused) this.turn()
    this.cells.disturb({})
  }

  private turn(): void {
    const { site } = this.cells
    this.isPaused = !this.isPaused
    site.signal(site.names.at(-1) as string, this.isPaused ? 'SIGSTOP' : 'SIGCONT')
  }
}

function ratesOf(alone: Watched, disturbed: Watched): Values {
  const [messages, besideMessages] = [rateOf(alone), rateOf(disturbed)]
  return { messages, besideMessages, besideShare: (besideMessages / messages) * 100 }
}

function rateOf({ measured }: Watched): number {
  return mean(measured.map(each => each.messages / each.seconds))
}

function timesOf(alone: Watched, disturbed: Watched): Values {
  const [before, beside] = [alone, disturbed].map(({ measured }) =>
    merged(measured.map(({ cross }) => cross)),
  )
  if (before === undefined || beside === undefined) return {}
  return {
    crossP50: before.at(0.5),
    crossP99: before.at(0.99),
    besideP50: beside.at(0.5),
    besideP99: beside.at(0.99),
    besideChange: beside.at(0.99) / before.at(0.99),
  }
}
