/** Addresses of daemons: `unix:/path`, `tcp://host:port`. */

import { AnasaziError } from '../lib/errors.ts'

export type Address =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }

/** @throws AnasaziError `bad-address`. */
export function parseAddress(text: string): Address {
  if (text.startsWith('unix:')) {
    // unix:/path, and unix:///path as URLs are written.
    const path = text.startsWith('unix://') ? text.slice('unix://'.length) : text.slice('unix:'.length)
    if (path === '') throw new AnasaziError('bad-address', `'${text}' has no path.`)
    return { kind: 'unix', path }
  }
  const match = /^tcp:\/\/(\[[^\]]+\]|[^:/]+):(\d{1,5})\/?$/.exec(text)
  const port = Number(match?.[2])
  if (match === null || port < 1 || port > 65_535) throw new AnasaziError('bad-address', `'${text}'.`)
  const host = match[1]!
  return { kind: 'tcp', host: host.startsWith('[') ? host.slice(1, -1) : host, port }
}
