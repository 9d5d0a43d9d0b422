/**
 * The shape of a configuration file, for checking and (as JSON schema) for editors. Loads zod: import it lazily.
 *
 * The message of every check is the second half of an error: what would be right.
 */

import { z } from 'zod'
import { ADDRESS_PATTERN } from './address.ts'
import { LOG_LEVELS } from './config.ts'
import { defaultSlowClient, DEFAULT_CLUSTER, slowClientDefaults } from './config.ts'
import type { SlowClientPolicy } from './config.ts'
import { limitTable, timeoutTable } from './limits.ts'
import type { Quantity } from './limits.ts'
import { DEFAULT_MTU_BYTES, DEFAULT_TRANSPORT, type TransportName, TRANSPORTS } from './transport.ts'

/** What a file says, checked piece by piece; absent is absent. */
export interface ConfigFile {
  readonly name?: string | undefined
  readonly cluster?: string | undefined
  readonly runtime?: string | undefined
  readonly cells?: Readonly<Record<string, CellFile>> | undefined
  readonly log?: { readonly level?: (typeof LOG_LEVELS)[number] | undefined } | undefined
  readonly trace?: string | false | undefined
}

export interface CellFile {
  readonly listen?: string | false | undefined
  readonly peers?: Readonly<Record<string, string>> | undefined
  readonly groups?: readonly string[] | undefined
  readonly thread?: 'host' | 'dedicated' | undefined
  readonly transport?: TransportName | undefined
  readonly multicast?: string | false | undefined
  readonly interface?: string | undefined
  readonly mtu?: number | undefined
  readonly clients?:
    | { readonly unix?: string | false | undefined; readonly tcp?: string | false | undefined }
    | undefined
  readonly timeouts?: Readonly<Record<string, number | undefined>> | undefined
  readonly limits?: Readonly<Record<string, number | undefined>> | undefined
  readonly slowClient?:
    | {
        readonly bytes?: number | undefined
        readonly seconds?: number | undefined
        readonly policy?: SlowClientPolicy['policy'] | undefined
      }
    | undefined
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/
const CELL_NAME = /^[A-Za-z][A-Za-z0-9_-]{0,31}$/

function text(pattern: RegExp, right: string): z.ZodString {
  return z.string({ error: right }).regex(pattern, { error: right })
}

/** `off` is what people write; YAML 1.1 habits also give us false. */
function orOff<T extends z.ZodType>(
  schema: T,
  right: string,
): z.ZodUnion<[z.ZodLiteral<'off'>, z.ZodLiteral<false>, T]> {
  return z.union([z.literal('off'), z.literal(false), schema], { error: `${right}, or off` })
}

function quantity(row: Quantity): z.ZodOptional<z.ZodNumber> {
  const right = `must be a whole number of ${row.unit} from ${row.minimum} to ${row.maximum}`
  return z
    .int({ error: right })
    .min(row.minimum, { error: right })
    .max(row.maximum, { error: right })
    .meta({ description: `${row.help} In ${row.unit}.`, default: row.default })
    .optional()
}

function quantities(table: Readonly<Record<string, Quantity>>, right: string): z.ZodType {
  const rows = Object.entries(table).map(([name, row]) => [name, quantity(row)])
  return z.strictObject(Object.fromEntries(rows) as Record<string, z.ZodOptional<z.ZodNumber>>, {
    error: right,
  })
}

const address = text(
  ADDRESS_PATTERN,
  'must be HOST:PORT with a port from 1 to 65535, such as 127.0.0.1:4803',
).refine(
  value => {
    const port = Number(ADDRESS_PATTERN.exec(value)?.[3])
    return port >= 1 && port <= 65_535
  },
  { error: 'must be HOST:PORT with a port from 1 to 65535, such as 127.0.0.1:4803' },
)
const ip = z.union([z.ipv4(), z.ipv6()])

function isIp(text: string): boolean {
  return ip.safeParse(text).success
}

const MULTICAST_GROUP = 'must be GROUP:PORT with a multicast address, such as 239.192.0.1:4803'
const multicastGroup = address.refine(
  value => /^(2(2[4-9]|3\d)(\.\d{1,3}){3}:|\[ff)/i.test(value) && isIp(value.replace(/^\[|\]?:\d+$/g, '')),
  { error: MULTICAST_GROUP },
)
const INTERFACE = 'must be an IP address of this machine'
const MTU = 'must be a whole number of bytes from 576 to 65535'
/** Longest path that fits a `sockaddr_un`, with its final zero. */
const UNIX_PATH_BYTES = 107
const UNIX_PATH = `must be an absolute path of at most ${UNIX_PATH_BYTES} bytes`
const unixPath = text(/^\/[^\0]*$/, UNIX_PATH).refine(path => Buffer.byteLength(path) <= UNIX_PATH_BYTES, {
  error: UNIX_PATH,
})
const PATTERN = 'must be a name pattern of 1 to 255 characters, with * for any run of them and ? for one'
const PEER_NAME = 'must be named by 1 to 64 letters, digits, dots, dashes and underscores'

const slowClient = z.strictObject(
  {
    bytes: z
      .int({ error: 'must be a whole number of bytes, 65536 or more' })
      .min(65_536, { error: 'must be a whole number of bytes, 65536 or more' })
      .meta({
        description:
          'Unacknowledged bytes at which it is evicted at once; by default 4 times as many for throttle.',
        default: defaultSlowClient.bytes,
      })
      .optional(),
    seconds: z
      .number({ error: 'must be a number of seconds from 0 to 600' })
      .min(0, { error: 'must be a number of seconds from 0 to 600' })
      .max(600, { error: 'must be a number of seconds from 0 to 600' })
      .meta({
        description: `How long a client may be behind before it is evicted; by default ${slowClientDefaults.throttle.seconds} for throttle.`,
        default: defaultSlowClient.seconds,
      })
      .optional(),
    policy: z
      .enum(['evict', 'throttle'], { error: 'must be evict or throttle' })
      .meta({
        description:
          'evict: the others wait for a client that reads too slowly for a moment only; throttle: they wait longer.',
        default: defaultSlowClient.policy,
      })
      .optional(),
  },
  { error: 'must be a mapping with bytes, seconds, policy' },
)

const clients = z.strictObject(
  {
    unix: orOff(unixPath, UNIX_PATH)
      .meta({ description: 'Unix socket for clients; by default RUNTIME/CELL.sock.' })
      .optional(),
    tcp: orOff(address, 'must be HOST:PORT')
      .meta({ description: 'TCP address for clients.', default: 'off' })
      .optional(),
  },
  { error: 'must be a mapping with unix and tcp' },
)

const cell = z.strictObject(
  {
    listen: orOff(address, 'must be HOST:PORT, such as 127.0.0.1:4803')
      .meta({ description: "Where peers connect; by default this member's own address among the peers." })
      .optional(),
    peers: z
      .record(text(NAME, PEER_NAME), address, { error: 'must be a mapping from member name to HOST:PORT' })
      .meta({ description: 'Members that are looked for, by name; this member itself may be among them.' })
      .optional(),
    groups: z
      .array(text(/^.{1,255}$/su, PATTERN), { error: "must be a list of name patterns, such as ['*']" })
      .max(1024, { error: 'must be at most 1024 patterns' })
      .meta({
        description: 'Patterns of the groups of this cell; the first match in the order of the file decides.',
      })
      .optional(),
    thread: z
      .enum(['host', 'dedicated'], { error: 'must be host or dedicated' })
      .meta({ description: "The host's event loop, or a worker thread of the cell's own.", default: 'host' })
      .optional(),
    transport: z
      .enum(TRANSPORTS, { error: `must be one of ${TRANSPORTS.join(', ')}` })
      .meta({
        description:
          'tcp: a copy for each peer over its connection; udp: a copy for each in datagrams; multicast: one for all; chain: over connections, but members pass large frames on to each other; auto: what suits, and the log says why.',
        default: DEFAULT_TRANSPORT,
      })
      .optional(),
    multicast: orOff(multicastGroup, MULTICAST_GROUP)
      .meta({
        description: 'Group and port to which multicast sends; the same at all members.',
        default: 'off',
      })
      .optional(),
    interface: z
      .string({ error: INTERFACE })
      .refine(text => isIp(text), { error: INTERFACE })
      .meta({ description: 'Address of the interface for multicast; by default that of `listen`.' })
      .optional(),
    mtu: z
      .int({ error: MTU })
      .min(576, { error: MTU })
      .max(65_535, { error: MTU })
      .meta({
        description: 'Bytes of the largest IP packet that passes between all members; for datagrams.',
        default: DEFAULT_MTU_BYTES,
      })
      .optional(),
    clients: clients.optional(),
    timeouts: quantities(timeoutTable, 'must be a mapping of timeouts').optional(),
    limits: quantities(limitTable, 'must be a mapping of limits').optional(),
    slowClient: slowClient.optional(),
  },
  { error: 'must be a mapping with listen, peers, groups and others' },
)

const NAME_RIGHT =
  'must be 1 to 64 letters, digits, dots, dashes and underscores, and begin with a letter or digit'

export const configSchema: z.ZodType<ConfigFile> = z.strictObject(
  {
    name: text(NAME, NAME_RIGHT)
      .meta({ description: 'Name of this member, unique in the cluster; by default the host name.' })
      .optional(),
    cluster: text(NAME, NAME_RIGHT)
      .meta({ description: 'Members of other clusters are refused.', default: DEFAULT_CLUSTER })
      .optional(),
    runtime: text(/^\/[^\0]*$/, 'must be an absolute path')
      .meta({ description: 'Directory of the sockets.' })
      .optional(),
    cells: z
      .record(
        text(CELL_NAME, 'must be named by a letter and up to 31 letters, digits, dashes and underscores'),
        cell,
        {
          error: 'must be a mapping from cell name to cell',
        },
      )
      .meta({ description: 'Independent ordering systems; the first is the default one.' })
      .optional(),
    log: z
      .strictObject(
        {
          level: z
            .enum(LOG_LEVELS, { error: `must be one of ${LOG_LEVELS.join(', ')}` })
            .meta({ description: 'The least important lines that are logged.', default: 'info' })
            .optional(),
        },
        { error: 'must be a mapping with level' },
      )
      .optional(),
    trace: orOff(text(/^[^\0]+$/, 'must be the path of a file'), 'must be the path of a file')
      .meta({ description: 'File for the trace of all cells, one JSON object a line.', default: 'off' })
      .optional(),
  },
  { error: 'must be a mapping with name, cells and others' },
) as z.ZodType<ConfigFile>

/** The JSON schema of a configuration file, for editors. */
export function jsonSchema(): Record<string, unknown> {
  return {
    title: 'Configuration of an Anasazi daemon',
    ...z.toJSONSchema(configSchema, { io: 'input' }),
  }
}

/** The keys that are known at a place of the file; empty if any is. For suggestions. */
export function knownKeys(path: readonly PropertyKey[]): readonly string[] {
  let schema: unknown = configSchema
  for (const key of path) {
    const inner = unwrap(schema)
    if (inner instanceof z.ZodObject) schema = inner.shape[String(key)]
    else if (inner instanceof z.ZodRecord) schema = inner.valueType
    else return []
  }
  const inner = unwrap(schema)
  return inner instanceof z.ZodObject ? Object.keys(inner.shape) : []
}

function unwrap(schema: unknown): unknown {
  return schema instanceof z.ZodOptional ? schema.unwrap() : schema
}
