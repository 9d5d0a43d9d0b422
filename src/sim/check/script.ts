/**
 * Small traces as text, for tests: one line a process, its events in order.
 *
 * Daemons: `p: [1.c p q] +m1 +m2! m1 (t 1.c p) m2 [2.d p] x`. Square brackets are a regular configuration with its members,
 * round ones a transitional one with the regular one it closes and its members; `+m` sends, `+m!` sends safe; `m` delivers;
 * `x` fails.
 *
 * Sessions: `a: join:g g/1[a b] +1:g a1 ~g g/2[a]<1:a,-:b leave:g left:g closed`. `g/1[a b]` is view 1 of group g; its cause
 * comes after `^` (`g/2[a]^leave`), origins make it `network`; `+1:g` sends message a1 to g (`+1!:g,h` safe, `+1-:g` with
 * self-discard, `+1:>b` privately to b); `a1:g` receives it in g, `a1` in the only group it was sent to; `~g` is the
 * transitional signal; `?a1:g=a,b/c` is a fate: received by a and b, unknown of c.
 */

import type { CellTraceLine, ClientTraceLine } from '../../lib/trace.ts'

type Service = 'agreed' | 'safe'

function* words(text: string): Generator<[string, string[]]> {
  for (const row of text.split('\n')) {
    const [, name, rest] = /^\s*([^:\s]+):\s*(.*)$/.exec(row) ?? []
    if (name !== undefined)
      yield [name, rest!.match(/\[[^\]]*\]|\([^)]*\)|[^\s[\](]+(?:\[[^\]]*\]\S*)?/g) ?? []]
  }
}

/** Lines of daemons, all in one cell. */
export function cellScript(text: string): CellTraceLine[] {
  const lines: CellTraceLine[] = []
  let time = 0
  for (const [p, events] of words(text)) {
    for (const event of events) {
      const base = { t: String(++time), p, cell: 'main' }
      const inner = event.slice(1, -1).trim().split(/\s+/)
      if (event.startsWith('[')) {
        lines.push({ ...base, e: 'conf', id: inner[0]!, kind: 'regular', members: inner.slice(1) })
      } else if (event.startsWith('(')) {
        const [id, of, ...members] = inner
        lines.push({ ...base, e: 'conf', id: id!, kind: 'transitional', of: of!, members })
      } else if (event === 'x') lines.push({ ...base, e: 'fail' })
      else if (event.startsWith('+')) {
        const safe = event.endsWith('!')
        lines.push({
          ...base,
          e: 'send',
          m: event.slice(1, safe ? -1 : undefined),
          service: safe ? 'safe' : 'agreed',
        })
      } else lines.push({ ...base, e: 'deliver', m: event })
    }
  }
  return lines
}

interface Sent {
  readonly place: number
  readonly groups: string[]
  readonly service: Service
}

/** Lines of sessions. Messages take their positions in the order in which the text sends them, unless `positions` says. */
export function clientScript(
  text: string,
  positions: Readonly<Record<string, number>> = {},
): ClientTraceLine[] {
  const sent = new Map<string, Sent>()
  const rows = [...words(text)]
  for (const [p, events] of rows) {
    for (const event of events) {
      const [, number, marks, to] = /^\+(\d+)([!-]*):(\S+)$/.exec(event) ?? []
      if (number === undefined) continue
      const name = `${p}${number}`
      const groups = to!.startsWith('>') ? [] : to!.split(',')
      const service = marks!.includes('!') ? 'safe' : 'agreed'
      sent.set(name, { place: positions[name] ?? sent.size + 1, groups, service })
    }
  }
  const lines: ClientTraceLine[] = []
  for (const [p, events] of rows) {
    const views = new Map<string, string>()
    for (const event of events) lines.push(...clientLine(p, event, String(lines.length + 1), sent, views))
  }
  return lines
}

/** `a1` is message 1 of session a. */
function idOf(short: string): string {
  return `${short.slice(0, 1)}:${short.slice(1)}`
}

function listOf(text: string): string[] {
  return text.split(',').filter(one => one !== '')
}

function clientLine(
  p: string,
  event: string,
  t: string,
  sent: ReadonlyMap<string, Sent>,
  views: Map<string, string>,
): ClientTraceLine[] {
  const base = { t, p }
  const position = (short: string): string => `1.${sent.get(short)?.place ?? 99}.0.0.0`
  const [word, group] = event.split(':') as [string, string | undefined]
  if (word === 'join' || word === 'leave') return [{ ...base, e: word, group: group! }]
  if (event === 'closed') return [{ ...base, e: 'closed', why: 'test' }]
  if (word === 'left') return [{ ...base, e: 'closed', group: group! }]
  if (event.startsWith('~')) {
    return [{ ...base, e: 'transitional', group: event.slice(1), id: views.get(event.slice(1)) ?? 'none' }]
  }
  const view = /^([^/]+)\/([^[]+)\[([^\]]*)\](?:\^(\w+))?(?:<(\S+))?$/.exec(event)
  if (view) {
    const [, name, number, members, cause, origins] = view
    views.set(name!, number!)
    return [
      {
        ...base,
        e: 'view',
        group: name!,
        id: number!,
        members: members!.split(' '),
        cause: origins === undefined ? ((cause as 'join' | undefined) ?? 'join') : 'network',
        origins: (origins?.split(',') ?? []).map(origin => {
          const [from, list] = origin.split(':') as [string, string]
          return { view: from === '-' ? null : from, members: [...list] }
        }),
      },
    ]
  }
  const send = /^\+(\d+)([!-]*):(\S+)$/.exec(event)
  if (send) {
    const { groups, service } = sent.get(`${p}${send[1]}`)!
    const to = send[3]!.startsWith('>') ? { to: send[3]!.slice(1) } : {}
    const selfDiscard = send[2]!.includes('-') ? { selfDiscard: true } : {}
    return [{ ...base, e: 'send', m: `${p}:${send[1]}`, groups, ...to, service, ...selfDiscard }]
  }
  const fate = /^\?(\w+):(\w+)=([^/]*)\/(.*)$/.exec(event)
  if (fate) {
    const [, m, name, received, unknown] = fate
    const answer = { received: listOf(received!), unknown: listOf(unknown!) }
    const where = { group: name!, view: views.get(name!)!, position: position(m!) }
    return [{ ...base, e: 'fate', m: idOf(m!), ...where, ...answer }]
  }
  const destination = group ?? sent.get(word)?.groups[0]
  const where =
    destination === undefined ? {} : { group: destination, view: views.get(destination) ?? 'none' }
  const service = sent.get(word)?.service ?? 'agreed'
  return [
    {
      ...base,
      e: 'receive',
      ...where,
      m: idOf(word),
      from: word.slice(0, 1),
      position: position(word),
      service,
    },
  ]
}
