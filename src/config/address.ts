/** Network addresses as they are written: `HOST:PORT`, an IPv6 host in brackets. */

export interface Address {
  /** Name or IP address; IPv6 without brackets. */
  readonly host: string
  readonly port: number
}

/** What `parseAddress` accepts, without the bound of the port; for schemas. */
export const ADDRESS_PATTERN: RegExp =
  /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9_](?:[A-Za-z0-9._-]*)))(?::)([0-9]{1,5})$/

/** Null if `text` is not an address. Port 0 (any free port) only if `anyPort`. */
export function parseAddress(text: string, anyPort = false): Address | null {
  const parts = ADDRESS_PATTERN.exec(text)
  if (parts === null) return null
  const host = parts[1] ?? parts[2] ?? ''
  const port = Number(parts[3])
  if (port > 65_535 || (port === 0 && !anyPort)) return null
  return { host, port }
}

export function formatAddress(address: Address): string {
  return `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`
}

export function sameAddress(a: Address, b: Address): boolean {
  return a.port === b.port && a.host.toLowerCase() === b.host.toLowerCase()
}

/** True if both cannot be listened on by one machine at once. */
export function collide(a: Address, b: Address): boolean {
  return a.port !== 0 && a.port === b.port && (sameAddress(a, b) || isWildcard(a.host) || isWildcard(b.host))
}

export function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::'
}
