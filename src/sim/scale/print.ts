/** The tables for a terminal, and the page `docs/performance.md`. */

import { defaultLimits, defaultTimeouts } from '../../core/state.ts'
import type { ScaleFigures } from './figures.ts'
import { amount, bytes, type Table, tablesOf } from './table.ts'

export function formatScale(figures: ScaleFigures): string {
  const tables = tablesOf(figures).map(({ title, header, rows }) => `${title}\n\n${columns(header, rows)}\n`)
  return `${tables.join('\n')}\n${networkText(figures)}; ${amount(figures.elapsedMs / 1000)} s`
}

function columns(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [header, ...rows]
  const widths = header.map((_, column) => Math.max(...lines.map(line => (line[column] ?? '').length)))
  return lines
    .map(line => `  ${line.map((cell, column) => cell.padStart(widths[column] as number)).join('  ')}`)
    .join('\n')
}

function networkText({ seed, hopMs, jitterMs }: ScaleFigures): string {
  const jitter = jitterMs > 0 ? ` and ${amount(jitterMs * 1000)} µs more on average` : ''
  return `seed ${seed}, a hop takes ${amount(hopMs * 1000)} µs${jitter}`
}

export function formatMarkdown(figures: ScaleFigures): string {
  const tables = new Map(tablesOf(figures).map(table => [table.name, table]))
  const of = (name: Table['name']): string => {
    const table = tables.get(name)
    if (table === undefined) return 'Not measured.'
    const { header, rows } = table
    return [markdownRow(header), `|${'---|'.repeat(header.length)}`, ...rows.map(markdownRow)].join('\n')
  }
  return page(of, networkText(figures))
}

function markdownRow(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`
}

function page(table: (name: Table['name']) => string, network: string): string {
  return `# Performance, on paper and in simulation

<!-- Written by \`anasazi sim --scale --markdown docs/performance.md\`: do not edit. -->

What the protocol costs by its design, whatever the machine: hops, frames and bytes for a message, for a change of
membership, for silence. What real daemons reach on a real machine, and how that compares with others, is what
[\`anasazi bench\`](benchmark.md) measures.

## Method

The core, the groups and the codec that daemons run, on a simulated network that loses nothing: ${network}.
Each member has one client, which is in one group with all others, reads at once and acknowledges at once.

- **A hop** is the time that a frame takes from one member to another. Processing takes no time, so what is not a whole
  number of hops has waited for something that was under way. All that arrives at one moment is one turn of the event loop;
  a busy daemon takes more at a time than that, tells facts less often, and so sends fewer frames than are counted here.
- **Latency** runs from the moment at which a message has its place in the order until it is delivered at the others, each
  of them counted, or at its sender (*own*): median / 99th percentile, or one number where they are equal.
- **Frames and bytes** count once for each destination, as TCP and plain UDP send them. Bytes are those of
  [frames](wire.md), without headers of TCP, UDP and IP.
- Talkers send at random moments (a Poisson process). Limits and timeouts are the defaults.
- All but memory follows from the seed and is the same on every machine. Memory is what the heap and the buffers outside it
  hold for a cell that is idle again after all that was measured, more than without it (both after full collections),
  divided by its members. Sockets are not in it, nor what a process takes that does nothing; and what members receive alike
  they share in the simulator.

## Messages

1 KiB, 1000 a second of each talker. Frames and bytes are for each message, sent by all members together. *Facts* says how
[facts](protocol.md#when-facts-are-told) travel: \`direct\`, from every member to every other; \`aggregated\`, through
one of them, which is the default of \`aggregateFrom\` (13) members and more.

${table('messages')}

One talker costs one hop, which is the limit set by physics: the silent have promised ahead. With several, the others'
promises must come back, which is the second hop, whatever the number of members; when many talk, their messages carry
promises, and some need not wait. A talker does not wait for itself, so that in a small cell half of the others have a
message after one hop. A safe message waits for one word more, that everybody holds it.

Frames with messages are n − 1 for each of them. What grows are facts: told alone, each goes to n − 1 members. With one
talker they are the lazy acknowledgements, which all members tell after \`acknowledgeMs\`: they let go of what is kept for
retransmission, and settle fates. With several talkers each message makes the others promise anew, unless several arrive
together, or they have something to send themselves. A safe message makes everybody tell that it is held. So facts told
directly cost up to n² frames a message: more frames than the messages themselves from five members on, and more bytes than
messages of 1 KiB in cells of more than two dozen, or, if they are safe, of one dozen. Through one member they cost a hop
more where somebody waits for them, and about 2n frames at most.

## Windows full

1 KiB in segments of 64, everybody as fast as flow control lets it. *Beyond payload* is what else is on the wire, *held* the
most that any member kept for retransmission: a window (\`windowBytes\`) of each sender, and a bit.

${table('full')}

Full frames carry the facts for nothing, in small cells and in large ones.

## Changes of membership

Time until somebody noticed + time from then until all clients concerned had their views; frames and bytes of all members from the
notice on.

${table('changes')}

- **kill**: the process of one member dies, and its kernel refuses new connections: known in milliseconds. When a host dies, the
  others wait for \`suspectAfterMs\`, as they do in a cut.
- **cut**: each half has its view; **heal**: it is noticed with the next heartbeat, and those who come in are collected for
  \`settleMs\`.
- **boot**: all members start within 10 ms.

The number of hops does not grow with n, bytes do. A heartbeat that may tell news carries everybody's row of the matrix of who
hears whom, n² bits and n identities, to n − 1 members, from each of n: n³ bytes and more for each round of them. With some
dozens of members this is what a boot costs, in bytes and in the time to read them.

## Nobody speaks

${table('idle')}

Heartbeats go from everyone to everyone, every ${defaultTimeouts.heartbeatMs} ms by default (\`heartbeatMs\`).

## Many cells

Cells share nothing: each has its own order, its own members, its own threads if wanted. What one cell suffers, another does
not see. A daemon that is in two of them does the work of both, and its clients reach both through it. Here each cell has
its last daemon in common with the next. Cells were simulated one after the other, and what they say added up; the daemon that is
killed is one in two cells.

${table('cells')}

Traffic of a daemon depends on the size of its cells, and not on how many there are. In one cell of 1000 each
would have 999 connections, and a round of heartbeats would be a million frames; ${defaultLimits.maxMembers} is the limit that \`maxMembers\` sets by
default. So: as many members in a cell as must agree on one order, and no more.

## Limits

- **n² facts.** Direct facts are fastest, and right for small cells. In cells of more than about a dozen members that talk a
  little, or send as safe, they are what costs the most. Told through one member, which passes on what came in a turn together,
  they are about 2 n frames instead of n², for one hop more.
- **n³ bytes of membership.** Booting and merging cells of more than about thirty members costs tens of megabytes, and
  processors the time to read them.
- **n windows.** Each member may have to keep a window of every sender: \`windowBytes\` × n, by default ${bytes(defaultLimits.windowBytes)} × n.
- **n − 1 copies** leave the sender's link for each message, unless the transport sends one for all.

## Which transport

| transport | choose it |
|---|---|
| \`tcp\` | nearly always: the default. Small and middle cells, any network, also across routers; it adapts to what the path bears |
| \`chain\` | when one or few members send large payloads and links, not processors, are the limit: each passes on what it receives, so that one copy instead of n − 1 leaves the sender; the last in the chain has it after n − 1 hops |
| \`udp\` | on a LAN that hardly loses anything, where many connections are a burden, or one lost packet must not hold up what comes after it from the same member |
| \`multicast\` | on a LAN whose switches carry IP multicast, with many members: one send reaches all, n − 1 copies become one |

The transport changes what a link carries. The order, the facts and all promises are the same on each.
`
}
