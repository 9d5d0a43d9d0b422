/** Defaults that daemon, command line and client share, so that all meet at one address without configuration. */

/** Where a daemon that may write there listens. */
export const SYSTEM_SOCKET_PATH: string = '/run/anasazi/main.sock'

/** Where a daemon of an ordinary user listens: a directory of that user's own under the directory of temporary files. */
export function userSocketPath(temporaryDirectory: string, user: number | string): string {
  const base = temporaryDirectory.endsWith('/') ? temporaryDirectory.slice(0, -1) : temporaryDirectory
  return `${base}/anasazi-${user}/main.sock`
}

/** Name of the cell that exists without configuration. */
export const DEFAULT_CELL: string = 'main'

/** Longest message, bytes. */
export const DEFAULT_MAX_MESSAGE_BYTES: number = 16_777_216

/** Longest group name, bytes of UTF-8. */
export const MAX_GROUP_NAME_BYTES: number = 255
