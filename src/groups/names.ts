/** Names of groups and sessions. */

/** Bytes of a text in UTF-8; -1 if it holds half a surrogate pair, which UTF-8 cannot say and a peer would read differently. */
export function utf8Length(text: string): number {
  let bytes = text.length
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code < 0x80) continue
    if (code < 0x800) bytes += 1
    else if (code < 0xd800 || code > 0xdfff) bytes += 2
    else {
      const low = text.charCodeAt(i + 1)
      if (code > 0xdbff || !(low >= 0xdc00 && low <= 0xdfff)) return -1
      bytes += 2 // two code units, four bytes
      i++
    }
  }
  return bytes
}

/** True if `name` is well-formed text of 1…`maximum` bytes in UTF-8. */
export function isGroupName(name: string, maximum: number): boolean {
  if (name.length === 0 || name.length > maximum) return false
  const bytes = utf8Length(name)
  return bytes > 0 && bytes <= maximum
}

/** As a group name, and without space, control characters, `@` and `#`, which take session and daemon ids apart. */
export function isSessionName(name: string, maximum: number): boolean {
  if (!isGroupName(name, maximum)) return false
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i)
    if (code <= 0x20 || code === 0x7f || code === 0x23 || code === 0x40) return false
  }
  return true
}
