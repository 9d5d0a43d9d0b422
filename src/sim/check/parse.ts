/** Trace lines from text: every field that a checker reads is checked here first. */

import type { CellTraceLine, ClientTraceLine } from '../../lib/trace.ts'

export type ParsedLine =
  | { readonly level: 'cell'; readonly line: CellTraceLine }
  | { readonly level: 'client'; readonly line: ClientTraceLine }

type Fields = Readonly<Record<string, unknown>>
type Kind = 'text' | 'texts' | 'service' | 'kind' | 'cause' | 'origins' | 'flag'

const SERVICES: readonly unknown[] = ['fifo', 'causal', 'agreed', 'safe']
const KINDS: readonly unknown[] = ['regular', 'transitional']
const CAUSES: readonly unknown[] = ['join', 'leave', 'disconnect', 'network']

/** Fields of each event; a `?` marks one that may be absent. */
const CELL_FIELDS: Readonly<Record<string, Readonly<Record<string, Kind>>>> = {
  conf: { id: 'text', kind: 'kind', 'of?': 'text', members: 'texts' },
  send: { m: 'text', service: 'service' },
  deliver: { m: 'text' },
  fail: {},
}
const CLIENT_FIELDS: Readonly<Record<string, Readonly<Record<string, Kind>>>> = {
  view: { group: 'text', id: 'text', members: 'texts', cause: 'cause', origins: 'origins' },
  transitional: { group: 'text', id: 'text' },
  receive: {
    'group?': 'text',
    m: 'text',
    from: 'text',
    'view?': 'text',
    position: 'text',
    service: 'service',
  },
  send: { m: 'text', groups: 'texts', 'to?': 'text', service: 'service', 'selfDiscard?': 'flag' },
  join: { group: 'text' },
  leave: { group: 'text' },
  closed: { 'group?': 'text', 'why?': 'text' },
  fate: { m: 'text', 'group?': 'text', view: 'text', position: 'text', received: 'texts', unknown: 'texts' },
}

/** Both daemons and clients have `send` lines; only those of clients have `groups`. */
function levelOf(fields: Fields): 'cell' | 'client' | null {
  if (fields.e === 'send') return Object.hasOwn(fields, 'groups') ? 'client' : 'cell'
  if (typeof fields.e !== 'string') return null
  if (Object.hasOwn(CELL_FIELDS, fields.e)) return 'cell'
  return Object.hasOwn(CLIENT_FIELDS, fields.e) ? 'client' : null
}

/** A parsed line, or why it is none. */
export function parseTraceLine(text: string): ParsedLine | string {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return 'not a JSON object'
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'not a JSON object'
  const fields = value as Fields
  const level = levelOf(fields)
  if (level === null) return `unknown event ${JSON.stringify(fields.e ?? null)}`
  if (typeof fields.t !== 'string') return `'t' must be a string`
  if (typeof fields.p !== 'string') return `'p' must be a string`
  if (level === 'cell' && typeof fields.cell !== 'string') return `'cell' must be a string`
  if (level === 'client' && fields.cell !== undefined && typeof fields.cell !== 'string')
    return `'cell' must be a string`
  const wanted = (level === 'cell' ? CELL_FIELDS : CLIENT_FIELDS)[fields.e as string]!
  for (const [name, kind] of Object.entries(wanted)) {
    const optional = name.endsWith('?')
    const field = optional ? name.slice(0, -1) : name
    if (optional && fields[field] === undefined) continue
    if (!isOf(kind, fields[field]))
      return `'${field}' of a '${String(fields.e)}' line must be ${describe(kind)}`
  }
  return { level, line: value } as ParsedLine
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every(item => typeof item === 'string')
}

function isOf(kind: Kind, value: unknown): boolean {
  if (kind === 'text') return typeof value === 'string'
  if (kind === 'texts') return isTexts(value)
  if (kind === 'service') return SERVICES.includes(value)
  if (kind === 'kind') return KINDS.includes(value)
  if (kind === 'cause') return CAUSES.includes(value)
  if (kind === 'flag') return typeof value === 'boolean'
  return Array.isArray(value) && value.every(isOrigin)
}

function isOrigin(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const { view, members } = value as Fields
  return (view === null || typeof view === 'string') && isTexts(members)
}

function describe(kind: Kind): string {
  if (kind === 'text') return 'a string'
  if (kind === 'texts') return 'a list of strings'
  if (kind === 'flag') return 'true or false'
  if (kind === 'origins') return 'a list of {view, members}'
  return `one of ${(kind === 'service' ? SERVICES : kind === 'kind' ? KINDS : CAUSES).join(', ')}`
}
